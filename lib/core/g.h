/* SPDX-License-Identifier: MIT */
/*
 * G: a goroutine. Descriptors live in one dense table that outsiders may read; index and generation
 * name a goroutine for ever. Spawning writes only this; a stack is bound when it first runs.
 *
 * Who may write: the creator until it is published on a queue; whoever runs it while RUNNING; whoever
 * took it off a queue or won its wake-up, until it is queued again. state and trim are read by others.
 */
#ifndef RG_CORE_G_H
#define RG_CORE_G_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/san.h"
#include "base/compiler.h"

struct m;
struct p;
struct rg_op;

enum rg_state {
	RG_FREE,
	RG_RUNNABLE,
	RG_RUNNING,
	RG_SYSCALL, /* in a ring or in the pool */
	RG_WAITING,
	RG_DEAD,
};

/* Why a G waits. */
enum rg_reason {
	RG_WHY_NONE,
	RG_WHY_SLEEP,
	RG_WHY_CHAN_SEND,
	RG_WHY_CHAN_RECV,
	RG_WHY_CHAN_NULL,
	RG_WHY_MUTEX,
	RG_WHY_WAITGROUP,
	RG_WHY_IO,
	RG_WHY_POOL,
};

/* What the end of a wait by time does. */
enum rg_wait_kind {
	RG_WAIT_CLAIM, /* wake the G, unless somebody else won it: see park.h */
	RG_WAIT_OP,    /* cancel its ring operation; its completion wakes the G */
};

/* g->trim: stack trimming against resuming. See sysmon.c. */
enum { RG_TRIM_ONSTACK, RG_TRIM_DIRTY, RG_TRIM_CLEAN, RG_TRIM_BUSY };

enum {
	RG_G_DAEMON = 1 << 0,
	RG_G_MAIN = 1 << 1,
	RG_G_WORDS = 1 << 2, /* args hold words for ringo__go, else args[0] for fn(void *) */
};

/* What few goroutines have. */
struct rg_ext {
	char name[32];
};

struct g {
	/* One cache line for all that a switch touches. */
	union {
		uintptr_t args[6]; /* before it first runs */
		struct {
			void *sp;           /* saved stack pointer while not running */
			int64_t wait_res;   /* what the waker says */
			int64_t wait_until; /* end of this wait; see timer.c */
			struct rg_op *op;   /* its ring operation in flight or staged */
			int32_t err;        /* errno while not running */
			uint32_t op_seq;    /* names the operation in completions and cancels */
			uint8_t wait_kind;  /* enum rg_wait_kind */
			uint8_t op_staged;  /* still in its P's stage */
		};
	};
	struct g *next;     /* link of the queue it is on */
	uint32_t slot;      /* its stack: class and index + 1; 0 not bound: it never ran */
	uint8_t state;      /* enum rg_state */
	uint8_t reason;     /* enum rg_reason */
	uint8_t trim;       /* RG_TRIM_*; not over args: sysmon may look at any time */
	uint8_t flags;      /* RG_G_* */

	void (*fn)(void *);
	void *spawn_pc;     /* who spawned it */
	int64_t deadline;   /* ambient; 0 none */
	struct rg_ext *ext;
	uint64_t tent;      /* its timer entry: see timer.c */
	uint32_t gen;
	uint32_t wake;      /* odd: waiting and may be claimed; see park.h */
	uint8_t stack_class;
	struct rg_san san;
} rg_aligned(RG_CACHELINE);

#if !defined(RG_ASAN) && !defined(RG_TSAN)
_Static_assert(sizeof(struct g) == 128, "two cache lines: this is part of what a parked G costs");
#endif

/* Table. Index of a G, and back. */
extern struct g *rg_g_table;

static inline uint32_t rg_g_index(const struct g *g)
{
	return (uint32_t)(g - rg_g_table);
}

static inline struct g *rg_g_at(uint32_t index)
{
	return &rg_g_table[index];
}

/* The number reports use: 1 for the first descriptor. A reused one is told apart by its generation. */
#define RG_G_FMT "%u.%u"
#define RG_G_ARGS(g) rg_g_index(g) + 1, (g)->gen

uint32_t rg_g_used(void); /* indices below this have ever been used */
uint32_t rg_g_limit(void);

int rg_g_table_init(size_t limit);
void rg_g_table_fini(void);

/* A free descriptor, or NULL at the limit. p: of the calling M or NULL. */
struct g *rg_g_alloc(struct p *p);
void rg_g_free(struct p *p, struct g *g);

/* Entry of every goroutine on its own stack. */
void rg_g_main(void);

/* End the running G without a word to it: its stack and descriptor are given back. */
void rg_g_exit(struct m *m) RG_NORETURN;

/* Spawn with everything given. The caller is inside the gate; p NULL for foreign threads. */
struct rg_spawn {
	void (*fn)(void *);
	const uintptr_t *words;
	unsigned nwords;
	bool is_words;
	const char *name;
	unsigned stack_class;
	uint8_t flags;
	void *pc;
};
int rg_spawn(struct m *m, const struct rg_spawn *s);

/* fn(arg) as a daemon of the runtime itself. */
int rg_spawn_daemon(struct m *m, const char *name, void (*fn)(void *), void *arg);

/* Copy an options struct of another size: -EINVAL for size 0, -E2BIG for a non-zero unknown tail. */
int rg_options_copy(void *dst, size_t known, const void *src, size_t size);

const char *rg_reason_name(unsigned reason);

#endif
