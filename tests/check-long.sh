#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make check-long: make check with many seeds, then the stress programs under every build, the fuzzers, the debug
# kernel (tests/vm/debug.sh) and what a revocation costs (tests/vm/icount.sh), with one final count. Leaves a dated
# summary in docs/results.
# SIM_SEEDS_CHAN sets the seeds of the simulated programs about channels, select, contexts and locks (100,000
# take them 2 to 8 minutes each on an idle CPU), SIM_SEEDS those of the others, REVOCATIONS the number of times
# that goroutines of the safety suite lose their P in each tier, FUZZ_SECONDS the time of each fuzzer, FUZZ_CALLS
# how often the module is called at random, LONG_TIMEOUT the limit of one program.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

mkdir -p docs/results
report=docs/results/$(date -u +%Y-%m-%d)-check-long.txt
export TIMEOUT=${LONG_TIMEOUT:-3600}
export SIM_SEEDS=${SIM_SEEDS:-10000}
export SIM_SEEDS_CHAN=${SIM_SEEDS_CHAN:-100000}
RESULTS=$(mktemp -d)
export RESULTS
trap 'rm -rf "$RESULTS"' EXIT

plan() {
	local source build procs name tier part series
	for source in tests/stress/*.c; do
		[ -e "$source" ] || continue
		for build in gcc clang asan tsan; do
			for procs in 1 2 8; do
				echo "$build-p$procs RINGO_PROCS=$procs" \
					"build/${build#gcc}/${source%.c}"
			done
		done
	done
	for tier in sysmon bpf kmod; do
		echo "stress-$tier RINGO_PREEMPT=$tier tests/stress/revocations.sh"
	done
	# New inputs go to the first folder, and a failing one beside it.
	for source in tests/fuzz/*_fuzz.c; do
		[ -e "$source" ] || continue
		name=$(basename "$source" _fuzz.c)
		mkdir -p "build/fuzz/$name"
		echo "fuzz - build/tests/fuzz/${name}_fuzz -max_total_time=${FUZZ_SECONDS:-600}" \
			"-artifact_prefix=build/fuzz/ build/fuzz/$name tests/fuzz/corpus/$name"
	done
	for part in zoo suite fuzz; do
		echo "debug-kernel O=build tests/vm/debug.sh $part"
	done
	for series in 6.1 6.12; do
		echo "icount O=build tests/vm/icount.sh $series"
	done
	echo "model - tests/model/chan.sh long"
	echo "model - tests/model/sched.sh long"
}

{
	date -u +'%Y-%m-%d %H:%M UTC'
	echo "commit $(git describe --always --dirty), kernel $(uname -r), $(nproc) CPUs"
	gcc --version | head -n 1
	clang --version | head -n 1
	echo "$SIM_SEEDS_CHAN seeds for channels, select, contexts and locks, $SIM_SEEDS for other simulated programs"
	echo
	KEEP_GOING=1 tests/check.sh
	plan | JOBS=1 tests/run_tests.sh
} 2>&1 | tee "$report"
