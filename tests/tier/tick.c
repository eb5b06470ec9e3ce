// SPDX-License-Identifier: MIT
/*
 * The tick, without the library: threads here do to their pages what an M does. It takes the P from a goroutine that
 * has run for a quantum, outside the runtime, while somebody waits, and in no other case.
 */
#include "help.h"

#define QUANTUM (2 * MS)

TIERS(tick);

static struct client client, *c = &client;

FIXTURE_SETUP(tick)
{
	TIER_SETUP();
	ASSERT_EQ(0, client_begin(tier, c, QUANTUM / US));
}

FIXTURE_TEARDOWN(tick)
{
	client_close(c);
	TIER_TEARDOWN();
}

/* ---- precision ---- */

enum { ROUNDS = 100 };
static int64_t wall[ROUNDS], cpu[ROUNDS];

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Runs anew whenever its P was taken, and notes how long it had computed then. */
static void run_again(struct mock *m)
{
	for (int i = 0; i < ROUNDS; i++) {
		int64_t wall_start = now_ns(), cpu_start = cpu_ns();

		now_runs(m, 1); /* first: the tick's mark is an old one */
		STORE(&own_page(m)->revoked, RINGO_REVOKED_FREE);
		while (LOAD(&own_page(m)->revoked) != RINGO_REVOKED_TAKEN)
			;
		wall[i] = now_ns() - wall_start;
		cpu[i] = cpu_ns() - cpu_start;
	}
}

TEST_F(tick, a_tight_loop_loses_its_p_after_the_quantum_and_one_tick)
{
	struct ringo_notice n;
	struct mock m = { 0 };

	EXPECT_EQ(QUANTUM / US, c->setup.tick_us);
	STORE(&ctl()->permits, (uint32_t)ROUNDS);
	watch(c, true);
	m_start(&m, c, 1, run_again);
	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_TRUE(client_notice(c, &n, 5000));
		EXPECT_EQ(RINGO_NOTICE_TAKEN, n.what);
		EXPECT_EQ(1, n.page);
		EXPECT_EQ(1, n.p);
	}
	pthread_join(m.thread, NULL); /* not before it has seen the last one */
	EXPECT_FALSE(client_notice(c, &n, 0));
	EXPECT_EQ(0, LOAD(&ctl()->permits));
	EXPECT_EQ(ROUNDS, LOAD(&ctl()->taken));
	qsort(wall, ROUNDS, sizeof(wall[0]), by_size);
	qsort(cpu, ROUNDS, sizeof(cpu[0]), by_size);
	TH_LOG("after p50 %lld p99 %lld us, computing p50 %lld p99 %lld us", (long long)(wall[ROUNDS / 2] / US),
	       (long long)(wall[ROUNDS * 99 / 100] / US), (long long)(cpu[ROUNDS / 2] / US),
	       (long long)(cpu[ROUNDS * 99 / 100] / US));
	EXPECT_GE(wall[0], QUANTUM * 3 / 4);
	/* Of what it has computed: how long it had to wait for a CPU is the other load's doing. */
	if (emulated())
		return;
	EXPECT_LE(cpu[ROUNDS / 2], 2 * QUANTUM + QUANTUM / 4);
	EXPECT_LE(cpu[ROUNDS * 9 / 10], 3 * QUANTUM);
}

/* ---- when, and when not ---- */

static bool lost;
static int64_t how_long;

static void try(struct mock *m)
{
	STORE(&lost, taken_within(m->n, how_long));
}

static bool tried_for(int64_t ns, void (*fn)(struct mock *))
{
	struct mock m = { 0 };

	lost = false;
	how_long = ns;
	m_start(&m, c, 1, fn);
	m_join(&m);
	return lost;
}

static bool tried(void (*fn)(struct mock *))
{
	return tried_for((emulated() ? 250 : 20) * QUANTUM, fn);
}

static bool loses(void)
{
	return tried_for(1000 * QUANTUM, try);
}

TEST_F(tick, nobody_who_waits)
{
	STORE(&ctl()->permits, 1);
	EXPECT_FALSE(tried(try));
	watch(c, true);
	EXPECT_TRUE(loses());
}

