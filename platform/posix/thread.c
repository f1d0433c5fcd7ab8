/* SPDX-License-Identifier: MIT */
/* Threads by POSIX threads.
 *
 * Conditions wait on the monotonic clock where the system lets them. The number of the process is kept and renewed in
 * a forked child, so that asking costs no system call. Failures: no memory, too many threads. */
#define _GNU_SOURCE
#include "../thread.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../socket.h"

#if defined(__APPLE__)
#define CONDITION_CLOCK CLOCK_REALTIME /* there is no pthread_condattr_setclock */
#else
#define CONDITION_CLOCK CLOCK_MONOTONIC
#endif

int rondo_mutex_init(rondo_mutex *mutex)
{
    return rondo_error_from_system(pthread_mutex_init(mutex, NULL));
}

void rondo_mutex_destroy(rondo_mutex *mutex)
{
    pthread_mutex_destroy(mutex);
}

void rondo_mutex_lock(rondo_mutex *mutex)
{
    pthread_mutex_lock(mutex);
}

void rondo_mutex_unlock(rondo_mutex *mutex)
{
    pthread_mutex_unlock(mutex);
}

int rondo_condition_init(rondo_condition *condition)
{
    pthread_condattr_t attributes;
    int rc = pthread_condattr_init(&attributes);
    if (rc)
        return rondo_error_from_system(rc);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&attributes, CONDITION_CLOCK);
#endif
    rc = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return rondo_error_from_system(rc);
}

void rondo_condition_destroy(rondo_condition *condition)
{
    pthread_cond_destroy(condition);
}

void rondo_condition_signal(rondo_condition *condition)
{
    pthread_cond_signal(condition);
}

void rondo_condition_broadcast(rondo_condition *condition)
{
    pthread_cond_broadcast(condition);
}

void rondo_condition_wait(rondo_condition *condition, rondo_mutex *mutex)
{
    pthread_cond_wait(condition, mutex);
}

bool rondo_condition_wait_for(rondo_condition *condition, rondo_mutex *mutex, rondo_ns timeout)
{
    struct timespec until;
    clock_gettime(CONDITION_CLOCK, &until);
    rondo_ns nanoseconds = until.tv_nsec + timeout % RONDO_S(1);
    until.tv_sec += (time_t) (timeout / RONDO_S(1) + nanoseconds / RONDO_S(1));
    until.tv_nsec = (long) (nanoseconds % RONDO_S(1));
    return pthread_cond_timedwait(condition, mutex, &until) != ETIMEDOUT;
}

struct start {
    void (*entry)(void *context);
    void *context;
};

static void *run_thread(void *argument)
{
    struct start start = *(struct start *) argument;
    free(argument);
    start.entry(start.context);
    return NULL;
}

int rondo_thread_start(rondo_thread *ret_thread, void (*entry)(void *context), void *context)
{
    struct start *start = malloc(sizeof(*start));
    if (!start)
        return RONDO_ENOMEM;
    *start = (struct start){ entry, context };
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals belong to the program's threads */
    int rc = pthread_create(ret_thread, NULL, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        free(start);
    return rondo_error_from_system(rc);
}

void rondo_thread_join(rondo_thread *thread)
{
    pthread_join(*thread, NULL);
}

void rondo_thread_detach(rondo_thread *thread)
{
    pthread_detach(*thread);
}

void rondo_thread_rest(void)
{
    struct timespec span = { .tv_nsec = 20000 };
    nanosleep(&span, NULL);
}

uintptr_t rondo_thread_self(void)
{
    static _Thread_local char mark; /* its address differs between threads that are alive */
    return (uintptr_t) &mark;
}

static atomic_uintptr_t process;
static uintptr_t main_thread;

static void renew_process(void)
{
    atomic_store_explicit(&process, (uintptr_t) getpid(), memory_order_relaxed);
    main_thread = rondo_thread_self(); /* the thread that forked is the child's main thread */
}

/* The thread that loads the library is the one that main() runs on. */
__attribute__((constructor)) static void note_main_thread(void)
{
    renew_process();
    pthread_atfork(NULL, NULL, renew_process);
}

bool rondo_thread_is_main(void)
{
    return rondo_thread_self() == main_thread;
}

uintptr_t rondo_process_self(void)
{
    return atomic_load_explicit(&process, memory_order_relaxed);
}
