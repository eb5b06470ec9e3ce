// SPDX-License-Identifier: MIT
/* Probes for tracers: that each is told in the file as tracers expect it, and that it fires. */
#include <elf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "help.h"

enum { PROBES = 11, PLACES = 16 };

static struct probe {
	const char *name;
	int args; /* how many */
	uint64_t least; /* hits of the workload */
} probes[PROBES] = {
	{ "g__spawn", 3, 20 }, { "g__run", 1, 20 }, { "g__park", 3, 20 }, { "g__ready", 2, 20 },
	{ "g__exit", 1, 20 }, { "m__block", 2, 1 }, { "m__revoke", 2, 1 }, { "op__submit", 3, 10 },
	{ "op__complete", 2, 10 }, { "chan__send", 2, 20 }, { "chan__recv", 2, 20 },
};

/* Where it is in the file, once or more often, and what was counted there. */
static struct places {
	int n;
	uint64_t at[PLACES];
	int fd[PLACES];
	uint64_t hits;
} places[PROBES];

static const char *file;

static const Elf64_Shdr *section(const char *name)
{
	const Elf64_Ehdr *eh = (const void *)file;
	const Elf64_Shdr *sh = (const void *)(file + eh->e_shoff);

	for (int i = 0; i < eh->e_shnum; i++)
		if (!strcmp(file + sh[eh->e_shstrndx].sh_offset + sh[i].sh_name, name))
			return &sh[i];
	return NULL;
}

/* Where in the file what is loaded at that address lies. */
static uint64_t offset_of(uint64_t addr)
{
	const Elf64_Ehdr *eh = (const void *)file;
	const Elf64_Phdr *ph = (const void *)(file + eh->e_phoff);

	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && addr - ph[i].p_vaddr < ph[i].p_filesz)
			return addr - ph[i].p_vaddr + ph[i].p_offset;
	return 0;
}

static int count_args(const char *s)
{
	int n = 0;

	for (; *s; s += strcspn(s, " "), s += strspn(s, " ")) {
		if (strncmp(s, "-8@", 3))
			return -1;
		n++;
	}
	return n;
}

/* One note; false: it is not as it should be. */
static bool take(const char *desc, uint64_t base)
{
	static const unsigned char nop[] = { 0x0f, 0x1f, 0x44, 0, 0 };
	const char *provider = desc + 24, *name = provider + strlen(provider) + 1;
	uint64_t words[3], at;

	memcpy(words, desc, sizeof(words));
	at = offset_of(words[0]);
	if (strcmp(provider, "ringo"))
		return true; /* another library's */
	if (words[1] != base || words[2] || !at || memcmp(file + at, nop, sizeof(nop)))
		return false;
	for (int i = 0; i < PROBES; i++)
		if (!strcmp(name, probes[i].name)) {
			if (places[i].n == PLACES || count_args(name + strlen(name) + 1) != probes[i].args)
				return false;
			places[i].at[places[i].n++] = at;
			return true;
		}
	return false;
}

static bool read_notes(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const Elf64_Shdr *notes, *base;
	struct stat st;

	fstat(fd, &st);
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	notes = section(".note.stapsdt");
	base = section(".stapsdt.base");
	if (!notes || !base)
		return false;
	for (uint64_t i = 0; i < notes->sh_size;) {
		const Elf64_Nhdr *h = (const void *)(file + notes->sh_offset + i);

		if (h->n_type != 3 || h->n_namesz != 8 || memcmp(h + 1, "stapsdt", 8) ||
		    !take((const char *)(h + 1) + 8, base->sh_addr))
			return false;
		i += sizeof(*h) + 8 + (h->n_descsz + 3u) / 4 * 4;
	}
	return true;
}

TEST(are_told_in_the_file)
{
	ASSERT_TRUE(read_notes());
	for (int i = 0; i < PROBES; i++)
		if (!places[i].n) {
			fprintf(stderr, "# no %s\n", probes[i].name);
			EXPECT_TRUE(false);
		}
}

