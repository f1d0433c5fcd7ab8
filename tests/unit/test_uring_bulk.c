/* SPDX-License-Identifier: MIT */
/* The io_uring driver: a stream in bulk transfer, which receives by calls. A delivery that is larger than a buffer
 * of the ring tells that it does. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RING_BUFFER = 65536, LENGTH = 32 << 20 };

/* A connection, and how much its far end has sent of `data`. */
static int near_end, far_end;
static unsigned char *data;
static size_t sent;
static struct probe *in;

static void send_as_much_as_goes(size_t most)
{
    while (most > 0) {
        ssize_t n = send(far_end, data + sent, most, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return;
        sent += (size_t) n;
        most -= (size_t) n;
    }
}

static void begin_with(bool is_tcp, size_t chunk)
{
    int pair[2];
    start_with(chunk, 0, 0);
    if (is_tcp)
        make_tcp_pair(pair);
    else
        make_pair(pair);
    far_end = pair[0];
    near_end = pair[1];
    data = pattern(LENGTH);
    sent = 0;
    in = receive(near_end);
    in->data = malloc(in->length = LENGTH);
}

static void begin(bool is_tcp)
{
    begin_with(is_tcp, 4 * RING_BUFFER);
}

static void go_over_to_bulk(void)
{
    in->largest = 0;
    while (in->largest <= RING_BUFFER) {
        ck_assert_uint_lt(sent, LENGTH / 2);
        send_as_much_as_goes(1u << 20);
        pass(0);
    }
    UNTIL(in->received == sent);
}

static void end(void)
{
    ck_assert_mem_eq(in->data, data, in->received);
    ck_assert_uint_eq(driver->active, 0);
    if (far_end >= 0)
        close(far_end);
    if (near_end >= 0)
        driver->ops->close_socket(driver, near_end);
    finish();
    free(data);
    free(in->data);
    free(in);
}

START_TEST(test_goes_over_and_comes_back)
{
    begin(_i);
    for (unsigned round = 0; round < 3; round++) {
        go_over_to_bulk();
        for (unsigned message = 0; message < 20; message++) {
            send_as_much_as_goes(100);
            UNTIL(in->received == sent);
        }
        in->largest = 0;
        send_as_much_as_goes(150000);
        UNTIL(in->received == sent);
        ck_assert_uint_le(in->largest, RING_BUFFER);
    }
    driver->ops->cancel(driver, &in->op);
    UNTIL(in->ends == 1);
    end();
}
END_TEST

START_TEST(test_pause_in_bulk)
{
    begin(_i);
    go_over_to_bulk();
    for (unsigned round = 0; round < 5; round++) {
        size_t received = in->received;
        if (round % 2)
            pass(0); /* with the poll in the kernel; else before it */
        driver->ops->pause(driver, &in->op);
        send_as_much_as_goes(1u << 20);
        for (unsigned i = 0; i < 5; i++)
            pass(0);
        ck_assert_uint_eq(in->received, received);
        driver->ops->resume(driver, &in->op);
        UNTIL(in->received == sent);
    }
    in->pause_inside = true;
    send_as_much_as_goes(1u << 20);
    while (in->received < sent) {
        size_t received = in->received;
        pass(RONDO_S(1));
        for (unsigned i = 0; i < 3; i++)
            pass(0);
        ck_assert_uint_gt(in->received, received);
        ck_assert_uint_le(in->received - received, in->largest);
        driver->ops->resume(driver, &in->op);
    }
    driver->ops->cancel(driver, &in->op);
    UNTIL(in->ends == 1);
    end();
}
END_TEST

/* A cancelled receive takes nothing with it: what arrives afterwards is there for the next. */
START_TEST(test_cancel_in_bulk)
{
    begin(_i);
    for (unsigned round = 0; round < 4; round++) {
        go_over_to_bulk();
        if (round % 2)
            pass(0);
        driver->ops->cancel(driver, &in->op);
        send_as_much_as_goes(1000);
        UNTIL(in->ends == 1);
        ck_assert_int_eq(in->last, RONDO_ECANCELLED);
        in->ends = 0;
        submit(in);
        UNTIL(in->received == sent);
    }
    driver->ops->cancel(driver, &in->op);
    UNTIL(in->ends == 1);
    end();
}
END_TEST

START_TEST(test_end_in_bulk)
{
    for (unsigned round = 0; round < 4; round++) {
        begin(_i);
        go_over_to_bulk();
        if (round % 2)
            pass(0);
        send_as_much_as_goes(round < 2 ? 1000 : 1u << 20);
        shutdown(far_end, SHUT_WR);
        UNTIL(in->ends == 1);
        ck_assert_int_eq(in->last, 0);
        ck_assert_uint_eq(in->received, sent);
        end();
    }
}
END_TEST

START_TEST(test_reset_in_bulk)
{
    struct linger reset = { 1, 0 };
    begin(true);
    go_over_to_bulk();
    pass(0);
    setsockopt(far_end, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(far_end);
    far_end = -1;
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_ECONNRESET);
    end();
}
END_TEST

/* The peer sees the end of the stream though the kernel still watches the socket. */
START_TEST(test_close_in_bulk)
{
    char byte;
    begin(_i);
    go_over_to_bulk();
    pass(0);
    driver->ops->cancel(driver, &in->op);
    driver->ops->close_socket(driver, near_end);
    near_end = -1;
    ck_assert_int_eq(recv(far_end, &byte, 1, 0), 0);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    end();
}
END_TEST

/* What one call has received is delivered in chunks; what an owner cancels in the middle of them ends there. */
START_TEST(test_chunks_of_a_call)
{
    begin_with(_i, 0);
    while (sent < LENGTH / 2) {
        send_as_much_as_goes(1u << 20);
        pass(0);
    }
    UNTIL(in->received == sent);
    ck_assert_uint_eq(in->largest, RING_BUFFER);
    in->completions = 0;
    for (size_t before = in->received; in->completions < 2; before = in->received) { /* two in one pass */
        ck_assert_uint_lt(sent, LENGTH);
        UNTIL(in->received == sent);
        in->completions = 0;
        send_as_much_as_goes(2 * RING_BUFFER);
        pass(0);
        ck_assert_uint_le(in->received - before, 4 * RING_BUFFER);
    }
    UNTIL(in->received == sent);
    ck_assert_uint_eq(in->largest, RING_BUFFER);

    in->cancel_inside = true;
    in->completions = 0;
    send_as_much_as_goes(2 * RING_BUFFER);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    ck_assert_uint_eq(in->completions, 2);
    end();
}
END_TEST

void add_bulk_cases(Suite *suite)
{
    TCase *group = tcase_create("bulk");
    tcase_set_timeout(group, 60);
    tcase_add_loop_test(group, test_goes_over_and_comes_back, 0, 2);
    tcase_add_loop_test(group, test_pause_in_bulk, 0, 2);
    tcase_add_loop_test(group, test_cancel_in_bulk, 0, 2);
    tcase_add_loop_test(group, test_end_in_bulk, 0, 2);
    tcase_add_test(group, test_reset_in_bulk);
    tcase_add_loop_test(group, test_close_in_bulk, 0, 2);
    tcase_add_loop_test(group, test_chunks_of_a_call, 0, 2);
    suite_add_tcase(suite, group);
}
