// SPDX-License-Identifier: MIT
/* Threads of their own: see service.h. */
#include "observe/service.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/lock.h"

static void *thread_main(void *arg)
{
	struct rg_service *s = arg;

	rg_thread_name(s->name);
	s->fn(s);
	rg_store_release(&s->ended, 1); /* order: release; pairs with the load in rg_service_end */
	rg_futex_wake(&s->ended, 1);
	return NULL;
}

int rg_service_start(struct rg_service *s)
{
	int err;

	if (s->running)
		return 0;
	s->bell = eventfd(0, EFD_CLOEXEC);
	if (s->bell < 0)
		return -errno;
	s->stop = s->ended = 0;
	err = rg_thread_start(&s->thread, thread_main, s, RG_THREAD_NO_SIGNALS);
	if (err)
		close(s->bell);
	s->running = !err;
	return err;
}

bool rg_service_over(const struct rg_service *s)
{
	return rg_load_acquire(&s->stop); /* order: acquire; pairs with the release in rg_service_end */
}

void rg_service_ring(const struct rg_service *s)
{
	const uint64_t one = 1;
	ssize_t n = write(s->bell, &one, sizeof(one)); /* fails if full: then there is enough to read */

	(void)n;
}

bool rg_service_end(struct rg_service *s, int64_t deadline)
{
	rg_store_release(&s->stop, 1); /* order: release; pairs with the load in rg_service_over */
	rg_service_ring(s);
	/* order: acquire; pairs with the release in thread_main */
	while (!rg_load_acquire(&s->ended)) {
		int64_t left = deadline - rg_now();

		if (left <= 0)
			return false;
		rg_futex_wait(&s->ended, 0, left);
	}
	rg_thread_join(&s->thread);
	s->running = false;
	return true;
}

void rg_service_close(struct rg_service *s)
{
	close(s->bell);
}

void rg_service_child(struct rg_service *s)
{
	if (s->running)
		close(s->bell);
	s->running = false;
}
