// SPDX-License-Identifier: MIT
/*
 * The module's upcalls. First without the library: a thread that was asked for goes on where it has said, if it can be
 * interrupted there, and not otherwise. Then goroutines that the lane parks so; their registers are in registers.c.
 */
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>

#include "../run/dump_help.h"
#include "core/kern.h"
#include "help.h"

enum { QUANTUM_US = 1000, FRAME = 136, FEW_MS = 50, MANY_MS = 20000 };

static struct client *c;

FIXTURE(upcall) {
	struct client c;
};

FIXTURE_SETUP(upcall)
{
	c = &self->c;
	ASSERT_EQ(0, client_open(c, QUANTUM_US));
	watch(c, true);
}

FIXTURE_TEARDOWN(upcall)
{
	client_close(c);
}

/* ---- a thread that has them ---- */

/* Of the last one: where it was, and how many there were. */
uint64_t from __attribute__((used));
uint32_t came __attribute__((used));
static uint32_t *word_of_thread __attribute__((used));

/* As its own, so that it may be interrupted anywhere: it uses no memory but the stack. */
static __attribute__((naked)) void enter_here(void)
{
	__asm__("pushfq; push %rax\n\t"
		"mov 16(%rsp),%rax; mov %rax,from(%rip)\n\t"
		"lock incl came(%rip)\n\t"
		"mov word_of_thread(%rip),%rax; movl $0,(%rax)\n\t"
		"pop %rax; popfq; ret $128");
}

static void may_use(struct mock *m, uintptr_t low, uintptr_t high)
{
	own_page(m)->stack_low = low;
	own_page(m)->stack_high = high;
}

static int add_with(struct mock *m, uint64_t upcall)
{
	struct ringo_add a = { .page = m->n, .upcall = upcall };

	CHECK_EQ(0, dev_ioctl(m->c->fd, RINGO_IOC_REMOVE, NULL));
	return dev_ioctl(m->c->fd, RINGO_IOC_ADD, &a);
}

static void with_upcalls(struct mock *m)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	word_of_thread = &own_page(m)->upcall;
	may_use(m, here - 65536, here + 4096);
	CHECK_EQ(0, add_with(m, (uintptr_t)enter_here));
}

