/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences between the kernels that the module builds on: 6.1 and later. */
#ifndef RINGO_COMPAT_H
#define RINGO_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#include <linux/pfn_t.h>
#endif

#ifndef CONFIG_PREEMPT_NOTIFIERS
#error "ringo needs CONFIG_PREEMPT_NOTIFIERS, which CONFIG_KVM selects"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_mod(struct vm_area_struct *vma, unsigned long set, unsigned long clear)
{
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*fn)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}
#endif

/* In a fault for reading or writing: the page of zeros is there, and a write faults again. */
static inline vm_fault_t ringo_map_zeros(struct vm_fault *vmf)
{
	const unsigned long pfn = my_zero_pfn(vmf->address);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	return vmf_insert_mixed(vmf->vma, vmf->address, pfn);
#else
	return vmf_insert_mixed(vmf->vma, vmf->address, pfn_to_pfn_t(pfn));
#endif
}

#ifdef CONFIG_RSEQ
static inline struct rseq __user *ringo_rseq(const struct task_struct *t)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
	return t->rseq.usrptr;
#else
	return t->rseq;
#endif
}
#endif

/* In a switch away from t: it would go on if it could, rather than sleep. */
static inline bool ringo_runnable(struct task_struct *t)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	return task_is_runnable(t); /* one that sleeps may still be queued */
#else
	return READ_ONCE(t->on_rq);
#endif
}

#endif
