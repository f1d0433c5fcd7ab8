/* SPDX-License-Identifier: MIT */
/* What platform/thread.h needs to know of threads on Windows: the native locks, each one word, kept
 * here without <windows.h> so that its macros do not reach the files that lock. */
#ifndef RONDO_PLATFORM_THREAD_TYPES_H
#define RONDO_PLATFORM_THREAD_TYPES_H

typedef struct rondo_mutex {
    void *word; /* SRWLOCK */
} rondo_mutex;

typedef struct rondo_condition {
    void *word; /* CONDITION_VARIABLE */
} rondo_condition;

typedef struct rondo_thread {
    void *handle;
} rondo_thread;

#endif
