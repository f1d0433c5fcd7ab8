/* SPDX-License-Identifier: MIT */
/* Stream transports: receiving, end of stream, a peer that is gone. */
#include "peer.h"

START_TEST(test_chunks)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open(loop, &conn);
    static unsigned char data[1 << 16];
    size_t sent = 0;
    while (sent < 4u << 20) {
        pattern_fill(data, sizeof data, sent);
        size_t count = peer_send_now(peer, data, sizeof data);
        sent += count;
        if (count < sizeof data)
            support_run_passes(loop, 1);
    }
    run_until(loop, conn.received == sent);
    /* TRN-17: never empty (the protocol checks), never above the family's limit */
    ck_assert_uint_le(conn.largest_chunk, support_backend_is_proactor() ? 64u << 10 : 256u << 10);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_chunk_limit)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.receive_buffer_size = 1024;
    rondo_loop *loop = support_loop_with(&options);
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    unsigned char data[20000];
    pattern_fill(data, sizeof data, 0);
    peer_send(peer, data, sizeof data);
    run_until(loop, conn.received == sizeof data);
    /* TRN-17: the loop's option */
    ck_assert_uint_le(conn.largest_chunk, 1024);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_one_chunk_each_pass)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    peer_send_text(peer, "a");
    support_run_passes(loop, 1);
    size_t chunks = conn.chunks;
    support_run_passes(loop, 5);
    /* TRN-17: would-block is no event of its own; TRN-19: nothing is left behind */
    ck_assert_uint_eq(conn.chunks, 1);
    ck_assert_uint_le(chunks, 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- end of stream ----------------------------------------------------------------------------------------------- */

START_TEST(test_eof_closes)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open_tcp(loop, &conn);
    trace_clear();
    peer_send_text(peer, "last words");
    peer_shutdown(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-18: false or nothing: closes itself; TRN-05 */
    trace_is("c.data:10 c.eof c.lost:0");
    peer_expect_eof(peer);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void answer_large(net_conn *conn)
{
    static unsigned char data[1 << 20];
    pattern_fill(data, sizeof data, 0);
    ck_assert_int_eq(rondo_transport_write(conn->transport, data, sizeof data), 0);
}

START_TEST(test_eof_flushes)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_eof = answer_large };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_sink sink = { .sock = peer };
    peer_shutdown(peer);
    run_until(loop, (peer_drain(&sink), sink.ended || sink.reset));
    /* TRN-18: it closes itself after the flush */
    ck_assert_uint_eq(sink.received, 1 << 20);
    ck_assert(sink.ended && !sink.corrupt);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(conn.error, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_eof_keeps_open)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .keep_open = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_shutdown(peer);
    run_until(loop, conn.eofs == 1);
    support_run_passes(loop, 10);
    /* TRN-18: open for writing until the protocol closes it */
    ck_assert_int_eq(conn.losts, 0);
    ck_assert(!rondo_transport_is_closing(conn.transport));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(rondo_transport_write(conn.transport, "more", 4), 0);
        run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
        peer_expect(peer, "more");
    }
    /* TRN-18: eof_received comes once, also after a pause and a resume */
    rondo_transport_pause_reading(conn.transport);
    support_run_passes(loop, 2);
    rondo_transport_resume_reading(conn.transport);
    support_run_passes(loop, 5);
    ck_assert_int_eq(conn.eofs, 1);
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(conn.error, 0);
    peer_expect_eof(peer);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_eof_without_function)
{
    static const rondo_protocol_ops silent = { .size = sizeof silent };
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    void *transport;
    peer_tcp_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    ck_assert_int_eq(
        net_finish(loop,
                   rondo_create_connection(loop, rondo_protocol_new, (void *) (uintptr_t) &silent, &options),
                   &transport),
        0);
    rondo_transport_ref(transport);
    /* PRO-01, TRN-18: all functions are optional; without eof_received the end of stream closes */
    peer_send_text(pair[1], "nobody listens");
    rondo_transport_write(transport, "so what", 7);
    support_run_passes(loop, 3);
    peer_shutdown(pair[1]);
    run_until(loop, rondo_transport_socket(transport) == RONDO_INVALID_SOCKET);
    peer_expect(pair[1], "so what");
    peer_expect_eof(pair[1]);
    peer_close(pair[1]);
    rondo_transport_unref(transport);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_half_close_both_ways)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .keep_open = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    trace_clear();
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    support_run_passes(loop, 3);
    peer_expect_eof(peer);
    peer_send_text(peer, "yes");
    run_until(loop, conn.received == 3);
    peer_shutdown(peer);
    run_until(loop, conn.eofs == 1);
    support_run_passes(loop, 5);
    /* TRN-14, TRN-18: both halves shut, and it waits for its protocol all the same */
    trace_is("c.data:3 c.eof");
    ck_assert(!rondo_transport_is_closing(conn.transport));
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    trace_is("c.lost:0");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- a peer that is gone ----------------------------------------------------------------------------------------- */

