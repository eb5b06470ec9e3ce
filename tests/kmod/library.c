// SPDX-License-Identifier: MIT
/*
 * The library and a module that does not serve it, or is something else; and what holds the module. The rest is in
 * tests/tier/preempt.c.
 */
#include <sys/sysmacros.h>

#include "help.h"
#include "../tier/hogs.h"

FIXTURE(library) {
};

FIXTURE_SETUP(library)
{
	setenv("RINGO_PREEMPT", "kmod", 1);
	setenv("RINGO_BPFD", "/nowhere", 1); /* one that listens would be next best */
	use_procs(1);
}

FIXTURE_TEARDOWN(library)
{
}

static void run_plain(void)
{
	CHECK_EQ(0, run_main(plain));
}

static int guard_main(void *arg)
{
	struct ringo_stats s = { .size = sizeof(s) };

	(void)arg;
	CHECK_EQ(0, ringo_stats_get(&s));
	return (int)s.guard;
}

static bool have_markers(void)
{
	return ringo_run(guard_main, NULL) == RINGO_GUARD_MARKER;
}

#define ELSEWHERE RINGO_DEVICE ".away"

/* Can be mapped, too. */
static bool zero_instead(void)
{
	return !rename(RINGO_DEVICE, ELSEWHERE) && !mknod(RINGO_DEVICE, S_IFCHR | 0666, makedev(1, 5));
}

static int device_again(void)
{
	return rename(ELSEWHERE, RINGO_DEVICE);
}

TEST_F(library, another_device)
{
	struct outcome o;

	expected = RINGO_PREEMPT_SYSMON;
	if (!zero_instead())
		SKIP(return, "not root");
	in_child(&o, run_plain);
	if (!have_markers())
		EXPECT_EQ(RINGO_GUARD_MPROTECT, ringo_run(guard_main, NULL));
	EXPECT_EQ(0, device_again());
	EXPECT_EQ(0, o.status);
	EXPECT_TRUE(said(&o, "ringo: no preemption by the kernel module (Inappropriate ioctl"));
}

TEST_F(library, stacks_are_the_module_s_in_any_tier)
{
	if (have_markers())
		SKIP(return, "this kernel has guard markers");
	EXPECT_EQ(RINGO_GUARD_KMOD, ringo_run(guard_main, NULL));
	setenv("RINGO_PREEMPT", "off", 1);
	EXPECT_EQ(RINGO_GUARD_KMOD, ringo_run(guard_main, NULL));
	setenv("RINGO_GUARD", "mprotect", 1);
	EXPECT_EQ(RINGO_GUARD_MPROTECT, ringo_run(guard_main, NULL));
}

static void nothing(void *arg)
{
	(void)arg;
}

static int without_device(void *arg)
{
	struct ringo_go_options used = RINGO_GO_OPTIONS(.stack_max = 1 << 20), other = RINGO_GO_OPTIONS(.stack_max = 1 << 22);

	(void)arg;
	CHECK_EQ(0, ringo_go_opt(&used, nothing, NULL));
	CHECK(zero_instead());
	CHECK_EQ(0, ringo_go_opt(&used, nothing, NULL));
	CHECK_EQ(-EAGAIN, ringo_go_opt(&other, nothing, NULL));
	CHECK_EQ(0, device_again());
	CHECK_EQ(0, ringo_go_opt(&other, nothing, NULL));
	return 0;
}

TEST_F(library, no_stack_goes_without_a_guard)
{
	if (have_markers())
		SKIP(return, "this kernel has guard markers");
	EXPECT_EQ(0, ringo_run(without_device, NULL));
}

/* One client at a time of a process: whoever comes second gets the next tier. */
TEST_F(library, the_process_is_a_client_already)
{
	struct client c;

	ASSERT_EQ(0, client_open(&c, 1000));
	expected = RINGO_PREEMPT_SYSMON;
	EXPECT_EQ(0, run_main(plain));
	client_close(&c);
	expected = RINGO_PREEMPT_KMOD;
	EXPECT_EQ(0, run_main(plain));
}

static int unloads(void *arg)
{
	start_hogs(1);
	for (int i = 0; i < 20; i++) {
		int err = module_unload();

		CHECK(err == -EWOULDBLOCK || err == -EPERM);
		sleep_ms(1);
	}
	end_hogs();
	return 0;
}

TEST_F(library, it_cannot_be_unloaded_meanwhile)
{
	EXPECT_EQ(0, run_main(unloads));
	EXPECT_NE(-EWOULDBLOCK, module_unload()); /* no mapping keeps it */
	module_load("");
}

KMOD_MAIN
