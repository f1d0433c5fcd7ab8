/* SPDX-License-Identifier: MIT */
/* Ctrl+C by a handler for SIGINT.
 *
 * Only the default action is replaced: a program that has a handler of its own, or ignores the signal, keeps that.
 * The handler calls the watcher, which may do no more than set atomics and wake a loop. */
#define _GNU_SOURCE
#include "../interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <rondo/error.h>

static void (*watcher)(void *context);
static void *watcher_context;
static struct sigaction before;
static atomic_bool is_watching;

static void on_signal(int number)
{
    (void) number;
    int saved = errno;
    watcher(watcher_context);
    errno = saved;
}

int rondo_interrupt_watch(void (*notify)(void *context), void *context)
{
    if (atomic_exchange(&is_watching, true))
        return RONDO_EBUSY;
    sigaction(SIGINT, NULL, &before);
    if ((before.sa_flags & SA_SIGINFO) || before.sa_handler != SIG_DFL) {
        atomic_store(&is_watching, false);
        return RONDO_EBUSY;
    }
    watcher = notify;
    watcher_context = context;
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    return 0;
}

void rondo_interrupt_unwatch(void)
{
    if (!atomic_load(&is_watching))
        return;
    sigaction(SIGINT, &before, NULL);
    atomic_store(&is_watching, false);
}
