/* SPDX-License-Identifier: MIT */
/* Telling AddressSanitizer, ThreadSanitizer and valgrind of stacks and switches. Each function is empty
 * in a build that has none of them.
 *
 * A switch is told in two halves: leave() right before the jump on the old stack, arrive() right after it
 * on the new one. Nothing between the two may be instrumented by AddressSanitizer in a way that
 * looks at the stack, so both are called by the functions that jump and by nothing else. */
#ifndef RONDO_PLATFORM_CONTEXT_SANITIZE_H
#define RONDO_PLATFORM_CONTEXT_SANITIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "../context.h"

#if defined(__SANITIZE_ADDRESS__)
#define RONDO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RONDO_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RONDO_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RONDO_TSAN 1
#endif
#endif
#if (!defined(NDEBUG) || defined(RONDO_VALGRIND)) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#define RONDO_MEMCHECK 1
#endif
#endif

#if defined(RONDO_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(RONDO_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(RONDO_MEMCHECK)
#include <valgrind/memcheck.h>
#endif

static inline void rondo_sanitize_stack_mapped(struct rondo_stack *stack)
{
#if defined(RONDO_MEMCHECK)
    stack->valgrind = (unsigned) VALGRIND_STACK_REGISTER(stack->low, (char *) stack->top - 1);
#else
    (void) stack;
#endif
}

static inline void rondo_sanitize_stack_unmapped(struct rondo_stack *stack)
{
#if defined(RONDO_MEMCHECK)
    VALGRIND_STACK_DEREGISTER(stack->valgrind);
#endif
#if defined(RONDO_TSAN)
    if (stack->fiber)
        __tsan_destroy_fiber(stack->fiber);
#endif
    (void) stack;
}

/* The thread's own flow becomes a context. */
static inline void rondo_sanitize_thread(struct rondo_context *context)
{
#if defined(RONDO_TSAN)
    context->fiber = __tsan_get_current_fiber();
#else
    (void) context;
#endif
}

#if defined(RONDO_TSAN)
/* A fiber takes most of a millisecond to create, so a stack keeps its own. Each context that
 * exits leaves a few frames in the fiber's record of calls, whose room is limited; one that was abandoned
 * may leave any number. */
enum { RONDO_FIBER_USES = 200 };

static inline void *rondo_sanitize_take_fiber(struct rondo_stack *stack)
{
    void *fiber = stack->fiber ? stack->fiber : __tsan_create_fiber(0);
    stack->fiber_uses = stack->fiber ? stack->fiber_uses + 1 : 0;
    stack->fiber = NULL;
    return fiber;
}

static inline void rondo_sanitize_give_fiber(struct rondo_context *context)
{
    if (context->exited && context->stack->fiber_uses < RONDO_FIBER_USES)
        context->stack->fiber = context->fiber;
    else
        __tsan_destroy_fiber(context->fiber);
}
#endif

/* A context is about to be laid out on its stack. */
static inline void rondo_sanitize_made(struct rondo_context *context)
{
#if defined(RONDO_TSAN)
    context->fiber = rondo_sanitize_take_fiber(context->stack);
#else
    (void) context;
#endif
}

/* Before the jump; @last: @from will never be resumed. Always inlined: ThreadSanitizer would count the
 * entry to it in one fiber and the return from it in the other. */
__attribute__((always_inline)) static inline void rondo_sanitize_leave(struct rondo_context *from,
                                                                       struct rondo_context *to, bool last)
{
#if defined(RONDO_ASAN)
    to->resumer = from;
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->stack_low, to->stack_size);
#endif
#if defined(RONDO_TSAN)
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void) from;
    (void) to;
    (void) last;
}

/* After the jump, in @self. Where it came from a thread's own flow, this is how the bounds of the
 * thread's stack become known. */
static inline void rondo_sanitize_arrive(struct rondo_context *self)
{
#if defined(RONDO_ASAN)
    const void *low = NULL;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(self->fake_stack, &low, &size);
    self->fake_stack = NULL;
    struct rondo_context *resumer = self->resumer;
    if (!resumer->stack_low) {
        resumer->stack_low = (void *) (uintptr_t) low;
        resumer->stack_size = size;
    }
#endif
    (void) self;
}

/* The context is gone, and its part of the stack is to look like fresh memory. One that was abandoned
 * halfway still owns a fake stack: AddressSanitizer frees it only for a flow that leaves for ever, so we
 * pretend to go there and leave. */
#if defined(RONDO_ASAN)
__attribute__((no_sanitize_address))
#endif
static inline void
rondo_sanitize_destroyed(struct rondo_context *context)
{
#if defined(RONDO_TSAN)
    rondo_sanitize_give_fiber(context);
#endif
#if defined(RONDO_ASAN)
    if (context->fake_stack) {
        void *own = NULL;
        const void *low = NULL;
        size_t size = 0;
        __sanitizer_start_switch_fiber(&own, context->stack_low, context->stack_size);
        __sanitizer_finish_switch_fiber(context->fake_stack, &low, &size);
        __sanitizer_start_switch_fiber(NULL, low, size);
        __sanitizer_finish_switch_fiber(own, NULL, NULL);
    }
    ASAN_UNPOISON_MEMORY_REGION(context->stack_low, context->stack_size - context->reserved);
#endif
#if defined(RONDO_MEMCHECK)
    (void) VALGRIND_MAKE_MEM_UNDEFINED(context->stack_low, context->stack_size - context->reserved);
#endif
    (void) context;
}

#endif
