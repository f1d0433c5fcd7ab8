/* SPDX-License-Identifier: MIT */
/* create_connection: arguments that are refused. */
#define _GNU_SOURCE
#include "peer.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void is_refused(rondo_loop *loop, const rondo_connection_options *options)
{
    rondo_future *future = rondo_create_connection(loop, net_traced_factory, NULL, options);
    ck_assert_ptr_null(future);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_str_ne(rondo_last_error_message(), "");
    /* waiting for NULL gives the error of the call */
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, future, NULL), RONDO_EINVAL);
    trace_is("");
}

START_TEST(test_neither_or_both)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    /* CON-05: neither */
    is_refused(loop, &options);
    /* CON-05: both */
    options.sock = pair[0];
    options.host = "127.0.0.1";
    is_refused(loop, &options);
    options.host = NULL;
    options.port = 80;
    is_refused(loop, &options);
    options.port = RONDO_NO_PORT;
    options.service = "80";
    is_refused(loop, &options);
    /* the socket is still the caller's */
    ck_assert(peer_is_open(pair[0]));
    ck_assert(!peer_is_nonblocking(pair[0]));
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_sock_excludes)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    peer_pair(pair);
    /* CON-07: none of the six */
    for (int i = 0; i < 5; i++) {
        rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
        options.sock = pair[0];
        if (i == 0)
            options.family = AF_INET;
        if (i == 1)
            options.proto = IPPROTO_TCP;
        if (i == 2)
            options.flags = AI_PASSIVE;
        if (i == 3)
            options.local_host = "127.0.0.1";
        if (i == 4)
            options.local_port = 0;
        is_refused(loop, &options);
    }
    ck_assert(peer_is_open(pair[0]));
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_wrong_sock)
{
    rondo_loop *loop = support_loop();
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    int port;
    rondo_socket socks[] = { peer_datagram(), peer_unconnected(), peer_listen("127.0.0.1", 1, &port) };
    rondo_socket client = peer_connect("127.0.0.1", port); /* the listener has something to read */
    /* CON-06: a connected stream socket, else refused */
    for (size_t i = 0; i < 3; i++) {
        options.sock = socks[i];
        is_refused(loop, &options);
        ck_assert(peer_is_open(socks[i]));
        peer_close(socks[i]);
    }
    /* a number that is no descriptor */
    options.sock = socks[2];
    is_refused(loop, &options);
    peer_close(client);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_bad_values)
{
    rondo_loop *loop = support_loop();
    static const int ports[] = { -2, 65536, 1 << 30 };
    for (size_t i = 0; i < 3; i++) {
        rondo_connection_options options = net_to("127.0.0.1", ports[i]);
        is_refused(loop, &options);
        options = net_to("127.0.0.1", 80);
        options.local_host = "127.0.0.1";
        options.local_port = ports[i];
        is_refused(loop, &options);
    }
    rondo_connection_options options = net_to("127.0.0.1", 80);
    options.service = "80";
    is_refused(loop, &options);
    options = net_to("127.0.0.1", 80);
    options.size = 0;
    is_refused(loop, &options);
    options = net_to("127.0.0.1", 80);
    options.happy_eyeballs_delay = -1;
    is_refused(loop, &options);
    options = net_to("127.0.0.1", 80);
    options.interleave = -1;
    is_refused(loop, &options);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_null)
{
    rondo_loop *loop = support_loop();
    rondo_connection_options options = net_to("127.0.0.1", 80);
    ck_assert_ptr_null(rondo_create_connection(NULL, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_connection(loop, NULL, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_connection(loop, net_factory, NULL, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    /* outside of a task there is nothing to wait in */
    ck_assert_int_lt(rondo_await_connection(NULL, NULL, NULL), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_closed_loop)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    peer_pair(pair);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    ck_assert_ptr_null(rondo_create_connection(loop, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    options = net_to("127.0.0.1", 80);
    ck_assert_ptr_null(rondo_create_connection(loop, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert(peer_is_open(pair[0]));
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "arguments");
    tcase_add_test(tcase, test_neither_or_both);
    tcase_add_test(tcase, test_sock_excludes);
    tcase_add_test(tcase, test_wrong_sock);
    tcase_add_test(tcase, test_bad_values);
    tcase_add_test(tcase, test_null);
    tcase_add_test(tcase, test_closed_loop);
}

int main(void)
{
    return support_main("connection_arguments", add_cases);
}
