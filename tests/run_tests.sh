#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Runs test programs and counts their results. The plan comes on stdin, one program a line:
#
#   GROUP ENVIRONMENT PROGRAM [ARGUMENT...]      environment: A=1,B=2 or - for none
#
# A program speaks TAP and exits 0 (passed), 4 (skipped) or else (failed); one without TAP is a single
# test. A crash, a timeout or fewer tests than planned count as one more failure. The log of a program
# that fails is shown. The last line is "N passed, N failed, N skipped"; exit 1 when something failed.
#
# A machine that stands still for a moment breaks limits of time that hold otherwise. So a program that failed
# without a crash or a report of a sanitizer gets another chance in the end: it counts as it does then if nothing
# runs beside it and it passes three times in a row (once, if that takes a minute). Its first failure is shown all
# the same. If more than six programs need that, it was not the machine: they have failed.
#
#   JOBS=2         programs at the same time
#   TIMEOUT=120    seconds for one program
#   RESULTS=DIR    add to the results of earlier runs kept in DIR and count them too
#   KEEP_GOING=1   no summary yet: a later run with the same RESULTS prints it
#   STRICT=1       no other chance
set -u

JOBS=${JOBS:-2}
export TIMEOUT=${TIMEOUT:-120}

# kill what is left of session $1: tests start process groups of their own
end_session() {
	local stat fields

	for stat in /proc/[0-9]*/stat; do
		read -r fields <"$stat" || continue
		# shellcheck disable=SC2086 # after the name: state, parent, group, session
		set -- "$1" ${fields##*) }
		[ "$5" != "$1" ] || kill -KILL "$(basename "$(dirname "$stat")")"
	done 2>/dev/null
}

# read the log of a program that ended with status $1 in $2 seconds: print verdict and counts
judge() {
	awk -v status="$1" -v limit="$TIMEOUT" '
	/^1\.\.[0-9]+/		{ planned = substr($1, 4) + 0 }
	/^ok [0-9]+.*# SKIP/	{ skipped++; next }
	/^ok [0-9]+/		{ passed++ }
	/^not ok [0-9]+/	{ failed++ }
	END {
		seen = passed + failed + skipped
		if (status == 124 || status == 137)
			why = "no end after " limit " s"
		else if (status > 128)
			why = "signal " status - 128
		else if (status != 0 && status != 4 && !failed)
			why = "exit " status
		else if (status == 0 && seen < planned)
			why = "planned " planned " tests, ran " seen
		if (why != "")
			failed++
		else if (seen == 0 && status == 4)
			skipped++
		else if (seen == 0)
			passed++
		verdict = failed ? "FAIL" : passed ? "PASS" : "SKIP"
		print verdict, passed + 0, failed + 0, skipped + 0, why
	}'
}

# execute ENVIRONMENT LOG PROGRAM...
execute() {
	local env=$1 log=$2 status
	shift 2
	[ "$env" != - ] || env=
	# A background job of a shell without job control leads no group, so setsid need not fork
	# and $! is the session.
	# shellcheck disable=SC2086 # a list of words
	env ${env//,/ } setsid timeout -k 5 "$TIMEOUT" "$@" >"$log" 2>&1 </dev/null &
	{ wait $!; } 2>/dev/null
	status=$?
	end_session $!
	return $status
}

# may_be_the_machine STATUS LOG: not when it crashed, or a sanitizer, valgrind or a kernel has said something
may_be_the_machine() {
	[ "$1" -le 128 ] || [ "$1" = 137 ] || return
	[ "$1" != 99 ] && ! grep -qE \
		'(ERROR|WARNING): [A-Za-z]+Sanitizer|runtime error:|^==[0-9]+==|signal [0-9]+|status 1[2-9][0-9]|the kernel' \
		<(grep -v '^ok ' "$2")
}

# show LOG, without what passed
show() {
	grep -vE '^(ok |# +(RUN|OK|SKIP) )' "$1" | sed 's/^/    | /'
}

# one line of the plan: run it, leave its counts in $RESULTS, print its line and, if it failed, its log
run_one() {
	local group=$1 env=$2 name log start status verdict passed failed skipped why text
	shift 2
	name=${*#"$PWD"/}
	name=${name#build/}
	log=$(mktemp "$RESULTS/log.XXXXXX")
	start=$EPOCHREALTIME
	execute "$env" "$log" "$@"
	status=$?

	read -r verdict passed failed skipped why < <(judge $status <"$log")
	text=$(printf '%s %-14s %-44s %3d ok' "$verdict" "$group" "$name" "$passed")
	[ "$skipped" = 0 ] || text+=", $skipped skipped"
	[ "$failed" = 0 ] || text+=", $failed FAILED"
	text+=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf ", %.1f s", b - a }')
	[ -z "$why" ] || text+=" ($why)"
	if [ "$failed" != 0 ]; then
		text+=$'\n'$(show "$log")
	fi
	{
		flock 9
		printf '%s\n' "$text"
		if [ "$failed" != 0 ] && [ -z "${STRICT:-}" ] && may_be_the_machine $status "$log"; then
			echo "$passed $failed $skipped $TIMEOUT $group $env $*" >>"$RESULTS/again"
		else
			echo "$passed $failed $skipped" >>"$RESULTS/counts"
		fi
		sed -n 's/.*# SKIP *\(.*\)/\1/p' "$log" >>"$RESULTS/skips"
	} 9>"$RESULTS/lock"
	rm -f "$log"
}

# another chance for PASSED FAILED SKIPPED TIMEOUT GROUP ENVIRONMENT PROGRAM...
try_again() {
	local counts="$1 $2 $3" TIMEOUT=$4 group=$5 env=$6 log passed failed skipped why tries=0 start=$SECONDS
	shift 6
	log=$(mktemp "$RESULTS/log.XXXXXX")
	while [ $tries = 0 ] || { [ "$failed" = 0 ] && [ $tries -lt 3 ] && [ $((SECONDS - start)) -lt 60 ]; }; do
		execute "$env" "$log" "$@"
		read -r _ passed failed skipped why < <(judge $? <"$log")
		tries=$((tries + 1))
	done
	if [ "$failed" = 0 ]; then
		counts="$passed 0 $skipped"
		echo "AGAIN $group $*: passed $tries of $tries alone"
	else
		echo "AGAIN $group $*: failed alone, try $tries${why:+ ($why)}"
		show "$log"
	fi
	echo "$counts" >>"$RESULTS/counts"
	rm -f "$log"
}

try_all_again() {
	local line

	if [ "$(wc -l <"$RESULTS/again")" -gt 6 ]; then
		echo 'More than six programs failed: no other chance.'
		cat "$RESULTS/again" >>"$RESULTS/counts"
		return
	fi
	while read -r line; do
		# shellcheck disable=SC2086 # a list of words
		try_again $line
	done <"$RESULTS/again"
}

summary() {
	local passed failed skipped

	if [ -s "$RESULTS/skips" ]; then
		echo "Skipped because:"
		sort "$RESULTS/skips" | uniq -c
	fi
	read -r passed failed skipped < <(awk '{ p += $1; f += $2; s += $3 }
		END { print p + 0, f + 0, s + 0 }' "$RESULTS/counts")
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}

if [ -z "${RESULTS:-}" ]; then
	RESULTS=$(mktemp -d)
	trap 'rm -rf "$RESULTS"' EXIT
fi
export RESULTS
mkdir -p "$RESULTS"
touch "$RESULTS/counts" "$RESULTS/skips" "$RESULTS/again"

export -f end_session judge execute may_be_the_machine show run_one
grep -v '^$' | xargs -r -P "$JOBS" -L 1 bash -c 'run_one "$@"' run_one
[ -n "${KEEP_GOING:-}" ] || { try_all_again; summary; }
