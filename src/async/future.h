/* SPDX-License-Identifier: MIT */
/* The inside of futures, for those who build on them. */
#ifndef RONDO_ASYNC_FUTURE_H
#define RONDO_ASYNC_FUTURE_H

#include <rondo/future.h>

#include "../core/loop.h"

enum rondo_future_state { RONDO_FUTURE_PENDING, RONDO_FUTURE_FINISHED, RONDO_FUTURE_CANCELLED };

/* What differs between kinds of futures. */
struct rondo_future_type {
    bool (*cancel)(rondo_future *future);  /* of a pending one; true if the request was taken */
    void (*dispose)(rondo_future *future); /* release the kind's own things and the memory */
    bool is_task;
    bool stays_unseen; /* cancelling it when it is done does not count as having seen its error: gather */
    /* A task that waits for it goes on in the very step that completes it: for futures that stand for a
     * plain call of a coroutine, which does not give way by itself. */
    bool resumes_directly;
};

struct rondo_future {
    rondo_loop *loop;
    const struct rondo_future_type *type;
    struct rondo_ready_list waiters; /* struct rondo_waiter, in the order they came */
    void *value;
    rondo_destructor *destroy; /* of the value, if the future owns it */
    char *message;             /* of the error; NULL: the code's text */
    int code;                  /* FINISHED: the result's number or the error */
    uint32_t references;
    uint32_t stamp; /* scratch of gather: which gather has seen it */
    uint8_t state;  /* enum rondo_future_state */
    bool unseen;    /* holds an error that nobody has looked at */
    bool is_lent;   /* the value stays the future's: whoever takes it only borrows it */
};

/* Somebody who is to be queued when a future is done. Embedded in its owner; in the future's list until the
 * future is done or the waiter is removed, then in the ready queue. From the moment it is queued it holds a
 * reference to the future, which its run function gives back by rondo_waiter_release. */
struct rondo_waiter {
    struct rondo_ready ready;
    rondo_future *future;
};

/* A future that holds itself until others are done (gather, shield). Where they never will be, it and they hold each
 * other: let_go ends that when the loop is freed. */
struct rondo_holder {
    struct rondo_link link; /* in loop->gathers; removed at dispose */
    void (*let_go)(struct rondo_holder *self);
};

/* The memory of a future of type @type in the first bytes of a block of @size; NULL with an error. */
rondo_future *rondo_future_make(rondo_loop *loop, const struct rondo_future_type *type, size_t size);
void rondo_future_init(rondo_future *future, rondo_loop *loop, const struct rondo_future_type *type);
/* What every dispose ends with: the memory goes back to the allocator. */
void rondo_future_dispose(rondo_future *future);
/* The same without the memory. */
void rondo_future_clear(rondo_future *future);
/* The cancel of a plain future: at once. */
bool rondo_future_cancel_now(rondo_future *future);

/* Complete, unless it is done: the number, the value and who owns it. Takes ownership of the value in any case. */
void rondo_future_finish(rondo_future *future, int code, void *value, rondo_destructor *destroy);
/* Complete with an error, unless done. @code may be RONDO_ECANCELLED: an error, not a cancellation. */
void rondo_future_fail(rondo_future *future, int code, const char *message);
/* Complete @to as the done @from was: the value moves, the error counts as seen. */
void rondo_future_follow(rondo_future *to, rondo_future *from);

/* Wait for @future with @waiter, whose run is set: queued when it is done, at once if it is. */
void rondo_waiter_add(struct rondo_waiter *waiter, rondo_future *future);
/* Take @waiter out of a pending future's list; false if it is not there (queued already). */
bool rondo_waiter_remove(struct rondo_waiter *waiter);
/* At the end of a waiter's run. */
static inline void rondo_waiter_release(struct rondo_waiter *waiter)
{
    rondo_future_unref(waiter->future);
}

/* coroutine.c: the run of the waiter of a coroutine in rondo_await. */
void rondo_coroutine_wake(struct rondo_ready *node, struct rondo_core *core);

static inline bool rondo_future_is_done(const rondo_future *future)
{
    return future->state != RONDO_FUTURE_PENDING;
}

#endif
