#!/bin/bash
# SPDX-License-Identifier: MIT
# The mistakes of docs/examples and their cures print what they say they print.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
. tests/session.sh
. tests/postgres.sh

trap postgres_stop EXIT
trap 'exit 1' INT TERM

programs=$(realpath "${EXAMPLES:-build/examples}")/mistakes
PATH=$programs:$PATH
ulimit -c 0
unset RINGO_PROCS

skip() {
	echo "ok $((tests += 1)) $1 # SKIP $2"
}

built_with() {
	nm "$programs/two_channels" | grep -q " $1\$"
}

# A race that did not happen is not seen.
races() {
	for _ in $(seq 50); do
		! shared_variable 2>&1 | grep -q 'WARNING: ThreadSanitizer: data race' || return 0
	done
	return 1
}

if built_with __tsan_init; then
	result 'shared_variable: ThreadSanitizer tells' races
	finish
fi
# Who leaks goroutines leaks what they hold, too.
if built_with __asan_init; then
	export ASAN_OPTIONS=detect_leaks=0
fi

for file in docs/examples/mistakes/*.c; do
	name=$(basename "$file" .c)
	if [ "$name" = leaked_receiver ] && built_with __asan_init; then
		skip "$name" 'sanitizers hide pointers: see the run without'
	elif [ "$name" = pool_exhausted ] && [ ! -x "$programs/$name" ]; then
		skip "$name" 'not built, for want of libpq: make deps-check installs it'
	elif [ "$name" = pool_exhausted ] && ! postgres_start; then
		skip "$name" "$postgres_lacks"
	else
		all_as_shown "$file"
	fi
done
finish
