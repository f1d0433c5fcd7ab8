/* SPDX-License-Identifier: MIT */
/* Where input and output stand among calls and timers, and what closing does to what is in flight. */
#include "peer.h"

static rondo_loop *loop;

static void begin(void)
{
    loop = support_loop();
}

static void end(void)
{
    support_loop_end(loop);
}

static void requeue(void *context)
{
    int *left = context;
    if (--*left > 0)
        ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, requeue, context), 0);
}

/* Traces what was read; stops the loop where the connection has a context. */
static void say_when_read(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    trace("read:%zu", length);
    if (conn->context)
        rondo_loop_stop(loop);
}

START_TEST(test_order_of_a_pass)
{
    begin();
    net_conn conn = { .on_data = say_when_read };
    rondo_socket peer = net_open(loop, &conn);
    support_run_passes(loop, 4);
    peer_send_text(peer, "x");
    support_pause(RONDO_MS(2)); /* the completion is there before the pass begins */
    ck_assert_int_eq(rondo_loop_call_later(loop, -1, NULL, trace_word, "timer"), 0);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "soon"), 0);
    support_run_passes(loop, 1); /* RUN-05, TIM-12 */
    trace_is("soon read:1 timer");
    peer_close(peer);
    net_done(loop, &conn);
    end();
}
END_TEST

START_TEST(test_requeueing_starves_no_input)
{
    begin();
    net_conn conn = { .on_data = say_when_read, .context = &conn };
    rondo_socket peer = net_open(loop, &conn);
    int left = 1000000;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, requeue, &left), 0);
    support_run_passes(loop, 3);
    peer_send_text(peer, "x");
    support_run(loop); /* RUN-06: ends by the input, long before the callback has done */
    trace_is("read:1");
    ck_assert_int_gt(left, 0);
    left = 1;
    support_run_passes(loop, 1);
    peer_close(peer);
    net_done(loop, &conn);
    end();
}
END_TEST

START_TEST(test_input_of_the_last_pass_comes_once)
{
    begin();
    net_conn conn = { .on_data = say_when_read, .context = &conn };
    rondo_socket peer = net_open(loop, &conn);
    peer_send_text(peer, "abc");
    support_run(loop); /* stopped by the callback itself */
    trace_is("read:3");
    support_run_passes(loop, 5); /* RUN-12 */
    trace_is("");
    peer_send_text(peer, "de"); /* RUN-13: the connection lives on between runs */
    support_run(loop);
    trace_is("read:2");
    peer_close(peer);
    net_done(loop, &conn);
    end();
}
END_TEST

/* --- errors ----------------------------------------------------------------------------------- */

static void fail_reading(net_conn *conn, const void *data, size_t length)
{
    (void) conn;
    (void) data;
    (void) length;
    rondo_raise(RONDO_EUSER - 2, "unreadable");
}

START_TEST(test_errors_of_transports)
{
    begin();
    net_conn conn = { 0 }, failing = { .on_data = fail_reading };
    rondo_socket peer = net_open_tcp(loop, &conn);
    peer_reset(peer);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(rondo_err_class(conn.error), RONDO_CLASS_OS);
    ck_assert_uint_eq(support_reports(), 0); /* ERR-10: the system's go to connection_lost only */
    net_conn_end(&conn);
    peer = net_open(loop, &failing);
    peer_send_text(peer, "x");
    run_until(loop,
              support_reports() == 1); /* ERR-10: others are reported too, ERR-04: with what they belong to */
    const support_report *report = support_report_at(0);
    ck_assert_int_eq(report->context.error, RONDO_EUSER - 2);
    ck_assert_str_eq(report->error_message, "unreadable");
    ck_assert_ptr_eq(report->context.transport, failing.transport);
    ck_assert_ptr_nonnull(report->context.protocol);
    peer_close(peer);
    net_done(loop, &failing);
    end();
}
END_TEST

/* --- closing ---------------------------------------------------------------------------------- */

static void count_lost(net_conn *conn, int error)
{
    (void) error;
    trace("lost");
    (void) conn;
}

START_TEST(test_close_with_operations_in_flight)
{
    size_t before = peer_descriptors();
    begin();
    net_conn conns[8] = { { .on_lost = count_lost } };
    rondo_socket peers[8];
    for (int i = 0; i < 8; i++) {
        conns[i].on_lost = count_lost;
        peers[i] = net_open(loop, &conns[i]);
    }
    static char block[1 << 20];
    rondo_transport_write(conns[0].transport, block, sizeof block); /* more than the kernel takes */
    support_run_passes(loop, 3);
    int port = 0;
    rondo_server *server = net_serve(loop, net_factory, &conns[0], &port);
    support_run_passes(loop, 2);
    trace_clear();
    /* RUN-30, RUN-31: receives, a send and an accept are under way; all come back before close returns */
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    trace_is("lost lost lost lost lost lost lost lost");
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(conns[i].losts, 1);
        net_conn_end(&conns[i]);
        peer_close(peers[i]);
    }
    rondo_server_free(server);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    ck_assert_uint_eq(peer_descriptors(), before); /* CALL-11: nothing internal is left either */
}
END_TEST

START_TEST(test_descriptors_of_a_loop)
{
    size_t before = peer_descriptors();
    begin();
    size_t during = peer_descriptors();
    ck_assert_uint_le(during - before, 3); /* CALL-11: the poll and its wake-up channel */
    rondo_loop_close(loop);
    ck_assert_uint_eq(peer_descriptors(), before); /* RUN-30: at close, not at free */
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "loop and I/O");
    tcase_add_test(tcase, test_order_of_a_pass);
    tcase_add_test(tcase, test_requeueing_starves_no_input);
    tcase_add_test(tcase, test_input_of_the_last_pass_comes_once);
    tcase_add_test(tcase, test_errors_of_transports);
    tcase_add_test(tcase, test_close_with_operations_in_flight);
    tcase_add_test(tcase, test_descriptors_of_a_loop);
}

int main(void)
{
    return support_main("loop and I/O", add_cases);
}
