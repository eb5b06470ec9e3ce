/* SPDX-License-Identifier: MIT */
/* Exceptions thrown and caught in C++; each returns the line of what was not as it should be, or 0. */
#ifndef RINGO_TESTS_SAFETY_THROW_H
#define RINGO_TESTS_SAFETY_THROW_H

#ifdef __cplusplus
extern "C" {
#endif

int throw_and_catch(unsigned id);
int throw_while_unwinding(unsigned id);

#ifdef __cplusplus
}
#endif

#endif
