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
#include "kmod/uapi/ringo_state.h"

struct m;
struct p;
struct rg_op;
struct rg_scope;

enum rg_state {
	RG_FREE = RINGO_G_FREE,
	RG_RUNNABLE = RINGO_G_RUNNABLE,
	RG_RUNNING = RINGO_G_RUNNING,
	RG_SYSCALL = RINGO_G_SYSCALL,
	RG_WAITING = RINGO_G_WAITING,
	RG_DEAD = RINGO_G_DEAD,
	RG_RESERVED = RINGO_G_RESERVED, /* a timer or a context will start it: reserve.h */
};

/* Why a G waits. What g->wait_on points to then: ringo_state.h. */
enum rg_reason {
	RG_WHY_NONE = RINGO_WHY_NONE,
	RG_WHY_SLEEP = RINGO_WHY_SLEEP,
	RG_WHY_CHAN_SEND = RINGO_WHY_CHAN_SEND,
	RG_WHY_CHAN_RECV = RINGO_WHY_CHAN_RECV,
	RG_WHY_CHAN_NULL = RINGO_WHY_CHAN_NULL,
	RG_WHY_SELECT = RINGO_WHY_SELECT,
	RG_WHY_MUTEX = RINGO_WHY_MUTEX,
	RG_WHY_RWMUTEX_R = RINGO_WHY_RWMUTEX_R,
	RG_WHY_RWMUTEX_W = RINGO_WHY_RWMUTEX_W,
	RG_WHY_COND = RINGO_WHY_COND,
	RG_WHY_ONCE = RINGO_WHY_ONCE,
	RG_WHY_SEMA = RINGO_WHY_SEMA,
	RG_WHY_WAITGROUP = RINGO_WHY_WAITGROUP,
	RG_WHY_GROUP = RINGO_WHY_GROUP,
	RG_WHY_CTX = RINGO_WHY_CTX,
	RG_WHY_TIMER = RINGO_WHY_TIMER,
	RG_WHY_IO = RINGO_WHY_IO,
	RG_WHY_POOL = RINGO_WHY_POOL,
	RG_WHYS = RINGO_WHYS,
};

/* What the end of a wait, by time or by cancellation, does. */
enum rg_wait_kind {
	RG_WAIT_CLAIM, /* wake the G, unless somebody else won it: see park.h */
	RG_WAIT_OP,    /* cancel its ring operation; its completion wakes the G */
	RG_WAIT_START, /* time starts this reserved G */
	RG_WAIT_CALL,  /* time calls fn(arg) of this reserved G, in the scheduler */
};

/*
 * g->trim: who looks at a parked G, or drops pages below it, against resuming. See sysmon.c. BUSY and above:
 * held by sysmon (BUSY itself), or by the scan with that number.
 */
enum { RG_TRIM_ONSTACK, RG_TRIM_DIRTY, RG_TRIM_CLEAN, RG_TRIM_BUSY, RG_TRIM_HOLDERS = 32 };

enum {
	RG_G_DAEMON = RINGO_G_DAEMON,
	RG_G_MAIN = RINGO_G_MAIN,
	RG_G_WORDS = 1 << 2, /* args hold words for ringo__go, else args[0] for fn(void *) */
	RG_G_TIMER = 1 << 3, /* of a timer: somebody may wait for its end */
	RG_G_STICKY = RINGO_G_STICKY, /* computed for long, and is to run without a P: lane.c. Its own M changes that. */
	RG_G_BACKGROUND = RINGO_G_BACKGROUND, /* always so, and of low standing */
	RG_G_LOCKED = RINGO_G_LOCKED, /* runs on one M only: locked.c. Its own M changes that. */
};

/* What few goroutines have. It stays with the place in the table, so that whoever looks may read it at any time. */
struct rg_ext {
	char name[RINGO_G_NAME]; /* empty between two lives */
};

struct g {
	/* One cache line for all that a switch touches. */
	union {
		uintptr_t args[6]; /* before it first runs */
		struct {
			void *sp;           /* saved stack pointer while not running */
			union {
				int64_t wait_res;    /* what the waker says */
				const void *wait_on; /* until then: for reports, see rg_reason */
			};
			int64_t wait_until; /* end of this wait; see timer.c */
			struct rg_op *op;   /* its ring operation in flight or staged */
			int32_t err;        /* errno while not running */
			uint32_t op_seq;    /* names the operation in completions and cancels */
			uint8_t wait_kind;  /* enum rg_wait_kind */
			uint8_t op_staged;  /* still in its P's stage */
			uint16_t op_home;   /* number of the P whose ring has it */
			uint32_t since;     /* when it parked: rg_since() */
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
	struct rg_scope *scope; /* ambient context, with a reference; NULL: the background. See scope.h. */
	struct rg_ext *ext;
	uint64_t tent;      /* its timer entry: see timer.c */
	uint32_t gen;
	uint32_t wake;      /* odd: waiting and may be claimed; see park.h */
	uint32_t epoch;     /* rt.epoch when it was spawned: leak snapshots count this up */
	uint8_t stack_class;
	uint8_t aside;      /* RG_ASIDE_*: see panic.h */
	uint16_t op_by;     /* number of the M that submitted its ring operation, and whose thread completes it */
	struct rg_san san;
} rg_aligned(RG_CACHELINE);

/* Of one that cannot end meanwhile. */
static inline const char *rg_g_name(const struct g *g)
{
	return g->ext ? g->ext->name : "";
}

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
const uint32_t *rg_g_used_at(void);
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

/* fn takes its arguments in registers; those it does not have are loaded in vain. */
static inline void rg_call_words(void (*fn)(void *), const uintptr_t a[6])
{
	((void (*)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t))(void (*)(void))fn)(
		a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Milliseconds, nearly: what g->since counts. */
static inline uint32_t rg_since(int64_t now)
{
	return (uint32_t)((uint64_t)now >> 20);
}

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
	struct rg_scope *scope; /* its context, unless the spawner's is inherited */
	bool own_scope;
};
int rg_spawn(struct m *m, const struct rg_spawn *s);

/* fn(arg) as a daemon of the runtime itself. */
int rg_spawn_daemon(struct m *m, const char *name, void (*fn)(void *), void *arg);

/* Copy an options struct of another size: -EINVAL for size 0, -E2BIG for a non-zero unknown tail. */
int rg_options_copy(void *dst, size_t known, const void *src, size_t size);

const char *rg_reason_name(unsigned reason);

#endif
