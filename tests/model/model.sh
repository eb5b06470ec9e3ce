# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Checking models with SPIN: what their scripts share. To be sourced after tests/tap.sh, in this directory.

if ! command -v spin >/dev/null; then
	echo '1..0 # SKIP no spin: make deps-check installs it'
	exit 4
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
megabytes=1000
optimise=-O2
run_flags= # of the checker

# explore MODEL FLAGS: run the checker over the model built with FLAGS; what it says is in $dir/log
explore() {
	# shellcheck disable=SC2086 # lists of words
	(cd "$dir" && rm -f pan* &&
		spin -a $2 "$OLDPWD/$1.pml" &&
		gcc "$optimise" -w -DSAFETY -DCOLLAPSE -DMEMLIM=$megabytes -o pan pan.c &&
		./pan $run_flags -m100000 -w22) >"$dir/log" 2>&1
}

fail() {
	grep -v '^unreached\|^	.*state' "$dir/log"
	return 1
}

holds() {
	explore "$@"
	if ! grep -q 'errors: 0$' "$dir/log" || grep -q 'not completed\|too small' "$dir/log"; then
		fail
	fi
}

caught() {
	explore "$@"
	grep -q '^pan:1: assertion violated' "$dir/log" || fail
}

# model NAME FLAGS
model() {
	result "holds: $1 $2" holds "$1" "$2"
}

# mutant NAME FAULT FLAGS...: it must be found in that configuration
mutant() {
	local name=$1
	shift
	result "finds: $name $*" caught "$name" "-DMUTANT_$*"
}
