// SPDX-License-Identifier: MIT
/*
 * From ringo_run to its return.
 *
 * The calling thread starts the Ms and then waits: it is no M itself, so that a goroutine that never
 * ends cannot keep ringo_run from returning, and signals sent to the process find a thread that is idle.
 * It makes spare Ms when sysmon wants some. sysmon itself cannot: pthread_create takes locks of malloc and of the
 * loader, and who has them may be parked in the lane until sysmon lets it go on.
 *
 * The end. When the main goroutine returns, every M is told to stop and every M page is asked RINGO_ASK_STOP.
 * An M that is in the runtime or asleep leaves its loop; one in user code does at the next call. Each then
 * cancels and reaps what is in flight on its ring, because the kernel may write to goroutine stacks until
 * then. When all are through, everything is given back. Those that are not through in time keep what they
 * may still use, that is everything, and the runtime stays down for good.
 */
#include "core/run.h"

#include <ctype.h>
#include <errno.h>
#include <linux/futex.h>
#include <ringo/go.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/membarrier.h"
#include "base/os.h"
#include "core/event.h"
#include "core/fault.h"
#include "core/gate.h"
#include "core/lane.h"
#include "core/kern.h"
#include "core/rt.h"
#include "core/runq.h"
#include "core/sched.h"
#include "core/stack.h"
#include "core/state.h"
#include "core/sysmon.h"

#define MAX_GOROUTINES ((size_t)4 << 20)
#define MAIN_STACK ((size_t)8 << 20)
#define GRACE INT64_C(200000000) /* for what only needs to be scheduled to end */
#define DEFAULT_QUANTUM INT64_C(1000000)
#define DEFAULT_SHUTDOWN (INT64_C(1000) * 1000 * 1000)

struct rt rt;

static struct rg_exit_hook *hooks;

void rg_at_exit(struct rg_exit_hook *h)
{
	do {
		h->next = rg_load_relaxed(&hooks);
	} while (!rg_cas_full(&hooks, h->next, h)); /* order: pairs with the acquire in run_hooks */
}

/* True when nothing is left behind. */
static bool run_hooks(void)
{
	bool clean = true;

	/* order: acquire; pairs with the CAS in rg_at_exit */
	for (struct rg_exit_hook *h = rg_load_acquire(&hooks); h; h = h->next)
		clean &= h->fn(rg_max(rt.stop_deadline, rg_time_add(rg_now(), GRACE))) == 0;
	return clean;
}

/* Bytes with an optional k, m or g; 0 when it is not that. */
static size_t parse_size(const char *s)
{
	char *end;
	unsigned long long n = strtoull(s, &end, 10);
	static const char units[] = "kmg";
	const char *u = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;

	if (u) {
		n <<= 10 * (u - units + 1);
		end++;
	}
	return *end || end == s ? 0 : (size_t)n;
}

static int bad_env(const char *name, const char *value, const char *want)
{
	rg_warn("%s=%s in the environment: %s", name, value, want);
	return -EINVAL;
}

static int env_override(struct ringo_options *o)
{
	const char *s = getenv("RINGO_PROCS");

	if (s && *s) {
		size_t n = parse_size(s);

		if (!n || n > RG_MAX_P)
			return bad_env("RINGO_PROCS", s, "a number from 1 to 1024 is needed");
		o->procs = (unsigned)n;
	}
	s = getenv("RINGO_STACK");
	if (s && *s) {
		size_t n = parse_size(s);

		if (!n || rg_stack_class(n) < 0)
			return bad_env("RINGO_STACK", s, "a size up to 1g is needed, as in 256k");
		o->stack_max = n;
	}
	s = getenv("RINGO_QUANTUM_US");
	if (s && *s) {
		size_t n = parse_size(s);

		if (n < 10 || n > 10000000)
			return bad_env("RINGO_QUANTUM_US", s, "microseconds from 10 to 10000000 are needed");
		o->quantum_ns = (int64_t)n * 1000;
	}
	s = getenv("RINGO_PREEMPT");
	if (s && *s) {
		static const char *const names[] = { "auto", "off", "flag", "sysmon", "bpf", "kmod" };
		unsigned i = 0;

		while (i < RG_ARRAY_SIZE(names) && strcmp(s, names[i]))
			i++;
		if (i == RG_ARRAY_SIZE(names))
			return bad_env("RINGO_PREEMPT", s, "auto, off, flag, sysmon, bpf or kmod is needed");
		o->preempt = (enum ringo_preempt)i;
	}
	s = getenv("RINGO_BACKEND");
	if (s && *s) {
		if (!strcmp(s, "uring") || !strcmp(s, "io_uring"))
			o->backend = RINGO_BACKEND_URING;
		else if (!strcmp(s, "auto"))
			o->backend = RINGO_BACKEND_AUTO;
		else
			return bad_env("RINGO_BACKEND", s, "auto or uring is needed");
	}
	s = getenv("RINGO_DEBUG");
	if (s && *s) {
		if (strcmp(s, "0") && strcmp(s, "1"))
			return bad_env("RINGO_DEBUG", s, "0 or 1 is needed");
		if (*s == '1')
			o->flags |= RINGO_RUN_DEBUG;
	}
	return 0;
}

