/* SPDX-License-Identifier: MIT */
/* Holding SIGPIPE back; see sigpipe.h.
 *
 * The happy path is two system calls, for blocking the signal and unblocking it. A call that found the other end gone, at
 * once or behind a part that it took, has made it pending for this thread, unless the system drops signals that are
 * ignored: then it is taken by sigwait, which does not wait. A program that blocks it itself may have one pending: that one stays. */
#define _GNU_SOURCE
#include "sigpipe.h"

#include <errno.h>
#include <stddef.h>

static bool is_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void only_sigpipe(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

void rondo_sigpipe_hold(struct rondo_sigpipe *held)
{
    sigset_t set;
    only_sigpipe(&set);
    pthread_sigmask(SIG_BLOCK, &set, &held->mask);
    held->is_blocked = sigismember(&held->mask, SIGPIPE) == 1;
    held->is_pending = held->is_blocked && is_pending();
}

void rondo_sigpipe_release(const struct rondo_sigpipe *held, bool is_short)
{
    int saved = errno;
    if (is_short && !held->is_pending && is_pending()) {
        sigset_t set;
        int number;
        only_sigpipe(&set);
        sigwait(&set, &number);
    }
    if (!held->is_blocked)
        pthread_sigmask(SIG_SETMASK, &held->mask, NULL);
    errno = saved;
}
