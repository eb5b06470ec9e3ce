// SPDX-License-Identifier: MIT
/*
 * The file that lists goroutines (bpf/goroutines.bpf.c): it stays when we have ended, as does the list of processes
 * that it is about, until it is removed. Both are files of the BPF file system.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/goroutines.h"
#include "goroutines.skel.h"
#include "prof.h"

#define TOP "/sys/fs/bpf"
#define DIR TOP "/ringo"

static const char list_path[] = DIR "/goroutines", processes_path[] = DIR "/processes";

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return getenv("RINGO_PROF_VERBOSE") && level != LIBBPF_DEBUG ? vfprintf(stderr, fmt, args) : 0;
}

/* By the list that is written about them; they stay closed for others. */
static int make_directory(void)
{
	if (!mkdir(DIR, 0700) || errno == EEXIST)
		return 0;
	if (errno != EPERM && errno != ENOENT)
		return -errno;
	/* A plain folder refuses: nothing is mounted there yet. */
	if (mount("bpf", TOP, "bpf", 0, "mode=0700") || mkdir(DIR, 0700))
		return -errno;
	return 0;
}

static int pin_list(struct goroutines *skel)
{
	struct bpf_link *link = bpf_program__attach_iter(skel->progs.goroutines, NULL);
	int err = link ? bpf_map__pin(skel->maps.processes, processes_path) : -errno;

	if (!err) {
		err = bpf_link__pin(link, list_path);
		if (err)
			unlink(processes_path);
	}
	bpf_link__destroy(link);
	return err;
}

/* The map of processes: that which is there, or a new one. */
static int open_list(struct prof *p)
{
	int fd = bpf_obj_get(processes_path), err;
	struct goroutines *skel;

	if (fd >= 0 && !access(list_path, F_OK))
		return fd;
	if (fd >= 0)
		close(fd);
	unlink(processes_path);
	libbpf_set_print(print);
	skel = goroutines__open_and_load();
	err = skel ? make_directory() : -errno;
	if (!err)
		err = pin_list(skel);
	goroutines__destroy(skel);
	fd = err ? err : bpf_obj_get(processes_path);
	if (fd < 0)
		target_fail(&p->t, "%s cannot be made (%s): %s", list_path, strerror(-fd),
			    fd == -EPERM || fd == -EACCES ? "it takes root" : "Linux 6.2 with BTF is needed");
	return fd;
}

bool prof_check_pin(struct prof *p)
{
	struct goroutines *skel = goroutines__open_and_load();

	(void)p;
	printf("--pin: %s\n", skel ? "can be had" : "cannot be had: it takes Linux 6.2");
	goroutines__destroy(skel);
	return true;
}

static bool is_gone(const struct goroutines_process *g)
{
	return !g->pid || (kill((pid_t)g->pid, 0) && errno == ESRCH);
}

/* In the place that it has, or a free one. */
static bool enter(struct prof *p, int fd)
{
	struct goroutines_process own = { .pid = (uint32_t)p->t.pid, .state = p->tab.at }, other;
	int place = -1;

	for (int i = GOROUTINES_PROCESSES - 1; i >= 0; i--) {
		if (bpf_map_lookup_elem(fd, &i, &other))
			continue;
		if (other.pid == own.pid) {
			place = i;
			break;
		}
		if (is_gone(&other))
			place = i;
	}
	if (place < 0)
		return target_fail(&p->t, "%s has %d processes already: remove it (ringo-prof --unpin)", list_path,
				   GOROUTINES_PROCESSES);
	return !bpf_map_update_elem(fd, &place, &own, BPF_ANY) || target_fail(&p->t, "%s", strerror(errno));
}

bool prof_pin(struct prof *p)
{
	int fd = open_list(p);
	bool ok = fd >= 0 && enter(p, fd);

	if (fd >= 0)
		close(fd);
	if (ok)
		printf("process %d is in %s\n", p->t.pid, list_path);
	return ok;
}

bool prof_unpin(struct prof *p)
{
	int err = unlink(list_path) ? errno : 0;

	unlink(processes_path);
	rmdir(DIR);
	return !err || err == ENOENT ||
	       target_fail(&p->t, "%s: %s%s", list_path, strerror(err), err == EACCES ? ": it takes root" : "");
}