TEST_F(tick, no_permit)
{
	watch(c, true);
	EXPECT_FALSE(tried(try));
	EXPECT_LT(0, LOAD(&ctl()->refused));
	STORE(&ctl()->permits, 1);
	EXPECT_TRUE(loses());
}

static void until_refused_often(struct mock *m)
{
	const int64_t until = now_ns() + 10000 * MS;

	while (now_ns() < until && LOAD(&ctl()->refused) < 3)
		;
	lost = LOAD(&own_page(m)->revoked) == RINGO_REVOKED_TAKEN;
}

TEST_F(tick, no_permit_is_lost_when_the_word_is_not_free)
{
	struct mock m = { 0 };

	STORE(&ctl()->permits, 1);
	m_start(&m, c, 1, until_refused_often);
	STORE(&page(1)->revoked, RINGO_REVOKED_ASKED);
	watch(c, true);
	m_join(&m);
	EXPECT_LE(3, LOAD(&ctl()->refused));
	EXPECT_FALSE(lost);
	EXPECT_EQ(1, LOAD(&ctl()->permits));
	EXPECT_EQ(RINGO_REVOKED_ASKED, LOAD(&page(1)->revoked));
}

/* Nobody reads notices: what there is no room for is not taken. */
static uint64_t ring_used(void)
{
	return LOAD((uint64_t *)c->writer) - *c->reader;
}

enum { RECORD = HEAD + sizeof(struct ringo_notice) };

/* BPF keeps room for one. */
static uint64_t ring_full(void)
{
	return c->setup.ring - (tier == &bpf_tier ? RECORD : 0);
}

static void run_until_full(struct mock *m)
{
	const int64_t until = now_ns() + 40000 * MS;
	uint64_t refused = UINT64_MAX;

	while (now_ns() < until && LOAD(&ctl()->refused) < refused) {
		STORE(&own_page(m)->revoked, RINGO_REVOKED_FREE);
		if (refused == UINT64_MAX && ring_used() == ring_full())
			refused = LOAD(&ctl()->refused) + 5;
	}
}

TEST_F_TIMEOUT(tick, no_room_for_the_notice, 60)
{
	const uint32_t room = c->setup.ring / RECORD, many = 10 * room;
	struct ringo_notice n;
	struct mock m = { 0 };
	uint32_t told = 0;

	client_close(c);
	ASSERT_EQ(0, client_begin(tier, c, 1000));
	STORE(&ctl()->permits, many);
	ctl()->quantum = 0; /* each tick is one, but for the first after a switch */
	watch(c, true);
	m_start(&m, c, 1, run_until_full);
	m_join(&m);
	EXPECT_EQ(ring_full(), ring_used());
	while (client_notice(c, &n, 0))
		told++;
	TH_LOG("%u notices in room for %u", told, room);
	EXPECT_LT(0, told);
	if (tier != &bpf_tier) /* which discards where it took nothing */
		EXPECT_EQ(room, told);
	EXPECT_EQ(told, LOAD(&ctl()->taken));
	EXPECT_EQ(many - told, LOAD(&ctl()->permits));
}

static void try_inside(struct mock *m)
{
	STORE(&own_page(m)->in_rt, RINGO_RT_INSIDE);
	try(m);
}

static void try_aside(struct mock *m)
{
	STORE(&own_page(m)->in_rt, RINGO_RT_ASIDE);
	try(m);
}

TEST_F(tick, inside_the_runtime_it_is_asked_to_yield)
{
	STORE(&ctl()->permits, 1);
	watch(c, true);
	EXPECT_FALSE(tried(try_inside));
	EXPECT_EQ(RINGO_ASK_YIELD, LOAD(&page(1)->asked));
	EXPECT_FALSE(tried(try_aside));
	EXPECT_EQ(1, LOAD(&ctl()->permits));
	EXPECT_EQ(0, LOAD(&ctl()->taken));
}

static void try_without_p(struct mock *m)
{
	STORE(&own_page(m)->p, 0);
	try(m);
}

static void try_in_the_scheduler(struct mock *m)
{
	now_runs(m, 0);
	try(m);
}

