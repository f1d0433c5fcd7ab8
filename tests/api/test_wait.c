/* SPDX-License-Identifier: MIT */
/* sleep, gather and wait. The order of events in many more combinations is compared with asyncio's by
 * tests/oracle. */
#include <string.h>

#include "support.h"

enum { MEMBERS = 3 };

static rondo_loop *loop;
static rondo_future *members[MEMBERS];

static void begin(void)
{
    loop = support_loop();
    for (int i = 0; i < MEMBERS; i++)
        members[i] = rondo_future_new(loop);
}

static void end(void)
{
    for (int i = 0; i < MEMBERS; i++)
        rondo_future_unref(members[i]);
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

/* --- sleep ------------------------------------------------------------------------------------ */

static int sleep_for(void *context)
{
    rondo_ns span = *(rondo_ns *) context;
    rondo_ns begun = rondo_loop_time(loop);
    ck_assert_int_eq(rondo_await(rondo_sleep(loop, span), NULL), 0);
    ck_assert_int_ge(rondo_loop_time(loop) - begun, span);
    trace("slept");
    return 0;
}

START_TEST(test_sleep)
{
    begin();
    rondo_ns span = RONDO_MS(5);
    ck_assert_int_eq(run(sleep_for, &span), 0); /* WAI-01 */
    trace_is("slept");
    rondo_ns spans[] = { 0, -1, INT64_MIN };
    for (int i = 0; i < 3; i++) {
        rondo_task *task = rondo_create_task(loop, sleep_for, &spans[i]);
        support_run_passes(loop, 1);
        trace_is("");
        support_run_passes(loop, 1);
        trace_is("slept"); /* WAI-01: exactly one pass */
        rondo_future_unref(task);
    }
    ck_assert_ptr_null(rondo_sleep(NULL, 1));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    end();
}
END_TEST

static int sleep_long(void *context)
{
    (void) context;
    return rondo_await(rondo_sleep(loop, RONDO_FOREVER), NULL);
}

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

START_TEST(test_cancelled_sleep_has_no_timer)
{
    begin();
    rondo_future *sleep = rondo_sleep(loop, RONDO_MS(10));
    rondo_future *dropped = rondo_sleep(loop, RONDO_MS(10));
    rondo_task *task = rondo_create_task(loop, sleep_long, NULL);
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancel(sleep));
    ck_assert(rondo_future_cancel(task));
    rondo_future_unref(dropped); /* nobody waits for it */
    ck_assert_int_eq(until(task), RONDO_ECANCELLED);
    ck_assert_int_eq(rondo_future_result(sleep, NULL), RONDO_ECANCELLED);
    ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_MS(30), NULL, stop, NULL), 0);
    support_run(loop);
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    rondo_loop_get_metrics(loop, &metrics);
    ck_assert_uint_eq(metrics.timers, 1); /* WAI-01: theirs are gone */
    rondo_future_unref(sleep);
    end();
}
END_TEST

/* --- gather ----------------------------------------------------------------------------------- */

START_TEST(test_gather_order)
{
    begin();
    rondo_outcome outcomes[MEMBERS + 1];
    rondo_future *given[] = { members[2], members[0], members[1], members[2] };
    rondo_future *gathered = rondo_gather(loop, given, 4, false, outcomes);
    rondo_future_set_result(members[0], "zero");
    rondo_future_set_result(members[1], "one");
    support_run_passes(loop, 2);
    ck_assert(!rondo_future_done(gathered));
    rondo_future_set_result(members[2], "two");
    ck_assert_int_eq(until(gathered), 0);
    const char *expected[] = { "two", "zero", "one", "two" }; /* WAI-07: by argument, repeated ones twice */
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(outcomes[i].code, 0);
        ck_assert_str_eq(outcomes[i].value, expected[i]);
    }
    end();
}
END_TEST

START_TEST(test_gather_of_nothing)
{
    begin();
    rondo_future *gathered = rondo_gather(loop, NULL, 0, false, NULL);
    ck_assert(rondo_future_done(gathered)); /* WAI-07 */
    ck_assert_int_eq(until(gathered), 0);
    gathered = rondo_gather(loop, members, 1, false, NULL); /* no place for outcomes */
    rondo_future_set_result(members[0], NULL);
    ck_assert_int_eq(until(gathered), 0);
    end();
}
END_TEST

static int answer(void *context)
{
    ck_assert_int_eq(rondo_yield(), 0);
    return (int) (intptr_t) context;
}

