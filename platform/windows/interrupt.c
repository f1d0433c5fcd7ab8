/* SPDX-License-Identifier: MIT */
/* Ctrl+C on Windows: a console control handler, which the system calls on a thread of its own.
 *
 * Happy path: watch adds the handler, each Ctrl+C calls notify and counts as handled, unwatch removes it.
 * Failures: RONDO_EBUSY when somebody watches. Windows does not tell whether the program has a handler of
 * its own; the last one added is asked first, so ours wins while it is there and the program's is back
 * afterwards.
 * Invariants: notify is never called once unwatch has returned; both hold the lock. */
#include <stddef.h>

#include <rondo/error.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "../interrupt.h"
#include "../socket.h"

static SRWLOCK rondo_interrupt_lock = SRWLOCK_INIT;
static void (*rondo_interrupt_notify)(void *context);
static void *rondo_interrupt_context;

static BOOL WINAPI rondo_interrupt_handle(DWORD event)
{
    if (event != CTRL_C_EVENT)
        return FALSE;
    AcquireSRWLockExclusive(&rondo_interrupt_lock);
    BOOL handled = rondo_interrupt_notify != NULL;
    if (handled)
        rondo_interrupt_notify(rondo_interrupt_context);
    ReleaseSRWLockExclusive(&rondo_interrupt_lock);
    return handled;
}

/* Install @notify if @from is what is installed now. */
static bool rondo_interrupt_replace(void (*from)(void *context), void (*notify)(void *context), void *context)
{
    AcquireSRWLockExclusive(&rondo_interrupt_lock);
    bool right = rondo_interrupt_notify == from;
    if (right) {
        rondo_interrupt_notify = notify;
        rondo_interrupt_context = context;
    }
    ReleaseSRWLockExclusive(&rondo_interrupt_lock);
    return right;
}

/* The system is called without our lock: it has one of its own, and may hold it while it calls the handler.
 * */
int rondo_interrupt_watch(void (*notify)(void *context), void *context)
{
    if (!rondo_interrupt_replace(NULL, notify, context))
        return RONDO_EBUSY;
    if (SetConsoleCtrlHandler(rondo_interrupt_handle, TRUE))
        return 0;
    int code = rondo_error_from_system((int) GetLastError());
    rondo_interrupt_replace(notify, NULL, NULL);
    return code;
}

void rondo_interrupt_unwatch(void)
{
    if (rondo_interrupt_notify && rondo_interrupt_replace(rondo_interrupt_notify, NULL, NULL))
        SetConsoleCtrlHandler(rondo_interrupt_handle, FALSE);
}
