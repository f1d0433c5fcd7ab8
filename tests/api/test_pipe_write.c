/* SPDX-License-Identifier: MIT */
/* connect_write_pipe over pipes, named pipes, sockets and terminals, and what both kinds refuse. */
#include "pipes.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static rondo_file ends[2];

static void open_writer(rondo_loop *loop, net_conn *conn, pipes_kind kind)
{
    pipes_open(kind, ends);
    pipes_connect_write(loop, conn, ends[PIPES_WRITE]);
}

/* Reads what there is and checks the pattern; returns how much came in all. */
static size_t drain(size_t so_far)
{
    static char block[65536];
    ptrdiff_t n;
    while ((n = pipes_read_now(ends[PIPES_READ], block, sizeof block)) > 0) {
        ck_assert(pattern_check(block, (size_t) n, so_far));
        so_far += (size_t) n;
    }
    return so_far;
}

static void expect_end(void)
{
    char byte;
    ck_assert_int_eq(pipes_read_now(ends[PIPES_READ], &byte, 1), 0);
}

/* PIPE-02, PIPE-04, PIPE-11: the life of a pipe that is written to. */
START_TEST(test_life)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    char text[8] = "";
    open_writer(loop, &conn, (pipes_kind) (_i % PIPES_KINDS));
    ck_assert_int_eq(rondo_transport_pipe(conn.transport), ends[PIPES_WRITE]);
    ck_assert(rondo_transport_can_write_eof(conn.transport));
    ck_assert_int_eq(rondo_transport_write(conn.transport, "one", 3), 0);
    ck_assert_int_eq(
        rondo_transport_writelines(conn.transport, (rondo_bytes[]){ { "t", 1 }, { "wo", 2 } }, 2), 0);
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    ck_assert_int_eq(pipes_read_now(ends[PIPES_READ], text, sizeof text), 6);
    ck_assert_str_eq(text, "onetwo");
    /* PIPE-11: the end of writing is the end */
    if (_i < PIPES_KINDS)
        ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    else
        rondo_transport_close(conn.transport);
    ck_assert(rondo_transport_is_closing(conn.transport));
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.lost:0");
    ck_assert(!pipes_is_open(ends[PIPES_WRITE]));
    expect_end();
    pipes_close(ends[PIPES_READ]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-10: without a wait on a selector; PIPE-03: what a writing one cannot do changes nothing. */
START_TEST(test_at_once)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    char text[8] = "";
    open_writer(loop, &conn, (pipes_kind) _i);
    rondo_transport_pause_reading(conn.transport);
    rondo_transport_resume_reading(conn.transport);
    ck_assert(!rondo_transport_is_reading(conn.transport));
    ck_assert_int_eq(rondo_transport_write(conn.transport, "now", 3), 0);
    if (!support_backend_is_proactor())
        ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    ck_assert_int_eq(pipes_read_now(ends[PIPES_READ], text, sizeof text), 3);
    pipes_close(ends[PIPES_READ]);
    run_until(loop, conn.losts == 1);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-10, PIPE-11: what does not fit is kept, the marks are obeyed, and close flushes. */
START_TEST(test_large)
{
    static char data[1 << 20];
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    open_writer(loop, &conn, (pipes_kind) _i);
    pattern_fill(data, sizeof data, 0);
    ck_assert_int_eq(rondo_transport_write(conn.transport, data, sizeof data / 2), 0);
    ck_assert_int_eq(conn.stalls, 1);
    ck_assert_int_eq(rondo_transport_write(conn.transport, data + sizeof data / 2, sizeof data / 2), 0);
    size_t received = 0;
    run_until(loop, (received = drain(received)) >= sizeof data - 65536 || conn.flows);
    rondo_transport_close(conn.transport);
    /* PIPE-10 */
    ck_assert_int_eq(rondo_transport_write(conn.transport, "ignored", 7), 0);
    run_until(loop, (received = drain(received)) == sizeof data && conn.losts);
    ck_assert_int_eq(conn.error, 0);
    ck_assert_int_eq(conn.stalls, 1);
    ck_assert_int_le(conn.flows, 1);
    expect_end();
    pipes_close(ends[PIPES_READ]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void write_large(net_conn *conn)
{
    static const char data[400000];
    ck_assert_int_eq(rondo_transport_write(conn->transport, data, sizeof data), 0);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(conn->transport), 0);
}

/* PIPE-11: abort drops the buffer. */
START_TEST(test_abort)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    open_writer(loop, &conn, (pipes_kind) (_i % PIPES_KINDS));
    write_large(&conn);
    if (_i >= PIPES_KINDS)
        support_run_passes(loop, 3);
    rondo_transport_abort(conn.transport);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.stall c.lost:0");
    run_until(loop, !pipes_is_open(ends[PIPES_WRITE]));
    pipes_close(ends[PIPES_READ]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-12, PIPE-15: the reader goes away while nothing is buffered. */
START_TEST(test_reader_leaves)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    open_writer(loop, &conn, (pipes_kind) _i);
    support_run_passes(loop, 3);
    pipes_close(ends[PIPES_READ]);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.lost:0");
    ck_assert(!pipes_is_open(ends[PIPES_WRITE]));
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-12, PIPE-15: while something is. */
START_TEST(test_reader_leaves_data)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    open_writer(loop, &conn, (pipes_kind) (_i % PIPES_KINDS));
    write_large(&conn);
    if (_i >= PIPES_KINDS)
        rondo_transport_close(conn.transport);
    support_run_passes(loop, 3);
    pipes_close(ends[PIPES_READ]);
    run_until(loop, conn.losts == 1);
    trace_is("c.made c.stall c.lost:RONDO_EPIPE");
    ck_assert_uint_eq(support_reports(), 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static void close_with_data(net_conn *conn)
{
    write_large(conn);
    rondo_transport_close(conn->transport);
}

/* PIPE-12: whatever a socket receives counts as that, also while the pipe is closing, and also where it was closed in
 * connection_made. */
START_TEST(test_reader_speaks)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c", .on_made = _i / 2 ? close_with_data : NULL };
    open_writer(loop, &conn, PIPES_SOCKET);
    if (!conn.on_made)
        close_with_data(&conn);
    support_run_passes(loop, 3);
    trace_is("c.made c.stall");
    if (_i % 2)
        peer_shutdown(ends[PIPES_READ]);
    else
        peer_send_text(ends[PIPES_READ], "x");
    run_until(loop, conn.losts == 1);
    trace_is("c.lost:RONDO_EPIPE");
    pipes_close(ends[PIPES_READ]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void) number;
    signals++;
}

/* PIPE-13, PIPE-10: a write finds the reader gone, and no SIGPIPE comes of it. */
START_TEST(test_failed_write)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    struct sigaction action = { .sa_handler = count_signal }, before, after;
    signals = 0;
    ck_assert_int_eq(sigaction(SIGPIPE, &action, &before), 0);
    open_writer(loop, &conn, (pipes_kind) _i);
    pipes_close(ends[PIPES_READ]);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "lost", 4), 0);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(rondo_transport_write(conn.transport, "ignored", 7), 0);
    run_until(loop, conn.losts == 1);
    ck_assert(conn.error == RONDO_EPIPE);
    trace_is("c.made c.lost:RONDO_EPIPE");
    ck_assert_uint_eq(support_reports(), 0);
    if (!rondo_transport_is_closing(conn.transport) || support_log_lines("pipe closed by peer") == 0)
        ck_assert(support_backend_is_proactor()); /* the write of a blocking one may fail later */
    support_log_lines(NULL);
    ck_assert_int_eq(signals, 0);
    ck_assert_int_eq(sigaction(SIGPIPE, &before, &after), 0);
    ck_assert(after.sa_handler == count_signal);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-06, PIPE-12: terminals are written to, and not watched. */
START_TEST(test_terminal)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    char text[8] = "";
    rondo_file master, terminal;
    pipes_open_terminal(&master, &terminal);
    pipes_connect_write(loop, &conn, terminal);
    pipes_write_text(master, "typed"); /* what can be read is not the end */
    support_run_passes(loop, 5);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "shown", 5), 0);
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    ck_assert_int_eq(pipes_read_now(master, text, sizeof text), 5);
    ck_assert_str_eq(text, "shown");
    trace_is("c.made");
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    trace_is("c.lost:0");
    pipes_close(master);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* A terminal that takes no more holds nobody up. */
