/* SPDX-License-Identifier: MIT */
/* The io_uring driver: accepting, connecting and closing. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct probe *connect_to(const struct sockaddr_in *address)
{
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct probe *probe = probe_new(RONDO_OP_CONNECT, sock);
    probe->target.length = sizeof *address;
    memcpy(probe->target.storage.bytes, address, sizeof *address);
    probe->op.address = &probe->target;
    submit(probe);
    return probe;
}

/* --- accepting and connecting --------------------------------------------------------------------------- */

START_TEST(test_accept_and_connect)
{
    struct sockaddr_in address;
    enum { CONNECTIONS = 200 };
    static struct probe *out[CONNECTIONS];
    start();
    struct probe *in = probe_new(RONDO_OP_ACCEPT, listen_on(0, &address));
    in->op.limit = 100;
    submit(in);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        out[i] = connect_to(&address);
    }
    UNTIL(in->accepted_count == CONNECTIONS);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        UNTIL(out[i]->ends == 1);
        ck_assert_int_eq(out[i]->last, 0);
        driver->ops->close_socket(driver, in->accepted[i]);
        driver->ops->close_socket(driver, out[i]->op.socket);
        free(out[i]);
    }
    driver->ops->cancel(driver, &in->op);
    driver->ops->close_socket(driver, in->op.socket);
    UNTIL(in->ends == 1);
    finish();
    free(in);
}
END_TEST

START_TEST(test_connect_refused)
{
    struct sockaddr_in address;
    start();
    close(listen_on(0, &address));
    struct probe *out = connect_to(&address);
    UNTIL(out->ends == 1);
    ck_assert_int_eq(out->last, RONDO_ECONNREFUSED);
    driver->ops->close_socket(driver, out->op.socket);
    finish();
    free(out);
}
END_TEST

/* The backlog is full: the connect hangs in the kernel, and can be cancelled and closed there. */
START_TEST(test_connect_cancelled)
{
    struct sockaddr_in address;
    start();
    int listener = listen_on(0, &address);
    listen(listener, 0);
    int filler = dial(&address);
    struct probe *out[2];
    for (unsigned i = 0; i < 2; i++) {
        out[i] = connect_to(&address);
    }
    settle();
    ck_assert_uint_eq(out[0]->ends + out[1]->ends, 0);
    driver->ops->cancel(driver, &out[0]->op);
    UNTIL(out[0]->ends == 1);
    ck_assert_int_eq(out[0]->last, RONDO_ECANCELLED);
    driver->ops->close_socket(driver, out[0]->op.socket);
    driver->ops->cancel(driver, &out[1]->op);
    driver->ops->close_socket(driver, out[1]->op.socket);
    UNTIL(out[1]->ends == 1);
    ck_assert_int_eq(out[1]->last, RONDO_ECANCELLED);
    finish();
    close(filler);
    close(listener);
    free(out[0]);
    free(out[1]);
}
END_TEST

/* A connection was accepted by the kernel, but its listener was cancelled first: it is closed. */
START_TEST(test_accept_cancelled_with_a_connection)
{
    struct sockaddr_in address;
    struct rondo_ready_list held;
    char byte;
    start();
    struct probe *in = probe_new(RONDO_OP_ACCEPT, listen_on(0, &address));
    submit(in);
    pass(0);
    int peer = dial(&address);
    rondo_ready_list_init(&held);
    ck_assert_int_eq(driver->ops->wait(driver, RONDO_S(5), &held), 0);
    ck_assert(!rondo_ready_list_is_empty(&held));
    int other = dial(&address); /* in the backlog, or accepted with the cancel */
    driver->ops->cancel(driver, &in->op);
    rondo_ready_list_splice(&core.queue, &held);
    driver->ops->close_socket(driver, in->op.socket);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    ck_assert_uint_eq(in->accepted_count, 0);
    ck_assert_int_le(recv(peer, &byte, 1, 0), 0); /* closed: would wait for ever otherwise */
    ck_assert_int_le(recv(other, &byte, 1, 0), 0);
    close(peer);
    close(other);
    finish();
    free(in);
}
END_TEST

/* Descriptors run out: the accept ends with the error, the connection stays queued, and can be had later. */
START_TEST(test_accept_without_descriptors)
{
    struct sockaddr_in address;
    struct rlimit limit, low;
    start();
    struct probe *in = probe_new(RONDO_OP_ACCEPT, listen_on(0, &address));
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int top = dup(0);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = (rlim_t) top;
    close(top);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    submit(in); /* the kernel looks at the limit when the accept is armed */
    pass(0);
    ck_assert_int_eq(connect(peer, (struct sockaddr *) &address, sizeof address), 0);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_EMFILE);
    setrlimit(RLIMIT_NOFILE, &limit);
    submit(in);
    UNTIL(in->accepted_count == 1);
    driver->ops->close_socket(driver, in->accepted[0]);
    driver->ops->cancel(driver, &in->op);
    driver->ops->close_socket(driver, in->op.socket);
    finish();
    close(peer);
    free(in);
}
END_TEST

/* --- closing ------------------------------------------------------------------------------------------- */

