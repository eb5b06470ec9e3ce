// SPDX-License-Identifier: MIT
/*
 * The kernel has no memory: whatever is done here is done with its first allocation failing, then with its second,
 * and so on, until none is left. It says so, what it began is undone, and the same again succeeds.
 */
#include "faults.h"
#include "help.h"

static int faults;

FIXTURE(faults) {
};

FIXTURE_SETUP(faults)
{
	faults = faults_open();
	ASSERT_LE(0, faults);
}

/* Nobody has a reference. What ends a thread ends its M a moment later. */
FIXTURE_TEARDOWN(faults)
{
	int err = -EWOULDBLOCK;

	for (int i = 0; i < 2000 && err == -EWOULDBLOCK; i++) {
		err = module_unload();
		nap_ms(5);
	}
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, module_load(""));
	EXPECT_EQ(0, serves());
}

/* ---- one client ---- */

struct life {
	int fd;
	struct ringo_setup setup;
	char *pages, *ring;
};

static int life_open(struct life *l)
{
	l->fd = dev_open();
	return l->fd < 0 ? -errno : 0;
}

static int life_setup(struct life *l)
{
	return dev_setup(l->fd, &l->setup, 1000);
}

static int life_pages(struct life *l)
{
	l->pages = dev_map(l->fd, 0, 8, PROT_READ | PROT_WRITE);
	return l->pages ? 0 : -errno;
}

static int life_ring(struct life *l)
{
	l->ring = dev_map(l->fd, l->setup.ring_at + 1, 2, PROT_READ);
	return l->ring ? 0 : -errno;
}

static int life_add(struct life *l)
{
	return dev_add(l->fd, 1);
}

static int life_watch(struct life *l)
{
	return dev_ioctl(l->fd, RINGO_IOC_WATCH, NULL);
}

static int life_poll(struct life *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return poll(&p, 1, 0) < 0 ? -errno : 0;
}

static int life_remove(struct life *l)
{
	return dev_ioctl(l->fd, RINGO_IOC_REMOVE, NULL);
}

static void life_end(struct life *l)
{
	if (l->ring)
		munmap(l->ring, 2 * PAGE);
	if (l->pages)
		munmap(l->pages, 8 * PAGE);
	if (l->fd >= 0)
		close(l->fd);
}

static const struct {
	const char *name;
	int (*fn)(struct life *l);
} stages[] = {
	{ "open", life_open }, { "setup", life_setup }, { "map the pages", life_pages }, { "map the ring", life_ring },
	{ "add", life_add }, { "watch", life_watch }, { "poll", life_poll }, { "remove", life_remove },
};

enum { STAGES = sizeof(stages) / sizeof(stages[0]) };

/* How often a stage has failed because of the n-th; it is to be had at once after that. */
static int failed[STAGES];

/* A copy that fails tells so; all else is memory. The answer to a setup that has succeeded may be what was lost. */
static bool one_stage(struct life *l, int i)
{
	int err = stages[i].fn(l), again;

	if (!err)
		return true;
	failed[i]++;
	CHECK(err == -ENOMEM || err == -EFAULT);
	again = stages[i].fn(l);
	CHECK(!again || (again == -EBUSY && err == -EFAULT && stages[i].fn == life_setup));
	return !again;
}

static bool one_life(uint32_t n)
{
	struct life l = { .fd = -1 };

	faults_begin(faults, n);
	for (int i = 0; i < STAGES && one_stage(&l, i); i++)
		;
	life_end(&l);
	return faults_end(faults);
}

TEST_F_TIMEOUT(faults, each_allocation_of_a_client, 600)
{
	/* The kernel's allocators allocate, too, now and then: once round may step over a stage. */
	for (int i = 0; i < 5; i++) {
		uint32_t n = 1;

		while (one_life(n))
			n++;
		TH_LOG("%u of them", n - 1);
		EXPECT_LT(20, n);
	}
	for (int i = 0; i < STAGES; i++)
		TH_LOG("%d in %s", failed[i], stages[i].name);
	EXPECT_LT(5, failed[1]);
	EXPECT_LT(30, failed[2]);
	EXPECT_LT(5, failed[4]);
}

/* ---- a thread that ends ---- */

struct ending {
	struct client *c;
	uint32_t n;
};

static void *ends_without_memory(void *arg)
{
	struct ending *e = arg;
	int err = -EBUSY;

	/* That of the thread before is free a little later. */
	while (err == -EBUSY)
		err = dev_add(e->c->fd, 1);
	CHECK_EQ(0, err);
	faults_begin(faults_open(), e->n);
	return NULL;
}

TEST_F_TIMEOUT(faults, a_thread_that_ends, 600)
{
	struct client c;

	ASSERT_EQ(0, client_open(&c, 1000));
	watch(&c, true);
	for (uint32_t n = 1; n <= 30; n++) {
		struct ending e = { &c, n };
		pthread_t t;

		ASSERT_EQ(0, pthread_create(&t, NULL, ends_without_memory, &e));
		pthread_join(t, NULL);
	}
	client_close(&c);
}

/* ---- the module itself ---- */

TEST_F_TIMEOUT(faults, each_allocation_of_loading, 1200)
{
	bool happened = true;
	int refused = 0;
	uint32_t n;

	for (n = 1; happened; n++) {
		int err = module_unload();

		ASSERT_TRUE(!err || err == -ENOENT);
		faults_begin(faults, n);
		err = module_load("");
		happened = faults_end(faults);
		refused += err != 0;
		ASSERT_TRUE(happened || !err);
	}
	TH_LOG("%d of %u let it fail", refused, n - 2);
	EXPECT_LT(20, refused);
}

int main(int argc, char **argv)
{
	const char *why = module_missing();

	if (!why && !faults_possible())
		why = "no fault injection: be root, CONFIG_FAULT_INJECTION, debugfs (tests/vm/debug.sh)";
	if (!why)
		return test_harness_run(argc, argv);
	printf("1..0 # SKIP %s\n", why);
	return KSFT_SKIP;
}