/* It may be kept from the CPU for longer than it means to run: then it is taken, and rightly so. */
static void try_switching(struct mock *m)
{
	for (int i = 0; i < 40 && !lost; i++) {
		int64_t start = now_ns();

		now_runs(m, 1);
		if (LOAD(&own_page(m)->revoked) == RINGO_REVOKED_FREE && taken_within(m->n, QUANTUM / 2))
			lost = now_ns() - start < QUANTUM * 3 / 4;
		STORE(&own_page(m)->revoked, RINGO_REVOKED_FREE);
		STORE(&ctl()->permits, 1);
	}
}

TEST_F(tick, nothing_to_take)
{
	STORE(&ctl()->permits, 1);
	watch(c, true);
	EXPECT_FALSE(tried(try_without_p));
	EXPECT_FALSE(tried(try_in_the_scheduler));
	EXPECT_EQ(0, LOAD(&ctl()->taken));
	EXPECT_FALSE(tried(try_switching));
	EXPECT_TRUE(loses());
}

/* The loop is there first, and then somebody begins to wait: no switch of threads comes between. */
TEST_F(tick, who_runs_already_gets_ticks_too)
{
	struct mock m = { 0 };

	STORE(&ctl()->permits, 1);
	how_long = 1000 * QUANTUM;
	m_start(&m, c, 1, try);
	nap_ms(5);
	watch(c, true);
	m_join(&m);
	EXPECT_TRUE(lost);
}

/* ---- rate ---- */

/* Local timer interrupts of the CPU we are kept on. */
static long timer_interrupts(void)
{
	char line[4096];
	FILE *f = fopen("/proc/interrupts", "re");
	long sum = -1;

	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "LOC:");

		if (!at)
			continue;
		sum = strtol(at + 4, NULL, 10);
		break;
	}
	if (f)
		fclose(f);
	return sum;
}

static void keep_on_cpu_0(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CHECK_EQ(0, sched_setaffinity(0, sizeof(set), &set));
}

static long interrupts;

static void count_interrupts(struct mock *m)
{
	long before;

	(void)m;
	keep_on_cpu_0();
	before = timer_interrupts();
	taken_within(m->n, 500 * MS);
	STORE(&interrupts, timer_interrupts() - before);
}

static long interrupts_of(void (*fn)(struct mock *))
{
	struct mock m = { 0 };

	m_start(&m, c, 1, fn);
	m_join(&m);
	return interrupts;
}

static bool ticks_come_and_end(struct __test_metadata *_metadata)
{
	long with, without;
	bool come, end;

	watch(c, true);
	with = interrupts_of(count_interrupts);
	come = LOAD(&ctl()->ticks) == 1;
	watch(c, false);
	nap_ms(50);
	interrupts_of(count_interrupts); /* which ends them */
	end = LOAD(&ctl()->ticks) == 0;
	without = interrupts_of(count_interrupts);
	TH_LOG("%ld timer interrupts in 500 ms with ticks (%d), %ld without (%d)", with, come, without, end);
	return come && end && with > without + 500 / (QUANTUM / MS) / 2;
}

/* Timers of others run as well, and the machine may halt for a while: more than once if need be. */
TEST_F_TIMEOUT(tick, ticks_end_when_nobody_waits, 60)
{
	bool so = false;

	for (int i = 0; i < 5 && !so; i++)
		so = ticks_come_and_end(_metadata);
	EXPECT_TRUE(so);
}

/* Each tick is refused: those counts are ours alone. */
TEST_F(tick, no_more_often_than_allowed)
{
	const long others = emulated() ? 600 : 2500; /* in BPF each timer that expires beside us is a tick */
	struct client eager, lazy;
	long limit, interrupts_there;

	client_close(c);
	ASSERT_EQ(0, client_begin(tier, &lazy, 1000000));
	client_close(&lazy);
	ASSERT_EQ(0, client_begin(tier, &eager, 1));
	EXPECT_EQ(tier->least_tick_us(), eager.setup.tick_us);
	EXPECT_LE(tier->least_tick_us(), lazy.setup.tick_us);
	EXPECT_GE(1000000, lazy.setup.tick_us);
	*c = eager;
	limit = 500000 / eager.setup.tick_us * 5 / 4 + others;
	watch(c, true);
	interrupts_there = interrupts_of(count_interrupts);
	TH_LOG("%ld timer interrupts, %llu ticks in 500 ms, allowed are %ld", interrupts_there,
	       (unsigned long long)LOAD(&ctl()->refused), limit);
	if (emulated()) /* nobody else is there */
		EXPECT_GT(limit, interrupts_there);
	EXPECT_GT((uint64_t)limit, LOAD(&ctl()->refused));
	EXPECT_LT(0, LOAD(&ctl()->refused));
}

