/* SPDX-License-Identifier: MIT */
/* Datagram transports: sending, receiving, errors, flow control, and the end. */
#define _GNU_SOURCE
#include "dgram.h"
#include "unix_peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST = 65507 };

static size_t passes_of(rondo_loop *loop)
{
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &metrics), 0);
    return (size_t) metrics.passes;
}

/* --- sending and receiving ---------------------------------------------------------------------------------- */

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

/* --- one datagram a pass, unless nobody can tell -------------------------------------------------------------- */

static rondo_loop *loop_of(dgram *self)
{
    return rondo_transport_loop(self->transport);
}

static void queue_word(dgram *self)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop_of(self), NULL, trace_word, "soon"), 0);
}

/* Five datagrams "1" ... "5" wait for it. */
static int fill(rondo_loop *loop, dgram *self, rondo_socket peer)
{
    int port = dgram_bind(loop, self, "127.0.0.1");
    trace_clear();
    for (char digit = '1'; digit <= '5'; digit++)
        udp_send(peer, port, &digit, 1);
    return port;
}

START_TEST(test_calls_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = queue_word };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    fill(loop, &self, peer);
    run_until(loop, self.count == 5);
    support_run_passes(loop, 1);
    trace_is("a.got:1 soon a.got:2 soon a.got:3 soon a.got:4 soon a.got:5 soon");
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void start_timer(dgram *self)
{
    if (self->count == 1)
        ck_assert_int_eq(rondo_loop_call_later(loop_of(self), 0, NULL, trace_word, "timer"), 0);
}

START_TEST(test_timer_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = start_timer };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    fill(loop, &self, peer);
    run_until(loop, self.count == 5);
    trace_is("a.got:1 a.got:2 timer a.got:3 a.got:4 a.got:5");
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void stop_loop(dgram *self)
{
    rondo_loop_stop(loop_of(self));
}

START_TEST(test_stop_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = stop_loop };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    fill(loop, &self, peer);
    support_run(loop);
    trace_is("a.got:1");
    support_run(loop);
    trace_is("a.got:2");
    dgram_done(loop, &self); /* the rest goes with it */
    ck_assert_uint_eq(self.count, 2);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void pause_at_two(dgram *self)
{
    if (self->count == 2)
        rondo_transport_pause_reading(self->transport);
}

START_TEST(test_pause_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = pause_at_two }, other = { .name = "b" };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    fill(loop, &self, peer);
    run_until(loop, self.count == 2);
    support_run_passes(loop, 5);
    ck_assert(!rondo_transport_is_reading(self.transport));
    trace_is("a.got:1 a.got:2");
    fill(loop, &other, peer); /* another one is not in its way */
    run_until(loop, other.count == 5);
    trace_is("b.got:1 b.got:2 b.got:3 b.got:4 b.got:5");
    rondo_transport_resume_reading(self.transport);
    run_until(loop, self.count == 5);
    trace_is("a.got:3 a.got:4 a.got:5");
    dgram_done(loop, &self);
    dgram_done(loop, &other);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void close_it(dgram *self)
{
    rondo_transport_close(self->transport);
}

START_TEST(test_close_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .echo = true, .on_got = close_it };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    fill(loop, &self, peer);
    run_until(loop, self.losts == 1);
    trace_is("a.got:1 a.lost:0");
    udp_expect(peer, "1"); /* DGT-06: it was sent before */
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void stop_at_last(dgram *self)
{
    if (self->count == 64)
        rondo_loop_stop(loop_of(self));
}

