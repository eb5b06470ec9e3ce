// SPDX-License-Identifier: MIT
/*
 * Core files (ELF, x86-64), read with pread and bounds checked by hand: one may be cut short, be written to at this
 * moment, or be made by somebody who means harm. A library for ELF would have to be trusted with that.
 */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/observe/target.h"

enum { MAX_HEADERS = 1 << 20, MAX_NOTES = 256 << 20, MAX_FILES = 1 << 20 };

static int read_at(int fd, uint64_t at, void *buf, size_t n)
{
	while (n) {
		ssize_t got = at > INT64_MAX ? -1 : pread(fd, buf, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EFAULT;
		buf = (char *)buf + got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct target_segment *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The last that begins at or below addr. */
static const struct target_segment *segment_of(const struct target *t, uint64_t addr)
{
	size_t lo = 0, hi = t->nsegments;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->segments[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && addr - t->segments[lo - 1].start < t->segments[lo - 1].size ? &t->segments[lo - 1] : NULL;
}

int core_read(const struct target *t, uint64_t addr, void *buf, size_t n)
{
	while (n) {
		const struct target_segment *s = segment_of(t, addr);
		uint64_t into, len;

		if (!s)
			return -EFAULT;
		into = addr - s->start;
		len = s->size - into < n ? s->size - into : n;
		if (s->offset + into < into || read_at(t->fd, s->offset + into, buf, len))
			return -EFAULT;
		buf = (char *)buf + len;
		addr += len;
		n -= len;
	}
	return 0;
}

/* ---- notes ---- */

static bool note_thread(struct target *t, const char *d, size_t n)
{
	struct target_thread *more;
	struct elf_prstatus s;

	if (n < sizeof(s))
		return true;
	more = realloc(t->threads, (t->nthreads + 1) * sizeof(*more));
	if (!more)
		return target_fail(t, "no memory");
	t->threads = more;
	memcpy(&s, d, sizeof(s));
	more += t->nthreads++;
	more->tid = s.pr_pid;
	_Static_assert(sizeof(more->regs) == sizeof(s.pr_reg), "registers");
	memcpy(&more->regs, &s.pr_reg, sizeof(more->regs));
	return true;
}

static void note_process(struct target *t, const char *d, size_t n)
{
	struct elf_prpsinfo p;

	if (n < sizeof(p))
		return;
	memcpy(&p, d, sizeof(p));
	t->pid = p.pr_pid;
	memcpy(t->command, p.pr_fname, sizeof(p.pr_fname));
	t->command[sizeof(p.pr_fname) - 1] = 0;
	for (char *c = t->command; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

/* Count and page size; count times start, end, offset in pages; count strings. */
static bool note_files(struct target *t, const char *d, size_t n)
{
	const char *names, *end = d + n;
	uint64_t head[2], three[3];

	if (t->nmaps || n < sizeof(head))
		return true;
	memcpy(head, d, sizeof(head));
	if (!head[0] || head[0] > MAX_FILES || (n - sizeof(head)) / sizeof(three) < head[0])
		return true;
	t->maps = calloc(head[0], sizeof(*t->maps));
	if (!t->maps)
		return target_fail(t, "no memory");
	names = d + sizeof(head) + head[0] * sizeof(three);
	for (uint64_t i = 0; i < head[0]; i++) {
		struct target_map *m = &t->maps[i];
		const char *stop = memchr(names, 0, (size_t)(end - names));

		if (!stop)
			break;
		memcpy(three, d + sizeof(head) + i * sizeof(three), sizeof(three));
		*m = (struct target_map){ .start = three[0], .end = three[1], .offset = three[2] * head[1],
					  .path = strdup(names) };
		if (!m->path)
			return target_fail(t, "no memory");
		t->nmaps++;
		names = stop + 1;
	}
	return true;
}

static bool note(struct target *t, const Elf64_Nhdr *h, const char *name, const char *d)
{
	if (h->n_namesz < 4 || memcmp(name, "CORE", 4))
		return true;
	switch (h->n_type) {
	case NT_PRSTATUS:
		return note_thread(t, d, h->n_descsz);
	case NT_PRPSINFO:
		note_process(t, d, h->n_descsz);
		return true;
	case NT_FILE:
		return note_files(t, d, h->n_descsz);
	default:
		return true;
	}
}

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static bool notes(struct target *t, const Elf64_Phdr *ph)
{
	size_t n = ph->p_filesz, at = 0;
	bool ok = true;
	char *all;

	if (n > MAX_NOTES)
		return target_fail(t, "the notes of the core are garbage");
	all = malloc(n + 1);
	if (!all)
		return target_fail(t, "no memory");
	if (read_at(t->fd, ph->p_offset, all, n)) {
		free(all);
		return target_fail(t, "the core is cut short: its notes are missing");
	}
	while (ok && n - at >= sizeof(Elf64_Nhdr)) {
		size_t room = n - at - sizeof(Elf64_Nhdr);
		Elf64_Nhdr h;

		memcpy(&h, all + at, sizeof(h));
		if (h.n_namesz > room || padded(h.n_namesz) > room || h.n_descsz > room - padded(h.n_namesz))
			break;
		ok = note(t, &h, all + at + sizeof(h), all + at + sizeof(h) + padded(h.n_namesz));
		at += sizeof(h) + padded(h.n_namesz);
		at += padded(h.n_descsz) <= n - at ? padded(h.n_descsz) : n - at;
	}
	free(all);
	return ok;
}

/* ---- headers ---- */

/* How many program headers: more than 65534 are counted in a section header. */
static uint32_t count_headers(const struct target *t, const Elf64_Ehdr *eh)
{
	Elf64_Shdr sh;

	if (eh->e_phnum != PN_XNUM)
		return eh->e_phnum;
	return read_at(t->fd, eh->e_shoff, &sh, sizeof(sh)) ? 0 : sh.sh_info;
}

static void add_segment(struct target *t, const Elf64_Phdr *ph, uint64_t file_size)
{
	uint64_t size = ph->p_filesz < ph->p_memsz ? ph->p_filesz : ph->p_memsz;

	if (!size || ph->p_vaddr + size < ph->p_vaddr)
		return;
	if (ph->p_offset >= file_size || size > file_size - ph->p_offset) {
		t->truncated = true;
		if (ph->p_offset >= file_size)
			return;
		size = file_size - ph->p_offset;
	}
	t->segments[t->nsegments++] = (struct target_segment){ ph->p_vaddr, size, ph->p_offset };
}

static bool headers(struct target *t, const Elf64_Phdr *ph, uint32_t n, uint64_t file_size)
{
	t->segments = calloc(n, sizeof(*t->segments));
	if (!t->segments)
		return target_fail(t, "no memory");
	for (uint32_t i = 0; i < n; i++) {
		if (ph[i].p_type == PT_LOAD)
			add_segment(t, &ph[i], file_size);
		else if (ph[i].p_type == PT_NOTE && !notes(t, &ph[i]))
			return false;
	}
	qsort(t->segments, t->nsegments, sizeof(*t->segments), by_start);
	return true;
}

bool core_load(struct target *t)
{
	Elf64_Phdr *ph;
	Elf64_Ehdr eh;
	struct stat st;
	uint32_t n;
	bool ok;

	if (fstat(t->fd, &st) || !S_ISREG(st.st_mode) || read_at(t->fd, 0, &eh, sizeof(eh)) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_type != ET_CORE)
		return target_fail(t, "this is no core file, nor the number of a process");
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != EM_X86_64 || eh.e_phentsize != sizeof(*ph))
		return target_fail(t, "this is no core file of an x86-64 program");
	n = count_headers(t, &eh);
	if (!n || n > MAX_HEADERS)
		return target_fail(t, "the core has no program headers, or too many");
	ph = calloc(n, sizeof(*ph));
	if (!ph)
		return target_fail(t, "no memory");
	ok = !read_at(t->fd, eh.e_phoff, ph, n * sizeof(*ph)) ||
	     target_fail(t, "the core is cut short: its program headers are missing");
	ok = ok && headers(t, ph, n, (uint64_t)st.st_size);
	free(ph);
	return ok;
}
