/* SPDX-License-Identifier: MIT */
/* A loop that polls for a while before it sleeps (options.spin_ns) does all that another does. */
#include "support.h"

static rondo_loop *loop;

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

static void begin(rondo_ns span)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.spin_ns = span;
    loop = support_loop_with(&options);
}

/* How often it has slept. */
static uint64_t waits(void)
{
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &metrics), 0);
    return metrics.waits;
}

static void run_for(rondo_ns delay)
{
    rondo_ns begun = rondo_loop_time(loop);
    ck_assert_int_eq(rondo_loop_call_later(loop, delay, NULL, stop, NULL), 0);
    support_run(loop);
    ck_assert_int_ge(rondo_loop_time(loop) - begun, delay); /* TIM-06 */
}

START_TEST(test_timers)
{
    begin(RONDO_S(3600));
    run_for(RONDO_MS(5));
    run_for(RONDO_US(100));
    ck_assert_uint_eq(waits(), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_sleeping_for_the_rest)
{
    begin(RONDO_MS(1));
    run_for(RONDO_MS(30));
    ck_assert_uint_ge(waits(), 1);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_off)
{
    begin(0);
    rondo_ns used = support_cpu_time();
    run_for(RONDO_MS(200));
    ck_assert_int_lt(support_cpu_time() - used, RONDO_MS(100));
    ck_assert_uint_ge(waits(), 1);
    support_loop_end(loop);
}
END_TEST

static void send_words(void *gate)
{
    support_gate_wait(gate);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, trace_word, "a"), 0);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, stop, NULL), 0);
}

static void open_gate(void *gate)
{
    support_gate_open(gate);
}

/* CALL-06: whether it spins or sleeps when the call comes. */
START_TEST(test_calls_from_other_threads)
{
    const rondo_ns spans[] = { RONDO_S(3600), RONDO_US(50) };
    for (int i = 0; i < 2; i++) {
        begin(spans[i]);
        support_gate *gate = support_gate_new();
        support_thread *thread = support_thread_start(send_words, gate);
        ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, open_gate, gate), 0);
        support_run(loop);
        trace_is("a");
        support_thread_join(thread);
        support_gate_free(gate);
        support_loop_end(loop);
    }
}
END_TEST

START_TEST(test_what_is_queued_does_not_wait)
{
    begin(RONDO_S(3600));
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "a"), 0);
    support_run_passes(loop, 3);
    trace_is("a");
    rondo_loop_stop(loop);
    support_run(loop);
    support_loop_end(loop);
}
END_TEST

/* A clock that stands still while the loop is awake. */
static rondo_ns slow_clock(void *context)
{
    rondo_loop *const *place = context;
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    if (*place)
        rondo_loop_get_metrics(*place, &metrics);
    return RONDO_MS(1) * (rondo_ns) metrics.waits;
}

START_TEST(test_own_clock)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.spin_ns = RONDO_US(100);
    options.clock = slow_clock;
    options.clock_context = &loop;
    loop = NULL;
    loop = support_loop_with(&options);
    run_for(RONDO_MS(3));
    ck_assert_uint_ge(waits(), 3);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "spin");
    tcase_add_test(tcase, test_timers);
    tcase_add_test(tcase, test_sleeping_for_the_rest);
    tcase_add_test(tcase, test_off);
    tcase_add_test(tcase, test_calls_from_other_threads);
    tcase_add_test(tcase, test_what_is_queued_does_not_wait);
    tcase_add_test(tcase, test_own_clock);
}

int main(void)
{
    return support_main("spin", add_cases);
}