START_TEST(test_full_terminal)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_file master, terminal;
    pipes_open_terminal(&master, &terminal);
    pipes_connect_write(loop, &conn, terminal);
    write_large(&conn);
    support_run_passes(loop, 5);
    static char block[65536];
    size_t received = 0;
    rondo_transport_close(conn.transport);
    while (!conn.losts) {
        ptrdiff_t n;
        while ((n = pipes_read_now(master, block, sizeof block)) > 0)
            received += (size_t) n;
        run_until(loop, conn.losts || pipes_read_now(master, block, 0) != PEER_NOTHING);
    }
    received += (size_t) pipes_read_now(master, block, sizeof block);
    ck_assert_uint_le(received, 400000);
    ck_assert_int_eq(conn.error, 0);
    trace_is("c.made c.stall c.flow c.lost:0");
    pipes_close(master);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_loop_close)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    open_writer(loop, &conn, (pipes_kind) (_i / 2));
    if (_i % 2) {
        write_large(&conn);
        support_run_passes(loop, 2);
        trace_is("c.made c.stall");
    } else {
        trace_is("c.made");
    }
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    trace_is("c.lost:RONDO_ECLOSED");
    ck_assert(!pipes_is_open(ends[PIPES_WRITE]));
    pipes_close(ends[PIPES_READ]);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

