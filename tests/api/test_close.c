/* SPDX-License-Identifier: MIT */
/* Closing and freeing a loop: what is dropped, what is released, what is refused from then on. */
#include <string.h>

#include "support.h"

static rondo_loop *loop;

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

static rondo_call call_with(rondo_callback *callback, void *context, rondo_destructor *destroy)
{
    return (rondo_call){
        .size = sizeof(rondo_call), .callback = callback, .context = context, .destroy = destroy
    };
}

START_TEST(test_is_closed)
{
    loop = support_loop();
    ck_assert(!rondo_loop_is_closed(loop)); /* RUN-24 */
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert(rondo_loop_is_closed(loop));
    ck_assert_int_eq(rondo_loop_close(loop), 0); /* RUN-28 */
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_ECLOSED);
    ck_assert(rondo_loop_is_closed(loop));
    ck_assert(!rondo_loop_is_running(loop));
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    ck_assert_int_eq(rondo_loop_free(NULL), 0);
    ck_assert_int_eq(rondo_loop_close(NULL), RONDO_EINVAL);
    ck_assert(!rondo_loop_is_closed(NULL));
}
END_TEST

static void close_inside(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_loop_close(loop), RONDO_ERUNNING); /* RUN-25 */
    ck_assert_int_eq(rondo_loop_free(loop), RONDO_ERUNNING);
    ck_assert(!rondo_loop_is_closed(loop));
    ck_assert(rondo_loop_is_running(loop));
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "works on"), 0);
}

START_TEST(test_close_while_running)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, close_inside, NULL), 0);
    support_run_passes(loop, 2);
    trace_is("works on");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_drops_calls)
{
    loop = support_loop();
    rondo_call soon = call_with(trace_word, "soon", trace_word);
    rondo_call safe = call_with(trace_word, "safe", trace_word);
    rondo_call timed = call_with(trace_word, "timed", trace_word);
    rondo_call cancelled = call_with(trace_word, "cancelled", trace_word);
    timed.when = rondo_loop_time(loop) + RONDO_S(1);
    rondo_handle handle, timer;
    ck_assert_int_eq(rondo_loop_call(loop, &soon, &handle), 0);
    ck_assert_int_eq(rondo_loop_call_timed(loop, &timed, &timer), 0);
    ck_assert_int_eq(rondo_loop_call_threadsafe(loop, &safe, NULL), 0);
    rondo_handle early;
    ck_assert_int_eq(rondo_loop_call(loop, &cancelled, &early), 0);
    rondo_handle_cancel(&early);
    trace_is("cancelled");
    ck_assert_int_eq(rondo_loop_close(loop),
                     0); /* RUN-26, CALL-04: none called, each context released once */
    const char *text = trace_text();
    ck_assert_ptr_nonnull(strstr(text, "soon"));
    ck_assert_ptr_nonnull(strstr(text, "timed"));
    ck_assert_ptr_nonnull(strstr(text, "safe"));
    ck_assert_uint_eq(strlen(text), strlen("soon timed safe"));
    trace_clear();
    rondo_handle_cancel(&handle); /* harmless after close */
    rondo_handle_cancel(&timer);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    trace_is("");
}
END_TEST

/* Contexts that are released may register again, which is refused, or cancel each other. */
static rondo_handle first, second;

static void cancel_others(void *word)
{
    trace("%s", (const char *) word);
    rondo_handle_cancel(&first);
    rondo_handle_cancel(&second);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "no"), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(rondo_loop_free(loop), RONDO_ERUNNING); /* not under the feet of who closes it */
}

