/* SPDX-License-Identifier: MIT */
/* Life of the runtime and of goroutines. */
#ifndef RINGO_GO_H
#define RINGO_GO_H

#include <ringo/base.h>

RINGO__C_BEGIN

struct ringo_ctx;

/*
 * What happens to a goroutine that computes, or blocks in a call that is not ringo's, for longer than the
 * quantum while others wait for its P.
 */
enum ringo_preempt {
	RINGO_PREEMPT_AUTO,   /* the best that can be had here: KMOD, else BPF, else SYSMON */
	RINGO_PREEMPT_OFF,    /* nothing */
	RINGO_PREEMPT_FLAG,   /* it gives way at its next call that waits, or ringo_checkpoint() */
	RINGO_PREEMPT_SYSMON, /* another thread takes the others over; it goes on until such a call */
	RINGO_PREEMPT_BPF,    /* as SYSMON, seen by ticks and switches of the kernel: needs ringo-bpfd, else SYSMON */
	RINGO_PREEMPT_KMOD,   /* the same by the kernel module; needs /dev/ringo, else the next that can be had */
};

enum ringo_backend {
	RINGO_BACKEND_AUTO,
	RINGO_BACKEND_URING,
	RINGO_BACKEND_EPOLL,
};

enum {
	RINGO_RUN_SQPOLL = 1 << 0, /* reserved: -ENOTSUP */
	RINGO_RUN_DIRECT = 1 << 1, /* reserved: -ENOTSUP */
	/*
	 * Where neither guard markers (kernel >= 6.13) nor the kernel module exist, about 28,000
	 * stacks can have a guard page and spawning fails beyond that. With this flag, stacks beyond
	 * are protected by a checked canary only: an overflow is found late, when the goroutine parks.
	 */
	RINGO_RUN_CANARY = 1 << 2,
	/* Count the CPU time of each goroutine: ringo_cpu_time(), and in dumps. Costs tens of ns a switch. */
	RINGO_RUN_CPU_TIME = 1 << 3,
	/*
	 * For tests and debug builds: as CPU_TIME, and a goroutine that waits in ringo, or ends, while its thread
	 * holds a pthread mutex or rwlock is reported on stderr, once for each such place: after a wait it may
	 * be on another thread, and must not unlock there. Locking costs more then.
	 */
	RINGO_RUN_DEBUG = 1 << 4,
};

/*
 * Options of ringo_run_opt(). Zero means the default for every field but size.
 * The environment overrides them: RINGO_PROCS, RINGO_BACKEND (auto, uring), RINGO_STACK (bytes, with
 * an optional k, m or g), RINGO_PREEMPT (auto, off, flag, sysmon, bpf, kmod), RINGO_QUANTUM_US, RINGO_DEBUG (1:
 * as RINGO_RUN_DEBUG). RINGO_TRACE=FILE records what goroutines do, into a file that one process may have at a time;
 * in its name %p is the process id, %% a %. RINGO_BPFD is where ringo-bpfd listens, if not at /run/ringo/bpfd.sock.
 * RINGO_GUARD=mprotect does as if the kernel had no guard markers, nor its module.
 */
struct ringo_options {
	size_t size;          /* set by RINGO_OPTIONS */
	unsigned procs;       /* Ps; default: CPUs allowed by affinity and by the cgroup */
	int64_t quantum_ns;   /* how long a goroutine may compute, or block, while others wait; default 1 ms */
	size_t stack_max;     /* stack limit of goroutines, default 64 KiB; up to 1 GiB */
	enum ringo_preempt preempt;
	enum ringo_backend backend;
	int64_t shutdown_ns;  /* how long the end waits for goroutines in user code; default 1 s */
	int *result;          /* when set: fn's value is stored here and ringo_run_opt returns 0 */
	unsigned flags;       /* RINGO_RUN_* */
};

