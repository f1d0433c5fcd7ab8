/* SPDX-License-Identifier: MIT */
/* Flows and the pool of their stacks.
 *
 * The happy path: a stack from the pool, or a new one; switches back and forth; at the end the stack goes back, so that the
 * next flow finds it mapped and warm. Failures: no memory for a stack or for the pool. Invariants: a loop's flows are resumed by
 * the thread that runs it; the pool holds stacks of the loop's own size only. */
#include "flow.h"

#define DEFAULT_STACK_SIZE ((size_t) 64 * 1024)
#define SMALLEST_STACK_SIZE ((size_t) 16 * 1024)
#define POOLED_STACKS 256u

struct rondo_flow_pool {
    struct rondo_context own; /* the flow of the thread that runs the loop */
    uintptr_t thread;         /* whose it is; 0: nobody's yet */
    size_t stack_size;
    unsigned count;
    struct rondo_stack stacks[POOLED_STACKS];
};

static size_t at_least_smallest(size_t size)
{
    return size < SMALLEST_STACK_SIZE ? SMALLEST_STACK_SIZE : size;
}

size_t rondo_flow_stack_size(rondo_loop *loop, size_t asked)
{
    struct rondo_flow_pool *pool = loop->flows;
    if (!pool) {
        pool = rondo_allocate_zeroed(&loop->allocator, sizeof(*pool));
        if (!pool) {
            rondo_fail(RONDO_ENOMEM, NULL);
            return 0;
        }
        size_t size = loop->options.task_stack_size;
        pool->stack_size = at_least_smallest(size ? size : DEFAULT_STACK_SIZE);
        loop->flows = pool;
    }
    return asked ? at_least_smallest(asked) : pool->stack_size;
}

int rondo_flow_start(rondo_loop *loop, struct rondo_flow *flow, void (*entry)(void *argument), void *argument)
{
    struct rondo_flow_pool *pool = loop->flows;
    int rc = 0;
    if (flow->stack_size == pool->stack_size && pool->count)
        flow->stack = pool->stacks[--pool->count];
    else
        rc = rondo_stack_map(&flow->stack, flow->stack_size);
    if (rc < 0)
        return rondo_fail(rc, "no memory for the stack of a task");
    flow->has_stack = true;
    rc = rondo_context_make(&flow->context, &flow->stack, 0, entry, argument);
    return rc < 0 ? rondo_fail(rc, "no memory for the stack of a task") : 0;
}

/* The context to come back to. */
static struct rondo_context *own_context(rondo_loop *loop)
{
    struct rondo_flow_pool *pool = loop->flows;
    if (pool->thread != loop->thread) { /* the loop has moved to another thread between two runs */
        rondo_context_enter_thread(&pool->own);
        pool->thread = loop->thread;
    }
    return &pool->own;
}

void rondo_flow_resume(rondo_loop *loop, struct rondo_flow *flow, struct rondo_flow *outer)
{
    flow->resumer = outer ? &outer->context : own_context(loop);
    rondo_context_switch(flow->resumer, &flow->context);
}

void rondo_flow_give_way(struct rondo_flow *flow)
{
    rondo_context_switch(&flow->context, flow->resumer);
}

void rondo_flow_hand_on(struct rondo_flow *flow, struct rondo_flow *next)
{
    next->resumer = flow->resumer;
    rondo_context_switch(&flow->context, &next->context);
}

void rondo_flow_exit(struct rondo_flow *flow)
{
    rondo_context_exit(&flow->context, flow->resumer);
}

void rondo_flow_end(rondo_loop *loop, struct rondo_flow *flow)
{
    if (!flow->has_stack)
        return;
    struct rondo_flow_pool *pool = loop->flows;
    rondo_context_destroy(&flow->context);
    flow->has_stack = false;
    if (flow->stack_size == pool->stack_size && pool->count < POOLED_STACKS)
        pool->stacks[pool->count++] = flow->stack;
    else
        rondo_stack_unmap(&flow->stack);
}

void rondo_flows_free(rondo_loop *loop)
{
    struct rondo_flow_pool *pool = loop->flows;
    if (!pool)
        return;
    while (pool->count)
        rondo_stack_unmap(&pool->stacks[--pool->count]);
    if (pool->thread == rondo_thread_self())
        rondo_context_leave_thread(&pool->own);
    rondo_release(&loop->allocator, pool);
    loop->flows = NULL;
}
