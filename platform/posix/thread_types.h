/* SPDX-License-Identifier: MIT */
/* What platform/thread.h needs to know of POSIX threads. */
#ifndef RONDO_PLATFORM_THREAD_TYPES_H
#define RONDO_PLATFORM_THREAD_TYPES_H

#include <pthread.h>

typedef pthread_mutex_t rondo_mutex;
typedef pthread_cond_t rondo_condition;
typedef pthread_t rondo_thread;

#endif
