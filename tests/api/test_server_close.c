/* SPDX-License-Identifier: MIT */
/* The end of a server: close, wait_closed, serve_forever. */
#include "peer.h"

#include <string.h>

enum { CROWD = 8 };

struct crowd {
    net_conn conns[CROWD];
    size_t called;
    rondo_server *server;
    void (*on_call)(struct crowd *crowd);
};

static rondo_protocol *crowd_factory(void *context)
{
    struct crowd *crowd = context;
    ck_assert_uint_lt(crowd->called, CROWD);
    if (crowd->on_call)
        crowd->on_call(crowd);
    return net_factory(&crowd->conns[crowd->called++]);
}

static struct crowd crowd;

/* A server with @count connections that are made; the clients' ends go to @peers. */
static rondo_server *begin(rondo_loop *loop, size_t count, rondo_socket *peers, int *ret_port)
{
    memset(&crowd, 0, sizeof crowd);
    crowd.server = net_serve(loop, crowd_factory, &crowd, ret_port);
    for (size_t i = 0; i < count; i++) {
        peers[i] = peer_connect("127.0.0.1", *ret_port);
        run_until(loop, crowd.conns[i].made == 1);
    }
    return crowd.server;
}

static void end_crowd(rondo_loop *loop)
{
    for (size_t i = 0; i < crowd.called; i++)
        net_done(loop, &crowd.conns[i]);
}

static void close_peers(rondo_socket *peers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        peer_close(peers[i]);
}

/* --- close ---------------------------------------------------------------------------------- */

START_TEST(test_close)
{
    rondo_loop *loop = support_loop();
    rondo_socket peer, refused, listener;
    int port;
    rondo_server *server = begin(loop, 1, &peer, &port);
    /* SVO-02: the listening sockets */
    ck_assert_uint_eq(rondo_server_sockets(server, &listener, 1), 1);
    ck_assert_int_eq(peer_port(listener), port);
    ck_assert(rondo_server_is_serving(server));
    rondo_server_close(server);
    rondo_server_close(server);
    /* SVO-02, SVO-09: none after close */
    ck_assert_uint_eq(rondo_server_sockets(server, &listener, 1), 0);
    ck_assert(!rondo_server_is_serving(server));
    rondo_address address;
    ck_assert_int_eq(rondo_server_address(server, 0, &address), RONDO_EINVAL);
    run_until(loop, !peer_is_open(listener));
    /* SVO-03: refused from now on */
    ck_assert_int_eq(peer_try_connect("127.0.0.1", port, &refused), RONDO_ECONNREFUSED);
    /* SVO-04: accepted connections stay open and usable */
    crowd.conns[0].echo = true;
    peer_send_text(peer, "still?");
    run_until(loop, crowd.conns[0].received == 6 &&
                        rondo_transport_get_write_buffer_size(crowd.conns[0].transport) == 0);
    peer_expect(peer, "still?");
    peer_close(peer);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_refuses_at_once)
{
    rondo_loop *loop = support_loop();
    rondo_socket refused;
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    rondo_server_close(server);
    /* SVO-03: on return, not some time later */
    ck_assert_int_lt(peer_try_connect("127.0.0.1", port, &refused), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_port_is_free_again)
{
    rondo_loop *loop = support_loop();
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    rondo_socket peer;
    int port;
    rondo_server *server = begin(loop, 1, &peer, &port);
    rondo_server_close(server);
    ck_assert_int_eq(net_finish(loop, rondo_server_wait_closed(server), NULL), 0);
    options.host = "127.0.0.1";
    options.port = port;
    /* SVO-03, SVO-05: after wait_closed the port can be had again, with a connection still open */
    net_serve_with(loop, crowd_factory, &crowd, &options, NULL);
    peer_close(peer);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

static void close_server(void *server)
{
    rondo_server_close(server);
    trace("closed");
}

START_TEST(test_close_in_the_pass_of_an_accept)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    size_t descriptors = peer_descriptors();
    rondo_socket peer = peer_connect("127.0.0.1", port);
    rondo_loop_call_soon(loop, NULL, close_server, server);
    support_run_passes(loop, 5);
    trace_is("closed");
    /* SVO-08, SRV-17: dropped without a word; whatever was accepted is closed */
    ck_assert_uint_eq(crowd.called, 0);
    ck_assert_uint_eq(support_reports(), 0);
    run_until(loop, peer_descriptors() == descriptors); /* less the listener, more the peer */
    char byte;
    ptrdiff_t end = PEER_NOTHING;
    run_until(loop, (end = peer_recv_now(peer, &byte, 1)) != PEER_NOTHING);
    ck_assert(end == 0 || end == PEER_RESET);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_after_accept_completed)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    size_t descriptors = peer_descriptors();
    /* one pass: the connection is accepted, connection_made may be queued only */
    support_run_passes(loop, _i);
    rondo_server_close(server);
    support_run_passes(loop, 5);
    ck_assert_uint_eq(support_reports(), 0);
    /* SVO-08: dropped, or made in full: never half */
    if (crowd.called && crowd.conns[0].made) {
        peer_send_text(peer, "x");
        if (!crowd.conns[0].losts)
            run_until(loop, crowd.conns[0].received == 1 || crowd.conns[0].losts == 1);
    }
    peer_close(peer);
    end_crowd(loop);
    run_until(loop, peer_descriptors() <= descriptors - 2);
    support_loop_end(loop);
}
END_TEST

