#!/bin/bash
# SPDX-License-Identifier: MIT
# tests/conformance.md: each test that it names is there, and each line has a test or says why not.
. "$(dirname "$0")/common.sh"

list=tests/conformance.md

# Names of tests as `dir/file.c:name`, one a line.
named() {
	# shellcheck disable=SC2016 # not a command
	grep -o '`[a-z]*/[a-z_0-9]*\.c:[A-Za-z_0-9]*`' "$list" | tr -d '`' | sort -u
}

scan() {
	local name
	named | while read -r name; do
		grep -sqE "^[A-Z0-9_]*TEST[A-Z_]*\(([a-z_]+, )?${name#*:}[,)]" "tests/${name%%:*}" ||
			echo "$list: $name is not there"
	done
	# shellcheck disable=SC2016 # awk
	awk -F '|' '
	!/^\|/ || /^\|---/ || $3 ~ /^ run $/ { next }
	seen[$2]++ { print FILENAME ":" FNR ":" $2 "stands there twice" }
	$3 ~ /^ \*\*(No counterpart|waits for)\*\*/ { next }
	$3 !~ /`(run|unit)\// { print FILENAME ":" FNR ":" $2 "has no test and no reason" }
	$4 !~ /`sim\// && $4 !~ /^ \((order|spin|alone|kernel)\) $/ {
		print FILENAME ":" FNR ":" $2 "has no simulated test and no reason"
	}' "$list"
}

# A tree with the list on stdin and one file of tests.
scan_sample() {
	local dir
	dir=$(mktemp -d)
	mkdir -p "$dir/tests/run" "$dir/tests/sim"
	printf 'TEST(one)\nG_TEST(two)\nTEST_F(fixture, three)\n' >"$dir/tests/run/a.c"
	printf 'SIM_TEST(four)\n' >"$dir/tests/sim/b.c"
	cat >"$dir/$1"
	(cd "$dir" && scan)
	rm -rf "$dir"
}

# shellcheck disable=SC2016 # not commands
{
good "$list" 'tests of all kinds' <<<'| A | `run/a.c:one` `run/a.c:two` `run/a.c:three` | `sim/b.c:four` |'
good "$list" 'reasons' <<<"$(printf '| A | **waits for** it | |\n| B | `run/a.c:one` | (alone) |')"
bad "$list" 'a test that is not there' <<<'| A | `run/a.c:on` | (alone) |'
bad "$list" 'a file that is not there' <<<'| A | `run/c.c:one` | (alone) |'
bad "$list" 'a line without a test' <<<'| A | (alone) | `sim/b.c:four` |'
bad "$list" 'a line without a simulated test' <<<'| A | `run/a.c:one` | |'
bad "$list" 'a reason that is none' <<<'| A | `run/a.c:one` | (later) |'
bad "$list" 'a name that stands there twice' <<<"$(printf '| A | **waits for** it | |%.0s\n' 1 2)"
}
tree 'each test named in the list is there'
