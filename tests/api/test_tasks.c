/* SPDX-License-Identifier: MIT */
/* Tasks: starting, awaiting, ending, factories, stacks, misuse. */
#include <math.h>
#include <string.h>

#include "support.h"

static rondo_loop *loop;

static rondo_task *start(rondo_coroutine *coroutine, void *context)
{
    rondo_task *task = rondo_create_task(loop, coroutine, context);
    ck_assert_ptr_nonnull(task);
    return task;
}

static int run(rondo_coroutine *coroutine, void *context)
{
    return rondo_loop_run_until_complete(loop, start(coroutine, context), NULL);
}

static int say(void *word)
{
    trace("%s", (const char *) word);
    return 0;
}

/* --- starting --------------------------------------------------------------------------------- */

START_TEST(test_start)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "x"), 0);
    rondo_task *a = start(say, "a");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "y"), 0);
    rondo_task *b = start(say, "b");
    trace_is(""); /* TSK-01 */
    ck_assert(!rondo_future_done(a));
    ck_assert(rondo_future_is_task(a));
    ck_assert_ptr_eq(rondo_future_loop(a), loop);
    support_run_passes(loop, 1);
    trace_is("x a y b"); /* TSK-02 */
    ck_assert(rondo_future_done(a));
    rondo_future_unref(a);
    rondo_future_unref(b);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_bad_arguments)
{
    loop = support_loop();
    ck_assert_ptr_null(rondo_create_task(loop, NULL, NULL)); /* TSK-04 */
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_task(NULL, say, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    rondo_task_options options = { 0 };
    ck_assert_ptr_null(rondo_task_new(loop, &options, say, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    support_run_passes(loop, 1);
    trace_is("");
    rondo_future *plain = rondo_future_new(loop);
    ck_assert_uint_eq(rondo_task_cancelling(plain), 0); /* not a task: nothing to say */
    ck_assert_uint_eq(rondo_task_uncancel(plain), 0);
    ck_assert_str_eq(rondo_task_name(plain), "");
    ck_assert_uint_eq(rondo_task_cancelling(NULL), 0);
    ck_assert_ptr_null(rondo_task_current());
    rondo_future_unref(plain);
    rondo_loop_close(loop);
    ck_assert_ptr_null(rondo_create_task(loop, say, NULL)); /* TSK-03 */
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    support_loop_end(loop);
}
END_TEST

static rondo_task *expected_current;

static int check_current(void *context)
{
    ck_assert_ptr_eq(rondo_task_current(), expected_current);
    ck_assert_str_eq(rondo_task_name(rondo_task_current()), context);
    ck_assert_ptr_eq(rondo_loop_running(), loop);
    ck_assert_int_eq(rondo_yield(), 0);
    ck_assert_ptr_eq(rondo_task_current(), expected_current);
    return 0;
}

START_TEST(test_names_and_current)
{
    loop = support_loop();
    rondo_task_options options = { .size = sizeof options, .name = "worker" };
    expected_current = rondo_task_new(loop, &options, check_current, "worker");
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, expected_current, NULL), 0);
    expected_current = rondo_create_task(loop, check_current, "task");
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, expected_current, NULL), 0);
    ck_assert_ptr_null(rondo_task_current());
    support_loop_end(loop);
}
END_TEST

/* --- the factory ------------------------------------------------------------------------------ */

static rondo_future *made;

static rondo_future *factory(rondo_loop *from, rondo_coroutine *coroutine, void *context, void *user)
{
    ck_assert_ptr_eq(from, loop);
    trace("factory:%s", (const char *) user);
    made = rondo_task_new(from, NULL, coroutine, context);
    return made;
}

static rondo_future *plain_factory(rondo_loop *from, rondo_coroutine *coroutine, void *context, void *user)
{
    (void) coroutine;
    (void) context;
    (void) user;
    return rondo_future_new(from);
}

static rondo_future *failing_factory(rondo_loop *from, rondo_coroutine *coroutine, void *context, void *user)
{
    (void) from;
    (void) coroutine;
    (void) context;
    (void) user;
    rondo_raise(RONDO_EUSER - 4, "no more tasks");
    return NULL;
}