/* --- what is refused ------------------------------------------------------------------------------------ */

typedef rondo_future *connect_pipe(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                   rondo_file pipe);
static connect_pipe *const calls[] = { rondo_connect_read_pipe, rondo_connect_write_pipe };

static void refuse(rondo_loop *loop, rondo_protocol_factory *factory, rondo_file file, int code)
{
    net_conn conn = { 0 };
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_null(calls[i](loop, factory, &conn, file));
        ck_assert_int_eq(rondo_last_error(), code);
    }
    ck_assert_int_eq(conn.made, 0);
    ck_assert_uint_eq(conn.destroyed, 0);
}

START_TEST(test_refused)
{
    rondo_loop *loop = support_loop();
    pipes_open(PIPES_PIPE, ends);
    pipes_set_blocking(ends[0], false);
    ck_assert(rondo_loop_capabilities(loop) & RONDO_CAN_PIPES);
    refuse(NULL, net_factory, ends[0], RONDO_EINVAL);
    refuse(loop, NULL, ends[0], RONDO_EINVAL);
    refuse(loop, net_factory, RONDO_INVALID_FILE, RONDO_EBADF);
    /* PIPE-06: neither pipe, socket nor device: nothing is called, and it stays open */
    rondo_file file = pipes_open_file(10);
    refuse(loop, net_factory, file, RONDO_EINVAL);
    ck_assert(pipes_is_open(file));
    pipes_close(file);
    /* PIPE-05: a blocking one is refused by a selector, with words for it, and left as it is */
    if (!support_backend_is_proactor()) {
        refuse(loop, net_factory, ends[1], RONDO_EINVAL);
        ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "non-blocking"));
        ck_assert(!peer_is_nonblocking(ends[1]));
    }
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    refuse(loop, net_factory, ends[0], RONDO_ECLOSED);
    ck_assert(pipes_is_open(ends[0]));
    pipes_close(ends[0]);
    pipes_close(ends[1]);
    support_loop_end(loop);
}
END_TEST

static rondo_protocol *no_protocol(void *context)
{
    (void) context;
    rondo_raise(RONDO_EUSER, "no protocol today");
    return NULL;
}

START_TEST(test_failing_factory)
{
    rondo_loop *loop = support_loop();
    pipes_open(PIPES_PIPE, ends);
    pipes_prepare(ends[_i]);
    ck_assert_int_eq(net_finish(loop, calls[_i](loop, no_protocol, NULL, ends[_i]), NULL), RONDO_EUSER);
    ck_assert(!pipes_is_open(ends[_i]));
    pipes_close(ends[!_i]);
    support_loop_end(loop);
}
END_TEST

