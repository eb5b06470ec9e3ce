/* SPDX-License-Identifier: MIT */
/*
 * The safety suite, safety_*.c: goroutines that lose their P in the middle of something that depends on the
 * thread it runs on.
 *
 * Each test is one unit of work, without a call that may wait, that checks its own invariants. A few workers
 * for each P repeat it until they have lost their P, talk to each other in calls that wait, and begin anew, until
 * the runtime has counted enough revocations: RINGO_TEST_REVOCATIONS for each test, a few hundred otherwise.
 *
 * Each program is linked a second time with tests/spot/on_the_spot.c. There the runtime revokes nobody; instead
 * a goroutine is switched away in the middle of its unit and goes on later, perhaps on another thread. Every
 * test has to fail then, which shows that it would find such a switch (tests/run/safety.sh).
 */
#ifndef RINGO_TESTS_SAFETY_H
#define RINGO_TESTS_SAFETY_H

#include <sched.h>

#include "core/kern.h"
#include "core/rt.h"
#include "help.h"

enum {
	SAFETY_REVOCATIONS = 500,
	SAFETY_QUANTUM_US = 100, /* shorter: where CPUs are busy, sysmon takes what there is of them */
	SAFETY_SLICE_S = 8,   /* without RINGO_TEST_REVOCATIONS a slow machine may do fewer */
	SAFETY_STUCK_S = 20,  /* nobody gets on */
	SAFETY_MAX_WORKERS = 32,
};

struct worker {
	unsigned id;
	uint64_t rand;
	void (*unit)(struct worker *w);
	void *own; /* the unit's: zero-initialised, freed at the end */
	uint64_t units;
};

/* In the programs that switch on the spot: begin to do so; and whether the caller may be switched. */
void spot_start(void) __attribute__((weak));
void spot_arm(bool on) __attribute__((weak));

static struct {
	struct worker workers[SAFETY_MAX_WORKERS];
	unsigned n;
	uint64_t target;
	int64_t until;
	struct ringo_chan *tokens;
	long token_sum;
	struct ringo_mutex mutex;
	uint64_t bursts;
	uint64_t revocations; /* at the end */
	struct ringo_waitgroup done;
} safety;

static inline unsigned rand_below(struct worker *w, unsigned n)
{
	w->rand = w->rand * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(w->rand >> 33) % n;
}

static inline bool safety_lost_p(void)
{
	struct m *m = rg_m();

	return !m->p || rg_load_relaxed(&rg_m_page(m)->revoked) == RINGO_REVOKED_TAKEN;
}

/* By whoever takes Ps in this tier: with BPF programs there are a few of sysmon's beside those in ticks. */
static inline uint64_t safety_revocations(void)
{
	const struct ringo_ctl_page *ctl = rg_kern_ctl();

	return ctl ? rg_load_relaxed(&ctl->taken) : rg_load_relaxed(&rt.revocations);
}

static inline bool safety_over(void)
{
	return safety_revocations() >= safety.target || now_ns() > safety.until;
}

/* Units until the P is lost, and a few more without it; now and then as many as fit into a while. */
static inline void safety_burst(struct worker *w)
{
	int64_t until = now_ns() + 2 * RINGO_MS;
	unsigned extra = rand_below(w, 8) ? rand_below(w, 4) : UINT_MAX;

	if (spot_arm)
		spot_arm(true);
	do {
		w->unit(w);
		w->units++;
	} while (now_ns() < until && (!safety_lost_p() || extra--));
	if (spot_arm)
		spot_arm(false);
}

/* As many values as workers go round in the channel. */
static inline void safety_pass_token(void)
{
	long v;

	CHECK_EQ(1, ringo_chan_recv(safety.tokens, &v));
	v++;
	CHECK_EQ(0, ringo_chan_send(safety.tokens, &v));
	ringo_mutex_lock(&safety.mutex);
	safety.token_sum++;
	ringo_mutex_unlock(&safety.mutex);
}

static inline void safety_talk(struct worker *w)
{
	switch (rand_below(w, 4)) {
	case 0:
		safety_pass_token();
		break;
	case 1:
		CHECK_EQ(0, ringo_sleep(rand_below(w, 20000)));
		break;
	case 2:
		ringo_checkpoint();
		break;
	default:
		break;
	}
	/* A run that is short, so that the next one begins with a P. */
	ringo_yield();
	ringo_yield();
}

static inline void safety_worker(struct worker *w)
{
	while (!safety_over()) {
		safety_burst(w);
		safety_talk(w);
		ADD(&safety.bursts, 1);
	}
	ringo_waitgroup_done(&safety.done);
}