START_TEST(test_destructors_that_act)
{
    loop = support_loop();
    rondo_call one = call_with(trace_word, "one", cancel_others);
    rondo_call two = call_with(trace_word, "two", cancel_others);
    two.when = rondo_loop_time(loop) + RONDO_S(5);
    ck_assert_int_eq(rondo_loop_call(loop, &one, &first), 0);
    ck_assert_int_eq(rondo_loop_call_timed(loop, &two, &second), 0);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    trace_is("one two");
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

static int nothing(void *context)
{
    (void) context;
    return 0;
}

START_TEST(test_closed_loop_refuses)
{
    loop = support_loop();
    rondo_future *future = rondo_future_new(loop);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    rondo_handle handle = { .generation = 77 };
    rondo_call call = call_with(trace_word, "x", trace_word);
    /* RUN-29, TSK-03: refused, nothing registered, the context still the caller's, no output */
    ck_assert_int_eq(rondo_loop_call_soon(loop, &handle, trace_word, "x"), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, &handle, trace_word, "x"), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_call_later(loop, 1, &handle, trace_word, "x"), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_call_at(loop, 1, &handle, trace_word, "x"), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_call(loop, &call, &handle), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_call_timed(loop, &call, &handle), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_call_threadsafe(loop, &call, &handle), RONDO_ECLOSED);
    ck_assert_uint_eq(handle.generation, 77);
    ck_assert_ptr_null(rondo_create_task(loop, nothing, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert_ptr_null(rondo_task_new(loop, NULL, nothing, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert_ptr_null(rondo_sleep(loop, 1));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert_ptr_null(rondo_gather(loop, &future, 1, false, NULL));
    ck_assert_ptr_null(rondo_wait(loop, &future, 1, RONDO_FOREVER, RONDO_WAIT_ALL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert_ptr_null(rondo_wait_for(rondo_future_ref(future), RONDO_S(1)));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_err_class(RONDO_ECLOSED), RONDO_CLASS_RUNTIME);
    trace_is("");
    rondo_future_unref(future);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

START_TEST(test_pending_things_are_released)
{
    loop = support_loop();
    /* whatever is pending when the loop goes is released with it: support_case counts the blocks */
    rondo_future *futures[] = { rondo_future_new(loop), rondo_future_new(loop) };
    rondo_future *gathered = rondo_gather(loop, futures, 2, false, NULL);
    rondo_future *nested = rondo_gather(loop, &gathered, 1, true, NULL);
    rondo_future *waited = rondo_wait(loop, futures, 2, RONDO_S(9), RONDO_WAIT_ALL);
    rondo_future *limited = rondo_wait_for(rondo_future_ref(futures[0]), RONDO_S(9));
    rondo_future *shielded = rondo_shield(rondo_future_ref(futures[1]));
    rondo_future *slept = rondo_sleep(loop, RONDO_S(9));
    rondo_future *yielded = rondo_sleep(loop, 0);
    support_run_passes(loop, 3);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    rondo_future *all[] = { futures[0], futures[1], gathered, nested, waited,
                            limited,    shielded,   slept,    yielded };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert_ptr_nonnull(all[i]);
        rondo_future_unref(all[i]);
    }
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    support_reports();
}
END_TEST

static int wait_long(void *context)
{
    trace("in");
    rondo_task_set_value("value", trace_word);
    rondo_await(rondo_sleep(loop, RONDO_S(3600)), NULL);
    trace("out");
    (void) context;
    return 0;
}

START_TEST(test_pending_task)
{
    loop = support_loop();
    rondo_task_options options = { .size = sizeof options, .name = "sleeper" };
    rondo_task *task = rondo_task_new(loop, &options, wait_long, NULL);
    rondo_task *unstarted;
    support_run_passes(loop, 1);
    unstarted = rondo_create_task(loop, wait_long, NULL);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    trace_is("in value");                    /* RUN-26: what the task had set as its value is released too */
    ck_assert_uint_eq(support_reports(), 2); /* ERR-09 */
    ck_assert_ptr_eq(support_report_at(0)->context.task, task);
    ck_assert_ptr_nonnull(strstr(support_report_at(0)->message, "pending"));
    rondo_future_unref(task);
    rondo_future_unref(unstarted);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

static void run_and_close_many(int count)
{
    for (int i = 0; i < count; i++) {
        loop = support_loop();
        rondo_loop_call_soon_threadsafe(loop, NULL, stop, NULL);
        support_run(loop);
        support_loop_end(loop);
    }
}

START_TEST(test_many_loops)
{
    run_and_close_many(300); /* RUN-30, CALL-11: more than a process may have descriptors open at 4 each */
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "close");
    tcase_add_test(tcase, test_is_closed);
    tcase_add_test(tcase, test_close_while_running);
    tcase_add_test(tcase, test_close_drops_calls);
    tcase_add_test(tcase, test_destructors_that_act);
    tcase_add_test(tcase, test_closed_loop_refuses);
    tcase_add_test(tcase, test_pending_things_are_released);
    tcase_add_test(tcase, test_pending_task);
    tcase_add_test(tcase, test_many_loops);
}

int main(void)
{
    return support_main("close", add_cases);
}
