/* SPDX-License-Identifier: MIT */
/* Calls that would raise SIGPIPE are made between these two: the signal is held back in this thread meanwhile, and taken
 * away if it came. The process's disposition and what was pending before stay as they are. */
#ifndef RONDO_PLATFORM_POSIX_SIGPIPE_H
#define RONDO_PLATFORM_POSIX_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct rondo_sigpipe {
    sigset_t mask; /* as it was */
    bool is_blocked;
    bool is_pending;
};

void rondo_sigpipe_hold(struct rondo_sigpipe *held);
/* @is_short: the call came to an error, or to less than all: systems raise the signal, too, where a part went out before
 * the end was found. errno stays. */
void rondo_sigpipe_release(const struct rondo_sigpipe *held, bool is_short);

#endif
