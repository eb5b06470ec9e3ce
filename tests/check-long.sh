#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make check-long: make check with many seeds, then the stress programs under every build and the
# fuzzers, with one final count. Leaves a dated summary in docs/results. SIM_SEEDS sets the seeds of
# each simulated program, FUZZ_SECONDS the time of each fuzzer, LONG_TIMEOUT the limit of one program.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

mkdir -p docs/results
report=docs/results/$(date -u +%Y-%m-%d)-check-long.txt
export TIMEOUT=${LONG_TIMEOUT:-1800}
export SIM_SEEDS=${SIM_SEEDS:-10000}
RESULTS=$(mktemp -d)
export RESULTS
trap 'rm -rf "$RESULTS"' EXIT

plan() {
	local source build procs name
	for source in tests/stress/*.c; do
		[ -e "$source" ] || continue
		for build in gcc clang asan tsan; do
			for procs in 1 2 8; do
				echo "$build-p$procs RINGO_PROCS=$procs" \
					"build/${build#gcc}/${source%.c}"
			done
		done
	done
	# New inputs go to the first folder, and a failing one beside it.
	for source in tests/fuzz/*_fuzz.c; do
		[ -e "$source" ] || continue
		name=$(basename "$source" _fuzz.c)
		mkdir -p "build/fuzz/$name"
		echo "fuzz - build/tests/fuzz/${name}_fuzz -max_total_time=${FUZZ_SECONDS:-600}" \
			"-artifact_prefix=build/fuzz/ build/fuzz/$name tests/fuzz/corpus/$name"
	done
}

{
	date -u +'%Y-%m-%d %H:%M UTC'
	echo "commit $(git describe --always --dirty), kernel $(uname -r), $(nproc) CPUs"
	gcc --version | head -n 1
	clang --version | head -n 1
	echo "$SIM_SEEDS seeds for each simulated program"
	echo
	KEEP_GOING=1 tests/check.sh
	plan | JOBS=1 tests/run_tests.sh
} 2>&1 | tee "$report"
