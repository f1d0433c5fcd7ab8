/* SPDX-License-Identifier: MIT */
/* Cancelling tasks: before the start, while waiting, through chains, refused, repeated. The order of
 * events in many more combinations is compared with asyncio's by tests/oracle. */
#include "support.h"

static rondo_loop *loop;
static rondo_future *gate; /* what the innermost task waits for */

static void begin(void)
{
    loop = support_loop();
    gate = rondo_future_new(loop);
}

static void end(void)
{
    rondo_future_unref(gate);
    support_loop_end(loop);
}

static rondo_task *start(rondo_coroutine *coroutine, void *context)
{
    rondo_task *task = rondo_create_task(loop, coroutine, context);
    ck_assert_ptr_nonnull(task);
    return task;
}

static int wait_at_gate(void *word)
{
    int rc = rondo_await(rondo_future_ref(gate), NULL);
    trace("%s:%s", (const char *) word, rondo_err_name(rc));
    return rc;
}

START_TEST(test_before_the_start)
{
    begin();
    rondo_task *task = start(wait_at_gate, "never");
    ck_assert(rondo_future_cancel(task));
    ck_assert(!rondo_future_cancelled(task)); /* TO-04 */
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancelled(task)); /* TO-05 */
    ck_assert_int_eq(rondo_future_result(task, NULL), RONDO_ECANCELLED);
    trace_is("");
    rondo_future_unref(task);
    end();
}
END_TEST

START_TEST(test_while_waiting)
{
    begin();
    rondo_task *task = start(wait_at_gate, "a");
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancel(task));
    ck_assert(rondo_future_cancelled(gate)); /* TO-03: at once what it waits for */
    ck_assert(!rondo_future_done(task));     /* TO-04 */
    ck_assert_uint_eq(rondo_task_cancelling(task), 1);
    support_run_passes(loop, 1);
    trace_is("a:RONDO_ECANCELLED");
    ck_assert(rondo_future_cancelled(task));
    ck_assert(!rondo_future_cancel(task)); /* TO-08 */
    ck_assert_uint_eq(rondo_task_cancelling(task), 1);
    rondo_future_unref(task);
    end();
}
END_TEST

static rondo_task *levels[4];

static int nested(void *context)
{
    intptr_t level = (intptr_t) context;
    rondo_future *below = rondo_future_ref(level < 3 ? levels[level + 1] : gate);
    int rc = rondo_await(below, NULL);
    trace("%d", (int) level);
    return rc;
}

START_TEST(test_chain)
{
    begin();
    for (intptr_t i = 0; i < 4; i++)
        levels[i] = start(nested, (void *) i);
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancel(levels[0]));
    ck_assert(rondo_future_cancelled(gate)); /* TO-03: down to the innermost */
    for (int i = 3; i >= 0; i--) {
        ck_assert(!rondo_future_done(levels[i]));
        support_run_passes(loop, 1); /* TO-03: one level for each pass */
        ck_assert(rondo_future_cancelled(levels[i]));
    }
    trace_is("3 2 1 0");
    for (int i = 0; i < 4; i++)
        rondo_future_unref(levels[i]);
    end();
}
END_TEST

static int self_cancel(void *context)
{
    ck_assert(rondo_future_cancel(rondo_task_current()));
    if (context)
        ck_assert_int_eq(rondo_yield(), RONDO_ECANCELLED); /* TO-06: at its next wait */
    return 6;
}

START_TEST(test_by_itself)
{
    begin();
    rondo_task *lost = start(self_cancel, NULL);
    rondo_task *caught = start(self_cancel, "wait");
    support_run_passes(loop, 2);
    ck_assert(rondo_future_cancelled(lost));                /* TO-06: its result is lost */
    ck_assert_int_eq(rondo_future_result(caught, NULL), 6); /* TO-07 */
    rondo_future_unref(lost);
    rondo_future_unref(caught);
    end();
}
END_TEST

static int give_way_once(void *context)
{
    *(int *) context = rondo_yield();
    return 0;
}

START_TEST(test_while_queued)
{
    begin();
    int seen = 77;
    rondo_task *task = start(give_way_once, &seen);
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancel(task));
    ck_assert(rondo_future_cancel(task));
    support_run_passes(loop, 1);
    ck_assert_int_eq(seen, RONDO_ECANCELLED); /* TO-06, TO-08: two requests, one error */
    ck_assert_int_eq(rondo_future_result(task, NULL), 0);
    ck_assert_uint_eq(rondo_task_cancelling(task), 2);
    rondo_future_unref(task);
    end();
}
END_TEST

struct refusal {
    int answer; /* what it returns in place of the cancellation */
    int waits;  /* how often it waits on before */
    int heard;
};

static int refuse(void *context)
{
    struct refusal *refusal = context;
    int rc = rondo_await(rondo_future_ref(gate), NULL);
    refusal->heard += rc == RONDO_ECANCELLED;
    for (int i = 0; i < refusal->waits; i++) {
        rc = rondo_await(rondo_sleep(loop, RONDO_US(10)), NULL); /* TO-10 */
        refusal->heard += rc == RONDO_ECANCELLED;
    }
    return refusal->answer;
}

START_TEST(test_refusing)
{
    begin();
    struct refusal cases[] = {
        { 4, 0, 0 }, { RONDO_EUSER - 4, 0, 0 }, { 0, 3, 0 }, { RONDO_ECANCELLED, 2, 0 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rondo_future_unref(gate);
        gate = rondo_future_new(loop);
        rondo_task *task = start(refuse, &cases[i]);
        support_run_passes(loop, 1);
        ck_assert(rondo_future_cancel(task));
        ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_future_ref(task), NULL),
                         cases[i].answer); /* TO-07 */
        ck_assert_int_eq(rondo_future_cancelled(task), cases[i].answer == RONDO_ECANCELLED);
        ck_assert_int_eq(cases[i].heard, 1);
        rondo_future_unref(task);
    }
    end();
}
END_TEST

