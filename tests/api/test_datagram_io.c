/* SPDX-License-Identifier: MIT */
/* Datagram transports: what is sent and received, and what a callback may do. */
#define _GNU_SOURCE
#include "dgram.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LARGEST = 65507 };

static void check_pattern(dgram *self)
{
    ck_assert_uint_eq(self->length, self->count * 7);
    ck_assert(pattern_check(self->data, self->length, self->count));
}

START_TEST(test_boundaries)
{
    rondo_loop *loop = dgram_loop();
    dgram server = { .echo = true }, client = { .on_got = check_pattern };
    dgram_connect(loop, &client, dgram_bind(loop, &server, "127.0.0.1"));
    unsigned char bytes[7 * 40];
    /* DGT-01, PRO-05: each as it was sent, in order */
    for (size_t i = 1; i <= 40; i++) {
        pattern_fill(bytes, 7 * i, i);
        ck_assert_int_eq(rondo_datagram_sendto(client.transport, bytes, 7 * i, NULL), 0);
        memset(bytes, 0, sizeof bytes); /* it was copied, or is on its way */
    }
    run_until(loop, client.count == 40);
    ck_assert_uint_eq(server.count, 40);
    dgram_done(loop, &client);
    dgram_done(loop, &server);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_connected)
{
    rondo_loop *loop = dgram_loop();
    int port, other;
    rondo_socket peer = udp_open("127.0.0.1", &port), stranger = udp_open("127.0.0.1", &other);
    dgram self = { .name = "a" };
    dgram_connect(loop, &self, port);
    rondo_address to = dgram_address(port), wrong = dgram_address(other), address;
    ck_assert_int_eq(rondo_transport_peername(self.transport, &address), 0);
    ck_assert(rondo_address_equal(&address, &to));
    dgram_say(&self, "absent", NULL);
    dgram_say(&self, "equal", &to);
    /* DGT-02 */
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, "x", 1, &wrong), RONDO_EINVAL);
    support_run_passes(loop, 2);
    udp_expect(peer, "absent");
    udp_expect(peer, "equal");
    udp_expect_nothing(stranger);
    ck_assert_int_eq(rondo_transport_sockname(self.transport, &address), 0);
    udp_send_text(stranger, rondo_address_port(&address), "not for you");
    udp_send_text(peer, rondo_address_port(&address), "yes");
    run_until(loop, self.count == 1);
    trace_is("a.made a.got:yes");
    dgram_done(loop, &self);
    peer_close(peer);
    peer_close(stranger);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