/* Cancelled before it has begun, and while connection_made is still to come: nothing is left. */
START_TEST(test_cancelled)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int side = _i % 2;
    pipes_open(PIPES_PIPE, ends);
    pipes_prepare(ends[side]);
    rondo_future *future = calls[side](loop, net_factory, &conn, ends[side]);
    ck_assert_ptr_nonnull(future);
    support_run_passes(loop, _i / 2);
    rondo_future_cancel(future);
    support_run_passes(loop, 5);
    ck_assert(rondo_future_cancelled(future));
    rondo_future_unref(future);
    ck_assert(!pipes_is_open(ends[side]));
    ck_assert_int_eq(conn.losts, conn.made);
    pipes_close(ends[!side]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* PIPE-04: a descriptor has one owner; a duplicate is another descriptor. */
START_TEST(test_owned)
{
    rondo_loop *loop = support_loop();
    net_conn reader = { .name = "r" }, writer = { .name = "w" };
    pipes_open(PIPES_SOCKET, ends);
    pipes_connect_read(loop, &reader, ends[PIPES_READ]);
    rondo_file copy = dup(ends[PIPES_READ]);
    ck_assert_int_ge(copy, 0);
    for (int closing = 0; closing < 2; closing++) {
        for (int i = 0; i < 2; i++) {
            ck_assert_ptr_null(calls[i](loop, net_factory, &writer, ends[PIPES_READ]));
            ck_assert_int_eq(rondo_last_error(), RONDO_EBUSY);
        }
        ck_assert_int_eq(reader.losts, 0);
        if (!closing)
            rondo_transport_close(reader.transport);
    }
    run_until(loop, reader.losts == 1);
    pipes_connect_write(loop, &writer, copy);
    rondo_transport_close(writer.transport);
    run_until(loop, writer.losts == 1);
    trace_is("r.made r.lost:0 w.made w.lost:0");
    pipes_close(ends[PIPES_WRITE]);
    net_done(loop, &reader);
    net_done(loop, &writer);
    support_loop_end(loop);
}
END_TEST

/* PIPE-05: a proactor takes non-blocking ones as well. */
START_TEST(test_nonblocking)
{
    rondo_loop *loop = support_loop();
    net_conn reader = { .name = "r" }, writer = { .name = "w" };
    pipes_open((pipes_kind) _i, ends);
    for (int i = 0; i < 2; i++) {
        pipes_set_blocking(ends[i], false);
        ck_assert_int_eq(net_finish(loop, calls[i](loop, net_factory, i ? &writer : &reader, ends[i]), NULL),
                         0);
    }
    ck_assert_int_eq(rondo_transport_write(writer.transport, "through", 7), 0);
    rondo_transport_close(writer.transport);
    run_until(loop, reader.losts && writer.losts);
    ck_assert_str_eq(reader.text, "through");
    trace_clear();
    net_done(loop, &reader);
    net_done(loop, &writer);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *pipes = support_case(suite, "connect_write_pipe");
    tcase_add_loop_test(pipes, test_life, 0, 2 * PIPES_KINDS);
    tcase_add_loop_test(pipes, test_at_once, 0, PIPES_KINDS);
    tcase_add_loop_test(pipes, test_large, 0, PIPES_KINDS);
    tcase_add_loop_test(pipes, test_abort, 0, 2 * PIPES_KINDS);
    tcase_add_loop_test(pipes, test_reader_leaves, 0, PIPES_KINDS);
    tcase_add_loop_test(pipes, test_reader_leaves_data, 0, 2 * PIPES_KINDS);
    tcase_add_loop_test(pipes, test_reader_speaks, 0, 4);
    tcase_add_loop_test(pipes, test_failed_write, 0, PIPES_KINDS);
    tcase_add_test(pipes, test_terminal);
    tcase_add_test(pipes, test_full_terminal);
    tcase_add_loop_test(pipes, test_loop_close, 0, 2 * PIPES_KINDS);
    TCase *refused = support_case(suite, "refused");
    tcase_add_test(refused, test_refused);
    tcase_add_loop_test(refused, test_failing_factory, 0, 2);
    tcase_add_loop_test(refused, test_cancelled, 0, 6);
    tcase_add_test(refused, test_owned);
    tcase_add_loop_test(refused, test_nonblocking, 0, PIPES_KINDS);
}

int main(void)
{
    return support_main("pipe_write", add_cases);
}