static void nothing(struct mock *m)
{
	(void)m;
}

TEST_F(tick, a_number_of_a_thread_that_ended_is_free_again)
{
	for (uint32_t i = 0; i < 300; i++) {
		struct mock m = { 0 };

		m_start(&m, c, 1 + i % (c->mapped - 1), nothing);
		m_join(&m);
	}
	STORE(&ctl()->permits, 1);
	watch(c, true);
	EXPECT_TRUE(loses());
}

/* ---- the protocol under load ---- */

/*
 * A P is two counters that only its holder may touch, plainly. Ms enter and leave a runtime as fast as they can;
 * sysmon, when told that it has a P, counts in it, and gives it back.
 */
enum { MS_IN_STRESS = 3 };
static struct { long a, b; } ps[MS_IN_STRESS + 1];
static long torn, entries, handed;
static uint32_t returned[MS_IN_STRESS + 1];

static void use(uint32_t p)
{
	if (ps[p].a != ps[p].b)
		ADD(&torn, 1);
	ps[p].a++;
	__asm__ volatile("pause" ::: "memory");
	ps[p].b++;
}

static void enter_and_leave(struct mock *m)
{
	struct ringo_m_page *pg = own_page(m);
	uint32_t mine = m->n; /* 0: none */
	long n = 0;

	while (!LOAD(&m->stop)) {
		__atomic_store_n(&pg->in_rt, RINGO_RT_INSIDE, __ATOMIC_RELAXED);
		__asm__ volatile("" ::: "memory");
		if (__atomic_load_n(&pg->revoked, __ATOMIC_RELAXED) == RINGO_REVOKED_TAKEN) {
			STORE(&pg->p, 0);
			STORE(&pg->revoked, RINGO_REVOKED_FREE);
			mine = 0;
		}
		if (!mine && LOAD(&returned[m->n])) {
			STORE(&returned[m->n], 0);
			mine = m->n;
			now_runs(m, 1);
			STORE(&pg->p, mine);
		}
		if (mine)
			use(mine);
		n++;
		STORE(&pg->in_rt, 0);
		/* An emulated CPU takes interrupts where it pauses: outside, too. */
		for (volatile int i = 0; i < 200; i++)
			if (i % 32 == 0)
				__asm__ volatile("pause" ::: "memory");
	}
	ADD(&entries, n);
}

TEST_F_TIMEOUT(tick, whoever_holds_a_p_holds_it_alone, 60)
{
	struct mock ms[MS_IN_STRESS + 1] = { 0 };
	int64_t until = now_ns() + 5000 * MS;
	struct ringo_notice n;

	ctl()->quantum = 300; /* so that nearly each tick is one */
	STORE(&ctl()->permits, MS_IN_STRESS);
	watch(c, true);
	for (uint32_t i = 1; i <= MS_IN_STRESS; i++)
		m_start(&ms[i], c, i, enter_and_leave);
	while (now_ns() < until) {
		if (!client_notice(c, &n, 100))
			continue;
		for (int i = 0; i < 1000; i++)
			use(n.p);
		handed++;
		STORE(&returned[n.page], 1);
		ADD(&ctl()->permits, 1);
	}
	for (uint32_t i = 1; i <= MS_IN_STRESS; i++)
		m_join(&ms[i]);
	TH_LOG("%ld entries, %ld taken, %lld asked inside", entries, handed, (long long)ctl()->asked);
	EXPECT_LT(emulated() ? 20 : 100, handed);
	EXPECT_EQ(0, torn);
}

TIER_MAIN
