// SPDX-License-Identifier: MIT
/*
 * libdw gets to see the files that the target has mapped, as they lie on disk, and words of stacks: never the
 * headers of a core, which may be made to do harm.
 */
#include "tools/observe/symbols.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *debuginfo_path;

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
	.debuginfo_path = &debuginfo_path,
};

/* A regular file that is ELF: anything may be mapped, and anything be named in a core. */
static int open_elf(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char magic[4];

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && pread(fd, magic, 4, 0) == 4 && !memcmp(magic, "\177ELF", 4))
		return fd;
	close(fd);
	return -1;
}

/* A program that was deleted or replaced is still to be had while it runs. */
static int open_deleted(const struct target *t, const char *path)
{
	char link[64], exe[4200];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", t->pid);
	n = readlink(link, exe, sizeof(exe) - 1);
	if (n < 0)
		return -1;
	exe[n] = 0;
	return strcmp(exe, path) ? -1 : open_elf(link);
}

static int open_mapped(const struct target *t, const char *path)
{
	char full[4300];

	if (path[0] != '/' || !strncmp(path, "/memfd:", 7) || !strncmp(path, "/dev/", 5))
		return -1;
	if (target_is_core(t))
		return open_elf(path);
	if (strstr(path, " (deleted)"))
		return open_deleted(t, path);
	snprintf(full, sizeof(full), "/proc/%d/root%s", t->pid, path);
	return open_elf(full);
}

/* Its first mapping: the one that has its header. */
static bool is_first(const struct target *t, size_t i)
{
	if (t->maps[i].offset)
		return false;
	return !i || strcmp(t->maps[i - 1].path, t->maps[i].path);
}

static void report(struct symbols *s, const struct target_map *m)
{
	int fd = open_mapped(s->t, m->path);

	if (fd < 0)
		return;
	if (!dwfl_report_elf(s->dwfl, m->path, m->path, fd, m->start, true))
		close(fd);
}

bool symbols_open(struct symbols *s, struct target *t)
{
	*s = (struct symbols){ .t = t, .dwfl = dwfl_begin(&callbacks) };
	if (!s->dwfl)
		return target_fail(t, "libdw: %s", dwfl_errmsg(-1));
	dwfl_report_begin(s->dwfl);
	for (size_t i = 0; i < t->nmaps; i++)
		if (is_first(t, i))
			report(s, &t->maps[i]);
	dwfl_report_end(s->dwfl, NULL, NULL);
	return true;
}

void symbols_close(struct symbols *s)
{
	for (size_t i = 0; i < s->room; i++) {
		free(s->known[i].text);
		free(s->known[i].line);
	}
	free(s->known);
	dwfl_end(s->dwfl);
	*s = (struct symbols){ 0 };
}

static struct symbol *place(struct symbols *s, uint64_t pc)
{
	size_t i = (size_t)(pc * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (s->room - 1);

	while (s->known[i].text && s->known[i].pc != pc)
		i = (i + 1) & (s->room - 1);
	return &s->known[i];
}

static bool grow(struct symbols *s)
{
	struct symbol *old = s->known;
	size_t n = s->room;

	if (s->n * 2 < n)
		return true;
	s->known = calloc(n ? n * 2 : 1024, sizeof(*old));
	if (!s->known) {
		s->known = old;
		return false;
	}
	s->room = n ? n * 2 : 1024;
	for (size_t i = 0; i < n; i++)
		if (old[i].text)
			*place(s, old[i].pc) = old[i];
	free(old);
	return true;
}

static void name(struct symbol *y, Dwfl_Module *mod)
{
	GElf_Off into = 0;
	const char *path = NULL, *fn, *slash;
	Dwarf_Addr base = 0;
	GElf_Sym sym;

	fn = mod ? dwfl_module_addrinfo(mod, y->pc, &into, &sym, NULL, NULL, NULL) : NULL;
	if (fn) {
		y->start = y->pc - into;
		if (asprintf(&y->text, into ? "%s+%#" PRIx64 : "%s", fn, (uint64_t)into) < 0)
			y->text = NULL;
		return;
	}
	if (mod)
		path = dwfl_module_info(mod, NULL, &base, NULL, NULL, NULL, NULL, NULL);
	slash = path ? strrchr(path, '/') : NULL;
	path = slash ? slash + 1 : path;
	if (asprintf(&y->text, path ? "%s+%#" PRIx64 : "%.0s%#" PRIx64, path ? path : "", y->pc - base) < 0)
		y->text = NULL;
}

static void line(struct symbol *y, Dwfl_Module *mod)
{
	Dwfl_Line *at = mod ? dwfl_module_getsrc(mod, y->pc) : NULL;
	const char *file = NULL, *slash;
	int n = 0;

	if (at)
		file = dwfl_lineinfo(at, NULL, &n, NULL, NULL, NULL);
	slash = file ? strrchr(file, '/') : NULL;
	if (!file || asprintf(&y->line, "%s:%d", slash ? slash + 1 : file, n) < 0)
		y->line = strdup("");
}

const struct symbol *symbols_of(struct symbols *s, uint64_t pc)
{
	static const struct symbol none = { .text = (char *)"?", .line = (char *)"" };
	struct symbol *y;
	Dwfl_Module *mod;

	if (!grow(s))
		return &none;
	y = place(s, pc);
	if (y->text)
		return y;
	y->pc = pc;
	mod = dwfl_addrmodule(s->dwfl, pc);
	name(y, mod);
	line(y, mod);
	if (!y->text || !y->line) {
		free(y->text);
		free(y->line);
		*y = (struct symbol){ 0 };
		return &none;
	}
	s->n++;
	return y;
}
