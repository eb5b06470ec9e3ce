// SPDX-License-Identifier: MIT
/* Faults of goroutines are panics with a signal and an address; others go where they went before. */
#include <sys/mman.h>
#include <sys/resource.h>

#include "help.h"

static int seen;

static void add(int n)
{
	ADD(&seen, n);
}

/* By hand, so that no compiler has an opinion and no sanitizer looks. */
static __attribute__((noinline)) void store_at(void *p)
{
	__asm__ volatile("movl $1, (%0)" :: "r"(p) : "memory");
}

static __attribute__((noinline)) void divide(int by)
{
	__asm__ volatile("movl $1, %%eax\n\tcltd\n\tidivl %0" :: "r"(by) : "eax", "edx", "cc");
}

static __attribute__((noinline)) void call_at(void *p)
{
	__asm__ volatile("call *%0" :: "r"(p) : "memory", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
			 "r11");
}

static void stores(void *p)
{
	ringo_defer(add, 1);
	store_at(p);
	add(1000);
}

static void divides(void *p)
{
	ringo_defer(add, 1);
	divide((int)(intptr_t)p);
	add(1000);
}

static void calls(void *p)
{
	ringo_defer(add, 1);
	call_at(p);
}

/* Beyond the end of a mapped file. */
static void *beyond(void)
{
	FILE *f = tmpfile();
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);

	fclose(f);
	return p;
}

static void check(void (*fn)(void *), void *arg, int sig, const void *addr, const char *message)
{
	struct ringo_panic_info p;

	seen = 0;
	ringo_errno = EDOM;
	CHECK_EQ(1, ringo_try(fn, arg, &p));
	CHECK_EQ(sig, p.signal);
	CHECK_EQ((uintptr_t)addr, (uintptr_t)p.address);
	if (!strstr(p.message, message))
		check_failed(__FILE__, __LINE__, p.message, 0, 0);
	CHECK_EQ(1, seen);
	CHECK_EQ(EDOM, ringo_errno);
}

static void all(void)
{
	struct ringo_panic_info p;
	void *map = beyond();

	check(stores, (void *)8, SIGSEGV, (void *)8, "NULL pointer");
	check(stores, (void *)0x123456000, SIGSEGV, (void *)0x123456000, "invalid memory address");
	check(stores, (void *)0xdead000000000000, SIGSEGV, NULL, "invalid memory address");
	check(stores, map, SIGBUS, map, "bus error");
	check(calls, NULL, SIGSEGV, NULL, "NULL pointer");
	check(calls, (void *)0x123456000, SIGSEGV, (void *)0x123456000, "invalid memory address");
	CHECK_EQ(1, ringo_try(divides, NULL, &p));
	CHECK_EQ(SIGFPE, p.signal);
	munmap(map, 4096);
}

static int all_main(void *arg)
{
	sigset_t before, now;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	for (int i = 0; i < 50; i++) {
		all();
		if (i % 5 == 0)
			CHECK_EQ(0, ringo_sleep(1));
	}
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	for (int s = 1; s < 32; s++)
		CHECK_EQ(sigismember(&before, s), sigismember(&now, s));
	return 0;
}

TEST(faults_are_contained_with_signal_and_address)
{
	EXPECT_EQ(0, ringo_run(all_main, NULL));
}

static void faulty(int times)
{
	struct ringo_panic_info p;

	for (int i = 1; i <= times; i++) {
		CHECK_EQ(1, ringo_try(stores, (void *)((uintptr_t)i * 8), &p));
		CHECK_EQ(8 * i, (uintptr_t)p.address);
		if (i % 4 == 0)
			ringo_yield();
	}
}

static int crowd_main(void *arg)
{
	seen = 0;
	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go(faulty, SCALE(100)));
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	CHECK_EQ(20 * SCALE(100), LOAD(&seen));
	return 0;
}

TEST(many_goroutines_fault_at_once)
{
	use_procs(4);
	EXPECT_EQ(0, ringo_run(crowd_main, NULL));
}

/* What lies in the red zone, below the stack pointer, is still there for what is deferred. */
static uint64_t *zone;

static void look_at_zone(void)
{
	for (int i = 0; i < 16; i++)
		CHECK_EQ(0x1000 + i, (int)zone[i]);
	add(1);
}

static void fills_red_zone(void *p)
{
	ringo_defer(look_at_zone);
	__asm__ volatile("lea -128(%%rsp), %%rax\n\t"
			 "mov %%rax, %0\n\t"
			 "xor %%ecx, %%ecx\n"
			 "1:\tlea 0x1000(%%rcx), %%edx\n\t"
			 "mov %%rdx, (%%rax, %%rcx, 8)\n\t"
			 "inc %%ecx\n\t"
			 "cmp $16, %%ecx\n\t"
			 "jne 1b\n\t"
			 "std\n\t"
			 "movl $1, (%1)\n\t"
			 "cld" : "=m"(zone) : "r"(p) : "rax", "rcx", "rdx", "memory", "cc");
}

static unsigned long flags_seen;

static void look_at_flags(void)
{
	__asm__ volatile("pushf\n\tpop %0" : "=r"(flags_seen));
}

static void fills_and_looks(void *p)
{
	ringo_defer(look_at_flags);
	fills_red_zone(p);
}

static int abi_main(void *arg)
{
	seen = 0;
	CHECK_EQ(1, ringo_try(fills_and_looks, NULL, NULL));
	CHECK_EQ(1, seen);
	CHECK_EQ(0, flags_seen & 0x400);
	return 0;
}

TEST(the_red_zone_is_kept_and_the_direction_flag_is_clear)
{
	if (SANITIZED)
		SKIP(return, "a sanitizer may use the place below the stack pointer; run the plain build");
	EXPECT_EQ(0, ringo_run(abi_main, NULL));
}

