/* SPDX-License-Identifier: MIT */
/* The io_uring driver: receiving, sending, cancelling and pausing on a stream. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- receiving and sending ----------------------------------------------------------------------------- */

START_TEST(test_echo)
{
    int pair[2];
    char word[] = "hello", back[5];
    start();
    make_tcp_pair(pair);
    struct probe *in = receive(pair[1]);
    in->data = malloc(in->length = 64);
    pass(0);
    ck_assert_int_eq(write(pair[0], word, 5), 5);
    UNTIL(in->received == 5);
    struct probe *out = transmit(pair[1], in->data, 5);
    UNTIL(out->ends == 1);
    ck_assert_int_eq(out->last, 5);
    ck_assert_int_eq(recv(pair[0], back, 5, MSG_WAITALL), 5);
    ck_assert_mem_eq(back, word, 5);
    close(pair[0]);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, 0);
    ck_assert_uint_eq(driver->active, 0);
    driver->ops->close_socket(driver, pair[1]);
    finish();
    free(in->data);
    free(in);
    free(out);
}
END_TEST

START_TEST(test_pieces_arrive_in_order)
{
    int pair[2];
    const size_t length = 100003;
    start();
    make_pair(pair);
    struct probe *out = probe_new(RONDO_OP_SEND, pair[1]);
    out->data = pattern(length);
    out->length = length;
    out->cut = 64;
    struct probe *in = receive(pair[0]);
    in->data = malloc(in->length = length);
    submit(out);
    UNTIL(in->received == length && out->ends == 1);
    ck_assert_int_eq(out->last, (ptrdiff_t) length);
    ck_assert_mem_eq(in->data, out->data, length);
    driver->ops->cancel(driver, &in->op);
    UNTIL(in->ends == 1);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in->data);
    free(out->data);
    free(in);
    free(out);
}
END_TEST

/* Far more than socket buffers and the pool hold: one send takes it all, and every byte arrives. */
START_TEST(test_bulk)
{
    int pair[2];
    const size_t length = 24u << 20;
    start();
    make_tcp_pair(pair);
    unsigned char *data = pattern(length);
    struct probe *in = receive(pair[0]);
    in->data = malloc(in->length = length);
    struct probe *out = transmit(pair[1], data, length);
    UNTIL(in->received == length && out->ends == 1);
    ck_assert_int_eq(out->last, (ptrdiff_t) length);
    ck_assert_mem_eq(in->data, data, length);
    driver->ops->close_socket(driver, pair[1]);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, 0);
    driver->ops->close_socket(driver, pair[0]);
    finish();
    free(data);
    free(in->data);
    free(in);
    free(out);
}
END_TEST

/* What is large goes out at once, as far as there is room; what is small is to be submitted. */
START_TEST(test_send_at_once)
{
    int pair[2];
    const size_t length = 16u << 20;
    unsigned char *data = pattern(length), back[1000];
    start();
    make_tcp_pair(pair); /* the dialled one blocks, the accepted one does not */
    rondo_bytes small[2] = { { data, 100 }, { data, 100 } };
    rondo_bytes large[2] = { { data, 1000 }, { data + 1000, length - 1000 } };
    for (unsigned side = 0; side < 2; side++) {
        ck_assert_int_eq(driver->ops->try_send(driver, pair[side], small, 2), RONDO_EAGAIN);
        ptrdiff_t sent = driver->ops->try_send(driver, pair[side], large, 2);
        ck_assert_int_gt(sent, 1000);
        ck_assert_int_lt(sent, (ptrdiff_t) length);
        while (sent > 0)
            sent = driver->ops->try_send(driver, pair[side], large, 2);
        ck_assert_int_eq(sent, RONDO_EAGAIN);
        ck_assert_int_eq(recv(pair[!side], back, sizeof back, 0), sizeof back);
        ck_assert_mem_eq(back, data, sizeof back);
    }
    close(pair[0]);
    ck_assert_int_lt(driver->ops->try_send(driver, pair[1], large, 2), 0);
    close(pair[1]);
    finish();
    free(data);
}
END_TEST

START_TEST(test_reset_by_peer)
{
    int pair[2];
    struct linger reset = { 1, 0 };
    start();
    make_tcp_pair(pair);
    struct probe *in = receive(pair[1]);
    pass(0);
    setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(pair[0]);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_ECONNRESET);
    char byte = 0;
    struct probe *out = transmit(pair[1], &byte, 1);
    UNTIL(out->ends == 1);
    ck_assert_int_eq(out->last, RONDO_EPIPE);
    driver->ops->close_socket(driver, pair[1]);
    finish();
    free(in);
    free(out);
}
END_TEST

