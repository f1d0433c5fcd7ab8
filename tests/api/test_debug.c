/* SPDX-License-Identifier: MIT */
/* Debug mode: how it is switched on, calls from the wrong thread, slow callbacks. */
#include <string.h>

#include "support.h"

static rondo_loop *loop;

/* In debug mode, but for slow callbacks: the machine may be busy. */
static void begin(void)
{
    loop = support_loop();
    rondo_loop_set_debug(loop, true);
    rondo_loop_set_slow_callback_duration(loop, RONDO_S(1000));
}

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

static bool debug_of_a_new_loop(void)
{
    loop = support_loop();
    bool debug = rondo_loop_get_debug(loop);
    support_loop_end(loop);
    return debug;
}

START_TEST(test_switching)
{
    const char *names[] = { "RONDO_DEBUG", "PYTHONASYNCIODEBUG" };
    support_setenv(names[0], NULL);
    support_setenv(names[1], NULL);
    ck_assert(!debug_of_a_new_loop()); /* DBG-01 */
    for (int i = 0; i < 2; i++) {
        support_setenv(names[i], "1");
        ck_assert(debug_of_a_new_loop());
        support_setenv(names[i], "");
        ck_assert(!debug_of_a_new_loop());
        support_setenv(names[i], NULL);
    }
    loop = support_loop();
    rondo_loop_set_debug(loop, true);
    ck_assert(rondo_loop_get_debug(loop));
    rondo_loop_set_debug(loop, false);
    ck_assert(!rondo_loop_get_debug(loop));
    support_loop_end(loop);
    ck_assert(!rondo_loop_get_debug(NULL));
    rondo_loop_set_debug(NULL, true);
}
END_TEST

/* --- wrong thread ----------------------------------------------------------------------------- */

static int nothing(void *context)
{
    (void) context;
    return 0;
}

static void call_from_outside(void *context)
{
    rondo_handle handle = { .generation = 99 };
    rondo_call call = { .size = sizeof call, .callback = trace_word, .context = "never" };
    /* DBG-02, GEN-03: refused, nothing registered */
    ck_assert_int_eq(rondo_loop_call_soon(loop, &handle, trace_word, "never"), RONDO_ETHREAD);
    ck_assert_int_eq(rondo_loop_call_later(loop, 0, &handle, trace_word, "never"), RONDO_ETHREAD);
    ck_assert_int_eq(rondo_loop_call_at(loop, 0, &handle, trace_word, "never"), RONDO_ETHREAD);
    ck_assert_int_eq(rondo_loop_call(loop, &call, &handle), RONDO_ETHREAD);
    ck_assert_int_eq(rondo_loop_call_timed(loop, &call, &handle), RONDO_ETHREAD);
    ck_assert_ptr_null(rondo_create_task(loop, nothing, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ETHREAD);
    ck_assert_ptr_null(rondo_sleep(loop, 1));
    ck_assert_int_eq(rondo_last_error(), RONDO_ETHREAD);
    ck_assert_int_eq(rondo_err_class(RONDO_ETHREAD), RONDO_CLASS_RUNTIME);
    ck_assert_uint_eq(handle.generation, 99);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, stop, NULL), 0); /* never checked */
    (void) context;
}

static support_thread *thread;

static void start_thread(void *context)
{
    thread = support_thread_start(call_from_outside, context);
}

START_TEST(test_wrong_thread)
{
    begin();
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, start_thread, NULL), 0);
    support_run(loop);
    support_thread_join(thread);
    support_run_passes(loop, 1);
    trace_is("");
    support_loop_end(loop);
}
END_TEST

static void call_while_not_running(void *context)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, context), 0);
}

START_TEST(test_any_thread_while_not_running)
{
    begin();
    support_thread *other = support_thread_start(call_while_not_running, "from a thread");
    support_thread_join(other);
    support_run_passes(loop, 1); /* DBG-02: only while it runs */
    trace_is("from a thread");
    support_loop_end(loop);
}
END_TEST

static void run_debug_loop(void *context)
{
    rondo_loop *mine = context;
    ck_assert_int_eq(rondo_loop_call_soon(mine, NULL, trace_word, "here"), 0);
    support_run_passes(mine, 1);
}

START_TEST(test_the_thread_is_the_one_that_runs)
{
    begin();
    support_thread *other = support_thread_start(run_debug_loop, loop); /* made here, run there */
    support_thread_join(other);
    run_debug_loop(loop);
    trace_is("here here");
    support_loop_end(loop);
}
END_TEST

/* --- slow callbacks --------------------------------------------------------------------------- */

static void be_slow(void *context)
{
    support_pause(*(rondo_ns *) context);
}

static int be_slow_in_a_task(void *context)
{
    support_pause(*(rondo_ns *) context);
    return rondo_yield();
}

START_TEST(test_slow_callbacks)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_get_slow_callback_duration(loop), RONDO_MS(100)); /* DBG-03 */
    rondo_loop_set_slow_callback_duration(loop, RONDO_MS(5));
    ck_assert_int_eq(rondo_loop_get_slow_callback_duration(loop), RONDO_MS(5));
    rondo_ns span = RONDO_MS(6);
    rondo_call call = { .size = sizeof call, .callback = be_slow, .context = &span, .name = "the slow one" };
    ck_assert_int_eq(rondo_loop_call(loop, &call, NULL), 0);
    support_run_passes(loop, 1);
    ck_assert_uint_eq(support_log_lines(NULL), 0); /* not outside of debug mode */
    rondo_loop_set_debug(loop, true);
    ck_assert_int_eq(rondo_loop_call(loop, &call, NULL), 0);
    support_run_passes(loop, 1);
    ck_assert_uint_ge(support_log_lines("the slow one"), 1); /* DBG-03: with its description and duration */
    ck_assert_ptr_nonnull(strstr(support_log_last(), "seconds"));
    support_log_clear();
    rondo_task_options options = { .size = sizeof options, .name = "the slow task" };
    rondo_task *task = rondo_task_new(loop, &options, be_slow_in_a_task, &span);
    support_run_passes(loop, 2);
    ck_assert_uint_ge(support_log_lines("the slow task"), 1); /* DBG-03: each step by itself */
    rondo_future_unref(task);
    support_log_clear();
    rondo_loop_set_slow_callback_duration(loop, RONDO_S(100));
    ck_assert_int_eq(rondo_loop_call(loop, &call, NULL), 0);
    support_run_passes(loop, 1);
    ck_assert_uint_eq(support_log_lines(NULL), 0);
    ck_assert_int_eq(rondo_loop_get_slow_callback_duration(NULL), 0);
    rondo_loop_set_slow_callback_duration(NULL, 1);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "debug mode");
    tcase_add_test(tcase, test_switching);
    tcase_add_test(tcase, test_wrong_thread);
    tcase_add_test(tcase, test_any_thread_while_not_running);
    tcase_add_test(tcase, test_the_thread_is_the_one_that_runs);
    tcase_add_test(tcase, test_slow_callbacks);
}

int main(void)
{
    return support_main("debug", add_cases);
}
