/* SPDX-License-Identifier: MIT */
/* Contexts on Unix: platform/context.h over a switch that is picked for the processor.
 *
 * Happy path: enter_thread for the loop's own flow; make lays a first frame out on a stack; switch saves
 * the registers of the caller on its own stack and loads those of the other; exit is a switch that keeps
 * nothing.
 * Failures: only make can fail, and only where the switch is ucontext's or a sanitizer is out of memory.
 * Invariants: a context's stack_pointer is valid exactly while it does not run and has not exited; a switch
 * makes no system call where it is hand-written. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include <rondo/error.h>

#include "../context.h"
#include "context_jump.h"
#include "context_sanitize.h"

int rondo_context_enter_thread(struct rondo_context *ret_context)
{
    memset(ret_context, 0, sizeof *ret_context);
    rondo_sanitize_thread(ret_context);
    return 0;
}

void rondo_context_leave_thread(struct rondo_context *context)
{
    memset(context, 0, sizeof *context);
}

/* The first function on a new stack. */
static void rondo_context_begin(void *argument)
{
    struct rondo_context *self = argument;
    rondo_sanitize_arrive(self);
    self->entry(self->argument);
    assert(0 && "the entry of a context returned");
    __builtin_unreachable();
}

int rondo_context_make(struct rondo_context *context, struct rondo_stack *stack, size_t reserved,
                       void (*entry)(void *argument), void *argument)
{
    assert(reserved < stack->size);
    memset(context, 0, sizeof *context);
    context->entry = entry;
    context->argument = argument;
    context->stack = stack;
    context->stack_low = stack->low;
    context->stack_size = stack->size;
    context->reserved = reserved;
    rondo_sanitize_made(context);
    char *top = (char *) stack->top - reserved;
    top -= (uintptr_t) top % 16;
    context->stack_pointer = rondo_context_prepare(stack->low, top, rondo_context_begin, context);
    if (context->stack_pointer)
        return 0;
    rondo_sanitize_destroyed(context);
    return RONDO_ENOMEM;
}

void rondo_context_switch(struct rondo_context *from, struct rondo_context *to)
{
    assert(!to->exited && to->stack_pointer);
    rondo_sanitize_leave(from, to, false);
    rondo_context_jump(&from->stack_pointer, to->stack_pointer);
    rondo_sanitize_arrive(from);
}

void rondo_context_exit(struct rondo_context *from, struct rondo_context *to)
{
    assert(!to->exited && to->stack_pointer);
    from->exited = true;
    rondo_sanitize_leave(from, to, true);
    rondo_context_jump(&from->stack_pointer, to->stack_pointer);
    __builtin_unreachable();
}

void rondo_context_destroy(struct rondo_context *context)
{
    rondo_sanitize_destroyed(context);
    memset(context, 0, sizeof *context);
}
