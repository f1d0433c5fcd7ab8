/* SPDX-License-Identifier: MIT */
/* connect_read_pipe over pipes, named pipes, sockets and terminals. */
#define _GNU_SOURCE
#include "pipes.h"

#include <fcntl.h>
#include <string.h>

static rondo_file ends[2];

static void open_reader(rondo_loop *loop, net_conn *conn, pipes_kind kind)
{
    pipes_open(kind, ends);
    pipes_connect_read(loop, conn, ends[PIPES_READ]);
}

/* PIPE-01, PIPE-04, PIPE-08: the life of a pipe that is read from. */
START_TEST(test_life)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .keep_open = true };
    open_reader(loop, &conn, (pipes_kind) _i);
    trace_is("c.made");
    ck_assert_int_eq(rondo_transport_pipe(conn.transport), ends[PIPES_READ]);
    ck_assert_int_eq(*(const rondo_file *) rondo_transport_get_extra_info(conn.transport, "pipe", NULL),
                     ends[PIPES_READ]);
    ck_assert_ptr_null(rondo_transport_get_extra_info(conn.transport, "socket", NULL));
    ck_assert_int_eq(rondo_transport_socket(conn.transport), RONDO_INVALID_SOCKET);
    ck_assert(rondo_transport_is_reading(conn.transport));
    pipes_write_text(ends[PIPES_WRITE], "one");
    run_until(loop, conn.received == 3);
    pipes_write_text(ends[PIPES_WRITE], "two");
    run_until(loop, conn.received == 6);
    ck_assert_str_eq(conn.text, "onetwo");
    pipes_close(ends[PIPES_WRITE]);
    run_until(loop, conn.losts == 1);
    /* PIPE-08: whatever eof_received returned */
    trace_is("c.data:3 c.data:3 c.eof c.lost:0");
    support_run_passes(loop, 2);
    ck_assert(!pipes_is_open(ends[PIPES_READ]));
    ck_assert_int_eq(rondo_transport_pipe(conn.transport), RONDO_INVALID_FILE);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* What was written before the writer closed comes before the end; PIPE-08: nothing that eof_received does changes what follows. */
static void close_again(net_conn *conn)
{
    ck_assert(rondo_transport_is_closing(conn->transport));
    rondo_transport_close(conn->transport);
    rondo_transport_resume_reading(conn->transport);
    rondo_raise(RONDO_EUSER, "no");
}

START_TEST(test_last_words)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .on_eof = close_again };
    pipes_open((pipes_kind) _i, ends);
    pipes_write_text(ends[PIPES_WRITE], "last words");
    pipes_close(ends[PIPES_WRITE]);
    pipes_connect_read(loop, &conn, ends[PIPES_READ]);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.data:10 c.eof c.lost:0");
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_EUSER);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-03 */
START_TEST(test_missing_direction)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    open_reader(loop, &conn, PIPES_PIPE);
    rondo_bytes piece = { "x", 1 };
    ck_assert_int_eq(rondo_transport_write(conn.transport, "x", 1), RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_transport_writelines(conn.transport, &piece, 1), RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), RONDO_ENOTSUP);
    ck_assert(!rondo_transport_can_write_eof(conn.transport));
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(conn.transport, 10, 5), RONDO_ENOTSUP);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    pipes_close(ends[PIPES_WRITE]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-07: at most 256 KiB at a time. */
START_TEST(test_large)
{
    static char data[1 << 20];
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true, .buffered = _i >= PIPES_KINDS, .buffer_size = 10000 };
    open_reader(loop, &conn, (pipes_kind) (_i % PIPES_KINDS));
    pattern_fill(data, sizeof data, 0);
    pipes_set_blocking(ends[PIPES_WRITE], false);
    for (size_t sent = 0; sent < sizeof data;) {
        size_t n = sizeof data - sent < 4096 ? sizeof data - sent : 4096;
        ptrdiff_t room = 0;
        for (; room < 14; room++) { /* fits into every pipe */
            if (sent == sizeof data)
                break;
            pipes_write(ends[PIPES_WRITE], data + sent, n);
            sent += n;
        }
        run_until(loop, conn.received == sent);
    }
    ck_assert(!conn.corrupt);
    ck_assert_uint_le(conn.largest_chunk, 256 * 1024);
    pipes_close(ends[PIPES_WRITE]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_pausing)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    open_reader(loop, &conn, (pipes_kind) _i);
    rondo_transport_pause_reading(conn.transport);
    ck_assert(!rondo_transport_is_reading(conn.transport));
    pipes_write_text(ends[PIPES_WRITE], "held");
    pipes_close(ends[PIPES_WRITE]);
    support_run_passes(loop, 5);
    trace_is("c.made");
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.losts == 1);
    trace_is("c.data:4 c.eof c.lost:0");
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void pause(net_conn *conn, const void *data, size_t length)
{
    (void) data;
    (void) length;
    rondo_transport_pause_reading(conn->transport);
}

