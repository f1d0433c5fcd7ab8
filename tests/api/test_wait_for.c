/* SPDX-License-Identifier: MIT */
/* wait_for, shield and timeout. The order of events in many more combinations is compared with asyncio's by
 * tests/oracle. */
#include "support.h"

static rondo_loop *loop;
static rondo_future *subject;

static void begin(void)
{
    loop = support_loop();
    subject = rondo_future_new(loop);
}

static void end(void)
{
    rondo_future_unref(subject);
    support_loop_end(loop);
}

static int until(rondo_future *future)
{
    return rondo_loop_run_until_complete(loop, future, NULL);
}

static int run(rondo_coroutine *coroutine, void *context)
{
    return until(rondo_create_task(loop, coroutine, context));
}

/* --- wait_for --------------------------------------------------------------------------------- */

static int wait_for_subject(void *context)
{
    void *value = NULL;
    int rc = rondo_await(rondo_wait_for(rondo_future_ref(subject), *(rondo_ns *) context), &value);
    trace("%s:%s", rondo_err_name(rc), value ? (const char *) value : "-");
    return rc;
}

static rondo_ns limit;

static int wait_at_most(rondo_ns span)
{
    limit = span;
    return run(wait_for_subject, &limit);
}

static void complete(void *value)
{
    rondo_future_set_result_owned(subject, value, trace_word);
}

START_TEST(test_in_time)
{
    begin();
    rondo_loop_call_later(loop, RONDO_MS(1), NULL, complete, "value");
    ck_assert_int_eq(wait_at_most(RONDO_S(100)), 0); /* WAI-14 */
    trace_is("RONDO_OK:value"); /* the value is handed on to who awaits, its release too */
    end();
    trace_is("");
}
END_TEST

START_TEST(test_too_late)
{
    begin();
    ck_assert_int_eq(wait_at_most(RONDO_MS(2)), RONDO_ETIMEDOUT); /* WAI-14 */
    ck_assert_int_eq(rondo_err_class(RONDO_ETIMEDOUT), RONDO_CLASS_TIMEOUT);
    ck_assert(rondo_future_cancelled(subject));
    trace_is("RONDO_ETIMEDOUT:-");
    end();
}
END_TEST

START_TEST(test_limits)
{
    begin();
    rondo_loop_call_later(loop, RONDO_MS(1), NULL, complete, "value");
    ck_assert_int_eq(wait_at_most(RONDO_FOREVER), 0); /* WAI-16 */
    trace_is("RONDO_OK:value");
    rondo_future_unref(subject);
    subject = rondo_future_new(loop);
    ck_assert_int_eq(wait_at_most(0), RONDO_ETIMEDOUT); /* WAI-16 */
    ck_assert(rondo_future_cancelled(subject));
    rondo_future_unref(subject);
    subject = rondo_future_new(loop);
    complete("done");
    ck_assert_int_eq(wait_at_most(0), 0); /* a finished result is taken */
    trace_is("RONDO_ETIMEDOUT:- RONDO_OK:done");
    rondo_future_unref(subject);
    subject = rondo_future_new(loop);
    ck_assert_int_eq(wait_at_most(INT64_MIN), RONDO_ETIMEDOUT);
    trace_clear();
    end();
}
END_TEST

static int never_started(void *context)
{
    (void) context;
    trace("never");
    return 0;
}

static int wait_for_unstarted(void *context)
{
    (void) context;
    return rondo_await(rondo_wait_for(rondo_create_task(loop, never_started, NULL), 0), NULL);
}

START_TEST(test_zero_starts_nothing)
{
    begin();
    ck_assert_int_eq(run(wait_for_unstarted, NULL), RONDO_ETIMEDOUT); /* WAI-16 */
    trace_is("");
    end();
}
END_TEST

struct refusal {
    int answer;
    rondo_ns linger;
};

static int refuse(void *context)
{
    struct refusal *refusal = context;
    ck_assert_int_eq(rondo_await(rondo_sleep(loop, RONDO_S(3600)), NULL), RONDO_ECANCELLED);
    ck_assert_int_eq(rondo_await(rondo_sleep(loop, refusal->linger), NULL), 0);
    trace("ended");
    return refusal->answer;
}

static int wait_for_refusal(void *context)
{
    return rondo_await(rondo_wait_for(rondo_create_task(loop, refuse, context), RONDO_MS(1)), NULL);
}

