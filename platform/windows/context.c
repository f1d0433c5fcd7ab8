/* SPDX-License-Identifier: MIT */
/* Contexts on Windows: platform/context.h over fibers, which keep the thread's stack limits, its chain of
 * exception handlers and its debugger informed.
 *
 * Happy path: enter_thread makes the thread a fiber; make creates a fiber for the stack, or takes the one
 * that an earlier context has left there; exit leaves the fiber inside its last switch, and when it is
 * switched to as a new context it goes back to its first frame and starts over. Creating a fiber costs
 * several system calls, so tasks that come and go do not.
 * Failures: CreateFiberEx and ConvertThreadToFiberEx run out of memory.
 * Invariants: a fiber that is kept has either not begun or stands in rondo_context_exit; one whose context
 * was abandoned anywhere else is deleted. fiber->context is the context that it is at present. */
#include <assert.h>
#include <fenv.h>
#include <stdint.h>
#include <stdlib.h>

#include <rondo/error.h>

/* gcc takes the segment's offset in GetCurrentFiber for an array without elements. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#pragma GCC diagnostic pop

#include "../context.h"
#include "fiber.h"

/* The modes of the floating-point unit belong to the flow. Fibers promise to keep them, but wine does not,
 * and keeping them twice costs next to nothing. */
struct rondo_modes {
#if defined(__x86_64__)
    uint32_t mxcsr;
    uint16_t x87_control;
#else
    fenv_t environment;
#endif
};

static inline void rondo_modes_save(struct rondo_modes *ret_modes)
{
#if defined(__x86_64__)
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(ret_modes->mxcsr), "=m"(ret_modes->x87_control));
#else
    fegetenv(&ret_modes->environment);
#endif
}

static inline void rondo_modes_load(const struct rondo_modes *modes)
{
#if defined(__x86_64__)
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(modes->mxcsr), "m"(modes->x87_control));
#else
    fesetenv(&modes->environment);
#endif
}

struct rondo_fiber {
    void *handle;
    struct rondo_context *context;
    struct rondo_modes modes; /* those of the context's maker, with which it begins */
    void *base[5];            /* __builtin_setjmp's, in the fiber's first frame */
};

/* Windows keeps a few pages at the low end for handling an overflow, and its own functions are used to having
 * room: this much on top of what was asked for. */
enum { RONDO_FIBER_EXTRA = 32768, RONDO_FIBER_COMMIT = 8192 };

void rondo_fiber_free(struct rondo_fiber *fiber)
{
    if (fiber)
        DeleteFiber(fiber->handle);
    free(fiber);
}

/* The longjmp that is built in restores the stack and goes on, without a walk through the frames in
 * between, which nobody needs any more. */
static void CALLBACK rondo_fiber_main(void *parameter)
{
    struct rondo_fiber *volatile fiber = parameter;
    (void) __builtin_setjmp(fiber->base);
    struct rondo_context *self = fiber->context;
    rondo_modes_load(&fiber->modes);
    self->begun = true;
    self->entry(self->argument);
    assert(0 && "the entry of a context returned");
    __builtin_unreachable();
}

static struct rondo_fiber *rondo_fiber_new(size_t size)
{
    struct rondo_fiber *fiber = calloc(1, sizeof *fiber);
    if (!fiber)
        return NULL;
    fiber->handle = CreateFiberEx(RONDO_FIBER_COMMIT, size + RONDO_FIBER_EXTRA, FIBER_FLAG_FLOAT_SWITCH,
                                  rondo_fiber_main, fiber);
    if (fiber->handle)
        return fiber;
    free(fiber);
    return NULL;
}

int rondo_context_enter_thread(struct rondo_context *ret_context)
{
    if (IsThreadAFiber()) { /* the program's own doing: leave it so */
        *ret_context = (struct rondo_context){ .handle = GetCurrentFiber() };
        return 0;
    }
    void *handle = ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH);
    if (!handle)
        return RONDO_ENOMEM;
    *ret_context = (struct rondo_context){ .handle = handle, .converted = true };
    return 0;
}

void rondo_context_leave_thread(struct rondo_context *context)
{
    if (context->converted)
        ConvertFiberToThread();
    *context = (struct rondo_context){ 0 };
}

int rondo_context_make(struct rondo_context *context, struct rondo_stack *stack, size_t reserved,
                       void (*entry)(void *argument), void *argument)
{
    assert(reserved <= RONDO_STACK_RESERVABLE);
    (void) reserved;
    if (!stack->fiber)
        stack->fiber = rondo_fiber_new(stack->size);
    if (!stack->fiber)
        return RONDO_ENOMEM;
    *context = (struct rondo_context){
        .handle = stack->fiber->handle, .entry = entry, .argument = argument, .stack = stack
    };
    stack->fiber->context = context;
    rondo_modes_save(&stack->fiber->modes);
    return 0;
}

void rondo_context_switch(struct rondo_context *from, struct rondo_context *to)
{
    assert(!to->exited && GetCurrentFiber() == from->handle);
    (void) from;
    struct rondo_modes modes;
    rondo_modes_save(&modes);
    SwitchToFiber(to->handle);
    rondo_modes_load(&modes);
}

void rondo_context_exit(struct rondo_context *from, struct rondo_context *to)
{
    struct rondo_fiber *fiber = from->stack->fiber;
    assert(!to->exited && GetCurrentFiber() == from->handle);
    from->exited = true;
    SwitchToFiber(to->handle);
    __builtin_longjmp(fiber->base, 1); /* here begins the stack's next context */
}

void rondo_context_destroy(struct rondo_context *context)
{
    if (context->begun && !context->exited) {
        rondo_fiber_free(context->stack->fiber);
        context->stack->fiber = NULL;
    }
    *context = (struct rondo_context){ 0 };
}
