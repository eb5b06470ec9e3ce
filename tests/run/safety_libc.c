// SPDX-License-Identifier: MIT
/* The C library in the middle of which a goroutine loses its P: what is per thread, and what it locks. */
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>

#include "safety.h"

/* ---- malloc: caches per thread, arenas with locks ---- */

enum { SLOTS = 16 };

struct blocks {
	struct {
		unsigned char *at;
		size_t size;
	} slot[SLOTS];
};

static unsigned char tag_of(const struct worker *w, unsigned slot)
{
	return (unsigned char)(w->id * SLOTS + slot + 1);
}

static void give_back(struct worker *w, struct blocks *b, unsigned i)
{
	for (size_t k = 0; k < b->slot[i].size; k++)
		CHECK_EQ(b->slot[i].at[k], tag_of(w, i));
	free(b->slot[i].at);
}

static size_t some_size(struct worker *w)
{
	if (!rand_below(w, 500))
		return 200000; /* a mapping of its own */
	return rand_below(w, 8) ? 1 + rand_below(w, 64) : 1 + rand_below(w, 3000);
}

SAFETY_TEST(malloc_and_free)
{
	struct blocks *b = w->own = w->own ?: calloc(1, sizeof(*b));

	for (int n = 0; n < 32; n++) {
		unsigned i = rand_below(w, SLOTS);

		give_back(w, b, i);
		b->slot[i].size = some_size(w);
		b->slot[i].at = malloc(b->slot[i].size);
		CHECK(b->slot[i].at);
		memset(b->slot[i].at, tag_of(w, i), b->slot[i].size);
	}
}

/* ---- stdio: locks that know their owner by its thread, and code of ours called inside ---- */

static struct {
	FILE *f;
	char line[64];
	size_t len;
	unsigned long lines;
	int inside; /* holders of the lock */
} out;

static void end_line(void)
{
	unsigned a, b;

	out.line[out.len] = 0;
	if (sscanf(out.line, "<%u-%u>", &a, &b) != 2 || a != b)
		check_failed(__FILE__, __LINE__, "a whole line", 0, 0);
	out.len = 0;
	out.lines++;
}

/* Called with the lock of the FILE, of which TSan knows nothing: the buffer may be another thread's. */
static ssize_t __attribute__((no_sanitize("thread"))) sink(void *cookie, const char *buf, size_t n)
{
	CHECK_EQ(1, ADD(&out.inside, 1));
	for (size_t i = 0; i < n; i++) {
		if (buf[i] == '\n') {
			end_line();
			continue;
		}
		CHECK(out.len < sizeof(out.line) - 1);
		out.line[out.len++] = buf[i];
	}
	CHECK_EQ(0, ADD(&out.inside, -1));
	return (ssize_t)n;
}

static void open_sink(void)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&once);
	if (!out.f)
		out.f = fopencookie(&out, "w", (cookie_io_functions_t){ .write = sink });
	CHECK(out.f);
	pthread_mutex_unlock(&once);
}

SAFETY_TEST(stdio_with_flockfile)
{
	static int holder;

	if (!w->units)
		open_sink();
	flockfile(out.f); /* of which TSan knows nothing */
	CHECK_EQ(0, LOAD(&holder));
	STORE(&holder, (int)w->id + 1);
	fprintf(out.f, "<%u-", w->id);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(LOAD(&holder), w->id + 1);
	fprintf(out.f, "%u>\n", w->id);
	STORE(&holder, 0);
	funlockfile(out.f);
}

SAFETY_TEST(stdio)
{
	if (!w->units)
		open_sink();
	for (int i = 0; i < 10; i++)
		CHECK(fprintf(out.f, "<%u-%u>\n", w->id, w->id) > 0);
	if (!rand_below(w, 4))
		fflush(out.f);
}

/* ---- thread-local storage, errno ---- */

SAFETY_TEST(thread_local_counters)
{
	static __thread volatile long counter;
	long before = counter;

	for (int i = 0; i < 1000; i++)
		counter++;
	CHECK_EQ(before + 1000, counter);
}

