// SPDX-License-Identifier: MIT
/*
 * Reading another process may wait for its memory: a page that a FUSE server or userfaultfd is to bring, a lock
 * that a dying process holds. Such a wait ends only with the thread that waits, so another one watches, and ends
 * the tool.
 */
#include "tools/observe/watchdog.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct {
	const char *tool;
	unsigned seconds;
	void (*last)(void);
	uint32_t alive;
} dog;

static void *watch(void *arg)
{
	uint32_t seen = 0;
	unsigned still = 0;

	while (still < dog.seconds) {
		uint32_t now = __atomic_load_n(&dog.alive, __ATOMIC_RELAXED);

		still = now == seen ? still + 1 : 0;
		seen = now;
		sleep(1);
	}
	if (dog.last)
		dog.last();
	dprintf(STDERR_FILENO, "%s: no answer from the target for %u s: giving up\n", dog.tool, dog.seconds);
	_exit(1);
	return arg;
}

void watchdog_start(const char *tool, int seconds, void (*last)(void))
{
	pthread_t thread;

	dog.tool = tool;
	dog.seconds = (unsigned)seconds;
	dog.last = last;
	if (!pthread_create(&thread, NULL, watch, NULL))
		pthread_detach(thread);
}

void watchdog_alive(void)
{
	__atomic_fetch_add(&dog.alive, 1, __ATOMIC_RELAXED);
}
