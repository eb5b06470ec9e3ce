/* SPDX-License-Identifier: MIT */
/* Writing JSON to a file, fast, up to a size. Shared with the tools: of the library it needs nothing. */
#ifndef RG_OBSERVE_JSON_H
#define RG_OBSERVE_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rg_json {
	int fd;
	int err;       /* the first that came up, -errno: nothing is written since */
	uint64_t size; /* of all so far */
	size_t n;
	char buf[1 << 16];
};

void rg_json_put(struct rg_json *j, const char *s, size_t n);
void rg_json_quoted(struct rg_json *j, const char *s); /* what is not printable becomes '?' */
void rg_json_u64(struct rg_json *j, uint64_t v);
void rg_json_i64(struct rg_json *j, int64_t v);
void rg_json_hex(struct rg_json *j, uint64_t v);       /* quoted, with 0x */
void rg_json_us(struct rg_json *j, int64_t ns);        /* microseconds, with a point; not below 0 */
void rg_json_flush(struct rg_json *j);

static inline void rg_json_raw(struct rg_json *j, const char *s)
{
	rg_json_put(j, s, strlen(s));
}

#endif
