// SPDX-License-Identifier: MIT
/* CPU count and address space: see os.h. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"

void *rg_reserve_of(int fd, off_t at, size_t *size, size_t least)
{
	const int flags = MAP_PRIVATE | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);

	for (size_t n = *size; n >= least && n; n /= 2) {
		void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, fd, at);

		if (p != MAP_FAILED) {
			*size = n;
			return p;
		}
	}
	return NULL;
}

void *rg_reserve(size_t *size, size_t least)
{
	return rg_reserve_of(-1, 0, size, least);
}

void rg_unreserve(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

/* First line of a small file, or false. */
static bool read_line(const char *path, char *buf, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t r;

	if (fd < 0)
		return false;
	r = read(fd, buf, n - 1);
	close(fd);
	if (r <= 0)
		return false;
	buf[r] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

/* CPUs that quota/period amounts to, rounded up; INT32_MAX when there is no limit. */
static int quota_cpus(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return INT32_MAX;
	return (int)rg_min((quota + period - 1) / period, (long long)INT32_MAX);
}

static int quota_v2(const char *dir)
{
	long long quota, period;
	char path[4200], buf[64];

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", dir);
	if (!read_line(path, buf, sizeof(buf)) || sscanf(buf, "%lld %lld", &quota, &period) != 2)
		return INT32_MAX;
	return quota_cpus(quota, period);
}

static int quota_v1(const char *dir)
{
	char path[4200], q[64], p[64];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", dir);
	if (!read_line(path, q, sizeof(q)))
		return INT32_MAX;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", dir);
	if (!read_line(path, p, sizeof(p)))
		return INT32_MAX;
	return quota_cpus(atoll(q), atoll(p));
}

/* The tightest limit from our cgroup up to the root, which a namespace may hide the name of. */
static int quota_up(char *dir, int (*quota)(const char *))
{
	int best = INT32_MAX;

	for (;;) {
		char *slash = strrchr(dir, '/');

		best = rg_min(best, quota(dir));
		if (!slash)
			return best;
		*slash = 0;
	}
}

static int cgroup_cpus(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4200];
	int best = INT32_MAX;

	if (!f)
		return best;
	while (fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':');
		char *dir = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!dir)
			continue;
		*dir++ = 0;
		dir[strcspn(dir, "\n")] = 0;
		if (controllers[1] == 0)
			best = rg_min(best, quota_up(dir, quota_v2));
		else if (strstr(controllers, "cpu") && !strstr(controllers, "cpuset"))
			best = rg_min(best, quota_up(dir, quota_v1));
	}
	fclose(f);
	return best;
}

int rg_num_cpu(void)
{
	cpu_set_t set;
	int saved = errno, n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	n = rg_min(n, cgroup_cpus()); /* looks for files that may not be there */
	errno = saved;
	return rg_max(1, n);
}
