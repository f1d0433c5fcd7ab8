/* SPDX-License-Identifier: MIT */
/* From a member to the structure that embeds it; and hints to compiler and cache. */
#ifndef RONDO_BASE_CONTAINER_H
#define RONDO_BASE_CONTAINER_H

#include <stddef.h>

/* clang-format off */
#define rondo_container(pointer, type, member) \
    ((type *) (void *) ((char *) (pointer) - offsetof(type, member)))
/* clang-format on */

/* Fetch what lies at @pointer into the cache ahead of its use; may be anything. */
#if defined(__GNUC__)
#define rondo_prefetch(pointer) __builtin_prefetch(pointer)
#else
#define rondo_prefetch(pointer) ((void) (pointer))
#endif

/* A function that is seldom called: it stays out of its callers, which are the shorter for it. */
#if defined(__GNUC__)
#define rondo_cold __attribute__((cold, noinline))
#define rondo_inlined __attribute__((always_inline)) static inline
#else
#define rondo_cold
#define rondo_inlined static inline
#endif

#endif
