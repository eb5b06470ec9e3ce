// SPDX-License-Identifier: MIT
/*
 * A program without shared libraries and with an allocator of its own, which keeps free blocks per thread and takes
 * from and gives to a shared list in batches under a spinning lock, as those do that people link in.
 *
 * Sanitizers bring their own allocator and need shared libraries: nothing to test with them.
 */
#include <sys/mman.h>

#include "safety.h"

#if SANITIZED

TEST(own_allocator)
{
	SKIP(return, "sanitizers have an allocator of their own; run it without");
}

#else

enum { CLASSES = 24, BATCH = 8, HEADER = 16, MAGIC = 0x51AB };

/* Before each block. size is that of its class. */
struct block {
	uint32_t class, magic;
	struct block *next;
};

_Static_assert(sizeof(struct block) == HEADER, "blocks are aligned to 16");

struct cache {
	struct block *head;
	unsigned n;
};

static __thread struct cache caches[CLASSES];
static struct {
	uint32_t lock;
	struct block *head;
} shared[CLASSES];

static size_t class_size(unsigned c)
{
	return (size_t)32 << c;
}

static void lock(uint32_t *word)
{
	while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void unlock(uint32_t *word)
{
	STORE(word, 0);
}

/* New memory; small classes are cut from a larger piece, straight into the shared list. */
static struct block *fresh(unsigned c)
{
	size_t size = class_size(c), piece = size < 65536 ? 65536 : size;
	char *p = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct block *b = (struct block *)p;

	if (p == MAP_FAILED)
		return NULL;
	for (size_t at = 0; at < piece; at += size) {
		struct block *one = (struct block *)(p + at);

		one->class = c;
		one->next = at + size < piece ? (struct block *)(p + at + size) : NULL;
	}
	return b;
}

static bool refill(unsigned c)
{
	struct cache *k = &caches[c];

	lock(&shared[c].lock);
	if (!shared[c].head)
		shared[c].head = fresh(c);
	while (k->n < BATCH && shared[c].head) {
		struct block *b = shared[c].head;

		shared[c].head = b->next;
		b->next = k->head;
		k->head = b;
		k->n++;
	}
	unlock(&shared[c].lock);
	return k->head;
}

static void spill(unsigned c)
{
	struct cache *k = &caches[c];

	lock(&shared[c].lock);
	while (k->n > BATCH) {
		struct block *b = k->head;

		k->head = b->next;
		k->n--;
		b->next = shared[c].head;
		shared[c].head = b;
	}
	unlock(&shared[c].lock);
}

/* Not malloc itself: compilers know what a malloc with a memset is, and call calloc. */
static void *take(size_t size)
{
	unsigned c = 0;
	struct block *b;

	while (c < CLASSES && class_size(c) - HEADER < size)
		c++;
	if (c == CLASSES || (!caches[c].head && !refill(c))) {
		errno = ENOMEM;
		return NULL;
	}
	b = caches[c].head;
	caches[c].head = b->next;
	caches[c].n--;
	CHECK_EQ(c, b->class);
	CHECK(b->magic != MAGIC); /* not one that somebody has */
	b->magic = MAGIC;
	return b + 1;
}

static void give(void *p)
{
	struct block *b = (struct block *)p - 1;

	CHECK_EQ(MAGIC, b->magic);
	b->magic = 0;
	b->next = caches[b->class].head;
	caches[b->class].head = b;
	if (++caches[b->class].n > 2 * BATCH)
		spill(b->class);
}

static size_t room(const void *p)
{
	return class_size(((const struct block *)p - 1)->class) - HEADER;
}

void *malloc(size_t size)
{
	return take(size);
}

void free(void *p)
{
	if (p)
		give(p);
}

void *calloc(size_t n, size_t size)
{
	void *p = size && n > SIZE_MAX / size ? NULL : take(n * size);

	return p ? memset(p, 0, n * size) : NULL;
}

void *realloc(void *old, size_t size)
{
	void *p;

	if (old && room(old) >= size)
		return old;
	p = take(size);
	if (p && old) {
		memcpy(p, old, room(old));
		give(old);
	}
	return p;
}

/* Nobody here asks for more than what blocks have. */
void *aligned_alloc(size_t align, size_t size)
{
	return align <= HEADER ? take(size) : NULL;
}

SAFETY_TEST(own_allocator)
{
	enum { N = 16 };
	void **mine = w->own = w->own ?: calloc(N, sizeof(*mine));

	for (int k = 0; k < 50; k++) {
		unsigned i = rand_below(w, N);
		size_t size = 4 + rand_below(w, 200);

		if (mine[i])
			CHECK_EQ(w->id * N + i, *(unsigned *)mine[i]);
		free(mine[i]);
		mine[i] = malloc(size);
		memset(mine[i], 0xff, size);
		*(unsigned *)mine[i] = w->id * N + i;
	}
}

/* As in shared programs, but the C library has other ways to its locks and to thread-local storage. */
SAFETY_TEST(stdio_of_a_static_program)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	static __thread long counter;
	static FILE *f;
	static unsigned holder;
	long before = ++counter;

	pthread_mutex_lock(&once);
	f = f ?: fopen("/dev/null", "we");
	pthread_mutex_unlock(&once);
	flockfile(f);
	CHECK_EQ(0, holder);
	holder = w->id + 1;
	fprintf(f, "%u: %s %g\n", w->id, "one line", 0.1);
	CHECK_EQ(w->id + 1, LOAD(&holder));
	holder = 0;
	funlockfile(f);
	CHECK_EQ(before, counter);
}

#endif

TEST_HARNESS_MAIN
