/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The registered Ms, and what belongs to their process: shared by all programs, filled by tools/ringo-bpfd.
 *
 * Each client has maps of its own, which it maps into its memory: an array of pages (kmod/uapi/ringo.h) and a
 * ring buffer. What it writes there can only mislead us about itself. ms says which thread belongs to which
 * page of which client, and only ringo-bpfd writes it.
 *
 * Nearly all that these programs see is threads of others, so the first look is at one bit of a table, which
 * costs less than the call of a helper.
 */
#ifndef RINGO_BPF_MS_H
#define RINGO_BPF_MS_H

#include "bpf/limits.h"
#include "bpf/types.h"
#include "kmod/uapi/ringo.h"

struct pages {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RG_BPF_PAGES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, RG_BPF_PAGE);
};

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RG_BPF_RING);
};

#ifdef RINGO_BPF_DEFINE
#define SHARED
#else
#define SHARED extern
#endif

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, RG_BPF_CLIENTS);
	__uint(key_size, sizeof(__u32));
	__array(values, struct pages);
} pages SEC(".maps");

SHARED struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, RG_BPF_CLIENTS);
	__uint(key_size, sizeof(__u32));
	__array(values, struct ring);
} rings SEC(".maps");

SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RG_BPF_MS);
	__type(key, __u32); /* thread id */
	__type(value, struct rg_bpf_m);
} ms SEC(".maps");

/* When a tick last found somebody waiting; CLOCK_MONOTONIC. */
extern __u64 wanted[RG_BPF_CLIENTS];

/* Bit tid % RG_BPF_FILTER: 0, no such thread is in ms. */
extern __u64 filter[RG_BPF_FILTER / 64];

/* The M that this thread is; NULL: none of ours. */
static __always_inline struct rg_bpf_m *m_of(struct task_struct *t)
{
	__u32 tid = t->pid;
	struct rg_bpf_m *m;

	if (!(filter[tid % RG_BPF_FILTER / 64] & 1ull << tid % 64))
		return 0;
	m = bpf_map_lookup_elem(&ms, &tid);
	return m && m->tgid == (__u32)t->tgid ? m : 0;
}

static __always_inline void *page_at(__u32 client, __u32 page)
{
	void *of_client = bpf_map_lookup_elem(&pages, &client);

	return of_client ? bpf_map_lookup_elem(of_client, &page) : 0;
}

static __always_inline struct ringo_m_page *page_of(const struct rg_bpf_m *m)
{
	return page_at(m->client, m->page);
}

static __always_inline struct ringo_ctl_page *ctl_of(const struct rg_bpf_m *m)
{
	return page_at(m->client, 0);
}

static __always_inline struct ringo_notice *notice_new(const struct rg_bpf_m *m)
{
	__u32 client = m->client;
	void *of_client = bpf_map_lookup_elem(&rings, &client);

	return of_client ? bpf_ringbuf_reserve(of_client, sizeof(struct ringo_notice), 0) : 0;
}

/*
 * Its reader is woken in any case. By itself the kernel wakes only for a record that is the next to be read: one
 * that was discarded before it, and not read by anybody, would keep it from that.
 */
static __always_inline void notice_send(struct ringo_notice *n)
{
	bpf_ringbuf_submit(n, BPF_RB_FORCE_WAKEUP);
}

#endif
