// SPDX-License-Identifier: MIT
/*
 * The simulated machine: threads that take turns on one real thread, by seed.
 *
 * A thread gives others a turn at every ordered atomic access (rg_sim_point) with a probability that the
 * seed also chooses, so some seeds interleave finely and some run long stretches. It sleeps only in
 * rg_sim_block, with a condition. When no thread can go on, time jumps to the next end of a sleep or event
 * of the ring. When there is none either, every thread sleeps for ever: a wake-up was lost, and the
 * simulation says so and aborts. That is its main purpose.
 *
 * It interleaves sequentially consistent executions: it finds wrong protocols, not missing fences.
 */
#include "base/sim.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch/arch.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"

enum { MAX_THREADS = 128, STACK = 256 << 10 };

struct thread {
	void *sp;
	void *stack;
	void *(*fn)(void *);
	void *arg;
	struct rg_self *self;
	int err;
	bool used, done, detached;
	bool (*ready)(void *); /* NULL: runs */
	void *ready_arg;
	int64_t until;
	int64_t cpu;           /* it has used so much */
};

static struct {
	bool on;
	uint64_t seed, rand;
	int64_t now;
	unsigned switch_one_in;
	unsigned cur, n;
	struct rg_sim_faults faults;
	struct thread threads[MAX_THREADS];
} sim;

int64_t (*rg_sim_next_event)(void);
int rg_sim_others;

uint64_t rg_sim_rand(void)
{
	return rg_rand(&sim.rand);
}

bool rg_sim_chance(unsigned n)
{
	return n && rg_sim_rand() % n == 0;
}

const struct rg_sim_faults *rg_sim_faults(void)
{
	return &sim.faults;
}

int64_t rg_sim_now(void)
{
	return sim.now;
}

static bool can_run(struct thread *t)
{
	if (!t->used || t->done)
		return false;
	return !t->ready || t->until <= sim.now || t->ready(t->ready_arg);
}

static void switch_to(unsigned next)
{
	struct thread *from = &sim.threads[sim.cur], *to = &sim.threads[next];

	if (next == sim.cur)
		return;
	from->self = rg_arch_self();
	from->err = errno;
	sim.cur = next;
	rg_arch_set_self(to->self);
	errno = to->err;
	rg_switch(&from->sp, to->sp);
}

/* Some thread that can run, other than us if there is one; sim.n if none. */
static unsigned choose(void)
{
	unsigned at = (unsigned)(rg_sim_rand() % sim.n);

	for (unsigned i = 0; i < sim.n; i++) {
		unsigned t = (at + i) % sim.n;

		if (t != sim.cur && can_run(&sim.threads[t]))
			return t;
	}
	return can_run(&sim.threads[sim.cur]) ? sim.cur : sim.n;
}

static void advance(void)
{
	int64_t next = rg_sim_next_event ? rg_sim_next_event() : INT64_MAX;

	for (unsigned i = 0; i < sim.n; i++)
		if (sim.threads[i].used && !sim.threads[i].done)
			next = rg_min(next, sim.threads[i].until);
	if (next == INT64_MAX)
		rg_fatal("simulation, seed %llu: every thread sleeps for ever: a wake-up was lost",
			 (unsigned long long)sim.seed);
	sim.now = rg_max(sim.now, next);
}

static void give_turn(void)
{
	unsigned next;

	while ((next = choose()) == sim.n)
		advance();
	switch_to(next);
}

void rg_sim_point(void)
{
	if (!sim.on)
		return;
	sim.now += 20;
	sim.threads[sim.cur].cpu += 20;
	if (rg_sim_chance(sim.switch_one_in))
		give_turn();
}

void rg_sim_block(bool (*ready)(void *), void *arg, int64_t until)
{
	struct thread *t = &sim.threads[sim.cur];

	t->ready = ready;
	t->ready_arg = arg;
	t->until = until;
	give_turn();
	while (!can_run(t))
		give_turn();
	t->ready = NULL;
	t->until = INT64_MAX;
}

struct word {
	uint32_t *word, val;
};

static bool word_changed(void *arg)
{
	const struct word *w = arg;

	return rg_load_relaxed(w->word) != w->val;
}

