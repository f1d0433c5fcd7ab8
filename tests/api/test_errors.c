/* SPDX-License-Identifier: MIT */
/* Errors that nobody waits for: the exception handler, its contexts, the default one; the table of codes. */
#include <string.h>

#include "support.h"

static rondo_loop *loop;

static void soon(rondo_callback *callback, void *context)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, callback, context), 0);
}

static void fail_with(void *message)
{
    ck_assert_int_eq(rondo_raise(RONDO_EUSER - 7, "%s", (const char *) message), RONDO_EUSER - 7);
}

/* --- the handler ------------------------------------------------------------------------------ */

static int user_data;

static void note(rondo_loop *from, const rondo_exception_context *context, void *user)
{
    ck_assert_ptr_eq(from, loop);
    ck_assert_ptr_eq(user, &user_data);
    ck_assert_uint_ge(context->size, sizeof *context);
    trace("%s", context->message);
}

START_TEST(test_set_and_get)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    ck_assert_int_eq(rondo_loop_new(&options, &loop), 0);
    void *user = &loop;
    ck_assert(rondo_loop_get_exception_handler(loop, &user) == NULL);              /* ERR-02 */
    ck_assert_int_eq(rondo_loop_set_exception_handler(loop, note, &user_data), 0); /* ERR-01, ERR-11 */
    ck_assert(rondo_loop_get_exception_handler(loop, &user) == note);
    ck_assert_ptr_eq(user, &user_data);
    ck_assert(rondo_loop_get_exception_handler(loop, NULL) == note);
    rondo_exception_context context = RONDO_EXCEPTION_CONTEXT_INIT;
    context.message = "called";
    ck_assert_int_eq(rondo_loop_call_exception_handler(loop, &context), 0);
    trace_is("called"); /* ERR-03: at once */
    ck_assert_int_eq(rondo_loop_set_exception_handler(loop, NULL, &user_data), 0);
    ck_assert(rondo_loop_get_exception_handler(loop, &user) == NULL); /* ERR-01 */
    ck_assert_uint_eq(support_log_lines(NULL), 0);
    ck_assert_int_eq(rondo_loop_call_exception_handler(loop, &context), 0);
    trace_is("");
    ck_assert_uint_eq(support_log_lines("called"), 1); /* ERR-03: the default one */
    ck_assert_int_eq(rondo_loop_set_exception_handler(NULL, note, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_exception_handler(NULL, &context), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_exception_handler(loop, NULL), RONDO_EINVAL);
    context.message = NULL; /* ERR-04: the message is required */
    ck_assert_int_eq(rondo_loop_call_exception_handler(loop, &context), RONDO_EINVAL);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_failing_callbacks)
{
    loop = support_loop();
    rondo_call named = {
        .size = sizeof named, .callback = fail_with, .context = "second", .name = "the second"
    };
    rondo_handle handle;
    soon(fail_with, "first");
    ck_assert_int_eq(rondo_loop_call(loop, &named, &handle), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, 0, NULL, fail_with, "third"), 0);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, fail_with, "fourth"), 0);
    soon(trace_word, "rest");
    support_run_passes(loop, 1); /* ERR-06: reported, and the others run */
    trace_is("rest");
    ck_assert_uint_eq(support_reports(), 4);
    const char *order[] = { "first", "second", "fourth", "third" };
    for (size_t i = 0; i < 4; i++) {
        const support_report *report = support_report_at(i);
        ck_assert_str_eq(report->error_message, order[i]);
        ck_assert_int_eq(report->context.error, RONDO_EUSER - 7);
        ck_assert(report->had_handle); /* ERR-06: message, exception, handle */
        ck_assert_ptr_eq(report->loop, loop);
        ck_assert_uint_gt(strlen(report->message), 0);
        ck_assert_ptr_null(report->context.future);
        ck_assert_ptr_null(report->context.transport);
        ck_assert_ptr_null(report->context.protocol);
        ck_assert(report->context.socket == RONDO_INVALID_SOCKET);
    }
    ck_assert_str_eq(support_report_at(1)->handle_name, "the second");
    support_loop_end(loop);
}
END_TEST

static void raise_twice(void *context)
{
    (void) context;
    rondo_raise(RONDO_EUSER, "one");
    rondo_raise(RONDO_EINVAL, NULL);
}

static void raise_nonsense(void *context)
{
    (void) context;
    ck_assert_int_lt(rondo_raise(12, "not negative"), 0);
}

