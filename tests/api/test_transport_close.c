/* SPDX-License-Identifier: MIT */
/* The end of a stream transport: close and abort from everywhere, connection_lost, the closing loop. */
#include "peer.h"

#include <string.h>

enum event { IN_MADE, IN_DATA, IN_EOF, IN_STALL, IN_FLOW, IN_LOST, EVENTS };

struct plan {
    enum event event;
    bool abort;
    bool done;
    rondo_loop *loop;
    int losts_inside; /* connection_lost calls during the close() of the plan */
};

static char large[1 << 20];

static void after(void *name)
{
    trace("%s", (const char *) name);
}

static void end_here(net_conn *conn, enum event event)
{
    struct plan *plan = conn->context;
    if (plan->event != event || plan->done)
        return;
    plan->done = true;
    int before = conn->losts;
    for (int i = 0; i < 2; i++) {
        if (plan->abort)
            rondo_transport_abort(conn->transport);
        else
            rondo_transport_close(conn->transport);
        /* TRN-06 */
        ck_assert(rondo_transport_is_closing(conn->transport));
        ck_assert(!rondo_transport_is_reading(conn->transport));
    }
    plan->losts_inside = conn->losts - before;
    ck_assert_int_eq(rondo_loop_call_soon(plan->loop, NULL, after, "after"), 0);
}

static void on_made(net_conn *conn)
{
    end_here(conn, IN_MADE);
}

static void on_data(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    end_here(conn, IN_DATA);
}

static void on_eof(net_conn *conn)
{
    end_here(conn, IN_EOF);
}

static void on_stall(net_conn *conn)
{
    end_here(conn, IN_STALL);
}

static void on_flow(net_conn *conn)
{
    end_here(conn, IN_FLOW);
}

static void on_lost(net_conn *conn, int error)
{
    (void) error;
    end_here(conn, IN_LOST);
}

static void provoke(enum event event, net_conn *conn, rondo_socket peer)
{
    switch (event) {
    case IN_DATA:
        peer_send_text(peer, "data");
        break;
    case IN_EOF:
        peer_shutdown(peer);
        break;
    case IN_STALL:
    case IN_FLOW:
        rondo_transport_set_write_buffer_limits(conn->transport, 1000, 500);
        rondo_transport_write(conn->transport, large, sizeof large);
        break;
    case IN_LOST:
        rondo_transport_close(conn->transport);
        break;
    default:
        break;
    }
}

static void end_in_event(enum event event, bool abort, bool keep_open)
{
    rondo_loop *loop = support_loop();
    struct plan plan = { .event = event, .abort = abort, .loop = loop };
    net_conn conn = { .on_made = on_made,
                      .on_data = on_data,
                      .on_eof = on_eof,
                      .on_stall = on_stall,
                      .on_flow = on_flow,
                      .on_lost = on_lost,
                      .keep_open = keep_open,
                      .context = &plan };
    size_t descriptors = peer_descriptors();
    rondo_socket peer = net_open(loop, &conn);
    static char sink[65536];
    provoke(event, &conn, peer);
    /* TRN-07: from any callback, one connection_lost */
    for (unsigned i = 0; conn.losts == 0 || !plan.done; i++) {
        while (event != IN_STALL || !abort) {
            if (peer_recv_now(peer, sink, sizeof sink) <= 0)
                break;
        }
        ck_assert_msg(net_turn(loop, i), "no connection_lost after event %d", (int) event);
    }
    support_run_passes(loop, 5);
    ck_assert_int_eq(conn.losts, 1);
    /* TRN-02, TRN-03: never from inside close() or abort() */
    ck_assert_int_eq(plan.losts_inside, 0);
    /* TRN-05 */
    ck_assert_int_eq(conn.error, 0);
    ck_assert_uint_eq(support_reports(), 0);
    peer_close(peer);
    /* TRN-04: the socket is closed */
    run_until(loop, peer_descriptors() == descriptors);
    net_done(loop, &conn);
    support_loop_end(loop);
    ck_assert_uint_eq(conn.destroyed, 1);
}

START_TEST(test_close_in_event)
{
    end_in_event((enum event) _i, false, false);
}
END_TEST

START_TEST(test_close_in_event_kept_open)
{
    end_in_event((enum event) _i, false, true);
}
END_TEST

START_TEST(test_abort_in_event)
{
    end_in_event((enum event) _i, true, false);
}
END_TEST

START_TEST(test_abort_in_event_kept_open)
{
    end_in_event((enum event) _i, true, true);
}
END_TEST

/* --- close ---------------------------------------------------------------------------------- */

