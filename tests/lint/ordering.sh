#!/bin/bash
# SPDX-License-Identifier: MIT
# Each atomic of lib with an order other than relaxed says on its line or in the four lines above what it
# "pairs" with, or gives the reason after "order:". Builtins stand only in base/atomic.h, and in public
# headers, which must say the same of them.
. "$(dirname "$0")/common.sh"

# shellcheck disable=SC2016 # perl
scan() {
	files '*.c' '*.h' | grep '^lib/' | grep -v '^lib/base/atomic\.h$' | xargs -r perl -ne '
	$said = $. if /\bpairs\b|\border:/;
	print "$ARGV:$.: builtin outside base/atomic.h\n"
		if /\b(__atomic|__sync|__c11_atomic|atomic)_\w+\s*\(/ && $ARGV !~ m{^lib/include/};
	if (!m{^\s*(/?\*|//)}) {
		while (/\b(rg_(?:load|store|cas|xchg|fence|add|sub|or|and|xor)_\w+|__atomic_\w+)\s*\(/g) {
			print "$ARGV:$.: $1 does not say what it pairs with\n"
				if $1 !~ /_relaxed$/ && (!$said || $said < $. - 4);
		}
	}
	if (eof) { close ARGV; $said = 0 }'
}

good lib/core/g.c 'a release with its partner' <<'END'
	/* pairs with the acquire in g_ready() */
	rg_store_release(&g->state, READY);
END
good lib/core/g.c 'a relaxed load' <<<'	return rg_load_relaxed(&g->state);'
bad lib/core/g.c 'a release without its partner' <<<'	rg_store_release(&g->state, READY);'
bad lib/core/g.c 'a partner named too far above' <<'END'
	/* pairs with the acquire in g_ready() */
	int a;
	int b;
	int c;
	int d;
	rg_cas_full(&g->state, a, b);
END
bad lib/include/ringo/sync.h 'a builtin of a public header without its partner' <<'END'
	return __atomic_load_n(&o->done, __ATOMIC_ACQUIRE);
END
bad lib/core/g.c 'a builtin' <<<'	__atomic_store_n(&x, 1, __ATOMIC_RELAXED);'
tree 'each ordered atomic says what it pairs with'
