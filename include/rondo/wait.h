/* SPDX-License-Identifier: MIT */
/** Waiting for time and for several futures: sleep, gather, wait, wait_for, shield, timeout. */
#ifndef RONDO_WAIT_H
#define RONDO_WAIT_H

#include <rondo/future.h>
#include <rondo/handle.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** Done after @delay (asyncio.sleep). A delay of zero or less costs exactly one pass. Cancelling it
 *  removes its timer. NULL with RONDO_ECLOSED or RONDO_ENOMEM. */
RONDO_API rondo_future *rondo_sleep(rondo_loop *loop, rondo_ns delay);

/** One member's outcome in a gather. */
typedef struct rondo_outcome {
    int code;    /**< as rondo_future_result returns it */
    void *value; /**< borrowed from the member */
} rondo_outcome;

/** A future that is done when all of @futures are (asyncio.gather). Takes references of its own: those of
 *  the caller stay the caller's. @ret_outcomes (may be NULL) is an array of @count that must stay
 *  valid until the gather is done; it is filled in the order of @futures.
 *  Without @return_errors the first failure ends it with that error, the others go on and their
 *  errors count as seen; with it, errors and cancellations are outcomes. A repeated member counts once
 *  and is answered twice. Cancelling it cancels all members and ends it when they have ended. With no member it is
 *  done at once. NULL with RONDO_EINVAL (a NULL member), RONDO_EOTHERLOOP, RONDO_ENOMEM. */
RONDO_API rondo_future *rondo_gather(rondo_loop *loop, rondo_future *const *futures, size_t count,
                                     bool return_errors, rondo_outcome *ret_outcomes);

typedef enum rondo_wait_until {
    RONDO_WAIT_ALL,          /**< ALL_COMPLETED */
    RONDO_WAIT_FIRST,        /**< FIRST_COMPLETED */
    RONDO_WAIT_FIRST_FAILURE /**< FIRST_EXCEPTION; a cancellation is no failure */
} rondo_wait_until;

/** A future that is done when the members are as @until says or @timeout has passed (asyncio.wait;
 *  RONDO_FOREVER: no timeout). Its result is how many members are done; rondo_future_done tells which.
 *  A timeout is no error, and neither it nor a cancellation touches the members.
 *  Takes references of its own. NULL with RONDO_EINVAL (no member, bad condition), RONDO_EOTHERLOOP. */
RONDO_API rondo_future *rondo_wait(rondo_loop *loop, rondo_future *const *futures, size_t count,
                                   rondo_ns timeout, rondo_wait_until until);

/** @future with a time limit (asyncio.wait_for). Consumes the caller's reference. Too late: cancels
 *  it, waits until it has really ended and is then done with RONDO_ETIMEDOUT, unless it refused and has a
 *  result or another error: then with that. RONDO_FOREVER: no limit; zero or less: a done future's
 *  outcome or RONDO_ETIMEDOUT. Cancelling it cancels @future and waits for it. The value is handed on. */
RONDO_API rondo_future *rondo_wait_for(rondo_future *future, rondo_ns timeout);

/** A future that follows @future, and whose cancellation does not reach it (asyncio.shield).
 *  Consumes the caller's reference. A done future is returned as it is. */
RONDO_API rondo_future *rondo_shield(rondo_future *future);

/** A time limit for a stretch of a task (asyncio.timeout). Lives on the task's stack:
 *      rondo_timeout limit;
 *      int rc = rondo_timeout_enter(&limit, RONDO_S(5));
 *      if (rc == 0)
 *          rc = rondo_timeout_leave(&limit, several_awaits());
 *  When the time is up the task is cancelled, and leave turns that RONDO_ECANCELLED into RONDO_ETIMEDOUT. */
typedef struct rondo_timeout {
    rondo_task *task;    /**< private */
    rondo_handle timer;  /**< private */
    unsigned cancelling; /**< private */
    bool expired;        /**< private */
} rondo_timeout;

RONDO_API int rondo_timeout_enter(rondo_timeout *timeout, rondo_ns delay);
RONDO_API int rondo_timeout_leave(rondo_timeout *timeout, int code);

RONDO_END_DECLS

#endif
