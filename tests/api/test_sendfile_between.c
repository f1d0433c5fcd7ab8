/* SPDX-License-Identifier: MIT */
/* sendfile over transports: what comes between while a large file is on its way. */
#define _GNU_SOURCE
#include "pipes.h"

#include <unistd.h>

enum { LARGE = 8 << 20 };

/* A large file on its way to a peer that does not read; by the fallback where @which is odd. */
static rondo_future *begin(rondo_loop *loop, net_conn *conn, int which, rondo_file *ret_file,
                           rondo_socket *ret_peer)
{
    *ret_peer = which / 2 ? net_open_tcp(loop, conn) : net_open(loop, conn);
    *ret_file = which % 2 ? pipes_open_zeros() : pipes_open_file(LARGE);
    rondo_future *future = rondo_sendfile(conn->transport, *ret_file, 0, LARGE, which % 2, NULL);
    ck_assert_ptr_nonnull(future);
    support_run_passes(loop, 4);
    ck_assert(!rondo_future_done(future));
    return future;
}

START_TEST(test_cancel)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_file file;
    rondo_socket peer;
    rondo_future *future = begin(loop, &conn, _i, &file, &peer);
    ck_assert(rondo_future_cancel(future));
    ck_assert(rondo_future_cancelled(future));
    rondo_future_unref(future);
    pipes_close(file);
    /* the transport is usable, and nothing more of the file goes out */
    ck_assert_int_eq(rondo_transport_write(conn.transport, "Z", 1), 0);
    support_run_passes(loop, 1);
    ck_assert(rondo_transport_is_reading(conn.transport)); /* as soon as whoever waited goes on */
    char last = 0;
    static char block[65536];
    do {
        ptrdiff_t n = peer_recv_now(peer, block, sizeof block);
        if (n > 0)
            last = block[n - 1];
        support_run_passes(loop, 1);
    } while (last != 'Z' || rondo_transport_get_write_buffer_size(conn.transport));
    peer_expect_nothing(peer);
    peer_send_text(peer, "heard");
    run_until(loop, conn.received == 5);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void stop(void *loop)
{
    rondo_loop_stop(loop);
}

/* The peer has ended its own half and does not read: that is no room to send, and nothing turns. */
START_TEST(test_half_closed)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_file file;
    rondo_socket peer;
    rondo_future *future = begin(loop, &conn, _i, &file, &peer);
    peer_shutdown(peer);
    support_run_passes(loop, 6);
    uint64_t before = support_passes(loop);
    ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_MS(20), NULL, stop, loop), 0);
    support_run(loop);
    ck_assert_uint_le(support_passes(loop) - before, 10);
    run_until(loop, (peer_drain(&(peer_sink){ .sock = peer }), rondo_future_done(future)));
    ck_assert_int_eq(rondo_future_result(future, NULL), LARGE);
    rondo_future_unref(future);
    pipes_close(file);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_file file;
    rondo_socket peer;
    rondo_future *future = begin(loop, &conn, _i / 2, &file, &peer);
    trace_clear();
    if (_i % 2)
        rondo_transport_abort(conn.transport);
    else
        rondo_transport_close(conn.transport);
    ck_assert(rondo_future_done(future));
    ck_assert_int_eq(rondo_future_error(future, NULL), RONDO_ECONNABORTED);
    rondo_future_unref(future);
    run_until(loop, (peer_drain(&(peer_sink){ .sock = peer }), conn.losts == 1));
    ck_assert_int_eq(conn.error, 0);
    trace_clear();
    ck_assert_ptr_null(rondo_sendfile(conn.transport, file, 0, 1, true, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    pipes_close(file);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reset)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_file file;
    rondo_socket peer;
    rondo_future *future = begin(loop, &conn, 2 + _i, &file, &peer);
    peer_reset(peer);
    run_until(loop, rondo_future_done(future));
    int code = rondo_future_error(future, NULL);
    ck_assert(code == RONDO_ECONNRESET || code == RONDO_EPIPE);
    rondo_future_unref(future);
    run_until(loop, conn.losts == 1); /* reading goes on, and hears of it */
    pipes_close(file);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static int send_task(void *context)
{
    return rondo_await(context, NULL);
}

static void never(rondo_future *future, void *context)
{
    (void) future, (void) context;
    ck_abort_msg("called by a closed loop");
}

START_TEST(test_loop_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_file file;
    rondo_socket peer;
    rondo_future *future = begin(loop, &conn, _i / 3, &file, &peer);
    if (_i % 3 == 2)
        ck_assert_int_eq(rondo_future_add_done_callback(future, never, NULL), 0);
    if (_i % 3 == 1) {
        rondo_task *task = rondo_create_task(loop, send_task, rondo_future_ref(future));
        support_run_passes(loop, 2);
        rondo_future_unref(task);
    }
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert(rondo_future_cancelled(future));
    rondo_future_unref(future);
    ck_assert_int_eq(conn.losts, 1);
    support_reports();
    pipes_close(file);
    peer_close(peer);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

/* A file that shrinks on its way ends it early. */
START_TEST(test_shrinking)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_file file;
    rondo_socket peer;
    rondo_future *future = begin(loop, &conn, 2 * _i, &file, &peer);
    ck_assert_int_eq(ftruncate(file, 1000), 0);
    peer_sink sink = { .sock = peer };
    run_until(loop, (peer_drain(&sink), rondo_future_done(future)));
    int sent = rondo_future_result(future, NULL);
    ck_assert_int_gt(sent, 0);
    ck_assert_int_lt(sent, LARGE);
    rondo_future_unref(future);
    run_until(loop, peer_drain(&sink) == (size_t) sent);
    pipes_close(file);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* Another connection is served while a large file goes to a peer that reads as fast as it can. */
START_TEST(test_fairness)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 }, other = { .echo = true };
    peer_sink sink = { .sock = net_open_tcp(loop, &conn) };
    rondo_socket peer = net_open_tcp(loop, &other);
    rondo_file file = pipes_open_file(LARGE);
    rondo_future *future = rondo_sendfile(conn.transport, file, 0, RONDO_TO_END, false, NULL);
    size_t rounds = 0;
    while (!rondo_future_done(future)) {
        peer_drain(&sink);
        if (other.received == rounds) {
            peer_send(peer, "x", 1);
            rounds++;
        }
        support_run_passes(loop, 2);
    }
    ck_assert_uint_ge(other.received, 3);
    ck_assert_int_eq(rondo_future_result(future, NULL), LARGE);
    rondo_future_unref(future);
    net_drain(loop, &sink, LARGE);
    pipes_close(file);
    peer_close(sink.sock);
    peer_close(peer);
    net_done(loop, &conn);
    net_done(loop, &other);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "between");
    tcase_add_loop_test(tcase, test_cancel, 0, 4);
    tcase_add_loop_test(tcase, test_half_closed, 0, 4);
    tcase_add_loop_test(tcase, test_close, 0, 8);
    tcase_add_loop_test(tcase, test_reset, 0, 2);
    tcase_add_loop_test(tcase, test_loop_close, 0, 12);
    tcase_add_loop_test(tcase, test_shrinking, 0, 2);
    tcase_add_test(tcase, test_fairness);
}

int main(void)
{
    return support_main("sendfile_between", add_cases);
}