START_TEST(test_raise)
{
    loop = support_loop();
    soon(raise_twice, NULL);
    soon(raise_nonsense, NULL);
    support_run_passes(loop, 1);
    ck_assert_uint_eq(support_reports(), 2);
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EINVAL); /* the last one counts */
    ck_assert_str_eq(support_report_at(0)->error_message, rondo_strerror(RONDO_EINVAL));
    ck_assert_int_eq(support_report_at(1)->context.error, RONDO_EFAILED);
    /* outside of a callback it is the thread's last error and nothing else */
    ck_assert_int_eq(rondo_raise(RONDO_EUSER, "%d%%", 100), RONDO_EUSER);
    ck_assert_int_eq(rondo_last_error(), RONDO_EUSER);
    ck_assert_str_eq(rondo_last_error_message(), "100%");
    support_run_passes(loop, 1);
    ck_assert_uint_eq(support_reports(), 2);
    support_loop_end(loop);
}
END_TEST

/* --- a handler that fails --------------------------------------------------------------------- */

static void broken(rondo_loop *from, const rondo_exception_context *context, void *user)
{
    (void) from;
    (void) user;
    trace("broken");
    ck_assert_str_eq(context->error_message, "first failure");
    rondo_raise(RONDO_EUSER - 9, "second failure");
}

START_TEST(test_broken_handler)
{
    loop = support_loop();
    rondo_loop_set_exception_handler(loop, broken, NULL);
    soon(fail_with, "first failure");
    soon(trace_word, "rest");
    support_run_passes(loop, 1); /* ERR-07: the loop survives */
    trace_is("broken rest");
    ck_assert_uint_ge(support_log_lines("second failure"), 1); /* the default one hears of both */
    ck_assert_uint_ge(support_log_lines("first failure"), 1);
    support_log_lines(NULL);
    soon(trace_word, "on");
    support_run_passes(loop, 1);
    trace_is("on");
    support_loop_end(loop);
}
END_TEST

static void deferring(rondo_loop *from, const rondo_exception_context *context, void *user)
{
    (void) user;
    rondo_loop_default_exception_handler(from, context);
}

START_TEST(test_default_handler)
{
    loop = support_loop();
    rondo_loop_set_exception_handler(loop, deferring, NULL);
    rondo_call named = {
        .size = sizeof named, .callback = fail_with, .context = "the reason", .name = "my callback"
    };
    ck_assert_int_eq(rondo_loop_call(loop, &named, NULL), 0);
    support_run_passes(loop, 1);
    ck_assert_uint_ge(support_log_lines("the reason"), 1); /* ERR-05 */
    ck_assert_uint_ge(support_log_lines("my callback"), 1);
    support_log_lines(NULL);
    support_log_clear();
    rondo_exception_context context = RONDO_EXCEPTION_CONTEXT_INIT;
    rondo_loop_default_exception_handler(loop, &context); /* ERR-05: a stock message where there is none */
    ck_assert_uint_eq(support_log_lines(NULL), 1);
    ck_assert_uint_gt(strlen(support_log_last()), 0);
    rondo_loop_default_exception_handler(NULL, &context);
    rondo_loop_default_exception_handler(loop, NULL);
    support_loop_end(loop);
}
END_TEST

static void log_word(rondo_log_level level, const char *line, void *user)
{
    trace("%d:%s:%s", (int) level, line, (const char *) user);
}

START_TEST(test_log_sink)
{
    loop = support_loop();
    rondo_loop_set_exception_handler(loop, NULL, NULL);
    rondo_exception_context context = RONDO_EXCEPTION_CONTEXT_INIT;
    context.message = "line";
    rondo_log_set_sink(log_word, "mine");
    rondo_loop_call_exception_handler(loop, &context);
    trace_is("3:line:mine");
    rondo_log_set_sink(NULL, NULL);
    rondo_loop_call_exception_handler(loop, &context);
    trace_is("");
    support_loop_end(loop);
}
END_TEST

static void handler_that_changes_things(rondo_loop *from, const rondo_exception_context *context, void *user)
{
    trace("%s", context->error_message);
    rondo_loop_set_exception_handler(from, support_record, user);
    ck_assert_int_eq(rondo_loop_call_soon(from, NULL, trace_word, "from handler"), 0);
    rondo_loop_stop(from);
}

START_TEST(test_handler_may_act)
{
    loop = support_loop();
    rondo_loop_set_exception_handler(loop, handler_that_changes_things, NULL);
    soon(fail_with, "a");
    soon(fail_with, "b");
    support_run(loop);
    trace_is("a");
    ck_assert_uint_eq(support_reports(), 1);
    support_run_passes(loop, 1);
    trace_is("from handler");
    support_loop_end(loop);
}
END_TEST

/* --- errors nobody looked at ------------------------------------------------------------------ */

