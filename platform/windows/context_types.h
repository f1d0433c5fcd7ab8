/* SPDX-License-Identifier: MIT */
/* What platform/context.h needs to know of stacks and contexts on Windows, where both are fibers. The
 * system owns the stack of a fiber, so a struct rondo_stack has a block of its own for the bytes that
 * callers reserve, and remembers the fiber that goes with it. */
#ifndef RONDO_PLATFORM_CONTEXT_TYPES_H
#define RONDO_PLATFORM_CONTEXT_TYPES_H

#include <stdbool.h>
#include <stddef.h>

struct rondo_fiber;

struct rondo_stack {
    void *top; /* one past the bytes that a caller can reserve: 4096 from low on */
    void *low;
    size_t size;               /* what a flow on it can use, at least */
    struct rondo_fiber *fiber; /* made at the first context; stays for the next ones */
};

struct rondo_context {
    void *handle; /* the system's fiber */
    void (*entry)(void *argument);
    void *argument;
    struct rondo_stack *stack; /* NULL for a thread's own flow */
    bool begun;
    bool exited;
    bool converted; /* a thread's own: we made it a fiber */
};

#endif