/* Asks page 1, and says whether it came in that time; else it is not to come any more. */
static bool comes_within(int64_t ms)
{
	const int64_t until = now_ns() + ms * MS;
	uint32_t asked = RINGO_UPCALL_ASKED;

	STORE(&page(1)->upcall, RINGO_UPCALL_ASKED);
	while (LOAD(&page(1)->upcall) && now_ns() < until)
		sched_yield();
	if (LOAD(&page(1)->upcall) == RINGO_UPCALL_RUNS)
		return true;
	return !__atomic_compare_exchange_n(&page(1)->upcall, &asked, 0u, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool ready;

static void spin(struct mock *m)
{
	STORE(&ready, true);
	while (!LOAD(&m->stop))
		;
}

static void wait_ready(void)
{
	while (!LOAD(&ready))
		sched_yield();
	STORE(&ready, false);
}

static void just_spin(struct mock *m)
{
	with_upcalls(m);
	spin(m);
}

static struct mock thread;

static void start(void (*fn)(struct mock *m))
{
	m_start(&thread, c, 1, fn);
	wait_ready();
}

/* ---- when, and when not ---- */

TEST_F(upcall, each_request_is_answered_once)
{
	start(just_spin);
	for (int i = 0; i < 100; i++)
		ASSERT_TRUE(comes_within(MANY_MS));
	nap_ms(FEW_MS);
	m_join(&thread);
	EXPECT_EQ(100, LOAD(&came));
	EXPECT_EQ(100, LOAD(&ctl()->upcalls));
}

TEST_F(upcall, outside_the_runtime_only)
{
	start(just_spin);
	STORE(&page(1)->in_rt, RINGO_RT_INSIDE);
	EXPECT_FALSE(comes_within(FEW_MS));
	STORE(&page(1)->in_rt, 0);
	STORE(&page(1)->cur_g, 0);
	EXPECT_FALSE(comes_within(FEW_MS));
	STORE(&page(1)->cur_g, 1);
	EXPECT_TRUE(comes_within(MANY_MS));
	m_join(&thread);
}

TEST_F(upcall, not_while_one_runs)
{
	start(just_spin);
	STORE(&page(1)->upcall, RINGO_UPCALL_RUNS);
	nap_ms(FEW_MS);
	m_join(&thread);
	EXPECT_EQ(RINGO_UPCALL_RUNS, LOAD(&page(1)->upcall));
	EXPECT_EQ(0, LOAD(&came));
}

static void spin_with_none(struct mock *m)
{
	with_upcalls(m);
	CHECK_EQ(0, add_with(m, 0));
	spin(m);
}

TEST_F(upcall, not_without_an_address)
{
	start(spin_with_none);
	EXPECT_FALSE(comes_within(FEW_MS));
	m_join(&thread);
}

static void add_badly(struct mock *m)
{
	static const uint64_t bad[] = { UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 56, UINT64_C(0xffffffff81000000) };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(-EINVAL, add_with(m, bad[i]));
		CHECK_EQ(0, dev_add(m->c->fd, m->n));
	}
	spin(m);
}

TEST_F(upcall, no_addresses_of_the_kernel)
{
	start(add_badly);
	m_join(&thread);
}

/* ---- the stack ---- */

/* Spins with the stack pointer there. */
static __attribute__((naked)) void spin_on(const void *sp __attribute__((unused)),
					    const bool *stop __attribute__((unused)))
{
	__asm__("mov %rsp,%r11; mov %rdi,%rsp\n"
		"1: cmpb $0,(%rsi); je 1b\n\t"
		"mov %r11,%rsp; ret");
}

static char *other_stack;

static void spin_there(struct mock *m)
{
	with_upcalls(m);
	may_use(m, (uintptr_t)other_stack, (uintptr_t)other_stack + 2 * PAGE);
	STORE(&ready, true);
	spin_on(other_stack + PAGE, &m->stop);
}

TEST_F(upcall, only_where_the_stack_has_room)
{
	other_stack = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)other_stack);
	start(spin_there);
	EXPECT_FALSE(comes_within(FEW_MS)); /* the lower page is not there yet */
	memset(other_stack, 0x55, PAGE);
	EXPECT_TRUE(comes_within(MANY_MS));
	page(1)->stack_low = (uintptr_t)other_stack + PAGE - FRAME + 1;
	EXPECT_FALSE(comes_within(FEW_MS));
	page(1)->stack_low--;
	EXPECT_TRUE(comes_within(MANY_MS));
	page(1)->stack_high = (uintptr_t)other_stack + PAGE - 1;
	EXPECT_FALSE(comes_within(FEW_MS));
	page(1)->stack_low = 0;
	page(1)->stack_high = UINT64_MAX;
	EXPECT_TRUE(comes_within(MANY_MS));
	m_join(&thread);
	/* The red zone is as it was, and what lies below the frame but for what enter_here used. */
	for (int i = 1; i <= 128; i++)
		EXPECT_EQ(0x55, other_stack[PAGE - i]);
	for (int i = 0; i < PAGE - FRAME - 16; i++)
		ASSERT_EQ(0x55, other_stack[i]);
}

/* ---- what must not be interrupted ---- */

extern const char section_begin[], section_end[];

/* Spins in a restartable sequence, again and again, since the kernel aborts it when it takes the CPU away. */
static __attribute__((naked)) void spin_in_section(struct rseq *r __attribute__((unused)),
						    const bool *stop __attribute__((unused)))
{
	__asm__("1: lea section(%rip),%rax; mov %rax,8(%rdi)\n"
		"section_begin: cmpb $0,(%rsi); je section_begin\n"
		"section_end: movq $0,8(%rdi); ret\n\t"
		".long 0x53053053\n"
		"2: jmp 1b\n\t"
		".pushsection .data.rel.local,\"aw\"\n\t"
		".balign 32\n"
		"section: .long 0,0; .quad section_begin,section_end-section_begin,2b\n\t"
		".popsection");
}

static void restartable(struct mock *m)
{
	struct rseq *r = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);

	with_upcalls(m);
	STORE(&ready, true);
	spin_in_section(r, &m->stop);
	spin(m);
}

