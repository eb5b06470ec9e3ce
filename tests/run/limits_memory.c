// SPDX-License-Identifier: MIT
/* Running out of memory and address space. */
#include <grp.h>

#include "io_help.h"

static size_t limit_mb;

static void limit_space(void)
{
	struct rlimit l = { limit_mb << 20, limit_mb << 20 };

	CHECK(!setrlimit(RLIMIT_AS, &l));
}

static int finished, stop;

static void wait_for_stop(void)
{
	while (!LOAD(&stop))
		OK(ringo_sleep(RINGO_MS));
	ADD(&finished, 1);
}

/* Spawn until it is refused; then all that were accepted run to their end, and there is room again. */
static int spawn_to_the_limit(void *arg)
{
	int n = 0, err;

	(void)arg;
	while (n < 20000 && !(err = ringo_go(wait_for_stop)))
		n++;
	if (n < 20000)
		CHECK_EQ(err, -EAGAIN);
	CHECK(n > 0);
	STORE(&stop, 1);
	until(&finished, n);
	for (int i = 0; i < 100 && i < n; i++) {
		err = ringo_go(wait_for_stop);
		CHECK_EQ(err, 0);
		until(&finished, n + i + 1);
	}
	return n < 20000 ? 1 : 0;
}

static void run_limited(void)
{
	int res;

	use_procs(2);
	limit_space();
	res = ringo_run(spawn_to_the_limit, NULL);
	if (res < 0)
		CHECK(res == -ENOMEM || res == -EAGAIN);
	_exit(res < 0 ? 2 : res ? 3 : 0);
}

#define NO_SANITIZER() \
	do { \
		if (SANITIZED) \
			SKIP(return, "sanitizers need address space of their own"); \
	} while (0)

TEST(little_address_space_means_fewer_goroutines_or_a_message)
{
	int refused = 0, fewer = 0;

	NO_SANITIZER();
	for (limit_mb = 8; limit_mb <= 4096; limit_mb = limit_mb * 5 / 4) {
		struct outcome o;

		in_child(&o, run_limited);
		ASSERT_TRUE(WIFEXITED(o.status)) TH_LOG("%zu MB: status %x: %s", limit_mb, o.status, o.err);
		ASSERT_NE(1, WEXITSTATUS(o.status)) TH_LOG("%zu MB: %s", limit_mb, o.err);
		if (WEXITSTATUS(o.status) == 2) {
			ASSERT_TRUE(said(&o, "ringo: ")) TH_LOG("%zu MB", limit_mb);
			refused++;
		} else if (WEXITSTATUS(o.status) == 3) {
			ASSERT_TRUE(said(&o, "goroutines at once"));
			ASSERT_TRUE(said(&o, "ulimit -v"));
			fewer++;
		}
	}
	ASSERT_LT(0, refused);
	ASSERT_LT(0, fewer);
}

static int nop(void *arg)
{
	(void)arg;
	return 0;
}

static void without_locked_memory(void)
{
	struct rlimit none = { 0, 0 };

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &none));
	if (!getuid()) {
		CHECK(!setgroups(0, NULL));
		CHECK(!setuid(65534));
	}
	_exit(ringo_run(nop, NULL) == 0 ? 0 : 2);
}

TEST(no_locked_memory_is_no_obstacle_or_explained)
{
	struct outcome o;

	in_child(&o, without_locked_memory);
	ASSERT_TRUE(WIFEXITED(o.status)) TH_LOG("%s", o.err);
	if (WEXITSTATUS(o.status))
		ASSERT_TRUE(said(&o, "ulimit -l"));
}

TEST_HARNESS_MAIN
