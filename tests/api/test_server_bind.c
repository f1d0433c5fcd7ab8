/* SPDX-License-Identifier: MIT */
/* create_server: binding, existing sockets, arguments that are refused. */
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

static void end_server(rondo_server *server)
{
    rondo_server_close(server);
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 0);
}

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

/* --- binding -------------------------------------------------------------------------------- */

START_TEST(test_port_in_use)
{
    rondo_loop *loop = support_loop();
    int port;
    char text[32];
    rondo_socket bound = peer_bound("127.0.0.2", &port);
    size_t descriptors = peer_descriptors();
    static const char *const hosts[] = { "127.0.0.77", "127.0.0.2" }; /* nobody else uses the first */
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.hosts = hosts;
    options.host_count = 2;
    options.port = port;
    rondo_future *future = rondo_create_server(loop, net_factory, NULL, &options);
    ck_assert_ptr_nonnull(future);
    run_until(loop, rondo_future_done(future));
    const char *message = NULL;
    /* SRV-11: the same error, the address in the text, everything closed that was made so far */
    ck_assert_int_eq(rondo_future_error(future, &message), RONDO_EADDRINUSE);
    snprintf(text, sizeof text, "127.0.0.2");
    ck_assert_msg(strstr(message, text) != NULL, "the text is: %s", message);
    snprintf(text, sizeof text, "%d", port);
    ck_assert_msg(strstr(message, text) != NULL, "the text is: %s", message);
    rondo_future_unref(future);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    peer_close(bound);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_refused_family)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.9", 0, 250 }, { "127.0.0.1", 0, 0 } },
                                          .count = 2 } },
                           .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    rondo_server_options options = on("example.test", 0);
    rondo_server *server = net_serve_with(loop, net_factory, NULL, &options, NULL);
    /* SRV-11: a family the kernel refuses to create is skipped */
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 1);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

/* A socket of the test's that listens where @server is bound. */
static rondo_socket listen_instead(const rondo_server *server, size_t index)
{
    rondo_address address;
    int yes = 1, sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(rondo_server_address(server, index, &address), 0);
    ck_assert_int_eq(setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    ck_assert_int_eq(bind(sock, rondo_address_sockaddr(&address), address.length), 0);
    ck_assert_int_eq(listen(sock, 1), 0);
    return sock;
}

START_TEST(test_failing_listen)
{
    rondo_loop *loop = support_loop();
    static const char *const hosts[] = { "127.0.0.77", "127.0.0.78" };
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.hosts = hosts;
    options.host_count = 2;
    options.port = 0;
    options.start_serving = false;
    int port;
    rondo_socket peer;
    rondo_server *server = net_serve_with(loop, net_factory, NULL, &options, &port);
    rondo_socket other = listen_instead(server, 1);
    size_t descriptors = peer_descriptors();
    /* SRV-18: where one of them cannot listen none does, and the server is closed */
    ck_assert_int_eq(rondo_server_start_serving(server), RONDO_EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "127.0.0.78"));
    ck_assert_int_eq(peer_try_connect("127.0.0.77", port, &peer), RONDO_ECONNREFUSED);
    ck_assert(!rondo_server_is_serving(server));
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 0);
    ck_assert_int_eq(rondo_server_start_serving(server), RONDO_ECLOSED);
    ck_assert_uint_eq(peer_descriptors(), descriptors - 2);
    /* serve_forever begins in the same way */
    peer_close(other);
    server = net_serve_with(loop, net_factory, NULL, &options, &port);
    other = listen_instead(server, 1);
    ck_assert_int_eq(net_finish(loop, rondo_server_serve_forever(server), NULL), RONDO_EADDRINUSE);
    ck_assert_int_eq(peer_try_connect("127.0.0.77", port, &peer), RONDO_ECONNREFUSED);
    peer_close(other);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reuse_address)
{
    rondo_loop *loop = support_loop();
    rondo_socket sock;
    rondo_server_options options = on("127.0.0.1", 0);
    rondo_server *server = net_serve_with(loop, net_factory, NULL, &options, NULL);
    rondo_server_sockets(server, &sock, 1);
    /* SRV-09: on by default on Unix */
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_REUSEADDR), 1);
    options.reuse_address = 0;
    server = net_serve_with(loop, net_factory, NULL, &options, NULL);
    rondo_server_sockets(server, &sock, 1);
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_REUSEADDR), 0);
    options.reuse_address = 1;
    server = net_serve_with(loop, net_factory, NULL, &options, NULL);
    rondo_server_sockets(server, &sock, 1);
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_REUSEADDR), 1);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reuse_port)
{
    rondo_loop *loop = support_loop();
    static struct crowd first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    int port;
    rondo_server_options options = on("127.0.0.1", 0);
    options.reuse_port = true;
    ck_assert_uint_ne(rondo_loop_capabilities(loop) & RONDO_CAN_REUSE_PORT, 0);
    net_serve_with(loop, crowd_factory, &first, &options, &port);
    options.port = port;
    /* SRV-09: two servers share a port; without the option it is in use */
    net_serve_with(loop, crowd_factory, &second, &options, NULL);
    options.reuse_port = false;
    ck_assert_int_eq(serve_error(loop, &options), RONDO_EADDRINUSE);
    rondo_socket peers[16];
    for (int i = 0; i < 16; i++)
        peers[i] = peer_connect("127.0.0.1", port);
    run_until(loop, crowd_made(&first) + crowd_made(&second) == 16);
    for (int i = 0; i < 16; i++)
        peer_close(peers[i]);
    end_crowd(loop, &first);
    end_crowd(loop, &second);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_backlog)
{
    rondo_loop *loop = support_loop();
    enum { MANY = 64 };
    rondo_socket fillers[MANY];
    int port;
    rondo_server_options options = on("127.0.0.1", 0);
    options.backlog = 5;
    net_serve_with(loop, net_factory, NULL, &options, &port);
    /* SRV-07: so many wait, and a few more, while the loop stands still */
    size_t count = peer_fill_backlog("127.0.0.1", port, fillers, MANY);
    if (!support_backend_is_proactor()) {
        ck_assert_uint_ge(count, 5);
        ck_assert_uint_le(count, 10);
    }
    for (size_t i = 0; i < count; i++)
        peer_close(fillers[i]);
    ck_assert_int_eq(RONDO_SERVER_OPTIONS.backlog, 100);
    support_loop_end(loop);
}
END_TEST

