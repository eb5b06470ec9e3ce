// SPDX-License-Identifier: GPL-2.0-only
/*
 * One bug for each checker of the debug kernel: insmod zoo.ko bug=NAME. They show that it reports
 * them, and that tests/vm/boot.sh sees it. For a virtual machine that ends after that.
 */
#include <linux/compiler.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

enum { SIZE = 120 };

static char *bug = "";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "which one");

/* Memory of which the compiler does not know how much it is. */
static char *some_memory(void)
{
	char *p = kmalloc(SIZE, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static void use_after_free(void)
{
	char *p = some_memory();

	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	WRITE_ONCE(p[0], 1);
}

static void out_of_bounds(void)
{
	char *p = some_memory();

	WRITE_ONCE(p[SIZE], 1);
	kfree(p);
}

static void leak(void)
{
	int i;

	/* Addresses that lie about somewhere may hide some of them. */
	for (i = 0; i < 32; i++)
		WRITE_ONCE(some_memory()[0], 1);
}

static void atomic_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	kfree(some_memory());
	spin_unlock(&lock);
}

static void inversion(void)
{
	static DEFINE_MUTEX(one);
	static DEFINE_MUTEX(two);

	mutex_lock(&one);
	mutex_lock(&two);
	mutex_unlock(&two);
	mutex_unlock(&one);
	mutex_lock(&two);
	mutex_lock(&one);
	mutex_unlock(&one);
	mutex_unlock(&two);
}

static void expired(struct timer_list *timer)
{
}

static void freed_timer(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	timer_setup(timer, expired, 0);
	mod_timer(timer, jiffies + HZ * 3600);
	kfree(timer);
}

static void shift(void)
{
	int by = 64;

	OPTIMIZER_HIDE_VAR(by);
	pr_info("zoo: %d\n", 1 << by);
}

#define ONE(name) { #name, name }

static const struct {
	const char *name;
	void (*fn)(void);
} bugs[] = {
	ONE(use_after_free), ONE(out_of_bounds), ONE(leak), ONE(atomic_sleep), ONE(inversion),
	ONE(freed_timer), ONE(shift),
};

static int __init zoo_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!strcmp(bug, bugs[i].name)) {
			bugs[i].fn();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit zoo_exit(void)
{
}

module_init(zoo_init);
module_exit(zoo_exit);

MODULE_DESCRIPTION("Bugs");
MODULE_AUTHOR("ringo");
MODULE_LICENSE("GPL");
