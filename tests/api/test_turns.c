/* SPDX-License-Identifier: MIT */
/* Tasks that take turns: one that gives way may be followed by another without the loop in between, which nobody but
 * the clock may notice. */
#include "support.h"

static rondo_loop *loop;

static rondo_task *start(rondo_coroutine *coroutine, void *context)
{
    rondo_task *task = rondo_create_task(loop, coroutine, context);
    ck_assert_ptr_nonnull(task);
    return task;
}

struct player {
    const char *name;
    int turns;
    int code;         /* that its function returns */
    rondo_task *task; /* whom it cancels in its first turn */
};

static int play(void *context)
{
    struct player *player = context;
    for (int i = 0; i < player->turns; i++) {
        trace("%s%d", player->name, i);
        if (i == 0 && player->task)
            ck_assert(rondo_future_cancel(player->task));
        int rc = rondo_yield();
        if (rc < 0) {
            trace("%s!", player->name);
            return rc;
        }
    }
    trace("%s.", player->name);
    return player->code < 0 ? rondo_raise(player->code, NULL) : player->code;
}

START_TEST(test_order)
{
    loop = support_loop();
    struct player a = { .name = "a", .turns = 2 }, b = { .name = "b", .turns = 1 };
    struct player c = { .name = "c", .turns = 3 };
    rondo_future_unref(start(play, &a));
    rondo_future_unref(start(play, &b));
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "x"), 0);
    rondo_future_unref(start(play, &c));
    for (int i = 0; i < 4; i++) {
        support_run_passes(loop, 1);
        trace("|");
    }
    trace_is("a0 b0 x c0 | a1 b. c1 | a. c2 | c. |"); /* TO-02 */
    support_loop_end(loop);
}
END_TEST

START_TEST(test_each_step_counts)
{
    loop = support_loop();
    struct player players[5];
    for (int i = 0; i < 5; i++) {
        players[i] = (struct player){ .name = "", .turns = 7 };
        rondo_future_unref(start(play, &players[i]));
    }
    rondo_loop_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    rondo_loop_get_metrics(loop, &before);
    support_run_passes(loop, 8);
    rondo_loop_get_metrics(loop, &after);
    ck_assert_uint_ge(after.callbacks - before.callbacks, 5 * 8);
    ck_assert_uint_le(after.callbacks - before.callbacks,
                      5 * 8 + 8 + 1); /* and those that count the passes */
    trace_clear();
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancelled_in_turn)
{
    loop = support_loop();
    struct player a = { .name = "a", .turns = 2 }, b = { .name = "b", .turns = 5 };
    struct player c = { .name = "c", .turns = 2 };
    rondo_task *first = start(play, &a);
    rondo_task *victim = start(play, &b);
    rondo_task *last = start(play, &c);
    support_run_passes(loop, 1);
    trace_is("a0 b0 c0");
    ck_assert(rondo_future_cancel(victim));
    support_run_passes(loop, 3);
    trace_is("a1 b! c1 a. c."); /* TO-06 */
    ck_assert(rondo_future_cancelled(victim));
    rondo_future_unref(first);
    rondo_future_unref(victim);
    rondo_future_unref(last);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancelled_by_the_one_before)
{
    loop = support_loop();
    struct player b = { .name = "b", .turns = 5 };
    rondo_task *victim = start(play, &b);
    support_run_passes(loop, 1);
    struct player a = { .name = "a", .turns = 2, .task = victim };
    rondo_future_unref(start(play, &a));
    support_run_passes(loop, 3);
    trace_is("b0 b1 a0 b! a1 a.");
    ck_assert(rondo_future_cancelled(victim));
    rondo_future_unref(victim);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_an_interrupt_ends_the_batch)
{
    loop = support_loop();
    struct player a = { .name = "a", .turns = 1 }, c = { .name = "c", .turns = 1 };
    struct player b = { .name = "b", .turns = 1, .code = RONDO_EINTERRUPTED };
    rondo_future_unref(start(play, &a));
    rondo_future_unref(start(play, &b));
    rondo_future_unref(start(play, &c));
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    trace_is("a0 b0 c0 a. b.");
    support_run_passes(loop, 1);
    trace_is("c."); /* the rest is still there, in order */
    support_loop_end(loop);
}
END_TEST

/* --- in the midst of other calls ----------------------------------------------------------------- */

static int wait_then_play(void *context)
{
    struct player *player = context;
    ck_assert_int_eq(rondo_await(rondo_future_ref(player->task), NULL), 0);
    return play(player);
}

/* wait_for is a call of the library, which goes on in the very step that completes it. */
static int play_after_a_call(void *context)
{
    struct player *player = context;
    ck_assert_int_eq(rondo_await(rondo_wait_for(rondo_future_ref(player->task), RONDO_S(60)), NULL), 0);
    return play(player);
}

START_TEST(test_after_a_wait)
{
    loop = support_loop();
    rondo_future *gate = rondo_future_new(loop);
    struct player a = { .name = "a", .turns = 2 }, d = { .name = "d", .turns = 3 };
    struct player b = { .name = "b", .turns = 2, .task = gate }, c = b;
    c.name = "c";
    rondo_future_unref(start(play_after_a_call, &b));
    rondo_future_unref(start(wait_then_play, &c));
    support_run_passes(loop, 1);
    b.task = c.task = NULL;
    rondo_future_unref(start(play, &a));
    ck_assert_int_eq(rondo_future_set_result(gate, NULL), 0);
    rondo_future_unref(start(play, &d));
    for (int i = 0; i < 4; i++) {
        support_run_passes(loop, 1);
        trace("|");
    }
    trace_is("a0 c0 d0 | a1 b0 c1 d1 | a. b1 c. d2 | b. d. |");
    rondo_future_unref(gate);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "turns");
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_each_step_counts);
    tcase_add_test(tcase, test_cancelled_in_turn);
    tcase_add_test(tcase, test_cancelled_by_the_one_before);
    tcase_add_test(tcase, test_an_interrupt_ends_the_batch);
    tcase_add_test(tcase, test_after_a_wait);
}

int main(void)
{
    return support_main("turns", add_cases);
}