START_TEST(test_batch)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .echo = true, .on_got = stop_at_last };
    int own;
    rondo_socket peer = udp_open("127.0.0.1", &own);
    int port = dgram_bind(loop, &self, "127.0.0.1");
    for (int i = 0; i < 64; i++)
        udp_send(peer, port, (char[]){ (char) ('0' + i) }, 1);
    size_t before = passes_of(loop);
    support_run(loop);
    support_run_passes(loop, 2);
    ck_assert_uint_eq(self.count, 64);
    for (int i = 0; i < 64; i++)
        udp_expect(peer, (char[]){ (char) ('0' + i), 0 });
    ck_assert_uint_lt(passes_of(loop) - before, 40); /* nobody could tell, so it was quick */
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* --- errors --------------------------------------------------------------------------------------------------- */

/* Each refusal that a send meets is told, also where several datagrams leave in one pass. */
START_TEST(test_several_refused)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket gone = udp_open("127.0.0.1", &port);
    peer_close(gone);
    dgram self = { 0 };
    dgram_connect(loop, &self, port);
    for (int i = 0; i < 8; i++)
        dgram_say(&self, "anybody?", NULL);
    support_run_passes(loop, 12);
    ck_assert_int_ge(self.errors, 4); /* the refusal of one is heard by the next one, which is lost by it */
    ck_assert_int_eq(self.error, RONDO_ECONNREFUSED);
    dgram_done(loop, &self);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_refused)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket gone = udp_open("127.0.0.1", &port);
    peer_close(gone);
    dgram self = { 0 };
    dgram_connect(loop, &self, port);
    /* DGT-03: again and again, and it is not deaf */
    for (int i = 1; i <= 5; i++) {
        dgram_say(&self, "anybody?", NULL);
        run_until(loop, self.errors == i);
        ck_assert_int_eq(self.error, RONDO_ECONNREFUSED);
        ck_assert(!rondo_transport_is_closing(self.transport));
    }
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self.transport, &address), 0);
    rondo_socket back = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    rondo_address here = dgram_address(port);
    ck_assert_int_eq(bind(back, rondo_address_sockaddr(&here), here.length), 0);
    udp_send_text(peer_patient(back), rondo_address_port(&address), "I am back");
    run_until(loop, self.count == 1);
    dgram_say(&self, "welcome", NULL);
    support_run_passes(loop, 2);
    udp_expect(back, "welcome");
    ck_assert_int_eq(self.errors, 5);
    dgram_done(loop, &self);
    peer_close(back);
    support_loop_end(loop);
}
END_TEST

static void fail_it(dgram *self)
{
    rondo_raise(RONDO_EUSER, "failed at %zu", self->count);
}

START_TEST(test_received_fails)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_got = fail_it };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    fill(loop, &self, peer);
    run_until(loop, self.count == 5);
    /* As from any callback: reported, and the endpoint stays open. */
    ck_assert_uint_eq(support_reports(), 5);
    ck_assert_int_eq(support_report_at(4)->context.error, RONDO_EUSER);
    ck_assert_str_eq(support_report_at(4)->error_message, "failed at 5");
    ck_assert_int_eq(self.losts, 0);
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void raise_error(dgram *self, int error)
{
    (void) error;
    fail_it(self);
}

START_TEST(test_error_fails)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_error = raise_error };
    dgram_connect(loop, &self, 9); /* nobody is there */
    char *bytes = calloc(1, 70000);
    int rc = rondo_datagram_sendto(self.transport, bytes, 70000, NULL);
    run_until(loop, self.errors == 1);
    if (support_backend_is_proactor()) { /* nobody else is there to hear of it */
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(support_reports(), 1);
    } else {
        ck_assert_int_eq(rc, RONDO_EUSER);
        ck_assert_str_eq(rondo_last_error_message(), "failed at 0");
        ck_assert_uint_eq(support_reports(), 0);
    }
    ck_assert_int_eq(self.losts, 0);
    free(bytes);
    dgram_done(loop, &self);
    support_loop_end(loop);
}
END_TEST

static void send_again(dgram *self, int error)
{
    (void) error;
    static const char bytes[70000];
    if (self->errors < 100)
        ck_assert_int_eq(rondo_datagram_sendto(self->transport, bytes, sizeof bytes, NULL), 0);
}

