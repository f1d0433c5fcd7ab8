/* SPDX-License-Identifier: MIT */
/* Contract: threads, mutexes, conditions. The types come from the platform's own thread_types.h,
 * and are initialized in place. Locking and waking cannot fail. */
#ifndef RONDO_PLATFORM_THREAD_H
#define RONDO_PLATFORM_THREAD_H

#include <rondo/types.h>

#include "thread_types.h" /* rondo_mutex, rondo_condition, rondo_thread */

/* Returns 0 or RONDO_ENOMEM and the like. */
int rondo_mutex_init(rondo_mutex *mutex);
void rondo_mutex_destroy(rondo_mutex *mutex);
void rondo_mutex_lock(rondo_mutex *mutex);
void rondo_mutex_unlock(rondo_mutex *mutex);

int rondo_condition_init(rondo_condition *condition);
void rondo_condition_destroy(rondo_condition *condition);
void rondo_condition_signal(rondo_condition *condition);
void rondo_condition_broadcast(rondo_condition *condition);
/* May return without a signal. The timed form returns false once @timeout has passed. */
void rondo_condition_wait(rondo_condition *condition, rondo_mutex *mutex);
bool rondo_condition_wait_for(rondo_condition *condition, rondo_mutex *mutex, rondo_ns timeout);

/* Start @entry(@context) with all signals blocked. Join or detach it exactly once. */
int rondo_thread_start(rondo_thread *ret_thread, void (*entry)(void *context), void *context);
void rondo_thread_join(rondo_thread *thread);
void rondo_thread_detach(rondo_thread *thread);

/* Let other threads run for some microseconds, of whatever priority they are: for a wait that hardly ever comes about. */
void rondo_thread_rest(void);

/* A number that names the calling thread among those alive; never 0. Cheap. */
uintptr_t rondo_thread_self(void);
/* Whether the caller is the thread that main() runs on. */
bool rondo_thread_is_main(void);
/* A number that names the process: differs in a forked child. */
uintptr_t rondo_process_self(void);

#endif
