/* SPDX-License-Identifier: MIT */
/* sendfile over transports: native and by the fallback, with slow readers, and everything that comes between. */
#define _GNU_SOURCE
#include "pipes.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 8 << 20 };

static rondo_socket open_conn(rondo_loop *loop, net_conn *conn, int which)
{
    return which ? net_open_tcp(loop, conn) : net_open(loop, conn);
}

static void drain_until(rondo_loop *loop, peer_sink *sink, size_t length)
{
    run_until(loop, peer_drain(sink) >= length);
    ck_assert_uint_eq(sink->received, length);
    ck_assert(!sink->corrupt);
}

START_TEST(test_whole_file)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    peer_sink sink = { .sock = open_conn(loop, &conn, _i) };
    rondo_file file = pipes_open_file(20000);
    int64_t sent = -1;
    int rc = net_finish(loop, rondo_sendfile(conn.transport, file, 0, RONDO_TO_END, false, &sent), NULL);
    ck_assert_int_eq(rc, 20000);
    ck_assert_int_eq(sent, 20000);
    drain_until(loop, &sink, 20000);
    ck_assert_int_eq(lseek(file, 0, SEEK_CUR), 0);
    ck_assert(rondo_transport_is_reading(conn.transport));
    pipes_close(file);
    peer_close(sink.sock);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_parts)
{
    static const struct {
        int64_t offset, count, expected;
    } parts[] = { { 0, 1, 1 },
                  { 10, 20, 20 },
                  { 990, 100, 10 },
                  { 1000, 5, 0 },
                  { 5000, 5, 0 },
                  { 1, RONDO_TO_END, 999 },
                  { INT64_MAX, RONDO_TO_END, 0 } };
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = open_conn(loop, &conn, 1);
    rondo_file file = pipes_open_file(1000);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char bytes[1000];
        int64_t sent = -1;
        int rc = net_finish(
            loop, rondo_sendfile(conn.transport, file, parts[i].offset, parts[i].count, true, &sent), NULL);
        if (parts[i].offset == INT64_MAX && rc < 0) { /* some systems do not take such a place */
            ck_assert_int_eq(sent, 0);
            continue;
        }
        ck_assert_int_eq(rc, (int) parts[i].expected);
        ck_assert_int_eq(sent, parts[i].expected);
        peer_recv(peer, bytes, (size_t) sent);
        ck_assert(pattern_check(bytes, (size_t) sent, (size_t) parts[i].offset));
        peer_expect_nothing(peer);
    }
    pipes_close(file);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* What was written before goes first; meanwhile writing is refused and nothing is received; afterwards all is as before. */
START_TEST(test_in_between)
{
    static char before[600000];
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    peer_sink sink = { .sock = open_conn(loop, &conn, _i) };
    rondo_file file = pipes_open_file(LARGE);
    pattern_fill(before, sizeof before, 0);
    if (_i)
        ck_assert_int_eq(rondo_transport_write(conn.transport, before, sizeof before), 0);
    size_t start = _i ? sizeof before : 0;
    int64_t sent;
    rondo_future *future = rondo_sendfile(conn.transport, file, (int64_t) start, RONDO_TO_END, false, &sent);
    ck_assert_ptr_nonnull(future);
    ck_assert(!rondo_future_done(future));
    ck_assert(!rondo_transport_is_reading(conn.transport));
    trace_clear();
    peer_send_text(sink.sock, "heard later");
    support_run_passes(loop, 5);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "x", 1), RONDO_EBUSY);
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), RONDO_EBUSY);
    ck_assert_ptr_null(rondo_sendfile(conn.transport, file, 0, 1, true, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EBUSY);
    ck_assert(!rondo_future_done(future));
    ck_assert_uint_eq(conn.received, 0);
    run_until(loop, (peer_drain(&sink), rondo_future_done(future)));
    ck_assert_int_eq(sent, (int64_t) (LARGE - start));
    ck_assert_int_eq(rondo_future_result(future, NULL), (int) sent);
    rondo_future_unref(future);
    drain_until(loop, &sink, LARGE);
    run_until(loop, conn.received == 11);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "tail", 4), 0);
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_expect(sink.sock, "tail");
    trace_clear();
    pipes_close(file);
    peer_close(sink.sock);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- the fallback -------------------------------------------------------------------------------------------- */

