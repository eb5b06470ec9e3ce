// SPDX-License-Identifier: MIT
/*
 * The reader of event rings against a process that means harm. The first byte chooses: the input is the memory, all of
 * it; or it is the events in proper rings, with times that can be, a look after each few. What comes out
 * must be whole in either case.
 */
#include "lib/observe/chrome.c"
#include "lib/observe/gather.c"
#include "lib/observe/json.c"
#include "lib/observe/lines.c"
#include "lib/observe/recorder.c"

#include <stdio.h>
#include <sys/mman.h>

#define EVENTS_AT UINT64_C(0x10000)
#define RING_AT UINT64_C(0x100000)

enum { RINGS_USED = 3, STEP = 40, LIMIT = 5000 };

#define RING_SIZE (sizeof(struct ringo_event_ring) + (sizeof(struct ringo_event) << RINGO_EVENTS_ORDER_MIN))

static struct {
	const uint8_t *raw; /* NULL: proper */
	size_t n;
	struct ringo_events events;
	uint64_t rings[RINGS_USED][RING_SIZE / 8];
} them;

/* Where that address is; NULL: not all n bytes are there. */
static const void *find(uint64_t addr, size_t n)
{
	const uint64_t in_rings = addr - RING_AT, in_events = addr - EVENTS_AT;

	if (them.raw)
		return addr <= them.n && n <= them.n - addr ? them.raw + addr : NULL;
	if (in_rings < sizeof(them.rings) && n <= sizeof(them.rings) - in_rings)
		return (const char *)them.rings + in_rings;
	if (in_events < sizeof(them.events) && n <= sizeof(them.events) - in_events)
		return (const char *)&them.events + in_events;
	return NULL;
}

static struct ringo_event_ring *ring(uint32_t i)
{
	return (struct ringo_event_ring *)them.rings[i];
}

static int read_them(void *arg, uint64_t addr, void *buf, size_t n)
{
	const void *from = find(addr, n);

	(void)arg;
	if (!from)
		return -EFAULT;
	memcpy(buf, from, n);
	return 0;
}

static int write_them(void *arg, uint64_t addr, const void *buf, size_t n)
{
	(void)arg, (void)addr, (void)buf, (void)n;
	return 0;
}

static const char *symbol(void *arg, uint64_t pc)
{
	static char text[32];

	(void)arg;
	snprintf(text, sizeof(text), "f\"\n%lx", (unsigned long)pc);
	return text;
}

static void make_proper(void)
{
	memset(&them.events, 0, sizeof(them.events));
	memset(them.rings, 0, sizeof(them.rings));
	them.events.version = RINGO_EVENTS_VERSION;
	them.events.size = sizeof(them.events);
	them.events.used = RINGS_USED;
	for (uint32_t i = 0; i < RINGS_USED; i++) {
		them.events.rings[i] = RING_AT + i * RING_SIZE;
		ring(i)->magic = RINGO_EVENTS_MAGIC;
		ring(i)->order = RINGO_EVENTS_ORDER_MIN;
		ring(i)->place = i;
	}
}

/* 12 bytes are one event. */
static void add_event(const uint8_t *d)
{
	struct ringo_event_ring *r = ring(d[0] % RINGS_USED);
	struct ringo_event *e = &r->events[r->head % (1 << RINGO_EVENTS_ORDER_MIN)];

	e->when = rg_cycles() - d[1];
	e->g = d[2] | (uint32_t)(d[3] & 3) << 8;
	e->gen = d[4] & 3;
	e->what = d[5] | (uint64_t)d[6] << 32 | (uint64_t)d[7] << 56;
	e->more = RINGO_EVENT_PACK(d[8] % (RINGO_EVENTS + 1u), d[9] | (d[3] & 4u) << 8,
				   d[10] | (uint64_t)d[11] << 32);
	r->head += d[3] & 0x80 && d[1] > 200 ? d[1] : 1u; /* jumps are lost events */
}

/* Brackets are in pairs, strings end, and nothing is in it that JSON does not print. */
static void check_whole(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	const char *s = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	bool quoted = false;
	int depth = 0;

	if (s == MAP_FAILED)
		abort();
	for (off_t i = 0; i < size; i++) {
		if (quoted && s[i] == '\\') {
			i++;
			continue;
		}
		quoted ^= s[i] == '"';
		if ((s[i] < ' ' && s[i] != '\n') || s[i] > '~' || (quoted && s[i] == '\n'))
			abort();
		if (!quoted)
			depth += (s[i] == '{' || s[i] == '[') - (s[i] == '}' || s[i] == ']');
		if (depth < 1 && i < size - 2)
			abort();
	}
	if (depth || quoted)
		abort();
	munmap((void *)(uintptr_t)s, (size_t)size);
}

static void record(const uint8_t *data, size_t n, uint64_t limit)
{
	static struct rg_recorder r;
	int fd = memfd_create("trace", 0);
	bool begun;

	if (fd < 0)
		abort();
	memset(&r, 0, sizeof(r));
	r.memory = (struct rg_memory){ read_them, write_them, NULL };
	r.chrome.symbol = symbol;
	begun = !rg_recorder_begin(&r, fd, them.raw ? 0 : EVENTS_AT, 800, 0, limit);
	for (size_t at = 0; begun && at <= n; at += STEP * 12) {
		for (size_t i = at; !them.raw && i + 12 <= n && i < at + STEP * 12; i += 12)
			add_event(data + i);
		if (rg_recorder_look(&r))
			break;
	}
	if (begun) {
		if (rg_recorder_end(&r))
			abort();
		check_whole(fd);
		if (limit && lseek(fd, 0, SEEK_END) > (off_t)limit)
			abort();
	}
	rg_recorder_free(&r);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	them.raw = data[0] & 1 ? data + 1 : NULL;
	them.n = n - 1;
	if (!them.raw)
		make_proper();
	record(data + 1, n - 1, data[0] & 2 ? LIMIT * 40 : 0);
	return 0;
}