START_TEST(test_unseen_future)
{
    loop = support_loop();
    rondo_future *future = rondo_future_new(loop);
    rondo_future *same = future;
    rondo_future_set_error(future, RONDO_EUSER, "lost");
    rondo_future_unref(future);
    ck_assert_uint_eq(support_reports(), 1); /* ERR-08 */
    ck_assert_str_eq(support_report_at(0)->error_message, "lost");
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EUSER);
    ck_assert_ptr_eq(support_report_at(0)->context.future, same);
    for (int way = 0; way < 4; way++) {
        future = rondo_future_new(loop);
        if (way == 0)
            ck_assert(rondo_future_cancel(future));
        else
            rondo_future_set_error(future, RONDO_EUSER, "seen");
        if (way == 1)
            rondo_future_result(future, NULL);
        if (way == 2)
            rondo_future_error(future, NULL);
        if (way == 3)
            rondo_loop_run_until_complete(loop, rondo_future_ref(future), NULL);
        rondo_future_unref(future);
        ck_assert_uint_eq(support_reports(), 1);
    }
    support_loop_end(loop);
}
END_TEST

static int fails(void *context)
{
    return rondo_raise(RONDO_EUSER - 1, "%s", (const char *) context);
}

START_TEST(test_unseen_task)
{
    loop = support_loop();
    rondo_task *task = rondo_create_task(loop, fails, "in a task");
    rondo_future_unref(task); /* it lives until it has returned */
    support_run_passes(loop, 2);
    ck_assert_uint_eq(support_reports(), 1); /* ERR-08 */
    ck_assert_str_eq(support_report_at(0)->error_message, "in a task");
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EUSER - 1);
    support_loop_end(loop);
}
END_TEST

static void fail_done(rondo_future *future, void *context)
{
    (void) future;
    fail_with(context);
}

static void say_done(rondo_future *future, void *context)
{
    (void) future;
    trace("%s", (const char *) context);
}

START_TEST(test_failing_done_callback)
{
    loop = support_loop();
    rondo_future *future = rondo_future_new(loop);
    rondo_future_add_done_callback(future, say_done, "a");
    rondo_future_add_done_callback(future, fail_done, "done failed");
    rondo_future_add_done_callback(future, say_done, "b");
    rondo_future_set_result(future, NULL);
    support_run_passes(loop, 1);
    trace_is("a b"); /* FO-06 */
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_str_eq(support_report_at(0)->error_message, "done failed");
    ck_assert_ptr_eq(support_report_at(0)->context.future, future);
    rondo_future_unref(future);
    support_loop_end(loop);
}
END_TEST

/* --- codes ------------------------------------------------------------------------------------ */

#define CHECK_CODE(name, value, class_name, text)            \
    ck_assert_int_eq(RONDO_##name, value);                   \
    ck_assert_str_eq(rondo_err_name(value), "RONDO_" #name); \
    ck_assert_str_eq(rondo_strerror(value), text);           \
    ck_assert_int_eq(rondo_err_class(value), RONDO_CLASS_##class_name);

START_TEST(test_codes)
{
    RONDO_ERRORS(CHECK_CODE)
    ck_assert_int_eq(rondo_err_class(0), RONDO_CLASS_NONE);
    ck_assert_int_eq(rondo_err_class(5), RONDO_CLASS_NONE);
    ck_assert_int_eq(rondo_err_class(RONDO_EUSER - 5), RONDO_CLASS_APPLICATION);
    ck_assert_ptr_nonnull(rondo_strerror(-5555));
    ck_assert_ptr_nonnull(rondo_err_name(-5555));
    ck_assert_ptr_nonnull(rondo_strerror(INT32_MIN));
    /* TO-11: a cancellation is not an ordinary error */
    ck_assert_int_eq(rondo_err_class(RONDO_ECANCELLED), RONDO_CLASS_CANCELLED);
}
END_TEST

START_TEST(test_last_error)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    /* calls that succeed leave it alone */
    rondo_future *future = rondo_future_new(loop);
    soon(trace_word, "x");
    support_run_passes(loop, 2);
    rondo_future_set_result(future, NULL);
    rondo_loop_run_until_complete(loop, future, NULL);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    trace_clear();
    support_loop_end(loop);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "handler");
    tcase_add_test(tcase, test_set_and_get);
    tcase_add_test(tcase, test_failing_callbacks);
    tcase_add_test(tcase, test_raise);
    tcase_add_test(tcase, test_broken_handler);
    tcase_add_test(tcase, test_default_handler);
    tcase_add_test(tcase, test_log_sink);
    tcase_add_test(tcase, test_handler_may_act);
    tcase = support_case(suite, "unseen");
    tcase_add_test(tcase, test_unseen_future);
    tcase_add_test(tcase, test_unseen_task);
    tcase_add_test(tcase, test_failing_done_callback);
    tcase = support_case(suite, "codes");
    tcase_add_test(tcase, test_codes);
    tcase_add_test(tcase, test_last_error);
}

int main(void)
{
    return support_main("errors", add_cases);
}
