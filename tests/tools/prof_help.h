/* SPDX-License-Identifier: MIT */
/* ringo-prof beside a target: started, watching, stopped; and what it has folded. */
#ifndef RINGO_TESTS_TOOLS_PROF_HELP_H
#define RINGO_TESTS_TOOLS_PROF_HELP_H

#include "help.h"

struct profiler {
	pid_t pid;
	int err;
	char text[4096]; /* what it has said there */
	char folded[64], out[64];
};

static inline void start(struct profiler *p, pid_t target, const char *mode, const char *more)
{
	char pid[16];
	int ends[2];

	*p = (struct profiler){ 0 };
	strcpy(p->folded, "/tmp/ringo-prof.XXXXXX");
	strcpy(p->out, "/tmp/ringo-prof.XXXXXX");
	close(mkstemp(p->folded));
	CHECK(pipe(ends) == 0);
	snprintf(pid, sizeof(pid), "%d", target);
	int out = mkstemp(p->out);

	p->pid = fork();
	if (!p->pid) {
		dup2(out, STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		execl(tool("ringo-prof"), "ringo-prof", "-p", pid, mode, "-t", "30", "-f", p->folded, more, NULL);
		_exit(127);
	}
	close(out);
	close(ends[1]);
	p->err = ends[0];
}

/* Until it watches. False: it has ended. */
static inline bool watches(struct profiler *p)
{
	size_t n = strlen(p->text);
	ssize_t got = 1;

	while (got > 0 && !strstr(p->text, "watching process")) {
		got = read(p->err, p->text + n, sizeof(p->text) - 1 - n);
		if (got > 0)
			p->text[n += (size_t)got] = 0;
	}
	return got > 0;
}

static inline char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0);
	unlink(path);
	return text_of(fd);
}

static char *report __attribute__((unused)); /* of the last one that ended */

/* What it has folded. */
static inline char *stop(struct profiler *p)
{
	int status;

	kill(p->pid, SIGINT);
	CHECK_EQ(p->pid, waitpid(p->pid, &status, 0));
	if (status)
		fprintf(stderr, "# %s\n", p->text);
	CHECK_EQ(0, status);
	close(p->err);
	free(report);
	report = slurp(p->out);
	return slurp(p->folded);
}

/* Of the lines that begin so and have that in them. */
static inline long long sum(const char *folded, const char *root, const char *has)
{
	long long all = 0;
	char line[8192];

	for (const char *at = folded; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		if (!strncmp(line, root, strlen(root)) && strstr(line, has))
			all += atoll(strrchr(line, ' ') + 1);
	}
	return all;
}

static inline const char *missing(void)
{
	if (geteuid())
		return "it takes root";
	return access("/sys/kernel/btf/vmlinux", R_OK) ? "this kernel has no BTF" : NULL;
}

#define NEEDS_PROF() \
	do { \
		NEEDS_TOOL("ringo-prof"); \
		if (SANITIZED) \
			SKIP(return, "what is inserted here makes faults and frames of its own"); \
		if (missing()) \
			SKIP(return, "%s", missing()); \
	} while (0)

#endif
