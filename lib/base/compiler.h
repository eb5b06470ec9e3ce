/* SPDX-License-Identifier: MIT */
/* Compiler attributes and small helpers that every file uses. */
#ifndef RG_BASE_COMPILER_H
#define RG_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

/* Which sanitizer, in the words of gcc and of clang. */
#if defined(__SANITIZE_ADDRESS__)
#define RG_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define RG_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RG_ASAN 1
#elif __has_feature(thread_sanitizer)
#define RG_TSAN 1
#endif
#endif

/* For looks at memory that its owner may be writing: what is seen is checked, or only printed. */
#if defined(__clang__)
#define RG_PEEKS __attribute__((no_sanitize("address", "thread"), noinline))
#else
#define RG_PEEKS __attribute__((no_sanitize_address, no_sanitize_thread, noinline))
#endif

#define RG_API __attribute__((visibility("default")))
#define RG_NOINLINE __attribute__((noinline))
#define RG_COLD __attribute__((noinline, cold))
#define RG_NORETURN __attribute__((noreturn))
#define RG_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define RG_CACHELINE 64
#define rg_aligned(n) __attribute__((aligned(n)))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define rg_container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define RG_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define rg_min(a, b) \
	__extension__({ __typeof__(a) rg__a = (a); __typeof__(b) rg__b = (b); \
			rg__a < rg__b ? rg__a : rg__b; })
#define rg_max(a, b) \
	__extension__({ __typeof__(a) rg__a = (a); __typeof__(b) rg__b = (b); \
			rg__a > rg__b ? rg__a : rg__b; })

/* xorshift64*: cheap, seeded, good enough for picking victims and cases. */
static inline uint64_t rg_rand(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545F4914F6CDD1D);
}

#endif
