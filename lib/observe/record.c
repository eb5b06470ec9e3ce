// SPDX-License-Identifier: MIT
/*
 * Recording what one's own goroutines do: for the debug endpoint, and into the file that RINGO_TRACE names,
 * from the first goroutine to the last.
 *
 * The same reader as that of ringo-trace (recorder.h), only that memory need not be fetched from another
 * process. It looks at records that Ms may be writing, and finds out afterwards which these were.
 *
 * The environment is handed down, so other processes may be told to write to the same file. Who records holds
 * a lock on it (flock), and empties it only then; another one goes on without. The lock goes with the
 * descriptor, which a forked child closes and the end of the recording.
 */
#include "observe/record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/os.h"
#include "core/event.h"
#include "core/scan.h"
#include "observe/recorder.h"
#include "observe/service.h"

struct rg_record {
	struct rg_recorder r;
	struct rg_symbols *symbols;
};

#define PATIENCE INT64_C(10000000000) /* at the end of the run, for a disk that is slow */
#define FILE_LIMIT (UINT64_C(1) << 30) /* viewers take no more */

/* ---- memory ---- */

static RG_PEEKS void peek(void *to, const void *from, size_t n)
{
	const volatile uint32_t *words = from;

	for (size_t i = 0; i < n / 4; i++)
		((uint32_t *)to)[i] = words[i];
}

static int self_read(void *arg, uint64_t addr, void *buf, size_t n)
{
	(void)arg;
	peek(buf, (const void *)(uintptr_t)addr, n);
	rg_compiler_barrier(); /* what is read next is read later */
	return 0;
}

static int self_write(void *arg, uint64_t addr, const void *buf, size_t n)
{
	(void)arg;
	if (n == 8)
		rg_store_relaxed((uint64_t *)(uintptr_t)addr, *(const uint64_t *)buf);
	else if (n == 1)
		rg_xchg_full((uint8_t *)(uintptr_t)addr, *(const uint8_t *)buf); /* order: full; pairs with lapse in event.c */
	return 0;
}

static const char *symbol(void *arg, uint64_t pc)
{
	const struct rg_record *r = arg;

	return rg_symbols_name(r->symbols, (void *)(uintptr_t)pc);
}

/* ---- a recording ---- */

/* Those that are there already. */
static int tell_known(struct rg_chrome *c)
{
	struct rg_scan *scan = rg_g_used() ? rg_scan_begin() : NULL;
	const struct rg_look *l;

	if (!scan)
		return rg_g_used() ? -ENOMEM : 0;
	while ((l = rg_scan_next(scan)))
		rg_chrome_known(c, l->index + 1, l->gen, (uintptr_t)l->fn, (uintptr_t)l->spawn_pc, l->name);
	rg_scan_end(scan);
	return 0;
}

static int begin(struct rg_record *r, int fd, uint64_t limit)
{
	int err;

	r->r.memory = (struct rg_memory){ .read = self_read, .write = self_write };
	r->r.chrome.symbol = symbol;
	r->r.chrome.arg = r;
	r->symbols = rg_symbols_new();
	if (!r->symbols)
		return -ENOMEM;
	err = rg_recorder_begin(&r->r, fd, (uintptr_t)&rg_events, rg_g_limit(), 0, limit);
	return err ? err : tell_known(&r->r.chrome);
}

void rg_record_drop(struct rg_record *r)
{
	if (r->symbols)
		rg_symbols_free(r->symbols);
	rg_recorder_free(&r->r);
	free(r);
}

int rg_record_begin(struct rg_record **record, int fd, uint64_t limit)
{
	struct rg_record *r = calloc(1, sizeof(*r));
	int err = r ? begin(r, fd, limit) : -ENOMEM;

	if (err && r)
		rg_record_drop(r);
	*record = err ? NULL : r;
	return err;
}

int rg_record_look(struct rg_record *r)
{
	int err = rg_recorder_look(&r->r);

	return err ? err : r->r.wait_ms;
}

int rg_record_end(struct rg_record *r)
{
	int err = rg_recorder_end(&r->r);

	rg_record_drop(r);
	return err;
}

/* ---- RINGO_TRACE ---- */

static struct {
	struct rg_record *record;
	char path[PATH_MAX];
	int fd;
	bool hooked;
} to_file;

static void serve(struct rg_service *s)
{
	struct pollfd bell = { .fd = s->bell, .events = POLLIN };

	while (!rg_service_over(s))
		poll(&bell, 1, rg_record_look(to_file.record)); /* below 0: it is over, until the end of the run */
}

static struct rg_service thread = { .name = "ringo-trace", .fn = serve };

static int at_exit(int64_t deadline)
{
	const struct rg_recorder *r;
	int err;

	if (!thread.running)
		return 0;
	if (!rg_service_end(&thread, rg_max(deadline, rg_time_add(rg_now(), PATIENCE))))
		return 1;
	rg_service_close(&thread);
	rg_record_look(to_file.record);
	r = &to_file.record->r;
	if (r->gather.lost)
		rg_warn("RINGO_TRACE: %llu of %llu events came faster than they could be written, and are missing",
			(unsigned long long)r->gather.lost,
			(unsigned long long)(r->gather.lost + r->gather.events));
	if (r->chrome.out.full)
		rg_warn("RINGO_TRACE=%s ends before the program did: 1 GiB, of which no viewer shows more", to_file.path);
	err = rg_record_end(to_file.record);
	if (err)
		rg_warn("RINGO_TRACE=%s: %s", to_file.path, strerror(-err));
	close(to_file.fd);
	return 0;
}

static void in_child(void)
{
	if (thread.running)
		close(to_file.fd);
	rg_service_child(&thread);
}

/* %p is the process id, %% a %. 0 or -errno, -EBADMSG: % is followed by something else. */
static int expand(char *to, size_t size, const char *name)
{
	size_t n = 0;

	for (; *name; name++) {
		char text[16] = { *name };
		size_t len;

		if (*name == '%' && *++name == 'p')
			snprintf(text, sizeof(text), "%d", (int)getpid());
		else if (*name != text[0])
			return -EBADMSG;
		len = strlen(text);
		if (len >= size - n)
			return -ENAMETOOLONG;
		memcpy(to + n, text, len + 1);
		n += len;
	}
	return 0;
}

/* Empty, and ours alone; or -errno, -EBUSY: it is another's. */
static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666), err = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return fd < 0 ? -errno : fd; /* pipes and devices are as they are */
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) /* some file systems have no such locks */
		err = -EBUSY;
	else if (ftruncate(fd, 0))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

int rg_trace_to_file(const char *path)
{
	static struct rg_exit_hook hook = { .fn = at_exit, .child = in_child };
	int err;

	if (!to_file.hooked)
		rg_at_exit(&hook);
	to_file.hooked = true;
	err = expand(to_file.path, sizeof(to_file.path), path);
	if (err)
		return err;
	to_file.fd = open_file(to_file.path);
	if (to_file.fd < 0)
		return to_file.fd;
	err = rg_record_begin(&to_file.record, to_file.fd, FILE_LIMIT);
	if (!err) {
		err = rg_service_start(&thread);
		if (err)
			rg_record_end(to_file.record);
	}
	if (err)
		close(to_file.fd);
	return err;
}
