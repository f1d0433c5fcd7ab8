/* SPDX-License-Identifier: MIT */
/* The hand-written switch for x86-64 (System V) and aarch64 (AAPCS64, also Apple's).
 *
 * Happy path: push what a called function must preserve onto the old stack, exchange the stack pointers,
 * pop the same from the new one and return into it. That is the callee-saved registers and, as both ABIs
 * ask, the control words of the floating-point unit (rounding, masks), but not its status. A new stack is
 * laid out by prepare as if it had been left in the middle of a jump, and its first jump "returns" to a
 * start that calls the entry.
 * Failures: none.
 * Invariants: both frames have the same shape, so the unwind information of the old one holds for the new
 * one; the start has no caller, which is where a debugger stops. The two numbers of a frame's layout, in
 * prepare and in the assembly, must agree. */
#include <stdint.h>
#include <string.h>

#include "context_jump.h"

#if RONDO_CONTEXT_ASM

/* clang-format off */

#if defined(__APPLE__)
#define RONDO_ASM_NAME(name) "_" name
#define RONDO_ASM_FUNCTION(name)                                                                   \
    ".text\n.globl _" name "\n.private_extern _" name "\n.p2align 4\n_" name ":\n"
#define RONDO_ASM_END(name)
#else
#define RONDO_ASM_NAME(name) name
#define RONDO_ASM_FUNCTION(name)                                                                   \
    ".text\n.globl " name "\n.hidden " name "\n.type " name ", %function\n.p2align 4\n" name ":\n"
#define RONDO_ASM_END(name) ".size " name ", .-" name "\n"
#endif

/* Never called: the address that a new stack returns to. */
void rondo_context_start(void);

#if defined(__x86_64__)

/* From low to high: the frame that jump leaves on a stack. */
struct rondo_context_frame {
    uint32_t mxcsr;
    uint16_t x87_control;
    uint16_t unused;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    void (*rip)(void);
    uint64_t end[2]; /* what would be the caller's; keeps the start aligned */
};

/* It ends with a plain return: from one task to the next one both have called it from the same places, so that the
 * processor's stack of return addresses is right all the way up. */
__asm__(
    RONDO_ASM_FUNCTION("rondo_context_jump")
    ".cfi_startproc\n"
    "pushq %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %rbp, 0\n"
    "pushq %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %rbx, 0\n"
    "pushq %r12\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r12, 0\n"
    "pushq %r13\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r13, 0\n"
    "pushq %r14\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r14, 0\n"
    "pushq %r15\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset %r15, 0\n"
    "subq $8, %rsp\n.cfi_adjust_cfa_offset 8\n"
    "stmxcsr (%rsp)\n"
    "fnstcw 4(%rsp)\n"
    "movq %rsp, (%rdi)\n"
    "movq %rsi, %rsp\n"
    "ldmxcsr (%rsp)\n"
    "fldcw 4(%rsp)\n"
    "addq $8, %rsp\n.cfi_adjust_cfa_offset -8\n"
    "popq %r15\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r15\n"
    "popq %r14\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r14\n"
    "popq %r13\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r13\n"
    "popq %r12\n.cfi_adjust_cfa_offset -8\n.cfi_restore %r12\n"
    "popq %rbx\n.cfi_adjust_cfa_offset -8\n.cfi_restore %rbx\n"
    "popq %rbp\n.cfi_adjust_cfa_offset -8\n.cfi_restore %rbp\n"
    "ret\n"
    ".cfi_endproc\n"
    RONDO_ASM_END("rondo_context_jump")

    RONDO_ASM_FUNCTION("rondo_context_start")
    ".cfi_startproc\n"
    ".cfi_undefined %rip\n"
    "movq %r12, %rdi\n"
    "callq *%r13\n"
    "ud2\n"
    ".cfi_endproc\n"
    RONDO_ASM_END("rondo_context_start"));

void *rondo_context_prepare(char *low, char *top, void (*begin)(void *argument), void *argument)
{
    (void) low;
    struct rondo_context_frame frame = {
        .r13 = (uint64_t) (uintptr_t) begin,
        .r12 = (uint64_t) (uintptr_t) argument,
        .rip = rondo_context_start,
    };
    /* As a new thread does, a context begins with the modes of its maker. */
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(frame.mxcsr), "=m"(frame.x87_control));
    return memcpy(top - sizeof frame, &frame, sizeof frame);
}

