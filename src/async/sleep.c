/* SPDX-License-Identifier: MIT */
/* rondo_sleep: a future completed by a timer, or by the next pass.
 *
 * The timer does not hold a reference: cancelling the future, or dropping the last reference, removes it. The node of a
 * zero sleep does hold one, until it has run. */
#include "sleep.h"

#include <rondo/wait.h>

struct sleep_future {
    rondo_future future;
    union {
        rondo_handle timer;
        struct rondo_ready node;
    };
};

static struct sleep_future *sleep_of(rondo_future *future)
{
    return rondo_container(future, struct sleep_future, future);
}

static bool timer_cancel(rondo_future *future)
{
    rondo_handle_cancel(&sleep_of(future)->timer);
    return rondo_future_cancel_now(future);
}

static void timer_dispose(rondo_future *future)
{
    rondo_handle_cancel(&sleep_of(future)->timer);
    rondo_future_dispose(future);
}

static const struct rondo_future_type timer_type = { .cancel = timer_cancel, .dispose = timer_dispose };
static const struct rondo_future_type yield_type = { .cancel = rondo_future_cancel_now,
                                                     .dispose = rondo_future_dispose };

bool rondo_future_is_bare_yield(const rondo_future *future)
{
    return future->type == &yield_type;
}

static void on_timer(void *context)
{
    rondo_future_finish(context, 0, NULL, NULL);
}

static void run_yield(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    rondo_future *future = &rondo_container(node, struct sleep_future, node)->future;
    rondo_future_finish(future, 0, NULL, NULL);
    rondo_future_unref(future);
}

rondo_future *rondo_sleep(rondo_loop *loop, rondo_ns delay)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    rondo_future *future =
        rondo_future_make(loop, delay > 0 ? &timer_type : &yield_type, sizeof(struct sleep_future));
    if (!future)
        return NULL;
    struct sleep_future *self = sleep_of(future);
    if (delay <= 0) {
        self->node.run = run_yield;
        rondo_loop_queue_in_turn(loop, &self->node);
        return rondo_future_ref(future);
    }
    if (rondo_loop_timer(loop, rondo_loop_deadline(loop, delay), &self->timer, on_timer, future) < 0) {
        rondo_future_unref(future);
        return NULL;
    }
    return future;
}