START_TEST(test_op_freed_in_its_last_completion)
{
    int pair[2];
    bool freed = false;
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    in->free_inside = true;
    in->freed = &freed;
    pass(0);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    close(pair[1]);
    UNTIL(freed);
    finish();
    close(pair[0]);
}
END_TEST

START_TEST(test_bad_socket_is_an_error)
{
    start();
    struct probe *in = receive(1000);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_EBADF);
    in->op.socket = -1;
    ck_assert_int_eq(driver->ops->submit(driver, &in->op), RONDO_EBADF);
    ck_assert_int_eq(in->op.state, RONDO_OP_IDLE);
    finish();
    free(in);
}
END_TEST

/* --- cancelling ---------------------------------------------------------------------------------------- */

START_TEST(test_cancel_before_it_is_armed)
{
    int pair[2];
    char byte = 'x';
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    struct probe *out = transmit(pair[0], &byte, 1);
    driver->ops->cancel(driver, &in->op);
    driver->ops->cancel(driver, &in->op);
    driver->ops->cancel(driver, &out->op);
    ck_assert_uint_eq(in->completions + out->completions, 0);
    ck_assert_int_eq(in->op.state, RONDO_OP_CANCELLING);
    pass(RONDO_FOREVER); /* must not wait */
    ck_assert_uint_eq(in->ends, 1);
    ck_assert_uint_eq(out->ends, 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    ck_assert_int_eq(out->last, RONDO_ECANCELLED);
    ck_assert_int_eq(recv(pair[1], &byte, 1, 0), -1); /* nothing was sent */
    driver->ops->cancel(driver, &in->op);             /* idle: nothing */
    settle();
    ck_assert_uint_eq(in->completions, 1);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in);
    free(out);
}
END_TEST

START_TEST(test_cancel_when_armed)
{
    int pair[2];
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    pass(0);
    driver->ops->cancel(driver, &in->op);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    ck_assert_uint_eq(in->completions, 1);
    submit(in); /* and anew */
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    UNTIL(in->received == 1);
    driver->ops->cancel(driver, &in->op);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in);
}
END_TEST

/* The completion has come already when the cancel does: nothing but the end is delivered. */
START_TEST(test_cancel_when_reaped)
{
    int pair[2];
    struct rondo_ready_list held;
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    pass(0);
    ck_assert_int_eq(write(pair[1], "data", 4), 4);
    rondo_ready_list_init(&held);
    ck_assert_int_eq(driver->ops->wait(driver, RONDO_S(5), &held), 0);
    ck_assert(!rondo_ready_list_is_empty(&held));
    driver->ops->cancel(driver, &in->op);
    rondo_ready_list_splice(&core.queue, &held);
    UNTIL(in->ends == 1);
    ck_assert_uint_eq(in->completions, 1);
    ck_assert_uint_eq(in->received, 0);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in);
}
END_TEST

START_TEST(test_cancel_at_end_of_stream)
{
    int pair[2];
    struct rondo_ready_list held;
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    pass(0);
    close(pair[1]);
    rondo_ready_list_init(&held);
    ck_assert_int_eq(driver->ops->wait(driver, RONDO_S(5), &held), 0);
    ck_assert(!rondo_ready_list_is_empty(&held));
    driver->ops->cancel(driver, &in->op);
    rondo_ready_list_splice(&core.queue, &held);
    UNTIL(in->ends == 1);
    settle();
    ck_assert_uint_eq(in->completions, 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    finish();
    close(pair[0]);
    free(in);
}
END_TEST

START_TEST(test_cancel_inside_a_completion)
{
    int pair[2];
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    in->cancel_inside = true;
    pass(0);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    UNTIL(in->ends == 1);
    ck_assert_uint_eq(in->completions, 2);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in);
}
END_TEST

START_TEST(test_cancel_of_a_send_that_is_stuck)
{
    int pair[2];
    const size_t length = 16u << 20;
    start();
    make_tcp_pair(pair);
    unsigned char *data = pattern(length);
    struct probe *out = transmit(pair[1], data, length);
    settle();
    ck_assert_uint_eq(out->ends, 0);
    driver->ops->cancel(driver, &out->op);
    UNTIL(out->ends == 1);
    ck_assert(out->last == RONDO_ECANCELLED || (out->last > 0 && (size_t) out->last < length));
    /* What it says it has sent is what arrives. */
    ptrdiff_t sent = out->last > 0 ? out->last : 0;
    driver->ops->close_socket(driver, pair[1]);
    unsigned char *back = malloc(length);
    ptrdiff_t arrived = 0;
    for (ssize_t part; (part = read(pair[0], back, length)) > 0; arrived += part)
        ck_assert_mem_eq(back, data + arrived, (size_t) part);
    ck_assert_int_eq(arrived, sent);
    close(pair[0]);
    finish();
    free(back);
    free(data);
    free(out);
}
END_TEST