START_TEST(test_factory)
{
    loop = support_loop();
    void *user = NULL;
    ck_assert(rondo_loop_get_task_factory(loop, &user) == NULL); /* TSK-06 */
    ck_assert_int_eq(rondo_loop_set_task_factory(loop, factory, "mine"), 0);
    ck_assert(rondo_loop_get_task_factory(loop, &user) == factory);
    ck_assert_str_eq(user, "mine");
    rondo_task *task = start(say, "body");
    ck_assert_ptr_eq(task, made); /* TSK-05: unchanged */
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, task, NULL), 0);
    trace_is("factory:mine body");
    rondo_loop_set_task_factory(loop, plain_factory, NULL);
    rondo_future *future = start(say, "never");
    ck_assert(!rondo_future_is_task(future)); /* TSK-05: any future will do */
    support_run_passes(loop, 1);
    trace_is("");
    rondo_future_unref(future);
    rondo_loop_set_task_factory(loop, failing_factory, NULL);
    ck_assert_ptr_null(rondo_create_task(loop, say, "never")); /* TSK-08 */
    ck_assert_int_eq(rondo_last_error(), RONDO_EUSER - 4);
    ck_assert_str_eq(rondo_last_error_message(), "no more tasks");
    rondo_loop_set_task_factory(loop, NULL, "ignored");
    ck_assert(rondo_loop_get_task_factory(loop, NULL) == NULL); /* TSK-06 */
    ck_assert_int_eq(run(say, "default"), 0);
    trace_is("default");
    ck_assert_int_eq(rondo_loop_set_task_factory(NULL, factory, NULL), RONDO_EINVAL);
    support_loop_end(loop);
}
END_TEST

static void create_with_failing_factory(void *context)
{
    (void) context;
    ck_assert_ptr_null(rondo_create_task(loop, say, "never"));
    ck_assert_int_eq(rondo_last_error(), RONDO_EUSER - 4);
    trace("went on");
}

START_TEST(test_failing_factory_is_no_callback_failure)
{
    loop = support_loop();
    rondo_loop_set_task_factory(loop, failing_factory, NULL);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, create_with_failing_factory, NULL), 0);
    support_run_passes(loop, 1);
    trace_is("went on"); /* TSK-08: the error is create_task's, the callback did not fail */
    ck_assert_uint_eq(support_reports(), 0);
    support_loop_end(loop);
}
END_TEST

/* --- awaiting --------------------------------------------------------------------------------- */

static rondo_future *shared;

static int await_shared(void *word)
{
    void *value = NULL;
    trace("%s1", (const char *) word);
    int rc = rondo_await(rondo_future_ref(shared), &value);
    trace("%s2:%d:%s", (const char *) word, rc, value ? (const char *) value : "-");
    return rc;
}

START_TEST(test_waiters_in_order)
{
    loop = support_loop();
    shared = rondo_future_new(loop);
    rondo_task *tasks[] = { start(await_shared, "a"), start(await_shared, "b"), start(await_shared, "c") };
    support_run_passes(loop, 1);
    trace_is("a1 b1 c1");
    ck_assert_int_eq(rondo_future_set_result(shared, "v"), 0);
    trace_is(""); /* FO-07: never inside */
    support_run_passes(loop, 1);
    trace_is("a2:0:v b2:0:v c2:0:v"); /* FO-07 */
    rondo_task *late = start(await_shared, "d");
    support_run_passes(loop, 1);
    trace_is("d1 d2:0:v"); /* FO-07: done: it does not give way */
    for (size_t i = 0; i < 3; i++)
        rondo_future_unref(tasks[i]);
    rondo_future_unref(late);
    rondo_future_unref(shared);
    support_loop_end(loop);
}
END_TEST

static int await_failure(void *context)
{
    (void) context;
    int rc = rondo_await(rondo_future_ref(shared), NULL);
    ck_assert_int_eq(rc, RONDO_EUSER - 2);
    ck_assert_str_eq(rondo_last_error_message(), "the text");
    return rc;
}

START_TEST(test_errors_travel)
{
    loop = support_loop();
    shared = rondo_future_new(loop);
    rondo_task *task = start(await_failure, NULL);
    support_run_passes(loop, 1);
    rondo_future_set_error(shared, RONDO_EUSER - 2, "the text");
    const char *message = NULL;
    support_run_passes(loop, 1);
    ck_assert_int_eq(rondo_future_error(task, &message), RONDO_EUSER - 2);
    ck_assert_str_eq(message, "the text"); /* the message goes along */
    rondo_future_unref(task);
    rondo_future_unref(shared);
    support_loop_end(loop);
}
END_TEST

static int inner(void *context)
{
    rondo_task_set_value(context, trace_word);
    return 5;
}

static int outer(void *context)
{
    void *value = NULL;
    int rc = rondo_await(start(inner, context), &value);
    ck_assert_str_eq(value, context); /* taken out: ours */
    ck_assert_int_eq(rondo_await(start(inner, "dropped"), NULL), 5);
    trace_is("dropped");
    return rc;
}

