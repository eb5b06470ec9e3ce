#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make check: builds every variant and runs what belongs to every change, with one final count.
# About 20 minutes at most on 2 CPUs. SIM_SEEDS sets the seeds of each simulated program, SIM_SEEDS_CHAN those
# of the ones about channels, select, contexts and locks.
set -u
cd "$(dirname "$0")/.." || exit 1

# Slow under valgrind, so only what exercises memory and switches most; names of tests/unit and tests/run.
valgrind='runq timer base exit spawn chan mutex waitgroup deadline errno'

if [ -z "${RESULTS:-}" ]; then
	RESULTS=$(mktemp -d)
	trap 'rm -rf "$RESULTS"' EXIT
fi
export RESULTS

cpus=$(nproc)

# build NAME MAKE_ARGUMENTS...: counted as one test; false when it failed
build() {
	local name=$1
	shift
	echo "build - make -s -j$cpus W=error $*" |
		STRICT=1 KEEP_GOING=1 JOBS=1 TIMEOUT=600 tests/run_tests.sh | tee "$RESULTS/$name.build" &&
		! grep -q '^FAIL' "$RESULTS/$name.build"
}

# plan GROUP ENVIRONMENT DIR KIND...: the programs of tests/KIND built in DIR
plan() {
	local group=$1 env=$2 dir=$3 kind source
	shift 3
	for kind; do
		for source in tests/"$kind"/*.c; do
			[ ! -e "$source" ] || echo "$group $env $dir/${source%.c}"
		done
	done
}

# plan_procs GROUP ENVIRONMENT DIR: unit and run with 1, 2 and 8 Ps
plan_procs() {
	local procs
	for procs in 1 2 8; do
		plan "$1-p$procs" "RINGO_PROCS=$procs$2" "$3" unit run
	done
}

# plan_sim: each simulated program with its number of seeds
plan_sim() {
	local source seeds
	for source in tests/sim/*.c; do
		seeds=${SIM_SEEDS:-500}
		case $(basename "$source" .c) in
		sync | select | context | locks) seeds=${SIM_SEEDS_CHAN:-$seeds} ;;
		esac
		echo "sim RINGO_SIM_SEEDS=$seeds build/sim/${source%.c}"
	done
}

# plan_scripts: what needs no variant; then the test scripts with the programs of two variants
plan_scripts() {
	local script
	for script in tests/lint/*.sh tests/install/*.sh; do
		[ "$script" = tests/lint/common.sh ] || echo "scripts - $script"
	done
	for script in 6.1 6.12; do
		echo "scripts O=build tests/kmod/dkms.sh $script"
	done
	for script in tests/run/*.sh; do
		[ -e "$script" ] || continue
		echo "scripts O=build,EXAMPLES=build/examples $script"
		echo "scripts-asan O=build/asan,EXAMPLES=build/asan/examples $script"
	done
	for script in patterns mistakes; do
		echo "scripts-tsan EXAMPLES=build/tsan/examples$tsan tests/run/$script.sh"
	done
}

# plan_fuzz: the fuzzers over their corpus alone, nothing random
plan_fuzz() {
	local source name
	for source in tests/fuzz/*_fuzz.c; do
		name=$(basename "$source" _fuzz.c)
		[ ! -e "$source" ] ||
			echo "fuzz - build/tests/fuzz/${name}_fuzz -runs=0 tests/fuzz/corpus/$name"
	done
}

plan_model() {
	local part
	for part in unbuffered buffered mutants; do
		echo "model - tests/model/chan.sh $part"
	done
	for part in wake revoke lane mutants lane-mutants; do
		echo "model - tests/model/sched.sh $part"
	done
}

plan_valgrind() {
	local name program
	for name in $valgrind; do
		for program in build/tests/unit/$name build/tests/run/$name; do
			[ ! -x "$program" ] ||
				echo "valgrind RINGO_PROCS=2 valgrind -q --error-exitcode=99" \
					"--trace-children=yes --fair-sched=yes $program"
		done
	done
}

# A test leaves through _exit, where the sanitizer would not report any more.
tsan=,TSAN_OPTIONS=halt_on_error=1:atexit_sleep_ms=20

{
	build gcc all tests &&
		{ plan_procs gcc '' build; plan tier - build tier bpf; plan tools - build tools; built=yes; } >&3
	build clang O=build/clang CC=clang all tests && plan clang - build/clang unit run >&3
	build asan O=build/asan SAN=address,undefined tests examples &&
		{ plan_procs asan '' build/asan; plan tools-asan - build/asan tools; } >&3
	build tsan O=build/tsan SAN=thread CC=clang tests examples && plan_procs tsan $tsan build/tsan >&3
	build sim O=build/sim SIM=1 tests && plan_sim >&3
	build fuzz fuzzers && plan_fuzz >&3
	plan_scripts >&3
	plan_model >&3
	plan_valgrind >&3
} 3>"$RESULTS/plan"

[ -z "${built:-}" ] || KEEP_GOING=1 tests/vm/check.sh

# As many at a time as there are CPUs: limits of time in tests have to hold on a busy machine anyway.
JOBS=$cpus tests/run_tests.sh <"$RESULTS/plan"
