#!/bin/bash
# SPDX-License-Identifier: MIT
# Each exported function of the public headers has a comment on its line or above it in its paragraph.
. "$(dirname "$0")/common.sh"

# shellcheck disable=SC2016 # perl
scan() {
	files '*.h' | grep '^lib/include/' | xargs -r perl -ne '
	$comment = 0 if /^\s*$/;
	$comment = 1 if m{/\*|\*/};
	print "$ARGV:$.: no comment: $_" if /^RINGO__API\b/ && !$comment;
	if (eof) { close ARGV; $comment = 0 }'
}

good lib/include/ringo/go.h 'a function with a comment' <<'END'
/* Yield. */
RINGO__API void ringo_yield(void);
END
bad lib/include/ringo/go.h 'a function without one' <<'END'
/* Yield. */

RINGO__API void ringo_yield(void);
END
tree 'each public function is documented'