START_TEST(test_values)
{
    loop = support_loop();
    ck_assert_int_eq(run(outer, "value"), 5); /* TO-01 */
    rondo_task *task = start(inner, "kept");
    support_run_passes(loop, 1);
    void *value = NULL;
    ck_assert_int_eq(rondo_future_result(task, &value), 5);
    ck_assert_str_eq(value, "kept");
    trace_is("");
    rondo_future_unref(task);
    trace_is("kept");
    support_loop_end(loop);
}
END_TEST

static int set_twice_then_fail(void *context)
{
    rondo_task_set_value("first", trace_word);
    rondo_task_set_value("second", trace_word);
    (void) context;
    return RONDO_EUSER;
}

START_TEST(test_values_nobody_wants)
{
    loop = support_loop();
    ck_assert_int_eq(run(set_twice_then_fail, NULL), RONDO_EUSER);
    trace_is("first second");
    support_loop_end(loop);
}
END_TEST

static int plain_call(void *word)
{
    trace("%s", (const char *) word);
    return 7;
}

static int call_plainly(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "next"), 0);
    ck_assert_int_eq(plain_call("called"), 7); /* TO-01: a plain call of its function gives no way */
    trace("on");
    ck_assert_int_eq(rondo_yield(), 0); /* TO-02 */
    trace("after");
    return 0;
}

START_TEST(test_giving_way)
{
    loop = support_loop();
    ck_assert_int_eq(run(call_plainly, NULL), 0);
    trace_is("called on next after");
    support_loop_end(loop);
}
END_TEST

/* --- misuse ----------------------------------------------------------------------------------- */

static rondo_loop *other_loop;

static int await_foreign(void *context)
{
    (void) context;
    rondo_future *foreign = rondo_future_new(other_loop);
    ck_assert_int_eq(rondo_await(rondo_future_ref(foreign), NULL), RONDO_EFOREIGN); /* FO-08 */
    ck_assert_int_eq(rondo_err_class(RONDO_EFOREIGN), RONDO_CLASS_RUNTIME);
    ck_assert(!rondo_future_done(foreign));
    rondo_future_set_result(foreign, NULL);
    rondo_future_unref(foreign);
    /* TO-12: itself */
    ck_assert_int_eq(rondo_await(rondo_future_ref(rondo_task_current()), NULL), RONDO_ESELF);
    ck_assert_int_eq(rondo_future_set_result(rondo_task_current(), NULL), RONDO_EBUSY);
    ck_assert_int_eq(rondo_err_class(RONDO_EBUSY), RONDO_CLASS_RUNTIME);
    ck_assert_int_eq(rondo_future_set_error(rondo_task_current(), RONDO_EUSER, NULL), RONDO_EBUSY);
    /* a call that could not begin */
    ck_assert_int_eq(rondo_await(rondo_create_task(loop, NULL, NULL), NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_await(rondo_create_task(NULL, say, NULL), NULL), RONDO_EINVAL);
    return 3;
}

START_TEST(test_misuse_inside)
{
    loop = support_loop();
    other_loop = support_loop();
    ck_assert_int_eq(run(await_foreign, NULL), 3);
    support_loop_end(other_loop);
    support_loop_end(loop);
}
END_TEST

static void await_in_a_callback(void *context)
{
    (void) context;
    rondo_future *future = rondo_future_new(loop);
    ck_assert_int_eq(rondo_await(rondo_future_ref(future), NULL), RONDO_ENOTASK);
    ck_assert_int_eq(rondo_yield(), RONDO_ENOTASK);
    ck_assert_int_eq(rondo_task_set_value(NULL, NULL), RONDO_ENOTASK);
    rondo_timeout timeout;
    ck_assert_int_eq(rondo_timeout_enter(&timeout, 1), RONDO_ENOTASK);
    ck_assert_int_eq(rondo_err_class(RONDO_ENOTASK), RONDO_CLASS_RUNTIME);
    ck_assert(!rondo_future_done(future));
    rondo_future_set_result(future, NULL);
    ck_assert_int_eq(rondo_await(future, NULL), RONDO_ENOTASK); /* also for a done one */
    trace("refused");
}

START_TEST(test_await_outside_of_a_task)
{
    loop = support_loop();
    await_in_a_callback(NULL);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, await_in_a_callback, NULL), 0);
    support_run_passes(loop, 1);
    trace_is("refused refused");
    support_loop_end(loop);
}
END_TEST

static void await_in_handler(rondo_loop *from, const rondo_exception_context *context, void *user)
{
    (void) from;
    (void) context;
    (void) user;
    ck_assert_int_eq(rondo_yield(), RONDO_ENOTASK);
    trace("handler");
}

static int call_handler(void *context)
{
    (void) context;
    rondo_exception_context report = RONDO_EXCEPTION_CONTEXT_INIT;
    report.message = "from a task";
    ck_assert_int_eq(rondo_loop_call_exception_handler(loop, &report), 0);
    ck_assert_int_eq(rondo_yield(), 0);
    return 0;
}

