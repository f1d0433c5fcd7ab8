/* SPDX-License-Identifier: MIT */
/* What platform/context.h needs to know of stacks and contexts on Unix. The layout is the same in every
 * build, whatever sanitizer or switch it uses. */
#ifndef RONDO_PLATFORM_CONTEXT_TYPES_H
#define RONDO_PLATFORM_CONTEXT_TYPES_H

#include <stdbool.h>
#include <stddef.h>

struct rondo_stack {
    void *top;           /* one past the uppermost byte; a multiple of the page size */
    void *low;           /* the lowest byte above the guard */
    size_t size;         /* top - low */
    size_t guard;        /* bytes of guard below low */
    unsigned valgrind;   /* valgrind's number for it */
    unsigned fiber_uses; /* ThreadSanitizer: how many contexts the fiber has been */
    void *fiber;         /* ThreadSanitizer's, kept for the next context; NULL for none */
};

struct rondo_context {
    void *stack_pointer;           /* where it goes on; meaningful only while it does not run */
    void (*entry)(void *argument); /* NULL for a thread's own flow */
    void *argument;
    struct rondo_stack *stack; /* NULL for a thread's own flow */
    bool exited;
    void *stack_low; /* the stack it runs on; NULL for a thread's own until a sanitizer knows */
    size_t stack_size;
    size_t reserved;               /* bytes at the stack's top that are the caller's */
    struct rondo_context *resumer; /* who switched to it last; sanitizer builds only */
    void *fake_stack;              /* AddressSanitizer's, while it does not run */
    void *fiber;                   /* ThreadSanitizer's */
};

#endif
