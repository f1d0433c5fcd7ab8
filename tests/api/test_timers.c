/* SPDX-License-Identifier: MIT */
/* Timers: the clock, the order, what a cancelled one costs. */
#include <stdlib.h>
#include <string.h>

#include "support.h"

static rondo_loop *loop;

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

static rondo_handle later(rondo_ns delay, rondo_callback *callback, void *context)
{
    rondo_handle handle;
    ck_assert_int_eq(rondo_loop_call_later(loop, delay, &handle, callback, context), 0);
    return handle;
}

/* --- the clock -------------------------------------------------------------------------------- */

static void watch_the_clock(void *context)
{
    rondo_ns before = rondo_loop_time(loop);
    support_pause(RONDO_MS(2));
    ck_assert_int_ge(rondo_loop_time(loop) - before, RONDO_MS(2)); /* TIM-02: also inside a callback */
    (void) context;
}

START_TEST(test_time)
{
    loop = support_loop();
    rondo_ns last = rondo_loop_time(loop);
    for (int i = 0; i < 10000; i++) {
        rondo_ns now = rondo_loop_time(loop);
        ck_assert_int_ge(now, last); /* TIM-01 */
        last = now;
    }
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, watch_the_clock, NULL), 0);
    support_run_passes(loop, 1);
    support_loop_end(loop);
}
END_TEST

static rondo_ns invented = RONDO_S(7);

static rondo_ns invented_clock(void *context)
{
    ck_assert_ptr_eq(context, &invented);
    return invented;
}

START_TEST(test_own_clock)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.clock = invented_clock;
    options.clock_context = &invented;
    invented = RONDO_S(7);
    loop = support_loop_with(&options);
    ck_assert_int_eq(rondo_loop_time(loop), RONDO_S(7));
    rondo_handle handle = later(RONDO_S(3), trace_word, "due"); /* TIM-03 */
    ck_assert_int_eq(rondo_handle_when(&handle), RONDO_S(10));
    rondo_handle at;
    ck_assert_int_eq(rondo_loop_call_at(loop, RONDO_S(10) + 1, &at, trace_word, "late"), 0); /* TIM-04 */
    invented = RONDO_S(10) - 1;
    support_run_passes(loop, 1);
    trace_is(""); /* TIM-06: not one nanosecond early */
    invented = RONDO_S(10);
    support_run_passes(loop, 1);
    trace_is("due");
    invented++;
    support_run_passes(loop, 1);
    trace_is("late");
    support_run_passes(loop, 1);
    trace_is(""); /* TIM-05 */
    support_loop_end(loop);
}
END_TEST

struct alarm_check {
    rondo_ns deadline;
    int left;
};

static void check_alarm(void *context)
{
    struct alarm_check *check = context;
    rondo_ns now = rondo_loop_time(loop);
    ck_assert_int_ge(now, check->deadline); /* TIM-06 */
    if (--check->left == 0) {
        rondo_loop_stop(loop);
        return;
    }
    rondo_ns delay = RONDO_US(100) + 37 * check->left;
    check->deadline = rondo_loop_time(loop) + delay;
    later(delay, check_alarm, check);
}

START_TEST(test_never_early)
{
    loop = support_loop();
    struct alarm_check check = { rondo_loop_time(loop), 200 };
    later(0, check_alarm, &check);
    support_run(loop);
    /* TIM-07: waits are rounded up, so each timer cost a few passes, not a storm */
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    rondo_loop_get_metrics(loop, &metrics);
    ck_assert_uint_le(metrics.passes, 200 * 4);
    ck_assert_uint_ge(metrics.timers, 200);
    support_loop_end(loop);
}
END_TEST

/* --- order ------------------------------------------------------------------------------------ */

START_TEST(test_order)
{
    loop = support_virtual_loop();
    later(TICKS(3), trace_word, "c");
    later(TICKS(1), trace_word, "a");
    later(TICKS(2), trace_word, "b");
    later(TICKS(5), stop, NULL);
    support_run(loop); /* TIM-09 */
    trace_is("a b c");
    later(TICKS(3), trace_word, "c");
    later(TICKS(1), trace_word, "a");
    later(TICKS(2), trace_word, "b");
    support_clock_advance(TICKS(10));
    support_run_passes(loop, 1); /* TIM-08, TIM-09: all overdue, one pass */
    trace_is("a b c");
    later(-TICKS(1), trace_word, "b");
    later(0, trace_word, "c");
    later(-TICKS(2), trace_word, "a");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "soon"), 0);
    support_run_passes(loop, 1);
    trace_is("soon a b c"); /* TIM-11, TIM-12 */
    support_loop_end(loop);
}
END_TEST

