/* SPDX-License-Identifier: MIT */
/* What the tests of the tools share: running one, and what it says. */
#ifndef RINGO_TESTS_TOOLS_HELP_H
#define RINGO_TESTS_TOOLS_HELP_H

#include <fcntl.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "kmod/uapi/ringo_state.h"
#include "run/dump_help.h"

/* Where the tool of that name is, in the tree that this program is built in. */
static inline const char *tool(const char *name)
{
	static char path[4300];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 100);
	char *slash;

	CHECK(n > 0);
	path[n] = 0;
	for (int i = 0; i < 3; i++) {
		slash = strrchr(path, '/');
		CHECK(slash != NULL);
		*slash = 0;
	}
	return strcat(strcat(path, "/tools/"), name);
}

struct said {
	int status;
	char *text;
};

static inline int run_tool(void *arg)
{
	struct said *s = arg;
	char buf[65536];
	size_t n = 0, got;
	FILE *f = popen(s->text, "re");

	CHECK(f != NULL);
	s->text = NULL;
	while ((got = fread(buf, 1, sizeof(buf), f))) {
		s->text = realloc(s->text, n + got + 1);
		memcpy(s->text + n, buf, got);
		n += got;
	}
	if (!s->text)
		s->text = strdup("");
	else
		s->text[n] = 0;
	s->status = WEXITSTATUS(pclose(f));
	return 0;
}

/* The tool with these arguments; free text. In a goroutine, too, which then waits for it and holds nobody up. */
static inline __attribute__((format(printf, 2, 3))) struct said say(const char *name, const char *fmt, ...)
{
	char args[512], command[5000];
	struct said s = { .text = command };
	va_list ap;
	int res;

	va_start(ap, fmt);
	vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "timeout 60 %s %s 2>&1", tool(name), args);
	if (ringo_blocking(run_tool, &s, &res))
		run_tool(&s);
	return s;
}

/* status: -1 any */
static inline void check_says(const struct said *s, int status, const char *what)
{
	if (status >= 0 && s->status != status) {
		fprintf(stderr, "# it said: %s\n", s->text);
		CHECK_EQ(status, s->status);
	}
	CHECK_HAS(s->text, what);
}

#define NEEDS_TOOL(name) \
	do { \
		if (access(tool(name), X_OK)) \
			SKIP(return, "no " name ": libdw-dev or libncurses-dev is missing (make deps-check)"); \
		if (RUNNING_ON_VALGRIND) \
			SKIP(return, "it would run the tool under valgrind, too"); \
	} while (0)

/* The path of a core of a child in which fn, as main goroutine, has made an end; false: there are none here. */
static inline bool make_core(int (*fn)(void *), char *path, size_t n)
{
	char pattern[256] = "", core_dir[] = "/tmp/ringo-core.XXXXXX";
	FILE *f = fopen("/proc/sys/kernel/core_pattern", "re");
	int status;
	pid_t pid;

	if (f && !fgets(pattern, sizeof(pattern), f))
		pattern[0] = 0;
	if (f)
		fclose(f);
	if (strcmp(pattern, "core\n"))
		return false;
	CHECK(mkdtemp(core_dir) != NULL);
	pid = fork();
	if (!pid) {
		const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
		int null = open("/dev/null", O_WRONLY);

		if (chdir(core_dir) || setrlimit(RLIMIT_CORE, &all))
			_exit(3);
		prctl(PR_SET_DUMPABLE, 1);
		dup2(null, STDERR_FILENO);
		_exit(ringo_run(fn, NULL));
	}
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	snprintf(path, n, "%s/core", core_dir);
	if (access(path, R_OK)) {
		snprintf(path, n, "%s/core.%d", core_dir, pid);
		if (access(path, R_OK)) {
			rmdir(core_dir);
			return false;
		}
	}
	return true;
}

/* Where our own state is mapped; NULL: nowhere. */
static inline struct ringo_state *find_state(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start = 0;
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, "/memfd:" RINGO_STATE_NAME) && sscanf(line, "%lx-", &start) == 1;
	if (f)
		fclose(f);
	return found ? (struct ringo_state *)start : NULL;
}

/* A table of garbage at the place where the state should be. */
static inline void garbage_child(uint64_t seed)
{
	int fd = memfd_create("ringo-state", 0);
	uint64_t *p;

	if (fd < 0 || ftruncate(fd, 1 << 20))
		_exit(3);
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (int i = 0; i < 1 << 17; i++)
		p[i] = seed ? (seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407) : 0;
	p[0] = UINT64_C(0x6574617473676e72);
	pause();
	_exit(0);
}

static inline void drop_core(const char *path)
{
	char dir[128];

	unlink(path);
	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = 0;
	rmdir(dir);
}

#endif