START_TEST(test_handler_inside_a_task_cannot_give_way)
{
    loop = support_loop();
    rondo_loop_set_exception_handler(loop, await_in_handler, NULL);
    ck_assert_int_eq(run(call_handler, NULL), 0);
    trace_is("handler");
    support_loop_end(loop);
}
END_TEST

/* --- stacks ----------------------------------------------------------------------------------- */

static int recurse(int depth)
{
    volatile char room[512];
    memset((void *) room, depth, sizeof room);
    int below = depth > 0 ? recurse(depth - 1) : rondo_yield();
    return below + (room[17] == (char) depth ? 1 : 1000000);
}

static int go_deep(void *context)
{
    return recurse((int) (intptr_t) context);
}

START_TEST(test_stacks)
{
    loop = support_loop();
    ck_assert_int_eq(run(go_deep, (void *) 40), 41); /* within the default of 64 KiB */
    rondo_task_options options = { .size = sizeof options, .stack_size = 2 * 1024 * 1024 };
    rondo_task *task = rondo_task_new(loop, &options, go_deep, (void *) 1000);
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, task, NULL), 1001);
    support_loop_end(loop);
    rondo_loop_options loop_options = RONDO_LOOP_OPTIONS;
    loop_options.task_stack_size = 1024 * 1024;
    loop = support_loop_with(&loop_options);
    ck_assert_int_eq(run(go_deep, (void *) 500), 501);
    support_loop_end(loop);
}
END_TEST

static int add_numbers(void *context)
{
    double *sum = context;
    for (int i = 0; i < 10; i++) {
        double own = *sum + 0.5;
        ck_assert_int_eq(rondo_yield(), 0);
        *sum = sqrt(own * own);
    }
    return 0;
}

enum { MANY = 2000 };

START_TEST(test_many_at_once)
{
    loop = support_loop();
    static double sums[MANY];
    static rondo_task *tasks[MANY];
    for (int i = 0; i < MANY; i++) {
        sums[i] = i;
        tasks[i] = start(add_numbers, &sums[i]); /* each keeps its registers and its stack */
    }
    support_run_passes(loop, 12);
    for (int i = 0; i < MANY; i++) {
        ck_assert(rondo_future_done(tasks[i]));
        ck_assert(fabs(sums[i] - (i + 5.0)) < 1e-9);
        rondo_future_unref(tasks[i]);
    }
    support_loop_end(loop);
}
END_TEST

static int chain(void *context)
{
    intptr_t depth = (intptr_t) context;
    if (depth == 0)
        return 1;
    int rc = rondo_await(start(chain, (void *) (depth - 1)), NULL);
    return rc < 0 ? rc : rc + 1;
}

START_TEST(test_long_chain)
{
    loop = support_loop();
    ck_assert_int_eq(run(chain, (void *) 1000), 1001); /* TO-01 */
    support_loop_end(loop);
}
END_TEST

static int spawn_and_forget(void *context)
{
    intptr_t left = (intptr_t) context;
    if (left > 0)
        rondo_future_unref(start(spawn_and_forget, (void *) (left - 1)));
    else
        rondo_loop_stop(loop);
    return 0;
}

START_TEST(test_unreferenced_tasks_live_on)
{
    loop = support_loop();
    rondo_future_unref(start(spawn_and_forget, (void *) 5000));
    support_run(loop);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "starting");
    tcase_add_test(tcase, test_start);
    tcase_add_test(tcase, test_bad_arguments);
    tcase_add_test(tcase, test_names_and_current);
    tcase_add_test(tcase, test_factory);
    tcase_add_test(tcase, test_failing_factory_is_no_callback_failure);
    tcase = support_case(suite, "awaiting");
    tcase_add_test(tcase, test_waiters_in_order);
    tcase_add_test(tcase, test_errors_travel);
    tcase_add_test(tcase, test_values);
    tcase_add_test(tcase, test_values_nobody_wants);
    tcase_add_test(tcase, test_giving_way);
    tcase = support_case(suite, "misuse");
    tcase_add_test(tcase, test_misuse_inside);
    tcase_add_test(tcase, test_await_outside_of_a_task);
    tcase_add_test(tcase, test_handler_inside_a_task_cannot_give_way);
    tcase = support_case(suite, "stacks");
    tcase_add_test(tcase, test_stacks);
    tcase_add_test(tcase, test_many_at_once);
    tcase_add_test(tcase, test_long_chain);
    tcase_add_test(tcase, test_unreferenced_tasks_live_on);
}

int main(void)
{
    return support_main("tasks", add_cases);
}