TEST_F(upcall, not_in_a_restartable_sequence)
{
	if (!__rseq_size)
		SKIP(return, "no rseq");
	start(restartable);
	/* It may come on the way back into the sequence. */
	for (int i = 0; i < 5; i++)
		if (comes_within(FEW_MS))
			EXPECT_FALSE(from >= (uintptr_t)section_begin && from < (uintptr_t)section_end);
	EXPECT_LT(LOAD(&came), 4);
	m_join(&thread);
}

static int tid;

static void spin_known(struct mock *m)
{
	tid = (int)syscall(SYS_gettid);
	just_spin(m);
}

/* Told which thread, says when it traces that, until it is killed. */
static void trace_it(int in, int out)
{
	int n = 0;

	CHECK_EQ(sizeof(n), read(in, &n, sizeof(n)));
	n = ptrace(PTRACE_SEIZE, n, 0, 0) ? -errno : 0;
	CHECK_EQ(sizeof(n), write(out, &n, sizeof(n)));
	pause();
}

/* Begun before: memory that a fork has just shared is as if it were not there. */
TEST_F(upcall, not_while_traced)
{
	int to[2], back[2], status, err = 0;
	pid_t tracer;

	ASSERT_EQ(0, pipe(to) | pipe(back));
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	tracer = fork();
	if (!tracer)
		trace_it(to[0], back[1]);
	start(spin_known);
	ASSERT_EQ(sizeof(tid), write(to[1], &tid, sizeof(tid)));
	ASSERT_EQ(sizeof(err), read(back[0], &err, sizeof(err)));
	EXPECT_EQ(0, err);
	EXPECT_FALSE(comes_within(FEW_MS));
	kill(tracer, SIGKILL);
	waitpid(tracer, &status, 0);
	EXPECT_TRUE(comes_within(MANY_MS));
	m_join(&thread);
}

enum { BIG = 16 << 20 };
static long cut;

static void read_much(struct mock *m)
{
	char *buf = malloc(BIG);
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	with_upcalls(m);
	STORE(&ready, true);
	while (!LOAD(&m->stop))
		cut += read(fd, buf, BIG) != BIG;
	close(fd);
	free(buf);
}

TEST_F(upcall, system_calls_do_not_notice)
{
	start(read_much);
	for (int i = 0; i < 20; i++)
		comes_within(FEW_MS);
	m_join(&thread);
	EXPECT_EQ(0, cut);
}

/* ---- goroutines ---- */

enum { HOGS = 3 };
static bool over;
static struct ringo_waitgroup done;

static void parked_hog(void)
{
	while (!LOAD(&over))
		;
	ringo_waitgroup_done(&done);
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

/* Three loops, and one place: two are parked at any time, but for a moment now and then. */
static int hogs_main(void *arg)
{
	const int64_t until = now_ns() + MANY_MS * MS;
	char *text = dump_text(RINGO_DUMP_FULL);

	(void)arg;
	CHECK(rg_kern_ctl());
	ringo_waitgroup_add(&done, HOGS);
	for (int i = 0; i < HOGS; i++)
		CHECK_EQ(0, ringo_go(parked_hog));
	while (now_ns() < until && LOAD(&rg_kern_ctl()->upcalls) < 10)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	/* Each is at its entry, and that is also named below its frames. */
	for (int i = 0; i < 10 && count(text, " parked_hog") < 2 * HOGS; i++) {
		free(text);
		text = dump_text(RINGO_DUMP_FULL);
	}
	fprintf(stderr, "# %llu upcalls\n", (unsigned long long)LOAD(&rg_kern_ctl()->upcalls));
	CHECK_EQ(2 * HOGS, count(text, " parked_hog"));
	CHECK_EQ(0, count(text, "rg_upcall"));
	CHECK(LOAD(&rg_kern_ctl()->upcalls) >= 10);
	free(text);
	STORE(&over, true);
	ringo_waitgroup_wait(&done);
	return 0;
}

TEST(goroutines_are_parked_and_their_stacks_can_be_read)
{
	setenv("RINGO_PREEMPT", "auto", 1);
	setenv("RINGO_BPFD", "/nowhere", 1);
	use_procs(1);
	EXPECT_EQ(0, run_main(hogs_main));
}

KMOD_MAIN
