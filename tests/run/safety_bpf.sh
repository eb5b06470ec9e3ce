#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The safety suite (safety.h) where ticks take the P: a slice of it in the BPF tier, of which
# tests/stress/revocations.sh does more. O: where the programs were built.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
. tests/bpf/daemon.sh

missing=$(bpfd_missing)
if [ -n "$missing" ]; then
	echo "ok 1 # SKIP $missing"
	echo 1..1
	exit
fi

trap bpfd_end EXIT
bpfd_start 100
export RINGO_PREEMPT=bpf RINGO_QUANTUM_US=100 RINGO_PROCS=2
for source in tests/run/safety_*.c; do
	program=$(basename "$source" .c)
	result "$program while ticks take the P" "${O:-build}/tests/run/$program"
done
finish