/* A thread beside the run: bursts must go on. */
static inline void *safety_watch(void *arg)
{
	int stuck_s = spot_start ? 2 : SAFETY_STUCK_S;
	uint64_t seen = 0;

	for (int idle = 0; idle < stuck_s * 10; idle++) {
		uint64_t now = LOAD(&safety.bursts);

		nap_ms(100);
		if (now != seen)
			idle = 0;
		seen = now;
	}
	CHECK(!"no goroutine gets on");
	return arg;
}

static inline bool safety_revokes(const char *tid)
{
	char path[300], line[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%s/comm", tid);
	f = fopen(path, "re");
	if (f) {
		if (!fgets(line, sizeof(line), f))
			line[0] = 0;
		fclose(f);
	}
	return !strcmp(line, "ringo-sysmon\n");
}

/* 0, or why it cannot be. ESRCH: it has no name yet. */
static inline int safety_raise(void)
{
	const struct sched_param prio = { .sched_priority = 1 };
	DIR *d = opendir("/proc/self/task");
	int err = ESRCH;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && safety_revokes(e->d_name))
			err = sched_setscheduler(atoi(e->d_name), SCHED_FIFO | SCHED_RESET_ON_FORK, &prio) ? errno : 0;
	if (d)
		closedir(d);
	return err;
}

/*
 * Where all CPUs are busy it comes late by a tick of the kernel, and then the suite takes ten times as long.
 * So it gets a standing of its own where we may give that.
 */
static inline void safety_hurry(void)
{
	while (safety_raise() == ESRCH)
		nap_ms(1);
}

static inline int safety_main(void *unit)
{
	const char *wanted = getenv("RINGO_PREEMPT");
	long v = 0, sum = 0;

	if (wanted && !strcmp(wanted, "bpf"))
		CHECK_EQ(RINGO_PREEMPT_BPF, rt.preempt);
	if (wanted && !strcmp(wanted, "kmod"))
		CHECK_EQ(RINGO_PREEMPT_KMOD, rt.preempt);
	safety_hurry();
	safety.tokens = ringo_chan_new(sizeof(long), safety.n);
	for (unsigned i = 0; i < safety.n; i++)
		CHECK_EQ(0, ringo_chan_send(safety.tokens, &v));
	ringo_waitgroup_add(&safety.done, (int)safety.n);
	for (unsigned i = 0; i < safety.n; i++) {
		struct worker *w = &safety.workers[i];

		*w = (struct worker){ .id = i, .rand = i + 1, .unit = (void (*)(struct worker *))unit };
		CHECK_EQ(0, ringo_go(safety_worker, w));
	}
	ringo_waitgroup_wait(&safety.done);
	for (unsigned i = 0; i < safety.n; i++) {
		CHECK_EQ(1, ringo_chan_recv(safety.tokens, &v));
		sum += v;
		free(safety.workers[i].own);
	}
	CHECK_EQ(safety.token_sum, sum);
	ringo_chan_unref(safety.tokens);
	safety.revocations = safety_revocations();
	return 0;
}

static inline unsigned safety_procs(void)
{
	const char *s = getenv("RINGO_PROCS");

	return s ? (unsigned)atoi(s) : 2;
}

/* The body of a test: what ringo_run returned. */
static inline int safety_run(void (*unit)(struct worker *w))
{
	const char *target = getenv("RINGO_TEST_REVOCATIONS");
	int result = -1;
	struct ringo_options o = RINGO_OPTIONS(.result = &result);
	pthread_t watch;
	char quantum[16];

	safety.target = target ? strtoull(target, NULL, 10) : SCALE(SAFETY_REVOCATIONS);
	safety.until = target ? INT64_MAX : now_ns() + SAFETY_SLICE_S * RINGO_SEC;
	safety.n = 2 * safety_procs() + 2;
	if (safety.n > SAFETY_MAX_WORKERS)
		safety.n = SAFETY_MAX_WORKERS;
	snprintf(quantum, sizeof(quantum), "%d", SAFETY_QUANTUM_US);
	setenv("RINGO_QUANTUM_US", quantum, 0);
	if (spot_start)
		setenv("RINGO_PREEMPT", "off", 1);
	CHECK(!pthread_create(&watch, NULL, safety_watch, NULL));
	if (spot_start)
		spot_start();
	CHECK_EQ(0, ringo_run_opt(safety_main, (void *)unit, &o));
	if (!spot_start)
		CHECK(safety.revocations > 0);
	return result;
}

#define SAFETY_TEST(name) \
	static void unit_##name(struct worker *w); \
	TEST(name) \
	{ \
		EXPECT_EQ(0, safety_run(unit_##name)); \
		TH_LOG("%llu revocations", (unsigned long long)safety.revocations); \
	} \
	static void __attribute__((constructor)) patient_##name(void) \
	{ \
		_##name##_object.timeout = getenv("RINGO_TEST_REVOCATIONS") ? INT_MAX : TEST_TIMEOUT_DEFAULT; \
	} \
	static void unit_##name(struct worker *w)

#endif
