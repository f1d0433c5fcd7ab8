/* SPDX-License-Identifier: MIT */
/* Stream transports: pausing and resuming what is received. */
#include "peer.h"

START_TEST(test_pause)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    trace_clear();
    /* TRN-15: is_reading follows */
    ck_assert(rondo_transport_is_reading(conn.transport));
    rondo_transport_pause_reading(conn.transport);
    ck_assert(!rondo_transport_is_reading(conn.transport));
    rondo_transport_pause_reading(conn.transport);
    /* TRN-15: neither data nor the end of stream while paused */
    peer_send_text(peer, "one");
    support_run_passes(loop, 5);
    peer_shutdown(peer);
    support_run_passes(loop, 5);
    trace_is("");
    /* TRN-15, TRN-19, PRX-07: both afterwards, in order, nothing lost */
    rondo_transport_resume_reading(conn.transport);
    rondo_transport_resume_reading(conn.transport);
    ck_assert(rondo_transport_is_reading(conn.transport));
    run_until(loop, conn.losts == 1);
    trace_is("c.data:3 c.eof c.lost:0");
    /* TRN-15: nothing once closed */
    rondo_transport_resume_reading(conn.transport);
    ck_assert(!rondo_transport_is_reading(conn.transport));
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void pause_here(net_conn *conn)
{
    rondo_transport_pause_reading(conn->transport);
}

START_TEST(test_pause_in_made)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_made = pause_here };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_send_text(peer, "held");
    support_run_passes(loop, 10);
    /* TRN-16 */
    ck_assert(!rondo_transport_is_reading(conn.transport));
    ck_assert_uint_eq(conn.received, 0);
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.received == 4);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void pause_on_data(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    rondo_transport_pause_reading(conn->transport);
}

START_TEST(test_pause_in_data)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_data = pause_on_data, .checked = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    unsigned char data[1000];
    size_t sent = 0;
    /* TRN-15, PRX-07: one delivery for each resume, whatever is in flight */
    for (int i = 0; i < 50; i++) {
        size_t before = conn.chunks;
        pattern_fill(data, sizeof data, sent);
        peer_send(peer, data, sizeof data);
        sent += sizeof data;
        rondo_transport_resume_reading(conn.transport);
        run_until(loop, conn.chunks > before);
        support_run_passes(loop, 3);
        ck_assert_uint_eq(conn.chunks, before + 1);
        ck_assert(!rondo_transport_is_reading(conn.transport));
    }
    while (conn.received < sent) {
        rondo_transport_resume_reading(conn.transport);
        run_until(loop, !rondo_transport_is_reading(conn.transport));
    }
    ck_assert_uint_eq(conn.received, sent);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static size_t send_pattern(rondo_socket peer, size_t sent, size_t most)
{
    static unsigned char data[1 << 18];
    pattern_fill(data, sizeof data, sent);
    return peer_send_now(peer, data, most < sizeof data ? most : sizeof data);
}

START_TEST(test_pause_in_bulk)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    size_t sent = 0;
    while (conn.received < 4u << 20) {
        sent += send_pattern(peer, sent, 1 << 18);
        support_run_passes(loop, 1);
    }
    /* TRN-15, TRN-17: nor is there more than one, of the family's size, where much comes at a time */
    conn.on_data = pause_on_data;
    while (conn.received < 8u << 20) {
        size_t before = conn.chunks;
        sent += send_pattern(peer, sent, 1 << 18);
        rondo_transport_resume_reading(conn.transport);
        run_until(loop, !rondo_transport_is_reading(conn.transport));
        support_run_passes(loop, 2);
        ck_assert_uint_eq(conn.chunks, before + 1);
    }
    conn.on_data = NULL;
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.received == sent);
    ck_assert_uint_le(conn.largest_chunk, support_backend_is_proactor() ? 64u << 10 : 256u << 10);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void close_on_data(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    rondo_transport_close(conn->transport);
}

START_TEST(test_close_in_bulk)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    size_t sent = 0;
    while (conn.received < 4u << 20) {
        sent += send_pattern(peer, sent, 1 << 18);
        support_run_passes(loop, 1);
    }
    run_until(loop, conn.received == sent);
    conn.on_data = close_on_data;
    conn.chunks = 0;
    send_pattern(peer, sent, 1 << 18);
    run_until(loop, conn.losts == 1);
    /* TRN-02: nothing more is received */
    ck_assert_uint_eq(conn.chunks, 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_pause_toggled)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    unsigned char data[777];
    size_t sent = 0;
    /* TRN-15: paused and resumed at odd moments, every byte arrives once */
    for (int i = 0; i < 400; i++) {
        pattern_fill(data, sizeof data, sent);
        peer_send(peer, data, sizeof data);
        sent += sizeof data;
        if (i % 3 == 0)
            rondo_transport_pause_reading(conn.transport);
        if (i % 5 == 0)
            support_run_passes(loop, 1);
        if (i % 2 == 0)
            rondo_transport_resume_reading(conn.transport);
        if (i % 7 == 0)
            support_run_passes(loop, 1);
    }
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.received == sent);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_pause_is_a_dam)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open(loop, &conn);
    unsigned char data[65536];
    size_t sent = 0, sent_before;
    rondo_transport_pause_reading(conn.transport);
    /* TRN-15, PRX-07: a paused transport stops taking from the kernel, so that the peer is held up */
    do {
        sent_before = sent;
        for (int i = 0; i < 4; i++) {
            pattern_fill(data, sizeof data, sent);
            sent += peer_send_now(peer, data, sizeof data);
            support_run_passes(loop, 1);
        }
        ck_assert_uint_lt(sent, 64u << 20);
    } while (sent != sent_before);
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.received == sent);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_while_paused)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_send_text(peer, "held");
    rondo_transport_pause_reading(conn.transport);
    support_run_passes(loop, 5);
    trace_clear();
    rondo_transport_close(conn.transport);
    rondo_transport_resume_reading(conn.transport);
    ck_assert(!rondo_transport_is_reading(conn.transport));
    run_until(loop, conn.losts == 1);
    support_run_passes(loop, 3);
    /* TRN-02, TRN-15: what was held is not delivered */
    trace_is("c.lost:0");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reset_while_paused)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open_tcp(loop, &conn);
    rondo_transport_pause_reading(conn.transport);
    support_run_passes(loop, 2);
    trace_clear();
    peer_reset(peer);
    support_run_passes(loop, 5);
    trace_is("");
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.losts == 1);
    /* TRN-20 */
    trace_is("c.lost:RONDO_ECONNRESET");
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "pausing");
    tcase_add_test(tcase, test_pause);
    tcase_add_test(tcase, test_pause_in_made);
    tcase_add_test(tcase, test_pause_in_data);
    tcase_add_test(tcase, test_pause_in_bulk);
    tcase_add_test(tcase, test_close_in_bulk);
    tcase_add_test(tcase, test_pause_toggled);
    tcase_add_test(tcase, test_pause_is_a_dam);
    tcase_add_test(tcase, test_close_while_paused);
    tcase_add_test(tcase, test_reset_while_paused);
}

int main(void)
{
    return support_main("transport pause", add_cases);
}
