/* SPDX-License-Identifier: MIT */
/* create_connection: sockets of the program. */
#define _GNU_SOURCE
#include "peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

START_TEST(test_sock)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket pair[2];
    peer_tcp_pair(pair);
    ck_assert(!peer_is_nonblocking(pair[0]));
    net_adopt(loop, &conn, pair[0]);
    /* CON-06: the same descriptor, non-blocking, owned by the transport */
    ck_assert_int_eq(rondo_transport_socket(conn.transport), pair[0]);
    ck_assert(peer_is_nonblocking(pair[0]));
    /* CON-21 */
    ck_assert_int_eq(peer_option(pair[0], IPPROTO_TCP, TCP_NODELAY), 1);
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1 && !peer_is_open(pair[0]));
    peer_close(pair[1]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_sock_unix)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .echo = true };
    /* CON-06: any family; CON-21: TCP_NODELAY is left alone there, without a word */
    rondo_socket peer = net_open(loop, &conn);
    peer_send_text(peer, "over unix");
    run_until(loop, conn.received == 9 && rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_expect(peer, "over unix");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_sock_type_bits)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    /* CON-06: the type is compared without the flag bits */
    net_adopt(loop, &conn, pair[0]);
    peer_close(pair[1]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* A connection that its peer has reset before it was given: as in asyncio, the protocol hears of that. */
START_TEST(test_reset_before)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket pair[2];
    peer_tcp_pair(pair);
    peer_reset(pair[1]);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    ck_assert_ptr_nonnull(future);
    run_until(loop, conn.losts == 1 && !peer_is_open(pair[0]));
    trace_is("c.made c.lost:RONDO_ECONNRESET");
    ck_assert_int_eq(rondo_future_result(future, NULL), 0);
    rondo_future_unref(future);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "sock");
    tcase_add_test(tcase, test_sock);
    tcase_add_test(tcase, test_sock_unix);
    tcase_add_test(tcase, test_sock_type_bits);
    tcase_add_test(tcase, test_reset_before);
}

int main(void)
{
    return support_main("connection_sock", add_cases);
}
