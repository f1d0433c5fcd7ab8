/* SPDX-License-Identifier: MIT */
/* add_reader, add_writer and their removal: what is told, when, and when no more.
 *
 * On a proactor the loop is an extended one, as in all tests of watches. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "watch.h"

static rondo_loop *loop;
static rondo_socket pair[2];

static void begin(void)
{
    loop = support_extended_loop();
    peer_pair(pair);
}

static void end(void)
{
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}

/* --- being told ----------------------------------------------------------------------------------------- */

START_TEST(test_reader)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    peer_send_text(pair[1], "x");
    trace_is(""); /* never inside the call */
    run_until(loop, act.calls > 0);
    int before = act.calls;
    support_run_passes(loop, 3); /* FDW-01: once a pass, as long as it is readable */
    ck_assert_int_eq(act.calls, before + 3);
    char byte;
    peer_recv(pair[0], &byte, 1);
    support_run_passes(loop, 2);
    before = act.calls;
    support_run_passes(loop, 3);
    ck_assert_int_eq(act.calls, before);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(act.destroyed, 1);
    peer_send_text(pair[1], "x");
    support_run_passes(loop, 3);
    ck_assert_int_eq(act.calls, before);
    trace_clear();
    end();
}
END_TEST

/* The peer that does not read may have ended its own half: that is no room to write. */
START_TEST(test_writer)
{
    begin();
    if (_i)
        peer_shutdown(pair[1]);
    char bytes[4096] = "";
    watch_act act = { .name = "w", .sock = pair[0] };
    while (peer_send_now(pair[0], bytes, sizeof bytes) == sizeof bytes)
        continue;
    ck_assert_int_eq(rondo_loop_add_writer(loop, pair[0], watch_on_ready, &act), 0);
    for (int round = 1; round <= 2; round++) {
        support_run_passes(loop, 6);
        int before = act.calls;
        support_run_passes(loop, 3);
        ck_assert_int_eq(act.calls, before);
        ck_assert(round == 2 || before == 0);
        while (peer_recv_now(pair[1], bytes, sizeof bytes) > 0)
            continue;
        run_until(loop, act.calls > before);
        before = act.calls;
        support_run_passes(loop, 3); /* FDW-01 */
        ck_assert_int_eq(act.calls, before + 3);
        while (peer_send_now(pair[0], bytes, sizeof bytes) == sizeof bytes)
            continue;
    }
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

/* FDW-07: where both sides are ready the reader is called first, in whichever order they were added. */
START_TEST(test_reader_before_writer)
{
    for (int order = 0; order < 2; order++) {
        begin();
        watch_act reader = { .name = "r", .sock = pair[0], .removes_reader = true };
        watch_act writer = { .name = "w", .sock = pair[0], .removes_writer = true };
        peer_send_text(pair[1], "x");
        if (order)
            ck_assert_int_eq(watch_add_writer(loop, &writer), 0);
        ck_assert_int_eq(watch_add_reader(loop, &reader), 0);
        if (!order)
            ck_assert_int_eq(watch_add_writer(loop, &writer), 0);
        run_until(loop, reader.calls && writer.calls);
        if (support_backend_is_proactor())
            trace_clear(); /* two polls of the kernel: it has no such rule */
        else
            trace_is("r r. ~r w w. ~w");
        end();
    }
}
END_TEST

/* RUN-05, and asyncio's order: what is ready goes before the timers that are due. */
static void say_timer(void *context)
{
    trace("timer");
    rondo_loop_stop(context);
}

START_TEST(test_reader_before_timer)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0], .removes_reader = true };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    support_run_passes(loop, 1);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_call_at(loop, rondo_loop_time(loop), NULL, say_timer, loop), 0);
    support_run(loop);
    trace_is("r r. ~r timer");
    end();
}
END_TEST