static void spawn_due(void *context)
{
    trace("parent");
    later(0, trace_word, "child");
    later(-RONDO_S(100), trace_word, "old child");
    (void) context;
}

START_TEST(test_not_in_the_same_pass)
{
    loop = support_virtual_loop();
    later(0, spawn_due, NULL);
    later(-1, spawn_due, NULL);
    support_run_passes(loop, 1);
    trace_is("parent parent"); /* TIM-13 */
    support_run_passes(loop, 1);
    ck_assert_str_eq(trace_text(), "old child old child child child");
    trace_clear();
    support_loop_end(loop);
}
END_TEST

enum { MANY = 5000 };

static rondo_ns last_deadline;
static int fired;

static void check_order(void *context)
{
    rondo_ns deadline = (rondo_ns) (intptr_t) context;
    ck_assert_int_ge(deadline, last_deadline);
    last_deadline = deadline;
    fired++;
}

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

START_TEST(test_many_in_order)
{
    loop = support_virtual_loop();
    unsigned state = 42;
    static rondo_handle handles[MANY];
    bool is_cancelled[MANY] = { false };
    int expected = MANY;
    rondo_ns start = rondo_loop_time(loop);
    for (int i = 0; i < MANY; i++) {
        rondo_ns when = 1 + (rondo_ns) (next_random(&state) % 100000);
        void *context = (void *) (intptr_t) when;
        ck_assert_int_eq(rondo_loop_call_at(loop, start + when, &handles[i], check_order, context), 0);
    }
    for (int i = 0; i < MANY; i++) {
        is_cancelled[i] = next_random(&state) % 10 < 7;
        if (is_cancelled[i])
            rondo_handle_cancel(&handles[i]);
        expected -= is_cancelled[i];
    }
    fired = 0;
    last_deadline = 0;
    while (fired < expected) { /* TIM-17: the survivors, in order, each once; in steps and in heaps */
        support_clock_advance((rondo_ns) (next_random(&state) % 30000));
        support_run_passes(loop, 1);
    }
    support_clock_advance(RONDO_S(1));
    support_run_passes(loop, 1);
    ck_assert_int_eq(fired, expected);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(rondo_handle_cancelled(&handles[i]), is_cancelled[i]);
    support_loop_end(loop);
}
END_TEST

/* TIM-10: equal deadlines are not ordered, but all of them fire. */
START_TEST(test_equal_deadlines)
{
    loop = support_virtual_loop();
    fired = 0;
    last_deadline = 0;
    for (int i = 0; i < 300; i++)
        later(TICKS(1), check_order, (void *) (intptr_t) 1);
    support_clock_advance(TICKS(1));
    support_run_passes(loop, 1);
    ck_assert_int_eq(fired, 300);
    support_loop_end(loop);
}
END_TEST

/* --- far away --------------------------------------------------------------------------------- */

START_TEST(test_any_delay)
{
    loop = support_virtual_loop();
    rondo_ns delays[] = { RONDO_FOREVER, RONDO_FOREVER - 1, RONDO_S(86400) * 365 * 200, RONDO_S(86400) + 1 };
    rondo_handle handles[4];
    for (int i = 0; i < 4; i++)
        handles[i] = later(delays[i], trace_word, "never"); /* TIM-14 */
    ck_assert_int_eq(rondo_handle_when(&handles[0]), RONDO_FOREVER);
    later(INT64_MIN, trace_word, "first");
    ck_assert_int_eq(rondo_loop_call_at(loop, INT64_MIN, NULL, trace_word, "first"), 0);
    later(TICKS(2), stop, NULL);
    support_run(loop);
    trace_is("first first");
    for (int i = 0; i < 4; i++)
        rondo_handle_cancel(&handles[i]);
    later(RONDO_FOREVER, trace_word, "never");
    support_clock_advance(RONDO_S(86400) * 365 * 100);
    support_run_passes(loop, 2);
    trace_is("");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancelled_timer_wakes_nothing)
{
    loop = support_loop();
    rondo_handle head = later(RONDO_MS(5), trace_word, "never");
    later(RONDO_MS(40), stop, NULL);
    rondo_handle_cancel(&head);
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    support_run(loop);
    rondo_loop_get_metrics(loop, &metrics);
    ck_assert_uint_le(metrics.waits, 2); /* TIM-16: it slept through */
    trace_is("");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_many_cancelled)
{
    loop = support_loop();
    later(RONDO_S(1), trace_word, "alive");
    size_t before = support_bytes();
    for (int i = 0; i < 200000; i++) {
        rondo_handle handle = later(RONDO_S(60) + i, trace_word, "never");
        rondo_handle_cancel(&handle);
    }
    ck_assert_uint_le(support_bytes(), before + 64 * 1024); /* TIM-17: they do not pile up */
    support_loop_end(loop);
}
END_TEST

