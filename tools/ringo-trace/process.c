// SPDX-License-Identifier: MIT
/* Another process's memory, goroutines and names, for the recorder (lib/observe/recorder.c). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tools/observe/watchdog.h"
#include "trace.h"

static int read_memory(void *arg, uint64_t addr, void *buf, size_t n)
{
	return target_read(arg, addr, buf, n);
}

static int write_memory(void *arg, uint64_t addr, const void *buf, size_t n)
{
	const struct target *t = arg;
	struct iovec local = { (void *)(uintptr_t)buf, n }, remote = { (void *)(uintptr_t)addr, n };
	ssize_t put = process_vm_writev(t->pid, &local, 1, &remote, 1, 0);

	return put == (ssize_t)n ? 0 : put < 0 ? -errno : -EFAULT;
}

static const char *symbol(void *arg, uint64_t pc)
{
	return symbols_of(arg, pc)->text;
}

static bool add_known(const struct goroutine *g, void *arg)
{
	struct trace *tr = arg;
	char name[RINGO_G_NAME];

	if (g->index % 4096 == 0)
		watchdog_alive();
	table_name(&tr->tab, g, name);
	rg_chrome_known(&tr->r.chrome, g->index + 1, g->gen, g->fn, g->spawn_pc, name);
	return true;
}

static bool open_target(struct trace *tr, const char *what)
{
	if (!target_open(&tr->t, what))
		return false;
	if (target_is_core(&tr->t))
		return target_fail(&tr->t, "nothing happens in a core any more: ringo-ps shows it");
	if (!table_open(&tr->tab, &tr->t))
		return false;
	if (!tr->tab.s->events)
		return target_fail(&tr->t, "process %d: its libringo knows no events", tr->t.pid);
	tr->there = symbols_open(&tr->symbols, &tr->t);
	return tr->there;
}

static const char *reason(int err)
{
	switch (err) {
	case -EPROTO:
		return "it uses a libringo of another version than this tool, or its rings of events are garbage";
	case -EPERM:
	case -EACCES:
		return "its memory may not be read and written (another user's, or kernel.yama.ptrace_scope); try as root";
	case -EFAULT:
	case -ESRCH:
		return "it has ended, or its rings of events are garbage";
	default:
		return strerror(-err);
	}
}

/* So many events fit a ring of that size, at least. */
static uint32_t order_of(double mib)
{
	uint32_t order = RINGO_EVENTS_ORDER_MIN;

	if (mib <= 0)
		return 0;
	while (order < RINGO_EVENTS_ORDER_MAX &&
	       (double)(sizeof(struct ringo_event) << order) < mib * (1 << 20))
		order++;
	return order;
}

/* Loading takes so long that events would be lost if they were wanted already. */
static void load_kernel(struct trace *tr, const struct trace_wish *wish)
{
	tr->r.chrome.kernel = kernel_load(tr, (uint64_t)(wish->ring * (1 << 20)));
	if (tr->r.chrome.kernel)
		return;
	snprintf(tr->no_kernel, sizeof(tr->no_kernel), "%s", tr->t.why);
	kernel_unload();
}

static bool begin(struct trace *tr, const struct trace_wish *wish)
{
	int err;

	if (wish->kernel)
		load_kernel(tr, wish);
	tr->r.memory = (struct rg_memory){ read_memory, write_memory, &tr->t };
	tr->r.chrome.symbol = symbol;
	tr->r.chrome.arg = &tr->symbols;
	err = rg_recorder_begin(&tr->r, tr->fd, tr->tab.s->events, tr->tab.s->limit, order_of(wish->ring),
				wish->limit);
	if (err)
		return target_fail(&tr->t, "process %d: %s", tr->t.pid, reason(err));
	return table_each(&tr->tab, add_known, tr);
}

bool trace_begin(struct trace *tr, const struct trace_wish *wish)
{
	tr->fd = -1;
	if (!open_target(tr, wish->pid))
		return false;
	tr->fd = !strcmp(wish->path, "-") ? dup(STDOUT_FILENO) :
		 open(wish->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (tr->fd < 0)
		return target_fail(&tr->t, "%s: %s", wish->path, strerror(errno));
	return begin(tr, wish);
}

/* The run that we record goes on. */
static bool goes_on(const struct trace *tr)
{
	struct target t;
	struct table tab = { 0 };
	char pid[16];
	bool yes;

	snprintf(pid, sizeof(pid), "%d", tr->t.pid);
	yes = target_open(&t, pid) && table_open(&tab, &t) && tab.s->started == tr->tab.s->started;
	table_close(&tab);
	target_close(&t);
	return yes;
}

bool trace_look(struct trace *tr, const char **why)
{
	int err = rg_recorder_look(&tr->r);

	if (tr->r.chrome.kernel)
		kernel_look(tr);
	*why = NULL;
	if (!err)
		return true;
	if (err == -EFBIG)
		*why = "the file has reached its limit (--size)";
	else if (tr->r.chrome.out.json.err)
		*why = strerror(-err);
	else if (goes_on(tr))
		*why = reason(err);
	return false;
}

int trace_end(struct trace *tr)
{
	if (tr->r.chrome.kernel)
		kernel_end(tr);
	return rg_recorder_end(&tr->r);
}

void trace_close(struct trace *tr)
{
	kernel_unload();
	rg_recorder_free(&tr->r);
	if (tr->there)
		symbols_close(&tr->symbols);
	table_close(&tr->tab);
	target_close(&tr->t);
	if (tr->fd >= 0)
		close(tr->fd);
}
