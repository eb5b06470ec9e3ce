// SPDX-License-Identifier: MIT
/*
 * Names for code addresses in reports of dying programs.
 *
 * dladdr(3) knows exported functions only, and the entry function of a goroutine is usually static.
 * So the .symtab of the file on disk is searched: with open, mmap and no allocation, because the
 * caller may be a signal handler that interrupted malloc. Anything odd in the file ends the search.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/os.h"

enum { RG_SYMBOLS = 4096 };

struct image {
	const char *base;
	size_t size;
};

static bool inside(const struct image *im, uint64_t off, uint64_t len)
{
	return off <= im->size && len <= im->size - off;
}

/* Best function symbol that covers addr in one symbol table section, and how far in addr lies. */
static const char *search(const struct image *im, const Elf64_Shdr *sh, const Elf64_Shdr *str,
			  uint64_t addr, size_t *into)
{
	const Elf64_Sym *sym = (const Elf64_Sym *)(im->base + sh->sh_offset);

	if (!inside(im, sh->sh_offset, sh->sh_size) || !inside(im, str->sh_offset, str->sh_size) ||
	    !str->sh_size || im->base[str->sh_offset + str->sh_size - 1])
		return NULL;
	for (size_t i = 0; i < sh->sh_size / sizeof(*sym); i++)
		if (ELF64_ST_TYPE(sym[i].st_info) == STT_FUNC && addr >= sym[i].st_value &&
		    addr - sym[i].st_value < sym[i].st_size && sym[i].st_name < str->sh_size) {
			*into = addr - sym[i].st_value;
			return im->base + str->sh_offset + sym[i].st_name;
		}
	return NULL;
}

static const char *lookup(const struct image *im, uintptr_t offset, size_t *into)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)im->base;
	const Elf64_Shdr *sh;
	uint64_t addr = offset;

	if (im->size < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_shentsize != sizeof(*sh) ||
	    eh->e_shoff % 8 || !inside(im, eh->e_shoff, (uint64_t)eh->e_shnum * sizeof(*sh)))
		return NULL;
	sh = (const Elf64_Shdr *)(im->base + eh->e_shoff);
	for (unsigned i = 0; i < eh->e_shnum; i++) {
		const char *name;

		if (sh[i].sh_type != SHT_SYMTAB || sh[i].sh_link >= eh->e_shnum)
			continue;
		name = search(im, &sh[i], &sh[sh[i].sh_link], addr, into);
		if (name)
			return name;
	}
	return NULL;
}

static bool from_file(const char *path, uintptr_t offset, char *buf, size_t n, size_t *into)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *name = NULL;
	struct image im;
	struct stat st;
	void *p;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) || st.st_size <= 0) {
		close(fd);
		return false;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return false;
	im = (struct image){ .base = p, .size = (size_t)st.st_size };
	name = lookup(&im, offset, into);
	if (name)
		snprintf(buf, n, "%s", name);
	munmap(p, im.size);
	return name != NULL;
}

/* The main program's name from the loader may be relative to a directory that was left since. */
static const char *file_of(const Dl_info *info)
{
	return strchr(info->dli_fname, '/') && access(info->dli_fname, R_OK) == 0 ?
	       info->dli_fname : "/proc/self/exe";
}

bool rg_symbol_find(const void *addr, char *buf, size_t n, size_t *into)
{
	uintptr_t off;
	Dl_info info;

	if (!dladdr(addr, &info) || !info.dli_fname) {
		snprintf(buf, n, "%p", addr);
		return false;
	}
	if (info.dli_sname) {
		snprintf(buf, n, "%s", info.dli_sname);
		*into = (size_t)((const char *)addr - (const char *)info.dli_saddr);
		return true;
	}
	off = (uintptr_t)addr - (uintptr_t)info.dli_fbase;
	/* A position-dependent program has symbols at absolute addresses. */
	if (from_file(file_of(&info), off, buf, n, into) ||
	    from_file(file_of(&info), (uintptr_t)addr, buf, n, into))
		return true;
	snprintf(buf, n, "%s+0x%zx", info.dli_fname, (size_t)off);
	return false;
}

void rg_symbol(const void *addr, char *buf, size_t n)
{
	size_t into;

	rg_symbol_find(addr, buf, n, &into);
}

struct known {
	const void *addr;
	char name[240];
};

struct rg_symbols {
	struct known known[RG_SYMBOLS];
};

struct rg_symbols *rg_symbols_new(void)
{
	void *p = mmap(NULL, sizeof(struct rg_symbols), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void rg_symbols_free(struct rg_symbols *s)
{
	munmap(s, sizeof(*s));
}

const char *rg_symbols_name(struct rg_symbols *s, const void *addr)
{
	struct known *k = &s->known[((uintptr_t)addr * UINT64_C(0x9E3779B97F4A7C15) >> 32) % RG_SYMBOLS];
	size_t into, len;

	if (k->addr == addr)
		return k->name;
	k->addr = addr;
	if (!rg_symbol_find(addr, k->name, sizeof(k->name) - 24, &into) || !into)
		return k->name;
	len = strlen(k->name);
	snprintf(k->name + len, sizeof(k->name) - len, "+0x%zx", into);
	return k->name;
}