START_TEST(test_error_sends)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_error = send_again };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram_connect(loop, &self, port);
    send_again(&self, 0);
    run_until(loop, self.errors == 100);
    dgram_say(&self, "in the end", NULL);
    support_run_passes(loop, 2);
    udp_expect(peer, "in the end");
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void close_at_error(dgram *self, int error)
{
    (void) error;
    rondo_transport_close(self->transport);
    dgram_say(self, "too late", NULL);
}

START_TEST(test_error_closes)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_error = close_at_error };
    dgram_connect(loop, &self, 9);
    char *bytes = calloc(1, 70000);
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, bytes, 70000, NULL), 0);
    run_until(loop, self.losts == 1);
    ck_assert_int_eq(self.lost, 0);
    free(bytes);
    dgram_end(&self);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_fatal)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_socket peer = dgram_pair(loop, &self);
    ck_assert_int_eq(send(peer, "no memory", 9, 0), 9); /* to receive it */
    support_fail_nth(1);
    support_run_passes(loop, 4);
    ck_assert(support_has_failed());
    /* DGT-04: no OSError, so the exception handler hears of it */
    ck_assert_int_eq(self.losts, 1);
    ck_assert_int_eq(self.lost, RONDO_ENOMEM);
    ck_assert_int_eq(self.errors, 0);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_ENOMEM);
    ck_assert_ptr_eq(support_report_at(0)->context.transport, self.transport);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* --- what cannot be sent at once ----------------------------------------------------------------------------------- */

static void say_number(dgram *self, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    dgram_say(self, text, NULL);
}

/* Send numbers until the receiver, who does not read, has no room: how many went. */
static int stuff(rondo_loop *loop, dgram *self)
{
    int count = 0;
    while (rondo_transport_get_write_buffer_size(self->transport) < 4) {
        say_number(self, count++);
        ck_assert_int_lt(count, 5000);
        support_run_passes(loop, 2);
    }
    return count;
}

static void expect_numbers(rondo_loop *loop, rondo_socket peer, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        udp_expect(peer, text);
        support_run_passes(loop, 3);
    }
}