/* A device has no end, so there is a count; it goes through the transport, with a slow reader. */
START_TEST(test_fallback)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = open_conn(loop, &conn, _i);
    rondo_file device = pipes_open_zeros();
    ck_assert_ptr_null(rondo_sendfile(conn.transport, device, 0, 10, false, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ENOTSUP);
    int64_t sent = 0;
    rondo_future *future = rondo_sendfile(conn.transport, device, 0, 5000000, true, &sent);
    ck_assert_ptr_nonnull(future);
    support_run_passes(loop, 20);
    ck_assert(!rondo_future_done(future));
    ck_assert_int_lt(sent, 5000000); /* the buffers are full */
    ck_assert_int_eq(rondo_transport_write(conn.transport, "x", 1), RONDO_EBUSY);
    static char block[65536];
    size_t received = 0;
    do {
        ptrdiff_t n;
        while ((n = peer_recv_now(peer, block, sizeof block)) > 0)
            received += (size_t) n;
        support_run_passes(loop, 1);
    } while (!rondo_future_done(future));
    ck_assert_int_eq(rondo_future_result(future, NULL), 5000000);
    rondo_future_unref(future);
    while (received < 5000000) {
        ptrdiff_t n = peer_recv_now(peer, block, sizeof block);
        received += n > 0 ? (size_t) n : 0;
        support_run_passes(loop, 1);
    }
    ck_assert_uint_eq(received, 5000000);
    ck_assert(rondo_transport_is_reading(conn.transport));
    pipes_close(device);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* The kernel takes nothing, and there is no memory for the first, the second ... thing that is needed: what was not taken
 * over does not count. */
START_TEST(test_no_memory)
{
    rondo_file device = pipes_open_zeros();
    bool has_failed = true;
    for (size_t nth = 1; has_failed; nth++) {
        rondo_loop *loop = support_loop();
        net_conn conn = { 0 };
        rondo_socket peer = open_conn(loop, &conn, 0);
        while (write(rondo_transport_socket(conn.transport), "x", 1) == 1)
            continue;
        int64_t sent = 0;
        support_fail_nth(nth);
        rondo_future *future = rondo_sendfile(conn.transport, device, 0, 10, true, &sent);
        has_failed = support_has_failed();
        support_fail_nth(0);
        if (future && has_failed)
            ck_assert_int_eq(rondo_future_result(future, NULL), RONDO_ENOMEM);
        ck_assert_int_eq(sent, has_failed ? 0 : 10);
        rondo_future_unref(future);
        peer_close(peer);
        net_done(loop, &conn);
        support_loop_end(loop);
    }
    pipes_close(device);
}
END_TEST

/* A regular file that sendfile(2) refuses. */
START_TEST(test_refused_by_the_system)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = open_conn(loop, &conn, 1);
    rondo_file file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        char expected[256], got[256];
        ssize_t length = pread(file, expected, sizeof expected, 0);
        ck_assert_int_gt(length, 0);
        int64_t sent = -1;
        int rc = net_finish(loop, rondo_sendfile(conn.transport, file, 0, sizeof got, false, &sent), NULL);
        if (rc == RONDO_ENOTSUP) { /* kernels differ in what they take */
            ck_assert_int_eq(sent, 0);
            rc = net_finish(loop, rondo_sendfile(conn.transport, file, 0, sizeof got, true, &sent), NULL);
        }
        ck_assert_int_eq(rc, (int) length);
        run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
        peer_recv(peer, got, (size_t) length);
        ck_assert_mem_eq(got, expected, (size_t) length);
        pipes_close(file);
    }
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- what comes between ----------------------------------------------------------------------------------------- */

