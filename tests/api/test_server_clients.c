/* SPDX-License-Identifier: MIT */
/* The connections of a server, freeing it, the loop that closes under it. */
#include "peer.h"

#include <string.h>

enum { CROWD = 8 };

struct crowd {
    net_conn conns[CROWD];
    size_t called;
    rondo_server *server;
};

static rondo_protocol *crowd_factory(void *context)
{
    struct crowd *crowd = context;
    ck_assert_uint_lt(crowd->called, CROWD);
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

/* --- beyond the page ------------------------------------------------------------------------ */

START_TEST(test_close_clients)
{
    rondo_loop *loop = support_loop();
    rondo_socket peers[4];
    int port;
    static char large[1 << 20];
    rondo_server *server = begin(loop, 4, peers, &port);
    rondo_transport_write(crowd.conns[0].transport, large, sizeof large);
    if (_i == 0)
        rondo_server_close_clients(server);
    else
        rondo_server_abort_clients(server);
    for (int i = 0; i < 4; i++)
        ck_assert(rondo_transport_is_closing(crowd.conns[i].transport));
    peer_sink sink = { .sock = peers[0] };
    run_until(loop, (peer_drain(&sink), rondo_server_connections(server) == 0));
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(crowd.conns[i].losts, 1);
        ck_assert_int_eq(crowd.conns[i].error, 0);
    }
    if (_i == 0) {
        peer_drain(&sink);
        ck_assert_uint_eq(sink.received, sizeof large);
    }
    /* it goes on serving */
    ck_assert(rondo_server_is_serving(server));
    close_peers(peers, 4);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_drain)
{
    rondo_loop *loop = support_loop();
    rondo_socket peers[3];
    int port;
    static char large[1 << 20];
    rondo_server *server = begin(loop, 3, peers, &port);
    /* one that does not read keeps its connection open until the deadline */
    if (_i == 1)
        for (int i = 0; i < 16; i++)
            rondo_transport_write(crowd.conns[1].transport, large, sizeof large);
    rondo_future *drain = rondo_server_drain(server, RONDO_MS(_i == 1 ? 50 : 10000));
    ck_assert_ptr_nonnull(drain);
    support_run_passes(loop, 1);
    ck_assert(!rondo_server_is_serving(server));
    run_until(loop, rondo_future_done(drain));
    ck_assert_uint_eq(rondo_server_connections(server), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(crowd.conns[i].losts, 1);
    void *aborted = NULL;
    int rc = rondo_future_result(drain, &aborted);
    ck_assert_int_ge(rc, 0);
    ck_assert_uint_eq((size_t) rc + (size_t) (uintptr_t) aborted, _i == 1 ? 1 : 0);
    rondo_future_unref(drain);
    close_peers(peers, 3);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_free)
{
    rondo_loop *loop = support_loop();
    rondo_socket peers[2], listener;
    int port;
    rondo_server *server = begin(loop, 2, peers, &port);
    rondo_server_sockets(server, &listener, 1);
    rondo_server_free(server);
    run_until(loop, !peer_is_open(listener));
    /* connections stay open; the server is forgotten with the last */
    crowd.conns[0].echo = true;
    peer_send_text(peers[0], "on");
    run_until(loop, crowd.conns[0].received == 2 &&
                        rondo_transport_get_write_buffer_size(crowd.conns[0].transport) == 0);
    peer_expect(peers[0], "on");
    close_peers(peers, 2);
    end_crowd(loop);
    support_run_passes(loop, 3);
    rondo_server_free(net_serve(loop, crowd_factory, &crowd, NULL));
    support_run_passes(loop, 3);
    support_loop_end(loop);
}
END_TEST

static void free_in_lost(net_conn *conn, int error)
{
    (void) conn;
    (void) error;
    rondo_server_free(crowd.server);
}

START_TEST(test_free_in_lost)
{
    rondo_loop *loop = support_loop();
    rondo_socket peer;
    int port;
    begin(loop, 1, &peer, &port);
    crowd.conns[0].on_lost = free_in_lost;
    peer_close(peer);
    run_until(loop, crowd.conns[0].losts == 1);
    support_run_passes(loop, 3);
    end_crowd(loop);
    support_loop_end(loop);
}
END_TEST

/* --- the loop closes ------------------------------------------------------------------------ */

START_TEST(test_loop_close)
{
    rondo_loop *loop = support_loop();
    rondo_socket peers[3], listener;
    int port;
    rondo_server *server = begin(loop, 2, peers, &port);
    rondo_server_sockets(server, &listener, 1);
    rondo_future *waiter = rondo_server_wait_closed(server), *forever = rondo_server_serve_forever(server);
    support_run_passes(loop, 2);
    peers[2] = peer_connect("127.0.0.1", port);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    /* RUN-31: pending accepts are cancelled, every transport ends once */
    ck_assert(!peer_is_open(listener));
    ck_assert_int_eq(crowd.conns[0].losts, 1);
    ck_assert_int_eq(crowd.conns[0].error, RONDO_ECLOSED);
    ck_assert_int_eq(crowd.conns[1].losts, 1);
    ck_assert(!rondo_server_is_serving(server));
    rondo_server_close(server);
    rondo_future_unref(waiter);
    rondo_future_unref(forever);
    close_peers(peers, 3);
    for (size_t i = 0; i < crowd.called; i++)
        net_conn_end(&crowd.conns[i]);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_loop_closed_while_creating)
{
    rondo_loop *loop = support_loop();
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = "localhost";
    options.port = 0;
    rondo_future *future = rondo_create_server(loop, crowd_factory, &crowd, &options);
    ck_assert_ptr_nonnull(future);
    support_run_passes(loop, _i);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    rondo_future_unref(future);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancel_while_creating)
{
    rondo_loop *loop = support_loop();
    size_t descriptors = peer_descriptors();
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = _i % 2 ? "localhost" : "127.0.0.1";
    options.port = 0;
    rondo_future *future = rondo_create_server(loop, crowd_factory, &crowd, &options);
    support_run_passes(loop, _i / 2);
    bool done = rondo_future_done(future);
    ck_assert(rondo_future_cancel(future) == !done);
    run_until(loop, rondo_future_done(future));
    if (done) {
        void *server;
        ck_assert_int_eq(rondo_future_result(future, &server), 0);
        rondo_server_close(server);
    }
    /* whatever was bound is closed; a resolver's thread of the case before may have been counted */
    run_until(loop, peer_descriptors() <= descriptors);
    rondo_future_unref(future);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *beyond = support_case(suite, "clients");
    tcase_add_loop_test(beyond, test_close_clients, 0, 2);
    tcase_add_loop_test(beyond, test_drain, 0, 2);
    tcase_add_test(beyond, test_free);
    tcase_add_test(beyond, test_free_in_lost);

    TCase *loop = support_case(suite, "loop");
    tcase_add_test(loop, test_loop_close);
    tcase_add_loop_test(loop, test_loop_closed_while_creating, 0, 4);
    tcase_add_loop_test(loop, test_cancel_while_creating, 0, 8);
}

int main(void)
{
    return support_main("server clients", add_cases);
}