START_TEST(test_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    trace_clear();
    peer_send_text(peer, "too late");
    rondo_transport_close(conn.transport);
    trace("closed");
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    support_run_passes(loop, 3);
    /* TRN-02: nothing more is delivered; connection_lost(None) once, not from inside; TRN-23 */
    trace_is("closed c.lost:0");
    ck_assert_int_eq(rondo_transport_socket(conn.transport), RONDO_INVALID_SOCKET);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_flushes)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    pattern_fill(large, sizeof large, 0);
    ck_assert_int_eq(rondo_transport_write(conn.transport, large, sizeof large), 0);
    rondo_transport_close(conn.transport);
    ck_assert(rondo_transport_is_closing(conn.transport));
    support_run_passes(loop, 10);
    /* TRN-02, TRN-24: what is buffered is sent first, however long the peer takes */
    ck_assert_int_eq(conn.losts, 0);
    run_until(loop, (peer_drain(&sink), sink.ended || sink.reset));
    ck_assert_uint_eq(sink.received, sizeof large);
    ck_assert(sink.ended && !sink.corrupt);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(conn.error, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_flushes_tcp)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_sink sink = { .sock = peer };
    pattern_fill(large, sizeof large, 0);
    for (size_t i = 0; i < 16; i++)
        ck_assert_int_eq(rondo_transport_write(conn.transport, large + i * 65536, 65536), 0);
    rondo_transport_close(conn.transport);
    run_until(loop, (peer_drain(&sink), sink.ended || sink.reset));
    /* TRN-02, PRX-11: the peer gets all of it and an orderly end */
    ck_assert_uint_eq(sink.received, sizeof large);
    ck_assert(sink.ended && !sink.corrupt);
    run_until(loop, conn.losts == 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_with_unsent_and_reset)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    for (int i = 0; i < 16; i++)
        rondo_transport_write(conn.transport, large, sizeof large);
    rondo_transport_close(conn.transport);
    support_run_passes(loop, 3);
    ck_assert_int_eq(conn.losts, 0);
    peer_reset(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-05, TRN-10: the flush failed */
    ck_assert(conn.error == RONDO_ECONNRESET || conn.error == RONDO_EPIPE);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_then_abort)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    trace_clear();
    rondo_transport_write(conn.transport, large, sizeof large);
    trace_clear();
    rondo_transport_close(conn.transport);
    support_run_passes(loop, 3);
    trace_is("");
    /* TRN-03: allowed after close, drops the rest; TRN-24: cancels a write in flight */
    rondo_transport_abort(conn.transport);
    rondo_transport_abort(conn.transport);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    trace_is("");
    run_until(loop, conn.losts == 1);
    trace_is("c.lost:0");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abort_drops)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    pattern_fill(large, sizeof large, 0);
    rondo_transport_write(conn.transport, large, sizeof large);
    rondo_transport_abort(conn.transport);
    trace_clear();
    run_until(loop, conn.losts == 1);
    trace_is("c.lost:0");
    run_until(loop, (peer_drain(&sink), sink.ended || sink.reset));
    /* TRN-03: what was buffered is dropped; what is there is in order */
    ck_assert_uint_lt(sink.received, sizeof large);
    ck_assert(!sink.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abort_before_made)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    net_conn conn = { 0 };
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    ck_assert_ptr_nonnull(future);
    peer_send_text(pair[1], "early");
    run_until(loop, rondo_future_done(future));
    /* CON-04: connection_made before the first data */
    ck_assert_int_eq(conn.made, 1);
    rondo_future_unref(future);
    rondo_transport_abort(conn.transport);
    run_until(loop, conn.losts == 1);
    peer_close(pair[1]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_data_in_flight_at_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open_tcp(loop, &conn);
    trace_clear();
    /* TRN-23: receives that complete in the pass of a close, or after it, are nobody's */
    rondo_loop_call_soon(loop, NULL, trace_word, "before");
    peer_send_text(peer, "x");
    rondo_transport_close(conn.transport);
    peer_send_now(peer, "y", 1);
    run_until(loop, conn.losts == 1);
    peer_send_now(peer, "z", 1);
    support_run_passes(loop, 10);
    trace_is("before c.lost:0");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_descriptor_number_reused)
{
    rondo_loop *loop = support_loop();
    net_conn first = { .name = "first" }, second = { .name = "second" };
    rondo_socket peer = net_open(loop, &first);
    rondo_socket number = rondo_transport_socket(first.transport);
    rondo_transport_close(first.transport);
    run_until(loop, first.losts == 1 && !peer_is_open(number));
    peer_close(peer);
    trace_clear();
    /* TRN-23: nothing of the first connection reaches the second that has its number */
    peer = net_open(loop, &second);
    ck_assert_int_eq(rondo_transport_socket(second.transport), number);
    peer_send_text(peer, "mine");
    run_until(loop, second.received == 4);
    support_run_passes(loop, 5);
    trace_is("second.made second.data:4");
    ck_assert(peer_is_open(number));
    peer_close(peer);
    net_done(loop, &first);
    net_done(loop, &second);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reset_closes_socket)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open_tcp(loop, &conn);
    rondo_socket sock = rondo_transport_socket(conn.transport);
    trace_clear();
    peer_reset(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-20: no eof_received, the error, no report */
    trace_is("c.lost:RONDO_ECONNRESET");
    ck_assert_uint_eq(support_reports(), 0);
    /* TRN-25: that the shutdown of a socket that was reset fails is no matter */
    run_until(loop, !peer_is_open(sock));
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- what a reference keeps ----------------------------------------------------------------- */

static rondo_transport *transport_in_lost;

static void look_at_lost(net_conn *conn, int error)
{
    (void) error;
    transport_in_lost = rondo_protocol_transport(conn->protocol);
    /* TRN-04: the last callback; the socket is closed after it */
    ck_assert(peer_is_open(rondo_transport_socket(conn->transport)));
}

START_TEST(test_protocol_transport)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_lost = look_at_lost };
    rondo_socket peer = net_open(loop, &conn);
    rondo_protocol *protocol = rondo_protocol_ref(conn.protocol);
    ck_assert_ptr_eq(rondo_protocol_transport(protocol), conn.transport);
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    ck_assert_ptr_eq(transport_in_lost, conn.transport);
    support_run_passes(loop, 3);
    ck_assert_ptr_null(rondo_protocol_transport(protocol));
    ck_assert_uint_eq(conn.destroyed, 0);
    peer_close(peer);
    net_done(loop, &conn);
    rondo_protocol_unref(protocol);
    support_loop_end(loop);
    ck_assert_uint_eq(conn.destroyed, 1);
}
END_TEST

