// SPDX-License-Identifier: MIT
/* The terminal: drawing, keys, and leaving it as it was found. */
#include <curses.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "top.h"
#include "tools/observe/watchdog.h"

enum { STEP_MS = 500 };

static bool begun;

void top_screen_end(void)
{
	if (begun)
		endwin();
	begun = false;
}

static void draw(struct top *top, size_t first)
{
	char line[512];

	erase();
	for (int y = 0; y < LINES; y++) {
		top_line(top, (size_t)y, first, line, (size_t)(COLS < 511 ? COLS : 511));
		if (y == TOP_HEAD - 1)
			attron(A_REVERSE);
		mvaddstr(y, 0, line);
		if (y == TOP_HEAD - 1)
			attroff(A_REVERSE);
	}
	refresh();
}

static size_t scrolled(const struct top *top, size_t first, int key)
{
	const size_t page = LINES > TOP_HEAD ? (size_t)(LINES - TOP_HEAD) : 1;
	const size_t last = top->nrows > page ? top->nrows - page : 0;

	switch (key) {
	case KEY_DOWN:
		first++;
		break;
	case KEY_UP:
		first -= first > 0;
		break;
	case KEY_NPAGE:
		first += page;
		break;
	case KEY_PPAGE:
		first -= first < page ? first : page;
		break;
	case KEY_HOME:
		first = 0;
		break;
	default:
		break;
	}
	return first < last ? first : last;
}

/* True: what is shown has to be gathered anew. */
static bool command(struct top *top, int key)
{
	switch (key) {
	case 'u':
		top->sort = TOP_BY_CPU;
		return true;
	case 'c':
		top->sort = TOP_BY_COUNT;
		return true;
	case 'w':
		top->sort = TOP_BY_WAIT;
		return true;
	case 'f':
		top->sort = TOP_BY_FUNCTION;
		return true;
	case 'r':
		top->reverse = !top->reverse;
		return true;
	case 'g':
		top->each = !top->each;
		return true;
	case ' ':
		return true;
	default:
		return false;
	}
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Keys until it is time to look again; false: the user has had enough. */
static bool keys(struct top *top, int64_t delay_ms, size_t *first)
{
	int64_t until = now_ms() + delay_ms, left;

	while ((left = until - now_ms()) > 0) {
		int key;

		watchdog_alive();
		timeout((int)(left < STEP_MS ? left : STEP_MS));
		key = getch();
		if (key == 'q' || key == 'Q')
			return false;
		if (key != ERR && command(top, key))
			return true;
		*first = scrolled(top, *first, key);
		if (key != ERR)
			draw(top, *first);
	}
	return true;
}

int top_screen(struct top *top, int64_t delay_ms)
{
	size_t first = 0;
	bool ok = true;

	if (!newterm(NULL, stdout, stdin)) {
		fprintf(stderr, "ringo-top: the terminal is not known (TERM): try --batch\n");
		return 1;
	}
	begun = true;
	cbreak();
	noecho();
	keypad(stdscr, true);
	curs_set(0);
	do {
		ok = top_look(top);
		if (ok)
			draw(top, first);
	} while (ok && keys(top, delay_ms, &first));
	top_screen_end();
	return ok ? 0 : 1;
}
