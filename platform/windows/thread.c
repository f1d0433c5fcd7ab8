/* SPDX-License-Identifier: MIT */
/* Threads, mutexes and conditions on Windows: SRWLOCK and CONDITION_VARIABLE, which need no cleaning up and
 * no help from a thread library.
 *
 * Failures: only starting a thread can fail.
 * Invariants: a handle is closed exactly once, by join or detach. */
#include <errno.h>
#include <process.h>
#include <stdlib.h>

#include <rondo/error.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "../clock.h"
#include "../thread.h"

_Static_assert(sizeof(SRWLOCK) == sizeof(rondo_mutex), "a lock is one word");
_Static_assert(sizeof(CONDITION_VARIABLE) == sizeof(rondo_condition), "a condition is one word");

static SRWLOCK *rondo_lock_of(rondo_mutex *mutex)
{
    return (SRWLOCK *) (void *) &mutex->word;
}

static CONDITION_VARIABLE *rondo_variable_of(rondo_condition *condition)
{
    return (CONDITION_VARIABLE *) (void *) &condition->word;
}

int rondo_mutex_init(rondo_mutex *mutex)
{
    InitializeSRWLock(rondo_lock_of(mutex));
    return 0;
}

void rondo_mutex_destroy(rondo_mutex *mutex)
{
    (void) mutex;
}

void rondo_mutex_lock(rondo_mutex *mutex)
{
    AcquireSRWLockExclusive(rondo_lock_of(mutex));
}

void rondo_mutex_unlock(rondo_mutex *mutex)
{
    ReleaseSRWLockExclusive(rondo_lock_of(mutex));
}

int rondo_condition_init(rondo_condition *condition)
{
    InitializeConditionVariable(rondo_variable_of(condition));
    return 0;
}

void rondo_condition_destroy(rondo_condition *condition)
{
    (void) condition;
}

void rondo_condition_signal(rondo_condition *condition)
{
    WakeConditionVariable(rondo_variable_of(condition));
}

void rondo_condition_broadcast(rondo_condition *condition)
{
    WakeAllConditionVariable(rondo_variable_of(condition));
}

void rondo_condition_wait(rondo_condition *condition, rondo_mutex *mutex)
{
    SleepConditionVariableSRW(rondo_variable_of(condition), rondo_lock_of(mutex), INFINITE, 0);
}

bool rondo_condition_wait_for(rondo_condition *condition, rondo_mutex *mutex, rondo_ns timeout)
{
    /* In milliseconds, rounded up, at most a day: a longer wait returns without a signal, as it may. */
    const rondo_ns longest = RONDO_S(86400);
    rondo_ns began = rondo_clock_now();
    rondo_ns span = timeout < 0 ? 0 : timeout > longest ? longest : timeout;
    DWORD wait = (DWORD) ((span + RONDO_MS(1) - 1) / RONDO_MS(1));
    if (SleepConditionVariableSRW(rondo_variable_of(condition), rondo_lock_of(mutex), wait, 0))
        return true;
    return rondo_clock_now() - began < timeout;
}

/* --- threads ------------------------------------------------------------------------------------- */

struct rondo_thread_start {
    void (*entry)(void *context);
    void *context;
};

static unsigned __stdcall rondo_thread_main(void *parameter)
{
    struct rondo_thread_start start = *(struct rondo_thread_start *) parameter;
    free(parameter);
    start.entry(start.context);
    return 0;
}

int rondo_thread_start(rondo_thread *ret_thread, void (*entry)(void *context), void *context)
{
    struct rondo_thread_start *start = malloc(sizeof *start);
    if (!start)
        return RONDO_ENOMEM;
    *start = (struct rondo_thread_start){ .entry = entry, .context = context };
    /* Not CreateThread: the C library sets up what it keeps for each thread. */
    uintptr_t handle = _beginthreadex(NULL, 0, rondo_thread_main, start, 0, NULL);
    if (handle) {
        ret_thread->handle = (void *) handle;
        return 0;
    }
    int code = errno == EAGAIN ? RONDO_EAGAIN : RONDO_ENOMEM;
    free(start);
    return code;
}

void rondo_thread_join(rondo_thread *thread)
{
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
    thread->handle = NULL;
}

void rondo_thread_detach(rondo_thread *thread)
{
    CloseHandle(thread->handle);
    thread->handle = NULL;
}

void rondo_thread_rest(void)
{
    Sleep(1);
}

uintptr_t rondo_thread_self(void)
{
    return GetCurrentThreadId();
}

/* Windows does not name the first thread of a process, but it is the one that runs the constructors of the
 * program (and of a library that the program is linked to). */
static DWORD rondo_main_thread;

__attribute__((constructor)) static void rondo_remember_main_thread(void)
{
    rondo_main_thread = GetCurrentThreadId();
}

bool rondo_thread_is_main(void)
{
    return GetCurrentThreadId() == rondo_main_thread;
}

uintptr_t rondo_process_self(void)
{
    return GetCurrentProcessId();
}
