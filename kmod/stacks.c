// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacks: memory of which the first page of each slot faults. On kernels that have no guard markers
 * (before 6.13) that takes a mapping of its own for each guard, and there may be 65,530 in all.
 *
 * A private mapping of the device is one mapping for all slots. What is in it is ordinary anonymous
 * memory: a fault maps the kernel's page of zeros, and the first write has that copied. So the
 * kernel charges, swaps, frees and forks it as ever, and nothing here is allocated, counted or
 * shared. What is done about a page depends on its offset alone, which says how large the slots
 * are: whatever becomes of the mapping, split, moved or inherited, there is no state to be wrong.
 *
 * Rejected: a page of the module's to be copied from. It would be locked by each fault, on all
 * CPUs, and its references could be made to overflow by mapping it for reading.
 */
#include <linux/mm.h>

#include "compat.h"
#include "ringo.h"

#define STACKS_PGOFF(order) (RINGO_STACKS(order) >> PAGE_SHIFT)

enum { ORDER_SHIFT = 56 - PAGE_SHIFT, ORDER_MASK = 63 };

/* For any offset: a mapping can be moved on as far as one likes. */
static bool is_guard(pgoff_t at)
{
	return !(at & ((1ul << (at >> ORDER_SHIFT & ORDER_MASK)) - 1));
}

/* No more than mmap_lock, or the mapping's own, is held. */
static vm_fault_t stack_fault(struct vm_fault *vmf)
{
	return is_guard(vmf->pgoff) ? VM_FAULT_SIGSEGV : ringo_map_zeros(vmf);
}

static const struct vm_operations_struct stack_ops = {
	.fault = stack_fault,
};

bool ringo_is_stacks(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff >= STACKS_PGOFF(0);
}

int ringo_map_stacks(struct vm_area_struct *vma)
{
	if (vma->vm_pgoff < STACKS_PGOFF(1) || vma->vm_pgoff >= STACKS_PGOFF(RINGO_STACKS_ORDERS) ||
	    !is_cow_mapping(vma->vm_flags))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	vm_flags_mod(vma, 0, VM_MAYEXEC);
	vma->vm_ops = &stack_ops;
	return 0;
}
