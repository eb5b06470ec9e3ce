// SPDX-License-Identifier: MIT
/* The library and a ringo-bpfd that does not answer, or is something else. The rest is in tests/tier/preempt.c. */
#include "help.h"
#include "../tier/hogs.h"

FIXTURE(library) {
};

FIXTURE_SETUP(library)
{
	const char *why = bpf_begin();

	if (why)
		SKIP_SETUP("%s", why);
	setenv("RINGO_PREEMPT", "bpf", 1);
	use_procs(1);
	expected = RINGO_PREEMPT_SYSMON;
}

FIXTURE_TEARDOWN(library)
{
	bpf_end();
}

static void run_plain(void)
{
	CHECK_EQ(0, run_main(plain));
}

TEST_F(library, one_that_hangs)
{
	struct outcome o;

	kill(bpfd.pid, SIGSTOP);
	in_child(&o, run_plain); /* waits 2 s */
	EXPECT_EQ(0, o.status);
	EXPECT_TRUE(said(&o, bpf_tier.refused));
	kill(bpfd.pid, SIGCONT);
}

/* Something else answers. */
static void *nonsense(void *arg)
{
	int listener = *(int *)arg;

	for (int i = 0; i < 4; i++) {
		struct ringo_bpfd_answer a = { .op = RINGO_BPFD_HELLO, .pages = 1u << 30, .ring = 12345 };
		int fd = accept(listener, NULL, NULL);

		send(fd, &a, i ? sizeof(a) : 3, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

TEST_F(library, another_service)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	pthread_t t;

	strcpy(addr.sun_path, "/tmp/ringo-nonsense.XXXXXX");
	close(mkstemp(addr.sun_path));
	unlink(addr.sun_path);
	ASSERT_EQ(0, bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	ASSERT_EQ(0, listen(fd, 5));
	setenv("RINGO_BPFD", addr.sun_path, 1);
	pthread_create(&t, NULL, nonsense, &fd);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, run_main(plain));
	pthread_join(t, NULL);
	unlink(addr.sun_path);
}

/* A new M is not told of; it is one that sysmon looks after. */
static int hangs_later(void *arg)
{
	CHECK_EQ(RINGO_PREEMPT_BPF, tier_now());
	kill(bpfd.pid, SIGSTOP);
	start_hogs(3);
	sleep_ms(50);
	end_hogs();
	kill(bpfd.pid, SIGCONT);
	return 0;
}

TEST_F(library, it_hangs_later)
{
	EXPECT_EQ(0, run_main(hangs_later));
}

int main(int argc, char **argv)
{
	daemon_missing();
	return test_harness_run(argc, argv);
}
