// SPDX-License-Identifier: MIT
/*
 * The reader of the tools against cores that mean harm. The first byte chooses: the input is a whole core file;
 * or it is what the state and the memory of a proper one hold, which mutations of a whole one seldom reach.
 */
#include "tools/observe/core.c"
#include "tools/observe/table.c"
#include "tools/observe/target.c"

#include <stdint.h>
#include <sys/mman.h>

#define STATE_AT UINT64_C(0x100000)
#define MEMORY_AT UINT64_C(0x10000)

enum { HEAD = 4096, STATE_BYTES = 512 };

struct files_note {
	Elf64_Nhdr h;
	char name[8];
	uint64_t count, page, start, end, offset;
	char path[32];
} __attribute__((packed));

struct head {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[3];
	struct files_note files;
};

static bool touch(const struct goroutine *g, void *arg)
{
	struct table *tab = arg;
	char name[RINGO_G_NAME];
	struct goroutine again;
	uint64_t lo, hi, word;

	table_name(tab, g, name);
	if (strlen(name) >= sizeof(name) || !*goroutine_state(g) || goroutine_waited(tab, g) < 0)
		abort();
	if (goroutine_stack(tab, g, &lo, &hi))
		target_read(tab->t, g->sp, &word, sizeof(word));
	if (g->m >= (int32_t)tab->nms)
		abort();
	table_one(tab, g->index, &again);
	return true;
}

static void look(int fd)
{
	struct target t;
	struct table tab = { 0 };
	bool ok = target_open_core(&t, fd) && table_open(&tab, &t) && table_each(&tab, touch, &tab);

	if (!ok && !t.why[0])
		abort(); /* a failure without a word */
	table_close(&tab);
	target_close(&t);
}

static void put(int fd, const void *data, size_t n, off_t at)
{
	if (pwrite(fd, data, n, at) != (ssize_t)n)
		abort();
}

/* A core that says at STATE_AT what the first bytes say, and has the others at MEMORY_AT. */
static void proper(int fd, const uint8_t *data, size_t n)
{
	const size_t state = n < STATE_BYTES ? n : STATE_BYTES, rest = n - state;
	const size_t size = sizeof(struct ringo_state), room = (size + HEAD - 1) / HEAD * HEAD;
	struct head h = {
		.eh = { .e_ident = ELFMAG, .e_type = ET_CORE, .e_machine = EM_X86_64, .e_phnum = 3,
			.e_phoff = offsetof(struct head, ph), .e_phentsize = sizeof(Elf64_Phdr) },
		.ph = {
			{ .p_type = PT_NOTE, .p_offset = offsetof(struct head, files),
			  .p_filesz = sizeof(struct files_note) },
			{ .p_type = PT_LOAD, .p_vaddr = STATE_AT, .p_offset = HEAD, .p_filesz = size, .p_memsz = size },
			{ .p_type = PT_LOAD, .p_vaddr = MEMORY_AT, .p_offset = HEAD + room, .p_filesz = rest,
			  .p_memsz = rest },
		},
		.files = { .h = { 5, sizeof(struct files_note) - offsetof(struct files_note, count), NT_FILE },
			   .name = "CORE", .count = 1, .page = 4096, .start = STATE_AT, .end = STATE_AT + room,
			   .path = "/memfd:" RINGO_STATE_NAME },
	};

	h.eh.e_ident[EI_CLASS] = ELFCLASS64;
	put(fd, &h, sizeof(h), 0);
	put(fd, data, state, HEAD);
	put(fd, data + state, rest, (off_t)(HEAD + room));
	if (ftruncate(fd, (off_t)(HEAD + room + rest)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int fd = memfd_create("core", 0);

	if (fd < 0)
		abort();
	if (n && data[0] & 1)
		proper(fd, data + 1, n - 1);
	else if (n)
		put(fd, data + 1, n - 1, 0);
	look(fd);
	return 0;
}
