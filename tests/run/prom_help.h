/* SPDX-License-Identifier: MIT */
/* A strict reader of Prometheus' text format 0.0.4: any deviation ends the test, with the line. */
#ifndef RINGO_TESTS_PROM_HELP_H
#define RINGO_TESTS_PROM_HELP_H

#include <ctype.h>
#include <math.h>

#include "help.h"

enum prom_type { PROM_NONE, PROM_COUNTER, PROM_GAUGE, PROM_HISTOGRAM };

struct prom {
	const char *line; /* under way */
	char family[128], help_of[128];
	enum prom_type type;
	char seen[64][128]; /* families, and */
	unsigned nseen;
	char series[512][256]; /* each sample by name and labels */
	unsigned nseries;
	double last_le, last_bucket, count; /* of a histogram */
	bool has_inf, has_sum;
};

#define PROM(p, e) \
	do { \
		if (!(e)) { \
			fprintf(stderr, "# %s in: %.*s\n", #e, (int)strcspn((p)->line, "\n"), (p)->line); \
			_exit(1); \
		} \
	} while (0)

/* Length of a name of metric (colons allowed) or label. */
static inline size_t prom_name(struct prom *p, const char *s, bool colons)
{
	size_t n = 0;

	PROM(p, isalpha((unsigned char)*s) || *s == '_' || (colons && *s == ':'));
	while (isalnum((unsigned char)s[n]) || s[n] == '_' || (colons && s[n] == ':'))
		n++;
	return n;
}

static inline void prom_copy(struct prom *p, char *to, size_t room, const char *s, size_t n)
{
	PROM(p, n < room);
	memcpy(to, s, n);
	to[n] = 0;
}

/* A histogram that ends has to be whole. */
static inline void prom_end_family(struct prom *p)
{
	if (p->type == PROM_HISTOGRAM)
		PROM(p, p->has_inf && p->has_sum && p->count == p->last_bucket);
}

static inline void prom_help(struct prom *p, const char *s)
{
	size_t n = prom_name(p, s, true);

	prom_end_family(p);
	prom_copy(p, p->help_of, sizeof(p->help_of), s, n);
	PROM(p, s[n] == ' ' && s[n + 1] != '\n' && s[n + 1] != ' ');
	for (s += n; *s != '\n'; s++)
		if (*s == '\\')
			PROM(p, s[1] == '\\' || s[1] == 'n');
}

static inline void prom_type(struct prom *p, const char *s)
{
	size_t n = prom_name(p, s, true);

	prom_copy(p, p->family, sizeof(p->family), s, n);
	PROM(p, !strcmp(p->family, p->help_of)); /* HELP right before TYPE, once each */
	for (unsigned i = 0; i < p->nseen; i++)
		PROM(p, strcmp(p->seen[i], p->family));
	PROM(p, p->nseen < 64);
	strcpy(p->seen[p->nseen++], p->family);
	p->type = !strncmp(s + n, " counter\n", 9) ? PROM_COUNTER : !strncmp(s + n, " gauge\n", 7) ? PROM_GAUGE :
		  !strncmp(s + n, " histogram\n", 11) ? PROM_HISTOGRAM : PROM_NONE;
	PROM(p, p->type != PROM_NONE);
	n = strlen(p->family);
	PROM(p, (p->type == PROM_COUNTER) == (n > 6 && !strcmp(p->family + n - 6, "_total")));
	p->last_le = -INFINITY;
	p->last_bucket = 0;
	p->has_inf = p->has_sum = false;
}

/* {a="b",c="d"}: behind it; le, if there is one. */
static inline const char *prom_labels(struct prom *p, const char *s, double *le)
{
	char *end;

	if (*s++ != '{')
		return s - 1;
	for (;;) {
		size_t n = prom_name(p, s, false);
		bool is_le = n == 2 && !strncmp(s, "le", 2);

		PROM(p, s[n] == '=' && s[n + 1] == '"');
		s += n + 2;
		if (is_le) {
			*le = strtod(s, &end);
			PROM(p, end != s && *end == '"');
		}
		for (; *s != '"'; s++) {
			PROM(p, *s != '\n');
			if (*s == '\\') {
				s++;
				PROM(p, *s == '\\' || *s == '"' || *s == 'n');
			}
		}
		if (*++s == '}')
			return s + 1;
		PROM(p, *s == ',');
		s++;
	}
}

static inline void prom_bucket(struct prom *p, const char *suffix, double le, double value)
{
	if (!strcmp(suffix, "_bucket")) {
		PROM(p, le > p->last_le && value >= p->last_bucket && !p->has_sum);
		p->last_le = le;
		p->last_bucket = value;
		p->has_inf = isinf(le);
	} else if (!strcmp(suffix, "_sum")) {
		PROM(p, p->has_inf);
		p->has_sum = true;
	} else {
		PROM(p, !strcmp(suffix, "_count"));
		p->count = value;
	}
}

static inline void prom_sample(struct prom *p, const char *s)
{
	size_t n = prom_name(p, s, true), of = strlen(p->family);
	char name[128];
	double le = NAN, value;
	const char *after;
	char *end;

	prom_copy(p, name, sizeof(name), s, n);
	PROM(p, p->type != PROM_NONE && !strncmp(name, p->family, of));
	PROM(p, p->type == PROM_HISTOGRAM || !name[of]);
	after = prom_labels(p, s + n, &le);
	PROM(p, *after == ' ');
	value = strtod(after + 1, &end);
	PROM(p, end != after + 1 && *end == '\n' && value >= 0); /* none of ours is negative */
	PROM(p, p->nseries < 512);
	prom_copy(p, p->series[p->nseries], 256, s, (size_t)(after - s));
	for (unsigned i = 0; i < p->nseries; i++)
		PROM(p, strcmp(p->series[i], p->series[p->nseries]));
	p->nseries++;
	if (p->type == PROM_HISTOGRAM)
		prom_bucket(p, name + of, le, value);
}

static inline void prom_check(const char *text)
{
	struct prom *p = calloc(1, sizeof(*p));

	CHECK(p != NULL);
	for (const char *s = text; *s; s = strchr(s, '\n') + 1) {
		p->line = s;
		PROM(p, strchr(s, '\n') && *s != '\n');
		if (!strncmp(s, "# HELP ", 7))
			prom_help(p, s + 7);
		else if (!strncmp(s, "# TYPE ", 7))
			prom_type(p, s + 7);
		else
			prom_sample(p, s);
	}
	prom_end_family(p);
	CHECK(p->nseen > 0);
	free(p);
}

/* The value of the sample that begins the line; -1: there is none. */
static inline double prom_value(const char *text, const char *series)
{
	for (const char *s = text; *s; s = strchr(s, '\n') + 1)
		if (!strncmp(s, series, strlen(series)) && s[strlen(series)] == ' ')
			return strtod(s + strlen(series), NULL);
	return -1;
}

#endif