/* --- pausing ------------------------------------------------------------------------------------------- */

START_TEST(test_pause_keeps_every_byte)
{
    int pair[2];
    const size_t length = 4u << 20;
    size_t sent = 0;
    start();
    make_tcp_pair(pair);
    unsigned char *data = pattern(length);
    struct probe *in = receive(pair[1]);
    in->data = malloc(in->length = length);
    in->pause_inside = true;
    while (in->received < length) {
        if (sent < length) {
            ssize_t part = send(pair[0], data + sent, length - sent, MSG_DONTWAIT);
            sent += part > 0 ? (size_t) part : 0;
        }
        settle();
        size_t before = in->received;
        settle();
        ck_assert_uint_eq(in->received, before); /* held back */
        driver->ops->resume(driver, &in->op);
        driver->ops->resume(driver, &in->op);
        pass(RONDO_MS(20));
    }
    ck_assert_mem_eq(in->data, data, length);
    ck_assert_uint_eq(in->ends, 0);
    driver->ops->cancel(driver, &in->op);
    finish();
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    close(pair[0]);
    close(pair[1]);
    free(data);
    free(in->data);
    free(in);
}
END_TEST

START_TEST(test_pause_that_ends_at_once_costs_nothing)
{
    int pair[2];
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    pass(0);
    driver->ops->pause(driver, &in->op);
    driver->ops->resume(driver, &in->op);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    UNTIL(in->received == 1);
    ck_assert_uint_eq(in->completions, 1);
    driver->ops->cancel(driver, &in->op);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in);
}
END_TEST

START_TEST(test_pause_before_it_is_armed)
{
    int pair[2];
    start();
    make_pair(pair);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    struct probe *in = receive(pair[0]);
    driver->ops->pause(driver, &in->op);
    settle();
    ck_assert_uint_eq(in->completions, 0);
    driver->ops->resume(driver, &in->op);
    UNTIL(in->received == 1);
    driver->ops->pause(driver, &in->op);
    ck_assert_int_eq(write(pair[1], "y", 1), 1);
    settle(); /* delivered, then given up in the kernel */
    ck_assert_uint_eq(in->received, 2);
    driver->ops->cancel(driver, &in->op); /* with nothing armed */
    ck_assert_uint_eq(in->ends, 0);
    pass(RONDO_FOREVER);
    ck_assert_uint_eq(in->ends, 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in);
}
END_TEST

/* Pause and resume while the kernel is giving up the receive. */
START_TEST(test_resume_during_the_give_up)
{
    int pair[2];
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    in->data = malloc(in->length = 64);
    pass(0);
    for (unsigned round = 0; round < 20; round++) {
        char byte = (char) ('a' + round);
        driver->ops->pause(driver, &in->op);
        ck_assert_int_eq(write(pair[1], &byte, 1), 1);
        pass(RONDO_MS(2)); /* delivered; a cancel is wanted */
        if (round % 2)
            pass(0); /* and sent */
        driver->ops->resume(driver, &in->op);
        if (round % 3 == 0)
            settle();
    }
    UNTIL(in->received == 20);
    ck_assert_mem_eq(in->data, "abcdefghijklmnopqrst", 20);
    ck_assert_uint_eq(in->ends, 0);
    close(pair[1]);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, 0);
    finish();
    close(pair[0]);
    free(in->data);
    free(in);
}
END_TEST

void add_stream_cases(Suite *suite)
{
    TCase *group = tcase_create("stream");
    tcase_set_timeout(group, 60);
    tcase_add_test(group, test_echo);
    tcase_add_test(group, test_pieces_arrive_in_order);
    tcase_add_test(group, test_bulk);
    tcase_add_test(group, test_send_at_once);
    tcase_add_test(group, test_reset_by_peer);
    tcase_add_test(group, test_op_freed_in_its_last_completion);
    tcase_add_test(group, test_bad_socket_is_an_error);
    tcase_add_test(group, test_cancel_before_it_is_armed);
    tcase_add_test(group, test_cancel_when_armed);
    tcase_add_test(group, test_cancel_when_reaped);
    tcase_add_test(group, test_cancel_at_end_of_stream);
    tcase_add_test(group, test_cancel_inside_a_completion);
    tcase_add_test(group, test_cancel_of_a_send_that_is_stuck);
    tcase_add_test(group, test_pause_keeps_every_byte);
    tcase_add_test(group, test_pause_that_ends_at_once_costs_nothing);
    tcase_add_test(group, test_pause_before_it_is_armed);
    tcase_add_test(group, test_resume_during_the_give_up);
    suite_add_tcase(suite, group);
}