static void close_own_server(struct crowd *where)
{
    rondo_server_close(where->server);
}

static void close_in_made(net_conn *conn)
{
    (void) conn;
    rondo_server_close(crowd.server);
}

START_TEST(test_close_inside)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    if (_i == 0)
        crowd.on_call = close_own_server;
    crowd.conns[0].on_made = _i == 1 ? close_in_made : NULL;
    rondo_socket peers[3];
    for (int i = 0; i < 3; i++)
        peers[i] = peer_connect("127.0.0.1", port);
    support_run_passes(loop, 10);
    /* SVO-08: from the factory, and from connection_made */
    ck_assert(!rondo_server_is_serving(server));
    ck_assert_uint_eq(support_reports(), 0);
    close_peers(peers, 3);
    end_crowd(loop);
    run_until(loop, rondo_server_connections(server) == 0);
    support_loop_end(loop);
}
END_TEST

/* --- wait_closed ---------------------------------------------------------------------------- */

static void trace_done(rondo_future *future, void *word)
{
    (void) future;
    trace("%s", (const char *) word);
}

START_TEST(test_wait_closed)
{
    rondo_loop *loop = support_loop();
    rondo_socket peers[2];
    int port;
    rondo_server *server = begin(loop, 2, peers, &port);
    crowd.conns[0].name = "a";
    crowd.conns[1].name = "b";
    /* SVO-06: any number of waiters, begun before close */
    rondo_future *first = rondo_server_wait_closed(server), *second = rondo_server_wait_closed(server);
    rondo_future_add_done_callback(first, trace_done, "first");
    rondo_future_add_done_callback(second, trace_done, "second");
    support_run_passes(loop, 3);
    ck_assert(!rondo_future_done(first));
    rondo_server_close(server);
    /* SVO-06: begun after close: at once */
    ck_assert_int_eq(net_finish(loop, rondo_server_wait_closed(server), NULL), 0);
    support_run_passes(loop, 5);
    ck_assert(!rondo_future_done(first));
    rondo_transport_close(crowd.conns[0].transport);
    run_until(loop, crowd.conns[0].losts == 1);
    support_run_passes(loop, 3);
    ck_assert(!rondo_future_done(first));
    rondo_transport_abort(crowd.conns[1].transport);
    run_until(loop, rondo_future_done(first) && rondo_future_done(second));
    support_run_passes(loop, 2);
    /* SVO-06, SVO-07: when the last connection has been lost, and not before */
    trace_is("a.lost:0 b.lost:0 first second");
    ck_assert_int_eq(rondo_future_result(first, NULL), 0);
    rondo_future_unref(first);
    rondo_future_unref(second);
    close_peers(peers, 2);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_wait_closed_without_connections)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    rondo_future *waiter = rondo_server_wait_closed(server);
    support_run_passes(loop, 3);
    ck_assert(!rondo_future_done(waiter));
    rondo_server_close(server);
    /* SVO-05, SVO-06 */
    ck_assert_int_eq(net_finish(loop, waiter, NULL), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancelled_waiter)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    rondo_future *first = rondo_server_wait_closed(server), *second = rondo_server_wait_closed(server);
    ck_assert(rondo_future_cancel(first));
    run_until(loop, rondo_future_done(first));
    ck_assert(rondo_server_is_serving(server));
    rondo_server_close(server);
    /* SVO-06: one that was cancelled is no matter to the others */
    ck_assert_int_eq(net_finish(loop, second, NULL), 0);
    rondo_future_unref(first);
    support_loop_end(loop);
}
END_TEST

static size_t count_in_made, count_in_lost;

static void look_in_made(net_conn *conn)
{
    (void) conn;
    count_in_made = rondo_server_connections(crowd.server);
}

