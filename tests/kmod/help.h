/* SPDX-License-Identifier: MIT */
/*
 * The kernel module for its tests: the device, the calls on it, and clients. They run where the device is, or where
 * ringo.ko may be loaded and lies in kmod/RELEASE of the build.
 */
#ifndef RINGO_TESTS_KMOD_HELP_H
#define RINGO_TESTS_KMOD_HELP_H

#include <fcntl.h>
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "../tier/client.h"

/* ---- the module ---- */

/* Ticks as often as the kernel can take them: on one that checks each access to memory an interrupt takes 60 to 100 us. */
static inline uint32_t kmod_least_tick_us(void)
{
	return getenv("RINGO_TEST_SLOW_KERNEL") ? 1000 : 100;
}

static inline int module_load(const char *parameters)
{
	char self[PATH_MAX], path[PATH_MAX + 128], all[100];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct utsname u;
	int fd, err;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	uname(&u);
	snprintf(path, sizeof(path), "%s/../../kmod/%s/ringo.ko", self, u.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(all, sizeof(all), "min_tick_us=%u %s", kmod_least_tick_us(), parameters);
	err = (int)syscall(SYS_finit_module, fd, all, 0) ? -errno : 0;
	close(fd);
	return err;
}

static inline int module_unload(void)
{
	return (int)syscall(SYS_delete_module, "ringo", O_NONBLOCK) ? -errno : 0;
}

/* When nobody has a reference any more. It may take a moment: what ends a thread ends its M later. */
static inline int module_unload_soon(void)
{
	int err = -EWOULDBLOCK;

	for (int i = 0; i < 2000 && err == -EWOULDBLOCK; i++) {
		err = module_unload();
		nap_ms(5);
	}
	return err;
}

/* Why no test here can run; NULL: they can. */
static inline const char *module_missing(void)
{
	if (access(RINGO_DEVICE, F_OK) && module_load(""))
		return "the module is not loaded, and there is no ringo.ko for this kernel: kmod/README.md";
	if (access(RINGO_DEVICE, R_OK | W_OK))
		return "no access to " RINGO_DEVICE ": be root, or in group ringo";
	return NULL;
}

#define KMOD_MAIN \
	int main(int argc, char **argv) \
	{ \
		const char *why = module_missing(); \
		if (!why) \
			return test_harness_run(argc, argv); \
		printf("1..0 # SKIP %s\n", why); \
		return KSFT_SKIP; \
	}

/* ---- calls ---- */

static inline int dev_open(void)
{
	return open(RINGO_DEVICE, O_RDWR | O_CLOEXEC);
}

static inline int dev_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

static inline int dev_setup(int fd, struct ringo_setup *s, uint32_t quantum_us)
{
	*s = (struct ringo_setup){ .abi = RINGO_ABI_VERSION, .period_us = quantum_us };
	return dev_ioctl(fd, RINGO_IOC_SETUP, s);
}

static inline int dev_add(int fd, uint32_t n)
{
	struct ringo_add a = { .page = n };

	return dev_ioctl(fd, RINGO_IOC_ADD, &a);
}

/* ---- the tier ---- */

enum { PAGES = 64 }; /* are mapped */

static inline int kmod_open(struct client *c, uint32_t quantum_us)
{
	int err;

	c->fd = c->pages_fd = c->ring_fd = dev_open();
	if (c->fd < 0)
		return -errno;
	err = dev_setup(c->fd, &c->setup, quantum_us);
	if (err)
		close(c->fd);
	else
		client_map(c, PAGES);
	return err;
}

static inline int kmod_add(struct client *c, uint32_t page)
{
	return dev_add(c->fd, page);
}

static inline int kmod_remove(struct client *c)
{
	return dev_ioctl(c->fd, RINGO_IOC_REMOVE, NULL);
}

static inline int kmod_watch(struct client *c)
{
	return dev_ioctl(c->fd, RINGO_IOC_WATCH, NULL);
}

static inline const char *kmod_door(void)
{
	return RINGO_DEVICE;
}

/* On a machine that is not for tests only, loading a module is for its owner to do. */
static inline const char *kmod_begin(void)
{
	setenv("RINGO_BPFD", "/nowhere", 1); /* one that listens would be next best */
	if (access(RINGO_DEVICE, F_OK) && !emulated())
		return "the module is not loaded, and only tests/vm loads it by itself: kmod/README.md";
	return module_missing();
}

static inline int kmod_end(void)
{
	int err = emulated() ? module_unload_soon() : 0;

	return err == -ENOENT ? 0 : err;
}

static inline uint32_t kmod_few_pages(void)
{
	return emulated() && !module_unload_soon() && !module_load("pages=16") ? 16 : 0;
}

/* As a program does that closes whatever it has not opened itself. */
static inline int kmod_lose(unsigned nth)
{
	char at[64], to[64];

	(void)nth;
	for (int fd = 3; fd < 100; fd++) {
		ssize_t n;

		snprintf(at, sizeof(at), "/proc/self/fd/%d", fd);
		n = readlink(at, to, sizeof(to) - 1);
		if (n < 0)
			continue;
		to[n] = '\0';
		if (!strcmp(to, RINGO_DEVICE))
			return close(fd);
	}
	return -ENOENT;
}

static const struct tier kmod_tier = {
	.name = "kmod",
	.number = RINGO_PREEMPT_KMOD,
	.begin = kmod_begin,
	.end = kmod_end,
	.open = kmod_open,
	.add = kmod_add,
	.remove = kmod_remove,
	.watch = kmod_watch,
	.least_tick_us = kmod_least_tick_us,
	.door = kmod_door,
	.refused = "ringo: no preemption by the kernel module",
	.few_pages = kmod_few_pages,
	.lose = kmod_lose,
	.lost = "ringo: the program has closed " RINGO_DEVICE,
};

static inline int client_open(struct client *c, uint32_t quantum_us)
{
	return client_begin(&kmod_tier, c, quantum_us);
}

/* ---- memory ---- */

#define CGROUPS "/tmp/cg"

static inline void cgroup_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(strlen(text), write(fd, text, strlen(text)));
	close(fd);
}

