// SPDX-License-Identifier: MIT
/*
 * Name look-ups: getaddrinfo(3) on the pool, because it reads files, talks to servers and knows nothing of
 * rings. Once begun it is waited for, so a result is never lost.
 *
 * If the run ends meanwhile, nobody comes for the list: whoever is second, the job with its result or the
 * end of the run, frees it. They meet by exchanging l->list.
 */
#include "io/dns.h"

#include <errno.h>
#include <ringo/net.h>

#include "core/gate.h"
#include "io/pool.h"

/* In l->list: the run has ended. */
static struct addrinfo nobody;

static int lookup_job(void *arg)
{
	struct rg_lookup *l = arg;
	struct addrinfo *list = NULL, *former;
	int eai = getaddrinfo(l->node, l->service, l->hints, &list);

	if (eai)
		return eai;
	former = rg_xchg_full(&l->list, list); /* order: pairs with the exchange in drop */
	if (former == &nobody)
		freeaddrinfo(list);
	return 0;
}

static void drop(struct rg_owned *o)
{
	struct rg_lookup *l = rg_container_of(o, struct rg_lookup, own);
	/* order: pairs with the exchange in lookup_job */
	struct addrinfo *list = rg_xchg_full(&l->list, &nobody);

	if (list)
		freeaddrinfo(list);
}

static int eai_of(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return EAI_CANCELED;
	case -EAGAIN:
		return EAI_AGAIN;
	case -ENOMEM:
		return EAI_MEMORY;
	default:
		return EAI_SYSTEM;
	}
}

int rg_lookup(struct rg_lookup *l, const char *node, const char *service, const struct addrinfo *hints)
{
	int err, eai = 0;

	*l = (struct rg_lookup){ .node = node, .service = service, .hints = hints };
	rg_own(&l->own, drop);
	err = rg_pool_run(rg_m(), lookup_job, l, &eai);
	if (err)
		eai = eai_of(err);
	if (eai)
		rg_disown(&l->own);
	return eai;
}

struct addrinfo *rg_lookup_take(struct rg_lookup *l)
{
	return rg_disown(&l->own) ? l->list : NULL;
}

void rg_lookup_free(struct rg_lookup *l)
{
	struct addrinfo *list = rg_lookup_take(l);

	if (list)
		freeaddrinfo(list);
}

RG_API int ringo_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			     struct addrinfo **res)
{
	struct rg_lookup l;
	int err;
	struct m *m = rg_enter_g(&err);

	if (!m)
		return EAI_SYSTEM;
	err = rg_lookup(&l, node, service, hints);
	if (!err)
		*res = rg_lookup_take(&l);
	rg_leave(rg_m());
	return err;
}
