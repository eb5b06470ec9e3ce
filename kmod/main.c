// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device, and the module's begin and end.
 *
 * Nothing of it runs for threads that are no Ms, but for the kernel's own test of a task's empty
 * list of preempt notifiers.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "ringo.h"
#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *ringo_wq;

static struct miscdevice ringo_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ringo",
	.fops = &ringo_fops,
	.mode = 0660,
};

static int __init ringo_init(void)
{
	int err;

	ringo_max_pages = clamp(ringo_max_pages, 2u, 4097u);
	ringo_min_tick_us = clamp(ringo_min_tick_us, 50u, 1000000u);
	ringo_wq = alloc_workqueue("ringo", 0, 0);
	if (!ringo_wq)
		return -ENOMEM;
	ringo_ticks_init();
	preempt_notifier_inc();
	err = misc_register(&ringo_device);
	if (err) {
		preempt_notifier_dec();
		destroy_workqueue(ringo_wq);
	}
	return err;
}

/*
 * Only when there are no clients: each has a reference. The last may just be ending in its work
 * item.
 */
static void __exit ringo_exit(void)
{
	misc_deregister(&ringo_device);
	destroy_workqueue(ringo_wq);
	ringo_ticks_exit();
	preempt_notifier_dec();
}

module_init(ringo_init);
module_exit(ringo_exit);

MODULE_DESCRIPTION("Preemption for the goroutines of ringo");
MODULE_AUTHOR("ringo");
MODULE_LICENSE("GPL");
