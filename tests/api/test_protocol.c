/* SPDX-License-Identifier: MIT */
/* Protocols: order of calls, buffered protocols, changing them, callbacks that fail. */
#include "peer.h"

#include <string.h>

/* --- order ---------------------------------------------------------------------------------- */

START_TEST(test_order)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket pair[2];
    peer_pair(pair);
    peer_send_text(pair[1], "early");
    peer_shutdown(pair[1]);
    net_adopt(loop, &conn, pair[0]);
    run_until(loop, conn.losts == 1);
    /* PRO-01: also where all of it was there before the beginning; PRO-02: the protocol checks it */
    trace_is("c.made c.data:5 c.eof c.lost:0");
    peer_close(pair[1]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void write_to_self(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    net_conn *other = conn->context;
    if (conn->received < 50) {
        rondo_transport_write(conn->transport, "x", 1);
        rondo_transport_write(other->transport, "y", 1);
    }
}

START_TEST(test_no_nesting)
{
    rondo_loop *loop = support_loop();
    net_conn left = { .on_data = write_to_self }, right = { .on_data = write_to_self };
    rondo_socket pair[2];
    left.context = &right;
    right.context = &left;
    peer_pair(pair);
    net_adopt(loop, &left, pair[0]);
    net_adopt(loop, &right, pair[1]);
    rondo_transport_write(left.transport, "go", 2);
    /* PRO-02: two ends in one loop write to each other from their callbacks; none runs in another */
    run_until(loop, left.received >= 50 && right.received >= 50);
    net_done(loop, &left);
    net_done(loop, &right);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_new)
{
    static const rondo_protocol_ops sized = { .size = sizeof sized, .data_size = 100 };
    static const rondo_protocol_ops broken = { .size = 0 };
    ck_assert_ptr_null(rondo_protocol_new(NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_protocol_new((void *) (uintptr_t) &broken));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) &sized);
    ck_assert_ptr_nonnull(protocol);
    const unsigned char *data = rondo_protocol_data(protocol);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(data[i], 0);
    ck_assert_ptr_eq(rondo_protocol_get_ops(protocol), &sized);
    ck_assert_ptr_null(rondo_protocol_transport(protocol));
    ck_assert_ptr_eq(rondo_protocol_ref(protocol), protocol);
    rondo_protocol_unref(protocol);
    rondo_protocol_unref(protocol);
    rondo_protocol_unref(NULL);
    ck_assert_ptr_null(rondo_protocol_ref(NULL));
    ck_assert_ptr_null(rondo_protocol_data(NULL));
    ck_assert_ptr_null(rondo_protocol_get_ops(NULL));
    ck_assert_ptr_null(rondo_protocol_transport(NULL));
}
END_TEST

/* --- buffered ------------------------------------------------------------------------------- */

START_TEST(test_buffered)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .buffered = true, .buffer_size = 4096, .checked = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    unsigned char data[10000];
    pattern_fill(data, sizeof data, 0);
    peer_send(peer, data, sizeof data);
    peer_shutdown(peer);
    run_until(loop, conn.losts == 1);
    /* PRO-03: end of stream comes as eof_received */
    ck_assert_int_eq(conn.eofs, 1);
    ck_assert_uint_eq(conn.received, sizeof data);
    ck_assert_uint_le(conn.largest_chunk, 4096);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static int buffers_asked;

static void count_buffer(net_conn *conn)
{
    (void) conn;
    buffers_asked++;
}

START_TEST(test_buffered_small)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .buffered = true, .buffer_size = 3, .checked = true, .on_buffer = count_buffer };
    rondo_socket peer = net_open(loop, &conn);
    unsigned char data[1000];
    pattern_fill(data, sizeof data, 0);
    buffers_asked = 0;
    peer_send(peer, data, sizeof data);
    run_until(loop, conn.received == sizeof data);
    /* PRO-04: several rounds; PRO-03: each get_buffer has at most one buffer_updated */
    ck_assert_uint_eq(conn.chunks, 334);
    ck_assert_int_ge(buffers_asked, 334);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void *no_buffer(rondo_protocol *protocol, size_t hint, size_t *ret_length)
{
    (void) protocol;
    (void) hint;
    static char memory[4];
    *ret_length = 0;
    return memory;
}

static void *null_buffer(rondo_protocol *protocol, size_t hint, size_t *ret_length)
{
    (void) protocol;
    (void) hint;
    *ret_length = 100;
    return NULL;
}

static int lost_error, losts;

