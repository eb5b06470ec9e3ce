#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs what tests/vm/list says on a kernel of Debian's, in a virtual machine; speaks TAP.
#
#   O=build tests/vm/debian.sh 6.1      or 6.12
#
# The kernel is the newest package of that series, unpacked once and kept in $O/vm. See boot.sh for the rest.
set -u
cd "$(dirname "$0")/../.." || exit 1

series=${1:?series of kernels}
O=${O:-build}
kernel=$O/vm/vmlinuz-$series

if [ ! -x "$O/tools/ringo-bpfd" ]; then
	echo '1..0 # SKIP ringo-bpfd was not built: make deps-check, then make tests'
	exit 4
fi
if ! tests/deps.sh kernel "$series" "$kernel" >"$O/vm.log" 2>&1; then
	sed 's/^/# /' "$O/vm.log"
	echo "1..0 # SKIP no package of a $series kernel: it takes bookworm-security or -backports in apt's sources"
	exit 4
fi
# Without it tests/kmod is skipped; that it can be built is a test of its own.
module=$(O=$O tests/kmod/build.sh "$kernel" 2>/dev/null)
{
	# A disk that takes 20 ms: what fsync(2) blocks for.
	echo "vm/vmlinuz-$series.modules/configfs.ko"
	echo "vm/vmlinuz-$series.modules/null_blk.ko queue_mode=2 irqmode=2 completion_nsec=20000000"
	cat tests/vm/list
} | FILES="${FILES:-} $module" PROCS=${PROCS:-2} LIMIT=${LIMIT:-570} O=$O tests/vm/boot.sh "$kernel"