START_TEST(test_data_before_hangup)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open(loop, &conn);
    unsigned char data[65536];
    size_t sent = 0, count;
    do {
        pattern_fill(data, sizeof data, sent);
        count = peer_send_now(peer, data, sizeof data);
        sent += count;
    } while (count);
    peer_close(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-19: everything, then the end of stream */
    ck_assert_uint_eq(conn.received, sent);
    ck_assert_int_eq(conn.eofs, 1);
    ck_assert_int_eq(conn.error, 0);
    ck_assert(!conn.corrupt);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_data_before_failing_write)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    /* the peer has sent before it went; the write fails in the same pass */
    peer_send_text(peer, "goodbye");
    peer_close(peer);
    trace_clear();
    support_run_passes(loop, 1);
    ck_assert_uint_eq(conn.received, 7);
    rondo_transport_write(conn.transport, "hello?", 6);
    run_until(loop, conn.losts == 1);
    /* TRN-19, TRN-23 */
    ck_assert_int_le(conn.eofs, 1);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reset)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .keep_open = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    trace_clear();
    peer_reset(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-20, PRX-05: no eof_received, the reset, no report */
    trace_is("c.lost:RONDO_ECONNRESET");
    ck_assert_uint_eq(support_reports(), 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reset_with_unread_data)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    rondo_transport_write(conn.transport, "unread", 6);
    support_run_passes(loop, 3);
    /* the peer closes without having read: the kernel resets */
    peer_close(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-20 */
    ck_assert_int_eq(conn.error, RONDO_ECONNRESET);
    ck_assert_int_eq(conn.eofs, 0);
    ck_assert_uint_eq(support_reports(), 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reset_while_writing)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    static char data[8 << 20];
    rondo_transport_write(conn.transport, data, sizeof data);
    support_run_passes(loop, 3);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(conn.transport), 0);
    peer_reset(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-05, TRN-10, TRN-20: which of the two halves hears of it first is open */
    ck_assert(conn.error == RONDO_ECONNRESET || conn.error == RONDO_EPIPE);
    ck_assert_int_eq(conn.eofs, 0);
    ck_assert_int_eq(conn.flows, 0);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reset_after_eof)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .keep_open = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_shutdown(peer);
    run_until(loop, conn.eofs == 1);
    peer_reset(peer);
    support_run_passes(loop, 3);
    /* TRN-18: no longer read, so a write finds out */
    for (unsigned i = 0; !conn.losts && i < 1000; i++) {
        rondo_transport_write(conn.transport, "x", 1);
        support_run_passes(loop, 1);
    }
    ck_assert_int_eq(conn.losts, 1);
    ck_assert(conn.error == RONDO_ECONNRESET || conn.error == RONDO_EPIPE);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "chunks");
    tcase_add_test(tcase, test_chunks);
    tcase_add_test(tcase, test_chunk_limit);
    tcase_add_test(tcase, test_one_chunk_each_pass);

    tcase = support_case(suite, "end of stream");
    tcase_add_test(tcase, test_eof_closes);
    tcase_add_test(tcase, test_eof_flushes);
    tcase_add_test(tcase, test_eof_keeps_open);
    tcase_add_test(tcase, test_eof_without_function);
    tcase_add_test(tcase, test_half_close_both_ways);

    tcase = support_case(suite, "a peer that is gone");
    tcase_add_test(tcase, test_data_before_hangup);
    tcase_add_test(tcase, test_data_before_failing_write);
    tcase_add_test(tcase, test_reset);
    tcase_add_test(tcase, test_reset_with_unread_data);
    tcase_add_test(tcase, test_reset_while_writing);
    tcase_add_test(tcase, test_reset_after_eof);
}

int main(void)
{
    return support_main("transport read", add_cases);
}
