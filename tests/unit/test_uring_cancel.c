/* SPDX-License-Identifier: MIT */
/* The io_uring driver: cancelling and pausing on a stream, at every stage of an op. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

void add_cancel_cases(Suite *suite)
{
    TCase *group = tcase_create("cancel");
    tcase_set_timeout(group, 60);
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
