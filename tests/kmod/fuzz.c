// SPDX-License-Identifier: MIT
/*
 * Random calls on /dev/ringo, from several threads of several processes at a time: mostly sound ones in a random
 * order, with a field of nonsense now and then, while the pages are written to and threads and processes end at
 * any moment. Where the kernel can have allocations fail, some do. What matters is what the kernel says about it.
 *
 * Calls come in runs, each of which follows from three numbers. Where the kernel tells which places of the module's
 * code a thread came to (KCOV), a run that came to new ones is kept, and others are made of it by changing a number.
 *
 *	RINGO_FUZZ_SEED=N RINGO_FUZZ_CALLS=N tests/kmod/fuzz
 */
#include <linux/kcov.h>

#include "faults.h"
#include "help.h"

enum { PROCESSES = 3, THREADS = 3, FDS = 3, MAPS = 6 };

/* Of one process; races between its threads are meant, but none that unmaps what is not ours. */
static struct {
	int fd[FDS];
	pthread_mutex_t lock; /* of the mappings, when they change */
	char *map[MAPS];
	size_t size[MAPS];
} own;

/* Calls that did what they say, of all processes: none at all would be a bad mix. */
enum { SETUPS, ADDS, MAPPED, WATCHES, STACKS, KINDS };
enum { RUN = 32, KEPT = 256, PLACES = 1 << 16 };

/* The calls from turn on follow from the second number. */
struct run {
	uint64_t first, second;
	uint32_t turn;
};

static struct common {
	uint64_t well[KINDS];
	uint64_t place[PLACES / 64]; /* a bit for each place */
	uint32_t places;
	uint32_t nkept;
	struct run kept[KEPT];
} *common;

static void went(int kind, int err)
{
	if (!err)
		ADD(&common->well[kind], 1);
}

static uint64_t next(uint64_t *rand)
{
	*rand ^= *rand << 13;
	*rand ^= *rand >> 7;
	*rand ^= *rand << 17;
	return *rand;
}

static uint32_t below(uint64_t *rand, uint32_t n)
{
	return (uint32_t)(next(rand) >> 20) % n;
}

/* A value as it should be, or one that is near some limit, or any. */
static uint64_t odd(uint64_t *rand, uint64_t sound)
{
	static const uint64_t limits[] = { 0, 1, 63, 64, 1023, 1024, 1026, 1027, 4096, 1ull << 31, UINT32_MAX, 1ull << 52, UINT64_MAX };
	uint32_t r = below(rand, 20);

	if (r > 1)
		return sound;
	return r ? limits[below(rand, sizeof(limits) / sizeof(limits[0]))] : next(rand);
}

static void spoil(uint64_t *rand, void *what, uint32_t size)
{
	if (!below(rand, 10))
		((char *)what)[below(rand, size)] ^= (char)(1u << below(rand, 8));
}

static void call_setup(uint64_t *rand, int fd)
{
	struct ringo_setup s = { .abi = RINGO_ABI_VERSION, .period_us = (uint32_t)odd(rand, 100) };

	spoil(rand, &s, sizeof(s));
	went(SETUPS, dev_ioctl(fd, RINGO_IOC_SETUP, below(rand, 50) ? &s : (void *)(uintptr_t)next(rand)));
}

static void call_add(uint64_t *rand, int fd)
{
	struct ringo_add a = { .page = (uint32_t)odd(rand, 1 + below(rand, 8)) };

	spoil(rand, &a, sizeof(a));
	went(ADDS, dev_ioctl(fd, RINGO_IOC_ADD, below(rand, 50) ? &a : (void *)(uintptr_t)next(rand)));
}

/* The mapping i is from now on p, or none. */
static void keep_instead(uint32_t i, char *p, size_t n)
{
	pthread_mutex_lock(&own.lock);
	if (own.map[i])
		munmap(own.map[i], own.size[i]);
	STORE(&own.map[i], p);
	own.size[i] = n;
	pthread_mutex_unlock(&own.lock);
}

static void call_map(uint64_t *rand, int fd)
{
	bool stacks = !below(rand, 4);
	uint64_t at = stacks ? RINGO_STACKS(odd(rand, 1 + below(rand, 4)) % 256) : odd(rand, below(rand, 3) ? 0 : 1024) * PAGE;
	size_t n = odd(rand, 1 + below(rand, 9)) % 2000 * PAGE;
	int flags = (below(rand, 10) != 0) != stacks ? MAP_SHARED : MAP_PRIVATE;
	char *p = mmap(NULL, n, (int)below(rand, 8), flags, fd, (off_t)at);

	went(stacks ? STACKS : MAPPED, p == MAP_FAILED);
	if (p != MAP_FAILED)
		keep_instead(below(rand, MAPS), p, n);
}