/* FDW-10: hang-up and errors count as both, for the sides that are watched. */
START_TEST(test_hang_up)
{
    begin();
    watch_act reader = { .name = "r", .removes_reader = true };
    watch_act writer = { .name = "w", .removes_writer = true };
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    reader.sock = pipes[0];
    ck_assert_int_eq(watch_add_reader(loop, &reader), 0);
    support_run_passes(loop, 1);
    peer_close(pipes[1]);
    run_until(loop, reader.calls == 1);
    peer_close(pipes[0]);
    ck_assert_int_eq(pipe(pipes), 0);
    char bytes[4096] = "";
    ck_assert_int_eq(fcntl(pipes[1], F_SETFL, O_NONBLOCK), 0);
    while (write(pipes[1], bytes, sizeof bytes) > 0)
        continue;
    writer.sock = pipes[1];
    ck_assert_int_eq(watch_add_writer(loop, &writer), 0);
    support_run_passes(loop, 1);
    peer_close(pipes[0]);
    run_until(loop, writer.calls == 1);
    peer_close(pipes[1]);
    trace_is("r r. ~r w w. ~w");
    end();
}
END_TEST

/* --- replacing and removing --------------------------------------------------------------------------------- */

/* FDW-03: the new one is there, the old one is gone, the other side is left alone. */
START_TEST(test_replace)
{
    begin();
    watch_act old = { .name = "old", .sock = pair[0] };
    watch_act new = { .name = "new", .sock = pair[0], .reads = true };
    watch_act writer = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &old), 0);
    ck_assert_int_eq(watch_add_writer(loop, &writer), 0);
    support_run_passes(loop, 2);
    ck_assert_int_eq(watch_add_reader(loop, &new), 0);
    ck_assert_int_eq(old.destroyed, 1);
    peer_send_text(pair[1], "x");
    int before = writer.calls;
    support_run_passes(loop, 3);
    ck_assert_int_eq(old.calls, 0);
    ck_assert_int_ge(new.calls, 1);
    ck_assert_int_ge(writer.calls, before + 2);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

static void replace_reader(void *context)
{
    trace("replace");
    ck_assert_int_eq(watch_add_reader(loop, context), 0);
}

/* FDW-03, FDW-06: a callback that is queued already is not called any more. The queue stands: a call, then what is ready. */
START_TEST(test_replaced_while_queued)
{
    begin();
    watch_act old = { .name = "old", .sock = pair[0] };
    watch_act new = { .name = "new", .sock = pair[0], .reads = true };
    ck_assert_int_eq(watch_add_reader(loop, &old), 0);
    support_run_passes(loop, 1);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, replace_reader, &new), 0);
    support_run_passes(loop, 1);
    trace_is("replace ~old");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(old.calls, 0);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_is("new ~new");
    end();
}
END_TEST

static void remove_reader(void *context)
{
    trace("remove");
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    (void) context;
}

START_TEST(test_removed_while_queued)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    support_run_passes(loop, 1);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, remove_reader, NULL), 0);
    support_run_passes(loop, 3);
    trace_is("remove ~r"); /* FDW-06 */
    end();
}
END_TEST

/* FDW-04, FDW-05: who is there, and who stays. */
START_TEST(test_what_removing_says)
{
    begin();
    watch_act reader = { .name = "r", .sock = pair[0] };
    watch_act writer = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, 12345), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, RONDO_INVALID_SOCKET), 0);
    ck_assert_int_eq(watch_add_reader(loop, &reader), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 0);
    ck_assert_int_eq(watch_add_writer(loop, &writer), 0);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0);
    run_until(loop, writer.calls == 2);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 0);
    support_run_passes(loop, 2);
    ck_assert_int_eq(writer.calls, 2);
    ck_assert_int_eq(reader.calls, 0);
    trace_is("~r w w ~w");
    end();
}
END_TEST

/* FDW-08: in its own callback; the context is released when that has returned. */
START_TEST(test_removes_itself)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0], .removes_reader = true };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, act.calls);
    support_run_passes(loop, 3);
    trace_is("r r. ~r");
    end();
}
END_TEST

START_TEST(test_replaces_itself)
{
    begin();
    watch_act next = { .name = "b", .sock = pair[0], .removes_reader = true };
    watch_act act = { .name = "a", .sock = pair[0], .adds_reader = &next };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, next.calls); /* FDW-08 */
    support_run_passes(loop, 2);
    trace_is("a a. ~a b b. ~b");
    watch_act again = { .name = "c", .sock = pair[0], .removes_reader = true, .adds_reader = &next };
    next.removes_reader = false;
    ck_assert_int_eq(watch_add_reader(loop, &again), 0);
    run_until(loop, next.calls == 2);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_is("c c. ~c b ~b");
    end();
}
END_TEST

