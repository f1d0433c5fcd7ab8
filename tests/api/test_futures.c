/* SPDX-License-Identifier: MIT */
/* Futures: states, completion, callbacks, references, values that are owned. */
#include <string.h>

#include "support.h"

static rondo_loop *loop;
static rondo_future *future;

static void begin(void)
{
    loop = support_loop();
    future = rondo_future_new(loop);
    ck_assert_ptr_nonnull(future);
}

static void end(void)
{
    rondo_future_unref(future);
    support_loop_end(loop);
}

static void renew(void)
{
    rondo_future_unref(future);
    future = rondo_future_new(loop);
}

static void done(rondo_future *from, void *word)
{
    ck_assert(rondo_future_done(from));
    trace("%s", (const char *) word);
}

static void add(const char *word)
{
    ck_assert_int_eq(rondo_future_add_done_callback(future, done, (void *) word), 0);
}

/* --- states ----------------------------------------------------------------------------------- */

START_TEST(test_pending)
{
    begin();
    void *value = &value;
    const char *message = "untouched";
    /* FUT-01, FO-01 */
    ck_assert_ptr_eq(rondo_future_loop(future), loop);
    ck_assert(!rondo_future_done(future));
    ck_assert(!rondo_future_cancelled(future));
    ck_assert(!rondo_future_is_task(future));
    ck_assert_int_eq(rondo_future_result(future, &value), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_future_error(future, &message), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_future_take(future, &value), RONDO_EINVALIDSTATE);
    ck_assert_ptr_eq(value, &value);
    ck_assert_str_eq(message, "untouched");
    ck_assert_int_eq(rondo_err_class(RONDO_EINVALIDSTATE), RONDO_CLASS_INVALID_STATE);
    end();
}
END_TEST

START_TEST(test_result)
{
    begin();
    void *value = NULL;
    ck_assert_int_eq(rondo_future_set_result(future, &loop), 0);
    ck_assert(rondo_future_done(future)); /* FO-01 */
    ck_assert(!rondo_future_cancelled(future));
    ck_assert_int_eq(rondo_future_result(future, &value), 0);
    ck_assert_ptr_eq(value, &loop);
    ck_assert_int_eq(rondo_future_result(future, NULL), 0);
    ck_assert_int_eq(rondo_future_error(future, NULL), 0);
    /* FO-02, FO-03: done is done */
    ck_assert_int_eq(rondo_future_set_result(future, NULL), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_future_set_error(future, RONDO_EUSER, "late"), RONDO_EINVALIDSTATE);
    ck_assert(!rondo_future_cancel(future));
    value = NULL;
    ck_assert_int_eq(rondo_future_result(future, &value), 0);
    ck_assert_ptr_eq(value, &loop);
    end();
}
END_TEST

START_TEST(test_error)
{
    begin();
    const char *message = NULL;
    char text[] = "copied";
    ck_assert_int_eq(rondo_future_set_error(future, RONDO_ECONNRESET, text), 0);
    text[0] = 'X';
    ck_assert(rondo_future_done(future)); /* FO-01 */
    ck_assert_int_eq(rondo_future_error(future, &message), RONDO_ECONNRESET);
    ck_assert_str_eq(message, "copied");
    ck_assert_int_eq(rondo_future_result(future, NULL), RONDO_ECONNRESET);
    ck_assert_str_eq(rondo_last_error_message(), "copied");
    ck_assert_int_eq(rondo_future_set_result(future, NULL), RONDO_EINVALIDSTATE); /* FO-02 */
    ck_assert(!rondo_future_cancel(future));
    renew();
    ck_assert_int_eq(rondo_future_set_error(future, RONDO_EPIPE, NULL), 0);
    ck_assert_int_eq(rondo_future_error(future, &message), RONDO_EPIPE);
    ck_assert_str_eq(message, rondo_strerror(RONDO_EPIPE));
    end();
}
END_TEST

START_TEST(test_cancel)
{
    begin();
    ck_assert(rondo_future_cancel(future)); /* FO-03 */
    ck_assert(rondo_future_cancelled(future));
    ck_assert(rondo_future_done(future)); /* FO-01 */
    ck_assert_int_eq(rondo_future_result(future, NULL), RONDO_ECANCELLED);
    ck_assert_int_eq(rondo_future_error(future, NULL), RONDO_ECANCELLED);
    ck_assert(!rondo_future_cancel(future));
    ck_assert_int_eq(rondo_future_set_result(future, NULL), RONDO_EINVALIDSTATE); /* FO-02 */
    ck_assert_int_eq(rondo_future_set_error(future, RONDO_EUSER, NULL), RONDO_EINVALIDSTATE);
    end();
}
END_TEST

