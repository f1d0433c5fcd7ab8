/* SPDX-License-Identifier: MIT */
/* create_server: the hosts it listens on, how it accepts. */
#define _GNU_SOURCE
#include "peer.h"
#include "resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static rondo_server_options on(const char *host, int port)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = host;
    options.port = port;
    return options;
}

static int serve_error(rondo_loop *loop, const rondo_server_options *options)
{
    return net_finish(loop, rondo_create_server(loop, net_factory, NULL, options), NULL);
}

static int port_of(const rondo_server *server, size_t index)
{
    rondo_address address;
    ck_assert_int_eq(rondo_server_address(server, index, &address), 0);
    return rondo_address_port(&address);
}

static void end_server(rondo_server *server)
{
    rondo_server_close(server);
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 0);
}

/* --- serving -------------------------------------------------------------------------------- */

START_TEST(test_serves)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "s", .echo = true };
    int port;
    /* SVO-01: servers come from create_server */
    rondo_server *server = net_serve(loop, net_factory, &conn, &port);
    /* SRV-01: connections are accepted by the time it returns */
    ck_assert(rondo_server_is_serving(server));
    ck_assert_ptr_eq(rondo_server_loop(server), loop);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    peer_send_text(peer, "hello");
    run_until(loop, conn.received == 5 && rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_expect(peer, "hello");
    /* SRV-15: connection_made, then data (CON-04) */
    trace_is("s.made s.data:5");
    peer_close(peer);
    run_until(loop, conn.losts == 1);
    /* SRV-19: it goes on if the program forgets it: the loop's end ends it */
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static rondo_socket accepted_socket;
static bool accepted_nonblocking;
static int accepted_nodelay;
static rondo_address accepted_peer;

static void look_at_accepted(net_conn *conn)
{
    accepted_socket = rondo_transport_socket(conn->transport);
    accepted_nonblocking = peer_is_nonblocking(accepted_socket);
    accepted_nodelay = peer_option(accepted_socket, IPPROTO_TCP, TCP_NODELAY);
    ck_assert_int_eq(rondo_transport_peername(conn->transport, &accepted_peer), 0);
}

START_TEST(test_accepted_transport)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_made = look_at_accepted };
    int port;
    net_serve(loop, net_factory, &conn, &port);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    run_until(loop, conn.made == 1);
    /* SRV-15: non-blocking, with the peer's address; CON-21 */
    ck_assert(accepted_nonblocking);
    ck_assert_int_eq(accepted_nodelay, 1);
    ck_assert_int_eq(rondo_address_port(&accepted_peer), peer_port(peer));
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* Up to 32 connections, each with a net_conn of its own. */
struct crowd {
    net_conn conns[32];
    size_t called;
    int refuse_every;
};

static rondo_protocol *crowd_factory(void *context)
{
    struct crowd *crowd = context;
    ck_assert_uint_lt(crowd->called, 32);
    if (crowd->refuse_every && ++crowd->called % (size_t) crowd->refuse_every == 0) {
        rondo_raise(RONDO_EUSER, "not this one");
        return NULL;
    }
    if (!crowd->refuse_every)
        crowd->called++;
    return net_factory(&crowd->conns[crowd->called - 1]);
}

static size_t crowd_made(const struct crowd *crowd)
{
    size_t made = 0;
    for (size_t i = 0; i < crowd->called; i++)
        made += (size_t) crowd->conns[i].made;
    return made;
}

static void end_crowd(rondo_loop *loop, struct crowd *crowd)
{
    for (size_t i = 0; i < 32; i++)
        net_done(loop, &crowd->conns[i]);
}

