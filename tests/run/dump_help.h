/* SPDX-License-Identifier: MIT */
/* Dumps as the tests of them see them: text in memory, and what stands in it. */
#ifndef RINGO_TESTS_DUMP_HELP_H
#define RINGO_TESTS_DUMP_HELP_H

#include <fcntl.h>
#include <sys/mman.h>

#include "help.h"

/* What was written to a file in memory, as one string; closes it. Free it. */
static inline char *text_of(int fd)
{
	off_t n = lseek(fd, 0, SEEK_END);
	char *s = malloc((size_t)n + 1);

	CHECK(s != NULL);
	CHECK_EQ(n, pread(fd, s, (size_t)n, 0));
	s[n] = 0;
	close(fd);
	return s;
}

static inline int memory_file(void)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static inline char *dump_text(unsigned flags)
{
	int fd = memory_file();

	CHECK_EQ(0, ringo_dump(fd, flags));
	return text_of(fd);
}

static inline void check_has(const char *file, int line, const char *text, const char *what)
{
	if (strstr(text, what))
		return;
	fprintf(stderr, "# no \"%s\" in:\n%s\n", what, text);
	check_failed(file, line, what, 0, 0);
}
#define CHECK_HAS(text, what) check_has(__FILE__, __LINE__, text, what)

/* The part of a full dump that is about the goroutine with this in its first line; free it. */
static inline char *part_of(const char *text, const char *mark)
{
	const char *at = text, *end;

	while (at && *at) {
		const char *eol = strchr(at, '\n');
		const char *found = strstr(at, mark);

		end = strstr(at, "\n\n");
		if (found && found < eol)
			return strndup(at, end ? (size_t)(end - at) : strlen(at));
		at = end ? end + 2 : NULL;
	}
	return NULL;
}

static inline unsigned count_in(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

#endif
