/* SPDX-License-Identifier: MIT */
/*
 * Panic, defer, and containing a panic.
 *
 * A panic begins with ringo_panic(), with misuse of ringo (such as the unlock of an unlocked mutex), with
 * SIGSEGV, SIGBUS or SIGFPE raised by an instruction of a goroutine, or with the overflow of its stack. What
 * the goroutine has deferred is run, newest first, on top of the stack as it is. Then control returns from
 * the innermost ringo_try(); without one, a report with the goroutine's backtrace is written to stderr and
 * the process ends by abort(3).
 *
 * What a panic leaves is as after longjmp(3): whatever is not deferred is not undone. A fault inside the C
 * library may leave its locks taken. Destructors of C++ objects do not run. A fault inside ringo, on a bad
 * pointer that it was given, cannot be contained: it ends the process with a report.
 */
#ifndef RINGO_PANIC_H
#define RINGO_PANIC_H

#include <ringo/base.h>
#include <ringo/go.h>

RINGO__C_BEGIN

/* What ringo_try() says of a panic. */
struct ringo_panic_info {
	char message[224]; /* what is longer is cut */
	int signal;        /* SIGSEGV, SIGBUS, SIGFPE; 0: none */
	void *address;     /* of the fault: see si_addr in sigaction(2) */
	uint64_t ringo__reserved[2];
};

/* Panic with a message as of printf(3). Outside a goroutine: the message, and abort(3). May wait, in defers. */
RINGO__API void ringo_panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/*
 * Call fn(arg) and contain its panics: 0, or 1 after a panic, with *p filled in (p may be NULL). Then all
 * that fn deferred has run, and errno, the ambient deadline and the ambient context are those of the call.
 * Nests. ringo_exit() passes through. Outside a goroutine it only calls fn. Waits if fn does.
 */
RINGO__API int ringo_try(void (*fn)(void *), void *arg, struct ringo_panic_info *p);

/* Behind ringo_defer. */
struct ringo__defer {
	struct ringo__defer *ringo__next;
	struct ringo__defer **ringo__list; /* of its goroutine; NULL: outside one */
	uintptr_t ringo__mark;
	void (*ringo__fn)(void);
	uintptr_t ringo__args[6];
};

/* Behind ringo_defer: the declaration, and the end of its block. */
RINGO__API int ringo__defer_push(struct ringo__defer *d);
RINGO__API void ringo__defer_end(struct ringo__defer *d);

RINGO__C_END

/*
 * ringo_defer(fn, args...): a declaration. fn(args...) is called at the end of the block, however it is left:
 * by its end, return, goto, break, by ringo_exit() or by a panic; but not when the run ends meanwhile. The
 * last one declared is called first. Arguments are as those of ringo_go() and evaluated at once; what fn
 * returns is dropped (no struct, complex or long double). Outside a goroutine it is called too, at the end
 * of the block.
 *
 * While fn runs, the ambient context and the ambient deadline are set aside: what it calls waits as long as
 * it takes, or as fn itself has set.
 *
 * A block with a ringo_defer, or a ringo_try(), must not be left by longjmp(3): use ringo_panic(). ringo ends
 * the process when it notices.
 */
#ifndef __cplusplus

#define RINGO__DEFERRABLE(call) \
	_Static_assert(__builtin_classify_type(__builtin_choose_expr( \
			__builtin_types_compatible_p(__typeof__(call), void), 0, call)) < 9 && \
		       !__builtin_types_compatible_p(__typeof__(call), long double), \
		       "ringo_defer: the function must return void, an integer, a pointer or a double")
/* Of functions, not of pointers to them: gcc takes one that does not return for another type there. */
#define RINGO__DEFER_EXACT(fn, call, ...) \
	_Static_assert(__builtin_types_compatible_p(__typeof__(*(fn)), __typeof__(call)(__VA_ARGS__)), \
		       "ringo_defer: argument types must match the function exactly")
#define RINGO__DEFER_WORDS(c) \
	_Static_assert(c, "ringo_defer: arguments must be integers or pointers; pass a struct by pointer")

#define RINGO__DEFER(id, f, ...) \
	struct ringo__defer RINGO__CAT(ringo__defer_, id) \
	__attribute__((cleanup(ringo__defer_end))) = { \
		.ringo__fn = (void (*)(void))(f), .ringo__args = { __VA_ARGS__ } }; \
	int RINGO__CAT(ringo__pushed_, id) __attribute__((unused)) = \
		ringo__defer_push(&RINGO__CAT(ringo__defer_, id))