/* Moved, and as large as it was: races with others are about what is there then. */
static void change_map(uint64_t *rand)
{
	uint32_t i = below(rand, MAPS);
	char *p;

	pthread_mutex_lock(&own.lock);
	if (own.map[i]) {
		p = mremap(own.map[i], own.size[i], own.size[i], MREMAP_MAYMOVE);
		if (p != MAP_FAILED)
			STORE(&own.map[i], p);
		mprotect(own.map[i], PAGE, (int)below(rand, 8));
		madvise(own.map[i], own.size[i], (int)below(rand, 26));
	}
	pthread_mutex_unlock(&own.lock);
}

/* As the kernel writes for us where we must not. */
static void scribble(uint64_t *rand)
{
	char *p = LOAD(&own.map[below(rand, MAPS)]);
	static int zero = -1;

	if (zero < 0)
		zero = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (p)
		(void)!read(zero, p + (uint64_t)below(rand, 4) * PAGE + below(rand, 18) * 4, 1 + below(rand, 8));
}

/* A sound state of affairs: somebody waits, a goroutine runs. */
static void be_sound(uint64_t *rand)
{
	static const uint32_t on[] = { 0, 1, 1, 100, 0, 1, 1 }; /* abi, watch, permits, quantum */
	static const uint32_t run[] = { 1, 0, 0, 0, 1, 0, 1 };  /* abi, in_rt, revoked, asked, cur_g, seen, p */
	char *p = LOAD(&own.map[below(rand, MAPS)]);
	struct iovec { const void *base; size_t n; } from[2] = { { on, sizeof(on) }, { run, sizeof(run) } },
		to[2] = { { p, sizeof(on) }, { p + PAGE * (1ul + below(rand, 8)), sizeof(run) } };

	/* Without a signal where there is nothing. */
	if (p)
		syscall(SYS_process_vm_writev, getpid(), from, 2, to, 2, 0);
}

static void compute(uint64_t *rand)
{
	int64_t until = now_ns() + below(rand, 300) * US;

	while (now_ns() < until)
		;
}

static void *ends_soon(void *arg)
{
	uint64_t rand = (uintptr_t)arg | 1;

	call_add(&rand, LOAD(&own.fd[below(&rand, FDS)]));
	compute(&rand);
	return NULL;
}

static void reopen(uint64_t *rand)
{
	uint32_t i = below(rand, FDS);
	int old = __atomic_exchange_n(&own.fd[i], dev_open(), __ATOMIC_ACQ_REL);

	if (old >= 0)
		close(old);
	call_setup(rand, LOAD(&own.fd[i]));
}

static void unmap_one(uint64_t *rand)
{
	keep_instead(below(rand, MAPS), NULL, 0);
}