START_TEST(test_refused_cancellation)
{
    begin();
    struct refusal value = { 9, RONDO_MS(1) }, error = { RONDO_EUSER - 3, 0 },
                   obeys = { RONDO_ECANCELLED, RONDO_MS(2) };
    ck_assert_int_eq(run(wait_for_refusal, &value), 9);               /* WAI-15: the value is not lost */
    ck_assert_int_eq(run(wait_for_refusal, &error), RONDO_EUSER - 3); /* WAI-15 */
    ck_assert_int_eq(run(wait_for_refusal, &obeys), RONDO_ETIMEDOUT); /* WAI-14: after it has really ended */
    trace_is("ended ended ended");
    end();
}
END_TEST

START_TEST(test_cancelled)
{
    begin();
    struct refusal obeys = { RONDO_ECANCELLED, RONDO_MS(2) };
    rondo_task *inner = rondo_create_task(loop, refuse, &obeys);
    subject = (rondo_future_unref(subject), rondo_future_ref(inner));
    limit = RONDO_S(100);
    rondo_task *task = rondo_create_task(loop, wait_for_subject, &limit);
    support_run_passes(loop, 2);
    ck_assert(rondo_future_cancel(task));
    ck_assert_int_eq(until(task), RONDO_ECANCELLED); /* WAI-17 */
    trace_is("ended RONDO_ECANCELLED:-");            /* it waited for the end of the inner one */
    ck_assert(rondo_future_cancelled(inner));
    rondo_future_unref(inner);
    end();
}
END_TEST

START_TEST(test_failure_in_time)
{
    begin();
    rondo_future_set_error(subject, RONDO_EUSER - 8, "the text");
    ck_assert_int_eq(wait_at_most(RONDO_S(1)), RONDO_EUSER - 8);
    ck_assert_str_eq(rondo_last_error_message(), "the text");
    trace_clear();
    end();
}
END_TEST

START_TEST(test_bad_arguments)
{
    begin();
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, NULL, NULL), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_wait_for(NULL, 1)); /* waiting for NULL gives the error of the call before */
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_shield(NULL));
    ck_assert_int_eq(rondo_timeout_enter(NULL, 1), RONDO_EINVAL);
    ck_assert_int_eq(rondo_timeout_leave(NULL, 0), RONDO_EINVAL);
    end();
}
END_TEST

START_TEST(test_without_a_task)
{
    begin();
    rondo_future *waiting = rondo_wait_for(rondo_future_ref(subject), RONDO_MS(2));
    ck_assert_int_eq(until(waiting), RONDO_ETIMEDOUT);
    ck_assert(rondo_future_cancelled(subject));
    end();
}
END_TEST

static rondo_future *count_factory(rondo_loop *from, rondo_coroutine *coroutine, void *context, void *user)
{
    trace("made");
    (void) user;
    return rondo_task_new(from, NULL, coroutine, context);
}

START_TEST(test_makes_no_tasks)
{
    begin();
    /* TSK-07: what the library runs for wait and wait_for is no task; tasks come from the factory only */
    rondo_loop_set_task_factory(loop, count_factory, NULL);
    ck_assert_int_eq(wait_at_most(RONDO_MS(1)), RONDO_ETIMEDOUT);
    trace_is("made RONDO_ETIMEDOUT:-");
    ck_assert(!rondo_future_is_task(subject));
    rondo_future *waiting = rondo_wait(loop, &subject, 1, RONDO_FOREVER, RONDO_WAIT_ALL);
    ck_assert(!rondo_future_is_task(waiting));
    ck_assert_int_eq(until(waiting), 1);
    trace_is("");
    end();
}
END_TEST

/* --- shield ----------------------------------------------------------------------------------- */

static int await_shield(void *context)
{
    (void) context;
    void *value = NULL;
    int rc = rondo_await(rondo_shield(rondo_future_ref(subject)), &value);
    trace("%s:%s", rondo_err_name(rc), value ? (const char *) value : "-");
    return rc;
}

START_TEST(test_shield)
{
    begin();
    rondo_task *task = rondo_create_task(loop, await_shield, NULL);
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancel(task));
    ck_assert_int_eq(until(task), RONDO_ECANCELLED);
    ck_assert(!rondo_future_done(subject)); /* WAI-18 */
    task = rondo_create_task(loop, await_shield, NULL);
    support_run_passes(loop, 1);
    rondo_future_cancel(subject);
    ck_assert_int_eq(until(task), RONDO_ECANCELLED); /* WAI-18: the other way round it does */
    rondo_future *same = rondo_shield(rondo_future_ref(subject));
    ck_assert_ptr_eq(same, subject); /* WAI-18: a finished one is returned as it is */
    rondo_future_unref(same);
    trace_is("RONDO_ECANCELLED:- RONDO_ECANCELLED:-");
    end();
}
END_TEST

