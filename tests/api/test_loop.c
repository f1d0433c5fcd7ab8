/* SPDX-License-Identifier: MIT */
/* Running and stopping: what a pass does, in which order, and when a run ends. */
#include <string.h>

#include "support.h"

static rondo_loop *loop;

static void begin(void)
{
    loop = support_loop();
}

static void end(void)
{
    support_loop_end(loop);
    loop = NULL;
}

static void soon(rondo_callback *callback, void *context)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, callback, context), 0);
}

static void later(rondo_ns delay, rondo_callback *callback, void *context)
{
    ck_assert_int_eq(rondo_loop_call_later(loop, delay, NULL, callback, context), 0);
}

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

/* --- passes ----------------------------------------------------------------------------------- */

static int countdown;

static void count_down(void *context)
{
    trace("%d", countdown);
    if (--countdown > 0)
        soon(count_down, context);
    else
        rondo_loop_stop(loop);
}

START_TEST(test_runs_until_stopped)
{
    begin();
    countdown = 3;
    soon(count_down, NULL);
    uint64_t before = support_passes(loop);
    support_run(loop); /* RUN-01: one pass for each generation, then the stop is seen */
    ck_assert_uint_eq(support_passes(loop) - before, 3);
    trace_is("3 2 1");
    end();
}
END_TEST

static void queue_more(void *context)
{
    trace("a");
    soon(trace_word, "b");
    later(0, trace_word, "timer");
    later(-RONDO_S(1), trace_word, "past");
    (void) context;
}

START_TEST(test_batch_is_a_snapshot)
{
    begin();
    soon(queue_more, NULL);
    soon(trace_word, "c");
    support_run_passes(loop, 1); /* RUN-04, TIM-13, CALL-03 */
    trace_is("a c");
    support_run_passes(loop, 1); /* RUN-05, TIM-12: what was queued, then the timers */
    trace_is("b past timer");
    support_run_passes(loop, 1);
    trace_is("");
    end();
}
END_TEST

static void requeue(void *context)
{
    trace("again");
    soon(requeue, context);
}

START_TEST(test_requeueing_starves_no_timer)
{
    begin();
    soon(requeue, NULL);
    later(0, trace_word, "timer");
    support_run_passes(loop, 3); /* RUN-06 */
    trace_is("again timer again again");
    end();
}
END_TEST

START_TEST(test_order_of_a_pass)
{
    begin();
    later(-1, trace_word, "timer");
    rondo_handle dropped;
    ck_assert_int_eq(rondo_loop_call_later(loop, -2, &dropped, trace_word, "dropped"), 0);
    rondo_handle_cancel(&dropped);
    soon(trace_word, "soon");
    support_run_passes(loop, 1); /* RUN-02 */
    trace_is("soon timer");
    end();
}
END_TEST

static uint64_t sleeps(void)
{
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    rondo_loop_get_metrics(loop, &metrics);
    return metrics.waits;
}

START_TEST(test_sleeps_only_when_idle)
{
    begin();
    /* RUN-03: a queue or a pending stop: no sleep */
    soon(trace_word, "a");
    support_run_passes(loop, 1);
    support_run_passes(loop, 1);
    soon(count_down, NULL);
    countdown = 2;
    support_run(loop);
    ck_assert_uint_eq(sleeps(), 0);
    trace_clear();
    support_run_passes(loop, 2);
    /* a timer: one sleep until it is due */
    rondo_ns begun = rondo_loop_time(loop);
    later(RONDO_MS(20), stop, NULL);
    support_run(loop);
    ck_assert_uint_ge(sleeps(), 1);
    ck_assert_int_ge(rondo_loop_time(loop) - begun, RONDO_MS(20));
    /* an overdue one: none */
    uint64_t before = sleeps();
    later(-RONDO_S(1), stop, NULL);
    support_run(loop);
    ck_assert_uint_eq(sleeps(), before);
    trace_clear();
    end();
}
END_TEST

static void send_stop(void *context)
{
    support_gate_wait(context);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, stop, NULL), 0);
}

START_TEST(test_sleeps_for_ever_without_timers)
{
    begin();
    support_gate *gate = support_gate_new();
    support_thread *thread = support_thread_start(send_stop, gate);
    support_gate_open(gate);
    support_run(loop); /* RUN-03: ends by the message alone */
    support_thread_join(thread);
    support_gate_free(gate);
    end();
}
END_TEST

/* --- stopping --------------------------------------------------------------------------------- */

START_TEST(test_stop_before_run)
{
    begin();
    soon(queue_more, NULL);
    later(0, trace_word, "due");
    later(RONDO_S(1000), trace_word, "not due");
    rondo_loop_stop(loop);
    support_run(loop); /* RUN-07 */
    trace_is("a due");
    support_run_passes(loop, 1);
    trace_is("b past timer");
    end();
}
END_TEST

static void stop_and_queue(void *context)
{
    trace("stop");
    rondo_loop_stop(loop);
    rondo_loop_stop(loop);
    soon(trace_word, "next");
    (void) context;
}

START_TEST(test_stop_while_running)
{
    begin();
    soon(trace_word, "a");
    soon(stop_and_queue, NULL);
    soon(trace_word, "b");
    support_run(loop); /* RUN-08 */
    trace_is("a stop b");
    soon(trace_word, "later");
    soon(stop, NULL);
    support_run(loop); /* RUN-09: kept, and first; RUN-10: two stops were one */
    trace_is("next later");
    end();
}
END_TEST