static int options(struct ringo_options *o, const struct ringo_options *given)
{
	int err;

	memset(o, 0, sizeof(*o));
	err = given ? rg_options_copy(o, sizeof(*o), given, given->size) : 0;
	if (!err)
		err = env_override(o);
	if (err)
		return err;
	if (o->procs > RG_MAX_P || o->quantum_ns < 0 || o->shutdown_ns < 0 ||
	    (unsigned)o->preempt > RINGO_PREEMPT_KMOD || (unsigned)o->backend > RINGO_BACKEND_EPOLL ||
	    rg_stack_class(o->stack_max) < 0 || o->flags & ~31u)
		return -EINVAL;
	if (o->flags & (RINGO_RUN_SQPOLL | RINGO_RUN_DIRECT) || o->backend == RINGO_BACKEND_EPOLL)
		return -ENOTSUP;
	if (!o->procs)
		o->procs = (unsigned)rg_min(rg_num_cpu(), (int)RG_MAX_P);
	if (!o->shutdown_ns)
		o->shutdown_ns = DEFAULT_SHUTDOWN;
	if (!o->quantum_ns)
		o->quantum_ns = DEFAULT_QUANTUM;
	return 0;
}

static void ask_stop(void)
{
	/* order: release; pairs with the acquire in rg_foreign_enter */
	rg_store_release(&rt.phase, RG_STOPPING);
	for (unsigned i = 0; i < rt.nm; i++) {
		struct m *m = rt.m[i];

		/* order: full; pairs with the entry gate's look, which may miss it only until the next call */
		rg_or_full(&rg_m_page(m)->asked, RINGO_ASK_STOP);
		/* order: release; pairs with the acquire in rg_sched_loop */
		rg_store_release(&m->stop, true);
		rg_spare_wake(m);
	}
	rg_lane_stop();
	for (unsigned i = 0; i < rt.np; i++)
		rg_wake_p(rt.p[i]);
}

/* The main goroutine is over: nobody else resumes from here on. */
static void main_over(struct m *m, int result)
{
	(void)m;
	rg_lock(&rt.procs_lock); /* no M comes up meanwhile */
	rt.main_result = result;
	rt.stop_deadline = rg_time_add(rg_now(), rt.shutdown_ns);
	ask_stop();
	rg_unlock(&rt.procs_lock);
	/* order: full; pairs with the acquire in wait_main */
	rg_or_full(&rt.main_word, RG_MAIN_OVER);
	rg_futex_wake(&rt.main_word, 1);
}

static void main_entry(void *arg)
{
	struct m *m;
	int result;

	/* Not before: other threads could have taken all descriptors. */
	/* order: release; pairs with the acquire in rg_foreign_enter */
	rg_store_release(&rt.phase, RG_UP);
	result = rt.main_fn(arg);
	m = rg_enter();
	if (!m) /* a forked child came back to where its parent's goroutine began */
		exit(result);
	main_over(m, result);
	rg_leave(m);
}

void rg_main_exited(void)
{
	/* order: release; pairs with the acquire of who looks for a deadlock */
	if (!(rg_load_relaxed(&rt.main_word) & RG_MAIN_OVER))
		rg_store_release(&rt.main_exited, 1);
}