static void other_process(uint64_t *rand)
{
	int fd = LOAD(&own.fd[below(rand, FDS)]);
	pid_t child = fork();

	if (!child) {
		pthread_mutex_init(&own.lock, NULL); /* somebody may have it */
		call_add(rand, fd);
		call_map(rand, fd);
		dev_ioctl(fd, RINGO_IOC_WATCH, NULL);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void one_call(uint64_t *rand)
{
	int fd = LOAD(&own.fd[below(rand, FDS)]);
	struct pollfd p = { .fd = fd, .events = (short)next(rand) };
	pthread_t t;

	switch (below(rand, 24)) {
	case 0 ... 3:
		call_add(rand, fd);
		break;
	case 4 ... 5:
		dev_ioctl(fd, RINGO_IOC_REMOVE, NULL);
		break;
	case 6 ... 8:
		went(WATCHES, dev_ioctl(fd, RINGO_IOC_WATCH, NULL));
		break;
	case 9 ... 10:
		call_map(rand, fd);
		break;
	case 11:
		if (below(rand, 2))
			unmap_one(rand);
		else
			change_map(rand);
		break;
	case 12:
		if (!below(rand, 8))
			reopen(rand);
		break;
	case 13 ... 14:
		scribble(rand);
		break;
	case 15 ... 17:
		be_sound(rand);
		break;
	case 18:
		poll(&p, 1, 0);
		break;
	case 19:
		dev_ioctl(fd, below(rand, 2) ? next(rand) : 0xd700 | below(rand, 256), (void *)(uintptr_t)next(rand));
		break;
	case 20:
		if (!below(rand, 10) && !pthread_create(&t, NULL, ends_soon, (void *)(uintptr_t)next(rand)))
			pthread_join(t, NULL);
		break;
	case 21:
		if (!below(rand, 40))
			other_process(rand);
		break;
	case 22:
		compute(rand);
		break;
	default:
		sched_yield();
	}
}

static bool faults;

/* One of its allocations fails, if it has so many. */
static void one_failing(uint64_t *rand, int fd)
{
	faults_begin(fd, 1 + below(rand, 12));
	one_call(rand);
	faults_end(fd);
}

/* ---- coverage ---- */

enum { COVER = 1 << 14, APART = 16 * PAGE };

/*
 * Where this thread is in the module, in its system calls, from now on; NULL: not to be had. Apart from mappings of the
 * device, beyond whose ends there is scribbling.
 */
static uint64_t *cover_begin(void)
{
	const size_t size = COVER * sizeof(uint64_t);
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	char *room;
	uint64_t *area;

	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, COVER))
		return NULL;
	room = mmap(NULL, size + 2 * APART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	area = mmap(room + APART, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	return area == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC) ? NULL : area;
}

/* Whether nobody has been to some of these places. The module is smaller than the low bits of an address. */
static bool cover_new(uint64_t *area)
{
	uint64_t told = LOAD(&area[0]), n = told < COVER ? told : COVER - 1;
	bool some = false;

	for (uint64_t i = 1; i <= n; i++) {
		uint64_t at = area[i] % PLACES, bit = UINT64_C(1) << at % 64;

		if (LOAD(&common->place[at / 64]) & bit)
			continue;
		if (!(__atomic_fetch_or(&common->place[at / 64], bit, __ATOMIC_RELAXED) & bit)) {
			ADD(&common->places, 1);
			some = true;
		}
	}
	STORE(&area[0], 0);
	return some;
}

/* Readers may see half of one: it is a run as well. */
static void keep(const struct run *run)
{
	common->kept[(ADD(&common->nkept, 1) - 1) % KEPT] = *run;
}

static struct run some_run(uint64_t *rand)
{
	struct run run = { next(rand), next(rand), below(rand, RUN) }, kept;
	uint32_t n = LOAD(&common->nkept);

	if (!n || below(rand, 2))
		return run;
	kept = common->kept[below(rand, n < KEPT ? n : KEPT)];
	switch (below(rand, 3)) {
	case 0:
		kept.first = run.first;
		break;
	case 1:
		kept.second = run.second;
		break;
	default:
		kept.turn = run.turn;
	}
	return kept;
}

/* ---- threads and processes ---- */

static void calls_of(const struct run *run, int fd)
{
	uint64_t rand = run->first | 1;

	for (uint32_t i = 0; i < RUN; i++) {
		if (i == run->turn)
			rand = run->second | 1;
		if (fd < 0 || below(&rand, 16))
			one_call(&rand);
		else
			one_failing(&rand, fd);
	}
}

static long calls;

static void *many_calls(void *arg)
{
	uint64_t rand = (uintptr_t)arg, *area = cover_begin();
	int fd = faults ? faults_open() : -1;

	for (long i = 0; i < calls; i += RUN) {
		struct run run = some_run(&rand);

		calls_of(&run, fd);
		if (area && cover_new(area))
			keep(&run);
	}
	return NULL;
}

/* Ends by itself, or in the midst of it. */
static void one_process(uint64_t seed)
{
	pthread_t t[THREADS];

	for (int i = 0; i < FDS; i++)
		own.fd[i] = dev_open();
	for (uint64_t i = 0; i < THREADS; i++)
		CHECK_EQ(0, pthread_create(&t[i], NULL, many_calls, (void *)(uintptr_t)((seed * THREADS + i) * 0x9E3779B97F4A7C15 | 1)));
	if (seed % 4 == 3) {
		nap_ms((long)(seed % 50));
		_exit(0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

FIXTURE(fuzz) {
};

FIXTURE_SETUP(fuzz)
{
}

FIXTURE_TEARDOWN(fuzz)
{
}

TEST_F_TIMEOUT(fuzz, random_calls, 3600)
{
	const char *seed_text = getenv("RINGO_FUZZ_SEED"), *calls_text = getenv("RINGO_FUZZ_CALLS");
	const long total = calls_text ? atol(calls_text) : 30000;
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 1;
	long rounds = 10;

	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, common);
	faults = faults_possible();
	calls = total / rounds / PROCESSES / THREADS + 1;
	TH_LOG("RINGO_FUZZ_SEED=%llu RINGO_FUZZ_CALLS=%ld%s", (unsigned long long)seed, total,
	       faults ? ", allocations fail" : "");
	for (long r = 0; r < rounds; r++) {
		pid_t child[PROCESSES];
		int status;

		for (int i = 0; i < PROCESSES; i++) {
			child[i] = fork();
			if (!child[i]) {
				one_process(seed * 1000 + (uint64_t)(r * PROCESSES + i));
				_exit(0);
			}
		}
		for (int i = 0; i < PROCESSES; i++) {
			waitpid(child[i], &status, 0);
			EXPECT_EQ(0, status);
		}
	}
	TH_LOG("%llu setups, %llu Ms, %llu mappings, %llu watches, %llu stacks; %u places of the module reached, "
	       "%u runs kept", (unsigned long long)common->well[SETUPS], (unsigned long long)common->well[ADDS],
	       (unsigned long long)common->well[MAPPED], (unsigned long long)common->well[WATCHES],
	       (unsigned long long)common->well[STACKS], common->places, common->nkept);
	for (int i = 0; i < KINDS; i++)
		EXPECT_LT(i == SETUPS ? 10 : (uint64_t)total / 1000, common->well[i]);
	if (!access("/sys/kernel/debug/kcov", R_OK | W_OK))
		EXPECT_LT(100, common->places);
	EXPECT_EQ(0, serves());
}

KMOD_MAIN
