/* SPDX-License-Identifier: MIT */
/* Coroutines: functions on stacks of their own. Tasks are coroutines that the program made; the library runs its own
 * straight-line code (create_connection, wait_for ...) in coroutines that are not tasks. */
#ifndef RONDO_ASYNC_COROUTINE_H
#define RONDO_ASYNC_COROUTINE_H

#include <rondo/task.h>

#include "../core/flow.h"
#include "future.h"

enum rondo_coroutine_state {
    RONDO_COROUTINE_QUEUED,  /* its node is in the ready queue */
    RONDO_COROUTINE_RUNNING, /* on its stack now, or further down the chain of resumers */
    RONDO_COROUTINE_WAITING, /* its node is in the list of a future */
    RONDO_COROUTINE_ENDED    /* the function has returned, was never entered, or was destroyed */
};

struct rondo_coroutine_frame {
    rondo_future future; /* first: a task is a future */
    struct rondo_waiter wake;
    rondo_future *awaited; /* what rondo_await waits for; the frame's reference */
    rondo_coroutine *function;
    void *context;
    rondo_destructor *destroy; /* of the context; may be NULL */
    struct rondo_flow flow;
    struct rondo_link link; /* in loop->tasks while not ended */
    const char *name;
    void *value; /* of rondo_task_set_value */
    rondo_destructor *value_destroy;
    int code;            /* what the function returned */
    unsigned cancelling; /* requests less those taken back */
    uint8_t state;       /* enum rondo_coroutine_state */
    bool must_cancel;    /* a request that no wait has taken up yet */
    bool is_cancelling;  /* a request is on its way down from here: tasks may wait in a circle */
    bool throwing;       /* the wait that goes on now ends with RONDO_ECANCELLED */
    bool is_destroyed;   /* the loop was closed over it */
    bool in_batch;       /* the batch runs this step, and nothing waits for its end */
};

/* The coroutine that runs on this thread; NULL outside. */
static inline struct rondo_coroutine_frame *rondo_coroutine_current(void)
{
    return rondo_thread_state.coroutine;
}

/* Run @function as library code. Inside a task, or another coroutine, it starts at once and runs to its first
 * wait inside this call, as awaiting a coroutine does in Python; elsewhere its first step is queued. The future stands
 * for its outcome, its cancellation reaches the coroutine. @destroy (may be NULL) is called once with @context when the
 * coroutine has ended. NULL with an error: the context is still the caller's. */
rondo_future *rondo_coroutine_spawn(rondo_loop *loop, rondo_coroutine *function, void *context,
                                    rondo_destructor *destroy);

/* A task, its first step queued. One reference, besides the one it holds itself until it ends. */
rondo_task *rondo_coroutine_task(rondo_loop *loop, const rondo_task_options *options,
                                 rondo_coroutine *function, void *context);

/* rondo_task_set_value for a coroutine of the library; @is_lent: the value stays the future's, @destroy ends the loan. */
void rondo_coroutine_hand_over(void *value, rondo_destructor *destroy, bool is_lent);

/* Give way until the node is run again; the state says where the node is. Returns 0 or RONDO_ECANCELLED. */
int rondo_coroutine_give_way(struct rondo_coroutine_frame *self, enum rondo_coroutine_state state);

#endif
