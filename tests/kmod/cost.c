// SPDX-License-Identifier: MIT
/*
 * What a revocation and an upcall cost, in instructions, beside a timer's signal with its return. For an emulated
 * machine whose clock counts instructions, one a nanosecond (tests/vm/icount.sh); skipped elsewhere.
 *
 * One thread runs so many rounds of a loop, first undisturbed, then with an event every PERIOD. What it takes longer,
 * by the number of events, is the cost of one. That has in it the timer's interrupt, and the few instructions by which
 * the loop makes the next event possible.
 */
#include "core/rt.h"
#include "help.h"

enum { PERIOD_US = 200, ROUNDS = 10 * 1000 * 1000, TIMES = 4, UPCALL_STACK = 64 << 10, OURS = 1 };

static struct client client;
static struct m *self; /* with page OURS before it, as the library has it */
static uint64_t events;

static struct ringo_m_page *our_page(void)
{
	return rg_m_page(self);
}

/* ---- what is done in the loop ---- */

static void nothing(void)
{
}

static void take_back(void)
{
	struct ringo_m_page *p = our_page();

	if (__atomic_load_n(&p->revoked, __ATOMIC_RELAXED) != RINGO_REVOKED_TAKEN)
		return;
	events++;
	*client.reader = *(uint64_t *)client.writer;
	ADD(&ctl()->permits, 1);
	STORE(&p->revoked, RINGO_REVOKED_FREE);
}

static void ask_again(void)
{
	struct ringo_m_page *p = our_page();

	if (__atomic_load_n(&p->upcall, __ATOMIC_RELAXED))
		return;
	events++;
	STORE(&p->upcall, RINGO_UPCALL_ASKED);
}

/* The shortest of a few times: at others the kernel had something else to do. */
static int64_t run(void (*each)(void))
{
	int64_t best = INT64_MAX;
	uint64_t n = 0;

	for (int k = 0; k < TIMES; k++) {
		int64_t start = now_ns();

		events = 0;
		for (long i = 0; i < ROUNDS; i++)
			each();
		start = now_ns() - start;
		n = start < best ? events : n;
		best = start < best ? start : best;
	}
	events = n;
	return best;
}

/* ---- what makes events ---- */

/* As the library does it: its own entry, by way of %gs, which finds that it is not to stay. */
static void be_an_m(void)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ringo_add a = { .page = OURS, .upcall = (uintptr_t)rg_upcall_entry };

	CHECK(at != MAP_FAILED && sizeof(struct m) <= 3 * PAGE && rg_arch_upcalls());
	CHECK(mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, client.fd, OURS * PAGE) != MAP_FAILED);
	self = (struct m *)(at + PAGE);
	self->self = (struct rg_self){
		.self = &self->self,
		.thread = rg_thread_pointer(),
		.upcall_stack = (char *)malloc(UPCALL_STACK) + UPCALL_STACK,
	};
	CHECK_EQ(0, rg_arch_set_self(&self->self));
	our_page()->stack_low = here - 65536;
	our_page()->stack_high = here + 4096;
	our_page()->cur_g = 1;
	CHECK_EQ(0, dev_ioctl(client.fd, RINGO_IOC_ADD, &a));
}

static void ticks(void)
{
	watch(&client, true);
}

static void ticks_that_take(void)
{
	our_page()->p = 1;
	ctl()->quantum = 0; /* each finds that it has run for so long */
	STORE(&ctl()->permits, 1);
	watch(&client, true);
}

static void *polls(void *arg)
{
	struct pollfd p = { .fd = client.fd, .events = POLLIN };

	for (;;) {
		poll(&p, 1, -1);
		STORE(client.reader, LOAD((uint64_t *)client.writer));
	}
	return arg;
}

static void ticks_that_wake(void)
{
	pthread_t thread;

	CHECK_EQ(0, pthread_create(&thread, NULL, polls, NULL));
	ticks_that_take();
}

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)sig, (void)info, (void)uc;
	events++;
}

static void want_signals(void)
{
	const struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	CHECK_EQ(0, sigaction(SIGURG, &sa, NULL));
}

static void timer_signals(void)
{
	const struct itimerspec every = {
		.it_value.tv_nsec = PERIOD_US * US, .it_interval.tv_nsec = PERIOD_US * US,
	};
	struct sigevent se = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG };
	timer_t timer;

	se._sigev_un._tid = (int)syscall(SYS_gettid);
	CHECK_EQ(0, timer_create(CLOCK_MONOTONIC, &se, &timer));
	CHECK_EQ(0, timer_settime(timer, 0, &every, NULL));
}

static void *sends(void *arg)
{
	const struct timespec ts = { .tv_nsec = PERIOD_US * US };

	for (;;) {
		nanosleep(&ts, NULL);
		syscall(SYS_tgkill, getpid(), (int)(intptr_t)arg, SIGURG);
	}
	return NULL;
}

static void a_thread_that_sends(void)
{
	pthread_t thread;

	CHECK_EQ(0, pthread_create(&thread, NULL, sends, (void *)syscall(SYS_gettid)));
}

/* ---- one after the other ---- */

static const struct way {
	const char *name;
	void (*prepare)(void);
	void (*begin)(void);
	void (*each)(void);
} ways[] = {
	{ "the module's tick alone", be_an_m, ticks, nothing },
	{ "a tick that takes the P", be_an_m, ticks_that_take, take_back },
	{ "the same, and a thread that polls", be_an_m, ticks_that_wake, take_back },
	{ "a tick with an upcall", be_an_m, ticks, ask_again },
	{ "a timer's signal", want_signals, timer_signals, nothing },
	{ "tgkill by a thread that sleeps", want_signals, a_thread_that_sends, nothing },
};
enum { TICK, TAKE, WAKE, UPCALL, TIMER, TGKILL, WAYS };

static FILE *console; /* which is all that one sees of the machine */

/* In a process of its own: instructions for each event. */
static int64_t cost(const struct way *w)
{
	int64_t *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int64_t base, with;
	int status;
	pid_t pid = fork();

	if (!pid) {
		CHECK_EQ(0, client_open(&client, PERIOD_US));
		w->prepare();
		base = run(w->each);
		w->begin();
		with = run(w->each);
		if (!events)
			events = (uint64_t)(with / (PERIOD_US * US)); /* nobody counts them */
		result[0] = (with - base) / (int64_t)events;
		result[1] = (int64_t)events;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK_EQ(0, status);
	fprintf(console, "# %-34s %6lld instructions (%lld events)\n", w->name, (long long)result[0],
		(long long)result[1]);
	return result[0];
}

TEST(ticks_cost_a_third_of_a_signal)
{
	int64_t n[WAYS];

	if (!getenv("RINGO_TEST_ICOUNT"))
		SKIP(return, "not where the clock counts instructions: tests/vm/icount.sh");
	console = fopen("/dev/console", "we");
	ASSERT_NE(NULL, console);
	nap_ms(3000); /* the kernel has just been started */
	for (unsigned i = 0; i < WAYS; i++)
		n[i] = cost(&ways[i]);
	fprintf(console, "# of a timer's signal: taking the P %.2f, upcall %.2f\n",
		(double)n[TAKE] / (double)n[TIMER], (double)n[UPCALL] / (double)n[TIMER]);
	fclose(console);
	EXPECT_LE(n[TAKE], n[TIMER] * 3 / 10);
	EXPECT_LE(n[UPCALL], n[TIMER] * 35 / 100);
}

static void __attribute__((constructor)) patient(void)
{
	_ticks_cost_a_third_of_a_signal_object.timeout = 600;
}

KMOD_MAIN