static void look_in_lost(net_conn *conn, int error)
{
    (void) conn;
    (void) error;
    count_in_lost = rondo_server_connections(crowd.server);
}

START_TEST(test_count)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    crowd.conns[0].on_made = look_in_made;
    crowd.conns[0].on_lost = look_in_lost;
    rondo_socket peer = peer_connect("127.0.0.1", port);
    run_until(loop, crowd.conns[0].made == 1);
    ck_assert_uint_eq(rondo_server_connections(server), 1);
    peer_close(peer);
    run_until(loop, crowd.conns[0].losts == 1);
    /* SVO-07: from construction until after connection_lost */
    ck_assert_uint_eq(count_in_made, 1);
    ck_assert_uint_eq(count_in_lost, 1);
    run_until(loop, rondo_server_connections(server) == 0);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

/* --- serve_forever -------------------------------------------------------------------------- */

START_TEST(test_serve_forever)
{
    rondo_loop *loop = support_loop();
    rondo_socket peer;
    int port;
    rondo_server *server = begin(loop, 1, &peer, &port);
    rondo_future *forever = rondo_server_serve_forever(server);
    ck_assert_ptr_nonnull(forever);
    /* SVO-09: one at a time */
    ck_assert_ptr_null(rondo_server_serve_forever(server));
    ck_assert_int_eq(rondo_last_error(), RONDO_EBUSY);
    support_run_passes(loop, 3);
    ck_assert(!rondo_future_done(forever));
    ck_assert(rondo_server_is_serving(server));
    /* SVO-09: cancelling it closes the server */
    ck_assert(rondo_future_cancel(forever));
    run_until(loop, rondo_future_done(forever));
    ck_assert(rondo_future_cancelled(forever));
    ck_assert(!rondo_server_is_serving(server));
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 0);
    ck_assert_int_eq(crowd.conns[0].losts, 0);
    /* SVO-09: not when closed */
    ck_assert_ptr_null(rondo_server_serve_forever(server));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    rondo_future_unref(forever);
    peer_close(peer);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

static int serve_task(void *server)
{
    return rondo_await(rondo_server_serve_forever(server), NULL);
}

START_TEST(test_serve_forever_in_task)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_server *server = begin(loop, 0, NULL, &port);
    rondo_task *task = rondo_create_task(loop, serve_task, server);
    support_run_passes(loop, 3);
    ck_assert(rondo_future_cancel(task));
    ck_assert_int_eq(net_finish(loop, task, NULL), RONDO_ECANCELLED);
    /* SVO-09 */
    ck_assert(!rondo_server_is_serving(server));
    support_loop_end(loop);
}
END_TEST

START_TEST(test_serve_forever_starts)
{
    rondo_loop *loop = support_loop();
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    int port;
    memset(&crowd, 0, sizeof crowd);
    options.host = "127.0.0.1";
    options.port = 0;
    options.start_serving = false;
    rondo_server *server = net_serve_with(loop, crowd_factory, &crowd, &options, &port);
    rondo_future *forever = rondo_server_serve_forever(server);
    support_run_passes(loop, 2);
    /* SRV-18: serve_forever begins to listen */
    ck_assert(rondo_server_is_serving(server));
    rondo_socket peer = peer_connect("127.0.0.1", port);
    run_until(loop, crowd.conns[0].made == 1);
    /* SVO-09: closing the server ends it as a cancellation does */
    rondo_server_close(server);
    run_until(loop, rondo_future_done(forever));
    ck_assert(rondo_future_cancelled(forever));
    rondo_future_unref(forever);
    peer_close(peer);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *close = support_case(suite, "close");
    tcase_add_test(close, test_close);
    tcase_add_test(close, test_close_refuses_at_once);
    tcase_add_test(close, test_port_is_free_again);
    tcase_add_test(close, test_close_in_the_pass_of_an_accept);
    tcase_add_loop_test(close, test_close_after_accept_completed, 0, 4);
    tcase_add_loop_test(close, test_close_inside, 0, 2);

    TCase *wait = support_case(suite, "wait_closed");
    tcase_add_test(wait, test_wait_closed);
    tcase_add_test(wait, test_wait_closed_without_connections);
    tcase_add_test(wait, test_cancelled_waiter);
    tcase_add_test(wait, test_count);

    TCase *forever = support_case(suite, "serve_forever");
    tcase_add_test(forever, test_serve_forever);
    tcase_add_test(forever, test_serve_forever_in_task);
    tcase_add_test(forever, test_serve_forever_starts);
}

int main(void)
{
    return support_main("server close", add_cases);
}
