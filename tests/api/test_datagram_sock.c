/* SPDX-License-Identifier: MIT */
/* create_datagram_endpoint: the options of its socket, and sockets of the program. */
#define _GNU_SOURCE
#include "dgram.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

START_TEST(test_no_options)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port = dgram_bind(loop, &self, "127.0.0.1");
    rondo_socket sock = rondo_transport_socket(self.transport);
    /* DGE-09, DGE-10: nothing that was not asked for */
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_REUSEADDR), 0);
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_REUSEPORT), 0);
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_BROADCAST), 0);
    ck_assert(peer_is_nonblocking(sock));
    ck_assert_ptr_nonnull(rondo_transport_get_extra_info(self.transport, "socket", NULL));
    ck_assert_ptr_nonnull(rondo_transport_get_extra_info(self.transport, "sockname", NULL));
    ck_assert_ptr_null(rondo_transport_get_extra_info(self.transport, "peername", NULL));
    rondo_datagram_options options = dgram_local(port);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EADDRINUSE);
    dgram_done(loop, &self);
    /* the port is free as soon as connection_lost has come */
    ck_assert_int_eq(dgram_error(loop, &options), 0);
    options.reuse_address = true;
    ck_assert_int_eq(dgram_error(loop, &options), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reuse)
{
    rondo_loop *loop = dgram_loop();
    dgram first = { 0 }, second = { 0 };
    rondo_datagram_options options = dgram_local(0);
    options.reuse_port = true;
    dgram_open(loop, &first, &options); /* DGE-08 */
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(first.transport, &address), 0);
    options.local_port = rondo_address_port(&address);
    dgram_open(loop, &second, &options);
    ck_assert_int_eq(peer_option(rondo_transport_socket(first.transport), SOL_SOCKET, SO_REUSEPORT), 1);
    ck_assert_int_eq(peer_option(rondo_transport_socket(first.transport), SOL_SOCKET, SO_REUSEADDR), 0);
    dgram_done(loop, &second);
    dgram_done(loop, &first);
    options = dgram_local(0);
    options.reuse_address = true; /* DGE-09: when asked */
    dgram third = { 0 };
    dgram_open(loop, &third, &options);
    ck_assert_int_eq(peer_option(rondo_transport_socket(third.transport), SOL_SOCKET, SO_REUSEADDR), 1);
    dgram_done(loop, &third);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_broadcast)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.remote_host = "127.0.0.1";
    options.remote_port = port;
    options.allow_broadcast = true;
    dgram_open(loop, &self, &options);
    rondo_address address = dgram_address(port);
    /* DGE-07: not connected, the default target */
    ck_assert_int_eq(peer_option(rondo_transport_socket(self.transport), SOL_SOCKET, SO_BROADCAST), 1);
    ck_assert_int_eq(rondo_transport_peername(self.transport, &(rondo_address){ 0 }), RONDO_ENOTCONN);
    dgram_say(&self, "default", NULL);
    dgram_say(&self, "named", &address);
    support_run_passes(loop, 2);
    udp_expect(peer, "default");
    udp_expect(peer, "named");
    address = dgram_address(port == 1 ? 2 : 1);
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, "x", 1, &address), RONDO_EINVAL);
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* --- sockets of the program -------------------------------------------------------------------------------------- */

START_TEST(test_sock)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .echo = true };
    int port, own;
    rondo_socket peer = udp_open("127.0.0.1", &own);
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = udp_open("127.0.0.1", &port);
    rondo_socket sock = options.sock;
    dgram_open(loop, &self, &options); /* DGE-06 */
    ck_assert_int_eq(rondo_transport_socket(self.transport), sock);
    ck_assert(peer_is_nonblocking(sock));
    udp_send_text(peer, port, "hello");
    run_until(loop, self.count == 1);
    support_run_passes(loop, 2);
    udp_expect(peer, "hello");
    dgram_done(loop, &self);
    ck_assert(!peer_is_open(sock));
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* DGE-06: it has one owner. */
START_TEST(test_owned_sock)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = udp_open("127.0.0.1", NULL);
    dgram_open(loop, &self, &options);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EBUSY);
    support_run_passes(loop, 3);
    ck_assert(peer_is_open(options.sock));
    dgram_done(loop, &self);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_wrong_sock)
{
    rondo_loop *loop = dgram_loop();
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = peer_unconnected(); /* DGE-06: a stream */
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL);
    ck_assert(peer_is_open(options.sock));
    peer_close(options.sock);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL); /* closed */
    options.sock = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL);
    peer_close(options.sock);
    options.sock = udp_open("127.0.0.1", NULL);
    rondo_datagram_options given[8];
    for (size_t i = 0; i < 8; i++)
        given[i] = options;
    given[0].local_port = 0;
    given[1].remote_port = 1;
    given[2].family = AF_INET;
    given[3].proto = IPPROTO_UDP;
    given[4].flags = AI_PASSIVE;
    given[5].reuse_port = true;
    given[6].allow_broadcast = true;
    given[7].local_path = "/tmp/nothing";
    for (size_t i = 0; i < 8; i++) /* DGE-06: nothing beside it */
        ck_assert_int_eq(dgram_error(loop, &given[i]), RONDO_EINVAL);
    ck_assert(peer_is_open(options.sock));
    peer_close(options.sock);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "options");
    tcase_add_test(tcase, test_no_options);
    tcase_add_test(tcase, test_reuse);
    tcase_add_test(tcase, test_broadcast);
    tcase_add_test(tcase, test_sock);
    tcase_add_test(tcase, test_owned_sock);
    tcase_add_test(tcase, test_wrong_sock);
}

int main(void)
{
    return support_main("datagram_sock", add_cases);
}