/* The callback of one side does as it likes with the other, which may be queued behind it. */
START_TEST(test_sides_act_on_each_other)
{
    begin();
    watch_act writer = { .name = "w", .sock = pair[0], .removes_writer = true };
    watch_act reader = { .name = "r", .sock = pair[0], .removes_reader = true, .adds_writer = &writer };
    watch_act old = { .name = "old", .sock = pair[0] };
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(watch_add_reader(loop, &reader), 0);
    run_until(loop, writer.calls);
    trace_is("r r. ~r w w. ~w");
    writer.adds_reader = &old;
    ck_assert_int_eq(watch_add_writer(loop, &writer), 0);
    run_until(loop, old.calls);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_is("w w. ~w old ~old");
    end();
}
END_TEST

/* --- what goes with every callback ---------------------------------------------------------------------------- */

START_TEST(test_failing_callback)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0], .raises = true };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, act.calls == 2); /* the watch stays */
    ck_assert_uint_eq(support_reports(), 2);
    const support_report *report = support_report_at(0);
    ck_assert_str_eq(report->message, "Exception in callback");
    ck_assert_int_eq(report->context.error, RONDO_EINVAL);
    ck_assert_str_eq(report->error_message, "no good");
    ck_assert_str_eq(report->handle_name, "r");
    ck_assert_int_eq(report->context.socket, pair[0]);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    support_reports_clear();
    trace_clear();
    end();
}
END_TEST

static void interrupt(void *context)
{
    trace("%s", (const char *) context);
    rondo_raise(RONDO_EINTERRUPTED, NULL);
}

/* RUN-13 and its kin: an interrupt ends the run at once; what was queued is called in the next. */
START_TEST(test_interrupt)
{
    begin();
    ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], interrupt, "r"), 0);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    support_run_passes(loop, 2);
    trace_is("r r");
    end();
}
END_TEST

static void be_slow(void *context)
{
    (void) context;
    support_pause(RONDO_MS(6));
    rondo_loop_remove_reader(loop, pair[0]);
    rondo_loop_stop(loop);
}

START_TEST(test_slow_callback)
{
    begin();
    rondo_loop_set_debug(loop, true);
    rondo_loop_set_slow_callback_duration(loop, RONDO_MS(5));
    rondo_call call = { .size = sizeof call, .callback = be_slow, .name = "the slow one" };
    ck_assert_int_eq(rondo_loop_add_reader_call(loop, pair[0], &call), 0);
    peer_send_text(pair[1], "x");
    support_run(loop);
    ck_assert_uint_eq(support_log_lines("the slow one"), 1);
    support_log_clear();
    end();
}
END_TEST

START_TEST(test_metrics)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0], .stops = true, .reads = true };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    support_run_passes(loop, 1);
    rondo_loop_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &before), 0);
    peer_send_text(pair[1], "x");
    support_run(loop);
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &after), 0);
    ck_assert_uint_eq(after.completions - before.completions, 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "told");
    tcase_add_test(tcase, test_reader);
    tcase_add_loop_test(tcase, test_writer, 0, 2);
    tcase_add_test(tcase, test_reader_before_writer);
    tcase_add_test(tcase, test_reader_before_timer);
    tcase_add_test(tcase, test_hang_up);
    tcase = support_case(suite, "replaced and removed");
    tcase_add_test(tcase, test_replace);
    tcase_add_test(tcase, test_replaced_while_queued);
    tcase_add_test(tcase, test_removed_while_queued);
    tcase_add_test(tcase, test_what_removing_says);
    tcase_add_test(tcase, test_removes_itself);
    tcase_add_test(tcase, test_replaces_itself);
    tcase_add_test(tcase, test_sides_act_on_each_other);
    tcase = support_case(suite, "callbacks");
    tcase_add_test(tcase, test_failing_callback);
    tcase_add_test(tcase, test_interrupt);
    tcase_add_test(tcase, test_slow_callback);
    tcase_add_test(tcase, test_metrics);
}

int main(void)
{
    return support_main("watch", add_cases);
}
