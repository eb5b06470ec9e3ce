// SPDX-License-Identifier: GPL-2.0-only
/*
 * Upcalls: the thread of an M goes on in the runtime, wherever in its goroutine's code it is, to be
 * parked there. This is what a signal does, for a third of the instructions.
 *
 * How. A timer interrupt of user mode returns by the registers that it has saved. The tick changes
 * two of these: the thread comes back at the address that it gave when it added itself, and finds
 * the one where it was on its stack, below the red zone. What comes there saves all other
 * registers itself. Nothing else is needed: no signal, no work at the exit to user mode (for which
 * task_work_add would do, which kernels other than Debian's do not export).
 *
 * When. Only if nothing can be seen of it but the time that it takes:
 * - the interrupt came from user mode, so no system call is under way, and 64-bit code;
 * - that was the goroutine's code, not the runtime's;
 * - on the goroutine's own stack, the bounds of which come with the request; a signal stack, or
 *   one that the program has made, may have no room. What is written lies between these bounds, and
 *   is there: a page that would first have to be made is none;
 * - outside restartable sequences, which must be aborted rather than interrupted and resumed;
 * - nobody traces the thread or steps through it, and the alignment check is not on.
 * Otherwise the request stays, for the next tick, or for whoever made it to use a signal.
 *
 * Trust. The memory written is the thread's own, below its own stack pointer, without faults; where it
 * goes on is an address of user mode.
 *
 * Ordering. The bounds are read after ASKED is (acquire): who asks writes them before. That becomes
 * RUNS by CAS, since it may be withdrawn at the same time. 0 is written by the thread, as the last
 * thing before it goes back, with its stack pointer on the goroutine's stack again: so the runtime
 * needs memory for one upcall of a thread only.
 */
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>

#include <asm/irq_regs.h>
#include <asm/processor-flags.h>
#include <asm/ptrace.h>

#include "compat.h"
#include "ringo.h"
#include "trace.h"

#define RED_ZONE 128
#define FRAME (RED_ZONE + sizeof(u64))

/* Of the current process, if it is there; 0 or -EFAULT. copy_from_user_nofault takes thrice as long. */
static int peek(u64 *to, const u64 __user *from)
{
	int err;

	pagefault_disable();
	err = get_user(*to, from);
	pagefault_enable();
	return err;
}

static int poke(u64 __user *to, u64 value)
{
	int err;

	pagefault_disable();
	err = put_user(value, to);
	pagefault_enable();
	return err;
}

static bool in_rseq(u64 ip)
{
#ifdef CONFIG_RSEQ
	struct rseq __user *rseq = ringo_rseq(current);
	const struct rseq_cs __user *cs;
	u64 at, begin, size;

	if (!rseq)
		return false;
	if (peek(&at, (u64 __user *)&rseq->rseq_cs) || at >= TASK_SIZE_MAX)
		return true;
	if (!at)
		return false;
	cs = u64_to_user_ptr(at);
	if (peek(&begin, &cs->start_ip) || peek(&size, &cs->post_commit_offset))
		return true;
	return ip - begin < size;
#else
	return false;
#endif
}

static bool on_stack(const struct ringo_m_page *page, u64 sp)
{
	u64 low = READ_ONCE(page->stack_low), high = READ_ONCE(page->stack_high);

	return sp >= low && sp - low >= FRAME && sp <= high && sp < TASK_SIZE_MAX;
}

static bool in_goroutine(const struct ringo_m_page *page, struct pt_regs *regs)
{
	return regs == task_pt_regs(current) && user_64bit_mode(regs) &&
	       !READ_ONCE(page->in_rt) && READ_ONCE(page->cur_g) && on_stack(page, regs->sp);
}

static bool left_alone(const struct pt_regs *regs)
{
	return current->ptrace || regs->flags & (X86_EFLAGS_TF | X86_EFLAGS_AC);
}

void ringo_upcall(struct ringo_m *m)
{
	struct ringo_m_page *page = m->page;
	struct pt_regs *regs = get_irq_regs();
	u64 sp;

	/* pairs with the release of who asks */
	if (!m->upcall || smp_load_acquire(&page->upcall) != RINGO_UPCALL_ASKED || !regs)
		return;
	if (!in_goroutine(page, regs) || left_alone(regs) || in_rseq(regs->ip))
		return;
	sp = regs->sp - FRAME;
	if (poke((u64 __user *)sp, regs->ip))
		return;
	if (cmpxchg(&page->upcall, RINGO_UPCALL_ASKED, RINGO_UPCALL_RUNS) != RINGO_UPCALL_ASKED)
		return;
	trace_upcall(m->number, READ_ONCE(page->cur_g), regs->ip);
	regs->sp = sp;
	regs->ip = m->upcall;
	ringo_count(&m->client->ctl->upcalls);
}
