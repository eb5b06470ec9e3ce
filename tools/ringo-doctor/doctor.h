/* SPDX-License-Identifier: MIT */
#ifndef RINGO_DOCTOR_H
#define RINGO_DOCTOR_H

#include <stdbool.h>

enum verdict {
	FINE,
	COULD_BE_BETTER, /* it works, and there is more to be had */
	AMISS,           /* programs do not run, or do not do what they should */
};

/* One line, and below it what to do, if that is said. */
void finding(enum verdict v, const char *what, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

bool anything_amiss(void);

/* This machine, for whoever runs the tool. */
void examine_here(void);

/* What is in force in a process. False: it cannot be looked at, and that has been said. */
bool examine_process(const char *pid);

/* A number in a file; -1: none. */
long number_in(const char *path);

#endif
