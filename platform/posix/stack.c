/* SPDX-License-Identifier: MIT */
/* Stacks on Unix: one private anonymous mapping each, with a guard at its low end.
 *
 * Happy path: map address space without touching it, so that a stack costs memory only as deep as it is used,
 * and take all rights from the lowest pages.
 * Failures: RONDO_ENOMEM when the address space, the limit on mappings or the size itself is too much.
 * Invariants: low - guard to top is exactly the mapping. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rondo/error.h>

#include "../context.h"
#include "context_sanitize.h"

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif
#if !defined(MAP_STACK)
#define MAP_STACK 0
#endif

/* One page stops a frame that grows step by step; four stop most of those that jump over one, since
 * compilers probe big frames only when asked to. */
enum { RONDO_STACK_GUARD = 16384 };

static size_t rondo_stack_round(size_t size, size_t page)
{
    return (size + page - 1) / page * page;
}

#if defined(__linux__) && !defined(MADV_GUARD_INSTALL)
#define MADV_GUARD_INSTALL 102 /* Linux 6.13; the C library may be older than the kernel */
#endif

/* A guard inside the mapping, where the kernel has that, leaves neighbouring stacks one mapping: their number is limited
 * (65,530 by default). Else the guard is a mapping of its own. */
static int rondo_stack_guard(char *base, size_t guard)
{
#if defined(MADV_GUARD_INSTALL)
    if (madvise(base, guard, MADV_GUARD_INSTALL) == 0)
        return 0;
#endif
    return mprotect(base, guard, PROT_NONE);
}

int rondo_stack_map(struct rondo_stack *ret_stack, size_t size)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    if (size > SIZE_MAX / 2)
        return RONDO_ENOMEM;
    size_t usable = rondo_stack_round(size ? size : 1, page);
    size_t guard = rondo_stack_round(RONDO_STACK_GUARD, page);
    char *base = mmap(NULL, guard + usable, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return RONDO_ENOMEM;
    if (rondo_stack_guard(base, guard) < 0) {
        munmap(base, guard + usable);
        return RONDO_ENOMEM;
    }
    *ret_stack = (struct rondo_stack){
        .top = base + guard + usable, .low = base + guard, .size = usable, .guard = guard
    };
    rondo_sanitize_stack_mapped(ret_stack);
    return 0;
}

void rondo_stack_unmap(struct rondo_stack *stack)
{
    rondo_sanitize_stack_unmapped(stack);
    munmap((char *) stack->low - stack->guard, stack->guard + stack->size);
    *stack = (struct rondo_stack){ 0 };
}
