/* SPDX-License-Identifier: MIT */
/* What a driver does with descriptors that are the program's: watches.
 *
 * Each driver that can run here gets every case. A case has a driver of its own and turns it by pass(): one wait, then the batch
 * that stands in the queue. The program's freedom is what is tried: to close a descriptor as soon as nothing of its own is on
 * it, and to get the same number again for another. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/driver.h"
#include "src/base/container.h"
#include "support.h"

static const struct rondo_driver_ops *ops; /* whose turn it is */
static struct rondo_core core;
static struct rondo_driver *driver;

struct probe {
    struct rondo_op op;
    unsigned completions;
    unsigned ends;
    ptrdiff_t last;
    struct probe *drops;   /* cancelled by the completion */
    struct probe *revives; /* cancelled and submitted again by it */
    unsigned order;
};

static unsigned completed;

/* --- driving ----------------------------------------------------------------------------------------- */

static int open_driver(void)
{
    struct rondo_driver_config config = { .allocator = &support_allocator };
    rondo_ready_list_init(&core.queue);
    int rc = ops->open(&config, &core, &driver);
    if (rc == 0)
        core.driver = driver;
    return rc;
}

static void start(void)
{
    ck_assert_msg(open_driver() == 0, "%s", rondo_last_error_message());
    completed = 0;
}

static void pass(rondo_ns timeout)
{
    struct rondo_ready_list batch;
    rondo_ready_list_init(&batch);
    int rc = ops->wait(driver, rondo_ready_list_is_empty(&core.queue) ? timeout : 0, &core.queue);
    ck_assert_msg(rc == 0, "%s", rondo_last_error_message());
    rondo_ready_list_splice(&batch, &core.queue);
    for (struct rondo_ready *node; (node = rondo_ready_list_pop(&batch)) != NULL;)
        node->run(node, &core);
}

static void finish(void)
{
    while (driver->active > 0)
        pass(RONDO_S(5));
    pass(0);
    ops->close(driver);
}

static void on_complete(struct rondo_op *op)
{
    struct probe *probe = rondo_container(op, struct probe, op);
    probe->completions++;
    probe->ends += !op->more;
    probe->last = op->result;
    probe->order = ++completed;
    if (probe->drops)
        ops->cancel(driver, &probe->drops->op);
    if (probe->revives) {
        ops->cancel(driver, &probe->revives->op);
        ck_assert_int_eq(ops->submit(driver, &probe->revives->op), 0);
    }
}

static struct probe *probe_of(struct probe *probe, enum rondo_op_kind kind, int sock)
{
    *probe = (struct probe){
        .op = { .complete = on_complete, .kind = (uint8_t) kind, .socket = sock, .borrowed = true }
    };
    return probe;
}

static void submit(struct probe *probe)
{
    ck_assert_msg(ops->submit(driver, &probe->op) == 0, "%s", rondo_last_error_message());
}

static void watch(struct probe *probe, enum rondo_op_kind kind, int sock)
{
    submit(probe_of(probe, kind, sock));
}

