#!/bin/bash
# SPDX-License-Identifier: MIT
#
#   sched.sh wake|revoke|lane        checks wake.pml, revoke.pml, lane.pml: 15 seconds each, 200 MB
#   sched.sh mutants|lane-mutants    checks that each of their mutants is found: 40 seconds, 200 MB
#   sched.sh long                    larger configurations: minutes, 3 GB
# shellcheck disable=SC2034 # variables of model.sh
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")" || exit 1
. ./model.sh

run_flags=-E # Ms sleep when all is done: Judge looks at that
optimise=-O0 # compiling takes longer than checking

one='-DNM=2 -DNP=1'

check_wake() {
	model wake '-DOPS=3'
	model wake '-DOPS=3 -DFINE'
	model wake '-DOPS=3 -DSTOP'
	model wake '-DOPS=1 -DFOREIGN'
	model wake '-DOPS=1 -DRETIRE'
}

check_revoke() {
	model revoke "$one -DOPS=2 -DFINE"
	model revoke "$one -DOPS=2 -DFINE -DSTOP"
	model revoke "$one -DOPS=2 -DTICK=1"
	model revoke "$one -DOPS=2 -DSHED"
	model revoke '-DOPS=1'
}

check_lane() {
	model lane '-DOPS=2'
	model lane '-DOPS=1 -DSTOP'
}

check_long() {
	megabytes=3000
	optimise=-O2
	model wake '-DOPS=5 -DFINE'
	model wake '-DOPS=3 -DFINE -DSTOP'
	model wake '-DOPS=2 -DFOREIGN'
	model wake '-DOPS=1 -DFOREIGN -DFINE'
	model wake '-DOPS=2 -DRETIRE'
	model wake '-DOPS=1 -DRETIRE -DFINE'
	model wake '-DOPS=1 -DNP=3'
	model wake '-DOPS=1 -DNP=3 -DSTOP'
	model revoke "$one -DOPS=3 -DFINE -DTICK=2"
	model revoke "$one -DOPS=3 -DFINE -DSHED"
	model revoke "$one -DOPS=3 -DFINE -DSTOP"
	model revoke "$one -DOPS=2 -DFINE -DSTOP -DTICK=1"
	model revoke '-DOPS=2'
	model revoke '-DOPS=1 -DFINE'
	model revoke '-DOPS=1 -DTICK=1'
	model revoke '-DOPS=1 -DSHED'
	model revoke '-DOPS=1 -DSTOP'
	model lane '-DOPS=3 -DSELDOM'
	model lane '-DOPS=2 -DSTOP'
	mutant lane LOST_NOT_IN -DOPS=3 -DQUANTA=1 -DSELDOM
	mutant lane NUDGED_ONCE -DOPS=4 -DSELDOM
	mutant lane BLOCKED_FORGOTTEN -DOPS=4 -DSELDOM
}

mutants_of_wake() {
	mutant wake POP_LOAD_STORE -DOPS=2 -DFINE
	mutant wake NEXT_LOAD_STORE -DOPS=2 -DFINE
	mutant wake STEAL_LOAD_STORE -DOPS=2 -DFINE
	mutant wake PUSH_NO_FENCE -DOPS=2 -DFINE
	mutant wake PARK_NO_FENCE -DOPS=2 -DFINE
	mutant wake NO_LAST_LOOK -DOPS=2 -DFINE
	mutant wake SPIN_END_LATE -DOPS=2 -DFINE
	mutant wake TWO_WAKERS -DOPS=2 -DFINE
	mutant wake WAKER_LOAD_STORE -DOPS=2 -DFINE
	mutant wake LEAVE_LOAD_STORE -DOPS=2 -DFINE
	mutant wake COUNT_LEFT -DOPS=2 -DFINE
	mutant wake WOKEN_NOT_COUNTED -DOPS=2 -DFINE
	mutant wake WAKE_SLEEPERS_ONLY -DOPS=2 -DFINE
	mutant wake WAKE_FORGOTTEN -DOPS=1 -DRETIRE
	mutant wake RETIRED_PASSES_NOTHING_ON -DOPS=1 -DRETIRE
	mutant wake NO_SUCCESSOR -DOPS=2 -DFOREIGN
	mutant wake SPINS_NO_MORE -DOPS=2 -DFOREIGN
	mutant wake YIELD_UNTOLD -DOPS=3
	mutant wake REST_UNTOLD -DOPS=4
}

# mutants_of_revoke CONFIGURATION...: in which most are found
mutants_of_revoke() {
	mutant revoke LOOK_BEFORE_STORE "$@"
	mutant revoke NO_MEMBARRIER "$@"
	mutant revoke TAKE_BY_STORE "$@"
	mutant revoke WITHDRAW_BY_STORE "$@"
	mutant revoke UNDO_BY_STORE "$@" -DTICK=1
	mutant revoke HOLDER_UNASKED "$@" -DTICK=1
	mutant revoke TWO_LOOKS "$@"
	mutant revoke OUT_TOO_EARLY "$@"
	mutant revoke POST_ON_STACK "$@"
	mutant revoke NOT_ADOPTED "$@"
	mutant revoke NO_WATCH_BARRIER "$@"
	mutant revoke WATCH_CLEARED_LATE "$@"
	mutant revoke HINT_TOO_EARLY "$@"
	mutant revoke UNWATCHED "$@"
	mutant revoke WATCHED_TOO_EARLY "$@"
	mutant revoke STOP_FIRST "$@" -DSTOP
}

mutants_of_lane() {
	mutant lane PARK_INSIDE -DOPS=2
	mutant lane REQUEST_KEPT -DOPS=2
	mutant lane LEAVE_NO_DROP -DOPS=2
	mutant lane TAKE_PARKED -DOPS=2
	mutant lane LOST_TWICE -DOPS=2
	mutant lane ENTER_UNASKED -DOPS=3 -DSELDOM
	mutant lane SHED_UNCOUNTED -DOPS=2
	mutant lane QUEUE_ON_STACK -DOPS=2
	mutant lane PARK_UNCHECKED -DOPS=2
	mutant lane ONLY_WHEN_QUEUED -DOPS=2
	mutant lane BLOCKED_KEEPS_PLACE -DOPS=3 -DSELDOM
	mutant lane STOP_NO_UNPARK -DOPS=3 -DSTOP -DSELDOM
	mutant lane PARK_WHEN_OPEN -DOPS=3 -DSTOP -DSELDOM
}

check_mutants() {
	mutants_of_wake
	# shellcheck disable=SC2086 # a list of words
	mutants_of_revoke $one -DOPS=2
}

case ${1:-} in
wake)		check_wake ;;
revoke)		check_revoke ;;
lane)		check_lane ;;
mutants)	check_mutants ;;
lane-mutants)	mutants_of_lane ;;
long)		check_long ;;
*)		sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
finish
