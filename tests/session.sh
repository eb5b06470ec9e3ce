# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Runs the sessions that examples show in their first comment: indented by three spaces, "$ command" and
# below it the output, both streams together; for a status that is not 0 the last line is "exit status N".
# "..." stands for anything. Source this after tap.sh, with the programs in PATH.

# session_commands FILE: the commands that FILE shows
session_commands() {
	sed -n '/^ \*\/$/q; s/^ \*   \$ //p' "$1"
}

# session_output FILE COMMAND: what FILE says it prints
session_output() {
	awk -v command=" *   $ $2" '
	/^ \*\/$/	{ exit }
	/^ \* ? ?[^ ]|^ \*   \$ /	{ shown = 0 }
	shown		{ print substr($0, 6) }
	$0 == command	{ shown = 1 }' "$1"
}

# as_shown FILE COMMAND: run it, both streams together, and compare
as_shown() {
	local said pattern
	said=$(timeout 60 bash -c "$2" 2>&1 </dev/null || echo "exit status $?")
	pattern=$(session_output "$1" "$2" | sed 's/[^[:alnum:][:space:]]/\\&/g; s/\\\.\\\.\\\./*/g')
	printf '%s\n' "$said"
	# shellcheck disable=SC2053 # a pattern
	[[ $said == $pattern ]]
}

# all_as_shown FILE...: a test for each command
all_as_shown() {
	local file command
	for file; do
		while read -r command; do
			result "$(basename "$file"): $command" as_shown "$file" "$command"
		done < <(session_commands "$file")
	done
}
