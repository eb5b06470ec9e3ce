#!/bin/bash
# SPDX-License-Identifier: MIT
# The guide: its code compiles as it stands, in one file, and what it points to is there.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh

guide=docs/guide/README.md

compiles() {
	# shellcheck disable=SC2016 # the backquotes are Markdown's
	sed -n '/^```c$/,/^```$/{/^```/d; p}' "$guide" |
		${CC:-gcc} -std=gnu11 -Wall -Wextra -Werror -Wno-unused-function -Ilib/include \
			-fsyntax-only -x c -
}

# Files, and headings of its own.
no_dead_links() {
	local link dead=0
	while read -r link; do
		case $link in
		\#*) sed -n 's/^## *//p' "$guide" | tr 'A-Z ' 'a-z-' | grep -qx -- "${link#\#}" ;;
		*)   [ -e "docs/guide/$link" ] ;;
		esac || { echo "no $link"; dead=1; }
	done < <(grep -o '](\([^)]*\))' "$guide" | sed 's/^](//; s/)$//')
	[ "$dead" = 0 ]
}

names_all() {
	local file lacking=0
	for file in docs/examples/patterns/*.c docs/examples/mistakes/*.c; do
		grep -qF "(../${file#docs/})" "$guide" || { echo "lacks $file"; lacking=1; }
	done
	[ "$lacking" = 0 ]
}

result 'its code compiles' compiles
result 'what it points to is there' no_dead_links
result 'it names all patterns and mistakes' names_all
finish
