/* SPDX-License-Identifier: MIT */
/* What stack.c and context.c share: the fiber that belongs to a stack. */
#ifndef RONDO_PLATFORM_FIBER_H
#define RONDO_PLATFORM_FIBER_H

#include "../context.h"

enum { RONDO_STACK_RESERVABLE = 4096 };

/* Delete the fiber, on which nothing may run; NULL does nothing. */
void rondo_fiber_free(struct rondo_fiber *fiber);

#endif
