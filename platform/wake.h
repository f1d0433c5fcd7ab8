/* SPDX-License-Identifier: MIT */
/* Contract: a descriptor that a poll can watch and any thread, or a signal handler, can make
 * readable. A full channel is not an error: it is readable already. */
#ifndef RONDO_PLATFORM_WAKE_H
#define RONDO_PLATFORM_WAKE_H

#include <rondo/types.h>

struct rondo_wake {
    rondo_socket reader; /* to be watched for reading */
    rondo_socket writer; /* may be the same */
};

int rondo_wake_open(struct rondo_wake *ret_wake);
void rondo_wake_close(struct rondo_wake *wake);
/* Async-signal-safe on Unix; keeps errno. */
void rondo_wake_signal(const struct rondo_wake *wake);
/* Empty the channel completely. */
void rondo_wake_drain(const struct rondo_wake *wake);

#endif
