/* SPDX-License-Identifier: MIT */
/* Very many timers that are due in one pass: what a callback in their midst can do to the others. */
#include <string.h>

#include "support.h"

enum { DUE = 3000 };

static rondo_loop *loop;
static rondo_handle handles[DUE];
static int next; /* the timer that must come next */
static int released;

static void count_release(void *context)
{
    (void) context;
    released++;
}

/* One due at each tick, registered in the order of a random permutation. */
static void start_all(rondo_callback *callback)
{
    int order[DUE];
    unsigned state = 7;
    rondo_ns now = rondo_loop_time(loop);
    for (int i = 0; i < DUE; i++) {
        int j = (int) ((state = state * 1664525u + 1013904223u) >> 8) % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    next = released = 0;
    for (int i = 0; i < DUE; i++) {
        rondo_call call = { .size = sizeof call,
                            .callback = callback,
                            .context = (void *) (intptr_t) order[i],
                            .destroy = count_release,
                            .when = now + TICKS(order[i]) };
        ck_assert_int_eq(rondo_loop_call_timed(loop, &call, &handles[order[i]]), 0);
    }
    support_clock_advance(TICKS(DUE));
}

/* Every third one cancels its neighbour, moves nothing, and starts one that is due at once. */
static void meddle(void *context)
{
    int number = (int) (intptr_t) context;
    ck_assert_int_eq(number, next);
    next += number % 3 == 0 && number + 1 < DUE ? 2 : 1;
    if (number % 3 != 0 || number + 2 >= DUE)
        return;
    rondo_handle_cancel(&handles[number + 1]);
    ck_assert(rondo_handle_cancelled(&handles[number + 1]));
    ck_assert(!rondo_handle_cancelled(&handles[number + 2]));
    rondo_ns when = rondo_handle_when(&handles[number + 2]);
    ck_assert_int_eq(rondo_handle_rearm(&handles[number + 2], when + TICKS(9)), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_loop_call_at(loop, when, NULL, trace_word, "x"), 0);
}

START_TEST(test_meddling)
{
    loop = support_virtual_loop();
    start_all(meddle);
    support_run_passes(loop, 1);
    ck_assert_int_eq(next, DUE); /* TIM-15 */
    ck_assert_int_eq(released, DUE);
    ck_assert_str_eq(trace_text(), ""); /* TIM-13: what they started comes in the next pass */
    support_run_passes(loop, 1);
    ck_assert_uint_eq(strlen(trace_text()), 2 * DUE / 3 - 1);
    trace_clear();
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    rondo_loop_get_metrics(loop, &metrics);
    ck_assert_uint_eq(metrics.timers, DUE + DUE / 3);
    support_loop_end(loop);
}
END_TEST

/* A timer that is found due can no longer be moved, one that is not can, though it is started late. */
static void move_own(void *context)
{
    static rondo_handle late;
    next++;
    rondo_ns now = rondo_loop_time(loop);
    if (context)
        return;
    ck_assert_int_eq(rondo_loop_call_at(loop, now - TICKS(5), &late, trace_word, "late"), 0);
    ck_assert_int_eq(rondo_handle_rearm(&late, now + TICKS(50)), 0);
    ck_assert_int_eq(rondo_handle_rearm(&handles[DUE - 1], now), RONDO_EINVALIDSTATE);
}

START_TEST(test_moving)
{
    loop = support_virtual_loop();
    start_all(move_own);
    support_run_passes(loop, 2);
    ck_assert_int_eq(next, DUE);
    trace_is("");
    support_clock_advance(TICKS(50));
    support_run_passes(loop, 1);
    trace_is("late");
    support_loop_end(loop);
}
END_TEST

static void interrupt_often(void *context)
{
    ck_assert_int_eq((int) (intptr_t) context, next);
    if (++next % 1000 == 0)
        rondo_raise(RONDO_EINTERRUPTED, NULL);
}

START_TEST(test_interrupts)
{
    loop = support_virtual_loop();
    start_all(interrupt_often);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED); /* the rest stays queued, in order */
    ck_assert_int_eq(next, 1000);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "behind"), 0);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(next, 2000);
    trace_is("");
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(next, DUE);
    support_run_passes(loop, 1);
    trace_is("behind");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_others_are_due_before_they_have_run)
{
    loop = support_virtual_loop();
    start_all(interrupt_often);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    for (int i = 0; i < DUE; i++)
        ck_assert_int_eq(rondo_loop_call_later(loop, 0, NULL, count_release, NULL), 0);
    int before = released;
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(next, DUE);
    support_run_passes(loop, 2);
    ck_assert_int_eq(released - before, DUE - 1000 + DUE);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_closing)
{
    loop = support_virtual_loop();
    start_all(interrupt_often);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(next, 1000);
    ck_assert_int_eq(released, DUE); /* CALL-04: each once */
    support_loop_end(loop);
}
END_TEST

/* A timer that moves to and fro must not leave more and more behind. */
START_TEST(test_rearming_takes_no_memory)
{
    loop = support_virtual_loop();
    rondo_ns start = rondo_loop_time(loop) + RONDO_S(100);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(rondo_loop_call_at(loop, start, &handles[i], trace_word, "x"), 0);
    size_t before = support_bytes();
    for (int i = 0; i < 100000; i++)
        ck_assert_int_eq(rondo_handle_rearm(&handles[i % 100], start - TICKS(i)), 0);
    ck_assert_uint_le(support_bytes(), before + 16384);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "due");
    tcase_add_test(tcase, test_meddling);
    tcase_add_test(tcase, test_moving);
    tcase_add_test(tcase, test_interrupts);
    tcase_add_test(tcase, test_others_are_due_before_they_have_run);
    tcase_add_test(tcase, test_closing);
    tcase_add_test(tcase, test_rearming_takes_no_memory);
}

int main(void)
{
    return support_main("timers due", add_cases);
}
