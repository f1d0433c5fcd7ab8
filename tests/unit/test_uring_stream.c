/* SPDX-License-Identifier: MIT */
/* The io_uring driver: receiving and sending on a stream. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
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

struct last_words {
    int sock;
    bool by_closing;
    rondo_ns delay;
};

static void *say_last_words(void *context)
{
    struct last_words *words = context;
    struct timespec span = { 0, words->delay };
    if (words->delay)
        nanosleep(&span, NULL);
    ck_assert_int_eq(write(words->sock, "last", 4), 4);
    shutdown(words->sock, SHUT_WR);
    if (words->by_closing)
        close(words->sock);
    return NULL;
}

static void take_last_words(struct probe *in, struct last_words *words, unsigned stage)
{
    pthread_t thread;
    switch (stage) {
    case 0: /* before the receive is armed */
        say_last_words(words);
        submit(in);
        break;
    case 1: /* before it is looked at */
        submit(in);
        pass(0);
        say_last_words(words);
        break;
    case 2: /* during the wait */
        submit(in);
        ck_assert_int_eq(pthread_create(&thread, NULL, say_last_words, words), 0);
        UNTIL(in->ends == 1);
        pthread_join(thread, NULL);
        break;
    default: /* while it is paused and given up */
        in->pause_inside = true;
        submit(in);
        ck_assert_int_eq(write(words->sock, "x", 1), 1);
        UNTIL(in->received == 1);
        say_last_words(words);
        if (stage == 4)
            settle();
        in->pause_inside = false;
        driver->ops->resume(driver, &in->op);
    }
}

/* Bytes and the end of the stream come together: none of the two is lost. */
START_TEST(test_end_right_behind_data)
{
    start();
    for (unsigned round = 0; round < 40; round++) {
        int pair[2];
        unsigned stage = round % 5;
        if (_i)
            make_tcp_pair(pair);
        else
            make_pair(pair);
        struct last_words words = { pair[0], round % 2, stage == 2 ? RONDO_US(50) * round : 0 };
        struct probe *in = probe_new(RONDO_OP_RECV, pair[1]);
        take_last_words(in, &words, stage);
        UNTIL(in->ends == 1);
        ck_assert_int_eq(in->last, 0);
        ck_assert_uint_eq(in->received, stage > 2 ? 5 : 4);
        driver->ops->close_socket(driver, pair[1]);
        if (!words.by_closing)
            close(pair[0]);
        free(in);
    }
    finish();
}
END_TEST

/* The same with a reset: it is told, whether the bytes before it are or not. */
START_TEST(test_reset_right_behind_data)
{
    struct linger reset = { 1, 0 };
    start();
    for (unsigned round = 0; round < 10; round++) {
        int pair[2];
        make_tcp_pair(pair);
        setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        struct probe *in = receive(pair[1]);
        if (round % 2)
            pass(0);
        ck_assert_int_eq(write(pair[0], "last", 4), 4);
        close(pair[0]);
        UNTIL(in->ends == 1);
        ck_assert_int_eq(in->last, RONDO_ECONNRESET);
        driver->ops->close_socket(driver, pair[1]);
        free(in);
    }
    finish();
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

void add_stream_cases(Suite *suite)
{
    TCase *group = tcase_create("stream");
    tcase_set_timeout(group, 60);
    tcase_add_test(group, test_echo);
    tcase_add_test(group, test_pieces_arrive_in_order);
    tcase_add_test(group, test_bulk);
    tcase_add_loop_test(group, test_end_right_behind_data, 0, 2);
    tcase_add_test(group, test_reset_right_behind_data);
    tcase_add_test(group, test_send_at_once);
    tcase_add_test(group, test_reset_by_peer);
    tcase_add_test(group, test_op_freed_in_its_last_completion);
    tcase_add_test(group, test_bad_socket_is_an_error);
    suite_add_tcase(suite, group);
}