/* One that pauses in each data_received loses nothing. */
START_TEST(test_pausing_in_between)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true, .on_data = pause };
    char data[5000];
    open_reader(loop, &conn, (pipes_kind) _i);
    for (size_t i = 0; i < 20; i++) {
        pattern_fill(data, sizeof data, i * sizeof data);
        pipes_write(ends[PIPES_WRITE], data, sizeof data);
        run_until(loop, conn.received > i * sizeof data);
        while (conn.received < (i + 1) * sizeof data) {
            rondo_transport_resume_reading(conn.transport);
            support_run_passes(loop, 1);
        }
        ck_assert(!rondo_transport_is_reading(conn.transport));
        rondo_transport_resume_reading(conn.transport);
    }
    ck_assert(!conn.corrupt);
    pipes_close(ends[PIPES_WRITE]);
    run_until(loop, conn.losts == 1);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    open_reader(loop, &conn, (pipes_kind) (_i % PIPES_KINDS));
    pipes_write_text(ends[PIPES_WRITE], "unheard");
    if (_i < PIPES_KINDS)
        rondo_transport_close(conn.transport);
    else
        rondo_transport_abort(conn.transport);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.lost:0");
    ck_assert(!pipes_is_open(ends[PIPES_READ]));
    pipes_close(ends[PIPES_WRITE]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_set_protocol)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "a" }, second = { .name = "b", .buffered = true, .made = 1 };
    open_reader(loop, &conn, PIPES_PIPE);
    pipes_write_text(ends[PIPES_WRITE], "first");
    run_until(loop, conn.received == 5);
    rondo_protocol *protocol = net_factory(&second);
    ck_assert_int_eq(rondo_transport_set_protocol(conn.transport, protocol), 0);
    rondo_protocol_unref(protocol);
    pipes_write_text(ends[PIPES_WRITE], "second");
    run_until(loop, second.received == 6);
    pipes_close(ends[PIPES_WRITE]);
    run_until(loop, second.losts == 1);
    trace_is("a.made a.data:5 b.data:6 b.eof b.lost:0");
    conn.losts = 1;
    net_done(loop, &second);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

/* --- terminals ---------------------------------------------------------------------------------------- */

/* PIPE-06, PIPE-09: a terminal whose other end is closed gives EIO (on some systems an end), without a report. */
START_TEST(test_terminal)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_file master, terminal;
    pipes_open_terminal(&master, &terminal);
    pipes_connect_read(loop, &conn, master);
    pipes_write_text(terminal, "typed");
    run_until(loop, conn.received == 5);
    trace_is("c.made c.data:5");
    pipes_close(terminal);
    run_until(loop, conn.losts == 1);
    ck_assert(conn.error == RONDO_EIO || conn.eofs == 1);
    ck_assert_uint_eq(support_reports(), 0);
    trace_clear();
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_terminal_idle)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_file master, terminal;
    pipes_open_terminal(&master, &terminal);
    pipes_connect_read(loop, &conn, terminal);
    support_run_passes(loop, 3);
    pipes_write_text(master, "x");
    run_until(loop, conn.received == 1);
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.data:1 c.lost:0");
    pipes_close(master);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-09: another error is reported, and is what connection_lost gets. */