static void make_pair(int pair[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

static void say(int sock)
{
    ck_assert_int_eq(send(sock, "x", 1, MSG_NOSIGNAL), 1);
}

static void hear(int sock)
{
    char byte;
    ck_assert_int_eq(recv(sock, &byte, 1, 0), 1);
}

/* --- watches ----------------------------------------------------------------------------------------- */

/* FDW-01: once a pass, as long as it is readable. */
START_TEST(test_a_watch_repeats)
{
    struct probe reading;
    int pair[2];
    start();
    make_pair(pair);
    watch(&reading, RONDO_OP_WATCH_READ, pair[0]);
    pass(0);
    ck_assert_uint_eq(reading.completions, 0);
    say(pair[1]);
    pass(RONDO_S(5));
    ck_assert_uint_eq(reading.completions, 1);
    pass(RONDO_S(5));
    ck_assert_uint_eq(reading.completions, 2);
    hear(pair[0]);
    pass(0); /* what was found before may still be told */
    unsigned before = reading.completions;
    pass(0);
    ck_assert_uint_eq(reading.completions, before);
    ops->cancel(driver, &reading.op);
    ck_assert_int_eq(reading.op.state, RONDO_OP_IDLE);
    ck_assert_uint_eq(reading.ends, 0);
    close_pair(pair);
    finish();
}
END_TEST

START_TEST(test_both_sides)
{
    struct probe reading, writing;
    int pair[2];
    start();
    make_pair(pair);
    watch(&reading, RONDO_OP_WATCH_READ, pair[0]);
    watch(&writing, RONDO_OP_WATCH_WRITE, pair[0]);
    say(pair[1]);
    for (int i = 0; i < 3 && !(reading.completions && writing.completions); i++)
        pass(RONDO_S(5));
    ck_assert_uint_ge(reading.completions, 1);
    ck_assert_uint_ge(writing.completions, 1);
    ck_assert_uint_lt(reading.order, writing.order);
    ops->cancel(driver, &writing.op);
    unsigned before = writing.completions;
    unsigned heard = reading.completions;
    pass(RONDO_S(5));
    pass(RONDO_S(5));
    ck_assert_uint_gt(reading.completions, heard);
    ck_assert_uint_eq(writing.completions, before);
    ops->cancel(driver, &reading.op);
    close_pair(pair);
    finish();
}
END_TEST

/* FDW-06: one that is queued already is not told any more. */
START_TEST(test_dropped_while_queued)
{
    struct probe probes[2];
    int pairs[2][2];
    start();
    for (int i = 0; i < 2; i++) {
        make_pair(pairs[i]);
        watch(&probes[i], RONDO_OP_WATCH_READ, pairs[i][0]);
        say(pairs[i][1]);
    }
    probes[0].drops = &probes[1];
    probes[1].drops = &probes[0];
    for (int i = 0; i < 4; i++)
        pass(i ? 0 : RONDO_S(5));
    ck_assert_uint_ge(probes[0].completions + probes[1].completions, 1);
    ck_assert(!probes[0].completions || !probes[1].completions);
    for (int i = 0; i < 2; i++) {
        ops->cancel(driver, &probes[i].op);
        close_pair(pairs[i]);
    }
    finish();
}
END_TEST

/* FDW-03: one that comes anew in the pass in which it was queued is told in the next. */
START_TEST(test_revived_while_queued)
{
    struct probe probes[2];
    int pairs[2][2];
    start();
    for (int i = 0; i < 2; i++) {
        make_pair(pairs[i]);
        watch(&probes[i], RONDO_OP_WATCH_READ, pairs[i][0]);
    }
    pass(0);
    say(pairs[0][1]);
    say(pairs[1][1]);
    probes[0].revives = &probes[1];
    probes[1].revives = &probes[0];
    pass(RONDO_S(5));
    ck_assert_uint_eq(probes[0].completions + probes[1].completions, 1);
    probes[0].revives = probes[1].revives = NULL;
    for (int i = 0; i < 3; i++)
        pass(0);
    ck_assert_uint_ge(probes[0].completions, 1);
    ck_assert_uint_ge(probes[1].completions, 1);
    for (int i = 0; i < 2; i++) {
        ops->cancel(driver, &probes[i].op);
        close_pair(pairs[i]);
    }
    finish();
}
END_TEST

static int another_of(int kind, int number, int *ret_peer)
{
    int made[2] = { -1, -1 };
    if (kind == 0)
        make_pair(made);
    else if (kind == 1)
        ck_assert_int_eq(pipe2(made, O_CLOEXEC | O_NONBLOCK), 0);
    else
        made[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made[0] != number) {
        ck_assert_int_eq(dup3(made[0], number, O_CLOEXEC), number);
        close(made[0]);
    }
    *ret_peer = made[1];
    return number;
}

static void excite(int kind, int sock, int peer)
{
    uint64_t one = 1;
    ck_assert_int_gt(kind == 2 ? write(sock, &one, sizeof one) : write(peer, "x", 1), 0);
}

/* FDW-09: the number of a descriptor that was closed stands for the next one, in the same pass and with the same
 * kind of thing behind it too. The last turn comes a pass later. */
START_TEST(test_number_used_again)
{
    for (int kind = 0; kind < 3; kind++) {
        struct probe reading;
        start();
        int old_peer, peer;
        int sock = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100);
        another_of(kind, sock, &old_peer);
        watch(&reading, RONDO_OP_WATCH_READ, sock);
        pass(0);
        for (int turn = 0; turn < 3; turn++) {
            ops->cancel(driver, &reading.op);
            close(sock);
            if (turn == 2)
                pass(0);
            ck_assert_int_eq(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, sock), sock);
            another_of(kind, sock, &peer);
            reading.completions = 0;
            submit(&reading);
            pass(0);
            ck_assert_uint_eq(reading.completions, 0);
            excite(kind, sock, peer);
            pass(RONDO_S(5));
            ck_assert_uint_eq(reading.completions, 1);
            if (old_peer >= 0)
                close(old_peer);
            old_peer = peer;
        }
        ops->cancel(driver, &reading.op);
        close(sock);
        if (old_peer >= 0)
            close(old_peer);
        finish();
    }
}
END_TEST