static int uprobe_type(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -1;

	if (f && fscanf(f, "%d", &type) != 1)
		type = -1;
	if (f)
		fclose(f);
	return type;
}

/* In this process, and the threads that it will make. */
static int attach(int type, uint64_t at)
{
	struct perf_event_attr attr = { .type = (uint32_t)type, .size = sizeof(attr), .inherit = 1,
					.config1 = (uintptr_t)"/proc/self/exe", .config2 = at };

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void echo(void *arg)
{
	struct ringo_chan **c = arg;
	int v;

	if (ringo_chan_recv(c[0], &v) == 1)
		CHECK_EQ(0, ringo_chan_send(c[1], &v));
}

static void blocks(void *arg)
{
	nap_ms(50);
}

static int workload(void *arg)
{
	struct ringo_chan *c[2] = { ringo_chan_new(sizeof(int), 0), ringo_chan_new(sizeof(int), 0) };
	int p[2];

	for (int i = 0; i < 20; i++)
		CHECK_EQ(0, ringo_go_fn(echo, c));
	for (int i = 0; i < 20; i++) {
		int v = i;

		CHECK_EQ(0, ringo_chan_send(c[0], &v));
		CHECK_EQ(1, ringo_chan_recv(c[1], &v));
	}
	CHECK_EQ(0, ringo_pipe(p));
	for (int i = 0; i < 5; i++) {
		char ch = 'x';

		CHECK_EQ(1, ringo_write(p[1], &ch, 1));
		CHECK_EQ(1, ringo_read(p[0], &ch, 1));
	}
	for (int i = 0; i < 20; i++) { /* others wait meanwhile */
		CHECK_EQ(0, ringo_go_fn(blocks, NULL));
		CHECK_EQ(0, ringo_sleep(20 * RINGO_MS));
	}
	while (ringo_num_goroutines() > 1)
		CHECK_EQ(0, ringo_sleep(RINGO_MS));
	return 0;
}

static bool attach_all(int type)
{
	for (int i = 0; i < PROBES; i++)
		for (int k = 0; k < places[i].n; k++) {
			places[i].fd[k] = attach(type, places[i].at[k]);
			if (places[i].fd[k] < 0)
				return false;
		}
	return true;
}

static void read_all(void)
{
	for (int i = 0; i < PROBES; i++)
		for (int k = 0; k < places[i].n; k++) {
			uint64_t hits = 0;

			if (read(places[i].fd[k], &hits, sizeof(hits)) == sizeof(hits))
				places[i].hits += hits;
			close(places[i].fd[k]);
		}
}

TEST(fire)
{
	struct ringo_options o = RINGO_OPTIONS(.procs = 1, .preempt = RINGO_PREEMPT_SYSMON);

	if (getenv("RINGO_PROCS") && strcmp(getenv("RINGO_PROCS"), "2"))
		return; /* it sets its own, and the kernel takes a third of a second to remove each: once is enough */
	if (RUNNING_ON_VALGRIND)
		SKIP(return, "valgrind runs a copy of the code");
	ASSERT_TRUE(read_notes());
	if (!attach_all(uprobe_type()))
		SKIP(return, "no uprobes: they take root, or CAP_PERFMON and CAP_SYS_ADMIN");
	unsetenv("RINGO_PROCS");
	unsetenv("RINGO_PREEMPT");
	EXPECT_EQ(0, ringo_run_opt(workload, NULL, &o));
	read_all();
	for (int i = 0; i < PROBES; i++)
		if (places[i].hits < probes[i].least) {
			fprintf(stderr, "# %s: %llu\n", probes[i].name, (unsigned long long)places[i].hits);
			EXPECT_TRUE(false);
		}
	EXPECT_EQ(places[7].hits, places[8].hits); /* what was submitted has completed */
}

TEST_HARNESS_MAIN
