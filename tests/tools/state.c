// SPDX-License-Identifier: MIT
/* The state for readers outside: where it is found, that it tells the truth, and that it goes with the run. */
#include <sys/resource.h>
#include <sys/uio.h>

#include "help.h"

static struct ringo_g *record(const struct ringo_state *s, uint32_t i)
{
	return (struct ringo_g *)(uintptr_t)(s->table + (uint64_t)i * s->stride);
}

/* The only one with that function. */
static struct ringo_g *find_g(const struct ringo_state *s, void (*fn)(void *))
{
	uint32_t used = LOAD((uint32_t *)(uintptr_t)s->used);
	struct ringo_g *found = NULL;

	for (uint32_t i = 0; i < used; i++)
		if (LOAD(&record(s, i)->state) != RINGO_G_FREE && LOAD(&record(s, i)->fn) == (uintptr_t)fn) {
			CHECK(!found);
			found = record(s, i);
		}
	CHECK(found != NULL);
	return found;
}

static void receiver(void *chan)
{
	int res = ringo_chan_recv(chan, NULL);

	CHECK(res <= 0);
}

static void spinner(void *stop)
{
	while (!LOAD((bool *)stop))
		;
}

static void wait_state(const struct ringo_g *g, int state)
{
	for (int i = 0; i < 5000 && LOAD(&g->state) != state; i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(state, LOAD(&g->state));
}

/* As a tool would: the memory of a process, without a word to its threads. */
static struct ringo_g copy_of(const struct ringo_g *g)
{
	struct ringo_g copy;
	struct iovec to = { &copy, sizeof(copy) }, from = { (void *)g, sizeof(copy) };

	CHECK_EQ(sizeof(copy), process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	return copy;
}

/* Its registers are where they are saved while it does not run. */
static bool lies_on_stack(const struct ringo_state *s, struct ringo_g g)
{
	const struct ringo_stack_class *class = &s->classes[g.slot >> RINGO_SLOT_SHIFT];
	uint64_t lo = class->base + ((g.slot & ((1u << RINGO_SLOT_SHIFT) - 1)) - 1) * class->slot;

	return g.sp > lo && g.sp < lo + class->slot;
}

static void check_parked(const struct ringo_state *s, const struct ringo_chan *c)
{
	const struct ringo_g *waits = find_g(s, receiver);
	struct ringo_g copy;

	wait_state(waits, RINGO_G_WAITING);
	for (int i = 0; i < 5000 && !lies_on_stack(s, copy = copy_of(waits)); i++)
		CHECK_EQ(0, ringo_sleep(RINGO_MS)); /* it is on its way there */
	CHECK(lies_on_stack(s, copy));
	CHECK_EQ(RINGO_WHY_CHAN_RECV, copy.reason);
	CHECK_EQ((uintptr_t)c, copy.wait_on);
	CHECK_EQ(RINGO_G_DAEMON, copy.flags);
	CHECK(!strcmp("receiver 1", (char *)(uintptr_t)copy.name));
	CHECK(((uint64_t)now_ns() >> 20) - copy.since < 60000);
}

static void check_running(const struct ringo_state *s)
{
	const struct ringo_g *g = find_g(s, spinner);
	const struct ringo_m_page *page = NULL;
	uint32_t number = (uint32_t)(((uintptr_t)g - s->table) / s->stride) + 1;
	char path[64];

	wait_state(g, RINGO_G_RUNNING);
	for (int i = 0; i < RINGO_STATE_MS && LOAD(&s->ms[i].page); i++) {
		const struct ringo_m_page *p = (void *)(uintptr_t)s->ms[i].page;

		CHECK_EQ(RINGO_ABI_VERSION, p->abi);
		snprintf(path, sizeof(path), "/proc/self/task/%d", s->ms[i].tid);
		CHECK_EQ(0, access(path, F_OK));
		if (LOAD(&p->cur_g) == number)
			page = p;
	}
	CHECK(page != NULL);
}

G_TEST(tells_what_a_goroutine_does)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "receiver 1", .flags = RINGO_GO_DAEMON);
	struct ringo_chan *c = ringo_chan_new(0, 0);
	struct ringo_state *s = find_state();
	bool stop = false;

	CHECK(s != NULL);
	CHECK(s->magic == RINGO_STATE_MAGIC);
	CHECK_EQ(RINGO_STATE_VERSION, s->version);
	CHECK_EQ(sizeof(*s), s->size);
	CHECK_EQ(1, s->up);
	CHECK_EQ(getpid(), s->pid);
	CHECK(s->started <= now_ns() && s->started > now_ns() - 600 * RINGO_SEC);
	CHECK_EQ(0, ringo_go_opt(&o, receiver, c));
	check_parked(s, c);
	CHECK_EQ(0, ringo_go_fn(spinner, &stop));
	check_running(s);
	STORE(&stop, true);
	return 0;
}

static int state_main(void *arg)
{
	*(bool *)arg = find_state();
	return 0;
}

TEST(is_there_while_a_run_goes_on)
{
	bool there = false;

	EXPECT_EQ(NULL, find_state());
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, ringo_run(state_main, &there));
		EXPECT_TRUE(there);
		EXPECT_EQ(NULL, find_state());
	}
}

G_TEST(is_not_inherited)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(find_state() ? 1 : 0);
	CHECK_EQ(pid, waitpid(pid, &status, 0));
	CHECK_EQ(0, status);
	CHECK(find_state() != NULL);
	return 0;
}

/* A file that may not grow is a signal to who tries. */
TEST(does_without_where_files_may_not_grow)
{
	const struct rlimit none = { 0, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
	bool there = true;

	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &none));
	EXPECT_EQ(0, ringo_run(state_main, &there));
	setrlimit(RLIMIT_FSIZE, &all);
	EXPECT_FALSE(there);
}

TEST_HARNESS_MAIN