static void note_lost(rondo_protocol *protocol, int error)
{
    (void) protocol;
    lost_error = error;
    losts++;
}

static void never_updated(rondo_protocol *protocol, size_t length)
{
    (void) protocol;
    ck_abort_msg("buffer_updated(%zu) without a buffer", length);
}

START_TEST(test_buffered_without_buffer)
{
    static const rondo_protocol_ops tables[] = {
        { .size = sizeof tables[0],
          .get_buffer = no_buffer,
          .buffer_updated = never_updated,
          .connection_lost = note_lost },
        { .size = sizeof tables[0],
          .get_buffer = null_buffer,
          .buffer_updated = never_updated,
          .connection_lost = note_lost },
    };
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    losts = 0;
    ck_assert_int_eq(net_finish(loop,
                                rondo_create_connection(loop, rondo_protocol_new,
                                                        (void *) (uintptr_t) &tables[_i], &options),
                                NULL),
                     0);
    peer_send_text(pair[1], "data");
    run_until(loop, losts == 1);
    /* PRO-03: no memory: the connection fails with an error, which is reported */
    ck_assert_int_lt(lost_error, 0);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_int_eq(support_report_at(0)->context.error, lost_error);
    peer_close(pair[1]);
    support_run_passes(loop, 3);
    support_loop_end(loop);
}
END_TEST

static void pause_buffered(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    rondo_transport_pause_reading(conn->transport);
}

