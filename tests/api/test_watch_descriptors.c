/* SPDX-License-Identifier: MIT */
/* Watched descriptors come and go, are copied, are closed, are many. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipes.h"
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

/* --- descriptors come and go --------------------------------------------------------------------------------- */

/* FDW-09: after the removal it may be closed at once, and the number is another's. */
START_TEST(test_number_reused)
{
    begin();
    watch_act old = { .name = "old", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &old), 0);
    support_run_passes(loop, 1);
    peer_send_text(pair[1], "x");
    run_until(loop, old.calls);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    rondo_socket other[2], number = pair[0];
    peer_close(pair[0]);
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    watch_act new = { .name = "new", .sock = number, .reads = true };
    ck_assert_int_eq(watch_add_reader(loop, &new), 0);
    trace_clear();
    support_run_passes(loop, 3);
    trace_is("");
    peer_send_text(other[1], "y");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, number), 1);
    trace_clear();
    pair[0] = other[0];
    peer_close(other[1]);
    end();
}
END_TEST

/* FDW-09: the same where a copy keeps alive and ready what was closed. */
START_TEST(test_copies)
{
    begin();
    watch_act old = { .name = "old", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &old), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, old.calls);
    int copy = dup(pair[0]);
    ck_assert_int_ge(copy, 0);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    rondo_socket other[2], number = pair[0];
    peer_close(pair[0]);
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    watch_act new = { .name = "new", .sock = number, .reads = true };
    watch_act copied = { .name = "copy", .sock = copy, .removes_reader = true };
    ck_assert_int_eq(watch_add_reader(loop, &new), 0);
    ck_assert_int_eq(watch_add_reader(loop, &copied), 0);
    trace_clear();
    run_until(loop, copied.calls == 1);
    support_run_passes(loop, 3);
    ck_assert_int_eq(new.calls, 0);
    peer_send_text(other[1], "y");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, number), 1);
    trace_clear();
    peer_close(copy);
    pair[0] = other[0];
    peer_close(other[1]);
    end();
}
END_TEST

/* One that was closed under its watches, without a word: nothing is promised of it, but nothing breaks, and the number is
 * as good as new, for the program and for the library. */
START_TEST(test_closed_under_watches)
{
    begin();
    watch_act reader = { .name = "r", .sock = pair[0] };
    watch_act writer = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &reader), 0);
    ck_assert_int_eq(watch_add_writer(loop, &writer), 0);
    support_run_passes(loop, 2);
    rondo_socket number = pair[0], other[2];
    peer_close(pair[0]);
    support_run_passes(loop, 2);
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    watch_act new = { .name = "new", .sock = number, .reads = true };
    ck_assert_int_eq(watch_add_reader(loop, &new), 0);
    ck_assert_int_eq(reader.destroyed, 1);
    peer_send_text(other[1], "y");
    run_until(loop, new.calls);
    rondo_socket again = number;
    peer_close(number);
    peer_close(pair[1]);
    net_conn conn = { 0 };
    pair[1] = net_open(loop, &conn); /* a transport comes by the number */
    ck_assert_int_eq(rondo_transport_socket(conn.transport), again);
    ck_assert_int_eq(new.destroyed + writer.destroyed, 2);
    peer_send_text(pair[1], "z");
    run_until(loop, conn.received == 1);
    net_done(loop, &conn);
    trace_clear();
    pair[0] = other[1];
    support_reports_clear(); /* a registration may have failed with words */
    (void) support_reports();
    end();
}
END_TEST

/* A child has copies of all that is watched, and goes away. */
START_TEST(test_fork)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0], .reads = true };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    support_run_passes(loop, 1);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        for (;;) /* until the parent is done */
            pause();
    }
    peer_send_text(pair[1], "x");
    run_until(loop, act.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    rondo_socket number = pair[0], other[2];
    peer_close(pair[0]);
    peer_send_text(pair[1], "to nobody but the child");
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    watch_act new = { .name = "new", .sock = number, .reads = true };
    ck_assert_int_eq(watch_add_reader(loop, &new), 0);
    support_run_passes(loop, 3);
    ck_assert_int_eq(new.calls, 0);
    peer_send_text(other[1], "y");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, number), 1);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    trace_clear();
    pair[0] = other[0];
    peer_close(other[1]);
    end();
}
END_TEST

/* --- many ------------------------------------------------------------------------------------------------------ */

/* No allocation for a watch, once its descriptor has been seen. */
START_TEST(test_allocates_nothing)
{
    begin();
    int count = 0;
    for (size_t before = 0; count < 1000; count++) {
        if (count == 10)
            before = support_allocations();
        ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], trace_word, "r"), 0);
        ck_assert_int_eq(rondo_loop_add_writer(loop, pair[0], trace_word, "w"), 0);
        if (count % 4 == 0)
            support_run_passes(loop, 1);
        ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
        ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
        if (count % 8 == 0)
            support_run_passes(loop, 1);
        if (count > 10)
            ck_assert_uint_eq(support_allocations(), before);
    }
    trace_clear();
    end();
}
END_TEST

