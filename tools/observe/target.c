// SPDX-License-Identifier: MIT
/* A live process: /proc and process_vm_readv(2). Nothing is stopped. A core: core.c. */
#include "tools/observe/target.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_MAPS = 1 << 20 };

bool target_fail(struct target *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, args);
	va_end(args);
	return false;
}

static const char *why_not_ours(int err)
{
	switch (err) {
	case EPERM:
	case EACCES:
		return "it belongs to another user, or the kernel keeps processes apart (kernel.yama.ptrace_scope); "
		       "try as root";
	case ENOENT:
	case ESRCH:
		return "there is no such process";
	default:
		return strerror(err);
	}
}

static bool add_map(struct target *t, const struct target_map *m, const char *path)
{
	/* In steps of 256, which a size that is a multiple of it shows. */
	if (t->nmaps % 256 == 0) {
		struct target_map *more = realloc(t->maps, (t->nmaps + 256) * sizeof(*more));

		if (!more)
			return false;
		t->maps = more;
	}
	t->maps[t->nmaps] = *m;
	t->maps[t->nmaps].path = strdup(path);
	return t->maps[t->nmaps++].path;
}

static bool parse_map(struct target *t, char *line)
{
	struct target_map m = { 0 };
	unsigned major, minor;
	int at = 0;

	line[strcspn(line, "\n")] = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*4s %" SCNx64 " %x:%x %" SCNu64 " %n", &m.start, &m.end,
		   &m.offset, &major, &minor, &m.inode, &at) != 6 || !at)
		return true;
	m.dev = makedev(major, minor);
	return !m.inode || add_map(t, &m, line + at);
}

/* Those of files. */
static bool load_maps(struct target *t)
{
	char path[64], *line = NULL;
	size_t room = 0;
	bool ok = true;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", t->pid);
	f = fopen(path, "re");
	if (!f)
		return target_fail(t, "process %d: %s", t->pid, why_not_ours(errno));
	while (ok && t->nmaps < MAX_MAPS && getline(&line, &room, f) > 0)
		ok = parse_map(t, line);
	free(line);
	if (ok && ferror(f))
		ok = target_fail(t, "process %d: %s", t->pid, why_not_ours(errno));
	else if (!ok)
		target_fail(t, "no memory");
	fclose(f);
	return ok;
}

static void load_command(struct target *t)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", t->pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(t->command, sizeof(t->command), f))
		t->command[strcspn(t->command, "\n")] = 0;
	fclose(f);
	for (char *c = t->command; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

bool target_open(struct target *t, const char *what)
{
	unsigned long pid;
	int fd;

	*t = (struct target){ .fd = -1 };
	if (!is_number(what)) {
		fd = open(what, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return target_fail(t, "%s: %s", what, strerror(errno));
		return target_open_core(t, fd);
	}
	errno = 0;
	pid = strtoul(what, NULL, 10);
	if (errno || !pid || pid > INT32_MAX)
		return target_fail(t, "%s: a process number is needed", what);
	t->pid = (pid_t)pid;
	load_command(t);
	return load_maps(t);
}

bool target_open_core(struct target *t, int fd)
{
	*t = (struct target){ .fd = fd };
	return core_load(t);
}

void target_close(struct target *t)
{
	for (size_t i = 0; i < t->nmaps; i++)
		free(t->maps[i].path);
	free(t->maps);
	free(t->segments);
	free(t->threads);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct target){ .fd = -1 };
}

static int live_read(const struct target *t, uint64_t addr, void *buf, size_t n)
{
	while (n) {
		struct iovec local = { buf, n }, remote = { (void *)(uintptr_t)addr, n };
		ssize_t got = process_vm_readv(t->pid, &local, 1, &remote, 1, 0);

		if (got <= 0)
			return got ? -errno : -EFAULT;
		buf = (char *)buf + got;
		addr += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int target_read(const struct target *t, uint64_t addr, void *buf, size_t n)
{
	if (addr + n < addr)
		return -EFAULT;
	return target_is_core(t) ? core_read(t, addr, buf, n) : live_read(t, addr, buf, n);
}

bool target_pid_namespace(struct target *t, uint64_t *dev, uint64_t *inode)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", t->pid);
	if (stat(path, &st))
		return target_fail(t, "process %d: %s", t->pid, why_not_ours(errno));
	*dev = st.st_dev;
	*inode = st.st_ino;
	return true;
}

bool target_read_text(const struct target *t, uint64_t addr, char *buf, size_t n)
{
	if (!n || target_read(t, addr, buf, n))
		return false;
	buf[n - 1] = 0;
	for (char *c = buf; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	return true;
}
