/* SPDX-License-Identifier: MIT */
/* Flows: control that runs on stacks of its own, from a pool of stacks for each loop. Knows nothing of tasks. */
#ifndef RONDO_CORE_FLOW_H
#define RONDO_CORE_FLOW_H

#include "../../platform/context.h"
#include "loop.h"

struct rondo_flow {
    struct rondo_context context;
    struct rondo_context *resumer; /* where giving way leads */
    struct rondo_stack stack;
    size_t stack_size;
    bool has_stack; /* between start and end */
};

/* What a stack size that was asked for (0: the loop's) comes to. NULL-safe: 0 with RONDO_ENOMEM when the loop's pool
 * could not be made, which must have succeeded before a flow is started. */
size_t rondo_flow_stack_size(rondo_loop *loop, size_t asked);

/* Give the flow a stack and prepare it to run @entry(@argument), which ends with rondo_flow_exit. Returns 0 or RONDO_ENOMEM. */
int rondo_flow_start(rondo_loop *loop, struct rondo_flow *flow, void (*entry)(void *argument),
                     void *argument);
/* Go on in @flow until it gives way or exits. @outer is the flow that runs now; NULL: the thread's own. */
void rondo_flow_resume(rondo_loop *loop, struct rondo_flow *flow, struct rondo_flow *outer);
void rondo_flow_give_way(struct rondo_flow *flow);
/* Give way to @next, whose own giving way then leads where that of @flow would have led. */
void rondo_flow_hand_on(struct rondo_flow *flow, struct rondo_flow *next);
void rondo_flow_exit(struct rondo_flow *flow);
/* Take the stack back, after the exit or from a flow that will never go on. Does nothing without one. */
void rondo_flow_end(rondo_loop *loop, struct rondo_flow *flow);

void rondo_flows_free(rondo_loop *loop);

#endif
