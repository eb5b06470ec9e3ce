/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share.
 *
 * Clients and Ms. A client is an open /dev/ringo: memory that it shares with one process, of
 * which the device writes nothing else. An M is a thread of that process which has added itself,
 * and one of the client's pages. All that is known of an M's thread is found where it is the
 * current one: in the switch to it and from it (preempt notifiers), in a timer interrupt, in its
 * own system calls. So no thread is ever looked up, and nobody can name one that is not his.
 *
 * Trust. What is in shared memory is read once, used for nothing but decisions about its own
 * process, and believed no further than that. No address or index is ever taken from there.
 *
 * Lifetimes. The file has a reference to its client, and so has each M. An M ends in its own
 * system call, or in the last switch away from its thread, which puts it to a work item. A client
 * whose file is gone is dead: nothing is done any more for Ms that still have it. Each client has
 * a reference to the module; that of the last may be dropped by the work item, for which module
 * exit waits.
 *
 * Contexts and locks, outermost first:
 *	clients_lock		mutex: which mm has a client
 *	mmap_lock > client->lock	mutex: setup, pages, the list of Ms. No access to user
 *				memory under it.
 *	client->ring_lock	raw, interrupts off: also under a run queue's lock. Nothing is
 *				called under it.
 * What belongs to an M without a lock is used on the CPU where its thread runs, with preemption
 * off.
 */
#ifndef RINGO_KMOD_H
#define RINGO_KMOD_H

#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "uapi/ringo.h"

/* After a client's M pages: the reader's position, the writer's, the data. */
enum { RINGO_RING_READER, RINGO_RING_WRITER, RINGO_RING_DATA, RINGO_RING_PAGES };

/* What a tick did about a goroutine that has run for a quantum. */
enum { RINGO_TICK_TAKEN, RINGO_TICK_ASKED, RINGO_TICK_REFUSED };

struct file;
struct seq_file;
struct vm_area_struct;

struct ringo_client {
	struct kref ref;
	struct mm_struct *mm;		/* only to be compared, as is the next */
	struct pid *tgid;
	bool dead;			/* its pages are about to go: see ringo_usable */
	bool ready;			/* it is set up: what follows is there until it is dead */

	struct mutex lock;		/* of ms, and of page while it changes */
	struct list_head ms;
	struct list_head all;		/* under clients_lock */
	struct page **page;		/* npages, not all there yet; and the ring's */
	unsigned int npages;
	struct ringo_ctl_page *ctl;

	raw_spinlock_t ring_lock;
	u64 written;
	u64 *reader;
	u64 *writer;
	char *data;
	wait_queue_head_t wait;
	struct irq_work wake;

	u64 period_ns;
	u64 wanted;			/* when ticks were last wanted */
	bool ticking;			/* Ms of this client are to have ticks */
};

struct ringo_m {
	struct preempt_notifier notifier;
	struct ringo_client *client;
	struct ringo_m_page *page;
	struct list_head node;		/* under client->lock */
	struct pid *pid;		/* only to be shown */
	u32 number;			/* of its page */
	unsigned long upcall;		/* where it goes on in an upcall; 0: there are none */
	int cpu;			/* where it runs, or -1 */

	u64 off;			/* since when it waits for a CPU, if a tick has seen its goroutine */
	u64 quiet;			/* until then blocks are not told */
	u32 shorts;			/* notices for nothing, one after the other */
	bool told;			/* the present block was */

	struct irq_work ended;
	struct work_struct reap;
};

/* client.c */
extern const struct file_operations ringo_fops;
extern unsigned int ringo_max_pages;
void ringo_client_get(struct ringo_client *client);
void ringo_client_put(struct ringo_client *client);	/* may sleep */

/* stacks.c; a mapping is being made */
bool ringo_is_stacks(const struct vm_area_struct *vma);
int ringo_map_stacks(struct vm_area_struct *vma);

/* view.c */
void ringo_show(struct seq_file *seq, struct file *file);	/* may sleep */

/* m.c */
int ringo_m_add(struct ringo_client *client, const struct ringo_add *a);	/* the current thread; may sleep */
int ringo_m_remove(struct ringo_client *client);		/* likewise */

/* notice.c; any context but NMI */
bool ringo_notice_blocked(struct ringo_m *m, u64 now);
void ringo_revoke(struct ringo_m *m, u64 now);
void ringo_count(u64 *shared);

/* upcall.c; in a timer interrupt of m's own CPU */
void ringo_upcall(struct ringo_m *m);

/* tick.c */
extern unsigned int ringo_min_tick_us;
void ringo_ticks_init(void);
void ringo_ticks_exit(void);
void ringo_came(struct ringo_m *m);	/* m's thread runs on this CPU; preemption off */
void ringo_went(struct ringo_m *m);	/* no longer; preemption off */
void ringo_watch(struct ringo_client *client);	/* may sleep */

/* main.c */
extern struct workqueue_struct *ringo_wq;

/*
 * The current thread is m's: its page may be used. With preemption off, for as long as it is off:
 * who ends the client waits for that (RCU). Not after exec, nor at the end of exit, when it has
 * another mm or none.
 */
static inline bool ringo_usable(const struct ringo_m *m)
{
	return !READ_ONCE(m->client->dead) && current->mm == m->client->mm;
}

#endif
