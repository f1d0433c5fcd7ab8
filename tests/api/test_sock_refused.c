/* SPDX-License-Identifier: MIT */
/* Low-level socket operations that are refused: on sockets of transports, on what is no socket, on the wrong thread. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "peer.h"

static rondo_loop *loop;
static rondo_socket pair[2]; /* the first is non-blocking */

static void begin(void)
{
    loop = support_loop();
    peer_pair(pair);
    peer_set_blocking(pair[0], false);
}

static void end(void)
{
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}

/* SOCK-13 */
START_TEST(test_transports)
{
    begin();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_socket sock = rondo_transport_socket(conn.transport);
    peer_send_text(peer, "x");
    net_refused(rondo_sock_recv(loop, sock, 10), RONDO_EBUSY);
    net_refused(rondo_sock_sendall(loop, sock, "x", 1), RONDO_EBUSY);
    net_refused(rondo_sock_accept(loop, sock), RONDO_EBUSY);
    peer_expect_nothing(peer);
    net_done(loop, &conn);
    peer_close(peer);
    end();
}
END_TEST

/* An accept that has to wait does not compete with the server for its connections. */
START_TEST(test_servers)
{
    begin();
    net_conn conn = { 0 };
    int port;
    rondo_server *server = net_serve(loop, net_factory, &conn, &port);
    rondo_socket sock;
    ck_assert_uint_eq(rondo_server_sockets(server, &sock, 1), 1);
    ck_assert_int_eq(net_outcome(rondo_sock_accept(loop, sock)), RONDO_EBUSY);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    run_until(loop, conn.made == 1);
    net_done(loop, &conn);
    peer_close(peer);
    end();
}
END_TEST

/* A socket that waits for an operation and becomes a transport's. */
START_TEST(test_becomes_a_transport)
{
    begin();
    net_conn conn = { 0 };
    rondo_future *future = rondo_sock_recv(loop, pair[0], 10);
    net_adopt(loop, &conn, pair[0]);
    ck_assert_int_eq(net_outcome(future), RONDO_EBUSY);
    peer_send_text(pair[1], "abc");
    run_until(loop, conn.received == 3);
    net_done(loop, &conn);
    pair[0] = peer_unconnected();
    end();
}
END_TEST

START_TEST(test_misuse)
{
    begin();
    char byte;
    net_refused(rondo_sock_recv(NULL, pair[0], 1), RONDO_EINVAL);
    net_refused(rondo_sock_recv_into(loop, pair[0], NULL, 1), RONDO_EINVAL);
    net_refused(rondo_sock_recvfrom_into(loop, pair[0], NULL, 1, NULL), RONDO_EINVAL);
    net_refused(rondo_sock_sendall(loop, pair[0], NULL, 1), RONDO_EINVAL);
    net_refused(rondo_sock_sendto(loop, pair[0], NULL, 1, NULL), RONDO_EINVAL);
    net_refused(rondo_sock_recv(loop, RONDO_INVALID_SOCKET, 1), RONDO_EBADF);
    net_refused(rondo_sock_recv(loop, 54321, 1), RONDO_EBADF);
    net_refused(rondo_sock_sendall(loop, INT_MAX, "x", 1), RONDO_EBADF);
    int pipes[2];
    ck_assert_int_eq(pipe2(pipes, O_NONBLOCK), 0);
    ck_assert_int_eq(net_outcome(rondo_sock_recv_into(loop, pipes[0], &byte, 1)), RONDO_ENOTSOCK);
    ck_assert_int_eq(rondo_await_received(NULL, NULL) < 0, 1);
    peer_close(pipes[0]);
    peer_close(pipes[1]);
    end();
}
END_TEST

static void call_from_outside(void *context)
{
    (void) context;
    net_refused(rondo_sock_recv(loop, pair[0], 10), RONDO_ETHREAD);
}

static void ask_a_thread(void *context)
{
    support_thread_join(support_thread_start(call_from_outside, context));
}

START_TEST(test_wrong_thread)
{
    begin();
    rondo_loop_set_debug(loop, true);
    rondo_loop_set_slow_callback_duration(loop, RONDO_S(60));
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, ask_a_thread, NULL), 0);
    support_run_passes(loop, 2);
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "refused");
    tcase_add_test(tcase, test_transports);
    tcase_add_test(tcase, test_servers);
    tcase_add_test(tcase, test_becomes_a_transport);
    tcase_add_test(tcase, test_misuse);
    tcase_add_test(tcase, test_wrong_thread);
}

int main(void)
{
    return support_main("refused sock operations", add_cases);
}