/* A large file on its way to a peer that does not read; by the fallback where @which is odd. */
static rondo_future *begin(rondo_loop *loop, net_conn *conn, int which, rondo_file *ret_file,
                           rondo_socket *ret_peer)
{
    *ret_peer = open_conn(loop, conn, which / 2);
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
    ck_assert(rondo_transport_is_reading(conn.transport));
    ck_assert_int_eq(rondo_transport_write(conn.transport, "Z", 1), 0);
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
    drain_until(loop, &sink, LARGE);
    pipes_close(file);
    peer_close(sink.sock);
    peer_close(peer);
    net_done(loop, &conn);
    net_done(loop, &other);
    support_loop_end(loop);
}
END_TEST

/* --- what is refused ------------------------------------------------------------------------------------------- */

static void refuse(rondo_transport *transport, rondo_file file, int64_t offset, int64_t count, int code)
{
    int64_t sent = 77;
    ck_assert_ptr_null(rondo_sendfile(transport, file, offset, count, true, &sent));
    ck_assert_int_eq(rondo_last_error(), code);
    ck_assert_int_eq(sent, 77);
}

START_TEST(test_misuse)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 }, pipe = { 0 };
    rondo_socket peer = open_conn(loop, &conn, 1);
    rondo_file file = pipes_open_file(10), ends[2];
    refuse(NULL, file, 0, 1, RONDO_EINVAL);
    refuse(conn.transport, file, -1, 1, RONDO_EINVAL);
    refuse(conn.transport, file, 0, 0, RONDO_EINVAL);
    refuse(conn.transport, file, 0, -1, RONDO_EINVAL);
    refuse(conn.transport, RONDO_INVALID_FILE, 0, 1, RONDO_EBADF);
    pipes_open(PIPES_PIPE, ends);
    refuse(conn.transport, ends[PIPES_READ], 0, 1, RONDO_ENOTSUP);
    refuse(conn.transport, peer, 0, 1, RONDO_ENOTSUP);
    pipes_connect_write(loop, &pipe, ends[PIPES_WRITE]);
    refuse(pipe.transport, file, 0, 1, RONDO_ENOTSUP);
    pipes_close(ends[PIPES_READ]);
    net_done(loop, &pipe);
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    refuse(conn.transport, file, 0, 1, RONDO_EINVALIDSTATE);
    ck_assert(rondo_transport_is_reading(conn.transport));
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    refuse(conn.transport, file, 0, 1, RONDO_ECLOSED);
    pipes_close(file);
    peer_close(peer);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

/* --- to sockets --------------------------------------------------------------------------------------------------- */

