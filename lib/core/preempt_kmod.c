// SPDX-License-Identifier: MIT
/*
 * The kernel module's tier of preemption, from the library's side: /dev/ringo (kmod). What it has in common with the
 * BPF programs' is in kern.c.
 */
#include "core/kern.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/rt.h"

static int device = -1;

static int ask(unsigned long what, const void *arg)
{
	return ioctl(device, what, arg) ? -errno : 0;
}

static int kmod_start(struct rg_kern_link *link)
{
	struct ringo_setup s = { .abi = RINGO_ABI_VERSION, .period_us = rg_kern_tick_us() };
	int err;

	device = open(RINGO_DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	err = ask(RINGO_IOC_SETUP, &s);
	if (err)
		return err;
	*link = (struct rg_kern_link){
		.pages_fd = device,
		.ring_fd = device,
		.alive_fd = -1,
		.ring_at = (uint64_t)s.ring_at * RG_PAGE,
		.data = s.ring,
		.pages = s.pages,
		.ring = s.ring,
		.tick_us = s.tick_us,
	};
	return 0;
}

static void kmod_stop(void)
{
	if (device >= 0)
		close(device);
	device = -1;
}

static int kmod_add(struct m *m)
{
	struct ringo_add a = { .page = m->id + 1 };

	m->upcalls = rg_arch_upcalls();
	if (m->upcalls)
		a.upcall = (uintptr_t)rg_upcall_entry;
	return ask(RINGO_IOC_ADD, &a);
}

static void kmod_watch(void)
{
	ask(RINGO_IOC_WATCH, NULL);
}

/* Somebody has closed the descriptor; by now it may be another's. The pages are there still, as they are mapped. */
static void kmod_lost(void)
{
	device = -1;
}

const struct rg_kern_tier rg_kern_kmod = {
	.start = kmod_start,
	.stop = kmod_stop,
	.add = kmod_add,
	.watch = kmod_watch,
	.lost = kmod_lost,
	.lost_text = "the program has closed " RINGO_DEVICE,
};