START_TEST(test_gather_tasks)
{
    begin();
    rondo_task *tasks[2];
    rondo_outcome outcomes[2];
    for (intptr_t i = 0; i < 2; i++)
        tasks[i] = rondo_create_task(loop, answer, (void *) (i + 40));
    ck_assert_int_eq(until(rondo_gather(loop, tasks, 2, false, outcomes)), 0);
    ck_assert_int_eq(outcomes[0].code, 40);
    ck_assert_int_eq(outcomes[1].code, 41);
    rondo_future_unref(tasks[0]);
    rondo_future_unref(tasks[1]);
    end();
}
END_TEST

START_TEST(test_gather_first_failure)
{
    begin();
    rondo_future *gathered = rondo_gather(loop, members, MEMBERS, false, NULL);
    rondo_future_set_error(members[1], RONDO_EUSER - 1, "first");
    ck_assert_int_eq(until(rondo_future_ref(gathered)), RONDO_EUSER - 1); /* WAI-08: at once */
    ck_assert_str_eq(rondo_last_error_message(), "first");
    ck_assert(!rondo_future_done(members[0])); /* the others go on */
    rondo_future_set_error(members[0], RONDO_EUSER - 2, "later");
    support_run_passes(loop, 1);
    ck_assert(!rondo_future_cancel(gathered)); /* WAI-12 */
    ck_assert(!rondo_future_done(members[2]));
    rondo_future_unref(gathered);
    end();
    ck_assert_uint_eq(support_reports(), 0); /* WAI-08: later errors count as seen */
}
END_TEST

START_TEST(test_gather_return_errors)
{
    begin();
    rondo_outcome outcomes[MEMBERS];
    rondo_future *gathered = rondo_gather(loop, members, MEMBERS, true, outcomes);
    rondo_future_set_error(members[0], RONDO_EUSER - 1, NULL);
    rondo_future_cancel(members[1]);
    rondo_future_set_result(members[2], "fine");
    ck_assert_int_eq(until(gathered), 0); /* WAI-09 */
    ck_assert_int_eq(outcomes[0].code, RONDO_EUSER - 1);
    ck_assert_int_eq(outcomes[1].code, RONDO_ECANCELLED);
    ck_assert_int_eq(outcomes[2].code, 0);
    ck_assert_str_eq(outcomes[2].value, "fine");
    end();
}
END_TEST

static int slow_to_end(void *context)
{
    int rc = rondo_await(rondo_future_ref(*(rondo_future **) context), NULL);
    ck_assert_int_eq(rondo_await(rondo_sleep(loop, RONDO_US(50)), NULL), 0);
    trace("ended");
    return rc;
}

START_TEST(test_gather_cancelled)
{
    for (int return_errors = 0; return_errors < 2; return_errors++) {
        begin();
        rondo_task *slow = rondo_create_task(loop, slow_to_end, &members[0]);
        rondo_future *given[] = { slow, members[1] };
        rondo_future *gathered = rondo_gather(loop, given, 2, return_errors, NULL);
        support_run_passes(loop, 1);
        ck_assert(rondo_future_cancel(gathered)); /* WAI-10 */
        ck_assert(rondo_future_cancelled(members[0]));
        ck_assert(rondo_future_cancelled(members[1]));
        support_run_passes(loop, 1);
        ck_assert_int_eq(rondo_future_done(gathered), !return_errors);
        ck_assert_int_eq(until(gathered), RONDO_ECANCELLED); /* with return_errors too */
        ck_assert_int_eq(until(rondo_future_ref(slow)), RONDO_ECANCELLED);
        trace_is("ended");
        rondo_future_unref(slow);
        end();
    }
}
END_TEST

START_TEST(test_gather_member_cancelled)
{
    begin();
    rondo_future *gathered = rondo_gather(loop, members, MEMBERS, false, NULL);
    rondo_future_cancel(members[1]);
    ck_assert_int_eq(until(rondo_future_ref(gathered)), RONDO_ECANCELLED);
    ck_assert(!rondo_future_cancelled(gathered)); /* WAI-11: an error, not its own cancellation */
    ck_assert(!rondo_future_done(members[0]));
    rondo_future_unref(gathered);
    end();
}
END_TEST

START_TEST(test_gather_cancel_with_all_done)
{
    begin();
    rondo_future *gathered = rondo_gather(loop, members, 1, false, NULL);
    rondo_future_set_result(members[0], NULL);
    ck_assert(!rondo_future_cancel(gathered)); /* WAI-12: not done itself, but every member is */
    ck_assert(!rondo_future_done(gathered));
    ck_assert_int_eq(until(gathered), 0);
    end();
}
END_TEST

