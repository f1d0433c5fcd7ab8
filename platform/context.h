/* SPDX-License-Identifier: MIT */
/* Contract: stacks and switching between them. Knows nothing of tasks.
 *
 * A context is a flow of control that is not running. rondo_context_switch stores the caller's in
 * @from and goes on in @to, where it had been left. Registers that a function must preserve are
 * preserved; the signal mask is not touched. A context runs on the thread that made it only.
 * AddressSanitizer, ThreadSanitizer and valgrind are told of stacks and switches where the build
 * has them on. */
#ifndef RONDO_PLATFORM_CONTEXT_H
#define RONDO_PLATFORM_CONTEXT_H

#include <stddef.h>

#include "context_types.h" /* struct rondo_context, struct rondo_stack (has at least: void *top, low; size_t size) */

/* Map a stack of at least @size usable bytes (rounded up to pages) with a guard page below it: running
 * over its end is a fault, never a corruption. Returns 0 or RONDO_ENOMEM. */
int rondo_stack_map(struct rondo_stack *ret_stack, size_t size);
void rondo_stack_unmap(struct rondo_stack *stack);

/* Turn the thread's own flow into a context that can be switched away from (fibers, sanitizers);
 * once for each loop and run; leave undoes it. */
int rondo_context_enter_thread(struct rondo_context *ret_context);
void rondo_context_leave_thread(struct rondo_context *context);

/* Prepare @context to call @entry(@argument) on @stack at the first switch to it; the stack's uppermost
 * @reserved bytes (at most 4096) are left to the caller. *@stack and *@context stay in place until destroy.
 * @entry must not return: it ends with rondo_context_exit. Returns 0 or RONDO_ENOMEM. */
int rondo_context_make(struct rondo_context *context, struct rondo_stack *stack, size_t reserved,
                       void (*entry)(void *argument), void *argument);

void rondo_context_switch(struct rondo_context *from, struct rondo_context *to);

/* The last switch away from @from, which is never resumed. Does not return. */
void rondo_context_exit(struct rondo_context *from, struct rondo_context *to);

/* Release what make took, for a context that has exited or will never be resumed. The stack can be
 * made into another context afterwards. */
void rondo_context_destroy(struct rondo_context *context);

#endif