START_TEST(test_stop_is_used_up)
{
    begin();
    rondo_loop_stop(loop);
    rondo_loop_stop(loop);
    support_run(loop);
    countdown = 3;
    soon(count_down, NULL);
    support_run(loop); /* RUN-10: nothing is left of it */
    trace_is("3 2 1");
    end();
}
END_TEST

static void stop_from_thread(void *context)
{
    (void) context;
    rondo_loop_stop(NULL); /* harmless */
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, stop, NULL), 0);
}

START_TEST(test_stop_does_not_wake)
{
    begin();
    /* RUN-11: stop alone lets a timer take its time; through call_soon_threadsafe it ends the sleep */
    later(RONDO_S(3600), trace_word, "never");
    support_thread *thread = support_thread_start(stop_from_thread, NULL);
    support_run(loop);
    support_thread_join(thread);
    trace_is("");
    rondo_loop_close(loop);
    rondo_loop_stop(loop); /* RUN-11 */
    ck_assert(rondo_loop_is_closed(loop));
    end();
}
END_TEST

START_TEST(test_runs_again)
{
    loop = support_virtual_loop();
    later(TICKS(4), trace_word, "timer");
    for (int i = 0; i < 100; i++) {
        soon(trace_word, "x");
        support_run_passes(loop, 1); /* RUN-13 */
    }
    ck_assert_uint_eq(strlen(trace_text()), 2 * 100 - 1);
    trace_clear();
    later(TICKS(2), stop, NULL);
    support_run(loop);
    trace_is("");
    later(TICKS(3), stop, NULL);
    support_run(loop);
    trace_is("timer"); /* it lives on from one run to the next */
    end();
}
END_TEST

/* --- wrong states ----------------------------------------------------------------------------- */

static rondo_loop *other;

static void run_inside(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_ERUNNING);
    ck_assert(rondo_loop_is_running(loop));
    trace("same");
}

static void run_other_inside(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_loop_run_forever(other), RONDO_ERUNNING);
    ck_assert(!rondo_loop_is_running(other));
    ck_assert_ptr_eq(rondo_loop_running(), loop);
    rondo_future *future = rondo_future_new(other);
    ck_assert_int_eq(rondo_loop_run_until_complete(other, future, NULL), RONDO_ERUNNING);
    ck_assert(rondo_loop_is_running(loop));
    trace("other");
    soon(trace_word, "on");
}

START_TEST(test_nested_runs)
{
    begin();
    other = support_loop();
    soon(run_inside, NULL);       /* RUN-14 */
    soon(run_other_inside, NULL); /* RUN-15 */
    soon(trace_word, "rest");
    support_run_passes(loop, 2);
    trace_is("same other rest on");
    ck_assert_int_eq(rondo_err_class(RONDO_ERUNNING), RONDO_CLASS_RUNTIME);
    ck_assert_int_eq(rondo_loop_run_forever(NULL), RONDO_EINVAL);
    rondo_loop_close(loop);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_ECLOSED); /* RUN-14 */
    ck_assert(!rondo_loop_is_running(loop));
    support_loop_end(other);
    end();
}
END_TEST

static void check_running(void *context)
{
    (void) context;
    ck_assert(rondo_loop_is_running(loop));
}

static void interrupt(void *context)
{
    check_running(context);
    trace("interrupt");
    rondo_raise(RONDO_EINTERRUPTED, "Ctrl+C");
}

START_TEST(test_is_running)
{
    begin();
    ck_assert(!rondo_loop_is_running(loop));
    soon(check_running, NULL);
    soon(interrupt, NULL);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert(!rondo_loop_is_running(loop)); /* RUN-16: also after an error */
    soon(check_running, NULL);
    support_run_passes(loop, 1);
    ck_assert(!rondo_loop_is_running(loop));
    ck_assert(!rondo_loop_is_running(NULL));
    trace_is("interrupt");
    end();
}
END_TEST

START_TEST(test_interrupt)
{
    begin();
    soon(stop, NULL);
    soon(interrupt, NULL);
    soon(trace_word, "rest");
    /* RUN-23: at once, no report, nothing lost, the stop is gone */
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    trace_is("interrupt");
    ck_assert(!rondo_loop_is_closed(loop));
    soon(trace_word, "more");
    later(RONDO_MS(1), stop, NULL);
    support_run(loop); /* RUN-10: it does not end early */
    trace_is("rest more");
    ck_assert_uint_eq(support_reports(), 0);
    ck_assert_int_eq(rondo_err_class(RONDO_EINTERRUPTED), RONDO_CLASS_INTERRUPT);
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "passes");
    tcase_add_test(tcase, test_runs_until_stopped);
    tcase_add_test(tcase, test_batch_is_a_snapshot);
    tcase_add_test(tcase, test_requeueing_starves_no_timer);
    tcase_add_test(tcase, test_order_of_a_pass);
    tcase_add_test(tcase, test_sleeps_only_when_idle);
    tcase_add_test(tcase, test_sleeps_for_ever_without_timers);
    tcase = support_case(suite, "stopping");
    tcase_add_test(tcase, test_stop_before_run);
    tcase_add_test(tcase, test_stop_while_running);
    tcase_add_test(tcase, test_stop_is_used_up);
    tcase_add_test(tcase, test_stop_does_not_wake);
    tcase_add_test(tcase, test_runs_again);
    tcase = support_case(suite, "wrong states");
    tcase_add_test(tcase, test_nested_runs);
    tcase_add_test(tcase, test_is_running);
    tcase_add_test(tcase, test_interrupt);
}

int main(void)
{
    return support_main("loop", add_cases);
}
