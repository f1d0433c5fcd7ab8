/* SPDX-License-Identifier: MIT */
/* Flow control of writers: marks, pause_writing, resume_writing. */
#include "peer.h"

#include <string.h>

static char large[1 << 20];

static void marks_are(rondo_transport *transport, size_t low, size_t high)
{
    size_t is_low = 0, is_high = 0;
    rondo_transport_get_write_buffer_limits(transport, &is_low, &is_high);
    ck_assert_uint_eq(is_low, low);
    ck_assert_uint_eq(is_high, high);
}

START_TEST(test_marks)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_transport *transport = conn.transport;
    /* FLW-01 */
    marks_are(transport, 16384, 65536);
    /* FLW-02 */
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, 1024, RONDO_DEFAULT_MARK), 0);
    marks_are(transport, 256, 1024);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, RONDO_DEFAULT_MARK, 300), 0);
    marks_are(transport, 300, 1200);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, 7, 7), 0);
    marks_are(transport, 7, 7);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, 7, 8), RONDO_EINVAL);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    marks_are(transport, 7, 7);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, 0, 0), 0);
    marks_are(transport, 0, 0);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, RONDO_DEFAULT_MARK, 0), 0);
    marks_are(transport, 0, 0);
    ck_assert_int_eq(
        rondo_transport_set_write_buffer_limits(transport, RONDO_DEFAULT_MARK, RONDO_DEFAULT_MARK), 0);
    marks_are(transport, 16384, 65536);
    /* FLW-02: a low mark so large that four times it does not fit is no way round the check */
    if (rondo_transport_set_write_buffer_limits(transport, RONDO_DEFAULT_MARK, SIZE_MAX / 2) < 0) {
        marks_are(transport, 16384, 65536);
    } else {
        size_t low, high;
        rondo_transport_get_write_buffer_limits(transport, &low, &high);
        ck_assert_uint_ge(high, low);
    }
    ck_assert_int_eq(conn.stalls, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static int inside_write;

static void note_stall(net_conn *conn)
{
    size_t low, high;
    rondo_transport_get_write_buffer_limits(conn->transport, &low, &high);
    /* FLW-03: inside the write that caused it, and strictly above the mark */
    ck_assert_int_eq(inside_write, 1);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(conn->transport), high);
}

static void note_flow(net_conn *conn)
{
    size_t low, high;
    rondo_transport_get_write_buffer_limits(conn->transport, &low, &high);
    /* FLW-04: at the low mark or below */
    ck_assert_uint_le(rondo_transport_get_write_buffer_size(conn->transport), low);
}

static void write_large(net_conn *conn)
{
    inside_write = 1;
    ck_assert_int_eq(rondo_transport_write(conn->transport, large, sizeof large), 0);
    inside_write = 0;
}

