// SPDX-License-Identifier: MIT
/* Symbols for reports, the lock between threads, the CPU count, options structs. */
#include <sched.h>

#include "base/lock.h"
#include "base/os.h"
#include "core/g.h"
#include "run/help.h"

static __attribute__((noinline)) int a_static_function(int n)
{
	return n * 3 + 1;
}

__attribute__((noinline)) int a_global_function(int n);
__attribute__((noinline)) int a_global_function(int n)
{
	return n * 5 + 2;
}

TEST(symbol_names_a_static_function)
{
	char name[128];

	rg_symbol((const void *)a_static_function, name, sizeof(name));
	EXPECT_STREQ("a_static_function", name);
	rg_symbol((const char *)a_static_function + 1, name, sizeof(name));
	EXPECT_STREQ("a_static_function", name);
}

TEST(symbol_names_functions_of_program_and_libraries)
{
	char name[128];

	rg_symbol((const void *)a_global_function, name, sizeof(name));
	EXPECT_STREQ("a_global_function", name);
	rg_symbol((const void *)getppid, name, sizeof(name));
	EXPECT_NE(NULL, strstr(name, "getppid"));
}

TEST(symbol_survives_a_change_of_directory)
{
	char name[128];

	ASSERT_EQ(0, chdir("/"));
	rg_symbol((const void *)a_static_function, name, sizeof(name));
	EXPECT_STREQ("a_static_function", name);
}

TEST(symbol_of_nonsense_is_an_address_and_short_buffers_are_kept)
{
	char name[128];

	rg_symbol((const void *)0x1234, name, sizeof(name));
	EXPECT_STREQ("0x1234", name);
	memset(name, 'x', sizeof(name));
	rg_symbol((const void *)a_static_function, name, 6);
	EXPECT_STREQ("a_sta", name);
	EXPECT_EQ('x', name[6]);
}

static uint32_t lock;
static long counter;

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < SCALE(200000); i++) {
		rg_lock(&lock);
		counter++;
		rg_unlock(&lock);
	}
	return NULL;
}

TEST(lock_excludes)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, count, NULL));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(4L * SCALE(200000), counter);
	EXPECT_EQ(0, lock);
}

TEST(trylock_fails_while_held)
{
	EXPECT_TRUE(rg_trylock(&lock));
	EXPECT_FALSE(rg_trylock(&lock));
	rg_unlock(&lock);
	EXPECT_TRUE(rg_trylock(&lock));
}

static void *hold_for_a_while(void *arg)
{
	rg_lock(&lock);
	STORE((int *)arg, 1);
	nap_ms(50);
	rg_unlock(&lock);
	return NULL;
}

TEST(a_sleeping_locker_is_woken_and_errno_is_untouched)
{
	pthread_t t;
	int held = 0;

	ASSERT_EQ(0, pthread_create(&t, NULL, hold_for_a_while, &held));
	while (!LOAD(&held))
		sched_yield();
	errno = 4242;
	rg_lock(&lock);
	EXPECT_EQ(4242, errno);
	rg_unlock(&lock);
	pthread_join(t, NULL);
}

TEST(futex_wait_ends_by_time_by_change_and_leaves_errno)
{
	uint32_t word = 1;
	int64_t start = now_ns();

	errno = 4242;
	rg_futex_wait(&word, 1, 20 * RINGO_MS);
	EXPECT_GE(now_ns() - start, 20 * RINGO_MS);
	rg_futex_wait(&word, 2, -1);
	EXPECT_EQ(4242, errno);
}

TEST(cpus_follow_the_affinity_mask)
{
	cpu_set_t set, one;
	int n;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	n = rg_num_cpu();
	EXPECT_GE(n, 1);
	EXPECT_LE(n, CPU_COUNT(&set));
	EXPECT_EQ(n, ringo_num_cpu());
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &set))
			CPU_SET(i, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	EXPECT_EQ(1, rg_num_cpu());
}

struct known {
	size_t size;
	int a, b;
};

TEST(options_from_an_older_caller_are_filled_with_zeroes)
{
	struct known from = { .size = offsetof(struct known, b), .a = 5, .b = 6 }, to = { .b = 9 };

	EXPECT_EQ(0, rg_options_copy(&to, sizeof(to), &from, from.size));
	EXPECT_EQ(5, to.a);
	EXPECT_EQ(0, to.b);
}

TEST(options_from_a_newer_caller_are_taken_if_the_rest_is_zero)
{
	struct {
		struct known k;
		char tail[64];
	} from = { .k = { .size = sizeof(from), .a = 5, .b = 6 } };
	struct known to;

	EXPECT_EQ(0, rg_options_copy(&to, sizeof(to), &from, from.k.size));
	EXPECT_EQ(6, to.b);
	from.tail[63] = 1;
	EXPECT_EQ(-E2BIG, rg_options_copy(&to, sizeof(to), &from, from.k.size));
	EXPECT_EQ(-EINVAL, rg_options_copy(&to, sizeof(to), &from, 0));
}

TEST_HARNESS_MAIN
