// SPDX-License-Identifier: MIT
/* Blocks of malloc's heaps: found where malloc says they are; a heap out of order is none. */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "arch/san.h"
#include "kselftest_harness.h"
#include "observe/heap.h"

enum { BLOCKS = 2000 };

#if defined(RG_ASAN) || defined(RG_TSAN)
#define OTHER_MALLOC 1
#else
#define OTHER_MALLOC RUNNING_ON_VALGRIND
#endif

#define NEEDS_GLIBC() \
	do { \
		if (OTHER_MALLOC) \
			SKIP(return, "malloc is not glibc's: run the plain build"); \
	} while (0)

/* The mapping that p lies in; it may be cut in two since a fork. */
static bool mapping_of(const void *p, uintptr_t *lo, uintptr_t *hi, bool *brk)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	*lo = *hi = 0;
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long from, to;
		char perms[5];
		bool is_brk = strstr(line, "[heap]");

		if (sscanf(line, "%lx-%lx %4s", &from, &to, perms) != 3 || strncmp(perms, "rw", 2) ||
		    strchr(line, '/'))
			continue;
		if (from != *hi || is_brk != *brk) {
			if ((uintptr_t)p >= *lo && (uintptr_t)p < *hi)
				break;
			*lo = from;
			*brk = is_brk;
		}
		*hi = to;
	}
	if (f)
		fclose(f);
	return (uintptr_t)p >= *lo && (uintptr_t)p < *hi;
}

/* Is p known as a block of just that size? */
static bool is_block(const void *p)
{
	struct rg_heap h;
	uintptr_t lo, hi;
	bool brk;

	if (!mapping_of(p, &lo, &hi, &brk) || !rg_heap_find(&h, lo, hi, brk, (uintptr_t)p + 1))
		return false;
	while (rg_heap_next(&h, &lo, &hi))
		if (lo == (uintptr_t)p)
			return hi - lo == malloc_usable_size((void *)p);
	return false;
}

/* All sizes, some given back. The number that are not found. */
static int use_heap(void)
{
	void *blocks[BLOCKS] = { 0 };
	unsigned x = 1;
	int wrong = 0;

	for (int round = 0; round < 3; round++)
		for (int i = 0; i < BLOCKS; i++) {
			x = x * 1103515245 + 12345;
			if (blocks[i] && x >> 30)
				continue;
			free(blocks[i]);
			blocks[i] = malloc(x >> 20 & 1 ? x >> 16 & 0xfff : x >> 16 & 0x3f);
			memset(blocks[i], 0xff, malloc_usable_size(blocks[i]));
		}
	for (int i = 0; i < BLOCKS; i += 20)
		wrong += !is_block(blocks[i]);
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	return wrong;
}

TEST(blocks_of_the_first_heap)
{
	NEEDS_GLIBC();
	EXPECT_EQ(0, use_heap());
}

static void *in_thread(void *arg)
{
	*(int *)arg = use_heap();
	return NULL;
}

TEST(blocks_of_another_arena)
{
	pthread_t t;
	int wrong = -1;

	NEEDS_GLIBC();
	ASSERT_EQ(0, pthread_create(&t, NULL, in_thread, &wrong));
	pthread_join(t, NULL);
	EXPECT_EQ(0, wrong);
}

TEST(not_those_with_a_mapping_of_their_own)
{
	void *p = malloc(1 << 20);

	NEEDS_GLIBC();
	EXPECT_FALSE(is_block(p));
	free(p);
}

/* A heap as that of brk(2): blocks of 32, 64, 32 (free) and 128 bytes. */
static void make(uintptr_t w[32])
{
	memset(w, 0, 32 * sizeof(*w));
	w[1] = 32 | 1;
	w[5] = 64 | 1;
	w[13] = 32 | 1;
	w[16] = 32;
	w[17] = 128;
}

static bool found(uintptr_t w[32])
{
	struct rg_heap h;

	return rg_heap_find(&h, (uintptr_t)w, (uintptr_t)(w + 32), true, (uintptr_t)(w + 7));
}

TEST(a_heap_out_of_order_is_none)
{
	uintptr_t w[32] rg_aligned(16);

	make(w);
	EXPECT_TRUE(found(w));
	make(w);
	w[5] = 48 | 1; /* leads into the middle of another */
	EXPECT_FALSE(found(w));
	make(w);
	w[16] = 48; /* the free one is of another size */
	EXPECT_FALSE(found(w));
	make(w);
	w[17] = 144; /* beyond the end */
	EXPECT_FALSE(found(w));
	make(w);
	w[17] = 112 | 1; /* before it */
	EXPECT_FALSE(found(w));
	make(w);
	w[13] = 0;
	EXPECT_FALSE(found(w));
	make(w);
	w[5] = 64 | 2 | 1; /* with a mapping of its own */
	EXPECT_FALSE(found(w));
}

TEST(a_full_heap_of_an_arena_ends_with_a_fence)
{
	uintptr_t w[32] rg_aligned(16);

	make(w);
	w[17] = 96;
	w[29] = 16 | 1;
	w[31] = 0 | 1;
	EXPECT_TRUE(found(w));
	w[31] = 8 | 1;
	EXPECT_FALSE(found(w));
}

TEST_HARNESS_MAIN
