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

struct image {
	const char *base;
	size_t size;
};

static bool inside(const struct image *im, uint64_t off, uint64_t len)
{
	return off <= im->size && len <= im->size - off;
}

/* Best function symbol that covers addr in one symbol table section. */
static const char *search(const struct image *im, const Elf64_Shdr *sh, const Elf64_Shdr *str,
			  uint64_t addr)
{
	const Elf64_Sym *sym = (const Elf64_Sym *)(im->base + sh->sh_offset);

	if (!inside(im, sh->sh_offset, sh->sh_size) || !inside(im, str->sh_offset, str->sh_size) ||
	    !str->sh_size || im->base[str->sh_offset + str->sh_size - 1])
		return NULL;
	for (size_t i = 0; i < sh->sh_size / sizeof(*sym); i++)
		if (ELF64_ST_TYPE(sym[i].st_info) == STT_FUNC && addr >= sym[i].st_value &&
		    addr - sym[i].st_value < sym[i].st_size && sym[i].st_name < str->sh_size)
			return im->base + str->sh_offset + sym[i].st_name;
	return NULL;
}

static const char *lookup(const struct image *im, uintptr_t offset)
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
		name = search(im, &sh[i], &sh[sh[i].sh_link], addr);
		if (name)
			return name;
	}
	return NULL;
}

static bool from_file(const char *path, uintptr_t offset, char *buf, size_t n)
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
	name = lookup(&im, offset);
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

void rg_symbol(const void *addr, char *buf, size_t n)
{
	uintptr_t off;
	Dl_info info;

	if (!dladdr(addr, &info) || !info.dli_fname) {
		snprintf(buf, n, "%p", addr);
		return;
	}
	if (info.dli_sname) {
		snprintf(buf, n, "%s", info.dli_sname);
		return;
	}
	off = (uintptr_t)addr - (uintptr_t)info.dli_fbase;
	/* A position-dependent program has symbols at absolute addresses. */
	if (!from_file(file_of(&info), off, buf, n) &&
	    !from_file(file_of(&info), (uintptr_t)addr, buf, n))
		snprintf(buf, n, "%s+0x%zx", info.dli_fname, (size_t)off);
}
