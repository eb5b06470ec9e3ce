// SPDX-License-Identifier: MIT
/*
 * What revocation must not be: a goroutine that computes for long is switched away wherever it is, and goes on later,
 * on whichever thread comes. The programs of tests/run/safety_*.c linked with this must fail, each of their
 * tests (tests/run/safety.sh).
 *
 * A signal handler on the goroutine's own stack does it, so that the kernel has saved all registers; the G
 * goes to the global queue. Only inside units, whose calls are none of ringo's: the tests must fail by what
 * they check. With RINGO_TEST_SPOT=registers it comes back as from a call,
 * which does not preserve vectors, x87 and r11.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/gate.h"
#include "core/rt.h"
#include "core/sched.h"

enum { MAX_G = 4096, INTERVAL_US = 100 };

void spot_start(void);
void spot_arm(bool on);

static uint32_t armed[MAX_G];
static bool lose_registers;

static uint32_t *arm_of(const struct g *g)
{
	return &armed[rg_g_index(g) % MAX_G];
}

void spot_arm(bool on)
{
	rg_store_relaxed(arm_of(rg_m()->cur), on);
}

static void as_after_a_call(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_R11] = 0;
	uc->uc_mcontext.fpregs = NULL; /* the kernel clears them */
}

static bool in_system_call(const ucontext_t *uc)
{
	const unsigned char *pc = (const unsigned char *)uc->uc_mcontext.gregs[REG_RIP];

	return (pc[-2] == 0x0f && pc[-1] == 0x05) || (pc[0] == 0x0f && pc[1] == 0x05);
}

static void switch_on_the_spot(int sig, siginfo_t *info, void *uc)
{
	struct m *m = (struct m *)rg_arch_self();
	struct g *g;

	(void)sig;
	(void)info;
	if (!m || rg_load_relaxed(&rg_m_page(m)->in_rt) || !m->cur || in_system_call(uc))
		return;
	g = m->cur;
	if (!rg_xchg_full(arm_of(g), 0)) /* order: none needed: the signals of one thread */
		return;
	rg_gate_in(m);
	rg_rejoin(m);
	rg_leave(rg_m());
	if (lose_registers)
		as_after_a_call(uc);
	rg_store_relaxed(arm_of(g), 1);
}

static void *ticks(void *arg)
{
	for (;;) {
		usleep(INTERVAL_US);
		/* order: acquire; pairs with the release of rt.nm */
		for (unsigned i = 0, n = rg_load_acquire(&rt.nm); i < n; i++)
			pthread_kill(rt.m[i]->thread.id, SIGURG);
	}
	return arg;
}

void spot_start(void)
{
	struct sigaction sa = { .sa_sigaction = switch_on_the_spot, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART };
	const char *mode = getenv("RINGO_TEST_SPOT");
	pthread_t id;

	lose_registers = mode && !strcmp(mode, "registers");
	if (sigaction(SIGURG, &sa, NULL) || pthread_create(&id, NULL, ticks, NULL))
		abort();
}