START_TEST(test_gather_bad_arguments)
{
    begin();
    rondo_loop *other = support_loop();
    rondo_future *mixed[] = { members[0], rondo_future_new(other) };
    ck_assert_ptr_null(rondo_gather(loop, mixed, 2, false, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EOTHERLOOP); /* WAI-13 */
    rondo_future *holes[] = { members[0], NULL };
    ck_assert_ptr_null(rondo_gather(loop, holes, 2, false, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_gather(loop, NULL, 2, false, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_gather(NULL, members, 1, false, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    rondo_future_set_result(members[0], NULL);
    support_run_passes(loop, 1);
    rondo_future_unref(mixed[1]);
    support_loop_end(other);
    end();
}
END_TEST

/* --- wait ------------------------------------------------------------------------------------- */

struct wait_case {
    rondo_wait_until until;
    rondo_ns timeout;
    int result;
};

static int wait_for_members(void *context)
{
    struct wait_case *wait = context;
    wait->result = rondo_await(rondo_wait(loop, members, MEMBERS, wait->timeout, wait->until), NULL);
    trace("%d", wait->result);
    return wait->result;
}

START_TEST(test_wait_all)
{
    begin();
    struct wait_case wait = { RONDO_WAIT_ALL, RONDO_FOREVER, 0 };
    rondo_task *task = rondo_create_task(loop, wait_for_members, &wait);
    for (int i = 0; i < MEMBERS; i++) {
        support_run_passes(loop, 4);
        trace_is("");
        if (i == 1)
            rondo_future_set_error(members[i], RONDO_EUSER, "an error is a result");
        else
            rondo_future_set_result(members[i], NULL);
    }
    ck_assert_int_eq(until(task), MEMBERS); /* WAI-03, WAI-04: an error does not end it */
    rondo_future_result(members[1], NULL);
    trace_is("3");
    end();
}
END_TEST

START_TEST(test_wait_first)
{
    begin();
    struct wait_case wait = { RONDO_WAIT_FIRST, RONDO_FOREVER, 0 };
    rondo_task *task = rondo_create_task(loop, wait_for_members, &wait);
    support_run_passes(loop, 2);
    rondo_future_set_result(members[2], NULL);
    support_run_passes(loop, 1);
    rondo_future_cancel(members[0]); /* WAI-04: done by the time the waiter resumes */
    ck_assert_int_eq(until(task), 2);
    trace_is("2");
    ck_assert(!rondo_future_done(members[1]));
    end();
}
END_TEST

START_TEST(test_wait_first_failure)
{
    begin();
    struct wait_case wait = { RONDO_WAIT_FIRST_FAILURE, RONDO_FOREVER, 0 };
    rondo_task *task = rondo_create_task(loop, wait_for_members, &wait);
    support_run_passes(loop, 2);
    rondo_future_cancel(members[0]); /* WAI-04: no failure */
    support_run_passes(loop, 3);
    trace_is("");
    rondo_future_set_error(members[1], RONDO_EUSER, NULL);
    ck_assert_int_eq(until(task), 2);
    trace_is("2");
    rondo_future_result(members[1], NULL);
    end();
}
END_TEST

START_TEST(test_wait_timeout)
{
    begin();
    struct wait_case wait = { RONDO_WAIT_ALL, RONDO_MS(3), 0 };
    rondo_future_set_result(members[0], NULL);
    ck_assert_int_eq(run(wait_for_members, &wait), 1); /* WAI-03: no error, nothing cancelled */
    ck_assert(!rondo_future_done(members[1]));
    wait.timeout = 0;
    ck_assert_int_eq(run(wait_for_members, &wait), 1);
    wait.timeout = -5;
    ck_assert_int_eq(run(wait_for_members, &wait), 1);
    trace_is("1 1 1");
    end();
}
END_TEST

START_TEST(test_wait_cancelled)
{
    begin();
    struct wait_case wait = { RONDO_WAIT_ALL, RONDO_S(100), 0 };
    rondo_task *task = rondo_create_task(loop, wait_for_members, &wait);
    support_run_passes(loop, 2);
    ck_assert(rondo_future_cancel(task));
    ck_assert_int_eq(until(task), RONDO_ECANCELLED);
    for (int i = 0; i < MEMBERS; i++)
        ck_assert(!rondo_future_done(members[i])); /* WAI-06 */
    trace_is("-5");
    rondo_future_set_result(members[0], NULL);
    support_run_passes(loop, 2);
    end();
}
END_TEST

static int wait_for_repeated(void *context)
{
    (void) context;
    rondo_future *twice[] = { members[0], members[0], members[1] };
    return rondo_await(rondo_wait(loop, twice, 3, RONDO_FOREVER, RONDO_WAIT_ALL), NULL);
}

START_TEST(test_wait_arguments)
{
    begin();
    rondo_loop *other = support_loop();
    rondo_future *foreign = rondo_future_new(other);
    ck_assert_ptr_null(rondo_wait(loop, members, 0, RONDO_FOREVER, RONDO_WAIT_ALL)); /* WAI-05 */
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_wait(loop, NULL, 1, RONDO_FOREVER, RONDO_WAIT_ALL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_wait(loop, members, 1, RONDO_FOREVER, (rondo_wait_until) 9));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_wait(loop, &foreign, 1, RONDO_FOREVER, RONDO_WAIT_ALL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EOTHERLOOP);
    rondo_future *holes[] = { members[0], NULL };
    ck_assert_ptr_null(rondo_wait(loop, holes, 2, RONDO_FOREVER, RONDO_WAIT_ALL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    rondo_future_set_result(members[0], NULL);
    rondo_future_set_result(members[1], NULL);
    ck_assert_int_eq(run(wait_for_repeated, NULL), 2); /* WAI-05: counts once */
    rondo_future_unref(foreign);
    support_loop_end(other);
    end();
}
END_TEST

/* Outside of a task a wait is a future like any other. */
START_TEST(test_wait_without_a_task)
{
    begin();
    rondo_future *waiting = rondo_wait(loop, members, MEMBERS, RONDO_FOREVER, RONDO_WAIT_FIRST);
    rondo_future_set_result(members[1], NULL);
    ck_assert_int_eq(until(waiting), 1);
    waiting = rondo_wait(loop, members, MEMBERS, RONDO_FOREVER, RONDO_WAIT_ALL);
    rondo_future_unref(waiting); /* it goes on by itself, and ends with the loop */
    support_run_passes(loop, 2);
    end();
}
END_TEST

enum { MANY = 3000 };

START_TEST(test_many_members)
{
    begin();
    static rondo_future *many[MANY];
    static rondo_outcome outcomes[MANY];
    for (int i = 0; i < MANY; i++)
        many[i] = rondo_future_new(loop);
    rondo_future *gathered = rondo_gather(loop, many, MANY, false, outcomes);
    rondo_future *waiting = rondo_wait(loop, many, MANY, RONDO_FOREVER, RONDO_WAIT_ALL);
    for (int i = MANY; i-- > 0;)
        rondo_future_set_result(many[i], &many[i]);
    ck_assert_int_eq(until(waiting), MANY);
    ck_assert_int_eq(until(gathered), 0);
    for (int i = 0; i < MANY; i++) {
        ck_assert_ptr_eq(outcomes[i].value, &many[i]);
        rondo_future_unref(many[i]);
    }
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "sleep");
    tcase_add_test(tcase, test_sleep);
    tcase_add_test(tcase, test_cancelled_sleep_has_no_timer);
    tcase = support_case(suite, "gather");
    tcase_add_test(tcase, test_gather_order);
    tcase_add_test(tcase, test_gather_of_nothing);
    tcase_add_test(tcase, test_gather_tasks);
    tcase_add_test(tcase, test_gather_first_failure);
    tcase_add_test(tcase, test_gather_return_errors);
    tcase_add_test(tcase, test_gather_cancelled);
    tcase_add_test(tcase, test_gather_member_cancelled);
    tcase_add_test(tcase, test_gather_cancel_with_all_done);
    tcase_add_test(tcase, test_gather_bad_arguments);
    tcase = support_case(suite, "wait");
    tcase_add_test(tcase, test_wait_all);
    tcase_add_test(tcase, test_wait_first);
    tcase_add_test(tcase, test_wait_first_failure);
    tcase_add_test(tcase, test_wait_timeout);
    tcase_add_test(tcase, test_wait_cancelled);
    tcase_add_test(tcase, test_wait_arguments);
    tcase_add_test(tcase, test_wait_without_a_task);
    tcase_add_test(tcase, test_many_members);
}

int main(void)
{
    return support_main("wait", add_cases);
}