#define RINGO_OPTIONS(...) \
	((struct ringo_options){ .size = sizeof(struct ringo_options), ##__VA_ARGS__ })

/*
 * Run fn(arg) as the main goroutine and return when it has returned.
 *
 * At the end waiting goroutines never resume and their ring operations are cancelled and reaped;
 * goroutines in user code get shutdown_ns to reach their next ringo call, where they end. Those that
 * do not are named on stderr, keep their thread and stack, and make the next run fail with -EBUSY.
 * Otherwise nothing is left behind and ringo_run can be called again.
 *
 * Returns fn's value, or -errno when the runtime cannot start (a line on stderr names cause and
 * remedy): -EBUSY nested, or after an unclean end; -ENOSYS, -EPERM no io_uring; -EAGAIN no thread;
 * -ENOMEM; -EMFILE; -EINVAL, -E2BIG, -ENOTSUP bad options. Use options.result to tell the two apart.
 * Any thread that is no goroutine; blocks the calling thread.
 */
RINGO__API int ringo_run(int (*fn)(void *arg), void *arg);
RINGO__API int ringo_run_opt(int (*fn)(void *arg), void *arg, const struct ringo_options *opt);

enum {
	RINGO_GO_BACKGROUND = 1 << 0, /* low standing: has no effect yet */
	RINGO_GO_DAEMON = 1 << 1,     /* not counted for leaks and deadlock */
};

struct ringo_go_options {
	size_t size;           /* set by RINGO_GO_OPTIONS */
	const char *name;      /* copied (31 bytes are kept); shown in reports */
	size_t stack_max;      /* stack limit of this goroutine, up to 1 GiB; 0: the default */
	struct ringo_ctx *ctx; /* to run under; NULL: the ambient one of the caller */
	unsigned flags;        /* RINGO_GO_* */
};

#define RINGO_GO_OPTIONS(...) \
	((struct ringo_go_options){ .size = sizeof(struct ringo_go_options), ##__VA_ARGS__ })

/*
 * Start fn(arg) as a goroutine, later and in no promised order. It inherits the ambient context
 * and deadline.
 * 0, -EAGAIN (the limit of goroutines or of guarded stacks is reached), -ENOMEM, -ESRCH.
 * Any thread; never waits.
 */
RINGO__API int ringo_go_fn(void (*fn)(void *), void *arg);

/* As ringo_go_fn, with options: also -EINVAL, -E2BIG (unknown non-zero tail). */
RINGO__API int ringo_go_opt(const struct ringo_go_options *opt, void (*fn)(void *), void *arg);

/* What ringo_go() is made of: n <= 6 words, loaded into fn's argument registers. */
RINGO__API int ringo__go(void (*fn)(void), const uintptr_t *args, unsigned n);

/* Let others run. Waits. Outside a goroutine: sched_yield(2). */
RINGO__API void ringo_yield(void);

/*
 * End the calling goroutine, after what it has deferred (see ringo/panic.h). In the main goroutine too only
 * that one: the others go on, until the program ends by exit(3) or all of them sleep for ever. Outside a
 * goroutine: pthread_exit(3). May wait, in what was deferred.
 */
RINGO__API void ringo_exit(void) __attribute__((noreturn));

/* A place to give way in a long computation: one load when nothing is asked. May wait. */
RINGO__API void ringo_checkpoint(void);

/*
 * The calling goroutine keeps its OS thread, and nobody else runs there, until it has unlocked as often as it has
 * locked: for thread-local state of libraries, for what setns(2), unshare(2) and the like change. Each of
 * its waits costs two switches of threads then. If it ends locked, its thread runs nobody else in this run.
 * Unlocking what is not locked is a panic. Without effect outside a goroutine. Neither waits; but where no more
 * threads can be made, others may have to run there, and who locks then waits for another thread.
 */
RINGO__API void ringo_lock_thread(void);
RINGO__API void ringo_unlock_thread(void);

/*
 * Set the number of Ps (n > 0, at most 1024), or ask (n = 0). Returns the previous number, -ESRCH,
 * -EINVAL, or -EAGAIN when no thread could be made (the number stays as it was). Never parks.
 */
RINGO__API int ringo_maxprocs(int n);

/* CPUs this process may use: affinity mask and cgroup cpu.max, at least 1. Any thread. */
RINGO__API int ringo_num_cpu(void);

/* Live goroutines, the main one included; 0 without a runtime. Any thread. */
RINGO__API long ringo_num_goroutines(void);

/*
 * Run fn(arg) on a thread of the blocking pool and store its value in *result (may be NULL). The
 * goroutine waits, its OS thread does not. A job that has started is waited for, whatever the
 * deadline. 0, -ETIMEDOUT (not started), -EAGAIN (no thread can be made), -EPERM, -ESRCH. Waits.
 */
RINGO__API RINGO__MUST int ringo_blocking(int (*fn)(void *), void *arg, int *result);

RINGO__C_END

/*
 * int ringo_go(fn, args...): start fn(args...) as a goroutine, up to six arguments. They must be
 * integers or pointers of exactly fn's parameter types, and are evaluated here, before it returns.
 * Returns as ringo_go_fn().
 */
#ifndef __cplusplus

#define RINGO__VALUE(x) __extension__({ __auto_type ringo__v = (x); ringo__v; })
#define RINGO__TYPE(x) __typeof__(RINGO__VALUE(x))
#define RINGO__IS_WORD(x) (sizeof(RINGO__TYPE(x)) <= sizeof(uintptr_t) && \
			   (__builtin_classify_type(RINGO__VALUE(x)) == 1 || \
			    __builtin_classify_type(RINGO__VALUE(x)) == 5 || \
			    __builtin_types_compatible_p(RINGO__TYPE(x), _Bool)))
#define RINGO__WORDS_ONLY(c) \
	_Static_assert(c, "ringo_go: arguments must be integers or pointers; pass a struct by pointer")
#define RINGO__EXACT(fn, ...) \
	_Static_assert(__builtin_types_compatible_p(__typeof__(&*(fn)), void (*)(__VA_ARGS__)), \
		       "ringo_go: argument types must match the function exactly")

#define RINGO__GO0(f) __extension__({ \
	RINGO__EXACT(f, void); \
	ringo__go((void (*)(void))(f), NULL, 0); })
#define RINGO__GO1(f, a) __extension__({ \
	RINGO__WORDS_ONLY(RINGO__IS_WORD(a)); \
	RINGO__EXACT(f, RINGO__TYPE(a)); \
	const uintptr_t ringo__a[] = { (uintptr_t)(a) }; \
	ringo__go((void (*)(void))(f), ringo__a, 1); })
