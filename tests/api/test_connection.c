/* SPDX-License-Identifier: MIT */
/* create_connection: the order of what happens, the factory, and connection_made. */
#include "peer.h"
#include "resolver.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct pair {
    rondo_loop *loop;
    net_conn *conn;
    int port;
    const char *host;
    rondo_transport *transport;
    rondo_protocol *protocol;
};

static int connect_task(void *context)
{
    struct pair *pair = context;
    rondo_connection_options options = net_to(pair->host, pair->port);
    return rondo_await_connection(rondo_create_connection(pair->loop, net_factory, pair->conn, &options),
                                  &pair->transport, &pair->protocol);
}

static void connects_to(const char *host, int family)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    struct pair pair = { .loop = loop, .conn = &conn, .host = host };
    rondo_socket listener = peer_listen(host, 5, &pair.port);
    /* CON-01: yields transport and protocol */
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, connect_task, &pair), NULL), 0);
    ck_assert_ptr_eq(pair.transport, conn.transport);
    ck_assert_ptr_eq(pair.protocol, conn.protocol);
    rondo_address address;
    ck_assert_int_eq(rondo_transport_peername(conn.transport, &address), 0);
    ck_assert_int_eq(rondo_address_family(&address), family);
    ck_assert_int_eq(rondo_address_port(&address), pair.port);
    rondo_socket peer = peer_accept(listener);
    peer_send_text(peer, "hi");
    run_until(loop, conn.received == 2);
    peer_close(peer);
    peer_close(listener);
    net_done(loop, &conn);
    support_loop_end(loop);
}

START_TEST(test_ipv4)
{
    connects_to("127.0.0.1", AF_INET);
}
END_TEST

START_TEST(test_ipv6)
{
    if (peer_has_ipv6())
        connects_to("::1", AF_INET6);
}
END_TEST

static void on_made_traced(net_conn *conn)
{
    (void) conn;
    /* CON-04: the caller is released after connection_made */
    trace("in-made");
}

static void returned(rondo_future *future, void *context)
{
    (void) future;
    (void) context;
    trace("returned");
}

START_TEST(test_order)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .on_made = on_made_traced };
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", port, 0 } }, .count = 1 } },
                           .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", port);
    rondo_future *future = rondo_create_connection(loop, net_traced_factory, &conn, &options);
    ck_assert_ptr_nonnull(future);
    ck_assert_int_eq(rondo_future_add_done_callback(future, returned, NULL), 0);
    run_until(loop, peer_has_connection(listener));
    rondo_socket peer = peer_accept(listener);
    peer_send_text(peer, "early");
    run_until(loop, conn.received == 5 && rondo_future_done(future));
    support_run_passes(loop, 1);
    /* CON-02: resolve, connect, factory once, connection_made, return; CON-04: connection_made is before
     * the data and the return, whose own order is open */
    const char *text = trace_text();
    const char *begin = "resolve:example.test factory c.made in-made ";
    ck_assert_int_eq(strncmp(text, begin, strlen(begin)), 0);
    ck_assert_ptr_nonnull(strstr(text, "returned"));
    ck_assert_ptr_nonnull(strstr(text, "c.data:5"));
    rondo_future_unref(future);
    peer_close(peer);
    peer_close(listener);
    net_done(loop, &conn);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_borrowed_texts)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    char host[] = "127.0.0.1", service[8], local[] = "127.0.0.1";
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    snprintf(service, sizeof service, "%d", port);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = host;
    options.service = service;
    options.local_host = local;
    options.local_port = 0;
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    memset(host, 'x', sizeof host - 1);
    memset(service, 'x', sizeof service - 1);
    memset(local, 'x', sizeof local - 1);
    memset(&options, 0, sizeof options);
    /* CON-09: a port as text; texts are borrowed for the call only */
    ck_assert_int_eq(net_finish(loop, future, NULL), 0);
    peer_close(listener);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_nodelay)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_connection_options options = net_to("127.0.0.1", port);
    ck_assert_int_eq(net_finish(loop, rondo_create_connection(loop, net_factory, &conn, &options), NULL), 0);
    /* CON-21 */
    ck_assert_int_eq(peer_option(rondo_transport_socket(conn.transport), IPPROTO_TCP, TCP_NODELAY), 1);
    peer_close(listener);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- the factory ------------------------------------------------------------------------------------------------- */

static rondo_protocol *existing;

static rondo_protocol *existing_factory(void *context)
{
    (void) context;
    return rondo_protocol_ref(existing);
}