START_TEST(test_socket)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    rondo_file file = pipes_open_file(LARGE);
    int64_t sent = -1;
    peer_tcp_pair(pair);
    pipes_set_blocking(pair[0], _i && support_backend_is_proactor());
    peer_sink sink = { .sock = pair[1] };
    rondo_future *future = rondo_sock_sendfile(loop, pair[0], file, 0, RONDO_TO_END, true, &sent);
    ck_assert_ptr_nonnull(future);
    support_run_passes(loop, 5);
    ck_assert(!rondo_future_done(future)); /* nobody reads, and nothing stands still */
    run_until(loop, (peer_drain(&sink), rondo_future_done(future)));
    ck_assert_int_eq(rondo_future_result(future, NULL), LARGE);
    ck_assert_int_eq(sent, LARGE);
    rondo_future_unref(future);
    drain_until(loop, &sink, LARGE);
    /* cancelled it is over at once, and the socket may be closed */
    future = rondo_sock_sendfile(loop, pair[0], file, 0, RONDO_TO_END, true, NULL);
    support_run_passes(loop, 3);
    ck_assert(rondo_future_cancel(future));
    rondo_future_unref(future);
    peer_close(pair[0]);
    peer_close(pair[1]);
    pipes_close(file);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_socket_fallback)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    rondo_file zeros = pipes_open_zeros();
    char bytes[3000];
    peer_pair(pair);
    pipes_set_blocking(pair[0], false);
    ck_assert_int_eq(
        net_finish(loop, rondo_sock_sendfile(loop, pair[0], zeros, 0, sizeof bytes, true, NULL), NULL),
        sizeof bytes);
    peer_recv(pair[1], bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        ck_assert_int_eq(bytes[i], 0);
    ck_assert_ptr_null(rondo_sock_sendfile(loop, pair[0], zeros, 0, 1, false, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ENOTSUP);
    peer_close(pair[1]);
    int rc = net_finish(loop, rondo_sock_sendfile(loop, pair[0], zeros, 0, 100, true, NULL), NULL);
    ck_assert(rc == RONDO_EPIPE || rc == RONDO_ECONNRESET);
    peer_close(pair[0]);
    pipes_close(zeros);
    support_loop_end(loop);
}
END_TEST

static void refuse_socket(rondo_loop *loop, rondo_socket sock, rondo_file file, int64_t offset, int64_t count,
                          int code)
{
    ck_assert_ptr_null(rondo_sock_sendfile(loop, sock, file, offset, count, true, NULL));
    ck_assert_int_eq(rondo_last_error(), code);
}

START_TEST(test_socket_misuse)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2], datagram = peer_datagram();
    rondo_file file = pipes_open_file(10);
    peer_pair(pair);
    pipes_set_blocking(pair[0], false);
    pipes_set_blocking(datagram, false);
    refuse_socket(NULL, pair[0], file, 0, 1, RONDO_EINVAL);
    refuse_socket(loop, RONDO_INVALID_SOCKET, file, 0, 1, RONDO_EBADF);
    refuse_socket(loop, pair[0], RONDO_INVALID_FILE, 0, 1, RONDO_EBADF);
    refuse_socket(loop, pair[0], file, -1, 1, RONDO_EINVAL);
    refuse_socket(loop, pair[0], file, 0, 0, RONDO_EINVAL);
    refuse_socket(loop, pair[0], pair[1], 0, 1, RONDO_ENOTSUP);
    refuse_socket(loop, datagram, file, 0, 1, RONDO_EINVAL);
    if (!support_backend_is_proactor()) {
        pipes_set_blocking(pair[0], true);
        refuse_socket(loop, pair[0], file, 0, 1, RONDO_EINVAL);
    }
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    refuse_socket(loop, pair[0], file, 0, 1, RONDO_ECLOSED);
    peer_close(datagram);
    peer_close(pair[0]);
    peer_close(pair[1]);
    pipes_close(file);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *sending = support_case(suite, "sendfile");
    tcase_add_loop_test(sending, test_whole_file, 0, 2);
    tcase_add_test(sending, test_parts);
    tcase_add_loop_test(sending, test_in_between, 0, 2);
    tcase_add_loop_test(sending, test_fallback, 0, 2);
    tcase_add_test(sending, test_no_memory);
    tcase_add_test(sending, test_refused_by_the_system);
    tcase_add_loop_test(sending, test_cancel, 0, 4);
    tcase_add_loop_test(sending, test_half_closed, 0, 4);
    tcase_add_loop_test(sending, test_close, 0, 8);
    tcase_add_loop_test(sending, test_reset, 0, 2);
    tcase_add_loop_test(sending, test_loop_close, 0, 12);
    tcase_add_loop_test(sending, test_shrinking, 0, 2);
    tcase_add_test(sending, test_fairness);
    tcase_add_test(sending, test_misuse);
    TCase *sockets = support_case(suite, "sock_sendfile");
    tcase_add_loop_test(sockets, test_socket, 0, 2);
    tcase_add_test(sockets, test_socket_fallback);
    tcase_add_test(sockets, test_socket_misuse);
}

int main(void)
{
    return support_main("sendfile", add_cases);
}
