/* SPDX-License-Identifier: MIT */
/* rondo_run: a loop, a main task, and the end of everything it left behind. */
#include <string.h>

#include "support.h"

static rondo_loop_options options_here(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    options.allocator = &support_allocator;
    return options;
}

static int run(rondo_coroutine *coroutine, void *context)
{
    rondo_loop_options options = options_here();
    return rondo_run(&options, coroutine, context);
}

static int body(void *context)
{
    rondo_loop *loop = rondo_loop_running();
    ck_assert_ptr_nonnull(loop);
    ck_assert_ptr_eq(rondo_loop_current(), loop);
    ck_assert_int_eq(rondo_loop_backend(loop), support_backend());
    ck_assert(rondo_future_is_task(rondo_task_current()));
    ck_assert_int_eq(rondo_await(rondo_sleep(loop, RONDO_US(10)), NULL), 0);
    return (int) (intptr_t) context;
}

START_TEST(test_result)
{
    ck_assert_int_eq(run(body, (void *) 17), 17);
    ck_assert_int_eq(run(body, (void *) 0), 0);
    ck_assert_int_eq(run(body, (void *) (intptr_t) (RONDO_EUSER - 2)), RONDO_EUSER - 2);
    ck_assert_ptr_null(rondo_loop_running());
}
END_TEST

static int fail_with(void *context)
{
    return rondo_raise(RONDO_EPIPE, "%s", (const char *) context);
}

START_TEST(test_error_message)
{
    ck_assert_int_eq(run(fail_with, "what happened"), RONDO_EPIPE);
    ck_assert_int_eq(rondo_last_error(), RONDO_EPIPE);
    ck_assert_str_eq(rondo_last_error_message(), "what happened");
}
END_TEST

static int linger(void *context)
{
    rondo_loop *loop = rondo_loop_running();
    int rc = rondo_await(rondo_sleep(loop, RONDO_S(3600)), NULL);
    ck_assert_int_eq(rc, RONDO_ECANCELLED);
    ck_assert_int_eq(rondo_await(rondo_sleep(loop, RONDO_US(10)), NULL), 0); /* TO-10: cleaning up may wait */
    trace("%s", (const char *) context);
    return rc;
}

static int leave_tasks_behind(void *context)
{
    rondo_loop *loop = rondo_loop_running();
    rondo_future_unref(rondo_create_task(loop, linger, "a"));
    rondo_future_unref(rondo_create_task(loop, linger, "b"));
    ck_assert_int_eq(rondo_yield(), 0);
    trace("main");
    (void) context;
    return 1;
}

START_TEST(test_left_over_tasks)
{
    ck_assert_int_eq(run(leave_tasks_behind, NULL), 1);
    trace_is("main a b");
}
END_TEST

static int fail_when_cancelled(void *context)
{
    rondo_await(rondo_sleep(rondo_loop_running(), RONDO_S(3600)), NULL);
    return rondo_raise(RONDO_EUSER - 6, "%s", (const char *) context);
}

static int leave_a_failure_behind(void *context)
{
    rondo_loop *loop = rondo_loop_running();
    rondo_loop_set_exception_handler(loop, support_record, NULL);
    rondo_future_unref(rondo_create_task(loop, fail_when_cancelled, context));
    return rondo_yield();
}

START_TEST(test_left_over_failure)
{
    ck_assert_int_eq(run(leave_a_failure_behind, "clean-up failed"), 0);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EUSER - 6);
    ck_assert_str_eq(support_report_at(0)->error_message, "clean-up failed");
}
END_TEST

static int run_inside(void *context)
{
    (void) context;
    ck_assert_int_eq(run(body, NULL), RONDO_ERUNNING);
    return 3;
}

START_TEST(test_refusals)
{
    ck_assert_int_eq(run(run_inside, NULL), 3);
    ck_assert_int_eq(run(NULL, NULL), RONDO_EINVAL);
    rondo_loop_options options = options_here();
    options.backend = (rondo_backend) 55;
    ck_assert_int_eq(rondo_run(&options, body, NULL), RONDO_EINVAL);
}
END_TEST

START_TEST(test_current_loop_is_brought_back)
{
    rondo_loop *mine = support_loop();
    ck_assert_int_eq(rondo_loop_set_current(mine), 0);
    ck_assert_int_eq(run(body, (void *) 2), 2);
    ck_assert_ptr_eq(rondo_loop_current(), mine);
    ck_assert(!rondo_loop_is_closed(mine));
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
    support_loop_end(mine);
}
END_TEST

static int cancel_self(void *context)
{
    rondo_future_cancel(rondo_task_current());
    (void) context;
    return rondo_yield();
}

static int stop_the_loop(void *context)
{
    rondo_loop_stop(rondo_loop_running());
    rondo_yield();
    trace("cancelled");
    (void) context;
    return 5;
}

static int interrupt(void *context)
{
    (void) context;
    return RONDO_EINTERRUPTED;
}

START_TEST(test_odd_ends)
{
    ck_assert_int_eq(run(cancel_self, NULL), RONDO_ECANCELLED);
    ck_assert_int_eq(run(stop_the_loop, NULL), RONDO_ESTOPPED); /* RUN-20; what is left is cancelled */
    trace_is("cancelled");
    ck_assert_int_eq(run(interrupt, NULL), RONDO_EINTERRUPTED); /* RUN-23 */
}
END_TEST

static void run_in_thread(void *context)
{
    *(int *) context = run(body, (void *) 8);
}

START_TEST(test_on_another_thread)
{
    int result = 0;
    support_thread *thread = support_thread_start(run_in_thread, &result);
    support_thread_join(thread);
    ck_assert_int_eq(result, 8);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "run");
    tcase_add_test(tcase, test_result);
    tcase_add_test(tcase, test_error_message);
    tcase_add_test(tcase, test_left_over_tasks);
    tcase_add_test(tcase, test_left_over_failure);
    tcase_add_test(tcase, test_refusals);
    tcase_add_test(tcase, test_current_loop_is_brought_back);
    tcase_add_test(tcase, test_odd_ends);
    tcase_add_test(tcase, test_on_another_thread);
}

int main(void)
{
    return support_main("run", add_cases);
}