START_TEST(test_bad_arguments)
{
    begin();
    ck_assert_ptr_null(rondo_future_new(NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_set_error(future, 0, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_set_error(future, 3, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_set_error(future, RONDO_ECANCELLED, NULL), RONDO_ETYPE);
    ck_assert_int_eq(rondo_future_add_done_callback(future, NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_add_done_callback(NULL, done, NULL), RONDO_EINVAL);
    ck_assert_uint_eq(rondo_future_remove_done_callback(NULL, done, NULL), 0);
    ck_assert_int_eq(rondo_future_set_result(NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_set_error(NULL, RONDO_EUSER, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_result(NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_error(NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_future_take(NULL, NULL), RONDO_EINVAL);
    ck_assert(!rondo_future_cancel(NULL));
    ck_assert(!rondo_future_done(NULL));
    ck_assert(!rondo_future_cancelled(NULL));
    ck_assert(!rondo_future_is_task(NULL));
    ck_assert_ptr_null(rondo_future_loop(NULL));
    ck_assert_ptr_null(rondo_future_ref(NULL));
    rondo_future_unref(NULL);
    ck_assert(!rondo_future_done(future)); /* nothing changed */
    end();
}
END_TEST

/* --- callbacks -------------------------------------------------------------------------------- */

START_TEST(test_callbacks_are_queued)
{
    begin();
    add("a");
    add("b");
    add("a"); /* FO-05: the same one several times */
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "soon"), 0);
    ck_assert_int_eq(rondo_future_set_result(future, NULL), 0);
    add("late"); /* FO-04: on a done future, at once into the queue */
    trace_is("");
    support_run_passes(loop, 1);
    trace_is("soon a b a late");
    support_run_passes(loop, 1);
    trace_is("");
    end();
}
END_TEST

START_TEST(test_cancel_queues_callbacks)
{
    begin();
    add("a");
    rondo_future_cancel(future);
    trace_is("");
    support_run_passes(loop, 1);
    trace_is("a"); /* FO-03 */
    end();
}
END_TEST

static void other_done(rondo_future *from, void *word)
{
    done(from, word);
}

START_TEST(test_remove_callbacks)
{
    begin();
    add("a");
    add("b");
    add("a");
    ck_assert_int_eq(rondo_future_add_done_callback(future, other_done, "a"), 0);
    ck_assert_uint_eq(rondo_future_remove_done_callback(future, done, "c"), 0);
    static char a[] = "a"; /* another context with the same letters */
    ck_assert_uint_eq(rondo_future_remove_done_callback(future, done, a), 0);
    ck_assert_uint_eq(rondo_future_remove_done_callback(future, done, "a"), 2); /* FO-05 */
    ck_assert_uint_eq(rondo_future_remove_done_callback(future, done, "a"), 0);
    add("d");
    rondo_future_set_result(future, NULL);
    ck_assert_uint_eq(rondo_future_remove_done_callback(future, done, "d"), 0); /* FO-05: queued already */
    support_run_passes(loop, 1);
    trace_is("b a d");
    end();
}
END_TEST

static void remove_and_add(rondo_future *from, void *word)
{
    trace("%s", (const char *) word);
    ck_assert_uint_eq(rondo_future_remove_done_callback(from, done, "b"), 0);
    ck_assert_int_eq(rondo_future_add_done_callback(from, done, "c"), 0);
}

START_TEST(test_callbacks_that_act)
{
    begin();
    ck_assert_int_eq(rondo_future_add_done_callback(future, remove_and_add, "a"), 0);
    add("b");
    rondo_future_set_result(future, NULL);
    support_run_passes(loop, 1);
    trace_is("a b");
    support_run_passes(loop, 1);
    trace_is("c");
    end();
}
END_TEST

static void drop(rondo_future *from, void *context)
{
    (void) from;
    (void) context;
    rondo_future_unref(future);
    future = NULL;
}

START_TEST(test_borrowed_for_the_call)
{
    begin();
    rondo_future_add_done_callback(future, drop, NULL);
    add("after"); /* the future is still there for it */
    rondo_future_set_result(future, NULL);
    support_run_passes(loop, 1);
    trace_is("after");
    end();
}
END_TEST

START_TEST(test_released_while_callbacks_are_queued)
{
    begin();
    add("a");
    rondo_future_set_result(future, NULL);
    rondo_future_unref(future);
    future = NULL;
    support_run_passes(loop, 1);
    trace_is("a");
    end();
}
END_TEST

START_TEST(test_released_pending_with_callbacks)
{
    begin();
    add("never");
    rondo_future_unref(future);
    future = NULL;
    support_run_passes(loop, 1);
    trace_is("");
    end();
}
END_TEST

/* --- values ----------------------------------------------------------------------------------- */

START_TEST(test_owned_values)
{
    begin();
    void *value = NULL;
    ck_assert_int_eq(rondo_future_set_result_owned(future, "kept", trace_word), 0);
    ck_assert_int_eq(rondo_future_set_result_owned(future, "refused", trace_word), RONDO_EINVALIDSTATE);
    trace_is(""); /* refused: still the caller's */
    ck_assert_int_eq(rondo_future_result(future, &value), 0);
    ck_assert_str_eq(value, "kept"); /* borrowed */
    renew();
    trace_is("kept");
    ck_assert_int_eq(rondo_future_set_result_owned(future, "taken", trace_word), 0);
    ck_assert_int_eq(rondo_future_take(future, &value), 0);
    ck_assert_str_eq(value, "taken");
    ck_assert_int_eq(rondo_future_take(future, &value), 0);
    renew();
    trace_is("");
    ck_assert_int_eq(rondo_future_set_result_owned(future, "no destructor", NULL), 0);
    end();
    trace_is("");
}
END_TEST

START_TEST(test_references)
{
    begin();
    ck_assert_ptr_eq(rondo_future_ref(future), future);
    rondo_future_set_result_owned(future, "freed", trace_word);
    rondo_future_unref(future);
    trace_is("");
    rondo_future_unref(future);
    trace_is("freed");
    future = NULL;
    end();
}
END_TEST

/* --- closed loops ----------------------------------------------------------------------------- */

START_TEST(test_closed_loop)
{
    begin();
    rondo_future *watched = rondo_future_new(loop);
    rondo_future *cancelled = rondo_future_new(loop);
    ck_assert_int_eq(rondo_future_add_done_callback(watched, done, "never"), 0);
    ck_assert_int_eq(rondo_future_add_done_callback(cancelled, done, "never"), 0);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    rondo_future *late = rondo_future_new(loop); /* FUT-02 */
    ck_assert_ptr_nonnull(late);
    ck_assert_int_eq(rondo_future_set_result(late, NULL), 0);                /* nobody waits */
    ck_assert_int_eq(rondo_future_set_result(watched, NULL), RONDO_ECLOSED); /* FUT-02 */
    ck_assert_int_eq(rondo_future_set_error(watched, RONDO_EUSER, NULL), RONDO_ECLOSED);
    ck_assert(!rondo_future_done(watched));
    ck_assert(!rondo_future_cancel(cancelled));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert(!rondo_future_done(cancelled));
    ck_assert_int_eq(rondo_future_add_done_callback(late, done, "never"), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_future_add_done_callback(future, done, "never"), 0);
    rondo_future_unref(late);
    rondo_future_unref(watched);
    rondo_future_unref(cancelled);
    end();
    trace_is("");
}
END_TEST

START_TEST(test_closing_with_queued_callbacks)
{
    begin();
    add("never");
    rondo_future_set_result_owned(future, "freed", trace_word);
    ck_assert_int_eq(rondo_loop_close(loop), 0); /* RUN-26 */
    end();
    trace_is("freed");
}
END_TEST

enum { MANY = 10000 };

START_TEST(test_many_callbacks)
{
    begin();
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(rondo_future_add_done_callback(future, done, i % 100 ? "" : "x"), 0);
    ck_assert_uint_eq(rondo_future_remove_done_callback(future, done, ""), MANY - MANY / 100);
    rondo_future_set_result(future, NULL);
    support_run_passes(loop, 1);
    ck_assert_uint_eq(strlen(trace_text()), 2 * MANY / 100 - 1);
    trace_clear();
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "states");
    tcase_add_test(tcase, test_pending);
    tcase_add_test(tcase, test_result);
    tcase_add_test(tcase, test_error);
    tcase_add_test(tcase, test_cancel);
    tcase_add_test(tcase, test_bad_arguments);
    tcase = support_case(suite, "callbacks");
    tcase_add_test(tcase, test_callbacks_are_queued);
    tcase_add_test(tcase, test_cancel_queues_callbacks);
    tcase_add_test(tcase, test_remove_callbacks);
    tcase_add_test(tcase, test_callbacks_that_act);
    tcase_add_test(tcase, test_borrowed_for_the_call);
    tcase_add_test(tcase, test_released_while_callbacks_are_queued);
    tcase_add_test(tcase, test_released_pending_with_callbacks);
    tcase_add_test(tcase, test_many_callbacks);
    tcase = support_case(suite, "values");
    tcase_add_test(tcase, test_owned_values);
    tcase_add_test(tcase, test_references);
    tcase = support_case(suite, "closed loops");
    tcase_add_test(tcase, test_closed_loop);
    tcase_add_test(tcase, test_closing_with_queued_callbacks);
}

int main(void)
{
    return support_main("futures", add_cases);
}