#define RINGO__DEFER0(id, f) \
	RINGO__DEFERRABLE((f)()); \
	RINGO__DEFER_EXACT(f, (f)(), void); \
	RINGO__DEFER(id, f, 0)
#define RINGO__DEFER1(id, f, a) \
	RINGO__DEFER_WORDS(RINGO__IS_WORD(a)); \
	RINGO__DEFERRABLE((f)(a)); \
	RINGO__DEFER_EXACT(f, (f)(a), RINGO__TYPE(a)); \
	RINGO__DEFER(id, f, (uintptr_t)(a))
#define RINGO__DEFER2(id, f, a, b) \
	RINGO__DEFER_WORDS(RINGO__IS_WORD(a) && RINGO__IS_WORD(b)); \
	RINGO__DEFERRABLE((f)(a, b)); \
	RINGO__DEFER_EXACT(f, (f)(a, b), RINGO__TYPE(a), RINGO__TYPE(b)); \
	RINGO__DEFER(id, f, (uintptr_t)(a), (uintptr_t)(b))
#define RINGO__DEFER3(id, f, a, b, c) \
	RINGO__DEFER_WORDS(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c)); \
	RINGO__DEFERRABLE((f)(a, b, c)); \
	RINGO__DEFER_EXACT(f, (f)(a, b, c), RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c)); \
	RINGO__DEFER(id, f, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c))
#define RINGO__DEFER4(id, f, a, b, c, d) \
	RINGO__DEFER_WORDS(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c) && \
			   RINGO__IS_WORD(d)); \
	RINGO__DEFERRABLE((f)(a, b, c, d)); \
	RINGO__DEFER_EXACT(f, (f)(a, b, c, d), RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c), \
			   RINGO__TYPE(d)); \
	RINGO__DEFER(id, f, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d))
#define RINGO__DEFER5(id, f, a, b, c, d, e) \
	RINGO__DEFER_WORDS(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c) && \
			   RINGO__IS_WORD(d) && RINGO__IS_WORD(e)); \
	RINGO__DEFERRABLE((f)(a, b, c, d, e)); \
	RINGO__DEFER_EXACT(f, (f)(a, b, c, d, e), RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c), \
			   RINGO__TYPE(d), RINGO__TYPE(e)); \
	RINGO__DEFER(id, f, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d), \
		     (uintptr_t)(e))
#define RINGO__DEFER6(id, f, a, b, c, d, e, g) \
	RINGO__DEFER_WORDS(RINGO__IS_WORD(a) && RINGO__IS_WORD(b) && RINGO__IS_WORD(c) && \
			   RINGO__IS_WORD(d) && RINGO__IS_WORD(e) && RINGO__IS_WORD(g)); \
	RINGO__DEFERRABLE((f)(a, b, c, d, e, g)); \
	RINGO__DEFER_EXACT(f, (f)(a, b, c, d, e, g), RINGO__TYPE(a), RINGO__TYPE(b), RINGO__TYPE(c), \
			   RINGO__TYPE(d), RINGO__TYPE(e), RINGO__TYPE(g)); \
	RINGO__DEFER(id, f, (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d), \
		     (uintptr_t)(e), (uintptr_t)(g))

#define RINGO__DEFER_N(n, id, ...) RINGO__CAT(RINGO__DEFER, n)(id, __VA_ARGS__)
#define ringo_defer(...) \
	RINGO__DEFER_N(RINGO__NARGS(__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0, ~), __COUNTER__, __VA_ARGS__)

#else

class ringo__deferred {
	struct ringo__defer d;

public:
	template <class R, class... P, class... A> explicit ringo__deferred(R (*fn)(P...), A... args)
		: d{ nullptr, nullptr, 0, (void (*)(void))fn, { ringo__word(args)... } }
	{
		static_assert(sizeof...(P) == sizeof...(A), "ringo_defer: wrong number of arguments");
		static_assert(sizeof...(A) <= 6, "ringo_defer: at most six arguments");
		static_assert(std::is_same<void (*)(P...), void (*)(A...)>::value,
			      "ringo_defer: argument types must match the function exactly");
		static_assert(!std::is_class<R>::value && !std::is_union<R>::value &&
			      !std::is_same<R, long double>::value,
			      "ringo_defer: the function must return void, an integer, a pointer or a double");
		ringo__defer_push(&d);
	}
	ringo__deferred(const ringo__deferred &) = delete;
	ringo__deferred &operator=(const ringo__deferred &) = delete;
	~ringo__deferred()
	{
		ringo__defer_end(&d);
	}
};

#define ringo_defer(...) ringo__deferred RINGO__CAT(ringo__defer_, __COUNTER__)(__VA_ARGS__)

#endif

#endif
