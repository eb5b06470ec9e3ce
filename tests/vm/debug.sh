#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The module, and a part of the library's tests, on a kernel that looks for bugs; speaks TAP.
#
#   O=build tests/vm/debug.sh zoo       each of its checkers reports the bug made for it: tests/vm/zoo
#   O=build tests/vm/debug.sh suite     the part of tests/vm/list that uses the module, and allocations that fail
#   O=build tests/vm/debug.sh fuzz      tests/kmod/fuzz with FUZZ_CALLS, 1,000,000 if not set
#
# The kernel is Debian's newest source with debug.config. It is built once, which takes 15 minutes on 2 CPUs and
# 1 GB, and kept in $O/vm/debug. The zoo is seen again when the kernel, boot.sh, or itself has changed. What
# the kernel has said stands in $O/vm/console-vmlinux-debug. See boot.sh for the rest.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

what=${1:?zoo, suite or fuzz}
export O=${O:-build}
dir=$(realpath -m "$O/vm/debug")
log=$dir/log
kernel=$O/vm/vmlinux-debug
mkdir -p "$dir"

# must DESCRIPTION COMMAND...: or that is the only test, and has failed
must() {
	local description=$1
	shift
	"$@" >"$log" 2>&1 && return
	result "$description" sh -c "tail -n 40 $log; false"
	finish
}

# ---- what is built ---------------------------------------------------------------------------------

# The copy of the configuration comes last: it says that the kernel is there.
build_kernel() {
	local make=(make -s -C "$dir/source" O="$dir/build" ARCH=x86_64 -j"$(nproc)")
	! cmp -s tests/vm/debug.config "$dir/config" || return 0
	rm -f "$dir/config"
	mkdir -p "$dir/build"
	"${make[@]}" KCONFIG_ALLCONFIG="$PWD/tests/vm/debug.config" allnoconfig >/dev/null &&
		"${make[@]}" KBUILD_BUILD_TIMESTAMP=@0 vmlinux modules_prepare &&
		cp "$dir/build/vmlinux.symvers" "$dir/build/Module.symvers" &&
		cp "$dir/build/vmlinux" "$kernel" &&
		cp tests/vm/debug.config "$dir/config"
}

build_zoo() {
	mkdir -p "$dir/zoo"
	cp -u tests/vm/zoo/* "$dir/zoo" && make -s -C "$dir/build" M="$dir/zoo" W=1 KCFLAGS=-Werror modules
}

if ! tests/deps.sh source "$dir/source" >"$log" 2>&1; then
	sed 's/^/# /' "$log"
	echo '1..0 # SKIP no source of a kernel, or not what building it takes: apt, network'
	exit 4
fi
must 'the debug kernel is built' build_kernel
must 'the module is built for it' tests/kmod/build.sh "$dir/build"
FILES=kmod/$(cat "$dir/build/include/config/kernel.release")/ringo.ko
export FILES

# ---- what is run -----------------------------------------------------------------------------------

# boot ENVIRON: with a list on stdin. The limits are for a kernel that checks each access to memory. Its timer interrupt
# takes 60,000 instructions: without a clock of that pace it would come to nothing else beside the module's ticks.
boot() {
	ICOUNT=1 ENVIRON="RINGO_TEST_SLOW_KERNEL=1 $1" PROCS=2 TIMEOUT=3000 LIMIT=3500 tests/vm/boot.sh "$kernel"
}

# reports BUG LINE: the run fails since the kernel says LINE, and for nothing else
reports() {
	echo "vm/debug/zoo/zoo.ko bug=$1" | boot '' >"$log" && { echo 'it was not seen'; return 1; }
	grep -E "^(not ok|# \|)|$2" "$log"
	[ "$(grep '^not ok' "$log")" = 'not ok 3 - the kernel does not complain' ] && grep -qE "$2" "$log"
}

zoo() {
	local seen=$dir/zoo-seen bug line
	if [ "$seen" -nt "$kernel" ] && [ "$seen" -nt tests/vm/boot.sh ] && [ "$seen" -nt tests/vm/zoo/zoo.c ]; then
		result 'each checker has reported' true
		finish
	fi
	must 'the zoo is built' build_zoo
	while read -r bug line; do
		result "$bug" reports "$bug" "$line"
	done <<-'END'
		use_after_free	BUG: KASAN: .*use-after-free in .*\[zoo\]
		out_of_bounds	BUG: KASAN: slab-out-of-bounds in .*\[zoo\]
		leak		unreferenced object
		atomic_sleep	BUG: sleeping function called from invalid context
		inversion	WARNING: possible circular locking dependency detected
		freed_timer	WARNING: .* debug_print_object
		shift		UBSAN: shift-out-of-bounds
	END
	# shellcheck disable=SC2154 # of tap.sh
	[ "$failures" != 0 ] || touch "$seen"
	finish
}

case $what in
zoo) zoo ;;
# What is not about the module, and counts how often sysmon came in time, is for other kernels. Of the allocations
# that fail while a module is loaded some are of its tracepoints, which the kernel does not expect.
suite)
	{
		sed '/^# The library with/,/^# The kernel module/d' tests/vm/list | grep -vE "bpf|ringo-(prof|trace)|ktrace"
		echo tests/kmod/faults
	} | EXPECTED='WARNING: .* at kernel/trace/trace_events\.c' boot ''
	;;
fuzz)
	echo tests/kmod/fuzz | SHOW=1 \
		boot "RINGO_FUZZ_CALLS=${FUZZ_CALLS:-1000000} RINGO_FUZZ_SEED=${RINGO_FUZZ_SEED:-$RANDOM}"
	;;
*) exit 2 ;;
esac