START_TEST(test_inner_future_only)
{
    begin();
    rondo_task *task = start(wait_at_gate, "a");
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancel(gate));
    support_run_passes(loop, 1);
    trace_is("a:RONDO_ECANCELLED"); /* TO-09 */
    ck_assert(rondo_future_cancelled(task));
    ck_assert_uint_eq(rondo_task_cancelling(task), 0);
    rondo_future_unref(task);
    end();
}
END_TEST

START_TEST(test_completion_and_cancel_in_one_pass)
{
    begin();
    rondo_task *task = start(wait_at_gate, "a");
    support_run_passes(loop, 1);
    rondo_future_set_result_owned(gate, "value", trace_word);
    ck_assert(rondo_future_cancel(task)); /* too late for the future, in time for the task */
    support_run_passes(loop, 1);
    trace_is("a:RONDO_ECANCELLED");
    ck_assert(rondo_future_cancelled(task));
    rondo_future_unref(task);
    end();
    trace_is("value"); /* nobody took it: the future released it */
}
END_TEST

static int uncancel(void *context)
{
    (void) context;
    rondo_task *self = rondo_task_current();
    ck_assert_int_eq(rondo_await(rondo_future_ref(gate), NULL), RONDO_ECANCELLED);
    ck_assert_uint_eq(rondo_task_cancelling(self), 2);
    ck_assert_uint_eq(rondo_task_uncancel(self), 1);
    ck_assert_uint_eq(rondo_task_uncancel(self), 0);
    ck_assert_uint_eq(rondo_task_uncancel(self), 0); /* never below */
    return 0;
}

START_TEST(test_uncancel)
{
    begin();
    rondo_task *task = start(uncancel, NULL);
    support_run_passes(loop, 1);
    rondo_future_cancel(task);
    rondo_future_cancel(task);
    support_run_passes(loop, 1);
    ck_assert_int_eq(rondo_future_result(task, NULL), 0);
    rondo_future_unref(task);
    end();
}
END_TEST

/* --- what must not break the loop ------------------------------------------------------------- */

static int await_level(void *context)
{
    rondo_task **to = context;
    return rondo_await(rondo_future_ref(*to), NULL);
}

START_TEST(test_circle)
{
    begin();
    /* two tasks that wait for each other: nobody can end them, but asking must not bring the program down */
    levels[0] = start(await_level, &levels[1]);
    levels[1] = start(await_level, &levels[0]);
    support_run_passes(loop, 2);
    ck_assert(rondo_future_cancel(levels[0]));
    ck_assert(rondo_future_cancel(levels[1]));
    support_run_passes(loop, 4);
    rondo_future_unref(levels[0]);
    rondo_future_unref(levels[1]);
    end();
    support_reports(); /* they are reported as pending when the loop closes */
}
END_TEST

enum { DEEP = 2000 };

static int await_next(void *context)
{
    rondo_task **next = context;
    return rondo_await(rondo_future_ref(*next), NULL);
}

START_TEST(test_deep_chain)
{
    begin();
    static rondo_task *tasks[DEEP + 1];
    tasks[DEEP] = gate;
    for (int i = DEEP; i-- > 0;)
        tasks[i] = start(await_next, &tasks[i + 1]);
    support_run_passes(loop, 1);
    ck_assert(rondo_future_cancel(tasks[0])); /* TO-03: any number of them */
    ck_assert(rondo_future_cancelled(gate));
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_future_ref(tasks[0]), NULL), RONDO_ECANCELLED);
    for (int i = 0; i < DEEP; i++)
        rondo_future_unref(tasks[i]);
    end();
}
END_TEST

static int cancel_context(void *context)
{
    return rondo_future_cancel(context) ? 0 : RONDO_EFAILED;
}

START_TEST(test_deep_chain_from_a_task)
{
    begin();
    static rondo_task *tasks[DEEP + 1];
    tasks[DEEP] = gate;
    for (int i = DEEP; i-- > 0;)
        tasks[i] = start(await_next, &tasks[i + 1]);
    support_run_passes(loop, 1);
    /* TO-03: however long the chain, it does not need the stack of the task that asks, here the smallest one */
    rondo_task_options small = { .size = sizeof small, .stack_size = 1 };
    rondo_task *task = rondo_task_new(loop, &small, cancel_context, tasks[0]);
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, task, NULL), 0);
    ck_assert(rondo_future_cancelled(gate));
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_future_ref(tasks[0]), NULL), RONDO_ECANCELLED);
    for (int i = 0; i < DEEP; i++)
        rondo_future_unref(tasks[i]);
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "cancel");
    tcase_add_test(tcase, test_before_the_start);
    tcase_add_test(tcase, test_while_waiting);
    tcase_add_test(tcase, test_chain);
    tcase_add_test(tcase, test_by_itself);
    tcase_add_test(tcase, test_while_queued);
    tcase_add_test(tcase, test_refusing);
    tcase_add_test(tcase, test_inner_future_only);
    tcase_add_test(tcase, test_completion_and_cancel_in_one_pass);
    tcase_add_test(tcase, test_uncancel);
    tcase = support_case(suite, "extremes");
    tcase_add_test(tcase, test_circle);
    tcase_add_test(tcase, test_deep_chain);
    tcase_add_test(tcase, test_deep_chain_from_a_task);
}

int main(void)
{
    return support_main("cancel", add_cases);
}