static int spawn_main(void)
{
	int class = rg_stack_class(rg_max(MAIN_STACK, rg_stack_class_size(rt.stack_class)));
	const uintptr_t word = (uintptr_t)rt.main_arg;
	struct rg_spawn s = { .fn = main_entry, .words = &word, .nwords = 1, .flags = RG_G_MAIN,
			      .stack_class = (unsigned)class, .pc = (void *)rt.main_fn };
	int err = rg_spawn(NULL, &s);

	if (!err)
		return 0;
	rg_warn("no address space for the stack of the main goroutine (%zu MiB): raise the limit (ulimit -v)",
		rg_stack_class_size((unsigned)class) >> 20);
	return -ENOMEM;
}

/* How many goroutines fit: asked for, or what the address space and the map limit allow. */
static int memory_up(bool canary)
{
	size_t limit = MAX_GOROUTINES;
	int err;

#ifdef RG_TSAN
	limit = 8000; /* each is a fiber to ThreadSanitizer, which has room for about 8100 */
#endif
	err = rg_stack_init(&limit, canary);
	if (!err)
		err = rg_g_table_init(limit);
	if (!err)
		err = rg_global_init(rg_g_limit());
	if (!err && rt.debug & RG_DEBUG_CPU)
		err = rg_account_init(rg_g_limit());
	if (err)
		rg_warn("no address space for goroutine stacks: raise the limit (ulimit -v) or set "
			"vm.overcommit_memory to 0 or 1");
	return err;
}

static void memory_down(void)
{
	rg_state_close();
	rg_events_close();
	rg_global_fini();
	rg_g_table_fini(); /* looks at what stands on the stacks */
	rg_account_fini();
	rg_spares_fini();
	rg_stack_fini();
}

static int ms_up(unsigned n)
{
	rg_store_relaxed(&rt.procs, n);
	rg_store_relaxed(&rt.solo, n == 1 && rg_membarrier_works());
	for (unsigned i = 0; i < n; i++) {
		int err = rg_p_start();

		if (err && !i)
			return err;
		if (err) {
			rg_warn("going on with %u of %u Ps", i, n);
			break;
		}
	}
	rg_store_relaxed(&rt.procs, rt.np);
	return 0;
}

/* The first to take over a P: made now, because it takes long when all CPUs are busy. */
static void spare_up(void)
{
	struct m *m;

	if (rg_spare_start(&m))
		rg_warn("until there is a thread to spare, goroutines that compute hold up others");
	else
		rg_spare_put(m);
}

void rg_run_want_spare(void)
{
	/* order: full; pairs with the and in wait_main */
	if (!(rg_or_full(&rt.main_word, RG_MAIN_SPARE) & RG_MAIN_SPARE))
		rg_futex_wake(&rt.main_word, 1);
}

static void wait_main(void)
{
	for (;;) {
		/* order: acquire; pairs with the or in main_over */
		uint32_t word = rg_load_acquire(&rt.main_word);
		struct m *m;

		if (word & RG_MAIN_OVER)
			return;
		if (!(word & RG_MAIN_SPARE)) {
			rg_futex_wait(&rt.main_word, word, -1);
			continue;
		}
		m = rg_revoke_spare();
		if (m)
			rg_spare_put(m);
		/* order: full; pairs with the or in rg_run_want_spare: who was not heard asks again */
		rg_and_full(&rt.main_word, ~(uint32_t)RG_MAIN_SPARE);
	}
}

/* Until the word is 0 or the time is over. */
static bool wait_zero(uint32_t *word, int64_t deadline)
{
	for (;;) {
		uint32_t v = rg_load_acquire(word); /* order: acquire; pairs with the sub that made it 0 */
		int64_t left = deadline - rg_now();

		if (!v)
			return true;
		if (left <= 0)
			return false;
		/* Foreign threads leave without a wake: look again soon. */
		rg_futex_wait(word, v, rg_min(left, INT64_C(1000000)));
	}
}