START_TEST(test_close_sends)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_socket peer = dgram_pair(loop, &self);
    int count = stuff(loop, &self);
    rondo_transport_close(self.transport); /* DGT-06: what is queued is sent */
    ck_assert(rondo_transport_is_closing(self.transport));
    dgram_say(&self, "not any more", NULL);
    support_run_passes(loop, 5);
    ck_assert_int_eq(self.losts, 0);
    expect_numbers(loop, peer, 0, count);
    run_until(loop, self.losts == 1);
    ck_assert_int_eq(self.lost, 0);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abort_drops)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_socket peer = dgram_pair(loop, &self);
    int count = stuff(loop, &self);
    rondo_transport_abort(self.transport); /* DGT-06: dropped */
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    run_until(loop, self.losts == 1);
    ck_assert_int_eq(self.lost, 0);
    char text[16];
    int got = 0;
    while (recv(peer, text, sizeof text, MSG_DONTWAIT) > 0)
        got++;
    ck_assert_int_lt(got, count);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_send_after_close)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram_connect(loop, &self, port);
    rondo_transport_close(self.transport);
    for (int i = 0; i < 4; i++)
        dgram_say(&self, "nobody sends this", NULL);
    ck_assert_uint_eq(support_log_lines("raised exception."), 0);
    run_until(loop, self.losts == 1);
    dgram_say(&self, "nor this", NULL); /* DGT-06: ignored, and said from the fifth on */
    ck_assert_uint_eq(support_log_lines("raised exception."), 1);
    udp_expect_nothing(peer);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_marks)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a" };
    rondo_socket peer = dgram_pair(loop, &self);
    trace_clear();
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(self.transport, 8, 2), 0);
    int count = stuff(loop, &self);
    ck_assert_int_eq(self.stalls, 0);
    while (!self.stalls) { /* DGT-07: the bytes that are queued */
        say_number(&self, count++);
        ck_assert_uint_lt(rondo_transport_get_write_buffer_size(self.transport), 20);
    }
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(self.transport), 8);
    expect_numbers(loop, peer, 0, count);
    run_until(loop, self.flows == 1);
    trace_is("a.stall a.flow");
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_proactor_queues)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a" };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram_connect(loop, &self, port);
    trace_clear();
    dgram_say(&self, "one", NULL);
    size_t first = rondo_transport_get_write_buffer_size(self.transport);
    dgram_say(&self, "three", NULL);
    size_t second = rondo_transport_get_write_buffer_size(self.transport);
    /* DGT-09: it is queued, but the one in flight; DGT-01: a selector tries at once */
    ck_assert_uint_eq(first, 0);
    ck_assert_uint_eq(second, support_backend_is_proactor() ? 5 : 0);
    if (support_backend_is_proactor())
        udp_expect_nothing(peer);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    udp_expect(peer, "one");
    udp_expect(peer, "three");
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_unconnected_receiver_full)
{
    rondo_loop *loop = dgram_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    dgram server = { 0 }, client = { 0 };
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS, unnamed = RONDO_DATAGRAM_OPTIONS;
    options.local_path = folder.path;
    dgram_open(loop, &server, &options);
    rondo_transport_pause_reading(server.transport);
    unnamed.family = AF_UNIX;
    dgram_open(loop, &client, &unnamed);
    rondo_address to;
    ck_assert_int_eq(rondo_transport_sockname(server.transport, &to), 0);
    for (int i = 0; i < 100; i++)
        dgram_say(&client, "many", &to);
    support_run_passes(loop, 20);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(client.transport), 0);
    size_t before = passes_of(loop); /* nothing tells when there is room, and it does not spin meanwhile */
    rondo_handle handle;
    ck_assert_int_eq(
        rondo_loop_call_later(loop, RONDO_MS(40), &handle, (rondo_callback *) rondo_loop_stop, loop), 0);
    support_run(loop);
    ck_assert_uint_lt(passes_of(loop) - before, 120);
    rondo_transport_resume_reading(server.transport);
    run_until(loop, server.count + (size_t) client.errors == 100);
    dgram_done(loop, &client);
    dgram_done(loop, &server);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

/* --- pairs, and what a callback may do ------------------------------------------------------------------------------ */

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
    dgram second = { .on_made = close_it };
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
    fill(loop, &self, peer);
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

    tcase = support_case(suite, "passes");
    tcase_add_test(tcase, test_calls_between);
    tcase_add_test(tcase, test_timer_between);
    tcase_add_test(tcase, test_stop_between);
    tcase_add_test(tcase, test_pause_between);
    tcase_add_test(tcase, test_close_between);
    tcase_add_test(tcase, test_batch);

    tcase = support_case(suite, "errors");
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_several_refused);
    tcase_add_test(tcase, test_received_fails);
    tcase_add_test(tcase, test_error_fails);
    tcase_add_test(tcase, test_error_sends);
    tcase_add_test(tcase, test_error_closes);
    tcase_add_test(tcase, test_fatal);

    tcase = support_case(suite, "queue");
    tcase_add_test(tcase, test_close_sends);
    tcase_add_test(tcase, test_abort_drops);
    tcase_add_test(tcase, test_send_after_close);
    tcase_add_test(tcase, test_marks);
    tcase_add_test(tcase, test_proactor_queues);
    tcase_add_test(tcase, test_unconnected_receiver_full);

    tcase = support_case(suite, "callbacks");
    tcase_add_test(tcase, test_send_from_callbacks);
    tcase_add_test(tcase, test_set_protocol);
    tcase_add_test(tcase, test_older_table);
}

int main(void)
{
    return support_main("datagram_io", add_cases);
}
