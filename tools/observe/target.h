/* SPDX-License-Identifier: MIT */
/*
 * A process, or what is left of one in a core file: memory, mappings, registers of threads. What comes out of it is
 * never to be trusted.
 */
#ifndef OBSERVE_TARGET_H
#define OBSERVE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

enum { TARGET_WHY = 256 };

struct target_map {
	uint64_t start, end, offset;
	uint64_t dev, inode; /* of a live process */
	char *path;          /* may be empty */
};

/* Of a core. */
struct target_segment {
	uint64_t start, size, offset;
};

struct target_thread {
	pid_t tid;
	struct user_regs_struct regs;
};

struct target {
	pid_t pid;
	int fd;              /* of a core; -1: live */
	bool truncated;      /* the core is shorter than it says */
	char command[32];
	struct target_map *maps;
	size_t nmaps;
	struct target_segment *segments; /* in order of start */
	size_t nsegments;
	struct target_thread *threads;   /* of a core */
	size_t nthreads;
	char why[TARGET_WHY]; /* what went wrong, for people */
};

/* what: a process number or the path of a core. False: see why; to be closed in either case. */
bool target_open(struct target *t, const char *what);
bool target_open_core(struct target *t, int fd); /* takes fd */
void target_close(struct target *t);

/* All of it: 0 or -errno; -EFAULT: not there, or not in the core. */
int target_read(const struct target *t, uint64_t addr, void *buf, size_t n);

/* Of a live process: what its pid namespace is known by. False: see why. */
bool target_pid_namespace(struct target *t, uint64_t *dev, uint64_t *inode);

/* A string of printable characters, cut at n - 1; what is not one is replaced. False: cannot be read. */
bool target_read_text(const struct target *t, uint64_t addr, char *buf, size_t n);

static inline bool target_is_core(const struct target *t)
{
	return t->fd >= 0;
}

/* Set why; false. */
bool target_fail(struct target *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* In core.c. */
bool core_load(struct target *t);
int core_read(const struct target *t, uint64_t addr, void *buf, size_t n);

#endif
