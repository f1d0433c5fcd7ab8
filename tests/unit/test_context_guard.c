/* SPDX-License-Identifier: MIT */
/* platform/context.h on Unix: running over the end of a stack is a fault, seen from the parent of a child
 * that does it; and a switch leaves the signal mask alone. */
#define _POSIX_C_SOURCE 200809L
#include "platform/context.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

enum { STACK_SIZE = 65536 };

static struct rondo_context home;
static struct rondo_context inner;

static volatile unsigned endless = 1;

static int overflow(unsigned depth)
{
    volatile char bytes[256];
    memset((void *) (uintptr_t) bytes, (int) (depth % 100), sizeof bytes);
    return (endless ? overflow(depth + 1) : 0) + bytes[depth % 256];
}

static void run_over(void *argument)
{
    *(int *) argument = overflow(0);
    rondo_context_exit(&inner, &home);
}

static void touch_guard(void *argument)
{
    *((volatile char *) argument - 1) = 1;
    rondo_context_exit(&inner, &home);
}

/* Run @entry in a child and return the signal that ended it; 0 if it lived. The argument is the stack's
 * lowest byte, or a number that nobody looks at. */
static int signal_of(void (*entry)(void *argument), bool wants_low)
{
    struct rondo_stack stack;
    static int ignored;
    ck_assert_int_eq(rondo_stack_map(&stack, STACK_SIZE), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL); /* a sanitizer has a handler there */
        signal(SIGBUS, SIG_DFL);
        rondo_context_enter_thread(&home);
        rondo_context_make(&inner, &stack, 0, entry, wants_low ? stack.low : (void *) &ignored);
        rondo_context_switch(&home, &inner);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    rondo_stack_unmap(&stack);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(overflow_is_a_fault)
{
    int number = signal_of(run_over, false);
    ck_assert_msg(number == SIGSEGV || number == SIGBUS, "ended by signal %d", number);
}
END_TEST

START_TEST(guard_begins_right_below)
{
    int number = signal_of(touch_guard, true);
    ck_assert_msg(number == SIGSEGV || number == SIGBUS, "ended by signal %d", number);
}
END_TEST

static void block_usr1(void *argument)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    rondo_context_switch(&inner, &home);
    sigprocmask(SIG_SETMASK, NULL, &set);
    *(int *) argument = sigismember(&set, SIGUSR2);
    rondo_context_exit(&inner, &home);
}

START_TEST(signal_mask_is_the_threads)
{
    struct rondo_stack stack;
    int saw = 0;
    sigset_t before, set;
    sigprocmask(SIG_SETMASK, NULL, &before);
    ck_assert_int_eq(rondo_stack_map(&stack, STACK_SIZE), 0);
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    ck_assert_int_eq(rondo_context_make(&inner, &stack, 0, block_usr1, &saw), 0);
    rondo_context_switch(&home, &inner);
    sigprocmask(SIG_SETMASK, NULL, &set);
    ck_assert_int_eq(sigismember(&set, SIGUSR1), 1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_SETMASK, &set, NULL);
    rondo_context_switch(&home, &inner);
    ck_assert_int_eq(saw, 1);
    sigprocmask(SIG_SETMASK, &before, NULL);
    rondo_context_destroy(&inner);
    rondo_context_leave_thread(&home);
    rondo_stack_unmap(&stack);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "guard");
    tcase_add_test(tcase, overflow_is_a_fault);
    tcase_add_test(tcase, guard_begins_right_below);
    tcase_add_test(tcase, signal_mask_is_the_threads);
}

int main(void)
{
    return support_main_once("context guard", add_cases);
}
