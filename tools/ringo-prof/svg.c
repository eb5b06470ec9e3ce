// SPDX-License-Identifier: MIT
/*
 * A flame graph: a box for each name, as wide as its share, above the one that it was called by. The file needs
 * nothing else: a viewer shows the title of a box under the pointer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "prof.h"

enum { WIDTH = 1200, ROW = 17, TOP = 34, EDGE = 10 };

static const double CHARACTER = 6.7, THINNEST = 0.2;

struct svg {
	FILE *f;
	const char *unit;
	double scale;    /* pixels for one */
	uint64_t all;
	int height;
};

static void put_text(FILE *f, const char *s, size_t n)
{
	for (; *s && n; s++, n--) {
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default: /* names may be in any encoding, the file is in one */
			fputc((unsigned char)*s < ' ' || (unsigned char)*s > '~' ? '?' : *s, f);
		}
	}
}

static int depth_of(const struct svg *s, const struct node *n)
{
	int most = 0;

	for (const struct node *kid = n->kids; kid; kid = kid->next) {
		int depth = (double)kid->value * s->scale < THINNEST ? 0 : depth_of(s, kid);

		most = depth > most ? depth : most;
	}
	return most + 1;
}

/* The same for the same name; what is no code is blue. */
static void put_colour(FILE *f, const char *name)
{
	uint32_t h = 2166136261u;

	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	if (*name == '[')
		fprintf(f, "rgb(%u,%u,%u)", 120 + h % 40, 160 + (h >> 8) % 40, 220 + (h >> 16) % 30);
	else
		fprintf(f, "rgb(%u,%u,%u)", 215 + h % 40, 120 + (h >> 8) % 100, 50 + (h >> 16) % 40);
}

static void put_box(struct svg *s, const struct node *n, double x, int row)
{
	double width = (double)n->value * s->scale;
	int y = s->height - EDGE - (row + 1) * ROW;
	size_t room = width > 2 * CHARACTER ? (size_t)((width - 4) / CHARACTER) : 0;

	fputs("<g><title>", s->f);
	put_text(s->f, n->name, SIZE_MAX);
	fprintf(s->f, ": %" PRIu64 " %s, %.2f %%</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"",
		n->value, s->unit, 100.0 * (double)n->value / (double)s->all, x, y, width, ROW - 1);
	put_colour(s->f, n->name);
	fputs("\"/>", s->f);
	if (room >= 2) {
		bool cut = strlen(n->name) > room;

		fprintf(s->f, "<text x=\"%.1f\" y=\"%d\">", x + 3, y + ROW - 5);
		put_text(s->f, n->name, cut ? room - 2 : room);
		fputs(cut ? "..</text>" : "</text>", s->f);
	}
	fputs("</g>\n", s->f);
}

static void put_boxes(struct svg *s, const struct node *n, double x, int row)
{
	if ((double)n->value * s->scale < THINNEST)
		return;
	put_box(s, n, x, row);
	for (const struct node *kid = n->kids; kid; kid = kid->next) {
		put_boxes(s, kid, x, row + 1);
		x += (double)kid->value * s->scale;
	}
}

bool svg_write(const struct node *root, const char *path, const char *title, const char *unit)
{
	struct svg s = { .f = fopen(path, "we"), .unit = unit, .all = root->value ? root->value : 1 };
	bool ok;

	if (!s.f)
		return false;
	s.scale = (double)(WIDTH - 2 * EDGE) / (double)s.all;
	s.height = TOP + depth_of(&s, root) * ROW + EDGE;
	fprintf(s.f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n"
		"<style>text{font:11px monospace;fill:#000;pointer-events:none}g:hover rect{stroke:#000}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fcfcf4\"/>\n<text x=\"%d\" y=\"20\">", WIDTH, s.height,
		WIDTH, s.height, EDGE);
	put_text(s.f, title, SIZE_MAX);
	fputs("</text>\n", s.f);
	put_boxes(&s, root, EDGE, 0);
	fputs("</svg>\n", s.f);
	ok = !ferror(s.f);
	return !fclose(s.f) && ok;
}
