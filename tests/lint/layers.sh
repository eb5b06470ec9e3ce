#!/bin/bash
# SPDX-License-Identifier: MIT
# The layers of docs/design: a file of lib includes only its own layer and what stands left of it.
. "$(dirname "$0")/common.sh"

# shellcheck disable=SC2016 # awk
scan() {
	files '*.c' '*.h' '*.S' | grep '^lib/' | xargs -r awk '
	BEGIN {
		n = split("uapi base arch core ring sync observe shim", names)
		for (i = 1; i <= n; i++)
			rank[names[i]] = i
		rank["io"] = rank["sync"]
	}
	FNR == 1 { split(FILENAME, path, "/"); own = path[2] }
	!(own in rank) { next }
	match($0, /^[ \t]*#[ \t]*include[ \t]*"[^"]*"/) {
		split($0, quoted, "\"")
		n = split(quoted[2], dirs, "/")
		layer = n > 1 ? dirs[n - 1] : own
		if (!(layer in rank))
			fault = "is in no layer"
		else if (layer != own && rank[layer] >= rank[own])
			fault = "is not left of " own
		else
			next
		print FILENAME ":" FNR ": " quoted[2] " " fault
	}'
}

good lib/core/park.c 'core/poller.h in core' <<<'#include "core/poller.h"'
good lib/sync/chan.c 'core in sync' <<<'#include "core/g.h"'
bad lib/core/park.c 'ring in core' <<<'#include "ring/ring.h"'
bad lib/base/list.h 'core in base' <<<'#  include "../core/g.h"'
bad lib/sync/chan.c 'io in sync, which stands beside it' <<<'#include "io/net.h"'
bad lib/arch/x.c 'a directory that is no layer' <<<'#include "junk/junk.h"'
tree 'each layer includes only itself and what stands left of it'
