/* SPDX-License-Identifier: MIT */
/* The switch by <ucontext.h>, for processors without a hand-written one.
 *
 * Happy path: a flow that is left keeps its ucontext_t on its own stack, in the frame of jump; a new one
 * has it at the top of its stack.
 * Failures: getcontext may fail: prepare returns NULL.
 * Invariants: the signal mask is the thread's, not the flow's: as swapcontext would bring the old one back,
 * jump hands the present one on. That costs system calls; this is the slow way. */
#define _GNU_SOURCE
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "context_jump.h"

#if !RONDO_CONTEXT_ASM

#include <pthread.h>
#include <ucontext.h>

/* At the top of a new stack: makecontext passes ints only, so the pointers travel here. */
struct rondo_context_first {
    ucontext_t context;
    void (*begin)(void *argument);
    void *argument;
};

static void rondo_context_start(unsigned high, unsigned low)
{
    uintptr_t address = ((uintptr_t) high << 16 << 16) | low;
    const struct rondo_context_first *first = (const struct rondo_context_first *) address;
    first->begin(first->argument);
}

/* getcontext may return twice as far as a compiler knows, so nothing but parameters lives around it. */
static void *rondo_context_fill(struct rondo_context_first *first, char *low)
{
    if (getcontext(&first->context) < 0)
        return NULL;
    first->context.uc_stack.ss_sp = low;
    first->context.uc_stack.ss_size = (size_t) ((char *) first - low);
    makecontext(&first->context, (void (*)(void)) rondo_context_start, 2,
                (unsigned) ((uintptr_t) first >> 16 >> 16), (unsigned) ((uintptr_t) first & UINT32_MAX));
    return first; /* its context is its first member, as jump wants it */
}

void *rondo_context_prepare(char *low, char *top, void (*begin)(void *argument), void *argument)
{
    char *place = top - sizeof(struct rondo_context_first);
    place -= (uintptr_t) place % 64;
    struct rondo_context_first *first = memset(place, 0, sizeof *first);
    first->begin = begin;
    first->argument = argument;
    return rondo_context_fill(first, low);
}

void rondo_context_jump(void **ret_from, void *to)
{
    ucontext_t here;
    ucontext_t *there = to;
    memset(&here.uc_stack, 0, sizeof here.uc_stack);
    *ret_from = &here;
    pthread_sigmask(SIG_SETMASK, NULL, &there->uc_sigmask);
    swapcontext(&here, there);
}

#endif
