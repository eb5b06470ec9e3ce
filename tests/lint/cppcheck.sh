#!/bin/bash
# SPDX-License-Identifier: MIT
# cppcheck over the library. It does not know the outputs of inline assembly.
. "$(dirname "$0")/common.sh"

if ! command -v cppcheck >/dev/null; then
	echo '1..0 # SKIP no cppcheck: make deps-check installs it'
	exit 4
fi

scan() {
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
		--suppress=missingInclude --suppress=uninitvar:lib/arch/arch.h -Ilib -Ilib/include -D__x86_64__ -D__GNUC__=12 \
		--template='{file}:{line}: {id}: {message}' lib 2>&1
}

bad lib/core/g.c 'a null pointer' <<<'int f(void) { int *p = 0; return *p; }'
tree 'cppcheck has nothing to say'