/* What was closed but is kept open under another number (a child's copy) keeps nobody awake. */
START_TEST(test_a_copy_does_not_haunt)
{
    struct probe reading, other;
    int pair[2], pair2[2];
    start();
    make_pair(pair);
    make_pair(pair2);
    watch(&reading, RONDO_OP_WATCH_READ, pair[0]);
    watch(&other, RONDO_OP_WATCH_READ, pair2[0]);
    pass(0);
    int copy = dup(pair[0]);
    ops->cancel(driver, &reading.op);
    close(pair[0]);
    say(pair[1]);
    pass(0);
    pass(0);
    rondo_ns began = support_now();
    pass(RONDO_MS(30)); /* with the ghost in the set it would not last */
    ck_assert_int_ge(support_now() - began, RONDO_MS(30));
    ck_assert_uint_eq(reading.completions, 0);
    say(pair2[1]); /* and the others are still watched */
    pass(RONDO_S(5));
    ck_assert_uint_eq(other.completions, 1);
    ops->cancel(driver, &other.op);
    close(copy);
    close(pair[1]);
    close_pair(pair2);
    finish();
}
END_TEST

/* FDW-13. */
START_TEST(test_refused)
{
    struct probe reading;
    start();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    probe_of(&reading, RONDO_OP_WATCH_READ, file);
    ck_assert_int_eq(ops->submit(driver, &reading.op), RONDO_EPERM);
    ck_assert_int_eq(reading.op.state, RONDO_OP_IDLE);
    close(file);
    ck_assert_int_eq(ops->submit(driver, &reading.op), RONDO_EBADF);
    ck_assert_uint_eq(driver->active, 0);
    finish();
}
END_TEST

/* --- the suite ------------------------------------------------------------------------------------------ */

static void add_cases(Suite *suite)
{
    TCase *watches = support_case(suite, "watches");
    tcase_add_test(watches, test_a_watch_repeats);
    tcase_add_test(watches, test_both_sides);
    tcase_add_test(watches, test_dropped_while_queued);
    tcase_add_test(watches, test_revived_while_queued);
    tcase_add_test(watches, test_number_used_again);
    tcase_add_test(watches, test_a_copy_does_not_haunt);
    tcase_add_test(watches, test_refused);
}

int main(void)
{
    const char *only = getenv("RONDO_TEST_BACKEND");
    int failed = 0, ran = 0;
    for (size_t i = 0; rondo_driver_registry[i]; i++) {
        ops = rondo_driver_registry[i];
        if (only && *only && strcmp(only, ops->name) != 0)
            continue;
        if (open_driver() < 0) {
            printf("%s: skipped: %s\n", ops->name, rondo_last_error_message());
            continue;
        }
        ops->close(driver);
        printf("%s:\n", ops->name);
        failed |= support_main_once("borrowed", add_cases);
        ran++;
    }
    return failed || (!ran && !(only && *only));
}