/* FDW-09: the new one is the other end of the same pipe, or the same end once more, which have one inode. */
static void reuse_for_pipe(const rondo_file ends[2], bool is_other_end)
{
    ck_assert_int_eq(rondo_loop_add_reader(loop, ends[0], trace_word, "old"), 0);
    support_run_passes(loop, 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, ends[0]), 1);
    char name[64];
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    int again = is_other_end ? dup(ends[1]) : open(name, O_RDONLY);
    ck_assert_int_ge(again, 0);
    ck_assert_int_eq(dup2(again, ends[0]), ends[0]);
    peer_close(again);
    watch_act new = { .name = "new", .sock = ends[0], .removes_reader = true };
    ck_assert_int_eq(watch_add_reader(loop, &new), 0);
    if (!is_other_end)
        pipes_write_text(ends[1], "x"); /* else it is an end that has no reader */
    run_until(loop, new.calls == 1);
    trace_is("new new. ~new");
}

START_TEST(test_pipe_reused)
{
    begin();
    for (int is_other_end = 0; is_other_end < 2; is_other_end++) {
        rondo_file ends[2];
        pipes_open(PIPES_PIPE, ends);
        reuse_for_pipe(ends, is_other_end);
        pipes_close(ends[0]);
        pipes_close(ends[1]);
    }
    end();
}
END_TEST

static void count_call(void *context)
{
    ++*(int *) context;
}

START_TEST(test_thousands_in_a_pass)
{
    begin();
    enum { COUNT = 400, ROUNDS = 10 };
    static rondo_socket pairs[COUNT][2];
    int calls = 0;
    for (int i = 0; i < COUNT; i++) {
        peer_pair(pairs[i]);
        peer_send_text(pairs[i][1], "x");
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < COUNT; i++) {
            ck_assert_int_eq(rondo_loop_add_reader(loop, pairs[i][0], count_call, &calls), 0);
            ck_assert_int_eq(rondo_loop_add_writer(loop, pairs[i][0], count_call, &calls), 0);
            ck_assert_int_eq(rondo_loop_remove_writer(loop, pairs[i][0]), 1);
            if (round < ROUNDS - 1 || i % 2)
                ck_assert_int_eq(rondo_loop_remove_reader(loop, pairs[i][0]), 1);
        }
    run_until(loop, calls >= COUNT / 2);
    int before = calls;
    ck_assert_int_eq(before % (COUNT / 2), 0);
    support_run_passes(loop, 1);
    ck_assert_int_eq(calls, before + COUNT / 2); /* FDW-01: each once a pass, and none of the others */
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(rondo_loop_remove_reader(loop, pairs[i][0]), i % 2 == 0);
        peer_close(pairs[i][0]);
        peer_close(pairs[i][1]);
    }
    before = calls;
    support_run_passes(loop, 2);
    ck_assert_int_eq(calls, before);
    end();
}
END_TEST

/* The copy of one that was closed shows in the pass in which everybody is ready, and all are taken off. */
START_TEST(test_copy_shows_among_many)
{
    begin();
    enum { COUNT = 24 };
    rondo_socket pairs[COUNT][2];
    watch_act acts[COUNT][2];
    for (int i = 0; i < COUNT; i++) {
        peer_pair(pairs[i]);
        for (int side = 0; side < 2; side++) {
            acts[i][side] = (watch_act){ .name = "w", .sock = pairs[i][side], .removes_reader = true };
            ck_assert_int_eq(watch_add_reader(loop, &acts[i][side]), 0);
        }
    }
    ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], trace_word, "closed"), 0);
    support_run_passes(loop, 1);
    rondo_socket copy = dup(pair[0]);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    peer_close(pair[0]);
    for (int i = 0; i < COUNT; i++)
        for (int side = 0; side < 2; side++)
            peer_send_text(pairs[i][side], "x");
    support_run_passes(loop, 3);
    for (int i = 0; i < COUNT; i++)
        for (int side = 0; side < 2; side++) {
            ck_assert_int_eq(acts[i][side].calls, 1);
            peer_close(pairs[i][side]);
        }
    trace_clear();
    pair[0] = copy;
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "descriptors");
    tcase_add_test(tcase, test_number_reused);
    tcase_add_test(tcase, test_copies);
    tcase_add_test(tcase, test_pipe_reused);
    tcase_add_test(tcase, test_closed_under_watches);
    tcase_add_test(tcase, test_fork);
    tcase = support_case(suite, "many");
    tcase_add_test(tcase, test_allocates_nothing);
    tcase_add_test(tcase, test_thousands_in_a_pass);
    tcase_add_test(tcase, test_copy_shows_among_many);
}

int main(void)
{
    return support_main("watched descriptors", add_cases);
}
