// SPDX-License-Identifier: MIT
/*
 * What a probe costs the process that it is in: tried here, with a program that does nothing, at a nop like those of
 * libringo. Kernels that can replace it by a call do so after the first hits, so the quickest of several rounds is
 * taken.
 */
#include <bpf/libbpf.h>
#include <link.h>
#include <time.h>
#include <unistd.h>

#include "prof.h"

enum { ROUNDS = 10, HITS = 200 };

extern const char prof_trap_at[] __attribute__((visibility("hidden")));

static __attribute__((noinline)) void hit(void)
{
	__asm__ volatile(".globl prof_trap_at\n.hidden prof_trap_at\n"
			 "prof_trap_at: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00" ::: "memory");
}

/* Where it is in our file, from the first object on, which we are. */
static int find_offset(struct dl_phdr_info *info, size_t size, void *arg)
{
	uint64_t addr = (uintptr_t)prof_trap_at - info->dlpi_addr, *offset = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && addr - ph->p_vaddr < ph->p_filesz)
			*offset = addr - ph->p_vaddr + ph->p_offset;
	}
	return 1;
}

static uint64_t round_ns(void)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < HITS; i++)
		hit();
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (uint64_t)((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec) / HITS;
}

uint64_t cost_of_trap(struct bpf_program *empty)
{
	uint64_t offset = 0, best = UINT64_MAX;
	struct bpf_link *link;

	dl_iterate_phdr(find_offset, &offset);
	link = offset ? bpf_program__attach_uprobe(empty, false, 0, "/proc/self/exe", offset) : NULL;
	if (!link)
		return 0;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t ns = round_ns();

		best = ns < best ? ns : best;
	}
	bpf_link__destroy(link);
	return best;
}
