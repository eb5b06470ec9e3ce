#!/bin/bash
# SPDX-License-Identifier: MIT
# The kernel's checkpatch over the module. What it says of headers that others than the kernel use, and of
# supporting more than one kernel, is left out.
. "$(dirname "$0")/common.sh"

checkpatch=$(realpath -m "$(dirname "$0")/../../build/kselftest/checkpatch.pl")
if [ ! -e "$checkpatch" ]; then
	echo "1..0 # SKIP no checkpatch: tests/deps.sh kselftest build/kselftest"
	exit 4
fi

# It leaves a file where it runs.
scan() {
	local top=$PWD dir
	dir=$(mktemp -d)
	files '*.c' '*.h' | grep -E '^(kmod|tests/vm/zoo)/' | (cd "$dir" && sed "s,^,$top/," |
		xargs -r perl "$checkpatch" --no-tree --strict --terse --no-summary --show-types \
			--max-line-length=120 \
			--ignore BIT_MACRO,CAMELCASE,LINUX_VERSION_CODE,CONSTANT_COMPARISON -f 2>/dev/null) |
		sed "s,$top/,,"
	rm -rf "$dir"
}

spdx='// SPDX-License-Identifier: GPL-2.0-only'
good kmod/m.c 'a proper file' <<<"$(printf '%s\nstatic int x;' "$spdx")"
bad kmod/m.c 'spaces for a tab' <<<"$(printf '%s\nint f(void)\n{\n        return 0;\n}' "$spdx")"
bad kmod/m.c 'a comparison with NULL' <<<"$(printf '%s\nint f(int *p)\n{\n\treturn p == NULL;\n}' "$spdx")"
tree 'checkpatch has nothing to say'
