#!/bin/bash
# SPDX-License-Identifier: MIT
# All scripts please shellcheck.
. "$(dirname "$0")/common.sh"

if ! command -v shellcheck >/dev/null; then
	echo '1..0 # SKIP no shellcheck: make deps-check installs it'
	exit 4
fi

# 1091: sourced files are checked by themselves. 2317: functions are called through result().
scan() {
	{ files '*.sh'; files run | grep '^\.ci/'; } |
		xargs -r shellcheck --exclude SC1091,SC2317 --format gcc
}

# shellcheck disable=SC2016 # a sample
bad x.sh 'an unquoted variable' <<<'#!/bin/sh
# SPDX-License-Identifier: MIT
rm $1'
tree 'shellcheck has nothing to say'
