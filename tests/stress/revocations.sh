#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The safety suite (tests/run/safety.h) for long: REVOCATIONS altogether, 1,000,000 if not set, shared alike by
# its tests, gcc and clang, -O2 and -O3 with link-time optimisation, with 1 and 2 Ps; with 8 Ps each does a tenth,
# since those that lost one of more Ps than CPUs keep the others from running. RINGO_PREEMPT sets the tier: sysmon; bpf
# or kmod, where only what ticks have taken counts. That of kmod is in a virtual machine (tests/vm/boot.sh), with
# a kernel of Debian's.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
. tests/bpf/daemon.sh

export RINGO_PREEMPT=${RINGO_PREEMPT:-sysmon}
series=6.12
kernel=build/vm/vmlinuz-$series
missing=
if [ "$RINGO_PREEMPT" = bpf ]; then
	make -s tools
	missing=$(bpfd_missing)
elif [ "$RINGO_PREEMPT" = kmod ]; then
	if ! tests/deps.sh kernel $series "$kernel" >/dev/null 2>&1 || ! module=$(tests/kmod/build.sh "$kernel" 2>/dev/null); then
		missing="no $series kernel of Debian's, or no headers: make deps-check"
	fi
fi
[ -z "$missing" ] || {
	echo "ok 1 # SKIP $missing"
	echo 1..1
	exit
}

programs=()
for source in tests/run/safety_*.c; do
	programs+=("${source%.c}")
done
procs='1 2 8'
variants=${VARIANTS:-'gcc clang gcc-lto clang-lto'}

# Where they are built, and how.
out_of() {
	[ "$1" = gcc ] && echo build || echo "build/$1"
}

build() {
	local make=(make -s W=error O="$(out_of "$1")")
	case $1 in
	clang*) make+=(CC=clang) ;;
	esac
	case $1 in
	gcc-lto) make+=(CFLAGS='-O3 -g -flto=auto' AR=gcc-ar) ;;
	clang-lto) make+=(CFLAGS='-O3 -g -flto' LDFLAGS=-fuse-ld=lld AR=llvm-ar) ;;
	esac
	"${make[@]}" "${programs[@]/#/$(out_of "$1")/}"
}

tests_each=$(cat "${programs[@]/%/.c}" | grep -c '^SAFETY_TEST(')
runs=$((4 * tests_each))
# Of each test in each variant: 10 of 21 parts with 1 P, as many with 2, one with 8.
each=$(((${REVOCATIONS:-1000000} * 10 / 21 + runs - 1) / runs))

log=$(mktemp)
all=$(mktemp)
trap 'rm -f "$log" "$log.list" "$all"; bpfd_end' EXIT
if [ "$RINGO_PREEMPT" = bpf ]; then
	bpfd_start 100
	export RINGO_QUANTUM_US=100
fi

# shellcheck disable=SC2317 # called by result
run() {
	local status

	"$@" >"$log" 2>&1
	status=$?
	cat "$log" >>"$all"
	[ "$status" = 0 ] || cat "$log"
	return "$status"
}

# VARIANT PS TIMES: all programs in one machine.
in_machine() {
	local O lib libs=
	O=$(out_of "$1")
	printf '%s\n' "$module" "${programs[@]}" >"$log.list"
	# What is taken along is looked for below O: the module, and the libraries that are opened at run time.
	mkdir -p "$O/vm/lib" "$O/$(dirname "$module")"
	cp -u "build/$module" "$O/$module"
	for lib in libresolv.so.2 libcrypt.so.1 libm.so.6; do
		cp -Lu "$(ldconfig -p | sed -n "s/.*$lib (libc6,x86-64.*=> //p")" "$O/vm/lib/$lib"
		libs+=" vm/lib/$lib"
	done
	O=$O FILES=$libs PROCS="$2" SHOW=1 TIMEOUT=7200 LIMIT=20000 \
		ENVIRON="RINGO_PREEMPT=kmod RINGO_QUANTUM_US=100 RINGO_TEST_REVOCATIONS=$3 LD_LIBRARY_PATH=/t/vm/lib" \
		tests/vm/boot.sh "$kernel" "$log.list"
}

start=$EPOCHREALTIME
for variant in $variants; do
	result "$variant: built" build "$variant"
	for n in $procs; do
		times=$((n == 8 ? each / 10 + 1 : each))
		if [ "$RINGO_PREEMPT" = kmod ]; then
			result "$variant: all programs with $n Ps, on $series" run in_machine "$variant" "$n" "$times"
			continue
		fi
		for program in "${programs[@]}"; do
			result "$variant: $(basename "$program") with $n Ps" \
				run env RINGO_PROCS="$n" RINGO_TEST_REVOCATIONS="$times" "$(out_of "$variant")/$program"
		done
	done
done
sum=$(sed -nE 's/^# (\| # )?.*:([0-9]+) revocations$/\2/p' "$all" | awk '{ n += $1 } END { print n + 0 }')
result "$sum revocations by $RINGO_PREEMPT, which is enough" [ "$sum" -ge "${REVOCATIONS:-1000000}" ]
awk -v n="$sum" -v a="$start" -v b="$EPOCHREALTIME" \
	'BEGIN { printf "# %d revocations in %.0f s, %.0f a second\n", n, b - a, n / (b - a) }'
finish