START_TEST(test_misuse)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    dgram_bind(loop, &self, "127.0.0.1");
    rondo_address none = { 0 }, to = dgram_address(9);
    ck_assert_int_eq(rondo_datagram_sendto(NULL, "x", 1, &to), RONDO_EINVAL);
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, NULL, 1, &to), RONDO_EINVAL);
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, "x", 1, &none), RONDO_EINVAL);
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, "x", 1, NULL), RONDO_EDESTADDRREQ);
    /* neither kind is the other */
    ck_assert_int_eq(rondo_datagram_sendto(conn.transport, "x", 1, &to), RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_transport_write(self.transport, "x", 1), RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_transport_writelines(self.transport, &(rondo_bytes){ "x", 1 }, 1), RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_transport_write_eof(self.transport), RONDO_ENOTSUP);
    ck_assert(!rondo_transport_can_write_eof(self.transport));
    ck_assert_int_eq(self.errors, 0);
    dgram_done(loop, &self);
    net_done(loop, &conn);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_empty)
{
    rondo_loop *loop = dgram_loop();
    dgram server = { .name = "s", .echo = true }, client = { .name = "c" };
    dgram_connect(loop, &client, dgram_bind(loop, &server, "127.0.0.1"));
    trace_clear();
    /* DGT-05 */
    ck_assert_int_eq(rondo_datagram_sendto(client.transport, NULL, 0, NULL), 0);
    run_until(loop, client.count == 1);
    ck_assert_uint_eq(client.length, 0);
    trace_is("s.got: c.got:");
    dgram_done(loop, &client);
    dgram_done(loop, &server);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

static void check_large(dgram *self)
{
    ck_assert(pattern_check(self->data, self->length, 3));
}

START_TEST(test_large)
{
    rondo_loop *loop = dgram_loop();
    dgram server = { .echo = true }, client = { .on_got = check_large };
    dgram_connect(loop, &client, dgram_bind(loop, &server, "127.0.0.1"));
    unsigned char *bytes = malloc(100000);
    pattern_fill(bytes, 100000, 3);
    for (int i = 0; i < 3; i++) /* nothing is cut off */
        ck_assert_int_eq(rondo_datagram_sendto(client.transport, bytes, i ? LARGEST : 1, NULL), 0);
    run_until(loop, client.count == 3);
    ck_assert_uint_eq(client.length, LARGEST);
    ck_assert_int_eq(client.errors, 0);
    ck_assert_int_eq(rondo_datagram_sendto(client.transport, bytes, LARGEST + 1, NULL), 0);
    run_until(loop, client.errors == 1);
    ck_assert_int_eq(client.error, RONDO_EMSGSIZE); /* DGT-03 */
    dgram_done(loop, &client);
    dgram_done(loop, &server);
    dgram pair = { .on_got = check_large };
    rondo_socket peer = dgram_pair(loop, &pair);
    ck_assert_int_eq(send(peer, bytes, 100000, 0), 100000); /* beyond what IP has */
    run_until(loop, pair.count == 1);
    ck_assert_uint_eq(pair.length, 100000);
    dgram_done(loop, &pair);
    peer_close(peer);
    free(bytes);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_multicast)
{
    rondo_loop *loop = dgram_loop();
    dgram listener = { 0 }, speaker = { 0 };
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_host = "0.0.0.0";
    options.local_port = 0;
    dgram_open(loop, &listener, &options);
    dgram_bind(loop, &speaker, "127.0.0.1");
    struct ip_mreq group = { .imr_multiaddr.s_addr = htonl(0xEFFF4711),
                             .imr_interface.s_addr = htonl(INADDR_LOOPBACK) };
    struct in_addr over = { htonl(INADDR_LOOPBACK) };
    rondo_socket sock = rondo_transport_socket(listener.transport);
    bool joined = setsockopt(sock, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0;
    sock = rondo_transport_socket(speaker.transport);
    joined = setsockopt(sock, IPPROTO_IP, IP_MULTICAST_IF, &over, sizeof over) == 0 && joined;
    rondo_address to;
    ck_assert_int_eq(rondo_address_from_numeric(&to, "239.255.71.17",
                                                peer_port(rondo_transport_socket(listener.transport))),
                     0);
    dgram_say(&speaker, "everybody", &to);
    if (joined)
        run_until(loop, listener.count == 1 || speaker.errors); /* no route to it: no multicast here */
    dgram_done(loop, &speaker);
    dgram_done(loop, &listener);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_pair)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_socket peer = dgram_pair(loop, &self);
    ck_assert_int_eq(send(peer, "x", 1, 0), 1);
    run_until(loop, self.count == 1);
    ck_assert_uint_eq(self.sender.length, 0); /* DGT-08 */
    dgram_say(&self, "to whom it is connected", NULL);
    support_run_passes(loop, 2);
    udp_expect(peer, "to whom it is connected");
    peer_close(peer);
    dgram_say(&self, "gone", NULL);
    run_until(loop, self.errors > 0); /* DGT-03 */
    ck_assert_int_eq(self.losts, 0);
    dgram_done(loop, &self);
    support_loop_end(loop);
}
END_TEST

/* --- what a callback may do -------------------------------------------------------------------------------------- */

static void say_made(dgram *self)
{
    dgram_say(self, "made", NULL);
}

static void say_lost(dgram *self, int error)
{
    (void) error;
    dgram_say(self, "lost", NULL);
    rondo_transport_close(self->transport);
    rondo_transport_abort(self->transport);
}

START_TEST(test_send_from_callbacks)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram self = { .on_made = say_made, .on_lost = say_lost };
    dgram_connect(loop, &self, port);
    support_run_passes(loop, 2);
    udp_expect(peer, "made");
    dgram_done(loop, &self);
    udp_expect_nothing(peer);
    dgram second = { .on_made = dgram_close };
    dgram_connect(loop, &second, port); /* closed before it reads */
    run_until(loop, second.losts == 1);
    dgram_end(&second);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void replace_protocol(dgram *self)
{
    rondo_protocol *protocol = dgram_factory(self->context);
    ck_assert_int_eq(rondo_transport_set_protocol(self->transport, protocol), 0);
    rondo_protocol_unref(protocol);
}

START_TEST(test_set_protocol)
{
    rondo_loop *loop = dgram_loop();
    dgram second = { .name = "b", .made = 1 };
    dgram self = { .name = "a", .on_got = replace_protocol, .context = &second };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    dgram_fill(loop, &self, peer);
    run_until(loop, second.count == 4);
    trace_is("a.got:1 b.got:2 b.got:3 b.got:4 b.got:5");
    rondo_transport_close(self.transport);
    run_until(loop, second.losts == 1);
    rondo_transport_unref(self.transport);
    ck_assert_int_eq(self.destroyed + second.destroyed, 2);
    peer_close(peer);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

static const rondo_protocol_ops mute = { .size = offsetof(rondo_protocol_ops, datagram_received) };

START_TEST(test_older_table)
{
    rondo_loop *loop = dgram_loop();
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = udp_open("127.0.0.1", NULL);
    int port = peer_port(options.sock);
    void *value = NULL;
    ck_assert_int_eq(net_finish(loop,
                                rondo_create_datagram_endpoint(loop, rondo_protocol_new,
                                                               (void *) (uintptr_t) &mute, &options),
                                &value),
                     0);
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    udp_send_text(peer, port, "nobody hears this");
    support_run_passes(loop, 4);
    rondo_transport_abort(value);
    support_run_passes(loop, 4);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "io");
    tcase_add_test(tcase, test_boundaries);
    tcase_add_test(tcase, test_connected);
    tcase_add_test(tcase, test_misuse);
    tcase_add_test(tcase, test_empty);
    tcase_add_test(tcase, test_large);
    tcase_add_test(tcase, test_multicast);
    tcase_add_test(tcase, test_pair);

    tcase = support_case(suite, "callbacks");
    tcase_add_test(tcase, test_send_from_callbacks);
    tcase_add_test(tcase, test_set_protocol);
    tcase_add_test(tcase, test_older_table);
}

int main(void)
{
    return support_main("datagram_io", add_cases);
}