#define RINGO__GO2(f, a, b) __extension__({ \
	RINGO__WORDS_ONLY(RINGO__IS_WORD(a) && RINGO__IS_WORD(b)); \
	RINGO__EXACT(f, RINGO__TYPE(a), RINGO__TYPE(b)); \
	const uintptr_t ringo__a[] = { (uintptr_t)(a), (uintptr_t)(b) }; \
	ringo__go((void (*)(void))(f), ringo__a, 2); })
#define RINGO__GO3(f, a, b, c) __extension__({ \
	RINGO__WORDS_ONLY(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c)); \
	RINGO__EXACT(f, RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c)); \
	const uintptr_t ringo__a[] = { (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c) }; \
	ringo__go((void (*)(void))(f), ringo__a, 3); })
#define RINGO__GO4(f, a, b, c, d) __extension__({ \
	RINGO__WORDS_ONLY(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c) && \
			  RINGO__IS_WORD(d)); \
	RINGO__EXACT(f, RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c), RINGO__TYPE(d)); \
	const uintptr_t ringo__a[] = { (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), \
				       (uintptr_t)(d) }; \
	ringo__go((void (*)(void))(f), ringo__a, 4); })
#define RINGO__GO5(f, a, b, c, d, e) __extension__({ \
	RINGO__WORDS_ONLY(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c) && \
			  RINGO__IS_WORD(d) && RINGO__IS_WORD(e)); \
	RINGO__EXACT(f, RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c), RINGO__TYPE(d), \
		     RINGO__TYPE(e)); \
	const uintptr_t ringo__a[] = { (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), \
				       (uintptr_t)(d), (uintptr_t)(e) }; \
	ringo__go((void (*)(void))(f), ringo__a, 5); })
#define RINGO__GO6(f, a, b, c, d, e, g) __extension__({ \
	RINGO__WORDS_ONLY(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c) && \
			  RINGO__IS_WORD(d) && RINGO__IS_WORD(e) && RINGO__IS_WORD(g)); \
	RINGO__EXACT(f, RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c), RINGO__TYPE(d), \
		     RINGO__TYPE(e), RINGO__TYPE(g)); \
	const uintptr_t ringo__a[] = { (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), \
				       (uintptr_t)(d), (uintptr_t)(e), (uintptr_t)(g) }; \
	ringo__go((void (*)(void))(f), ringo__a, 6); })

#define RINGO__NARGS(_f, _1, _2, _3, _4, _5, _6, n, ...) n
#define ringo_go(...) \
	RINGO__CAT(RINGO__GO, RINGO__NARGS(__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0, ~))(__VA_ARGS__)

#else

#include <type_traits>

template <class T> inline uintptr_t ringo__word(T v)
{
	static_assert((std::is_integral<T>::value || std::is_enum<T>::value ||
		       std::is_pointer<T>::value) && sizeof(T) <= sizeof(uintptr_t),
		      "ringo_go: arguments must be integers or pointers; pass a struct by pointer");
	return (uintptr_t)v;
}

template <class... P, class... A> inline int ringo_go(void (*fn)(P...), A... args)
{
	static_assert(sizeof...(P) == sizeof...(A), "ringo_go: wrong number of arguments");
	static_assert(sizeof...(A) <= 6, "ringo_go: at most six arguments");
	static_assert(std::is_same<void (*)(P...), void (*)(A...)>::value,
		      "ringo_go: argument types must match the function exactly");
	const uintptr_t words[sizeof...(A) + 1] = { ringo__word(args)..., 0 };
	return ringo__go((void (*)(void))fn, words, sizeof...(A));
}

#endif

#endif
