/* SPDX-License-Identifier: MIT */
/* Every allocation fails once.
 *
 * Each walk is a small program that uses the core and stands any RONDO_ENOMEM. It is run with its first
 * allocation failing, then with its second, and so on until none fails any more; and again with
 * everything failing from the nth one on. Whatever happens it must not crash, leak or hang, and what
 * fails says RONDO_ENOMEM. */
#include <stdio.h>
#include <string.h>

#include "support.h"

static rondo_loop *loop;

/* @rc is what a call that may be short of memory returned. True if it succeeded. */
static bool good(int rc)
{
    if (rc >= 0)
        return true;
    ck_assert_msg(rc == RONDO_ENOMEM, "%s: %s", rondo_err_name(rc), rondo_last_error_message());
    ck_assert(support_has_failed());
    return false;
}

/* The same for a call that returns a pointer. */
static bool there(const void *thing)
{
    return thing ? true : good(rondo_last_error());
}

static bool make_loop(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    options.allocator = &support_allocator;
    loop = NULL;
    if (!good(rondo_loop_new(&options, &loop))) {
        ck_assert_ptr_null(loop);
        return false;
    }
    rondo_loop_set_exception_handler(loop, support_record, NULL);
    return true;
}

static void end_loop(void)
{
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}

static void count(void *counter)
{
    ++*(int *) counter;
}

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

/* --- walks ------------------------------------------------------------------------------------ */

static void walk_loop(void)
{
    if (!make_loop())
        return;
    support_run_passes(loop, 2);
    end_loop();
}

static void walk_calls(void)
{
    if (!make_loop())
        return;
    int called = 0, expected = 0, released = 0;
    rondo_call call = { .size = sizeof call, .callback = count, .context = &called, .destroy = NULL };
    rondo_call kept = { .size = sizeof kept, .callback = count, .context = &released, .destroy = count };
    for (int i = 0; i < 600; i++)
        expected += good(rondo_loop_call_soon(loop, NULL, count, &called));
    for (int i = 0; i < 600; i++)
        expected += good(rondo_loop_call_threadsafe(loop, &call, NULL));
    for (int i = 0; i < 600; i++)
        expected += good(rondo_loop_call_later(loop, -1, NULL, count, &called));
    int owned = good(rondo_loop_call(loop, &kept, NULL));
    support_run_passes(loop, 1);
    ck_assert_int_eq(called, expected); /* exactly those that were taken */
    ck_assert_int_eq(released, 2 * owned);
    end_loop();
}

static void walk_timers(void)
{
    if (!make_loop())
        return;
    int called = 0, expected = 0;
    rondo_ns now = rondo_loop_time(loop);
    for (int i = 0; i < 500; i++) {
        rondo_handle handle = { 0 };
        bool taken = good(rondo_loop_call_at(loop, now - i % 7, &handle, count, &called));
        if (taken && i % 5 == 0)
            rondo_handle_cancel(&handle);
        else if (taken && i % 5 == 1)
            good(rondo_handle_rearm(&handle, now - 1000 - i)); /* earlier: a new entry */
        expected += taken && i % 5 != 0;
    }
    support_run_passes(loop, 2);
    ck_assert_int_eq(called, expected);
    end_loop();
}

static int futures_done;

static void on_done(rondo_future *future, void *context)
{
    (void) future;
    (void) context;
    futures_done++;
}

static void walk_futures(void)
{
    if (!make_loop())
        return;
    int expected = 0;
    futures_done = 0;
    rondo_future *future = rondo_future_new(loop);
    if (there(future)) {
        for (int i = 0; i < 3; i++)
            expected += good(rondo_future_add_done_callback(future, on_done, NULL));
        /* the text of an error may be lost to a shortage of memory, the error never */
        ck_assert_int_eq(rondo_future_set_error(future, RONDO_EUSER, "a text of its own"), 0);
        expected += good(rondo_future_add_done_callback(future, on_done, NULL));
        support_run_passes(loop, 1);
        const char *message = NULL;
        ck_assert_int_eq(rondo_future_error(future, &message), RONDO_EUSER);
        ck_assert_ptr_nonnull(message);
    }
    ck_assert_int_eq(futures_done, expected);
    rondo_future_unref(future);
    end_loop();
}

static int inner(void *context)
{
    (void) context;
    int rc = rondo_await(rondo_sleep(loop, RONDO_US(1)), NULL);
    return rc < 0 ? rc : 7;
}

static int outer(void *context)
{
    (void) context;
    rondo_task *task = rondo_create_task(loop, inner, NULL);
    if (!task)
        return rondo_last_error();
    int rc = rondo_await(task, NULL);
    if (rc < 0)
        return rc;
    return rondo_yield();
}

static void walk_tasks(void)
{
    if (!make_loop())
        return;
    for (int i = 0; i < 3; i++)
        good(rondo_loop_run_until_complete(loop, rondo_create_task(loop, outer, NULL), NULL));
    end_loop();
}

enum { MEMBERS = 3 };

/* Tasks to wait for; NULL where there was no memory. */
static bool make_members(rondo_task **tasks)
{
    bool all = true;
    for (int i = 0; i < MEMBERS; i++) {
        tasks[i] = rondo_create_task(loop, inner, NULL);
        all &= there(tasks[i]);
    }
    return all;
}

static void drop_members(rondo_task **tasks)
{
    for (int i = 0; i < MEMBERS; i++)
        rondo_future_unref(tasks[i]);
}