START_TEST(test_accepts_many_in_a_pass)
{
    rondo_loop *loop = support_loop();
    static struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    rondo_server_options options = on("127.0.0.1", 0);
    options.backlog = 20;
    int port;
    rondo_server *server = net_serve_with(loop, crowd_factory, &crowd, &options, &port);
    rondo_socket peers[20];
    for (int i = 0; i < 20; i++)
        peers[i] = peer_connect("127.0.0.1", port);
    unsigned passes = 0;
    while (crowd_made(&crowd) < 20) {
        ck_assert(net_turn(loop, passes));
        passes++;
    }
    /* SRV-12: until it would block: not one connection for each pass */
    if (!support_backend_is_proactor())
        ck_assert_uint_le(passes, 6);
    ck_assert_uint_eq(rondo_server_connections(server), 20);
    for (int i = 0; i < 20; i++)
        peer_close(peers[i]);
    end_crowd(loop, &crowd);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_accepts_at_most_backlog)
{
    rondo_loop *loop = support_loop();
    static struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    rondo_server_options options = on("127.0.0.1", 0);
    options.backlog = 3;
    int port;
    net_serve_with(loop, crowd_factory, &crowd, &options, &port);
    rondo_socket peers[4];
    for (int i = 0; i < 4; i++)
        peers[i] = peer_connect("127.0.0.1", port); /* the kernel lets one more than the backlog wait */
    size_t before = 0;
    for (unsigned i = 0; crowd.called < 4; i++) {
        before = crowd.called;
        ck_assert(net_turn(loop, i));
        /* SRV-12: a round ends after backlog connections */
        if (!support_backend_is_proactor())
            ck_assert_uint_le(crowd.called - before, 3);
    }
    run_until(loop, crowd_made(&crowd) == 4);
    for (int i = 0; i < 4; i++)
        peer_close(peers[i]);
    end_crowd(loop, &crowd);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_aborted_connections)
{
    rondo_loop *loop = support_loop();
    static struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    int port;
    net_serve(loop, crowd_factory, &crowd, &port);
    /* SRV-12: connections that are gone before they are accepted */
    for (int i = 0; i < 5; i++)
        peer_reset(peer_connect("127.0.0.1", port));
    support_run_passes(loop, 10);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    peer_send_text(peer, "alive");
    run_until(loop, crowd.called > 0 && crowd.conns[crowd.called - 1].received == 5);
    ck_assert_uint_eq(support_reports(), 0);
    peer_close(peer);
    end_crowd(loop, &crowd);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_failing_factory)
{
    rondo_loop *loop = support_loop();
    static struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    crowd.refuse_every = 2;
    int port;
    rondo_server *server = net_serve(loop, crowd_factory, &crowd, &port);
    rondo_socket peers[6];
    rondo_loop_set_debug(loop, _i == 1);
    for (int i = 0; i < 6; i++) {
        peers[i] = peer_connect("127.0.0.1", port);
        run_until(loop, crowd.called == (size_t) i + 1);
    }
    run_until(loop, crowd_made(&crowd) == 3);
    /* SRV-16: only that connection is closed; the handler hears of it in debug mode only */
    for (int i = 1; i < 6; i += 2)
        peer_expect_eof(peers[i]);
    ck_assert_uint_eq(support_reports(), _i == 1 ? 3 : 0);
    if (_i == 1) {
        ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EUSER);
        ck_assert_str_eq(support_report_at(0)->error_message, "not this one");
    }
    ck_assert_uint_eq(rondo_server_connections(server), 3);
    for (int i = 0; i < 6; i++)
        peer_close(peers[i]);
    end_crowd(loop, &crowd);
    support_loop_end(loop);
    support_log_lines(NULL);
}
END_TEST

/* --- hosts ---------------------------------------------------------------------------------- */

START_TEST(test_all_interfaces)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_server_options options = on(_i ? "" : NULL, 0);
    int port;
    rondo_server *server = net_serve_with(loop, net_factory, &conn, &options, &port);
    /* SRV-02: no host: all interfaces, one socket for each family */
    size_t count = rondo_server_sockets(server, NULL, 0);
    ck_assert_uint_eq(count, peer_has_ipv6() ? 2 : 1);
    rondo_socket socks[4];
    ck_assert_uint_eq(rondo_server_sockets(server, socks, 4), count);
    for (size_t i = 0; i < count; i++) {
        bool six = peer_family(socks[i]) == AF_INET6;
        /* SRV-06: each has a port of its own or the same; none has 0 */
        ck_assert_int_gt(port_of(server, i), 0);
        /* SRV-10 */
        if (six)
            ck_assert_int_eq(peer_option(socks[i], IPPROTO_IPV6, IPV6_V6ONLY), 1);
        rondo_socket peer = peer_connect(six ? "::1" : "127.0.0.1", port_of(server, i));
        run_until(loop, conn.made == 1);
        peer_close(peer);
        net_done(loop, &conn);
        memset(&conn, 0, sizeof conn);
    }
    support_loop_end(loop);
}
END_TEST

