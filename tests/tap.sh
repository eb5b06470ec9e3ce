# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# TAP for test scripts: source this, call result for each test, end with finish.

tests=0
failures=0

# result DESCRIPTION COMMAND...: one TAP result from the status of the command; its output is shown
# when it fails
result() {
	local description=$1 output
	shift

	tests=$((tests + 1))
	if output=$("$@" 2>&1); then
		echo "ok $tests $description"
	else
		[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/# /'
		echo "not ok $tests $description"
		failures=$((failures + 1))
	fi
}

finish() {
	echo "1..$tests"
	[ $failures = 0 ]
	exit
}
