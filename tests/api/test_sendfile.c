/* SPDX-License-Identifier: MIT */
/* sendfile over transports: files and parts of them, what the transport does meanwhile, the fallback. */
#define _GNU_SOURCE
#include "pipes.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 8 << 20 };

static rondo_socket open_conn(rondo_loop *loop, net_conn *conn, int which)
{
    return which ? net_open_tcp(loop, conn) : net_open(loop, conn);
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
    net_drain(loop, &sink, 20000);
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
    net_drain(loop, &sink, LARGE);
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

/* --- the fallback ------------------------------------------------------------------------------------------------ */

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

/* --- what is refused --------------------------------------------------------------------------------------------- */

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

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "sendfile");
    tcase_add_loop_test(tcase, test_whole_file, 0, 2);
    tcase_add_test(tcase, test_parts);
    tcase_add_loop_test(tcase, test_in_between, 0, 2);
    tcase_add_loop_test(tcase, test_fallback, 0, 2);
    tcase_add_test(tcase, test_no_memory);
    tcase_add_test(tcase, test_refused_by_the_system);
    tcase_add_test(tcase, test_misuse);
}

int main(void)
{
    return support_main("sendfile", add_cases);
}
