/* SPDX-License-Identifier: MIT */
/* Stacks on Windows: the block for reserved bytes. The memory that a flow runs on comes with its fiber, which
 * context.c makes when the stack is used for the first time.
 *
 * Failures: RONDO_ENOMEM.
 * Invariants: no context is on a stack that is unmapped. */
#include <malloc.h>
#include <stdint.h>

#include <rondo/error.h>

#include "../context.h"
#include "fiber.h"

int rondo_stack_map(struct rondo_stack *ret_stack, size_t size)
{
    if (size > SIZE_MAX / 8)
        return RONDO_ENOMEM;
    char *block = _aligned_malloc(RONDO_STACK_RESERVABLE, 4096);
    if (!block)
        return RONDO_ENOMEM;
    *ret_stack = (struct rondo_stack){ .top = block + RONDO_STACK_RESERVABLE, .low = block, .size = size };
    return 0;
}

void rondo_stack_unmap(struct rondo_stack *stack)
{
    rondo_fiber_free(stack->fiber);
    _aligned_free(stack->low);
    *stack = (struct rondo_stack){ 0 };
}
