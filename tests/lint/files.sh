#!/bin/bash
# SPDX-License-Identifier: MIT
# What holds for the text of every source file.
. "$(dirname "$0")/common.sh"

# shellcheck disable=SC2016 # perl
scan() {
	sources | xargs -r perl -ne '
	$spdx = 1 if $. <= 3 && /SPDX-License-Identifier: /;
	print "$ARGV:$.: white space at the end\n" if /[ \t]$/;
	print "$ARGV:$.: finish it, or note it in an issue\n" if /\b(TO[D]O|FI[X]ME|X[X]X)\b/;
	print "$ARGV:$.: thread-local storage: its address is cached across a switch\n"
		if $ARGV =~ m{^lib/} && !m{^\s*(/?\*|//)} && /\b(_[_]thread|_Thread[_]local)\b/;
	if (eof) {
		print "$ARGV: no SPDX-License-Identifier in the first three lines\n" if !$spdx;
		print "$ARGV: $. lines, more than 700\n" if $. > 700;
		close ARGV;
		$spdx = 0;
	}'
}

spdx='// SPDX-License-Identifier: MIT'
good lib/core/g.c 'a proper file' <<<"$spdx"
bad lib/core/g.c 'a missing licence' <<<'int x;'
bad lib/core/g.c 'white space at the end' <<<"$spdx "
bad lib/core/g.c 'a note to finish later' <<<"$spdx TO""DO"
bad lib/core/g.c 'thread-local storage' <<<"$(printf '%s\nstatic __''thread int x;' "$spdx")"
bad lib/core/g.c 'a file of 701 lines' <<<"$spdx$(printf '\n%.0s' {1..700}; echo x)"
tree 'licence, length, white space, nothing left behind, no thread-local storage'
