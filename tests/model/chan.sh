#!/bin/bash
# SPDX-License-Identifier: MIT
#
#   chan.sh unbuffered|buffered    checks chan.pml: half a minute, 300 MB
#   chan.sh mutants                checks that it finds each of its mutants: half a minute
#   chan.sh long                   larger configurations: a quarter of an hour, 3 GB
# shellcheck disable=SC2034 # variables of model.sh
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")" || exit 1

. ./model.sh

# check_model CAP
check_model() {
	model chan "-DCAP=$1"
	model chan "-DCAP=$1 -DFINE"
	model chan "-DCAP=$1 -DCLOSER"
	model chan "-DCAP=$1 -DCANCELLER -DPLAIN2"
}

check_long() {
	local cap

	megabytes=3000
	for cap in 0 1; do
		model chan "-DCAP=$cap -DTIMER"
		model chan "-DCAP=$cap -DCANCELLER"
		model chan "-DCAP=$cap -DCLOSER -DCANCELLER -DPLAIN1 -DPLAIN2"
		model chan "-DCAP=$cap -DOPS0=2"
		model chan "-DCAP=$cap -DCLOSER -DFINE"
		model chan "-DCAP=$cap -DCANCELLER -DPLAIN1 -DPLAIN2 -DFINE"
	done
}

check_mutants() {
	optimise=-O0 # each is found long before all is explored
	mutant chan CLAIM_STORE -DFINE
	mutant chan CLAIM_IGNORED
	mutant chan UNQUEUE_BEFORE_CLAIM
	mutant chan COPY_BEFORE_CLAIM
	mutant chan NO_SKIP -DOPS0=2
	mutant chan NO_REMOVE
	mutant chan LIFO -DOPS0=2
	mutant chan SENDER_FIRST -DCAP=1 -DOPS0=2
	mutant chan NO_REFILL -DCAP=1
	mutant chan PEEK_TRUSTED
	mutant chan UNLOCK_BETWEEN
	mutant chan LOOK_AND_QUEUE
	mutant chan LOCK_ORDER -DFINE
	mutant chan QUEUE_ONE_BY_ONE -DFINE
	mutant chan UNLOCK_EARLY -DFINE
	mutant chan POST_READS_ON -DFINE
	mutant chan POST_ON_NOTHING -DCANCELLER -DFINE
	mutant chan SEND_CLOSED -DCLOSER
	mutant chan CLOSE_NO_RECEIVERS -DCLOSER
	mutant chan CLOSE_NO_SENDERS -DCLOSER
	mutant chan CLOSE_DROPS -DCLOSER -DCAP=1
	mutant chan CANCEL_UNASKED -DCANCELLER
	mutant chan READY_ON_STACK -DCANCELLER
	mutant chan NO_FENCE -DCANCELLER -DFINE
	mutant chan CANCEL_NO_FENCE -DCANCELLER
	mutant chan NO_RECHECK -DCANCELLER
	mutant chan OWN_CLAIM_STORE -DCANCELLER
	mutant chan NO_PARK -DCANCELLER
	mutant chan SAME_NUMBER -DTIMER -DOPS0=2
	mutant chan TIMER_ON_STACK -DTIMER
}

case ${1:-} in
unbuffered)	check_model 0 ;;
buffered)	check_model 1 ;;
mutants)	check_mutants ;;
long)		check_long ;;
*)		sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
finish