/* --- an existing socket --------------------------------------------------------------------- */

START_TEST(test_sock)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    rondo_socket sock, bound;
    int port;
    options.sock = bound = peer_bound("127.0.0.1", &port);
    rondo_server *server = net_serve_with(loop, net_factory, &conn, &options, NULL);
    /* SRV-05: the same descriptor, non-blocking and listening */
    ck_assert_uint_eq(rondo_server_sockets(server, &sock, 1), 1);
    ck_assert_int_eq(sock, bound);
    ck_assert(peer_is_nonblocking(bound));
    ck_assert_int_eq(peer_option(bound, SOL_SOCKET, SO_ACCEPTCONN), 1);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    run_until(loop, conn.made == 1);
    end_server(server);
    run_until(loop, !peer_is_open(bound));
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_inherited_listener)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    int port;
    options.sock = peer_listen("127.0.0.1", 5, &port);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    /* SRV-05: one that listens already, with somebody waiting */
    net_serve_with(loop, net_factory, &conn, &options, NULL);
    run_until(loop, conn.made == 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void is_refused(rondo_loop *loop, const rondo_server_options *options)
{
    ck_assert_ptr_null(rondo_create_server(loop, net_factory, NULL, options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_str_ne(rondo_last_error_message(), "");
}

START_TEST(test_wrong_arguments)
{
    rondo_loop *loop = support_loop();
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    static const char *const hosts[] = { "127.0.0.1", NULL };
    int port;
    /* SRV-05: neither */
    is_refused(loop, &options);
    /* SRV-05: both */
    rondo_socket bound = peer_bound("127.0.0.1", &port);
    options.sock = bound;
    options.host = "127.0.0.1";
    is_refused(loop, &options);
    options.host = NULL;
    options.port = 0;
    is_refused(loop, &options);
    options.port = RONDO_NO_PORT;
    options.hosts = hosts;
    options.host_count = 1;
    is_refused(loop, &options);
    ck_assert(peer_is_open(bound));
    peer_close(bound);
    /* SRV-05: a socket that is no stream, a number that is none */
    options = RONDO_SERVER_OPTIONS;
    options.sock = peer_datagram();
    is_refused(loop, &options);
    peer_close(options.sock);
    is_refused(loop, &options);
    /* ports, backlogs, switches */
    options = on("127.0.0.1", 65536);
    is_refused(loop, &options);
    options = on("127.0.0.1", -2);
    is_refused(loop, &options);
    options = on("127.0.0.1", 80);
    options.service = "80";
    is_refused(loop, &options);
    options = on("127.0.0.1", 0);
    options.hosts = hosts;
    options.host_count = 1;
    is_refused(loop, &options);
    options = on("127.0.0.1", 0);
    options.size = 0;
    is_refused(loop, &options);
    options = on(NULL, 0);
    options.host_count = 2;
    is_refused(loop, &options);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_null)
{
    rondo_loop *loop = support_loop();
    rondo_server_options options = on("127.0.0.1", 0);
    rondo_address address;
    ck_assert_ptr_null(rondo_create_server(NULL, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_server(loop, NULL, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_server(loop, net_factory, NULL, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_int_lt(rondo_await_server(NULL, NULL), 0);
    rondo_server_free(NULL);
    rondo_server_close(NULL);
    rondo_server_close_clients(NULL);
    rondo_server_abort_clients(NULL);
    ck_assert_uint_eq(rondo_server_sockets(NULL, NULL, 0), 0);
    ck_assert_uint_eq(rondo_server_connections(NULL), 0);
    ck_assert_int_eq(rondo_server_address(NULL, 0, &address), RONDO_EINVAL);
    ck_assert(!rondo_server_is_serving(NULL));
    ck_assert_int_eq(rondo_server_start_serving(NULL), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_server_loop(NULL));
    ck_assert_ptr_null(rondo_server_serve_forever(NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_server_wait_closed(NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_server_drain(NULL, 0));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    rondo_server *server = net_serve_with(loop, net_factory, NULL, &options, NULL);
    ck_assert_int_eq(rondo_server_address(server, 0, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_server_address(server, 1, &address), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_ptr_null(rondo_create_server(loop, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *binding = support_case(suite, "binding");
    tcase_add_test(binding, test_port_in_use);
    tcase_add_test(binding, test_refused_family);
    tcase_add_test(binding, test_failing_listen);
    tcase_add_test(binding, test_reuse_address);
    tcase_add_test(binding, test_reuse_port);
    tcase_add_test(binding, test_backlog);

    TCase *arguments = support_case(suite, "arguments");
    tcase_add_test(arguments, test_sock);
    tcase_add_test(arguments, test_inherited_listener);
    tcase_add_test(arguments, test_wrong_arguments);
    tcase_add_test(arguments, test_null);
}

int main(void)
{
    return support_main("server bind", add_cases);
}
