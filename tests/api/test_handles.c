/* SPDX-License-Identifier: MIT */
/* Handles: values that name a call, whatever has become of it. */
#include "support.h"

static rondo_loop *loop;

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

START_TEST(test_every_call_gives_one)
{
    loop = support_loop();
    rondo_handle handles[4];
    /* HDL-01, CALL-05 */
    ck_assert_int_eq(rondo_loop_call_soon(loop, &handles[0], trace_word, "soon"), 0);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, &handles[1], trace_word, "safe"), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, 0, &handles[2], trace_word, "later"), 0);
    ck_assert_int_eq(rondo_loop_call_at(loop, 0, &handles[3], trace_word, "at"), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert(!rondo_handle_cancelled(&handles[i]));
        rondo_handle_cancel(&handles[i]); /* HDL-02 */
        ck_assert(rondo_handle_cancelled(&handles[i]));
        rondo_handle_cancel(&handles[i]);
    }
    support_run_passes(loop, 2);
    trace_is("");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancel_after_the_run)
{
    loop = support_loop();
    rondo_handle soon, timer;
    ck_assert_int_eq(rondo_loop_call_soon(loop, &soon, trace_word, "a"), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, 0, &timer, trace_word, "b"), 0);
    rondo_ns when = rondo_handle_when(&timer);
    support_run_passes(loop, 1);
    trace_is("a b");
    ck_assert(!rondo_handle_cancelled(&soon));
    rondo_handle_cancel(&soon); /* HDL-02: nothing happens ... */
    rondo_handle_cancel(&timer);
    ck_assert(rondo_handle_cancelled(&soon)); /* HDL-04: ... but it was called */
    ck_assert(rondo_handle_cancelled(&timer));
    ck_assert_int_eq(rondo_handle_when(&timer), when); /* TIM-18 */
    support_loop_end(loop);
}
END_TEST

START_TEST(test_a_late_cancel_hits_nobody_else)
{
    loop = support_loop();
    rondo_handle old;
    ck_assert_int_eq(rondo_loop_call_soon(loop, &old, trace_word, "old"), 0);
    support_run_passes(loop, 1);
    for (int i = 0; i < 200; i++) /* the slot is in use again, whichever it was */
        ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "n"), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, 0, NULL, trace_word, "timer"), 0);
    trace_clear();
    rondo_handle_cancel(&old);
    support_run_passes(loop, 1);
    size_t count = 0;
    for (const char *at = trace_text(); *at; at++)
        count += *at == 'n';
    ck_assert_uint_eq(count, 200);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

START_TEST(test_copies)
{
    loop = support_loop();
    rondo_handle handle;
    ck_assert_int_eq(rondo_loop_call_soon(loop, &handle, trace_word, "a"), 0);
    rondo_handle copy = handle;
    rondo_handle_cancel(&copy);
    ck_assert(rondo_handle_cancelled(&copy));
    rondo_handle_cancel(&handle);
    ck_assert(rondo_handle_cancelled(&handle));
    support_run_passes(loop, 1);
    trace_is("");
    ck_assert(rondo_handle_cancelled(&copy));
    support_loop_end(loop);
}
END_TEST

START_TEST(test_nothing_and_null)
{
    rondo_handle nothing = { 0 };
    rondo_handle_cancel(NULL);
    rondo_handle_cancel(&nothing);
    ck_assert(!rondo_handle_cancelled(NULL));
    ck_assert_int_eq(rondo_handle_when(NULL), 0);
    ck_assert_int_eq(rondo_handle_when(&nothing), 0);
}
END_TEST

static rondo_handle mutual[2];

static void cancel_other(void *context)
{
    int which = (int) (intptr_t) context;
    trace("%d", which);
    rondo_handle_cancel(&mutual[1 - which]);
}

START_TEST(test_mutual_cancel)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_call_soon(loop, &mutual[0], cancel_other, (void *) 0), 0);
    ck_assert_int_eq(rondo_loop_call_soon(loop, &mutual[1], cancel_other, (void *) 1), 0);
    support_run_passes(loop, 2);
    trace_is("0"); /* HDL-02: the second was queued in the same batch */
    ck_assert_int_eq(rondo_loop_call_later(loop, -2, &mutual[1], cancel_other, (void *) 1), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, -1, &mutual[0], cancel_other, (void *) 0), 0);
    support_run_passes(loop, 2);
    trace_is("1");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_after_close)
{
    loop = support_loop();
    rondo_handle soon, timer, safe;
    ck_assert_int_eq(rondo_loop_call_soon(loop, &soon, trace_word, "a"), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_S(1), &timer, stop, NULL), 0);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, &safe, trace_word, "b"), 0);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    rondo_handle_cancel(&soon);
    rondo_handle_cancel(&timer);
    rondo_handle_cancel(&safe);
    ck_assert(rondo_handle_cancelled(&soon));
    ck_assert(rondo_handle_cancelled(&safe));
    ck_assert_int_eq(rondo_handle_rearm(&timer, 0), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    trace_is("");
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "handles");
    tcase_add_test(tcase, test_every_call_gives_one);
    tcase_add_test(tcase, test_cancel_after_the_run);
    tcase_add_test(tcase, test_a_late_cancel_hits_nobody_else);
    tcase_add_test(tcase, test_copies);
    tcase_add_test(tcase, test_nothing_and_null);
    tcase_add_test(tcase, test_mutual_cancel);
    tcase_add_test(tcase, test_after_close);
}

int main(void)
{
    return support_main("handles", add_cases);
}
