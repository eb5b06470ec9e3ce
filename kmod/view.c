// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of a client and its Ms, as text: in /proc/PID/fdinfo, where its descriptor is.
 * Who may look at the process (ptrace) may read that, and so may who was given the descriptor.
 *
 * Threads are named as in the pid namespace of that /proc.
 */
#include <linux/fs.h>
#include <linux/proc_fs.h>
#include <linux/pid.h>
#include <linux/seq_file.h>

#include "ringo.h"

static void show_client(struct seq_file *seq, const struct ringo_client *client)
{
	const struct ringo_ctl_page *ctl = client->ctl;

	seq_printf(seq, "ringo-period-ns:\t%llu\n", client->period_ns);
	seq_printf(seq, "ringo-ticks:\t%u\n", READ_ONCE(ctl->ticks));
	seq_printf(seq, "ringo-permits:\t%u\n", READ_ONCE(ctl->permits));
	seq_printf(seq, "ringo-taken:\t%llu\n", READ_ONCE(ctl->taken));
	seq_printf(seq, "ringo-asked:\t%llu\n", READ_ONCE(ctl->asked));
	seq_printf(seq, "ringo-refused:\t%llu\n", READ_ONCE(ctl->refused));
	seq_printf(seq, "ringo-blocked:\t%llu\n", READ_ONCE(ctl->blocked));
	seq_printf(seq, "ringo-passed-over:\t%llu\n", READ_ONCE(ctl->passed_over));
	seq_printf(seq, "ringo-upcalls:\t%llu\n", READ_ONCE(ctl->upcalls));
}

static void show_m(struct seq_file *seq, const struct ringo_m *m, struct pid_namespace *ns)
{
	const struct ringo_m_page *page = m->page;

	seq_printf(seq, "ringo-m:\tpage %u tid %d cpu %d in_rt %u g %u p %u revoked %u upcall %u blocked %llu nr %d\n",
		   m->number, pid_nr_ns(m->pid, ns), READ_ONCE(m->cpu), READ_ONCE(page->in_rt),
		   READ_ONCE(page->cur_g), READ_ONCE(page->p), READ_ONCE(page->revoked),
		   READ_ONCE(page->upcall), READ_ONCE(page->block_since), READ_ONCE(page->block_nr));
}

void ringo_show(struct seq_file *seq, struct file *file)
{
	struct ringo_client *client = file->private_data;
	struct ringo_m *m;

	mutex_lock(&client->lock);
	if (client->ready) {
		show_client(seq, client);
		list_for_each_entry(m, &client->ms, node)
			show_m(seq, m, proc_pid_ns(file_inode(seq->file)->i_sb));
	}
	mutex_unlock(&client->lock);
}