START_TEST(test_read_error)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket pair[2];
    peer_tcp_pair(pair);
    pipes_connect_read(loop, &conn, pair[0]);
    peer_reset(pair[1]);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.lost:RONDO_ECONNRESET");
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_str_eq(support_report_at(0)->message, "Fatal read error on pipe transport");
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_ECONNRESET);
    ck_assert_ptr_eq(support_report_at(0)->context.transport, conn.transport);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* The loop closes over a pipe that idles, one that has data, and one that has ended. */
START_TEST(test_loop_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    open_reader(loop, &conn, (pipes_kind) (_i / 3));
    if (_i % 3 == 1)
        pipes_write_text(ends[PIPES_WRITE], "data");
    if (_i % 3 == 2)
        pipes_close(ends[PIPES_WRITE]);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    trace_is("c.made c.lost:RONDO_ECLOSED");
    ck_assert(!pipes_is_open(ends[PIPES_READ]));
    if (_i % 3 != 2)
        pipes_close(ends[PIPES_WRITE]);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

/* One socket has two transports, each over a duplicate. Many of those that read end in one pass, or with the loop: what is written
 * by the others arrives all the same. */
START_TEST(test_duplicates)
{
    rondo_loop *loop = support_loop();
    enum { COUNT = 64 };
    static net_conn conns[COUNT];
    static rondo_socket pairs[COUNT][2];
    int copies[COUNT];
    for (int i = 0; i < COUNT; i++) {
        peer_pair(pairs[i]);
        conns[i] = (net_conn){ 0 };
        copies[i] = fcntl(pairs[i][0], F_DUPFD_CLOEXEC, 0);
        pipes_connect_read(loop, &conns[i], pairs[i][0]);
    }
    support_run_passes(loop, 3);
    for (int i = 0; i < COUNT && _i == 0; i++)
        rondo_transport_close(conns[i].transport);
    if (_i == 1)
        ck_assert_int_eq(rondo_loop_close(loop), 0);
    else
        support_run_passes(loop, 5);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(conns[i].losts, 1);
        net_conn_end(&conns[i]);
        peer_send_text(copies[i], "still there");
        peer_expect(pairs[i][1], "still there");
        peer_close(copies[i]);
        peer_expect_eof(pairs[i][1]);
        peer_close(pairs[i][1]);
    }
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *pipes = support_case(suite, "connect_read_pipe");
    tcase_add_loop_test(pipes, test_life, 0, PIPES_KINDS);
    tcase_add_loop_test(pipes, test_last_words, 0, PIPES_KINDS);
    tcase_add_test(pipes, test_missing_direction);
    tcase_add_loop_test(pipes, test_large, 0, 2 * PIPES_KINDS);
    tcase_add_loop_test(pipes, test_pausing, 0, PIPES_KINDS);
    tcase_add_loop_test(pipes, test_pausing_in_between, 0, PIPES_KINDS);
    tcase_add_loop_test(pipes, test_close, 0, 2 * PIPES_KINDS);
    tcase_add_test(pipes, test_set_protocol);
    tcase_add_test(pipes, test_terminal);
    tcase_add_test(pipes, test_terminal_idle);
    tcase_add_test(pipes, test_read_error);
    tcase_add_loop_test(pipes, test_loop_close, 0, 3 * PIPES_KINDS);
    tcase_add_loop_test(pipes, test_duplicates, 0, 2);
}

int main(void)
{
    return support_main("pipe_read", add_cases);
}
