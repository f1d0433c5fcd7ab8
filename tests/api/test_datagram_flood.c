/* SPDX-License-Identifier: MIT */
/* Datagrams that come faster than they are told: order, pauses, ends, and endpoints beside one another. */
#include "dgram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 200, CROWD = 6, EACH = 20 };

/* What a receiver of numbers has seen. The first one expected is 0. */
struct receiver {
    dgram dgram;
    int expected;
    int pause_at, close_at, abort_at; /* having got so many; 0: never */
};

static void check_number(dgram *self)
{
    struct receiver *receiver = self->context;
    char text[16];
    int length = snprintf(text, sizeof text, "%d", receiver->expected++);
    ck_assert_uint_eq(self->length, (size_t) length);
    ck_assert_int_eq(memcmp(self->data, text, (size_t) length), 0);
    if (receiver->expected == receiver->pause_at)
        rondo_transport_pause_reading(self->transport);
    if (receiver->expected == receiver->close_at)
        rondo_transport_close(self->transport);
    if (receiver->expected == receiver->abort_at)
        rondo_transport_abort(self->transport);
}

static int open_receiver(rondo_loop *loop, struct receiver *receiver)
{
    receiver->dgram.context = receiver;
    receiver->dgram.on_got = check_number;
    return dgram_bind(loop, &receiver->dgram, "127.0.0.1");
}

static void send_numbers(rondo_socket peer, int port, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        udp_send_text(peer, port, text);
    }
}

START_TEST(test_in_order)
{
    rondo_loop *loop = dgram_loop();
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    struct receiver self = { 0 };
    int port = open_receiver(loop, &self);
    for (int round = 0; round < 3; round++) {
        send_numbers(peer, port, round * MANY, MANY);
        run_until(loop, self.expected == (round + 1) * MANY);
    }
    dgram_done(loop, &self.dgram);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* Those that are paused keep nothing from the others, and lose nothing themselves. */
START_TEST(test_beside_paused_ones)
{
    rondo_loop *loop = dgram_loop();
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    struct receiver crowd[CROWD] = { 0 }, self = { 0 };
    for (int i = 0; i < CROWD; i++) {
        crowd[i].pause_at = 1;
        send_numbers(peer, open_receiver(loop, &crowd[i]), 0, EACH);
    }
    int port = open_receiver(loop, &self);
    support_run_passes(loop, 3);
    for (int round = 0; round < 4; round++) {
        send_numbers(peer, port, round * EACH, EACH);
        run_until(loop, self.expected == (round + 1) * EACH);
    }
    for (int i = 0; i < CROWD; i++) {
        ck_assert_int_eq(crowd[i].expected, 1);
        rondo_transport_resume_reading(crowd[i].dgram.transport);
    }
    for (int i = 0; i < CROWD; i++) {
        run_until(loop, crowd[i].expected == EACH);
        dgram_done(loop, &crowd[i].dgram);
    }
    send_numbers(peer, port, 4 * EACH, EACH);
    run_until(loop, self.expected == 5 * EACH);
    dgram_done(loop, &self.dgram);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* Paused again and again in the middle, and resumed from elsewhere. */
START_TEST(test_pauses)
{
    rondo_loop *loop = dgram_loop();
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    struct receiver self = { .pause_at = 1 };
    int port = open_receiver(loop, &self);
    send_numbers(peer, port, 0, MANY);
    while (self.expected < MANY) {
        run_until(loop, self.expected == self.pause_at);
        support_run_passes(loop, self.expected % 3);
        ck_assert_int_eq(self.expected, self.pause_at);
        self.pause_at += self.expected % 7 + 1;
        if (self.pause_at > MANY)
            self.pause_at = MANY;
        rondo_transport_resume_reading(self.dgram.transport);
    }
    dgram_done(loop, &self.dgram);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* DGT-06: after close or abort nothing more is told, wherever it came; _i has come by then. */
START_TEST(test_ends)
{
    rondo_loop *loop = dgram_loop();
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    struct receiver closing = { .close_at = _i }, aborting = { .abort_at = _i }, both = { .pause_at = _i };
    send_numbers(peer, open_receiver(loop, &closing), 0, EACH);
    send_numbers(peer, open_receiver(loop, &aborting), 0, EACH);
    send_numbers(peer, open_receiver(loop, &both), 0, EACH);
    run_until(loop, both.expected == _i);
    rondo_transport_close(both.dgram.transport); /* while it is paused */
    run_until(loop, closing.dgram.losts && aborting.dgram.losts && both.dgram.losts);
    support_run_passes(loop, 3);
    ck_assert_int_eq(closing.expected, _i);
    ck_assert_int_eq(aborting.expected, _i);
    ck_assert_int_eq(both.expected, _i);
    dgram_end(&closing.dgram);
    dgram_end(&aborting.dgram);
    dgram_end(&both.dgram);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* A loop that is closed while datagrams wait to be told. */
START_TEST(test_loop_ends)
{
    rondo_loop *loop = dgram_loop();
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    struct receiver self = { .pause_at = 2 };
    send_numbers(peer, open_receiver(loop, &self), 0, EACH);
    run_until(loop, self.expected == 2);
    peer_close(peer);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(self.expected, 2);
    rondo_transport_unref(self.dgram.transport);
    support_loop_end(loop);
}
END_TEST

/* An error of the socket is told behind what came before it, and receiving goes on. */
START_TEST(test_error_behind)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram self = { .name = "a" };
    dgram_connect(loop, &self, port);
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self.transport, &address), 0);
    int own = rondo_address_port(&address);
    for (int i = 0; i < 3; i++) {
        udp_send_text(peer, own, "one");
        udp_send_text(peer, own, "two");
        run_until(loop, self.count == (size_t) (4 * i) + 2);
        udp_send_text(peer, own, "three");
        udp_send_text(peer, own, "four");
        run_until(loop, self.count == (size_t) (4 * i) + 4);
    }
    udp_send_text(peer, own, "last");
    peer_close(peer);
    dgram_say(&self, "nobody is there", NULL);
    run_until(loop, self.count == 13 && self.errors == 1);
    ck_assert_int_eq(self.error, RONDO_ECONNREFUSED);
    dgram_say(&self, "nor now", NULL);
    run_until(loop, self.errors == 2);
    dgram_done(loop, &self);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "flood");
    tcase_add_test(tcase, test_in_order);
    tcase_add_test(tcase, test_beside_paused_ones);
    tcase_add_test(tcase, test_pauses);
    tcase_add_loop_test(tcase, test_ends, 1, EACH + 1);
    tcase_add_test(tcase, test_loop_ends);
    tcase_add_test(tcase, test_error_behind);
}

int main(void)
{
    return support_main("datagram floods", add_cases);
}