static void faults_again(void)
{
	store_at((void *)16);
}

static void faults_twice(void *arg)
{
	ringo_defer(faults_again);
	store_at((void *)8);
}

static int twice_main(void *arg)
{
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(faults_twice, NULL, &p));
	CHECK_EQ(16, (uintptr_t)p.address);
	return 0;
}

TEST(a_fault_while_another_goes_on)
{
	EXPECT_EQ(0, ringo_run(twice_main, NULL));
}

/* ---- not contained ---- */

static int (*the_main)(void *);

static void run_it(void)
{
	struct rlimit none = { 0 };

	setrlimit(RLIMIT_CORE, &none);
	_exit(ringo_run(the_main, NULL));
}

static void ends(struct outcome *o, int (*fn)(void *))
{
	the_main = fn;
	in_child(o, run_it);
}

static __attribute__((noinline)) int fault_here(void)
{
	store_at((void *)8);
	return 0;
}

static int fault_main(void *arg)
{
	return fault_here() + *(volatile int *)&seen; /* no jump: it is to have a frame */
}

TEST(an_uncaught_one_is_reported_with_the_faulting_function)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, fault_main);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "panic: invalid memory address or NULL pointer dereference\n"
			     "[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc="));
	EXPECT_TRUE(said(&o, " [running]: fault_main, started by ringo_run\n  #0 "));
	EXPECT_TRUE(said(&o, " store_at\n"));
	EXPECT_TRUE(said(&o, " fault_main\n"));
}

static int nowhere_main(void *arg)
{
	call_at((void *)0x7000);
	return 0;
}

TEST(a_call_to_nowhere_is_reported_with_its_caller)
{
	struct outcome o;

	NEEDS_ABORT();
	ends(&o, nowhere_main);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "addr=0x7000"));
	EXPECT_TRUE(said(&o, " call_at\n"));
	EXPECT_TRUE(said(&o, " nowhere_main\n"));
}

static int inside_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(64, 1);

	return ringo_chan_send(c, (void *)16); /* faults while the channel copies */
}

static void tries_inside(void *arg)
{
	inside_main(arg);
	add(1);
}

static int tries_inside_main(void *arg)
{
	return ringo_try(tries_inside, NULL, NULL);
}

TEST(a_fault_inside_ringo_is_not_contained_and_says_why)
{
	struct outcome o;

	NEEDS_ABORT();
	if (SANITIZED)
		SKIP(return, "the sanitizer reports the fault itself; run the plain build");
	ends(&o, tries_inside_main);
	EXPECT_TRUE(aborted(&o));
	EXPECT_TRUE(said(&o, "ringo: SIGSEGV at address 0x10 in a call of ringo: it was given a bad pointer. "
			     "This cannot be contained"));
	EXPECT_TRUE(said(&o, " tries_inside\n"));
}

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
	_exit(info->si_addr == (void *)8 ? 77 : info->si_code <= 0 ? 78 : 79);
}

static void handle(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(sig, &sa, NULL);
}

static void *faults_as_thread(void *arg)
{
	store_at((void *)8);
	return arg;
}

static int thread_main(void *arg)
{
	pthread_t t;

	CHECK_EQ(0, pthread_create(&t, NULL, faults_as_thread, NULL));
	pthread_join(t, NULL);
	return 0;
}

static void thread_with_handler(void)
{
	handle(SIGSEGV);
	ringo_run(thread_main, NULL);
}

static void thread_without(void)
{
	signal(SIGSEGV, SIG_DFL);
	the_main = thread_main;
	run_it();
}

TEST(a_fault_of_another_thread_goes_to_the_program)
{
	struct outcome o;

	in_child(&o, thread_with_handler);
	EXPECT_TRUE(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 77);
	in_child(&o, thread_without);
	EXPECT_TRUE(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSEGV);
}

static int kill_main(void *arg)
{
	pthread_kill(pthread_self(), SIGFPE);
	nap_ms(20000);
	return 0;
}

static void kill_with_handler(void)
{
	handle(SIGFPE);
	ringo_run(kill_main, NULL);
}

static void kill_without(void)
{
	signal(SIGFPE, SIG_DFL);
	the_main = kill_main;
	run_it();
}

static int ignored_main(void *arg)
{
	kill(getpid(), SIGFPE);
	nap_ms(5);
	return 5;
}

static void kill_ignored(void)
{
	signal(SIGFPE, SIG_IGN);
	the_main = ignored_main;
	run_it();
}

TEST(a_signal_that_was_sent_goes_to_the_program)
{
	struct outcome o;

	in_child(&o, kill_with_handler);
	EXPECT_TRUE(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 78);
	in_child(&o, kill_without);
	EXPECT_TRUE(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGFPE);
	in_child(&o, kill_ignored);
	EXPECT_TRUE(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 5);
}

static int later_main(void *arg)
{
	handle(SIGSEGV);
	return fault_here();
}

TEST(a_handler_that_is_installed_later_wins)
{
	struct outcome o;

	ends(&o, later_main);
	EXPECT_TRUE(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 77);
}

static int nothing_main(void *arg)
{
	return 0;
}

TEST(after_the_run_the_handlers_are_those_of_before)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE };
	struct sigaction now;

	for (int i = 0; i < 3; i++)
		handle(signals[i]);
	EXPECT_EQ(0, ringo_run(nothing_main, NULL));
	for (int i = 0; i < 3; i++) {
		sigaction(signals[i], NULL, &now);
		EXPECT_EQ((uintptr_t)on_signal, (uintptr_t)now.sa_sigaction);
	}
}

TEST_HARNESS_MAIN
