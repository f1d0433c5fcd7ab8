/* SPDX-License-Identifier: MIT */
/* run_until_complete: how it ends, what it gives, what it refuses. */
#include "support.h"

static rondo_loop *loop;
static rondo_future *subject; /* a reference of the test's own */

static void begin(void)
{
    loop = support_virtual_loop();
    subject = rondo_future_new(loop);
    ck_assert_ptr_nonnull(subject);
}

static void end(void)
{
    rondo_future_unref(subject);
    support_loop_end(loop);
}

static void soon(rondo_callback *callback, void *context)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, callback, context), 0);
}

static int until(void **ret_value)
{
    return rondo_loop_run_until_complete(loop, rondo_future_ref(subject), ret_value);
}

static void complete(void *value)
{
    trace("set");
    ck_assert_int_eq(rondo_future_set_result(subject, value), 0);
    soon(trace_word, "next");
}

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

START_TEST(test_result)
{
    begin();
    int thing = 0;
    void *value = NULL;
    soon(complete, &thing);
    soon(trace_word, "same");
    ck_assert_int_eq(until(&value), 0); /* RUN-17 */
    ck_assert_ptr_eq(value, &thing);
    trace_is("set same next"); /* RUN-19: the pass of the done-callback is finished */
    end();
}
END_TEST

START_TEST(test_error)
{
    begin();
    ck_assert_int_eq(rondo_future_set_error(subject, RONDO_EUSER - 3, "no such luck"), 0);
    void *value = &value;
    ck_assert_int_eq(until(&value), RONDO_EUSER - 3); /* RUN-17 */
    ck_assert_ptr_eq(value, &value);                  /* untouched on failure */
    ck_assert_str_eq(rondo_last_error_message(), "no such luck");
    end();
}
END_TEST

START_TEST(test_cancelled)
{
    begin();
    ck_assert(rondo_future_cancel(subject));
    ck_assert_int_eq(until(NULL), RONDO_ECANCELLED); /* RUN-17 */
    end();
}
END_TEST

static void queue_next(void *context)
{
    trace("now");
    soon(trace_word, context);
}

START_TEST(test_done_future_costs_a_pass)
{
    begin();
    ck_assert_int_eq(rondo_future_set_result(subject, NULL), 0);
    soon(queue_next, "next");
    ck_assert_int_eq(until(NULL), 0); /* RUN-19 */
    trace_is("now");
    support_run_passes(loop, 1);
    trace_is("next");
    end();
}
END_TEST

START_TEST(test_stopped_first)
{
    begin();
    soon(stop, NULL);
    ck_assert_int_eq(until(NULL), RONDO_ESTOPPED); /* RUN-20 */
    ck_assert_int_eq(rondo_err_class(RONDO_ESTOPPED), RONDO_CLASS_RUNTIME);
    ck_assert(!rondo_future_done(subject));
    soon(complete, NULL);
    ck_assert_int_eq(until(NULL), 0);
    trace_is("set next");
    end();
}
END_TEST

START_TEST(test_leaves_no_callback)
{
    begin();
    soon(stop, NULL);
    ck_assert_int_eq(until(NULL), RONDO_ESTOPPED);
    /* RUN-21: completing the future now does not end a later run */
    soon(complete, NULL);
    soon(queue_next, "x");
    ck_assert_int_eq(rondo_loop_call_later(loop, TICKS(5), NULL, stop, NULL), 0);
    support_run(loop);
    trace_is("set now next x");
    end();
}
END_TEST

static void complete_and_stop(void *context)
{
    complete(context);
    rondo_loop_stop(loop);
}

static void interrupt_after_completing(void *context)
{
    complete(context);
    rondo_raise(RONDO_EINTERRUPTED, NULL);
}

START_TEST(test_leaves_no_queued_callback)
{
    begin();
    /* RUN-21: the future is done, its callback queued, and a stop comes first */
    soon(complete_and_stop, NULL);
    ck_assert_int_eq(until(NULL), 0);
    soon(queue_next, "x");
    ck_assert_int_eq(rondo_loop_call_later(loop, TICKS(5), NULL, stop, NULL), 0);
    support_run(loop);
    trace_is("set next now x");
    rondo_future_unref(subject);
    /* the same with an interrupt */
    subject = rondo_future_new(loop);
    soon(interrupt_after_completing, NULL);
    ck_assert_int_eq(until(NULL), RONDO_EINTERRUPTED);
    soon(queue_next, "y");
    ck_assert_int_eq(rondo_loop_call_later(loop, TICKS(5), NULL, stop, NULL), 0);
    support_run(loop);
    trace_is("set next now y");
    end();
}
END_TEST

