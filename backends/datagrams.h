/* SPDX-License-Identifier: MIT */
/* What receiving datagrams comes to, once a socket was found readable: the same for every driver of Unix. */
#ifndef RONDO_BACKENDS_DATAGRAMS_H
#define RONDO_BACKENDS_DATAGRAMS_H

#include "../platform/datagram.h"
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

/* --- for a driver that receives in another way ------------------------------------------------------ */

/* How far a run has come. */
struct rondo_datagram_run {
    struct rondo_core *core;
    rondo_ns begun; /* 0: it has told one at most */
    size_t told;
    bool is_owing; /* a batch was told whose end was not */
};

/* Tell one. @has_more: another is known to be there. The op may be cancelled or paused by it. */
void rondo_datagram_tell(struct rondo_datagram_run *run, struct rondo_datagram_receive *receive,
                         const struct rondo_datagram *datagram, bool has_more);
/* Whether another one may follow in this run. */
bool rondo_datagram_may_follow(struct rondo_datagram_run *run, const struct rondo_op *op);
/* What was told so far is all for now. */
void rondo_datagram_end_batch(struct rondo_datagram_run *run, struct rondo_datagram_receive *receive);
/* An error of the socket, in place of a datagram: told, but for one that is the op's end (OVER). */
enum rondo_datagram_outcome rondo_datagram_tell_error(struct rondo_op *op, int code);

#endif
