#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Counts the instructions that a revocation, an upcall and a signal take (tests/kmod/cost.c), on a kernel of Debian's in a
# machine with one CPU whose clock goes on by a nanosecond with each instruction: the same figures on any host. Speaks TAP.
#
#   O=build tests/vm/icount.sh 6.1      or 6.12
set -u
cd "$(dirname "$0")/../.." || exit 1

series=${1:?series of kernels}
O=${O:-build}
kernel=$O/vm/vmlinuz-$series
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if ! tests/deps.sh kernel "$series" "$kernel" >"$tmp/log" 2>&1 ||
   ! module=$(O=$O tests/kmod/build.sh "$kernel" 2>"$tmp/log"); then
	sed 's/^/# /' "$tmp/log"
	echo "1..0 # SKIP no kernel $series, or none of what it takes: make deps-check"
	exit 4
fi

printf 'tests/kmod/cost\n' >"$tmp/list"
ICOUNT=1 FILES=$module PROCS=1 CPUS=1 MEM=512 ENVIRON=RINGO_TEST_ICOUNT=1 TIMEOUT=500 LIMIT=590 O=$O \
	tests/vm/boot.sh "$kernel" "$tmp/list"
