# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the checks of this directory. A check is a function scan() that prints the faults of the tree in
# the current directory, one a line. Before it is believed it must find the fault of a bad sample and
# nothing in a good one.
set -u

. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

# scan_sample PATH: scan a tree with one file, its text on stdin
scan_sample() {
	local dir
	dir=$(mktemp -d)
	mkdir -p "$dir/$(dirname "$1")"
	cat >"$dir/$1"
	(cd "$dir" && scan)
	rm -rf "$dir"
}

# bad PATH WHAT / good PATH WHAT: a sample on stdin that must be found / must pass
bad() {
	result "finds $2" [ -n "$(scan_sample "$1")" ]
}

good() {
	result "accepts $2" [ -z "$(scan_sample "$1")" ]
}

no_faults() {
	local faults
	faults=$(scan)
	[ -z "$faults" ] || { printf '%s\n' "$faults"; return 1; }
}

# tree RULE: scan the repository and end the program
tree() {
	cd "$(dirname "$0")/../.." || exit 1
	result "$1" no_faults
	finish
}

# the files of the tree whose names match one of the patterns, without what is built
files() {
	local pattern names=()

	for pattern; do
		names+=(-o -name "$pattern")
	done
	find . \( -name .git -o -path ./build \) -prune -o -type f \( "${names[@]:1}" \) -print |
		sed 's,^\./,,' | sort
}

sources() {
	files '*.c' '*.h' '*.S' '*.cc' '*.sh' '*.py' '*.go' '*.bt' '*.map' '*.rules' Makefile Kbuild run
}
