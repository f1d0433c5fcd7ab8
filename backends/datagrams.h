/* SPDX-License-Identifier: MIT */
/* What receiving datagrams comes to, once a socket was found readable: the same for every driver of Unix. */
#ifndef RONDO_BACKENDS_DATAGRAMS_H
#define RONDO_BACKENDS_DATAGRAMS_H

#include "driver.h"

/* Memory for batches that nobody holds. */
struct rondo_datagram_pool {
    const rondo_allocator *allocator;
    struct rondo_datagram_batch *spare; /* may be NULL */
};

/* What the op waits for behind a run. */
enum rondo_datagram_outcome {
    RONDO_DATAGRAMS_WAIT,   /* that the socket is readable again */
    RONDO_DATAGRAMS_GO_ON,  /* the next pass, to be run again: something was received and not told */
    RONDO_DATAGRAMS_PAUSED, /* as GO_ON, once it is resumed */
    RONDO_DATAGRAMS_OVER    /* its last completion, which op->result names */
};

/* Receive, and tell what has come. @core says how long nobody can tell. The op was not cancelled nor paused; when it is in
 * there, that shows in its state. */
enum rondo_datagram_outcome rondo_datagrams_run(struct rondo_datagram_pool *pool, struct rondo_op *op,
                                                struct rondo_core *core);

/* Whether something was received and not told. */
bool rondo_datagrams_are_held(const struct rondo_op *op);
/* Let go of what @op holds, before its last completion; repeatable. */
void rondo_datagrams_drop(struct rondo_datagram_pool *pool, struct rondo_op *op);

void rondo_datagram_pool_free(struct rondo_datagram_pool *pool);

#endif