START_TEST(test_shield_hands_on)
{
    begin();
    rondo_task *task = rondo_create_task(loop, await_shield, NULL);
    support_run_passes(loop, 1);
    complete("value");
    ck_assert_int_eq(until(task), 0);
    trace_is("RONDO_OK:value");
    rondo_future_unref(subject);
    subject = rondo_future_new(loop);
    task = rondo_create_task(loop, await_shield, NULL);
    support_run_passes(loop, 1);
    rondo_future_set_error(subject, RONDO_EUSER - 2, "text");
    ck_assert_int_eq(until(task), RONDO_EUSER - 2);
    ck_assert_str_eq(rondo_last_error_message(), "text");
    trace_clear();
    end();
}
END_TEST

START_TEST(test_shield_after_cancel_sees_the_error)
{
    begin();
    rondo_future *outer = rondo_shield(rondo_future_ref(subject));
    rondo_future_cancel(outer);
    rondo_future_unref(outer);
    rondo_future_set_result(subject, NULL); /* nobody follows any more */
    support_run_passes(loop, 1);
    end();
}
END_TEST

/* --- timeout ---------------------------------------------------------------------------------- */

struct stretch {
    rondo_ns limit;
    rondo_ns work;
    int result;
    unsigned cancelling;
};

static int limited(void *context)
{
    struct stretch *stretch = context;
    rondo_timeout timeout;
    int rc = rondo_timeout_enter(&timeout, stretch->limit);
    ck_assert_int_eq(rc, 0);
    rc = rondo_await(rondo_sleep(loop, stretch->work), NULL);
    stretch->result = rondo_timeout_leave(&timeout, rc);
    stretch->cancelling = rondo_task_cancelling(rondo_task_current());
    ck_assert_int_eq(rondo_yield(), 0); /* nothing is left of it */
    return stretch->result;
}

START_TEST(test_timeout)
{
    begin();
    struct stretch in_time = { .limit = RONDO_S(100), .work = RONDO_MS(1) };
    struct stretch late = { .limit = RONDO_MS(1), .work = RONDO_S(100) };
    struct stretch unlimited = { .limit = RONDO_FOREVER, .work = RONDO_MS(1) };
    struct stretch expired = { .limit = -1, .work = RONDO_MS(1) };
    ck_assert_int_eq(run(limited, &in_time), 0);
    ck_assert_int_eq(run(limited, &late), RONDO_ETIMEDOUT);
    ck_assert_int_eq(run(limited, &unlimited), 0);
    ck_assert_int_eq(run(limited, &expired), RONDO_ETIMEDOUT);
    ck_assert_uint_eq(late.cancelling, 0);
    struct stretch outside = { .limit = RONDO_S(100), .work = RONDO_S(100) };
    rondo_task *task = rondo_create_task(loop, limited, &outside);
    support_run_passes(loop, 1);
    rondo_future_cancel(task); /* a cancellation from outside stays one */
    ck_assert_int_eq(until(task), RONDO_ECANCELLED);
    ck_assert_int_eq(outside.result, RONDO_ECANCELLED);
    ck_assert_uint_eq(outside.cancelling, 1);
    end();
}
END_TEST

static int leave_twice(void *context)
{
    rondo_timeout timeout;
    ck_assert_int_eq(rondo_timeout_enter(&timeout, RONDO_S(1)), 0);
    ck_assert_int_eq(rondo_timeout_leave(&timeout, 12), 12); /* what the stretch gave goes through */
    ck_assert_int_eq(rondo_timeout_leave(&timeout, 0), RONDO_EINVAL);
    (void) context;
    return 0;
}

START_TEST(test_timeout_misuse)
{
    begin();
    ck_assert_int_eq(run(leave_twice, NULL), 0);
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "wait_for");
    tcase_add_test(tcase, test_in_time);
    tcase_add_test(tcase, test_too_late);
    tcase_add_test(tcase, test_limits);
    tcase_add_test(tcase, test_zero_starts_nothing);
    tcase_add_test(tcase, test_refused_cancellation);
    tcase_add_test(tcase, test_cancelled);
    tcase_add_test(tcase, test_failure_in_time);
    tcase_add_test(tcase, test_bad_arguments);
    tcase_add_test(tcase, test_without_a_task);
    tcase_add_test(tcase, test_makes_no_tasks);
    tcase = support_case(suite, "shield");
    tcase_add_test(tcase, test_shield);
    tcase_add_test(tcase, test_shield_hands_on);
    tcase_add_test(tcase, test_shield_after_cancel_sees_the_error);
    tcase = support_case(suite, "timeout");
    tcase_add_test(tcase, test_timeout);
    tcase_add_test(tcase, test_timeout_misuse);
}

int main(void)
{
    return support_main("wait_for", add_cases);
}
