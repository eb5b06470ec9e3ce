// SPDX-License-Identifier: MIT
/*
 * Fuzz the way of httpd from bytes to requests (docs/examples/httpd_request.h).
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Ilib/include -Idocs/examples \
 *         tests/fuzz/httpd_fuzz.c -lhttp_parser -o httpd_fuzz
 *   ./httpd_fuzz -max_total_time=20 -max_len=40000 NEW tests/fuzz/corpus/httpd
 *
 * New inputs go to the folder NEW. Without libFuzzer: -DFUZZ_FILES makes a program that runs the files
 * named on its command line.
 *
 * An input's first two bytes are a seed, the rest is what a client sends. It is fed once in pieces as
 * large as the buffer takes, and once in pieces of sizes drawn from the seed. Checked: no access
 * outside the buffers (the sanitizers), the same requests and the same refusal from both, no decoded
 * path that is absolute, has a ".." or an empty segment, or is longer than what was sent, the limits
 * of head and body, and that every byte is consumed once.
 */
#include <assert.h>
#include <stdio.h>

#include "httpd_request.h"

/* What a connection came to: a hash over its requests, their number, and the status that ended it. */
struct outcome {
	uint64_t hash;
	unsigned requests;
	int status;
};

static void mix(struct outcome *o, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n--)
		o->hash = (o->hash ^ *p++) * 1099511628211u;
}

static void mix_number(struct outcome *o, uint64_t n)
{
	mix(o, &n, sizeof(n));
}

static void check_path(const char *path, size_t sent)
{
	size_t len = strlen(path);
	const char *segment = path, *slash;

	assert(len <= sent);
	while (*segment) {
		slash = strchrnul(segment, '/');
		assert(slash != segment);
		assert(slash - segment != 1 || *segment != '.');
		assert(slash - segment != 2 || memcmp(segment, "..", 2));
		segment = slash + (*slash != 0);
	}
}

static void take_request(struct conn *c, struct outcome *o)
{
	struct request *r = &c->r;
	char *req = c->buf + c->start, *path = NULL;
	size_t sent = r->url.len;
	int status;

	assert(r->used <= c->end - c->start);
	assert((r->head ? r->head : r->used) <= HEAD_MAX);
	assert(r->body <= BODY_MAX);
	assert(r->url.off + r->url.len <= HEAD_MAX);
	assert(r->since.off + r->since.len <= HEAD_MAX);
	mix(o, req + r->url.off, r->url.len);
	mix(o, req + r->since.off, r->since.len);
	mix_number(o, r->parser.method | r->keep << 8 | r->expect << 9 | (uint64_t)r->hosts << 12);
	status = request_path(c, &path);
	mix_number(o, status);
	if (!status) {
		check_path(path, sent);
		mix(o, path, strlen(path));
	}
	o->requests++;
}

/* As read_rest() in httpd.c without its waiting. True: a request is complete. */
static bool pump(struct conn *c, struct outcome *o)
{
	int rc = feed(c);

	if (rc == FEED_HEAD) {
		o->status = check_body(&c->r);
		if (o->status)
			return false;
		rc = feed(c);
	}
	assert(c->start <= c->end && c->end <= c->cap);
	if (rc == FEED_MORE)
		assert(c->r.used == c->end - c->start);
	if (rc >= 400)
		o->status = rc;
	return rc == FEED_DONE;
}

static struct outcome run(const uint8_t *data, size_t size, uint32_t seed)
{
	struct outcome o = { .hash = 14695981039346656037u };
	struct conn c;
	size_t n;

	conn_init(&c, 0);
	while (size && !o.status) {
		if (conn_room(&c))
			abort();
		n = c.cap - c.end;
		if (seed) {
			seed = seed * 1664525 + 1013904223;
			if ((seed >> 16) % 700 + 1 < n)
				n = (seed >> 16) % (seed & 1 << 15 ? 700 : 3) + 1;
		}
		if (n > size)
			n = size;
		memcpy(c.buf + c.end, data, n);
		c.end += n;
		data += n;
		size -= n;
		while (c.end > c.start + c.r.used && !o.status && pump(&c, &o)) {
			take_request(&c, &o);
			if (!c.r.keep) {
				o.status = -1;
				break;
			}
			conn_next(&c);
		}
	}
	conn_free(&c);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;

	if (size < 2)
		return 0;
	whole = run(data + 2, size - 2, 0);
	pieces = run(data + 2, size - 2, 1 + data[0] + 256 * data[1]);
	assert(whole.requests == pieces.requests);
	assert(whole.status == pieces.status);
	assert(whole.hash == pieces.hash);
	return 0;
}

#ifdef FUZZ_FILES
int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];
	size_t n;
	FILE *f;

	for (int i = 1; i < argc; i++) {
		f = fopen(argv[i], "rb");
		if (!f) {
			perror(argv[i]);
			return 1;
		}
		n = fread(data, 1, sizeof(data), f);
		fclose(f);
		LLVMFuzzerTestOneInput(data, n);
	}
	return 0;
}
#endif
