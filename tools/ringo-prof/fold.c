// SPDX-License-Identifier: MIT
/*
 * What was seen as a tree of names: from the goroutine, by way of its frames, to what it did there. Goroutines of
 * the same name, or else of the same function spawned at the same place, are one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prof.h"
#include "names.h"

static const char *const reasons[] = RINGO_WHY_NAMES;

const char *prof_unit(const struct prof *p)
{
	if (p->mode == PROF_ON_CPU)
		return "samples";
	return p->mode == PROF_CALLS || p->count ? "times" : "us";
}

static uint64_t value_of(const struct prof *p, const struct gtrace_sum *s)
{
	return p->mode == PROF_ON_CPU || p->mode == PROF_CALLS || p->count ? s->count : s->ns / 1000;
}

/* The one of that name below n, made if it is not there. NULL: no memory. */
static struct node *below(struct node *n, const char *name)
{
	struct node *kid = n->kids;

	while (kid && strcmp(kid->name, name))
		kid = kid->next;
	if (kid)
		return kid;
	kid = calloc(1, sizeof(*kid));
	if (!kid)
		return NULL;
	kid->name = strdup(name);
	if (!kid->name) {
		free(kid);
		return NULL;
	}
	kid->next = n->kids;
	n->kids = kid;
	return kid;
}

/* Of a function, without where in it. What is in no file, the kernel's vdso say, has none. */
static void name_function(struct prof *p, uint64_t pc, char *buf, size_t n)
{
	const struct symbol *y = symbols_of(&p->symbols, pc);

	snprintf(buf, n, "%s", strncmp(y->text, "0x", 2) ? y->text : "[unknown]");
	if (y->start)
		buf[strcspn(buf, "+")] = 0;
}

static void clean(char *s)
{
	for (; *s; s++)
		if (*s == ';' || (unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

static void name_goroutine(struct prof *p, const struct gtrace_key *k, char *buf, size_t n)
{
	char fn[200], by[200];

	if (k->name[0]) {
		snprintf(buf, n, "%.*s", GTRACE_NAME, k->name);
	} else if (k->flags & RINGO_G_MAIN) {
		name_function(p, p->tab.s->main_fn, fn, sizeof(fn));
		snprintf(buf, n, "%s (main)", fn);
	} else {
		name_function(p, k->fn, fn, sizeof(fn));
		name_function(p, k->spawn_pc, by, sizeof(by));
		snprintf(buf, n, "%s by %s", fn, by);
	}
}

static void name_root(struct prof *p, const struct gtrace_key *k, char *buf, size_t n)
{
	if (k->who == GTRACE_GOROUTINE)
		name_goroutine(p, k, buf, n);
	else if (k->who == GTRACE_SCHEDULER)
		snprintf(buf, n, "[scheduler]");
	else
		snprintf(buf, n, "[thread %.*s]", GTRACE_NAME, k->name);
	clean(buf);
}

static const char *name_of_call(int32_t nr, char *buf, size_t n)
{
	const char *name = nr >= 0 && (size_t)nr < sizeof(syscall_names) / sizeof(*syscall_names) ?
				   syscall_names[nr] : NULL;

	if (!name)
		snprintf(buf, n, nr < 0 ? "page fault" : "system call %d", nr);
	return name ? name : buf;
}

/* What it did there; "": nothing but run. */
static void name_leaf(const struct gtrace_key *k, char *buf, size_t n)
{
	char call[32];

	buf[0] = 0;
	switch (k->what) {
	case GTRACE_PARKED:
		snprintf(buf, n, "[%s]", (uint32_t)k->nr < RINGO_WHYS && k->nr ? reasons[k->nr] : "parked");
		break;
	case GTRACE_BLOCKED:
		snprintf(buf, n, "[blocked in %s]", name_of_call(k->nr, call, sizeof(call)));
		break;
	case GTRACE_WAITS_P:
		snprintf(buf, n, "[waits for a P]");
		break;
	case GTRACE_WAITS_CPU:
		snprintf(buf, n, "[its thread waits for a CPU]");
		break;
	case GTRACE_SYSCALL:
		snprintf(buf, n, "[%s]", name_of_call(k->nr, call, sizeof(call)));
		break;
	case GTRACE_OPERATION:
		if (k->nr >= 0 && (size_t)k->nr < sizeof(operation_names) / sizeof(*operation_names))
			snprintf(buf, n, "[ring: %s]", operation_names[k->nr]);
		else
			snprintf(buf, n, "[ring: operation %d]", k->nr);
		break;
	case GTRACE_FAULT:
		snprintf(buf, n, "[page fault]");
		break;
	}
}

static bool add(struct prof *p, struct node *root, const struct prof_key *k, uint64_t value)
{
	char name[512];
	struct node *n = root;

	n->value += value;
	for (int i = k->n; i >= -1 && n; i--) {
		if (i == k->n)
			name_root(p, &k->key, name, sizeof(name));
		else if (i >= 0)
			name_function(p, k->pcs[i], name, sizeof(name));
		else
			name_leaf(&k->key, name, sizeof(name));
		clean(name);
		n = name[0] ? below(n, name) : n;
		if (n && name[0])
			n->value += value;
	}
	return n;
}

static struct node *merge(struct node *a, struct node *b)
{
	struct node *first = NULL, **end = &first;

	while (a && b) {
		struct node **from = a->value >= b->value ? &a : &b;

		*end = *from;
		*from = (*from)->next;
		end = &(*end)->next;
	}
	*end = a ? a : b;
	return first;
}

/* The list, the largest first. */
static struct node *sort(struct node *n)
{
	struct node *half = n, *end;

	if (!n || !n->next)
		return n;
	for (end = n->next; end && end->next; end = end->next->next)
		half = half->next;
	end = half->next;
	half->next = NULL;
	return merge(sort(n), sort(end));
}

static void sort_all(struct node *n)
{
	n->kids = sort(n->kids);
	for (struct node *kid = n->kids; kid; kid = kid->next)
		sort_all(kid);
}

struct node *fold(struct prof *p)
{
	struct node *root = calloc(1, sizeof(*root));
	bool ok = root && (root->name = strdup("all"));

	for (int i = 1; ok && i < GTRACE_SUMS; i++) {
		uint64_t value = value_of(p, &p->sums[i]);

		if (value && p->keys[i].key.who)
			ok = add(p, root, &p->keys[i], value);
	}
	if (!ok) {
		fold_free(root);
		return NULL;
	}
	sort_all(root);
	return root;
}

void fold_free(struct node *n)
{
	while (n) {
		struct node *next = n->next;

		fold_free(n->kids);
		free(n->name);
		free(n);
		n = next;
	}
}

/* path: the names so far, of which len characters are in use. */
static void write_lines(FILE *f, const struct node *n, char *path, size_t len, size_t size)
{
	uint64_t rest = n->value;

	len += (size_t)snprintf(path + len, size - len, "%s%s", len ? ";" : "", n->name);
	len = len < size ? len : size - 1;
	for (const struct node *kid = n->kids; kid; kid = kid->next) {
		write_lines(f, kid, path, len, size);
		rest -= kid->value;
		path[len] = 0;
	}
	if (rest)
		fprintf(f, "%s %" PRIu64 "\n", path, rest);
}

bool fold_write(const struct node *root, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "we") : stdout;
	static char names[1 << 16];
	bool ok;

	if (!f)
		return false;
	for (const struct node *n = root->kids; n; n = n->next)
		write_lines(f, n, names, 0, sizeof(names));
	ok = !ferror(f);
	return !(f == stdout ? fflush(f) : fclose(f)) && ok;
}