static rondo_handle victims[3];

static void cancel_victims(void *context)
{
    trace("cancel");
    for (int i = 0; i < 3; i++)
        rondo_handle_cancel(&victims[i]);
    (void) context;
}

START_TEST(test_cancel_in_the_same_pass)
{
    loop = support_virtual_loop();
    later(TICKS(1), cancel_victims, NULL);
    victims[0] = later(TICKS(2), trace_word, "a");
    victims[1] = later(TICKS(3), trace_word, "b");
    later(TICKS(4), trace_word, "c");
    ck_assert_int_eq(rondo_loop_call_soon(loop, &victims[2], trace_word, "d"), 0);
    support_clock_advance(TICKS(9));
    support_run_passes(loop, 1);
    trace_is("d cancel c"); /* TIM-15 */
    support_loop_end(loop);
}
END_TEST

/* --- rearm ------------------------------------------------------------------------------------ */

START_TEST(test_rearm)
{
    loop = support_virtual_loop();
    rondo_ns now = rondo_loop_time(loop);
    rondo_handle a = later(TICKS(1), trace_word, "a");
    rondo_handle b = later(TICKS(5), trace_word, "b");
    later(TICKS(3), trace_word, "c");
    ck_assert_int_eq(rondo_handle_rearm(&a, now + TICKS(4)), 0); /* later */
    ck_assert_int_eq(rondo_handle_rearm(&b, now + TICKS(2)), 0); /* earlier */
    ck_assert_int_eq(rondo_handle_when(&a), now + TICKS(4));
    for (int i = 0; i < 1000; i++) /* to and fro */
        ck_assert_int_eq(rondo_handle_rearm(&b, now + TICKS(2 + i % 7)), 0);
    ck_assert_int_eq(rondo_handle_rearm(&b, now + TICKS(2)), 0);
    later(TICKS(20), stop, NULL);
    support_run(loop);
    trace_is("b c a");
    rondo_handle soon;
    ck_assert_int_eq(rondo_loop_call_soon(loop, &soon, trace_word, "x"), 0);
    rondo_handle nothing = { 0 };
    ck_assert_int_eq(rondo_handle_rearm(&a, now), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_handle_rearm(&soon, now), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_handle_rearm(&nothing, now), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_handle_rearm(NULL, now), RONDO_EINVALIDSTATE);
    rondo_handle gone = later(TICKS(1), trace_word, "gone");
    rondo_handle_cancel(&gone);
    ck_assert_int_eq(rondo_handle_rearm(&gone, now), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_handle_when(&a), now + TICKS(4)); /* TIM-18: unchanged after firing */
    support_run_passes(loop, 1);
    trace_is("x");
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "clock");
    tcase_add_test(tcase, test_time);
    tcase_add_test(tcase, test_own_clock);
    tcase_add_test(tcase, test_never_early);
    tcase = support_case(suite, "order");
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_not_in_the_same_pass);
    tcase_add_test(tcase, test_many_in_order);
    tcase_add_test(tcase, test_equal_deadlines);
    tcase = support_case(suite, "far and cancelled");
    tcase_add_test(tcase, test_any_delay);
    tcase_add_test(tcase, test_cancelled_timer_wakes_nothing);
    tcase_add_test(tcase, test_many_cancelled);
    tcase_add_test(tcase, test_cancel_in_the_same_pass);
    tcase_add_test(tcase, test_rearm);
}

int main(void)
{
    return support_main("timers", add_cases);
}
