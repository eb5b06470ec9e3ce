// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients: the file, its memory, its calls. All of this runs in system calls, or where a file is
 * released.
 *
 * Memory of a client is bounded: one of each mm, a page for each M and no more than
 * ringo_max_pages, three for the ring; charged to the cgroup of who asks. Pages are made when
 * they are first mapped.
 *
 * A mapping holds the file, so a client ends when neither a descriptor nor a mapping is left.
 * Forked children inherit no mapping, unless their parent wants that, and cannot make one: a
 * client is for the process that has opened it. Stacks (stacks.c) have nothing to do with it. The
 * ring, but for the reader's position, cannot be written from there.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "ringo.h"

unsigned int ringo_max_pages = 1024;
module_param_named(pages, ringo_max_pages, uint, 0444);
MODULE_PARM_DESC(pages, "pages of a process: one, and one for each of its threads");

static LIST_HEAD(clients);
static DEFINE_MUTEX(clients_lock);

/* ---- begin and end ---- */

static void wake_reader(struct irq_work *work)
{
	struct ringo_client *client = container_of(work, struct ringo_client, wake);

	wake_up_interruptible(&client->wait);
}

static int ringo_open(struct inode *inode, struct file *file)
{
	struct ringo_client *client;

	if (!current->mm)
		return -EINVAL;
	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return -ENOMEM;
	__module_get(THIS_MODULE); /* the file has one, too, and may end before the Ms */
	kref_init(&client->ref);
	client->mm = current->mm;
	mmgrab(client->mm);
	client->tgid = get_pid(task_tgid(current));
	mutex_init(&client->lock);
	INIT_LIST_HEAD(&client->ms);
	INIT_LIST_HEAD(&client->all);
	raw_spin_lock_init(&client->ring_lock);
	init_waitqueue_head(&client->wait);
	init_irq_work(&client->wake, wake_reader);
	file->private_data = client;
	return nonseekable_open(inode, file);
}

static void client_free(struct kref *ref)
{
	struct ringo_client *client = container_of(ref, struct ringo_client, ref);

	irq_work_sync(&client->wake);
	put_pid(client->tgid);
	mmdrop(client->mm);
	mutex_destroy(&client->lock);
	kfree(client);
	module_put(THIS_MODULE);
}

void ringo_client_get(struct ringo_client *client)
{
	kref_get(&client->ref);
}

void ringo_client_put(struct ringo_client *client)
{
	kref_put(&client->ref, client_free);
}

static void free_pages_of(struct ringo_client *client)
{
	unsigned int i;

	if (!client->page)
		return;
	/* What is still mapped has references of its own. */
	for (i = 0; i < client->npages + RINGO_RING_PAGES; i++)
		if (client->page[i])
			__free_page(client->page[i]);
	kvfree(client->page);
	client->page = NULL;
}

static void disclaim(struct ringo_client *client)
{
	mutex_lock(&clients_lock);
	list_del_init(&client->all);
	mutex_unlock(&clients_lock);
}

static int ringo_release(struct inode *inode, struct file *file)
{
	struct ringo_client *client = file->private_data;
	bool used;

	ringo_m_remove(client); /* if this is the thread of one: after exec, say */
	mutex_lock(&client->lock);
	WRITE_ONCE(client->dead, true);
	used = !list_empty(&client->ms);
	mutex_unlock(&client->lock);
	if (used)
		synchronize_rcu(); /* pairs with ringo_usable: nobody uses its pages any more */
	free_pages_of(client);
	disclaim(client);
	ringo_client_put(client);
	return 0;
}

/* ---- setup ---- */

/* The caller is of the process that this is for. */
static bool is_ours(const struct ringo_client *client)
{
	return current->mm == client->mm && task_tgid(current) == client->tgid;
}

static bool is_ready(const struct ringo_client *client)
{
	return smp_load_acquire(&client->ready); /* pairs with the release in setup: all of it is there */
}

/* One of each mm. */
static int claim(struct ringo_client *client)
{
	struct ringo_client *other;
	int err = 0;

	mutex_lock(&clients_lock);
	list_for_each_entry(other, &clients, all)
		if (other->mm == client->mm)
			err = -EBUSY;
	if (!err)
		list_add(&client->all, &clients);
	mutex_unlock(&clients_lock);
	return err;
}

/* Under client->lock. */
static int make_page(struct ringo_client *client, unsigned int number)
{
	if (!client->page[number])
		client->page[number] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return client->page[number] ? 0 : -ENOMEM;
}

static void *ring_page(struct ringo_client *client, unsigned int which)
{
	return page_address(client->page[client->npages + which]);
}

/* Under client->lock. What is made is freed with the client. */
static int make_first_pages(struct ringo_client *client)
{
	unsigned int i;
	int err;

	client->npages = ringo_max_pages;
	if (!client->page)
		client->page = kvcalloc(client->npages + RINGO_RING_PAGES, sizeof(client->page[0]),
					GFP_KERNEL_ACCOUNT);
	if (!client->page)
		return -ENOMEM;
	err = make_page(client, 0);
	for (i = 0; !err && i < RINGO_RING_PAGES; i++)
		err = make_page(client, client->npages + i);
	if (err)
		return err;
	client->ctl = page_address(client->page[0]);
	client->reader = ring_page(client, RINGO_RING_READER);
	client->writer = ring_page(client, RINGO_RING_WRITER);
	client->data = ring_page(client, RINGO_RING_DATA);
	return 0;
}