void rg_futex_wait(uint32_t *word, uint32_t val, int64_t timeout_ns)
{
	struct word w = { word, val };

	rg_sim_block(word_changed, &w, timeout_ns < 0 ? INT64_MAX : sim.now + timeout_ns);
}

/* Sleepers watch the word themselves. A wake without a change is no wake: nobody relies on one. */
void rg_futex_wake(uint32_t *word, int n)
{
	(void)word, (void)n;
	rg_sim_point();
}

static void thread_entry(void)
{
	struct thread *t = &sim.threads[sim.cur];

	t->fn(t->arg);
	t->done = true;
	t->self = NULL;
	give_turn();
	rg_fatal("simulation: a thread that ended got a turn");
}

/* A first frame for rg_switch: six registers, then where to go. */
static void *first_frame(void *stack)
{
	void **top = (void **)((char *)stack + STACK);

	*--top = NULL; /* keeps the stack aligned as after a call */
	*--top = (void *)thread_entry;
	top -= 6;
	memset(top, 0, 6 * sizeof(*top));
	return top;
}

static struct thread *slot(void)
{
	for (unsigned i = 1; i < sim.n; i++)
		if (!sim.threads[i].used || (sim.threads[i].done && sim.threads[i].detached))
			return &sim.threads[i];
	return sim.n < MAX_THREADS ? &sim.threads[sim.n++] : NULL;
}

int rg_thread_start(struct rg_thread *id, void *(*fn)(void *), void *arg, unsigned flags)
{
	struct thread *t;
	void *stack;

	if (rg_sim_chance(sim.faults.refuse_threads))
		return -EAGAIN;
	t = slot();
	if (!t)
		return -EAGAIN;
	stack = t->stack;
	if (!stack)
		stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		return -EAGAIN;
	*t = (struct thread){ .used = true, .fn = fn, .arg = arg, .stack = stack, .until = INT64_MAX,
			      .detached = flags & RG_THREAD_DETACHED, .sp = first_frame(stack) };
	id->id = (pthread_t)(t - sim.threads);
	return 0;
}

void rg_thread_name(const char *name)
{
	(void)name;
}

void rg_thread_punctual(void)
{
}

static bool is_done(void *arg)
{
	return ((struct thread *)arg)->done;
}

void rg_thread_join(struct rg_thread *id)
{
	struct thread *t = &sim.threads[id->id];

	rg_sim_block(is_done, t, INT64_MAX);
	t->used = false;
}

int rg_thread_self(void)
{
	return (int)sim.cur;
}

int64_t rg_thread_cpu(const struct rg_thread *id)
{
	return sim.threads[id->id].cpu;
}

char rg_thread_state(int tid)
{
	return can_run(&sim.threads[tid]) ? 'R' : 'S';
}

int rg_thread_syscall(int tid)
{
	(void)tid;
	return SYS_futex;
}

int rg_thread_standing(int tid, enum rg_standing standing)
{
	(void)tid;
	(void)standing;
	return 0;
}

void rg_thread_detach(struct rg_thread *id)
{
	sim.threads[id->id].detached = true;
}

void rg_sim_begin(uint64_t seed, const struct rg_sim_faults *faults)
{
	static const unsigned grains[] = { 2, 3, 8, 30, 200 };

	sim.seed = seed;
	sim.rand = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
	for (int i = 0; i < 4; i++)
		rg_sim_rand(); /* small seeds begin alike */
	sim.faults = faults ? *faults : (struct rg_sim_faults){ 0 };
	sim.switch_one_in = grains[rg_sim_rand() % RG_ARRAY_SIZE(grains)];
	sim.now = INT64_C(1000000000);
	sim.cur = 0;
	sim.n = 1;
	sim.threads[0].used = true;
	sim.threads[0].until = INT64_MAX;
	sim.on = true;
}

void rg_sim_end(void)
{
	for (unsigned i = 1; i < MAX_THREADS; i++) {
		if (sim.threads[i].stack)
			munmap(sim.threads[i].stack, STACK);
		sim.threads[i] = (struct thread){ 0 };
	}
	sim.on = false;
}