#else /* aarch64 */

struct rondo_context_frame {
    uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
    uint64_t x29;
    void (*x30)(void);
    uint64_t d8_to_d15[8];
    uint64_t fpcr;
    uint64_t unused;
};

/* Writing fpcr drains the pipeline on many cores, so it is written only where it differs. */
__asm__(
    RONDO_ASM_FUNCTION("rondo_context_jump")
    ".cfi_startproc\n"
    "sub sp, sp, #176\n.cfi_adjust_cfa_offset 176\n"
    "stp x19, x20, [sp, #0]\n.cfi_rel_offset x19, 0\n.cfi_rel_offset x20, 8\n"
    "stp x21, x22, [sp, #16]\n.cfi_rel_offset x21, 16\n.cfi_rel_offset x22, 24\n"
    "stp x23, x24, [sp, #32]\n.cfi_rel_offset x23, 32\n.cfi_rel_offset x24, 40\n"
    "stp x25, x26, [sp, #48]\n.cfi_rel_offset x25, 48\n.cfi_rel_offset x26, 56\n"
    "stp x27, x28, [sp, #64]\n.cfi_rel_offset x27, 64\n.cfi_rel_offset x28, 72\n"
    "stp x29, x30, [sp, #80]\n.cfi_rel_offset x29, 80\n.cfi_rel_offset x30, 88\n"
    "stp d8, d9, [sp, #96]\n"
    "stp d10, d11, [sp, #112]\n"
    "stp d12, d13, [sp, #128]\n"
    "stp d14, d15, [sp, #144]\n"
    "mrs x9, fpcr\n"
    "str x9, [sp, #160]\n"
    "mov x10, sp\n"
    "str x10, [x0]\n"
    "mov sp, x1\n"
    "ldr x10, [sp, #160]\n"
    "cmp x9, x10\n"
    "b.eq 1f\n"
    "msr fpcr, x10\n"
    "1:\n"
    "ldp d8, d9, [sp, #96]\n"
    "ldp d10, d11, [sp, #112]\n"
    "ldp d12, d13, [sp, #128]\n"
    "ldp d14, d15, [sp, #144]\n"
    "ldp x19, x20, [sp, #0]\n.cfi_restore x19\n.cfi_restore x20\n"
    "ldp x21, x22, [sp, #16]\n.cfi_restore x21\n.cfi_restore x22\n"
    "ldp x23, x24, [sp, #32]\n.cfi_restore x23\n.cfi_restore x24\n"
    "ldp x25, x26, [sp, #48]\n.cfi_restore x25\n.cfi_restore x26\n"
    "ldp x27, x28, [sp, #64]\n.cfi_restore x27\n.cfi_restore x28\n"
    "ldp x29, x30, [sp, #80]\n.cfi_restore x29\n.cfi_restore x30\n"
    "add sp, sp, #176\n.cfi_adjust_cfa_offset -176\n"
    "ret\n"
    ".cfi_endproc\n"
    RONDO_ASM_END("rondo_context_jump")

    RONDO_ASM_FUNCTION("rondo_context_start")
    ".cfi_startproc\n"
    ".cfi_undefined x30\n"
    "mov x0, x19\n"
    "blr x20\n"
    "brk #1\n"
    ".cfi_endproc\n"
    RONDO_ASM_END("rondo_context_start"));

void *rondo_context_prepare(char *low, char *top, void (*begin)(void *argument), void *argument)
{
    (void) low;
    struct rondo_context_frame frame = {
        .x19 = (uint64_t) (uintptr_t) argument,
        .x20 = (uint64_t) (uintptr_t) begin,
        .x30 = rondo_context_start,
    };
    /* As a new thread does, a context begins with the modes of its maker. */
    __asm__ volatile("mrs %0, fpcr" : "=r"(frame.fpcr));
    return memcpy(top - sizeof frame, &frame, sizeof frame);
}

#endif

/* clang-format on */

_Static_assert(sizeof(struct rondo_context_frame) % 16 == 0, "stacks stay aligned");

#endif
