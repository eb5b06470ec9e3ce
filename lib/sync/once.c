// SPDX-License-Identifier: MIT
/*
 * Once: a word that says done, and a mutex for those who come before it does. So they wait until the
 * function has returned, and the report of a deadlock can name who runs it.
 */
#include <ringo/sync.h>

#include "base/atomic.h"
#include "core/gate.h"
#include "core/panic.h"
#include "core/rt.h"
#include "sync/mutex.h"

static void finish(struct ringo_once *o)
{
	rg_store_release(&o->ringo__done, 1); /* order: release; pairs with the acquire in do, also in ringo/sync.h */
	ringo_mutex_unlock(&o->ringo__running);
}

/* Also after a panic or ringo_exit in fn. */
static void run(struct ringo_once *o, void (*fn)(void *), void *arg)
{
	ringo_defer(finish, o);
	fn(arg);
}

static bool we_run(const struct ringo_once *o)
{
	struct m *m = (struct m *)rg_arch_self();

	return m && rg_mutex_owner(o) == rg_load_relaxed(&rg_m_page(m)->cur_g);
}

/* Behind the macro of that name, which has the same look. */
RG_API void (ringo_once_do)(struct ringo_once *o, void (*fn)(void *), void *arg)
{
	/* order: acquire; pairs with the release in finish: what fn did */
	if (likely(rg_load_acquire(&o->ringo__done)))
		return;
	if (we_run(o))
		rg_panic(rg_enter(), "ringo_once_do called from its own function: it would wait for itself");
	rg_mutex_lock(&o->ringo__running, RG_WHY_ONCE, o);
	if (rg_load_relaxed(&o->ringo__done))
		ringo_mutex_unlock(&o->ringo__running);
	else
		run(o, fn, arg);
}