START_TEST(test_buffered_paused)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .buffered = true, .buffer_size = 10, .checked = true, .on_data = pause_buffered };
    rondo_socket peer = net_open(loop, &conn);
    unsigned char data[100];
    pattern_fill(data, sizeof data, 0);
    peer_send(peer, data, sizeof data);
    peer_shutdown(peer);
    /* PRO-04, TRN-15: a pause between the rounds of one chunk holds the rest back */
    while (conn.received < sizeof data) {
        size_t before = conn.chunks;
        rondo_transport_resume_reading(conn.transport);
        run_until(loop, conn.chunks == before + 1);
        support_run_passes(loop, 3);
        ck_assert_uint_eq(conn.chunks, before + 1);
        ck_assert_int_eq(conn.eofs, 0);
    }
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(conn.eofs, 1);
    ck_assert(!conn.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void close_buffered(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    rondo_transport_close(conn->transport);
}

START_TEST(test_buffered_closed_between_rounds)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .buffered = true, .buffer_size = 10, .on_data = close_buffered };
    rondo_socket peer = net_open(loop, &conn);
    unsigned char data[100] = { 0 };
    peer_send(peer, data, sizeof data);
    run_until(loop, conn.losts == 1);
    /* TRN-02, PRO-04: the rest of the chunk is not delivered */
    ck_assert_uint_eq(conn.chunks, 1);
    ck_assert_int_eq(conn.error, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void close_or_pause(net_conn *conn)
{
    buffers_asked++;
    if (conn->context)
        rondo_transport_close(conn->transport);
    else
        rondo_transport_pause_reading(conn->transport);
}

START_TEST(test_buffered_unwanted)
{
    rondo_loop *loop = support_loop();
    bool closes = _i == 1;
    net_conn conn = { .buffered = true, .buffer_size = 10, .on_buffer = close_or_pause };
    conn.context = closes ? &conn : NULL;
    rondo_socket peer = net_open(loop, &conn);
    buffers_asked = 0;
    peer_send_text(peer, "hello");
    run_until(loop, buffers_asked == 1);
    support_run_passes(loop, 3);
    /* PRO-03, TRN-02, TRN-15: get_buffer is the last word */
    ck_assert_int_eq(buffers_asked, 1);
    ck_assert_uint_eq(conn.received, 0);
    ck_assert_int_eq(conn.losts, closes);
    conn.on_buffer = NULL;
    if (!closes) {
        rondo_transport_resume_reading(conn.transport);
        run_until(loop, conn.received == 5);
    }
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- set_protocol --------------------------------------------------------------------------- */

static void switch_on_data(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    net_conn *next = conn->context;
    rondo_protocol *protocol = net_factory(next);
    next->made = 1;
    next->transport = rondo_transport_ref(conn->transport);
    next->protocol = protocol;
    ck_assert_int_eq(rondo_transport_set_protocol(conn->transport, protocol), 0);
    /* TRN-22 */
    ck_assert_ptr_eq(rondo_transport_get_protocol(conn->transport), protocol);
    rondo_protocol_unref(protocol);
}

static void switch_protocol(bool from_buffered, bool to_buffered)
{
    rondo_loop *loop = support_loop();
    net_conn second = { .name = "b", .buffered = to_buffered, .buffer_size = 2 };
    net_conn first = { .name = "a",
                       .buffered = from_buffered,
                       .buffer_size = 3,
                       .on_data = switch_on_data,
                       .context = &second };
    rondo_socket peer = net_open(loop, &first);
    trace_clear();
    peer_send_text(peer, "abc");
    run_until(loop, first.received == 3);
    trace_is("a.data:3");
    peer_send_text(peer, "de");
    run_until(loop, second.received == 2);
    peer_shutdown(peer);
    run_until(loop, second.losts == 1);
    /* TRN-22: all later callbacks, connection_lost included; no connection_made */
    trace_is("b.data:2 b.eof b.lost:0");
    ck_assert_int_eq(first.losts, 0);
    ck_assert_str_eq(second.text, "de");
    support_run_passes(loop, 3);
    ck_assert_uint_eq(first.destroyed, 1);
    peer_close(peer);
    net_conn_end(&first);
    net_done(loop, &second);
    support_loop_end(loop);
    ck_assert_uint_eq(second.destroyed, 1);
}

START_TEST(test_set_protocol)
{
    switch_protocol(_i & 1, _i & 2);
}
END_TEST

START_TEST(test_set_protocol_in_the_middle_of_data)
{
    rondo_loop *loop = support_loop();
    net_conn second = { .checked = false };
    net_conn first = { .buffered = true, .buffer_size = 10, .on_data = switch_on_data, .context = &second };
    rondo_socket peer = net_open(loop, &first);
    unsigned char data[1000];
    pattern_fill(data, sizeof data, 0);
    peer_send(peer, data, sizeof data);
    run_until(loop, first.received + second.received == sizeof data);
    /* TRN-22: the bytes behind the switch belong to the new protocol, also where they came in one chunk */
    ck_assert_uint_eq(first.received, 10);
    ck_assert(pattern_check(first.text, 10, 0));
    ck_assert(pattern_check(second.text, 200, 10));
    peer_close(peer);
    run_until(loop, second.losts == 1);
    net_conn_end(&first);
    net_done(loop, &second);
    support_loop_end(loop);
}
END_TEST

static void use_after_switch(net_conn *conn, const void *data, size_t length)
{
    switch_on_data(conn, data, length);
    /* TRN-22: the old protocol is not taken away under the feet of its own callback */
    ck_assert_uint_eq(conn->destroyed, 0);
    ck_assert_ptr_null(rondo_protocol_transport(conn->protocol));
}

START_TEST(test_old_protocol_stays_for_its_callback)
{
    rondo_loop *loop = support_loop();
    net_conn second = { 0 };
    net_conn first = { .on_data = use_after_switch, .context = &second };
    rondo_socket peer = net_open(loop, &first);
    peer_send_text(peer, "abc");
    run_until(loop, first.destroyed == 1);
    peer_close(peer);
    run_until(loop, second.losts == 1);
    net_conn_end(&first);
    net_done(loop, &second);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_set_protocol_while_paused)
{
    rondo_loop *loop = support_loop();
    net_conn first = { 0 }, second = { .name = "b" };
    rondo_socket peer = net_open(loop, &first);
    rondo_transport_pause_reading(first.transport);
    peer_send_text(peer, "held");
    support_run_passes(loop, 3);
    first.context = &second;
    switch_on_data(&first, NULL, 0);
    rondo_transport_resume_reading(first.transport);
    run_until(loop, second.received == 4);
    /* TRN-22, TRN-15: what was held back goes to the protocol of the moment of delivery */
    ck_assert_uint_eq(first.received, 0);
    peer_close(peer);
    run_until(loop, second.losts == 1);
    net_conn_end(&first);
    net_done(loop, &second);
    support_loop_end(loop);
}
END_TEST

/* --- callbacks that fail -------------------------------------------------------------------- */

enum { FAIL_MADE, FAIL_DATA, FAIL_EOF, FAIL_BUFFER, FAIL_UPDATED, FAIL_LOST };

static void raise_here(net_conn *conn)
{
    (void) conn;
    rondo_raise(RONDO_EUSER - 1, "a %s protocol", "failing");
}

static void fail_data(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    raise_here(conn);
}

static void fail_lost(net_conn *conn, int error)
{
    (void) error;
    raise_here(conn);
}

START_TEST(test_failing_reader)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .buffered = _i == FAIL_BUFFER || _i == FAIL_UPDATED };
    if (_i == FAIL_DATA || _i == FAIL_UPDATED)
        conn.on_data = fail_data;
    else if (_i == FAIL_EOF)
        conn.on_eof = raise_here;
    else
        conn.on_buffer = raise_here;
    rondo_socket peer = net_open(loop, &conn);
    trace_clear();
    if (_i == FAIL_EOF)
        peer_shutdown(peer);
    else
        peer_send_text(peer, "boom");
    bool goes_on = _i == FAIL_DATA && support_backend_is_proactor();
    run_until(loop, goes_on ? support_reports() == 1 : conn.losts == 1);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(support_reports(), 1);
    if (goes_on) {
        /* TRN-21: a failing data_received is an ordinary failure on a proactor, as in asyncio */
        ck_assert(!rondo_transport_is_closing(conn.transport));
        conn.on_data = NULL;
        peer_send_text(peer, "more");
        run_until(loop, conn.received == 8);
    } else {
        /* TRN-21: reported, and the end of the connection with that error */
        ck_assert_int_eq(conn.error, RONDO_EUSER - 1);
    }
    const support_report *report = support_report_at(0);
    ck_assert_int_eq(report->context.error, RONDO_EUSER - 1);
    ck_assert_str_eq(report->error_message, "a failing protocol");
    ck_assert_ptr_eq(report->context.transport, conn.transport);
    ck_assert_ptr_eq(report->context.protocol, conn.protocol);
    ck_assert_str_ne(report->message, "");
    if (_i == FAIL_BUFFER)
        ck_assert_uint_eq(conn.received, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_failing_with_system_error)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_data = NULL };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_reset(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-20: errors of the system go to connection_lost alone */
    ck_assert_uint_eq(support_reports(), 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_failing_made)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_made = raise_here };
    /* CON-20: reported; the call returns the pair; the connection goes on */
    rondo_socket peer = net_open(loop, &conn);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EUSER - 1);
    ck_assert(!rondo_transport_is_closing(conn.transport));
    peer_send_text(peer, "alive");
    run_until(loop, conn.received == 5);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_failing_lost)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_lost = fail_lost };
    size_t descriptors = peer_descriptors();
    rondo_socket peer = net_open(loop, &conn);
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EUSER - 1);
    /* TRN-04: once, and the socket is closed all the same */
    ck_assert_int_eq(conn.losts, 1);
    peer_close(peer);
    run_until(loop, peer_descriptors() == descriptors);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void interrupt(net_conn *conn, const void *data, size_t length)
{
    (void) conn;
    (void) data;
    (void) length;
    rondo_raise(RONDO_EINTERRUPTED, NULL);
}

