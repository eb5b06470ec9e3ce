/* SPDX-License-Identifier: MIT */
/*
 * What the goroutines are doing, as text, and which of them have leaked.
 *
 * A dump looks at one goroutine after the other while the program goes on: it is no snapshot. One that waits
 * or is queued is kept from going on for some microseconds. One that runs code of the program is asked by a
 * signal (SIGURG, see RINGO_DUMP_FULL); one that is inside ringo, or does not answer, is shown without stack.
 */
#ifndef RINGO_DUMP_H
#define RINGO_DUMP_H

#include <ringo/base.h>

RINGO__C_BEGIN

/*
 * GROUPED (as pprof's debug=1, and pprof reads it): equal ones are counted together, most frequent first.
 *
 *   goroutine profile: total 1001
 *   1000 @ 0x55d0c1a2b3c4 0x55d0c1a2b4d5
 *   # [chan receive, 12 ms to 3 minutes] entry worker, created by start_all+0x42
 *   #	0x55d0c1a2b3c4 ringo_chan_recv+0x7b
 *   #	0x55d0c1a2b4d5 worker+0x2f
 *
 * FULL (as debug=2): each by itself; ID is number.life.
 *
 *   goroutine 12.1 [chan receive, 3 minutes] name:
 *   	0x55d0c1a2b3c4 ringo_chan_recv+0x7b
 *   	0x55d0c1a2b4d5 worker+0x2f
 *   waits on 0x55d0c2f01010
 *   entry worker
 *   created by start_all+0x42
 *
 * In brackets: the state (running, runnable, or what it waits for), how long it has waited, the CPU time that it
 * has used ("cpu 12.345 ms", in a run that counts it: ringo_cpu_time), "on M 2" for one
 * that runs, "daemon", "context cancelled", "context timed out". Frames are innermost first, from the call of
 * ringo on, at most 64; addresses lie inside the call. Instead of frames there may be
 * "(stack not available: why)". Waiting times are good to some milliseconds. Of a select its cases are told, at
 * most 8:
 *
 *   waits on receive 0x55d0c2f01010, send NULL, fd 7 in|out, timeout 3.2 s, context 0x55d0c2f02020
 *
 * timeout: as it was asked for. A goroutine of a ringo_group has the function given to ringo_group_go as its
 * entry.
 *
 * LEAKS: as GROUPED, by where they were created and what they wait for, only those that wait, without
 * daemons; the times are least / median (about) / most, the stack is that of the one that waits longest. The
 * first line begins "leak profile".
 *
 * SELF: as FULL, of the caller only; nothing outside a goroutine.
 *
 * Names come from the symbol tables of the files on disk.
 */
enum {
	RINGO_DUMP_GROUPED = 1 << 0,
	RINGO_DUMP_FULL = 1 << 1,
	RINGO_DUMP_SELF = 1 << 2,
	RINGO_DUMP_LEAKS = 1 << 3,
};

/*
 * Write a dump to fd; exactly one of the flags. Blocks the OS thread while fd takes no more. 0; -EINVAL,
 * -ENOMEM, -ESRCH, or the error of write(2). Any thread; does not wait.
 *
 * Goroutines that run the program's code are interrupted by SIGURG for their stack; a system call that
 * signals end (poll, nanosleep) may return EINTR to them. A handler for SIGURG that the program had before
 * ringo_run gets all other SIGURG as before; while the program has set one afterwards, none is sent, and
 * those goroutines have no stack in dumps.
 */
RINGO__API RINGO__MUST int ringo_dump(int fd, unsigned flags);

/*
 * From now on signo makes a dump to fd, which must stay open; flags as for ringo_dump, but not SELF; 0 stops
 * that and puts the former handler back. A thread of its own writes it, so it comes even while all
 * goroutines are busy; signals that come while it writes make one dump more. Ends with the run. 0; -EINVAL
 * (also: a signal that cannot be caught, or SIGURG), -ENOENT (flags 0: nothing to stop), -EAGAIN, -EMFILE,
 * -ESRCH. Any thread; does not wait.
 */
RINGO__API int ringo_dump_on_signal(int signo, int fd, unsigned flags);

/*
 * From now on report on fd, which must stay open, each goroutine that has kept its thread for longer than ns
 * nanoseconds without waiting: because it computes, or because it is blocked in a call that is not ringo's.
 * ringo_yield counts as waiting if there was somebody to give way to.
 * Once each time, while it does, a little after ns:
 *
 *   ringo: goroutine 12.1 has kept M 2 for 120 ms, and is in system call 0; of that it computed 3 ms
 *
 * and then it, as ringo_dump's FULL; "and is in" only of one that is blocked. Also a thread that is stuck in
 * io_uring_enter. At most 5 at a time and one a second on average; how many were left out is told with the next,
 * and ringo_stats counts all. ns: at least a millisecond; 0 stops that. Called again, it changes both.
 *
 * For their stacks, SIGURG is sent as by ringo_dump, which may end a blocked call by EINTR (nanosleep, poll). A
 * thread of its own looks four times in ns, not while all goroutines wait; it blocks while fd takes no more. Ends
 * with the run. 0; -EINVAL, -ENOENT (0: nothing to stop), -EAGAIN, -EMFILE, -ESRCH. Any thread; does not wait.
 */
RINGO__API int ringo_stall_watch(int64_t ns, int fd);

/* Goroutines started since a moment, in tests: */
struct ringo_leaks {
	uint64_t ringo__epoch;
	uint64_t ringo__reserved[3];
};

/* That moment is now. Any thread; for use in the same run only. */
RINGO__API void ringo_leak_snapshot(struct ringo_leaks *l);

/*
 * How many goroutines that were started since the snapshot still live, by whomever they were started, without
 * daemons and the caller. If there are some, it waits for them to end, up to ns nanoseconds. Those left are
 * told on fd (-1: not), up to 100 of them as ringo_dump's FULL. 0: none; -ENOMEM, -ESRCH. Waits; stops
 * waiting when the ambient context or deadline is over. A thread that is no goroutine blocks.
 */
RINGO__API RINGO__MUST int ringo_leak_verify(struct ringo_leaks *l, int64_t ns, int fd);

/*
 * Goroutines that can never go on: they wait for channels (by send, receive or select), locks of ringo/sync.h,
 * groups or contexts, no deadline ends that, and nothing that may still run has a pointer to what could wake
 * them, which their context is part of. How many; they are told on fd (-1: not) as by ringo_leak_verify.
 * The main goroutine and daemons are never among them.
 *
 * All threads are stopped for as long as a fork takes; the copy is then searched for pointers, in all
 * memory of the program but the stacks of those in question. What looks like a pointer counts as one, so
 * some are missed: where the address is still in memory that was freed, or in a structure that itself is
 * lost. A pointer to any part of its block of malloc's counts as one to a lock, and one to any frame in use of
 * its stack; a lock that lies elsewhere (a global variable, memory of mmap or of a malloc that is not
 * glibc's) is never taken for lost. Seen as lost are those whose channel is known only to another process or
 * to the kernel (as the data of an epoll entry), or by a pointer that is packed or disguised.
 *
 * -EAGAIN: it cannot be told now, because a thread blocks SIGURG or the blocking pool is at work; -EBUSY: the
 * program has a handler for SIGURG; -ENOTSUP under sanitizers and valgrind; -ENOMEM, -ESRCH. Any thread;
 * does not wait, but blocks its OS thread.
 */
RINGO__API RINGO__MUST long ringo_leak_unreachable(int fd);

RINGO__C_END

#endif