START_TEST(test_several_hosts)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    static const char *const hosts[] = { "127.0.0.1", "127.0.0.2", "127.0.0.1" };
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.hosts = hosts;
    options.host_count = 3;
    options.port = 0;
    rondo_server *server = net_serve_with(loop, net_factory, &conn, &options, NULL);
    /* SRV-02: several hosts; SRV-03: an address that comes twice is bound once */
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 2);
    char text[64];
    rondo_address address;
    ck_assert_int_eq(rondo_server_address(server, 1, &address), 0);
    rondo_address_host(&address, text, sizeof text);
    ck_assert_str_eq(text, "127.0.0.2");
    ck_assert_int_eq(rondo_server_address(server, 2, &address), RONDO_EINVAL);
    rondo_socket peer = peer_connect("127.0.0.2", port_of(server, 1));
    run_until(loop, conn.made == 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reached_twice)
{
    rondo_loop *loop = support_loop();
    static const char *const hosts[] = { "a.test", "b.test" };
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", 0, 0 }, { "127.0.0.1", 0, 0 } },
                                          .count = 2 },
                                        { .addresses = { { "127.0.0.1", 0, 0 } }, .count = 1 } },
                           .answer_count = 2 };
    fake_resolver_install(loop, &fake);
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.hosts = hosts;
    options.host_count = 2;
    options.port = 0;
    rondo_server *server = net_serve_with(loop, net_factory, NULL, &options, NULL);
    /* SRV-03: by resolution, too */
    ck_assert_uint_eq(fake.asked, 2);
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 1);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_query)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", 0, 0 } }, .count = 1 },
                                        { .count = 0 },
                                        { .error = RONDO_EAI_AGAIN },
                                        { .refuse = true } },
                           .answer_count = 4 };
    fake_resolver_install(loop, &fake);
    rondo_server_options options = on("example.test", 0);
    options.family = AF_INET;
    net_serve_with(loop, net_factory, NULL, &options, NULL);
    /* SRV-04, DNS-06: family, and flags that are passive where nothing is said */
    ck_assert_int_eq(fake.lookups[0].family, AF_INET);
    ck_assert_int_eq(fake.lookups[0].type, SOCK_STREAM);
    ck_assert_int_eq(fake.lookups[0].flags, AI_PASSIVE);
    options.flags = AI_NUMERICSERV;
    /* SRV-04: an empty answer is an error; so is the resolver's */
    int rc = serve_error(loop, &options);
    ck_assert(rondo_err_class(rc) == RONDO_CLASS_OS || rondo_err_class(rc) == RONDO_CLASS_RESOLVER);
    ck_assert_int_eq(fake.lookups[1].flags, AI_NUMERICSERV);
    ck_assert_int_eq(serve_error(loop, &options), RONDO_EAI_AGAIN);
    ck_assert_int_eq(serve_error(loop, &options), RONDO_EUSER);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_family)
{
    rondo_loop *loop = support_loop();
    rondo_server_options options = on(NULL, 0);
    options.family = AF_INET;
    rondo_server *server = net_serve_with(loop, net_factory, NULL, &options, NULL);
    rondo_socket sock;
    /* SRV-04: restricted to one family */
    ck_assert_uint_eq(rondo_server_sockets(server, &sock, 1), 1);
    ck_assert_int_eq(peer_family(sock), AF_INET);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_same_port_for_both_families)
{
    if (!peer_has_ipv6())
        return;
    rondo_loop *loop = support_loop();
    int port;
    rondo_server_options options = on("127.0.0.1", 0);
    net_serve_with(loop, net_factory, NULL, &options, &port);
    options = on("::", port);
    /* SRV-10: IPv6 listeners are IPv6 only, so that both can have the port */
    net_serve_with(loop, net_factory, NULL, &options, NULL);
    support_loop_end(loop);
}
END_TEST

/* --- start_serving -------------------------------------------------------------------------- */

START_TEST(test_start_later)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer;
    int port;
    rondo_server_options options = on("127.0.0.1", 0);
    options.start_serving = false;
    rondo_server *server = net_serve_with(loop, net_factory, &conn, &options, &port);
    /* SRV-18: bound, but not listening */
    ck_assert(!rondo_server_is_serving(server));
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 1);
    ck_assert_int_gt(port, 0);
    support_run_passes(loop, 3);
    ck_assert_int_eq(peer_try_connect("127.0.0.1", port, &peer), RONDO_ECONNREFUSED);
    /* SRV-18, SVO-09: until start_serving, which may be repeated */
    ck_assert_int_eq(rondo_server_start_serving(server), 0);
    ck_assert_int_eq(rondo_server_start_serving(server), 0);
    ck_assert(rondo_server_is_serving(server));
    peer = peer_connect("127.0.0.1", port);
    run_until(loop, conn.made == 1);
    end_server(server);
    ck_assert(!rondo_server_is_serving(server));
    ck_assert_int_eq(rondo_server_start_serving(server), RONDO_ECLOSED);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_await_outside_of_a_task)
{
    rondo_loop *loop = support_loop();
    rondo_server_options options = on("127.0.0.1", 0);
    rondo_server *server = NULL;
    size_t descriptors = peer_descriptors();
    ck_assert_int_eq(rondo_await_server(rondo_create_server(loop, net_factory, NULL, &options), &server),
                     RONDO_ENOTASK);
    ck_assert_ptr_null(server);
    support_run_passes(loop, 5);
    support_loop_end(loop);
    ck_assert_uint_lt(peer_descriptors(), descriptors);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *serving = support_case(suite, "serving");
    tcase_add_test(serving, test_serves);
    tcase_add_test(serving, test_accepted_transport);
    tcase_add_test(serving, test_accepts_many_in_a_pass);
    tcase_add_test(serving, test_accepts_at_most_backlog);
    tcase_add_test(serving, test_aborted_connections);
    tcase_add_loop_test(serving, test_failing_factory, 0, 2);
    tcase_add_test(serving, test_start_later);
    tcase_add_test(serving, test_await_outside_of_a_task);

    TCase *hosts = support_case(suite, "hosts");
    tcase_add_loop_test(hosts, test_all_interfaces, 0, 2);
    tcase_add_test(hosts, test_several_hosts);
    tcase_add_test(hosts, test_reached_twice);
    tcase_add_test(hosts, test_query);
    tcase_add_test(hosts, test_family);
    tcase_add_test(hosts, test_same_port_for_both_families);
}

int main(void)
{
    return support_main("server", add_cases);
}