START_TEST(test_existing_protocol)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    existing = net_factory(&conn);
    rondo_connection_options options = net_to("127.0.0.1", port);
    /* CON-03: the factory may return what exists */
    ck_assert_int_eq(net_finish(loop, rondo_create_connection(loop, existing_factory, NULL, &options), NULL),
                     0);
    ck_assert_ptr_eq(conn.protocol, existing);
    ck_assert_int_eq(conn.made, 1);
    peer_close(listener);
    net_done(loop, &conn);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(conn.destroyed, 0);
    rondo_protocol_unref(existing);
    ck_assert_uint_eq(conn.destroyed, 1);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_factory_not_called)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port;
    size_t descriptors = peer_descriptors();
    rondo_socket bound = peer_bound("127.0.0.1", &port);
    rondo_connection_options options = net_to("127.0.0.1", port);
    int rc = net_finish(loop, rondo_create_connection(loop, net_traced_factory, &conn, &options), NULL);
    /* CON-03: not where connecting fails; CON-12: the one error as it is */
    ck_assert_int_eq(rc, RONDO_ECONNREFUSED);
    trace_is("");
    peer_close(bound);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    support_loop_end(loop);
}
END_TEST

static rondo_protocol *failing_factory(void *context)
{
    (void) context;
    rondo_raise(RONDO_EUSER - 3, "no protocol today");
    return NULL;
}

static rondo_protocol *silent_factory(void *context)
{
    (void) context;
    return NULL;
}

START_TEST(test_failing_factory)
{
    rondo_loop *loop = support_loop();
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    size_t descriptors = peer_descriptors();
    rondo_connection_options options = net_to("127.0.0.1", port);
    rondo_protocol_factory *factory = _i ? silent_factory : failing_factory;
    int rc = net_finish(loop, rondo_create_connection(loop, factory, NULL, &options), NULL);
    /* CON-02: the call fails with the factory's error, and the socket is closed */
    if (_i == 0) {
        ck_assert_int_eq(rc, RONDO_EUSER - 3);
        ck_assert_str_eq(rondo_last_error_message(), "no protocol today");
    } else {
        ck_assert_int_lt(rc, 0);
    }
    rondo_socket peer = peer_accept(listener);
    peer_expect_eof(peer);
    peer_close(peer);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    ck_assert_uint_eq(support_reports(), 0);
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

/* --- connection_made --------------------------------------------------------------------------------------------- */

static void close_in_made(net_conn *conn)
{
    if (conn->context)
        rondo_transport_abort(conn->transport);
    else
        rondo_transport_close(conn->transport);
}

START_TEST(test_ended_in_made)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_made = close_in_made, .context = _i ? loop : NULL };
    rondo_socket pair[2];
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    void *transport = NULL;
    /* CON-20: the pair is returned; its transport is closing already */
    ck_assert_int_eq(
        net_finish(loop, rondo_create_connection(loop, net_factory, &conn, &options), &transport), 0);
    ck_assert_ptr_eq(transport, conn.transport);
    ck_assert(rondo_transport_is_closing(conn.transport));
    run_until(loop, conn.losts == 1);
    peer_close(pair[1]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_lost_before_it_is_looked_at)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket pair[2];
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    run_until(loop, rondo_future_done(future));
    rondo_transport *transport = conn.transport;
    peer_close(pair[1]);
    run_until(loop, conn.losts == 1);
    conn.transport = NULL;
    rondo_transport_unref(transport);
    support_run_passes(loop, 8);
    /* CON-01: the future's value can be looked at as long as the future is there, taking included, and one pass more */
    size_t blocks = support_blocks();
    void *value = NULL;
    ck_assert_int_eq(rondo_future_take(future, &value), 0);
    ck_assert_ptr_eq(value, transport);
    rondo_future_unref(future);
    ck_assert_uint_eq(support_blocks(), blocks);
    ck_assert(rondo_transport_is_closing(value));
    ck_assert_ptr_null(rondo_transport_get_protocol(value));
    run_until(loop, support_blocks() < blocks);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

static void fail_in_made(net_conn *conn)
{
    (void) conn;
    rondo_raise(RONDO_EUSER, "connection_made fails");
}

START_TEST(test_failing_made)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_made = fail_in_made };
    /* CON-20: a failure goes to the handler; the call still returns the pair */
    rondo_socket peer = net_open(loop, &conn);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_str_eq(support_report_at(0)->error_message, "connection_made fails");
    ck_assert(!rondo_transport_is_closing(conn.transport));
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "order");
    tcase_add_test(tcase, test_ipv4);
    tcase_add_test(tcase, test_ipv6);
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_borrowed_texts);
    tcase_add_test(tcase, test_nodelay);
    tcase_add_test(tcase, test_existing_protocol);
    tcase_add_test(tcase, test_factory_not_called);
    tcase_add_loop_test(tcase, test_failing_factory, 0, 2);
    tcase_add_loop_test(tcase, test_ended_in_made, 0, 2);
    tcase_add_test(tcase, test_lost_before_it_is_looked_at);
    tcase_add_test(tcase, test_failing_made);
}

int main(void)
{
    return support_main("connection", add_cases);
}
