// SPDX-License-Identifier: MIT
/* All at once: a mesh of channels, a contended mutex, deadlines that race, Ps that come and go. */
#include "run/help.h"

enum { NODES = 16 };

static int stop, ended;
static int64_t in, out;

FIXTURE(storm) {
};

FIXTURE_SETUP(storm)
{
}

FIXTURE_TEARDOWN(storm)
{
}

static struct ringo_chan *mesh[NODES];

/* Passes on what comes to a node of its choice; drops it after some hops. */
static void node(int id)
{
	uint64_t rand = (uint64_t)id + 1;
	int64_t v;

	while (ringo_chan_recv(mesh[id], &v) == 1) {
		int res = -EAGAIN;

		if (v > 0) {
			ringo_timeout_scope((int64_t)(rg_rand(&rand) % 100) * RINGO_US);
			v--;
			res = ringo_chan_send(mesh[rg_rand(&rand) % NODES], &v);
		}
		if (res)
			ADD(&out, 1);
	}
	ADD(&ended, 1);
}

static void feeds(int id)
{
	uint64_t rand = (uint64_t)id + 1000;

	while (!LOAD(&stop)) {
		int64_t hops = (int64_t)(rg_rand(&rand) % 50);

		ringo_timeout_scope(RINGO_MS);
		if (!ringo_chan_send(mesh[rg_rand(&rand) % NODES], &hops))
			ADD(&in, 1);
	}
	ADD(&ended, 1);
}

static int mesh_main(void *arg)
{
	for (int i = 0; i < NODES; i++)
		mesh[i] = ringo_chan_new(sizeof(int64_t), (size_t)i % 4);
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < 4; k++)
			CHECK_EQ(0, ringo_go(node, i));
	for (int i = 0; i < 8; i++)
		CHECK_EQ(0, ringo_go(feeds, i));
	for (int i = 0; i < SCALE(1000); i++) {
		if (arg)
			CHECK(ringo_maxprocs(i * 7 % 8 + 1) > 0);
		CHECK_EQ(0, ringo_sleep(10 * RINGO_MS));
	}
	STORE(&stop, 1);
	while (LOAD(&ended) < 8)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	while (LOAD(&in) != LOAD(&out)) /* every message is dropped by somebody at last */
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	for (int i = 0; i < NODES; i++)
		CHECK_EQ(0, ringo_chan_close(mesh[i]));
	while (LOAD(&ended) < 8 + 4 * NODES)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK(in > 0);
	return 0;
}

TEST_F_TIMEOUT(storm, messages_in_a_mesh_with_deadlines, 120)
{
	use_procs(4);
	EXPECT_EQ(0, ringo_run(mesh_main, NULL));
}

TEST_F_TIMEOUT(storm, messages_in_a_mesh_while_Ps_come_and_go, 120)
{
	use_procs(4);
	EXPECT_EQ(0, ringo_run(mesh_main, (void *)1));
}

static struct ringo_mutex mu;
static int64_t counter;

static void locks(int id)
{
	uint64_t rand = (uint64_t)id + 1;

	for (int i = 0; i < SCALE(20000); i++) {
		ringo_mutex_lock(&mu);
		counter++;
		if (rg_rand(&rand) % 256 == 0)
			CHECK_EQ(0, ringo_sleep(10 * RINGO_US));
		else if (rg_rand(&rand) % 16 == 0)
			ringo_yield();
		ringo_mutex_unlock(&mu);
	}
	ADD(&ended, 1);
}

static int mutex_main(void *arg)
{
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(locks, i));
	while (LOAD(&ended) < 100)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(100 * (int64_t)SCALE(20000), counter);
	return 0;
}

TEST_F_TIMEOUT(storm, one_mutex_for_a_hundred, 120)
{
	use_procs(4);
	EXPECT_EQ(0, ringo_run(mutex_main, NULL));
}

static int job(void *arg)
{
	nap_ms(1);
	return (int)(intptr_t)arg;
}

static void calls_pool(int id)
{
	for (int i = 0; i < 200; i++) {
		int result = -1, err;

		ringo_timeout_scope((i % 10) * RINGO_MS / 4);
		err = ringo_blocking(job, (void *)(intptr_t)i, &result);
		CHECK(err == -ETIMEDOUT || (!err && result == i));
	}
	ADD(&ended, 1);
}

static int pool_main(void *arg)
{
	for (int i = 0; i < 100; i++)
		CHECK_EQ(0, ringo_go(calls_pool, i));
	while (LOAD(&ended) < 100)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

TEST_F_TIMEOUT(storm, deadlines_on_the_blocking_pool, 120)
{
	EXPECT_EQ(0, ringo_run(pool_main, NULL));
}

TEST_HARNESS_MAIN
