/* SPDX-License-Identifier: MIT */
/* What all public headers share. */
#ifndef RINGO_BASE_H
#define RINGO_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define RINGO__C_BEGIN extern "C" {
#define RINGO__C_END }
#else
#define RINGO__C_BEGIN
#define RINGO__C_END
#endif

#define RINGO__API __attribute__((visibility("default")))
#define RINGO__MUST __attribute__((warn_unused_result))

#define RINGO__CAT_(a, b) a##b
#define RINGO__CAT(a, b) RINGO__CAT_(a, b)

#endif
