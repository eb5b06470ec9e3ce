#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The safety suite can fail: each of its tests does when goroutines are switched on the spot instead of being
# revoked (tests/spot/on_the_spot.c). O: where the programs were built.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

programs=${O:-build}/tests/spot

# fails TEST: as the log says
fails() {
	grep -E "^not ok [0-9]+ global\.$1\$" "$log" && return
	cat "$log"
	return 1
}

if [ ! -x "$programs/safety_libc" ]; then
	echo 'ok 1 # SKIP sanitizers know no switch on the spot; the build without does it'
	echo 1..1
	exit
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
while read -r name procs what; do
	for _ in 1 2 3; do
		RINGO_PROCS=$procs RINGO_TEST_SPOT=$what "$programs/safety_$name" >"$log" 2>&1 </dev/null
		# Who switches had no CPU in one of the tests: that says nothing of it.
		grep -q ':0 revocations$' "$log" || break
	done
	while read -r test; do
		result "$name: $test fails if goroutines are switched on the spot" fails "$test"
	done < <(sed -nE 's/^SAFETY_TEST\(([a-z0-9_]+)\)$/\1/p' "tests/run/safety_$name.c")
done <<-END
	locks 1 threads
	libc 2 threads
	registers 2 registers
	exceptions 2 threads
	static 1 threads
END
finish