/* From here to cgroup_end this process is in a cgroup of its own; false: in a machine of our own only. */
static inline bool cgroup_begin(void)
{
	if (!emulated() || (mkdir(CGROUPS, 0755) && errno != EEXIST) || mount("cg", CGROUPS, "cgroup2", 0, NULL))
		return false;
	cgroup_put(CGROUPS "/cgroup.subtree_control", "+memory");
	CHECK(!mkdir(CGROUPS "/one", 0755) || errno == EEXIST);
	cgroup_put(CGROUPS "/one/cgroup.procs", "0");
	return true;
}

/* What it is charged. */
static inline long cgroup_bytes(void)
{
	char text[32] = "";
	int fd = open(CGROUPS "/one/memory.current", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtol(text, NULL, 10);
}

static inline void cgroup_end(void)
{
	cgroup_put(CGROUPS "/cgroup.procs", "0");
	umount2(CGROUPS, MNT_DETACH);
}

/* ---- others ---- */

/* Another process is served as ever: it loses its P, as page n. */
static inline int serves_as(uint32_t n)
{
	int status;
	pid_t child = fork();

	if (!child) {
		struct client c;

		CHECK_EQ(0, client_open(&c, 1000));
		CHECK_EQ(0, dev_add(c.fd, n));
		page(n)->p = page(n)->cur_g = 1;
		STORE(&ctl()->permits, 1);
		watch(&c, true);
		_exit(!taken_within(n, 5000 * MS));
	}
	waitpid(child, &status, 0);
	return status ? 1 : 0;
}

static inline int serves(void)
{
	return serves_as(1);
}

#endif
