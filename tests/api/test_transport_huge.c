/* SPDX-License-Identifier: MIT */
/* Stream transports under load: 64 MiB against a slow reader, a pipeline with flow control, tiny floods. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

enum { HUGE_SIZE = 64 << 20, CHUNK = 1 << 20 };

START_TEST(test_huge_write)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_sink sink = { .sock = peer };
    unsigned char *data = malloc(HUGE_SIZE);
    ck_assert_ptr_nonnull(data);
    pattern_fill(data, HUGE_SIZE, 0);
    /* FLW-03: one write of 64 MiB: one pause */
    ck_assert_int_eq(rondo_transport_write(conn.transport, data, HUGE_SIZE), 0);
    ck_assert_int_eq(conn.stalls, 1);
    free(data);
    rondo_transport_close(conn.transport);
    /* TRN-02, TRN-08: close flushes all of it, however slowly the peer reads */
    run_until(loop, (peer_drain(&sink), sink.ended || sink.reset));
    ck_assert_uint_eq(sink.received, HUGE_SIZE);
    ck_assert(!sink.corrupt && sink.ended);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(conn.error, 0);
    ck_assert_int_eq(conn.flows, 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_huge_in_chunks)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    static unsigned char chunk[CHUNK];
    size_t before = support_bytes();
    for (size_t sent = 0; sent < HUGE_SIZE; sent += CHUNK) {
        pattern_fill(chunk, CHUNK, sent);
        ck_assert_int_eq(rondo_transport_write(conn.transport, chunk, CHUNK), 0);
    }
    ck_assert_int_eq(conn.stalls, 1);
    run_until(loop, peer_drain(&sink) == HUGE_SIZE);
    ck_assert(!sink.corrupt);
    run_until(loop, conn.flows == 1);
    ck_assert_int_eq(conn.stalls, 1);
    /* the buffer of what was sent is given back */
    ck_assert_uint_le(support_bytes(), before + 4 * CHUNK);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* A writer that obeys its flow control: the buffer stays bounded whatever the reader does. */
static size_t to_send, largest_buffer;

static void pump(net_conn *conn)
{
    static unsigned char piece[10000];
    while (to_send < HUGE_SIZE && conn->stalls == conn->flows) {
        pattern_fill(piece, sizeof piece, to_send);
        ck_assert_int_eq(rondo_transport_write(conn->transport, piece, sizeof piece), 0);
        to_send += sizeof piece;
        size_t size = rondo_transport_get_write_buffer_size(conn->transport);
        if (size > largest_buffer)
            largest_buffer = size;
    }
}

START_TEST(test_pipeline)
{
    rondo_loop *loop = support_loop();
    net_conn writer = { .on_flow = pump }, reader = { .checked = true };
    rondo_socket pair[2];
    to_send = largest_buffer = 0;
    peer_tcp_pair(pair);
    net_adopt(loop, &writer, pair[0]);
    net_adopt(loop, &reader, pair[1]);
    pump(&writer);
    /* FLW-04: pause and resume carry the whole through */
    run_until(loop, reader.received == to_send && to_send >= HUGE_SIZE);
    ck_assert(!reader.corrupt);
    ck_assert_uint_le(largest_buffer, 65536 + 10000);
    ck_assert_int_eq(writer.stalls - writer.flows, writer.stalls > writer.flows);
    net_done(loop, &writer);
    net_done(loop, &reader);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_tiny_flood)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    /* single bytes from the peer, as fast as they go */
    for (size_t i = 0; i < 20000; i++) {
        unsigned char byte;
        pattern_fill(&byte, 1, i);
        peer_send(peer, &byte, 1);
        if (i % 500 == 0)
            support_run_passes(loop, 1);
    }
    run_until(loop, conn.received == 20000);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_echo_storm)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .echo = true, .checked = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_sink sink = { .sock = peer };
    static unsigned char data[8 << 20];
    size_t sent = 0;
    pattern_fill(data, sizeof data, 0);
    while (sink.received < sizeof data) {
        sent += peer_send_now(peer, data + sent, sizeof data - sent < 70000 ? sizeof data - sent : 70000);
        support_run_passes(loop, 1);
        peer_drain(&sink);
    }
    ck_assert(!conn.corrupt && !sink.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *huge = support_case(suite, "huge");
    tcase_add_test(huge, test_huge_write);
    tcase_add_test(huge, test_huge_in_chunks);
    tcase_add_test(huge, test_pipeline);

    TCase *floods = support_case(suite, "floods");
    tcase_add_test(floods, test_tiny_flood);
    tcase_add_test(floods, test_echo_storm);
}

int main(void)
{
    return support_main("transport huge", add_cases);
}
