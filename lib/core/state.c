// SPDX-License-Identifier: MIT
/*
 * State for readers outside the process: tools, debuggers, and whoever looks at its core.
 *
 * Nothing is written twice for them. The descriptor of a goroutine is the record (the assertions below hold
 * the two layouts together), and so is the page of an M; a reader copies them out of our memory, or finds them in
 * the core. What it cannot know is where they are. That stands in one small file without a name on any disk,
 * mapped shared: such a mapping shows its name in /proc/PID/maps and in a core, also of a stripped program, and
 * is dumped by default. So all this costs is a mapping at the start of a run, and nothing on any path.
 *
 * The tables themselves are not in that file: first touch of such memory costs twice that of anonymous, and
 * stacks, names and objects that are waited for would still have to be read out of the process. Rejected, too: a
 * symbol (stripped programs have none), a note in the ELF file (its pages are not in a core).
 *
 * One writer of each part: whoever starts the run, under the lock of class_init, the M itself, sysmon.
 */
#include "core/state.h"

#include <errno.h>
#include <ringo/go.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "core/account.h"
#include "core/event.h"
#include "core/g.h"
#include "core/rt.h"
#include "core/scan.h"
#include "core/stack.h"

#define SAME(theirs, ours) \
	_Static_assert(offsetof(struct ringo_g, theirs) == offsetof(struct g, ours) && \
		       sizeof(((struct ringo_g *)0)->theirs) == sizeof(((struct g *)0)->ours), #theirs)

SAME(args, args);
SAME(sp, sp);
SAME(wait_on, wait_on);
SAME(wait_until, wait_until);
SAME(op_seq, op_seq);
SAME(staged, op_staged);
SAME(op_home, op_home);
SAME(since, since);
SAME(slot, slot);
SAME(state, state);
SAME(reason, reason);
SAME(flags, flags);
SAME(fn, fn);
SAME(spawn_pc, spawn_pc);
SAME(deadline, deadline);
SAME(scope, scope);
SAME(name, ext);
SAME(gen, gen);
SAME(wake, wake);
SAME(epoch, epoch);
SAME(stack_class, stack_class);
SAME(op_by, op_by);
_Static_assert(offsetof(struct rg_ext, name) == 0, "a name is all that name points to");
_Static_assert(sizeof(struct ringo_meter) == sizeof(struct rg_meter) &&
	       offsetof(struct ringo_meter, cpu) == offsetof(struct rg_meter, cpu), "meter");
_Static_assert(sizeof(struct ringo_select_wait) == sizeof(struct rg_select_wait) &&
	       offsetof(struct ringo_select_wait, n) == offsetof(struct rg_select_wait, n), "select");
_Static_assert(RINGO_STATE_MS == RG_MAX_M && RINGO_STATE_CLASSES == RG_CLASSES, "room for all");

static struct ringo_state *state; /* NULL: none */

/* Growing a file beyond the limit would be a signal. */
static bool may_be_that_large(void)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur >= sizeof(*state);
}

static struct ringo_state *map_file(void)
{
	int fd = may_be_that_large() ? memfd_create(RINGO_STATE_NAME, MFD_CLOEXEC) : -1;
	void *p = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!ftruncate(fd, sizeof(*state)))
		p = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, sizeof(*state), MADV_DONTFORK);
	return p;
}

static uint64_t address(const void *p)
{
	return (uintptr_t)p;
}

void rg_state_open(void)
{
	struct ringo_state *s = map_file();

	if (!s)
		return;
	s->magic = RINGO_STATE_MAGIC;
	s->version = RINGO_STATE_VERSION;
	s->size = sizeof(*s);
	s->pid = (uint32_t)getpid();
	s->started = rg_now();
	s->table = address(rg_g_table);
	s->used = address(rg_g_used_at());
	s->stride = sizeof(struct g);
	s->limit = rg_g_limit();
	s->cpu = address(rg_account_table());
	s->main_fn = (uintptr_t)rt.main_fn;
	s->wrapper = address(&rg_wrapper);
	s->events = address(rg_events_open());
	state = s;
	for (unsigned i = 0; i < RG_CLASSES; i++) {
		char *lo, *hi;

		if (rg_stack_arena(i, &lo, &hi))
			rg_state_stacks(i, lo, rg_stack_class_size(i));
	}
}

void rg_state_publish(uint32_t preempt_wanted)
{
	struct ringo_state *s = state;

	if (!s)
		return;
	strncpy(s->backend, rt.poller->name, sizeof(s->backend) - 1);
	s->quantum_ns = rt.quantum_ns;
	s->procs = rt.procs;
	s->guard = rg_stack_guard();
	s->preempt_wanted = preempt_wanted;
	s->preempt = rt.preempt;
	s->module_err = rt.module_err;
	s->bpfd_err = rt.bpfd_err;
	s->debug = (rt.debug & RG_DEBUG_CPU ? RINGO_STATE_DEBUG_CPU : 0) |
		   (rt.debug & RG_DEBUG_HELD ? RINGO_STATE_DEBUG_HELD : 0);
	rg_store_release(&s->up, 1); /* order: release; pairs with whoever reads us from outside: it is whole */
}

void rg_state_close(void)
{
	if (!state)
		return;
	rg_store_release(&state->up, 0); /* order: release; pairs with whoever reads us: before anything goes */
	munmap(state, sizeof(*state));
	state = NULL;
}

void rg_state_child(void)
{
	state = NULL;
}

void rg_state_m(struct m *m)
{
	if (!state)
		return;
	state->ms[m->id].tid = m->tid;
	state->ms[m->id].meter = address(&m->meter);
	/* order: release; pairs with whoever reads us from outside: its thread is known */
	rg_store_release(&state->ms[m->id].page, address(rg_m_page(m)));
}

void rg_state_stacks(unsigned class, const void *base, size_t slot)
{
	if (!state)
		return;
	state->classes[class].slot = slot;
	rg_store_release(&state->classes[class].base, address(base)); /* order: release; as in rg_state_m */
}

void rg_state_lost(void)
{
	if (!state)
		return;
	if (state->preempt == RINGO_PREEMPT_KMOD)
		state->module_err = -ECONNRESET;
	else
		state->bpfd_err = -ECONNRESET;
	rg_store_relaxed(&state->preempt, RINGO_PREEMPT_SYSMON);
}

void rg_state_stamp(void)
{
	if (state)
		rg_store_relaxed(&state->stamp, rg_now());
}