SAFETY_TEST(errno_keeps_its_value)
{
	for (int i = 0; i < 200; i++) {
		errno = (int)w->id + 1;
		for (int k = 0; k < 20; k++)
			__asm__ volatile("" : : : "memory"); /* it is read anew, where it was written */
		CHECK_EQ((int)w->id + 1, errno);
	}
}

SAFETY_TEST(errno_of_calls)
{
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(-1, close(-1));
		CHECK_EQ(EBADF, errno);
		CHECK_EQ(-1, chdir("/nowhere/at/all"));
		CHECK_EQ(ENOENT, errno);
	}
}

/* ---- qsort: comparisons that find their context in thread-local storage ---- */

static __thread const int *weights;

static int by_weight(const void *a, const void *b)
{
	int x = weights[*(const int *)a], y = weights[*(const int *)b];

	return (x > y) - (x < y);
}

SAFETY_TEST(qsort_calls_back)
{
	enum { N = 400 }; /* more than what it sorts on the stack */
	int mine[N], keys[N];

	for (int i = 0; i < N; i++) {
		mine[i] = (int)rand_below(w, 10000);
		keys[i] = i;
	}
	weights = mine;
	qsort(keys, N, sizeof(*keys), by_weight);
	CHECK(weights == mine);
	for (int i = 1; i < N; i++)
		CHECK(mine[keys[i - 1]] <= mine[keys[i]]);
}

/* ---- names: state per thread, locks, reading of files ---- */

static void look_up(const char *host, const char *service, int flags, int port)
{
	const struct addrinfo hint = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	struct addrinfo *ai = NULL;

	CHECK_EQ(0, getaddrinfo(host, service, &hint, &ai));
	CHECK_EQ(port, ntohs(((struct sockaddr_in *)(void *)ai->ai_addr)->sin_port));
	freeaddrinfo(ai);
}

SAFETY_TEST(getaddrinfo_of_numbers_and_files)
{
	char port[16];

	for (int i = 0; i < 8; i++) {
		snprintf(port, sizeof(port), "%u", 1000 + w->id);
		look_up("127.0.0.1", port, AI_NUMERICHOST | AI_NUMERICSERV, 1000 + (int)w->id);
	}
	look_up("localhost", port, AI_NUMERICSERV, 1000 + (int)w->id);
}

/* ---- the loader: a recursive lock, lists of objects, dlerror per thread ---- */

SAFETY_TEST(dlopen_and_dlclose)
{
	static const struct {
		const char *file, *symbol;
	} libs[] = { { "libresolv.so.2", "ns_initparse" }, { "libcrypt.so.1", "crypt" }, { "libm.so.6", "cbrt" } };
	unsigned i = rand_below(w, RG_ARRAY_SIZE(libs));
	void *lib = dlopen(libs[i].file, RTLD_NOW | RTLD_LOCAL);
	char missing[32];
	const char *why;

	CHECK(lib);
	CHECK(dlsym(lib, libs[i].symbol));
	snprintf(missing, sizeof(missing), "/no/lib-%u.so", w->id);
	CHECK(!dlopen(missing, RTLD_NOW));
	why = dlerror();
	CHECK(why && strstr(why, missing));
	CHECK_EQ(0, dlclose(lib));
}

/* ---- setjmp: a chain of handlers per thread, as exceptions for C do ---- */

struct handler {
	jmp_buf env;
	struct handler *outer;
};

static __thread struct handler *handlers;

static void throw_one(unsigned id)
{
	longjmp(handlers->env, (int)id + 1);
}

static int catch_one(struct worker *w, int depth)
{
	struct handler h = { .outer = handlers };
	volatile long kept = depth;
	int got = setjmp(h.env);

	if (got) {
		handlers = h.outer;
		CHECK_EQ(depth, kept);
		return got;
	}
	handlers = &h;
	if (depth)
		CHECK_EQ((int)w->id + 1, catch_one(w, depth - 1));
	CHECK(handlers == &h);
	throw_one(w->id);
	return 0;
}

SAFETY_TEST(setjmp_and_longjmp)
{
	CHECK_EQ((int)w->id + 1, catch_one(w, 5));
	CHECK(!handlers);
}

TEST_HARNESS_MAIN