START_TEST(test_stall_and_flow)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_stall = note_stall, .on_flow = note_flow };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    /* FLW-03, FLW-04: they alternate, and each comes once however much is written meanwhile */
    for (int i = 1; i <= 5; i++) {
        pattern_fill(large, sizeof large, (size_t) (i - 1) * 2 * sizeof large);
        write_large(&conn);
        ck_assert_int_eq(conn.stalls, i);
        pattern_fill(large, sizeof large, (size_t) (i * 2 - 1) * sizeof large);
        write_large(&conn);
        ck_assert_int_eq(conn.stalls, i);
        ck_assert_int_eq(conn.flows, i - 1);
        run_until(loop, peer_drain(&sink) == 2 * (size_t) i * sizeof large);
        run_until(loop, conn.flows == i);
        ck_assert_int_eq(conn.stalls, i);
    }
    ck_assert(!sink.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_mark_is_exclusive)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_transport *transport = conn.transport;
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, SIZE_MAX - 1, 0), 0);
    rondo_transport_write(transport, large, sizeof large);
    support_run_passes(loop, 3);
    size_t size = rondo_transport_get_write_buffer_size(transport);
    ck_assert_uint_gt(size, 0);
    /* FLW-03, FLW-06: not at the mark, only above it */
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(transport, size, 0), 0);
    ck_assert_int_eq(conn.stalls, 0);
    ck_assert_int_eq(rondo_transport_write(transport, "x", 1), 0);
    ck_assert_int_eq(conn.stalls, 1);
    /* FLW-07 */
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(transport), size + 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_zero_marks)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_flow = note_flow };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    /* FLW-05: high 0 pauses on anything that is buffered, low 0 resumes when empty */
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(conn.transport, 0, 0), 0);
    rondo_transport_write(conn.transport, large, sizeof large);
    ck_assert_int_eq(conn.stalls, 1);
    while (!conn.flows) {
        peer_drain(&sink);
        support_run_passes(loop, 1);
    }
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    ck_assert_int_eq(conn.stalls, 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_no_stall_when_taken)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(conn.transport, 0, 0), 0);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "small", 5), 0);
    if (!support_backend_is_proactor()) {
        /* FLW-07: taken at once, so never buffered */
        ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
        ck_assert_int_eq(conn.stalls, 0);
    } else {
        /* FLW-07: the operation in flight counts; a send made at once may have been enough */
        ck_assert_int_eq(conn.stalls, rondo_transport_get_write_buffer_size(conn.transport) > 0);
    }
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    ck_assert_int_eq(conn.stalls, conn.flows);
    peer_expect(peer, "small");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_limits_below_size)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    pattern_fill(large, sizeof large, 0);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(conn.transport, 2 * sizeof large, 0), 0);
    rondo_transport_write(conn.transport, large, sizeof large);
    ck_assert_int_eq(conn.stalls, 0);
    /* FLW-06: pauses at once */
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(conn.transport, 100, 50), 0);
    ck_assert_int_eq(conn.stalls, 1);
    /* FLW-06: raising them does not resume by itself */
    ck_assert_int_eq(
        rondo_transport_set_write_buffer_limits(conn.transport, 4 * sizeof large, 4 * sizeof large), 0);
    ck_assert_int_eq(conn.flows, 0);
    run_until(loop, peer_drain(&sink) == sizeof large);
    run_until(loop, conn.flows == 1);
    ck_assert_int_eq(conn.stalls, 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void write_again(net_conn *conn)
{
    if (conn->flows == 1)
        ck_assert_int_eq(rondo_transport_write(conn->transport, large, sizeof large), 0);
}

START_TEST(test_flow_writes_again)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_flow = write_again };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    pattern_fill(large, sizeof large, 0);
    rondo_transport_write(conn.transport, large, sizeof large);
    pattern_fill(large, sizeof large, sizeof large);
    run_until(loop, peer_drain(&sink) == 2 * sizeof large);
    run_until(loop, conn.flows == 2);
    /* FLW-08: past the mark again, so it is paused again */
    ck_assert_int_eq(conn.stalls, 2);
    ck_assert(!sink.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void write_to_other(net_conn *conn)
{
    net_conn *other = conn->context;
    ck_assert_int_eq(rondo_transport_write(other->transport, large, sizeof large), 0);
}

START_TEST(test_flow_writes_elsewhere)
{
    rondo_loop *loop = support_loop();
    net_conn second = { 0 };
    net_conn first = { .on_flow = write_to_other, .context = &second };
    rondo_socket peer1 = net_open(loop, &first), peer2 = net_open(loop, &second);
    peer_sink sink1 = { .sock = peer1 }, sink2 = { .sock = peer2 };
    pattern_fill(large, sizeof large, 0);
    rondo_transport_write(first.transport, large, sizeof large);
    /* FLW-08: on another transport */
    run_until(loop, peer_drain(&sink1) == sizeof large && peer_drain(&sink2) == sizeof large);
    run_until(loop, second.flows == 1);
    ck_assert_int_eq(second.stalls, 1);
    ck_assert(!sink1.corrupt && !sink2.corrupt);
    peer_close(peer1);
    peer_close(peer2);
    net_done(loop, &first);
    net_done(loop, &second);
    support_loop_end(loop);
}
END_TEST

static int stall_depth;

static void write_in_stall(net_conn *conn)
{
    stall_depth++;
    if (conn->stalls == 1) {
        ck_assert_int_eq(rondo_transport_write(conn->transport, large, 1000), 0);
        ck_assert_int_eq(conn->stalls, 1);
    }
    ck_assert_int_eq(stall_depth, 1);
    stall_depth--;
}

START_TEST(test_stall_writes_again)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_stall = write_in_stall };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    rondo_transport_write(conn.transport, large, sizeof large);
    /* FLW-03: a write inside pause_writing does not pause again */
    ck_assert_int_eq(conn.stalls, 1);
    run_until(loop, peer_drain(&sink) == sizeof large + 1000);
    run_until(loop, conn.flows == 1);
    ck_assert_int_eq(conn.stalls, 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_lost_while_paused)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_transport_write(conn.transport, large, sizeof large);
    ck_assert_int_eq(conn.stalls, 1);
    if (_i == 0)
        rondo_transport_abort(conn.transport);
    peer_close(peer);
    run_until(loop, conn.losts == 1);
    support_run_passes(loop, 3);
    /* FLW-09: resume_writing is not called */
    ck_assert_int_eq(conn.flows, 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void fail_here(net_conn *conn)
{
    (void) conn;
    rondo_raise(RONDO_EUSER, "no flow");
}

static void failure_was_reported(const net_conn *conn, size_t index)
{
    /* FLW-09: reported with message, exception, transport, protocol */
    const support_report *report = support_report_at(index);
    ck_assert_str_ne(report->message, "");
    ck_assert_int_eq(report->context.error, RONDO_EUSER);
    ck_assert_str_eq(report->error_message, "no flow");
    ck_assert_ptr_eq(report->context.transport, conn->transport);
    ck_assert_ptr_eq(report->context.protocol, conn->protocol);
}

static void write_and_stall(void *context)
{
    net_conn *conn = context;
    ck_assert_int_eq(rondo_transport_write(conn->transport, large, sizeof large), 0);
}

START_TEST(test_failing_callbacks)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_stall = fail_here, .on_flow = fail_here };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    pattern_fill(large, sizeof large, 0);
    rondo_loop_call_soon(loop, NULL, write_and_stall, &conn);
    run_until(loop, conn.stalls == 1);
    /* FLW-09: the failure of pause_writing is its own, not that of the callback which wrote */
    ck_assert_uint_eq(support_reports(), 1);
    failure_was_reported(&conn, 0);
    run_until(loop, peer_drain(&sink) == sizeof large);
    run_until(loop, conn.flows == 1);
    ck_assert_uint_eq(support_reports(), 2);
    failure_was_reported(&conn, 1);
    /* FLW-09: the connection goes on */
    ck_assert(!sink.corrupt);
    ck_assert(!rondo_transport_is_closing(conn.transport));
    peer_send_text(peer, "alive");
    run_until(loop, conn.received == 5);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_flow_after_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    trace_clear();
    rondo_transport_write(conn.transport, large, sizeof large);
    rondo_transport_close(conn.transport);
    run_until(loop, (peer_drain(&sink), conn.losts == 1));
    /* FLW-04: a flush empties the buffer, so the writer that waits for it goes on; then the end */
    trace_is("c.stall c.flow c.lost:0");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_size_counts_down)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    size_t total = 0, size;
    char byte[4096];
    for (int i = 0; i < 4; i++) {
        rondo_transport_write(conn.transport, large, sizeof large);
        total += sizeof large;
    }
    support_run_passes(loop, 3);
    size = rondo_transport_get_write_buffer_size(conn.transport);
    /* FLW-07: what the kernel has not taken; what it has is the difference */
    ck_assert_uint_gt(size, 0);
    ck_assert_uint_le(size, total);
    size_t got = 0;
    while (got < total) {
        ptrdiff_t count = peer_recv_now(peer, byte, sizeof byte);
        if (count > 0) {
            got += (size_t) count;
            continue;
        }
        support_run_passes(loop, 1);
        size_t now = rondo_transport_get_write_buffer_size(conn.transport);
        ck_assert_uint_le(now, size);
        /* a proactor counts what is not confirmed: what the peer has may still be among it */
        if (!support_backend_is_proactor())
            ck_assert_uint_le(now, total - got);
        size = now;
    }
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void raise_and_write(void *context)
{
    net_conn *conn = context;
    rondo_raise(RONDO_EUSER, "the callback's own");
    ck_assert_int_eq(rondo_transport_write(conn->transport, large, sizeof large), 0);
}

