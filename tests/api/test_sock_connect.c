/* SPDX-License-Identifier: MIT */
/* sock_connect and sock_accept. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "peer.h"
#include "resolver.h"

static rondo_loop *loop;

static rondo_socket open_socket(int family, int type)
{
    int sock = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(sock, 0);
    return sock;
}

static rondo_address address_of(int port)
{
    rondo_address address;
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", port), 0);
    return address;
}

static rondo_socket listen_here(int *ret_port)
{
    rondo_socket listener = peer_listen("127.0.0.1", 5, ret_port);
    peer_set_blocking(listener, false);
    return listener;
}

static int finish(rondo_future *future)
{
    return net_finish(loop, future, NULL);
}

/* --- accepting ------------------------------------------------------------------------------------------------ */

static int accept_both(void *context)
{
    (void) context;
    int port;
    rondo_socket listener = listen_here(&port), sock = RONDO_INVALID_SOCKET;
    rondo_address peer = { 0 };
    rondo_socket first = peer_connect("127.0.0.1", port);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "pass"), 0);
    ck_assert_int_eq(rondo_await_accepted(rondo_sock_accept(loop, listener), &sock, &peer), 0);
    trace_is("");                         /* SOCK-08 */
    ck_assert(peer_is_nonblocking(sock)); /* SOCK-05 */
    ck_assert_int_eq(fcntl(sock, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(rondo_address_port(&peer), peer_port(first));
    peer_send_text(first, "first");
    peer_expect(sock, "first");
    peer_close(sock);
    peer_close(first);
    rondo_future *future = rondo_sock_accept(loop, listener);
    ck_assert(!rondo_future_done(future));
    first = peer_connect("127.0.0.1", port);
    ck_assert_int_eq(rondo_await_accepted(future, &sock, NULL), 0);
    peer_send_text(first, "later");
    peer_expect(sock, "later");
    peer_close(sock);
    peer_close(first);
    peer_close(listener);
    return 0;
}

START_TEST(test_accepts)
{
    loop = support_loop();
    net_in_a_task(loop, accept_both, NULL);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

/* A connection that nobody takes is closed. */
START_TEST(test_nobody_takes_it)
{
    loop = support_loop();
    int port;
    rondo_socket listener = listen_here(&port);
    size_t before = peer_descriptors();
    rondo_future *future = rondo_sock_accept(loop, listener);
    rondo_socket first = peer_connect("127.0.0.1", port);
    run_until(loop, rondo_future_done(future));
    rondo_future_unref(future);
    peer_expect_eof(first);
    peer_close(first);
    ck_assert_uint_eq(peer_descriptors(), before);
    void *value;
    future = rondo_sock_accept(loop, listener);
    first = peer_connect("127.0.0.1", port);
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(rondo_future_take(future, &value), 0);
    rondo_future_unref(future);
    rondo_accepted_free(value);
    rondo_accepted_free(NULL);
    peer_expect_eof(first);
    peer_close(first);
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

/* SOCK-09: cancelled, before a connection is there and when its turn is due: it goes to the next accept. */
static void cancel_future(void *future)
{
    ck_assert(rondo_future_cancel(future));
}

START_TEST(test_cancelled_accept)
{
    loop = support_loop();
    int port;
    rondo_socket listener = listen_here(&port);
    for (int late = 0; late < 2; late++) {
        rondo_future *future = rondo_sock_accept(loop, listener);
        support_run_passes(loop, 2);
        rondo_socket peer;
        if (late) {
            peer = peer_connect("127.0.0.1", port);
            ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, cancel_future, future), 0);
            support_run_passes(loop, 3);
        } else {
            cancel_future(future);
            peer = peer_connect("127.0.0.1", port);
        }
        ck_assert_int_eq(finish(future), RONDO_ECANCELLED);
        void *value = NULL;
        future = rondo_sock_accept(loop, listener);
        run_until(loop, rondo_future_done(future));
        ck_assert_int_eq(rondo_future_take(future, &value), 0);
        rondo_future_unref(future);
        peer_send_text(peer, "still there");
        peer_expect(((rondo_accepted *) value)->sock, "still there");
        rondo_accepted_free(value);
        peer_close(peer);
    }
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

/* SOCK-07: a listener that blocks, with nobody there, and with somebody. */
START_TEST(test_blocking_listener)
{
    loop = support_loop();
    int port;
    rondo_socket listener = listen_here(&port);
    peer_set_blocking(listener, true);
    if (support_backend_is_proactor()) {
        rondo_future *future = rondo_sock_accept(loop, listener);
        support_run_passes(loop, 3);
        rondo_socket peer = peer_connect("127.0.0.1", port);
        run_until(loop, rondo_future_done(future));
        ck_assert_int_eq(finish(future), 0);
        ck_assert(!peer_is_nonblocking(listener));
        peer_close(peer);
    } else {
        net_refused(rondo_sock_accept(loop, listener), RONDO_EINVAL); /* SOCK-06 */
    }
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

/* Not listening: the system's word. */
START_TEST(test_not_listening)
{
    loop = support_loop();
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    ck_assert_int_eq(finish(rondo_sock_accept(loop, sock)), RONDO_EOSINVAL);
    net_refused(rondo_sock_accept(NULL, sock), RONDO_EINVAL);
    ck_assert_int_lt(rondo_await_accepted(NULL, NULL, NULL), 0);
    peer_close(sock);
    net_refused(rondo_sock_accept(loop, sock), RONDO_EBADF);
    support_loop_end(loop);
}
END_TEST

/* --- connecting ------------------------------------------------------------------------------------------------- */

/* SOCK-03, SOCK-04 */
START_TEST(test_connects)
{
    loop = support_loop();
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_address address = address_of(port);
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    ck_assert_int_eq(finish(rondo_sock_connect(loop, sock, &address)), 0);
    rondo_socket peer = peer_accept(listener);
    ck_assert_int_eq(finish(rondo_sock_sendall(loop, sock, "hello", 5)), 0);
    peer_expect(peer, "hello");
    peer_close(peer);
    peer_close(sock);
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

/* SOCK-04 */
START_TEST(test_connection_refused)
{
    loop = support_loop();
    int port;
    rondo_socket bound = peer_bound("127.0.0.1", &port);
    rondo_address address = address_of(port);
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    rondo_future *future = rondo_sock_connect(loop, sock, &address);
    run_until(loop, rondo_future_done(future));
    const char *message = NULL;
    ck_assert_int_eq(rondo_future_error(future, &message), RONDO_ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(message, "127.0.0.1"));
    rondo_future_unref(future);
    peer_close(sock);
    peer_close(bound);
    sock = open_socket(AF_INET6, SOCK_STREAM);
    ck_assert_int_lt(finish(rondo_sock_connect(loop, sock, &address)), 0); /* of the wrong family */
    peer_close(sock);
    support_loop_end(loop);
}
END_TEST

/* A listener that takes nobody: cancelled, the socket is the program's, and it may go on. */
START_TEST(test_cancelled_connect)
{
    loop = support_loop();
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 0, &port), fillers[8];
    size_t count = peer_fill_backlog("127.0.0.1", port, fillers, 8);
    rondo_address address = address_of(port);
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    rondo_future *future = rondo_sock_connect(loop, sock, &address);
    support_run_passes(loop, 2);
    ck_assert(!rondo_future_done(future));
    ck_assert(rondo_future_cancel(future));
    ck_assert_int_eq(finish(future), RONDO_ECANCELLED);
    ck_assert(peer_is_open(sock));
    future =
        rondo_sock_connect(loop, sock, &address); /* SOCK-09: the system's goes on, and this waits for it */
    support_run_passes(loop, 2);
    ck_assert(!rondo_future_done(future));
    ck_assert(rondo_future_cancel(future));
    ck_assert_int_eq(finish(future), RONDO_ECANCELLED);
    peer_close(sock);
    for (size_t i = 0; i < count; i++)
        peer_close(fillers[i]);
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

/* SOCK-03: as they are. */
START_TEST(test_unix_addresses)
{
    loop = support_loop();
    char folder[] = "/tmp/rondo-sock-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    snprintf(name.sun_path, sizeof name.sun_path, "%s/it", folder);
    rondo_socket listener = open_socket(AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(bind(listener, (struct sockaddr *) &name, sizeof name), 0);
    ck_assert_int_eq(listen(listener, 5), 0);
    rondo_address address;
    ck_assert_int_eq(rondo_address_from_sockaddr(&address, (struct sockaddr *) &name, sizeof name), 0);
    rondo_socket sock = open_socket(AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(finish(rondo_sock_connect(loop, sock, &address)), 0);
    ck_assert_int_eq(finish(rondo_sock_sendall(loop, sock, "x", 1)), 0);
    rondo_future *future = rondo_sock_accept(loop, listener);
    ck_assert(rondo_future_done(future));
    rondo_future_unref(future);
    net_refused(rondo_sock_connect_host(loop, sock, "localhost", 1), RONDO_EINVAL);
    peer_close(sock);
    ck_assert_int_eq(listen(listener, 0), 0);
    int rc = 0;
    for (int i = 0; i < 8 && rc == 0; i++) { /* a full queue is an error, and no connection */
        sock = open_socket(AF_UNIX, SOCK_STREAM);
        rc = finish(rondo_sock_connect(loop, sock, &address));
        peer_close(sock);
    }
    ck_assert(rc == RONDO_EAGAIN || rc == RONDO_ECONNREFUSED);
    ck_assert_int_eq(unlink(name.sun_path), 0);
    sock = open_socket(AF_UNIX, SOCK_STREAM);
    ck_assert_int_eq(finish(rondo_sock_connect(loop, sock, &address)), RONDO_ENOENT);
    peer_close(sock);
    peer_close(listener);
    ck_assert_int_eq(rmdir(folder), 0);
    support_loop_end(loop);
}
END_TEST

/* SOCK-07 */
START_TEST(test_blocking_connect)
{
    loop = support_loop();
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 0, &port), fillers[8];
    size_t count = peer_fill_backlog("127.0.0.1", port, fillers, 8);
    rondo_address address = address_of(port);
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    peer_set_blocking(sock, true);
    if (support_backend_is_proactor()) {
        rondo_future *future = rondo_sock_connect(loop, sock, &address);
        support_run_passes(loop, 2); /* which do not stand still */
        ck_assert(!rondo_future_done(future));
        ck_assert(!peer_is_nonblocking(sock));
        ck_assert(rondo_future_cancel(future));
        ck_assert_int_eq(finish(future), RONDO_ECANCELLED);
    } else {
        net_refused(rondo_sock_connect(loop, sock, &address), RONDO_EINVAL);
    }
    peer_close(sock);
    for (size_t i = 0; i < count; i++)
        peer_close(fillers[i]);
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

/* --- names -------------------------------------------------------------------------------------------------------- */

/* SOCK-03: what the resolver is asked, and which answer is taken. */
START_TEST(test_names)
{
    loop = support_loop();
    int port, other;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port), bound = peer_bound("127.0.0.1", &other);
    fake_resolver fake = { .answers[0] = { .addresses = { { "127.0.0.1", port, 0 },
                                                          { "127.0.0.1", other, 0 } },
                                           .count = 2,
                                           .later = true },
                           .answers[1] = { .error = RONDO_EAI_NONAME },
                           .answer_count = 2 };
    fake_resolver_install(loop, &fake);
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    char host[] = "some.name";
    rondo_future *future = rondo_sock_connect_host(loop, sock, host, 1234);
    host[0] = '!'; /* copied */
    run_until(loop, fake.asked == 1);
    ck_assert_str_eq(fake.lookups[0].host, "some.name");
    ck_assert_str_eq(fake.lookups[0].service, "1234");
    ck_assert_int_eq(fake.lookups[0].family, AF_INET);
    ck_assert_int_eq(fake.lookups[0].type, SOCK_STREAM);
    ck_assert_int_eq(fake.lookups[0].proto, IPPROTO_TCP);
    fake_resolver_answer(&fake, 0);
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(finish(future), 0);
    ck_assert(peer_has_connection(listener));
    ck_assert_int_eq(finish(rondo_sock_connect_host(loop, sock, "another", 1)), RONDO_EAI_NONAME);
    peer_close(sock);
    sock = open_socket(AF_INET, SOCK_STREAM);
    ck_assert_int_eq(finish(rondo_sock_connect_host(loop, sock, "127.0.0.1", port)), 0);
    ck_assert_uint_eq(fake.asked, 2); /* a number needs no resolver */
    peer_close(sock);
    peer_close(listener);
    peer_close(bound);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

static int connect_at_once(void *context)
{
    rondo_address *address = context;
    rondo_socket sock = open_socket(AF_INET, SOCK_DGRAM);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "pass"), 0);
    ck_assert_int_eq(
        rondo_await(rondo_sock_connect_host(loop, sock, "127.0.0.1", rondo_address_port(address)), NULL), 0);
    ck_assert_int_eq(rondo_await(rondo_sock_connect(loop, sock, address), NULL), 0);
    trace_is(""); /* SOCK-08 */
    peer_close(sock);
    return 0;
}

START_TEST(test_connects_at_once)
{
    loop = support_loop();
    rondo_address address = address_of(9);
    net_in_a_task(loop, connect_at_once, &address);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

/* Cancelled while the name is looked up; closed over it. */
START_TEST(test_cancelled_lookup)
{
    loop = support_loop();
    fake_resolver fake = { .answers[0] = { .later = true },
                           .answers[1] = { .later = true },
                           .answer_count = 2 };
    fake_resolver_install(loop, &fake);
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    rondo_future *future = rondo_sock_connect_host(loop, sock, "some.name", 1);
    run_until(loop, fake.asked == 1);
    ck_assert(rondo_future_cancel(future));
    ck_assert_int_eq(finish(future), RONDO_ECANCELLED);
    future = rondo_sock_connect_host(loop, sock, "some.name", 1);
    run_until(loop, fake.asked == 2);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert(rondo_future_cancelled(future));
    rondo_future_unref(future);
    ck_assert(peer_is_open(sock));
    peer_close(sock);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_misuse)
{
    loop = support_loop();
    rondo_socket sock = open_socket(AF_INET, SOCK_STREAM);
    rondo_address none = { 0 };
    net_refused(rondo_sock_connect(loop, sock, NULL), RONDO_EINVAL);
    net_refused(rondo_sock_connect(loop, sock, &none), RONDO_EINVAL);
    net_refused(rondo_sock_connect(NULL, sock, &none), RONDO_EINVAL);
    net_refused(rondo_sock_connect_host(loop, sock, NULL, 1), RONDO_EINVAL);
    net_refused(rondo_sock_connect_host(loop, sock, "localhost", 65536), RONDO_EINVAL);
    net_refused(rondo_sock_connect_host(loop, sock, "localhost", -1), RONDO_EINVAL);
    net_refused(rondo_sock_connect_host(NULL, sock, "localhost", 1), RONDO_EINVAL);
    net_refused(rondo_sock_connect_host(loop, RONDO_INVALID_SOCKET, "localhost", 1), RONDO_EBADF);
    peer_close(sock);
    net_refused(rondo_sock_connect_host(loop, sock, "localhost", 1), RONDO_EBADF);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "accepting");
    tcase_add_test(tcase, test_accepts);
    tcase_add_test(tcase, test_nobody_takes_it);
    tcase_add_test(tcase, test_cancelled_accept);
    tcase_add_test(tcase, test_blocking_listener);
    tcase_add_test(tcase, test_not_listening);
    tcase = support_case(suite, "connecting");
    tcase_add_test(tcase, test_connects);
    tcase_add_test(tcase, test_connection_refused);
    tcase_add_test(tcase, test_cancelled_connect);
    tcase_add_test(tcase, test_unix_addresses);
    tcase_add_test(tcase, test_blocking_connect);
    tcase = support_case(suite, "names");
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_connects_at_once);
    tcase_add_test(tcase, test_cancelled_lookup);
    tcase_add_test(tcase, test_misuse);
}

int main(void)
{
    return support_main("sock_connect", add_cases);
}