static void name_stragglers(void)
{
	for (unsigned i = 0; i < rt.nm; i++) {
		uint64_t cur = rg_load_relaxed(&rg_m_page(rt.m[i])->cur_g);
		char fn[128];

		if (rg_load_acquire(&rt.m[i]->started) == 3) /* order: acquire; pairs with tell in m.c */
			continue;
		if (!cur) {
			rg_warn("at the end of the run, an operation on the ring of M %u did not end", i);
			continue;
		}
		rg_symbol((void *)rg_g_at((uint32_t)cur - 1)->fn, fn, sizeof(fn));
		rg_warn("at the end of the run, goroutine " RG_G_FMT " (%s) is still in user code on M %u: it "
			"keeps its thread, and ringo_run cannot be used again",
			RG_G_ARGS(rg_g_at((uint32_t)cur - 1)), fn, i);
	}
}

/* True when nothing is left behind. */
static bool take_down(void)
{
	bool clean = true;

	/* First the Ms and other callers: until they are through, some are on their way into layers above. */
	if (!wait_zero(&rt.live_ms, rt.stop_deadline + GRACE)) {
		name_stragglers();
		clean = false;
	}
	clean &= wait_zero(&rt.users, rt.stop_deadline + GRACE);
	clean &= run_hooks();
	rg_sysmon_stop();
	rg_kern_stop();
	rg_fault_remove();
	clean = clean && rg_m_drain_rest(rt.stop_deadline + GRACE);
	if (!clean) {
		rg_m_leave_all();
		return false;
	}
	rg_m_free_all();
	rg_lane_reset();
	rg_add_full(&rt.runs, 1); /* order: full; releases; pairs with the acquire in rg_timers_await_end */
	memory_down();
	return true;
}

/* Another version is worth a word even where nobody has asked for the module. */
static bool kmod_tier(bool wanted)
{
	int err = rg_kern_start(&rg_kern_kmod);

	rt.module_err = err;
	if (err && (wanted || err == -EPROTONOSUPPORT))
		rg_warn("no preemption by the kernel module (%s): is it loaded (modprobe ringo), " RINGO_DEVICE
			" open to us (group ringo), and the module of the same version as the library?",
			strerror(-err));
	return !err;
}

static bool bpf_tier(bool wanted)
{
	int err = rg_kern_start(&rg_kern_bpf);

	rt.bpfd_err = err;
	if (err && wanted)
		rg_warn("no preemption by BPF, but by sysmon: ringo-bpfd does not serve us (%s). Is it running, and "
			"its socket where RINGO_BPFD says, or " RINGO_BPFD_SOCKET "?", strerror(-err));
	return !err;
}

/* What can be had. */
static enum ringo_preempt preempt_tier(enum ringo_preempt wanted)
{
	if (wanted == RINGO_PREEMPT_OFF || wanted == RINGO_PREEMPT_FLAG)
		return wanted;
	if (!rg_membarrier_works()) {
		rg_warn("no preemption: membarrier(2) is not there; a seccomp profile may hide it");
		return RINGO_PREEMPT_FLAG;
	}
	if (wanted == RINGO_PREEMPT_SYSMON)
		return wanted;
	if (wanted != RINGO_PREEMPT_BPF && kmod_tier(wanted == RINGO_PREEMPT_KMOD))
		return RINGO_PREEMPT_KMOD;
	return bpf_tier(wanted == RINGO_PREEMPT_BPF) ? RINGO_PREEMPT_BPF : RINGO_PREEMPT_SYSMON;
}

static uint8_t debug_asked(unsigned flags)
{
	uint8_t debug = 0;

	if (flags & (RINGO_RUN_CPU_TIME | RINGO_RUN_DEBUG))
		debug |= RG_DEBUG_CPU;
	if (flags & RINGO_RUN_DEBUG && rg_held_watch())
		debug |= RG_DEBUG_HELD;
	return debug;
}

static void trace_asked(void)
{
	const char *path = getenv("RINGO_TRACE");
	int err = path && *path ? rg_trace_to_file(path) : 0;

	if (err == -EBUSY)
		rg_warn("RINGO_TRACE=%s: another process records into that file; going on without a trace. With %%p in "
			"the name, which stands for the process id, each has a file of its own: trace.%%p.json", path);
	else if (err == -EBADMSG)
		rg_warn("RINGO_TRACE=%s: %% is to be followed by p, for the process id, or by %%, for itself; going on "
			"without a trace", path);
	else if (err)
		rg_warn("RINGO_TRACE=%s: %s; going on without a trace", path, strerror(-err));
}

