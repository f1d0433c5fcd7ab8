/* SPDX-License-Identifier: MIT */
/* The loop of a thread: the running one, the one that is set, the one that is made. */
#include "support.h"

static rondo_loop *loop, *other;

static void check_inside(void *context)
{
    (void) context;
    ck_assert_ptr_eq(rondo_loop_running(), loop);
    ck_assert_ptr_eq(rondo_loop_current(), loop); /* POL-02: the running one comes first */
    ck_assert_int_eq(rondo_loop_set_current(other), 0);
    ck_assert_ptr_eq(rondo_loop_current(), loop);
    trace("inside");
}

static void raise_interrupt(void *context)
{
    (void) context;
    rondo_raise(RONDO_EINTERRUPTED, NULL);
}

START_TEST(test_running)
{
    loop = support_loop();
    other = support_loop();
    ck_assert_ptr_null(rondo_loop_running()); /* POL-01 */
    ck_assert_int_eq(rondo_last_error(), RONDO_ENOTRUNNING);
    ck_assert_int_eq(rondo_err_class(RONDO_ENOTRUNNING), RONDO_CLASS_RUNTIME);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, check_inside, NULL), 0);
    support_run_passes(loop, 1);
    trace_is("inside");
    ck_assert_ptr_null(rondo_loop_running());
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, raise_interrupt, NULL), 0);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_ptr_null(rondo_loop_running()); /* also after an error */
    ck_assert_ptr_eq(rondo_loop_current(), other);
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
    support_loop_end(loop);
    support_loop_end(other);
}
END_TEST

struct thread_check {
    rondo_loop *loop;
};

static void stop_running_loop(void *context)
{
    (void) context;
    rondo_loop_stop(rondo_loop_running());
}

static void check_thread(void *context)
{
    struct thread_check *check = context;
    ck_assert_ptr_null(rondo_loop_running()); /* POL-01: the main thread's run is not ours */
    ck_assert_ptr_null(rondo_loop_current()); /* POL-02: nothing is made for other threads */
    ck_assert_int_eq(rondo_last_error(), RONDO_ENOTRUNNING);
    rondo_loop *mine = support_loop();
    ck_assert_int_eq(rondo_loop_set_current(mine), 0);
    ck_assert_ptr_eq(rondo_loop_current(), mine);
    ck_assert_int_eq(rondo_loop_call_soon(mine, NULL, stop_running_loop, NULL), 0);
    support_run(mine); /* POL-01: loops of different threads run at the same time */
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
    support_loop_end(mine);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(check->loop, NULL, stop_running_loop, NULL), 0);
}

START_TEST(test_threads)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_set_current(loop), 0);
    struct thread_check check = { .loop = loop };
    support_thread *thread = support_thread_start(check_thread, &check);
    support_run(loop);
    support_thread_join(thread);
    ck_assert_ptr_eq(rondo_loop_current(), loop);
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_made_for_the_main_thread)
{
    support_setenv("RONDO_BACKEND", support_backend_name());
    rondo_loop *made = rondo_loop_current(); /* POL-02 */
    ck_assert_ptr_nonnull(made);
    ck_assert_ptr_eq(rondo_loop_current(), made);
    ck_assert_ptr_null(rondo_loop_running());
    ck_assert_int_eq(rondo_loop_backend(made), support_backend());
    ck_assert_int_eq(rondo_loop_call_soon(made, NULL, stop_running_loop, NULL), 0);
    support_run(made);
    ck_assert_int_eq(rondo_loop_set_current(made), 0); /* setting it again keeps it */
    ck_assert_ptr_eq(rondo_loop_current(), made);
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_set_current(loop), 0); /* frees the one that was made */
    ck_assert_ptr_eq(rondo_loop_current(), loop);
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0); /* does not free the program's own */
    ck_assert(!rondo_loop_is_closed(loop));
    made = rondo_loop_current();
    ck_assert_ptr_nonnull(made);
    ck_assert_ptr_ne(made, loop);
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
    support_setenv("RONDO_BACKEND", "no such thing");
    ck_assert_ptr_null(rondo_loop_current());
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    support_setenv("RONDO_BACKEND", NULL);
    support_loop_end(loop);
}
END_TEST

static void replace_while_running(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_loop_set_current(other), RONDO_ERUNNING);
    ck_assert_ptr_eq(rondo_loop_current(), loop);
    rondo_loop_stop(loop);
}

START_TEST(test_made_one_is_not_freed_while_it_runs)
{
    other = support_loop();
    support_setenv("RONDO_BACKEND", support_backend_name());
    loop = rondo_loop_current();
    support_setenv("RONDO_BACKEND", NULL);
    ck_assert_ptr_nonnull(loop);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, replace_while_running, NULL), 0);
    support_run(loop);
    ck_assert_ptr_eq(rondo_loop_current(), loop);
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
    support_loop_end(other);
}
END_TEST

START_TEST(test_freeing_the_set_one)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_set_current(loop), 0);
    support_loop_end(loop);
    support_setenv("RONDO_BACKEND", support_backend_name());
    rondo_loop *made = rondo_loop_current(); /* not the one that is gone */
    support_setenv("RONDO_BACKEND", NULL);
    ck_assert_ptr_nonnull(made);
    ck_assert(!rondo_loop_is_closed(made));
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "current");
    tcase_add_test(tcase, test_running);
    tcase_add_test(tcase, test_threads);
    tcase_add_test(tcase, test_made_for_the_main_thread);
    tcase_add_test(tcase, test_made_one_is_not_freed_while_it_runs);
    tcase_add_test(tcase, test_freeing_the_set_one);
}

int main(void)
{
    return support_main("current", add_cases);
}
