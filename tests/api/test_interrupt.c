/* SPDX-License-Identifier: MIT */
/* Ctrl+C while rondo_run runs. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

/* The runner may have a handler of its own, which rondo_run would leave alone. */
static void (*runners_handler)(int);

/* signal() would forget the handler at its first call. */
static void (*set_handler(void (*handler)(int)))(int)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(SIGINT, &action, &before), 0);
    return before.sa_handler;
}

static void begin(void)
{
    runners_handler = set_handler(SIG_DFL);
}

static void end(void)
{
    ck_assert(set_handler(runners_handler) == SIG_DFL); /* brought back */
}

static rondo_ns spin_ns;

static int run(rondo_coroutine *coroutine, void *context)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    options.allocator = &support_allocator;
    options.spin_ns = spin_ns;
    return rondo_run(&options, coroutine, context);
}

static void press(void *context)
{
    (void) context;
    kill(getpid(), SIGINT);
}

static int wait_long(void *context)
{
    rondo_loop *loop = rondo_loop_running();
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, press, NULL), 0);
    int rc = rondo_await(rondo_sleep(loop, RONDO_S(3600)), NULL);
    trace("%s", rondo_err_name(rc));
    return context ? 4 : rc;
}

START_TEST(test_cancels_the_main_task)
{
    begin();
    ck_assert_int_eq(run(wait_long, NULL), RONDO_EINTERRUPTED);
    trace_is("RONDO_ECANCELLED");
    end();
}
END_TEST

START_TEST(test_main_task_may_finish)
{
    begin();
    ck_assert_int_eq(run(wait_long, "finish"), 4); /* it took the cancellation and went on to its end */
    trace_is("RONDO_ECANCELLED");
    end();
}
END_TEST

#if defined(__linux__)
/* Until the main thread sleeps in the kernel. (ThreadSanitizer, too, puts a signal off that comes right before that.) */
static void wait_for_sleep(void)
{
    char state = 0;
    while (state != 'S') {
        FILE *file = fopen("/proc/self/stat", "re");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
        fclose(file);
    }
}
#else
static void wait_for_sleep(void)
{
}
#endif

static void press_from_thread(void *context)
{
    support_gate_wait(context);
    wait_for_sleep();
    kill(getpid(), SIGINT);
}

static int sleep_in_the_kernel(void *context)
{
    rondo_loop *loop = rondo_loop_running();
    support_gate_open(context);
    int rc = rondo_await(rondo_sleep(loop, RONDO_FOREVER), NULL);
    trace("%s", rondo_err_name(rc));
    return rc;
}

START_TEST(test_wakes_a_sleeping_loop)
{
    begin();
    support_gate *gate = support_gate_new();
    support_thread *thread = support_thread_start(press_from_thread, gate);
    ck_assert_int_eq(run(sleep_in_the_kernel, gate), RONDO_EINTERRUPTED);
    trace_is("RONDO_ECANCELLED");
    support_thread_join(thread);
    support_gate_free(gate);
    end();
}
END_TEST

static int refuse(void *context)
{
    rondo_loop *loop = rondo_loop_running();
    (void) context;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, press, NULL), 0);
    ck_assert_int_eq(rondo_await(rondo_sleep(loop, RONDO_S(3600)), NULL), RONDO_ECANCELLED);
    trace("refused");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, press, NULL), 0);
    int rc = rondo_await(rondo_sleep(loop, RONDO_S(3600)), NULL);
    trace("%s", rondo_err_name(rc)); /* the end of the run cancels what is left */
    return rc;
}

START_TEST(test_second_one_ends_the_run)
{
    begin();
    ck_assert_int_eq(run(refuse, NULL), RONDO_EINTERRUPTED);
    trace_is("refused RONDO_ECANCELLED");
    end();
}
END_TEST

static volatile sig_atomic_t own;

static void own_handler(int number)
{
    (void) number;
    own++;
}

static int press_and_go_on(void *context)
{
    (void) context;
    kill(getpid(), SIGINT);
    return rondo_yield();
}

START_TEST(test_own_handler_is_left_alone)
{
    begin();
    own = 0;
    set_handler(own_handler);
    ck_assert_int_eq(run(press_and_go_on, NULL), 0);
    ck_assert_int_eq(own, 1);
    ck_assert(set_handler(SIG_IGN) == own_handler);
    ck_assert_int_eq(run(press_and_go_on, NULL), 0);
    ck_assert(set_handler(SIG_DFL) == SIG_IGN);
    end();
}
END_TEST

static int press_before_waiting(void *context)
{
    (void) context;
    kill(getpid(), SIGINT);
    int rc = rondo_await(rondo_sleep(rondo_loop_running(), RONDO_S(3600)), NULL);
    trace("%s", rondo_err_name(rc));
    return rc;
}

START_TEST(test_while_the_task_runs)
{
    begin();
    ck_assert_int_eq(run(press_before_waiting, NULL), RONDO_EINTERRUPTED);
    trace_is("RONDO_ECANCELLED");
    for (int i = 0; i < 20; i++) /* one run after another, each with its own */
        ck_assert_int_eq(run(press_before_waiting, NULL), RONDO_EINTERRUPTED);
    trace_clear();
    end();
}
END_TEST

/* A poll of the spinning loop takes in the wake, and the wait behind it must not go without. */
START_TEST(test_while_it_spins)
{
    begin();
    spin_ns = RONDO_MS(1);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(run(press_before_waiting, NULL), RONDO_EINTERRUPTED);
    ck_assert_int_eq(run(wait_long, NULL), RONDO_EINTERRUPTED);
    spin_ns = 0;
    trace_clear();
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "interrupt");
    tcase_add_test(tcase, test_cancels_the_main_task);
    tcase_add_test(tcase, test_main_task_may_finish);
    tcase_add_test(tcase, test_wakes_a_sleeping_loop);
    tcase_add_test(tcase, test_second_one_ends_the_run);
    tcase_add_test(tcase, test_own_handler_is_left_alone);
    tcase_add_test(tcase, test_while_the_task_runs);
    tcase_add_test(tcase, test_while_it_spins);
}

int main(void)
{
    return support_main("interrupt", add_cases);
}