static int bring_up(const struct ringo_options *o)
{
	int err;

	rg_fork_init();
	rt.poller = rg_poller_choose();
	rt.stack_class = (uint8_t)rg_stack_class(o->stack_max);
	rt.shutdown_ns = o->shutdown_ns;
	rt.quantum_ns = o->quantum_ns;
	rt.debug = debug_asked(o->flags);
	pthread_sigmask(SIG_BLOCK, NULL, &rt.sigmask);
	rt.preempt = preempt_tier(o->preempt);
	err = memory_up(o->flags & RINGO_RUN_CANARY);
	if (err)
		return err;
	rg_state_open();
	rg_fault_install();
	err = rg_sysmon_start();
	if (err) {
		rg_warn("no thread for sysmon (%s): stack memory is not given back, and goroutines that compute "
			"hold up others", strerror(-err));
		rt.preempt = RINGO_PREEMPT_OFF;
	}
	err = ms_up(o->procs);
	if (!err && rt.preempt >= RINGO_PREEMPT_SYSMON)
		spare_up();
	rg_state_publish(o->preempt);
	if (!err)
		trace_asked();
	return err ? err : spawn_main();
}

/* Only one run at a time, none after an unclean end. */
static int phase_claim(void)
{
	/* order: full; pairs with the release at the end of run */
	return rg_cas_full(&rt.phase, RG_DOWN, RG_STARTING) ? 0 : -EBUSY;
}

static void rt_reset(uint32_t phase)
{
	const size_t keep = offsetof(struct rt, poller);

	/* users stays as it is: a thread may just be finding out that nothing runs. So do runs and live_ms. */
	_Static_assert(offsetof(struct rt, users) < offsetof(struct rt, poller) &&
		       offsetof(struct rt, runs) < offsetof(struct rt, poller) &&
		       offsetof(struct rt, live_ms) < offsetof(struct rt, poller), "kept");
	memset((char *)&rt + keep, 0, sizeof(rt) - keep);
	/* order: release; pairs with the CAS in phase_claim */
	rg_store_release(&rt.phase, phase);
}

static int run(int (*fn)(void *), void *arg, const struct ringo_options *o, int *result)
{
	bool clean;
	int err;

	rt.main_fn = fn;
	rt.main_arg = arg;
	rt.nglobal = 0;
	rg_add_relaxed(&rt.runs, 1);
	err = bring_up(o);
	if (err) {
		rt.stop_deadline = rg_time_add(rg_now(), rt.shutdown_ns);
		ask_stop();
		take_down();
		rt_reset(RG_DOWN);
		return err;
	}
	wait_main();
	*result = rt.main_result;
	clean = take_down();
	if (clean)
		rt_reset(RG_DOWN);
	else
		rg_store_release(&rt.phase, RG_UNCLEAN); /* order: release; pairs with phase_claim */
	return 0;
}

RG_API int ringo_run_opt(int (*fn)(void *), void *arg, const struct ringo_options *opt)
{
	struct ringo_options o;
	int err, result = 0;

	if (!fn)
		return -EINVAL;
	err = options(&o, opt);
	if (err)
		return err;
	err = phase_claim();
	if (err)
		return err;
	err = run(fn, arg, &o, &result);
	if (err)
		return err;
	if (!o.result)
		return result;
	*o.result = result;
	return 0;
}

RG_API int ringo_run(int (*fn)(void *), void *arg)
{
	return ringo_run_opt(fn, arg, NULL);
}

void rg_run_child(void)
{
	uint32_t runs;

	for (struct rg_exit_hook *h = hooks; h; h = h->next)
		if (h->child)
			h->child();
	for (unsigned i = 0; i < rt.np; i++)
		rt.poller->child(rt.p[i]);
	rg_m_child();
	rg_kern_child();
	rg_state_child();
	rg_events_child();
	rg_lane_reset();
	rg_spares_child();
	runs = rt.runs;
	memset(&rt, 0, sizeof(rt));
	rt.runs = (runs | 1) + 1;
}