static rondo_loop *outer;

static void nest(void *context)
{
    (void) context;
    ck_assert_int_eq(until(NULL), RONDO_ERUNNING); /* RUN-22 */
    ck_assert_int_eq(rondo_loop_run_until_complete(outer, rondo_future_new(outer), NULL), RONDO_ERUNNING);
    trace("nested");
}

START_TEST(test_refusals)
{
    begin();
    outer = support_loop();
    rondo_future *foreign = rondo_future_new(outer);
    soon(trace_word, "never");
    /* RUN-22: nothing starts */
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_future_ref(foreign), NULL), RONDO_EOTHERLOOP);
    ck_assert_int_eq(rondo_err_class(RONDO_EOTHERLOOP), RONDO_CLASS_VALUE);
    ck_assert(!rondo_future_done(foreign));
    ck_assert_int_eq(rondo_loop_run_until_complete(NULL, rondo_future_ref(foreign), NULL), RONDO_EINVAL);
    trace_is("");
    support_run_passes(loop, 1);
    trace_is("never");
    soon(nest, NULL);
    support_run_passes(loop, 1);
    trace_is("nested");
    rondo_loop_close(loop);
    ck_assert_int_eq(until(NULL), RONDO_ECLOSED); /* RUN-22 */
    rondo_future_unref(foreign);
    support_loop_end(outer);
    end();
}
END_TEST

START_TEST(test_null_future)
{
    begin();
    /* RUN-18: in C the argument is a future or the NULL of the call that could not make one */
    ck_assert_ptr_null(rondo_create_task(loop, NULL, NULL));
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, NULL, NULL), RONDO_EINVAL);
    rondo_loop_close(loop);
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_sleep(loop, 0), NULL), RONDO_ECLOSED);
    end();
}
END_TEST

static int answer(void *context)
{
    (void) context;
    trace("body");
    return 42;
}

static int interrupted(void *context)
{
    (void) context;
    return RONDO_EINTERRUPTED;
}

START_TEST(test_tasks)
{
    begin();
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_create_task(loop, answer, NULL), NULL),
                     42); /* RUN-18 */
    trace_is("body");
    /* RUN-23: an interrupt out of a task ends the run, is in the task and needs no report */
    rondo_task *task = rondo_create_task(loop, interrupted, NULL);
    soon(trace_word, "rest");
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_future_ref(task), NULL), RONDO_EINTERRUPTED);
    trace_is("");
    ck_assert_int_eq(rondo_future_result(task, NULL), RONDO_EINTERRUPTED);
    support_run_passes(loop, 1);
    trace_is("rest");
    rondo_future_unref(task);
    end();
}
END_TEST

START_TEST(test_owned_value)
{
    begin();
    void *value = NULL;
    ck_assert_int_eq(rondo_future_set_result_owned(subject, "owned", trace_word), 0);
    ck_assert_int_eq(until(&value), 0); /* who asks for the value takes it */
    ck_assert_str_eq(value, "owned");
    rondo_future_unref(subject);
    trace_is("");
    subject = rondo_future_new(loop);
    ck_assert_int_eq(rondo_future_set_result_owned(subject, "kept", trace_word), 0);
    ck_assert_int_eq(until(NULL), 0);
    trace_is("");
    rondo_future_unref(subject);
    subject = NULL;
    trace_is("kept");
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "run_until_complete");
    tcase_add_test(tcase, test_result);
    tcase_add_test(tcase, test_error);
    tcase_add_test(tcase, test_cancelled);
    tcase_add_test(tcase, test_done_future_costs_a_pass);
    tcase_add_test(tcase, test_stopped_first);
    tcase_add_test(tcase, test_leaves_no_callback);
    tcase_add_test(tcase, test_leaves_no_queued_callback);
    tcase_add_test(tcase, test_refusals);
    tcase_add_test(tcase, test_null_future);
    tcase_add_test(tcase, test_tasks);
    tcase_add_test(tcase, test_owned_value);
}

int main(void)
{
    return support_main("run_until_complete", add_cases);
}
