/* SPDX-License-Identifier: MIT */
/* CPU time of another process. */
#ifndef BENCH_CPUTIME_H
#define BENCH_CPUTIME_H

#include <dirent.h>

#include "../bench.h"

/* Of all its threads, in ns. */
static inline uint64_t cpu_ns(const char *pid)
{
	char path[300];
	uint64_t sum = 0, ns;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	d = opendir(path);
	if (!d)
		bench_die(path);
	while ((e = readdir(d))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/task/%.20s/schedstat", pid, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%lu", &ns) == 1)
			sum += ns;
		fclose(f);
	}
	closedir(d);
	return sum;
}

#endif