START_TEST(test_interrupting_callback)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_data = interrupt };
    rondo_socket peer = net_open(loop, &conn);
    peer_send_text(peer, "x");
    /* TRN-21, RUN-23: an interrupt ends the run; it is not reported and the loop can go on */
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_uint_eq(support_reports(), 0);
    conn.on_data = NULL;
    if (!conn.losts && !rondo_transport_is_closing(conn.transport)) {
        peer_send_text(peer, "yz");
        run_until(loop, conn.received == 3);
    }
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *order = support_case(suite, "order");
    tcase_add_test(order, test_order);
    tcase_add_test(order, test_no_nesting);
    tcase_add_test(order, test_new);

    TCase *buffered = support_case(suite, "buffered");
    tcase_add_test(buffered, test_buffered);
    tcase_add_test(buffered, test_buffered_small);
    tcase_add_loop_test(buffered, test_buffered_without_buffer, 0, 2);
    tcase_add_test(buffered, test_buffered_paused);
    tcase_add_test(buffered, test_buffered_closed_between_rounds);
    tcase_add_loop_test(buffered, test_buffered_unwanted, 0, 2);

    TCase *change = support_case(suite, "set_protocol");
    tcase_add_loop_test(change, test_set_protocol, 0, 4);
    tcase_add_test(change, test_set_protocol_in_the_middle_of_data);
    tcase_add_test(change, test_old_protocol_stays_for_its_callback);
    tcase_add_test(change, test_set_protocol_while_paused);

    TCase *failing = support_case(suite, "failing callbacks");
    tcase_add_loop_test(failing, test_failing_reader, FAIL_DATA, FAIL_UPDATED + 1);
    tcase_add_test(failing, test_failing_with_system_error);
    tcase_add_test(failing, test_failing_made);
    tcase_add_test(failing, test_failing_lost);
    tcase_add_test(failing, test_interrupting_callback);
}

int main(void)
{
    return support_main("protocol", add_cases);
}