/* Under client->lock. */
static int setup(struct ringo_client *client, u32 period_us)
{
	int err;

	if (client->ready)
		return -EBUSY;
	err = claim(client);
	if (err)
		return err;
	err = make_first_pages(client);
	if (err) {
		disclaim(client);
		return err;
	}
	client->period_ns = (u64)max(period_us, ringo_min_tick_us) * NSEC_PER_USEC;
	smp_store_release(&client->ready, true); /* pairs with the acquire in is_ready */
	return 0;
}

static bool setup_is_sound(const struct ringo_setup *s)
{
	return s->period_us && !s->pages && !s->ring && !s->ring_at && !s->tick_us &&
	       !memchr_inv(s->reserved, 0, sizeof(s->reserved));
}

static int ioctl_setup(struct ringo_client *client, struct ringo_setup __user *arg)
{
	struct ringo_setup s;
	bool same;
	int err = -EPROTONOSUPPORT;

	if (copy_from_user(&s, arg, sizeof(s)))
		return -EFAULT;
	if (!setup_is_sound(&s))
		return -EINVAL;
	same = s.abi == RINGO_ABI_VERSION;
	s.abi = RINGO_ABI_VERSION;
	if (same) {
		mutex_lock(&client->lock);
		err = setup(client, s.period_us);
		mutex_unlock(&client->lock);
	}
	if (!err) {
		s.pages = client->npages;
		s.ring = PAGE_SIZE;
		s.ring_at = client->npages;
		s.tick_us = div_u64(client->period_ns, NSEC_PER_USEC);
	}
	if (err && same)
		return err;
	return copy_to_user(arg, &s, sizeof(s)) ? -EFAULT : err;
}

static int ioctl_add(struct ringo_client *client, const struct ringo_add __user *arg)
{
	struct ringo_add a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.reserved32 || a.upcall >= TASK_SIZE_MAX ||
	    memchr_inv(a.reserved, 0, sizeof(a.reserved)))
		return -EINVAL;
	return ringo_m_add(client, &a);
}

static long ringo_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ringo_client *client = file->private_data;

	if (!is_ours(client))
		return -EPERM;
	if (cmd == RINGO_IOC_SETUP)
		return ioctl_setup(client, (void __user *)arg);
	if (cmd != RINGO_IOC_ADD && cmd != RINGO_IOC_REMOVE && cmd != RINGO_IOC_WATCH)
		return -ENOTTY;
	if (!is_ready(client))
		return -ENOTCONN;
	switch (cmd) {
	case RINGO_IOC_ADD:
		return ioctl_add(client, (void __user *)arg);
	case RINGO_IOC_REMOVE:
		return arg ? -EINVAL : ringo_m_remove(client);
	default:
		if (arg)
			return -EINVAL;
		ringo_watch(client);
		return 0;
	}
}

/* ---- mappings ---- */

/* Under mmap_lock and client->lock. */
static int map_pages(struct ringo_client *client, struct vm_area_struct *vma)
{
	unsigned long i, n = vma_pages(vma);
	int err = 0;

	for (i = 0; !err && i < n; i++) {
		err = make_page(client, vma->vm_pgoff + i);
		if (!err)
			err = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
					     client->page[vma->vm_pgoff + i]);
	}
	return err; /* what is there already is unmapped by who called us */
}

static int ringo_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ringo_client *client = file->private_data;
	unsigned long first = vma->vm_pgoff, end = first + vma_pages(vma), total, forbid = VM_MAYEXEC;
	int err;

	if (ringo_is_stacks(vma))
		return ringo_map_stacks(vma);
	if (!is_ours(client))
		return -EPERM;
	if (!is_ready(client))
		return -ENOTCONN;
	total = client->npages + RINGO_RING_PAGES;
	if (!(vma->vm_flags & VM_SHARED) || end < first || end > total)
		return -EINVAL;
	if (end > client->npages + RINGO_RING_WRITER)
		forbid |= VM_MAYWRITE;
	/* VM_WRITE and the others lie four bits below the permission to set them. */
	if (vma->vm_flags & (forbid >> 4))
		return -EPERM;
	vm_flags_mod(vma, VM_DONTCOPY | VM_DONTEXPAND, forbid);
	mutex_lock(&client->lock);
	err = map_pages(client, vma);
	mutex_unlock(&client->lock);
	return err;
}

static __poll_t ringo_poll(struct file *file, poll_table *table)
{
	struct ringo_client *client = file->private_data;

	if (!is_ours(client) || !is_ready(client))
		return EPOLLERR;
	poll_wait(file, &client->wait, table);
	smp_mb(); /* pairs with the one in wq_has_sleeper: it is seen to sleep, or sees what was written */
	return READ_ONCE(client->written) != READ_ONCE(*client->reader) ? EPOLLIN | EPOLLRDNORM : 0;
}

const struct file_operations ringo_fops = {
	.owner = THIS_MODULE,
	.open = ringo_open,
	.release = ringo_release,
	.unlocked_ioctl = ringo_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = ringo_mmap,
	.poll = ringo_poll,
	.show_fdinfo = ringo_show,
};
