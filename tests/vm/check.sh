#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make check-vm: tests/vm/list on each kernel, as many at a time as there are CPUs; at most 10 minutes.
set -u
cd "$(dirname "$0")/../.." || exit 1

for series in ${KERNELS:-6.1 6.12}; do
	echo "vm O=${O:-build} tests/vm/debian.sh $series"
done | JOBS=$(nproc) TIMEOUT=600 tests/run_tests.sh
