/* SPDX-License-Identifier: MIT */
/* C++'s part of held.c: locks of the standard library, held while f() waits. */
#ifndef RINGO_TESTS_HELD_CXX_H
#define RINGO_TESTS_HELD_CXX_H

#ifdef __cplusplus
extern "C" {
#endif

void cxx_mutex_around(void (*f)(void));
void cxx_shared_mutex_around(void (*f)(void));

#ifdef __cplusplus
}
#endif

#endif
