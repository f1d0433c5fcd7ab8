/* SPDX-License-Identifier: MIT */
/* The switch itself: the part of a context that depends on the processor. One of context_asm.c and
 * context_ucontext.c provides it; RONDO_CONTEXT_UCONTEXT (a CMake option) asks for the second. */
#ifndef RONDO_PLATFORM_CONTEXT_JUMP_H
#define RONDO_PLATFORM_CONTEXT_JUMP_H

#include <stddef.h>

#if !defined(RONDO_CONTEXT_UCONTEXT) && \
    ((defined(__x86_64__) && defined(__LP64__)) || (defined(__aarch64__) && defined(__LP64__)))
#define RONDO_CONTEXT_ASM 1
#else
#define RONDO_CONTEXT_ASM 0
#endif

/* Lay the first frame of a flow out below @top, which is a multiple of 16, on a stack that begins at
 * @low, such that the first jump to the pointer returned calls @begin(@argument). NULL: out of memory. */
void *rondo_context_prepare(char *low, char *top, void (*begin)(void *argument), void *argument);

/* Leave the caller's registers on its stack and a pointer to them in *@ret_from, and go on at @to. */
void rondo_context_jump(void **ret_from, void *to);

#endif