/* A receive is armed: the peer gets the end of the stream all the same, at once and in order. */
START_TEST(test_close_with_a_receive_armed)
{
    int pair[2];
    char bytes[8];
    start();
    make_tcp_pair(pair);
    struct probe *in = receive(pair[1]);
    struct probe *out = transmit(pair[1], (void *) (uintptr_t) "bye", 3);
    UNTIL(out->ends == 1);
    driver->ops->cancel(driver, &in->op);
    driver->ops->close_socket(driver, pair[1]);
    /* No pass has run since. */
    ck_assert_int_eq(recv(pair[0], bytes, sizeof bytes, MSG_WAITALL), 3);
    ck_assert_int_eq(recv(pair[0], bytes, sizeof bytes, 0), 0);
    UNTIL(in->ends == 1);
    ck_assert_int_eq(in->last, RONDO_ECANCELLED);
    ck_assert_uint_eq(in->completions, 1);
    close(pair[0]);
    finish();
    free(in);
    free(out);
}
END_TEST

/* The receive was given up in a pass before: then it is just closed. */
START_TEST(test_close_after_the_cancel)
{
    int pair[2];
    char byte;
    start();
    make_tcp_pair(pair);
    struct probe *in = receive(pair[1]);
    pass(0);
    driver->ops->cancel(driver, &in->op);
    pass(0);
    ck_assert_uint_eq(in->ends, 1);
    driver->ops->close_socket(driver, pair[1]);
    ck_assert_int_eq(recv(pair[0], &byte, 1, 0), 0);
    close(pair[0]);
    finish();
    free(in);
}
END_TEST

/* The listener's port is free as soon as close_socket has returned, even without SO_REUSEADDR. */
START_TEST(test_closed_listener_frees_its_port)
{
    struct sockaddr_in address;
    start();
    for (unsigned round = 0; round < 10; round++) {
        struct probe *in = probe_new(RONDO_OP_ACCEPT, listen_on(0, &address));
        submit(in);
        if (round % 2)
            pass(0);
        driver->ops->cancel(driver, &in->op);
        driver->ops->close_socket(driver, in->op.socket);
        int again = listen_on(ntohs(address.sin_port), &address);
        ck_assert_int_ge(again, 0);
        close(again);
        UNTIL(in->ends == 1);
        free(in);
    }
    finish();
}
END_TEST

/* The number comes back while the old receive is still on its way out, at each stage of it. */
START_TEST(test_number_used_again)
{
    int pair[2], next[2];
    start();
    for (unsigned stage = 0; stage < 12; stage++) {
        make_pair(pair);
        struct probe *old = receive(pair[0]);
        if (stage % 3)
            pass(0);
        if (stage % 3 == 2) {
            ck_assert_int_eq(write(pair[1], "old", 3), 3);
            if (stage > 6)
                ck_assert_int_eq(driver->ops->wait(driver, RONDO_S(1), &core.queue), 0);
        }
        driver->ops->cancel(driver, &old->op);
        driver->ops->close_socket(driver, pair[0]);
        make_pair(next);
        ck_assert_int_eq(next[0], pair[0]);
        struct probe *new = receive(next[0]);
        new->data = malloc(new->length = 3);
        ck_assert_int_eq(write(next[1], "new", 3), 3);
        UNTIL(new->received == 3);
        ck_assert_mem_eq(new->data, "new", 3);
        UNTIL(old->ends == 1);
        ck_assert_uint_eq(old->completions, 1);
        driver->ops->cancel(driver, &new->op);
        UNTIL(new->ends == 1);
        driver->ops->close_socket(driver, next[0]);
        close(next[1]);
        close(pair[1]);
        free(new->data);
        free(new);
        free(old);
    }
    finish();
}
END_TEST

START_TEST(test_close_with_a_send_stuck)
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
    driver->ops->close_socket(driver, pair[1]);
    UNTIL(out->ends == 1);
    unsigned char *back = malloc(length);
    size_t arrived = 0;
    ssize_t part;
    for (; (part = read(pair[0], back, length)) > 0; arrived += (size_t) part)
        ck_assert_mem_eq(back, data + arrived, (size_t) part);
    ck_assert_int_eq(part, 0); /* an end of stream, not a reset */
    ck_assert_uint_gt(arrived, 0);
    close(pair[0]);
    finish();
    free(back);
    free(data);
    free(out);
}
END_TEST

void add_socket_cases(Suite *suite)
{
    TCase *group = tcase_create("socket");
    tcase_set_timeout(group, 60);
    tcase_add_test(group, test_accept_and_connect);
    tcase_add_test(group, test_connect_refused);
    tcase_add_test(group, test_connect_cancelled);
    tcase_add_test(group, test_accept_cancelled_with_a_connection);
    tcase_add_test(group, test_accept_without_descriptors);
    tcase_add_test(group, test_close_with_a_receive_armed);
    tcase_add_test(group, test_close_after_the_cancel);
    tcase_add_test(group, test_closed_listener_frees_its_port);
    tcase_add_test(group, test_number_used_again);
    tcase_add_test(group, test_close_with_a_send_stuck);
    suite_add_tcase(suite, group);
}