/* --- the loop closes ------------------------------------------------------------------------ */

START_TEST(test_loop_close)
{
    rondo_loop *loop = support_loop();
    enum { COUNT = 5 };
    net_conn conns[COUNT] = { { 0 } };
    rondo_socket peers[COUNT], socks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        peers[i] = i % 2 ? net_open(loop, &conns[i]) : net_open_tcp(loop, &conns[i]);
        socks[i] = rondo_transport_socket(conns[i].transport);
    }
    peer_send_text(peers[0], "unread");
    rondo_transport_write(conns[1].transport, large, sizeof large);
    rondo_transport_pause_reading(conns[2].transport);
    rondo_transport_write(conns[3].transport, large, sizeof large);
    rondo_transport_close(conns[3].transport);
    rondo_transport_abort(conns[4].transport);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    /* RUN-31: close ends every transport, once, and waits for what the kernel still holds */
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(conns[i].losts, 1);
        ck_assert(!peer_is_open(socks[i]));
        ck_assert(rondo_transport_is_closing(conns[i].transport));
        ck_assert_int_eq(rondo_transport_write(conns[i].transport, "x", 1), 0);
        peer_close(peers[i]);
    }
    ck_assert_int_eq(conns[0].error, RONDO_ECLOSED);
    ck_assert_int_eq(conns[1].error, RONDO_ECLOSED);
    ck_assert_int_eq(conns[2].error, RONDO_ECLOSED);
    for (int i = 0; i < COUNT; i++)
        net_conn_end(&conns[i]);
    support_loop_end(loop);
    for (int i = 0; i < COUNT; i++)
        ck_assert_uint_eq(conns[i].destroyed, 1);
}
END_TEST

/* CALL-07: one queue also for what call_soon_threadsafe sends between runs, and connection_lost behind it. */
START_TEST(test_close_behind_a_call)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "a" };
    rondo_socket peer = net_open_tcp(loop, &conn);
    trace_clear();
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, trace_word, "sent"), 0);
    rondo_transport_close(conn.transport);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "last"), 0);
    support_run_passes(loop, 3);
    trace_is("sent a.lost:0 last");
    peer_close(peer);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_loop_runs_again)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .echo = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    /* RUN-13: transports live on between runs */
    for (int i = 0; i < 20; i++) {
        peer_send_text(peer, "ping");
        run_until(loop, conn.received == 4 * (size_t) (i + 1));
        run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
        peer_expect(peer, "ping");
    }
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *events = support_case(suite, "in callbacks");
    tcase_add_loop_test(events, test_close_in_event, 0, EVENTS);
    tcase_add_loop_test(events, test_close_in_event_kept_open, 0, EVENTS);
    tcase_add_loop_test(events, test_abort_in_event, 0, EVENTS);
    tcase_add_loop_test(events, test_abort_in_event_kept_open, 0, EVENTS);

    TCase *close = support_case(suite, "close and abort");
    tcase_add_test(close, test_close);
    tcase_add_test(close, test_close_flushes);
    tcase_add_test(close, test_close_flushes_tcp);
    tcase_add_test(close, test_close_with_unsent_and_reset);
    tcase_add_test(close, test_close_then_abort);
    tcase_add_test(close, test_abort_drops);
    tcase_add_test(close, test_abort_before_made);
    tcase_add_test(close, test_data_in_flight_at_close);
    tcase_add_test(close, test_descriptor_number_reused);
    tcase_add_test(close, test_reset_closes_socket);
    tcase_add_test(close, test_protocol_transport);

    TCase *loop = support_case(suite, "loop");
    tcase_add_test(loop, test_loop_close);
    tcase_add_test(loop, test_close_behind_a_call);
    tcase_add_test(loop, test_loop_runs_again);
}

int main(void)
{
    return support_main("transport close", add_cases);
}
