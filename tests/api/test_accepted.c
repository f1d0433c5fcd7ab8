/* SPDX-License-Identifier: MIT */
/* connect_accepted_socket: a connection that was accepted elsewhere. */
#include "peer.h"

#include <string.h>

/* A connection as a server outside of the loop gets it. */
static void accept_elsewhere(rondo_socket ret_pair[2])
{
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    ret_pair[1] = peer_connect("127.0.0.1", port);
    ret_pair[0] = peer_accept(listener);
    peer_close(listener);
}

static int made_when_returned;

static void returned(rondo_future *future, void *context)
{
    (void) future;
    made_when_returned = ((net_conn *) context)->made;
}

START_TEST(test_adopts)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .echo = true };
    rondo_socket pair[2];
    accept_elsewhere(pair);
    peer_send_text(pair[1], "early");
    rondo_future *future = rondo_connect_accepted_socket(loop, net_factory, &conn, pair[0]);
    ck_assert_ptr_nonnull(future);
    made_when_returned = -1;
    rondo_future_add_done_callback(future, returned, &conn);
    run_until(loop, conn.received == 5 && rondo_future_done(future));
    support_run_passes(loop, 1);
    /* ACC-01: in the order of CON-04: connection_made before the data and before the return */
    trace_is("c.made c.data:5");
    ck_assert_int_eq(made_when_returned, 1);
    void *transport;
    ck_assert_int_eq(rondo_future_result(future, &transport), 0);
    ck_assert_ptr_eq(transport, conn.transport);
    rondo_future_unref(future);
    /* ACC-01: the same socket, non-blocking, and owned from now on */
    ck_assert_int_eq(rondo_transport_socket(conn.transport), pair[0]);
    ck_assert(peer_is_nonblocking(pair[0]));
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_expect(pair[1], "early");
    peer_close(pair[1]);
    run_until(loop, conn.losts == 1 && !peer_is_open(pair[0]));
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* ACC-01: a peer that has reset the connection before it was adopted; as in asyncio, the protocol hears of that. */
START_TEST(test_reset_before)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket pair[2];
    accept_elsewhere(pair);
    peer_reset(pair[1]);
    rondo_future *future = rondo_connect_accepted_socket(loop, net_factory, &conn, pair[0]);
    ck_assert_ptr_nonnull(future);
    run_until(loop, conn.losts == 1 && !peer_is_open(pair[0]));
    trace_is("c.made c.lost:RONDO_ECONNRESET");
    ck_assert_int_eq(rondo_future_result(future, NULL), 0);
    rondo_future_unref(future);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

struct adoption {
    rondo_future *future;
    rondo_transport *transport;
    rondo_protocol *protocol;
};

static int adopt_task(void *context)
{
    struct adoption *adoption = context;
    return rondo_await_connection(adoption->future, &adoption->transport, &adoption->protocol);
}

START_TEST(test_pair)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket pair[2];
    peer_pair(pair);
    struct adoption adoption = { .future = rondo_connect_accepted_socket(loop, net_factory, &conn, pair[0]) };
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, adopt_task, &adoption), NULL), 0);
    /* ACC-01: the pair; any stream family */
    ck_assert_ptr_eq(adoption.transport, conn.transport);
    ck_assert_ptr_eq(adoption.protocol, conn.protocol);
    peer_close(pair[1]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void is_refused(rondo_loop *loop, rondo_protocol_factory *factory, rondo_socket sock)
{
    ck_assert_ptr_null(rondo_connect_accepted_socket(loop, factory, NULL, sock));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_str_ne(rondo_last_error_message(), "");
}

START_TEST(test_refused)
{
    rondo_loop *loop = support_loop();
    rondo_socket datagram = peer_datagram(), pair[2];
    peer_pair(pair);
    /* ACC-02: no stream socket; it stays the caller's */
    is_refused(loop, net_factory, datagram);
    ck_assert(peer_is_open(datagram));
    peer_close(datagram);
    is_refused(loop, net_factory, datagram);
    is_refused(loop, net_factory, RONDO_INVALID_SOCKET);
    is_refused(loop, NULL, pair[0]);
    is_refused(NULL, net_factory, pair[0]);
    ck_assert(peer_is_open(pair[0]));
    ck_assert(!peer_is_nonblocking(pair[0]));
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_ptr_null(rondo_connect_accepted_socket(loop, net_factory, NULL, pair[0]));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert(peer_is_open(pair[0]));
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}
END_TEST

static rondo_protocol *no_protocol(void *context)
{
    (void) context;
    rondo_raise(RONDO_EUSER, "no protocol");
    return NULL;
}

START_TEST(test_failing_factory)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    peer_pair(pair);
    ck_assert_int_eq(net_finish(loop, rondo_connect_accepted_socket(loop, no_protocol, NULL, pair[0]), NULL),
                     RONDO_EUSER);
    run_until(loop, !peer_is_open(pair[0]));
    peer_expect_eof(pair[1]);
    peer_close(pair[1]);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancelled)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket pair[2];
    peer_pair(pair);
    rondo_future *future = rondo_connect_accepted_socket(loop, net_factory, &conn, pair[0]);
    support_run_passes(loop, _i);
    bool done = rondo_future_done(future);
    ck_assert(rondo_future_cancel(future) == !done);
    run_until(loop, rondo_future_done(future));
    if (done)
        rondo_transport_abort(conn.transport);
    /* CON-18, CON-19: closed, once */
    run_until(loop, !peer_is_open(pair[0]) && conn.made == conn.losts);
    rondo_future_unref(future);
    peer_close(pair[1]);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_handed_over)
{
    rondo_loop *first = support_loop(), *second = support_loop();
    net_conn conn = { .echo = true };
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    rondo_socket sock = peer_accept(listener);
    /* ACC-01: accepted by one, served by another loop */
    ck_assert_int_eq(
        net_finish(second, rondo_connect_accepted_socket(second, net_factory, &conn, sock), NULL), 0);
    ck_assert_ptr_eq(rondo_transport_loop(conn.transport), second);
    peer_send_text(peer, "moved");
    run_until(second, conn.received == 5 && rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_expect(peer, "moved");
    peer_close(peer);
    peer_close(listener);
    net_done(second, &conn);
    support_loop_end(first);
    support_loop_end(second);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *accepted = support_case(suite, "connect_accepted_socket");
    tcase_add_test(accepted, test_adopts);
    tcase_add_test(accepted, test_reset_before);
    tcase_add_test(accepted, test_pair);
    tcase_add_test(accepted, test_refused);
    tcase_add_test(accepted, test_failing_factory);
    tcase_add_loop_test(accepted, test_cancelled, 0, 4);
    tcase_add_test(accepted, test_handed_over);
}

int main(void)
{
    return support_main("accepted", add_cases);
}