static void raise_in_stall(net_conn *conn)
{
    (void) conn;
    rondo_raise(RONDO_EUSER - 1, "pause_writing's");
}

static void reported(size_t index, int code, const char *text)
{
    const support_report *report = support_report_at(index);
    ck_assert_int_eq(report->context.error, code);
    ck_assert_str_eq(report->error_message, text);
}

START_TEST(test_failing_writer)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    conn.on_stall = _i ? raise_in_stall : NULL;
    /* FLW-09: pause_writing has its own failure, and the callback that wrote has its own */
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, raise_and_write, &conn), 0);
    support_run_passes(loop, 1);
    ck_assert_int_eq(conn.stalls, 1);
    ck_assert_uint_eq(support_reports(), _i ? 2 : 1);
    if (_i) {
        reported(0, RONDO_EUSER - 1, "pause_writing's");
        ck_assert_ptr_eq(support_report_at(0)->context.transport, conn.transport);
    }
    reported((size_t) _i, RONDO_EUSER, "the callback's own");
    ck_assert(support_report_at((size_t) _i)->had_handle);
    ck_assert_ptr_null(support_report_at((size_t) _i)->context.transport);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *marks = support_case(suite, "marks");
    tcase_add_test(marks, test_marks);
    tcase_add_test(marks, test_mark_is_exclusive);
    tcase_add_test(marks, test_zero_marks);
    tcase_add_test(marks, test_no_stall_when_taken);
    tcase_add_test(marks, test_limits_below_size);
    tcase_add_test(marks, test_size_counts_down);

    TCase *flow = support_case(suite, "pause and resume");
    tcase_add_test(flow, test_stall_and_flow);
    tcase_add_test(flow, test_flow_writes_again);
    tcase_add_test(flow, test_flow_writes_elsewhere);
    tcase_add_test(flow, test_stall_writes_again);
    tcase_add_loop_test(flow, test_lost_while_paused, 0, 2);
    tcase_add_test(flow, test_failing_callbacks);
    tcase_add_loop_test(flow, test_failing_writer, 0, 2);
    tcase_add_test(flow, test_flow_after_close);
}

int main(void)
{
    return support_main("flow control", add_cases);
}