static void walk_gather(void)
{
    if (!make_loop())
        return;
    rondo_task *tasks[MEMBERS];
    rondo_outcome outcomes[MEMBERS];
    if (make_members(tasks)) {
        good(rondo_loop_run_until_complete(loop, rondo_gather(loop, tasks, MEMBERS, false, outcomes), NULL));
        good(rondo_loop_run_until_complete(loop, rondo_gather(loop, tasks, MEMBERS, true, NULL), NULL));
    }
    support_run_passes(loop, 2);
    drop_members(tasks);
    end_loop();
    support_reports(); /* tasks that failed for want of memory, or are pending */
}

static int wait_in_a_task(void *context)
{
    rondo_task **tasks = context;
    int rc = rondo_await(rondo_wait(loop, tasks, MEMBERS, RONDO_S(100), RONDO_WAIT_ALL), NULL);
    if (rc < 0)
        return rc;
    rc = rondo_await(rondo_wait_for(rondo_future_ref(tasks[0]), RONDO_S(100)), NULL);
    if (rc < 0)
        return rc;
    return rondo_await(rondo_shield(rondo_future_ref(tasks[1])), NULL);
}

static void walk_wait(void)
{
    if (!make_loop())
        return;
    rondo_task *tasks[MEMBERS];
    if (make_members(tasks)) {
        good(rondo_loop_run_until_complete(loop, rondo_create_task(loop, wait_in_a_task, tasks), NULL));
        good(
            rondo_loop_run_until_complete(loop, rondo_wait(loop, tasks, MEMBERS, 1, RONDO_WAIT_FIRST), NULL));
    }
    drop_members(tasks);
    end_loop();
    support_reports();
}

static int wait_too_long(void *context)
{
    (void) context;
    rondo_future *never = rondo_future_new(loop);
    if (!never)
        return rondo_last_error();
    int rc = rondo_await(rondo_wait_for(never, RONDO_US(1)), NULL);
    if (rc != RONDO_ETIMEDOUT)
        return rc;
    rondo_timeout timeout;
    rc = rondo_timeout_enter(&timeout, RONDO_US(1));
    if (rc < 0)
        return rc;
    rc = rondo_timeout_leave(&timeout, rondo_await(rondo_sleep(loop, RONDO_S(100)), NULL));
    return rc == RONDO_ETIMEDOUT ? 0 : rc;
}

static void walk_timeouts(void)
{
    if (!make_loop())
        return;
    good(rondo_loop_run_until_complete(loop, rondo_create_task(loop, wait_too_long, NULL), NULL));
    end_loop();
}

static int wait_until_cancelled(void *context)
{
    (void) context;
    rondo_future *never = rondo_future_new(loop);
    if (!never)
        return rondo_last_error();
    return rondo_await(rondo_wait_for(rondo_shield(never), RONDO_S(100)), NULL);
}

static void walk_cancel(void)
{
    if (!make_loop())
        return;
    rondo_task *task = rondo_create_task(loop, wait_until_cancelled, NULL);
    if (there(task)) {
        support_run_passes(loop, 2);
        rondo_future_cancel(task);
        int rc = rondo_loop_run_until_complete(loop, rondo_future_ref(task), NULL);
        ck_assert_msg(rc == RONDO_ECANCELLED || !good(rc), "%s", rondo_err_name(rc));
        rondo_future_unref(task);
    }
    end_loop();
}

static void send(void *context)
{
    bool sent = false;
    while (!sent) /* one failure is all that there is */
        sent = rondo_loop_call_soon_threadsafe(loop, NULL, stop, NULL) == 0;
    (void) context;
}

static void walk_threads(void)
{
    if (!make_loop())
        return;
    support_thread *thread = support_thread_start(send, NULL);
    support_run(loop);
    support_thread_join(thread);
    end_loop();
}

static int main_task(void *context)
{
    (void) context;
    loop = rondo_loop_running();
    rondo_loop_set_exception_handler(loop, support_record, NULL);
    rondo_future_unref(rondo_create_task(loop, wait_until_cancelled, NULL));
    return outer(NULL);
}

static void walk_run(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    options.allocator = &support_allocator;
    good(rondo_run(&options, main_task, NULL));
    support_reports();
}

/* --- the driver ------------------------------------------------------------------------------- */

enum { LONGEST_WALK = 500 };

static void walk_with(void (*walk)(void), void (*plan)(size_t nth), const char *how)
{
    for (size_t nth = 1;; nth++) {
        ck_assert_uint_lt(nth, LONGEST_WALK);
        plan(nth);
        walk();
        bool failed = support_has_failed();
        support_fail_nth(0);
        ck_assert_msg(support_blocks() == 0, "%zu blocks are left when allocation %zu %s", support_blocks(),
                      nth, how);
        support_reports();
        support_reports_clear();
        support_log_lines(NULL);
        support_log_clear();
        if (!failed)
            return;
    }
}

#define WALK(name)                                         \
    START_TEST(test_##name)                                \
    {                                                      \
        walk_with(walk_##name, support_fail_nth, "fails"); \
    }                                                      \
    END_TEST

#define WALK_ON(name)                                                         \
    START_TEST(test_##name##_from)                                            \
    {                                                                         \
        walk_with(walk_##name, support_fail_from, "and all later ones fail"); \
    }                                                                         \
    END_TEST

/* X(name): walks that stand both kinds of shortage. */
#define WALKS(X) X(loop) X(calls) X(timers) X(futures) X(tasks) X(gather) X(wait) X(timeouts) X(cancel) X(run)

WALKS(WALK)
WALKS(WALK_ON)
WALK(threads)

#define ADD(name)                       \
    tcase_add_test(tcase, test_##name); \
    tcase_add_test(tcase, test_##name##_from);

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "no memory");
    WALKS(ADD)
    tcase_add_test(tcase, test_threads);
}

int main(void)
{
    return support_main("faults in the core", add_cases);
}
