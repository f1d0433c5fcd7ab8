/* SPDX-License-Identifier: MIT */
/* The scenarios of net_life.c, one function for each as in net_life.py. */
#include "net_life.h"

#include <fcntl.h>
#include <unistd.h>

/* --- cancelled while it is made ------------------------------------------------------------------- */

static void play_cancelled(const char *name, begin_fn *begin, int number)
{
    rondo_task *task = spawn(name, begin);
    passes(number);
    say("cancel");
    rondo_future_cancel(task);
    passes(5);
}

static rondo_future *make_connection(void)
{
    rondo_socket near = pair();
    peer_send_text(stage.peers[0], "hello");
    return create_connection(near);
}

static rondo_future *make_accepted(void)
{
    rondo_socket near = pair();
    peer_send_text(stage.peers[0], "hello");
    return rondo_connect_accepted_socket(stage.loop, make, NULL, near);
}

static rondo_future *make_unix(void)
{
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    stage.peers[stage.peer_count++] = unix_listen(stage.path, 0, 5);
    options.path = stage.path;
    return rondo_create_unix_connection(stage.loop, make, NULL, &options);
}

static int pipe_end(int ours)
{
    int ends[2];
    if (pipe(ends) < 0 || fcntl(ends[ours], F_SETFL, O_NONBLOCK) < 0)
        die("a pipe");
    stage.peers[stage.peer_count++] = ends[!ours];
    return ends[ours];
}

static rondo_future *make_reader(void)
{
    int ours = pipe_end(0);
    if (write((int) stage.peers[0], "hello", 5) != 5)
        die("a pipe");
    return rondo_connect_read_pipe(stage.loop, make, NULL, ours);
}

static rondo_future *make_writer(void)
{
    return rondo_connect_write_pipe(stage.loop, make, NULL, pipe_end(1));
}

static void connection_cancelled(int number)
{
    play_cancelled("connection", make_connection, number);
}

static void accepted_cancelled(int number)
{
    play_cancelled("accepted", make_accepted, number);
}

static void unix_cancelled(int number)
{
    play_cancelled("unix", make_unix, number);
}

static void reader_cancelled(int number)
{
    play_cancelled("reader", make_reader, number);
}

static void writer_cancelled(int number)
{
    play_cancelled("writer", make_writer, number);
}

static void server_cancelled(int number)
{
    play_cancelled("server", create_server, number);
}

static rondo_protocol *failing(void *context)
{
    (void) context;
    say("factory");
    rondo_raise(RONDO_EUSER, "a failing factory");
    return NULL;
}

static rondo_future *make_failing(void)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair();
    return rondo_create_connection(stage.loop, failing, NULL, &options);
}

static void failing_factory(int number)
{
    (void) number;
    spawn("connection", make_failing);
    passes(5);
    drain();
}

static void close_conn(struct conn *conn)
{
    rondo_transport_close(conn->transport);
}

static void abort_conn(struct conn *conn)
{
    rondo_transport_abort(conn->transport);
}

static void closed_in_made(int number)
{
    (void) number;
    stage.on_made = close_conn;
    spawn("connection", make_connection);
    passes(5);
}

static void write_and_abort(struct conn *conn)
{
    rondo_transport_write(conn->transport, "hello", 5);
    rondo_transport_abort(conn->transport);
}

static rondo_future *make_quiet(void)
{
    return create_connection(pair());
}

static void aborted_in_made(int number)
{
    (void) number;
    stage.on_made = write_and_abort;
    spawn("connection", make_quiet);
    passes(5);
}

/* --- servers -------------------------------------------------------------------------------------- */

static void close_server(void)
{
    rondo_server_close(stage.server);
}

static void close_server_of(struct conn *conn)
{
    (void) conn;
    close_server();
}

static rondo_future *wait_closed(void)
{
    return rondo_server_wait_closed(stage.server);
}

static rondo_future *serve_forever(void)
{
    return rondo_server_serve_forever(stage.server);
}

static void small_backlog(int number)
{
    (void) number;
    stage.server_options.backlog = 2;
    serve();
    connect_peers(3);
    passes(5);
}

static void server_closed(int number)
{
    serve();
    connect_peers(1);
    passes(number);
    say("close");
    close_server();
    passes(4);
}

static void server_closed_in_factory(int number)
{
    (void) number;
    stage.on_factory = close_server_of;
    serve();
    connect_peers(2);
    passes(5);
    state();
}

static void wait_and_close(struct conn *conn)
{
    (void) conn;
    spawn("inside", wait_closed);
    close_server();
}

static void server_closed_in_lost(int number)
{
    (void) number;
    stage.on_lost = wait_and_close;
    serve();
    connect_peers(2);
    passes(4);
    spawn("waited", wait_closed);
    passes(2);
    close_peer(0);
    passes(4);
    close_peer(1);
    passes(4);
}

static void server_failing_factory(int number)
{
    (void) number;
    stage.factory_fails = true;
    serve();
    connect_peers(2);
    passes(5);
    state();
}

static void server_aborts_in_made(int number)
{
    (void) number;
    stage.on_made = abort_conn;
    serve();
    connect_peers(2);
    spawn("waited", wait_closed);
    passes(5);
    close_server();
    passes(3);
}

static void abort_first(void)
{
    abort_conn(&stage.conns[0]);
}

static void abort_second(void)
{
    abort_conn(&stage.conns[1]);
}

static void server_closed_and_left_in_one_pass(int number)
{
    (void) number;
    serve();
    connect_peers(2);
    passes(4);
    spawn("first", wait_closed);
    spawn("second", wait_closed);
    passes(1);
    soon("A", abort_first);
    soon("B", close_server);
    soon("C", abort_second);
    passes(5);
}

static void waiter_cancelled(int number)
{
    (void) number;
    serve();
    connect_peers(1);
    passes(4);
    rondo_task *first = spawn("first", wait_closed);
    spawn("second", wait_closed);
    passes(1);
    rondo_future_cancel(first);
    passes(2);
    close_server();
    passes(2);
    close_conn(&stage.conns[0]);
    passes(4);
}

static void serve_forever_twice(int number)
{
    (void) number;
    serve();
    rondo_task *first = spawn("first", serve_forever);
    passes(2);
    spawn("second", serve_forever);
    passes(2);
    state();
    rondo_future_cancel(first);
    passes(4);
    spawn("third", serve_forever);
    passes(2);
    state();
}

static void serve_forever_with_clients(int number)
{
    (void) number;
    stage.server_options.start_serving = false;
    serve();
    rondo_task *task = spawn("forever", serve_forever);
    spawn("waited", wait_closed);
    passes(3);
    connect_peers(2);
    passes(4);
    rondo_future_cancel(task);
    passes(4);
    abort_conn(&stage.conns[0]);
    close_conn(&stage.conns[1]);
    passes(4);
}

static void serve_forever_closed_and_cancelled(int number)
{
    (void) number;
    serve();
    rondo_task *task = spawn("forever", serve_forever);
    passes(2);
    close_server();
    rondo_future_cancel(task);
    passes(4);
    state();
}

static void closed_in_data_while_others_come(int number)
{
    (void) number;
    stage.on_data = close_server_of;
    serve();
    connect_peers(1);
    passes(4);
    peer_send_text(stage.peers[0], "end");
    connect_peers(2);
    passes(5);
    state();
}

/* --- both ends on one loop -------------------------------------------------------------------------- */

static int chunks;
static void (*after_six)(struct conn *conn);

static void speak_first(struct conn *conn)
{
    if (conn->name == 'b')
        rondo_transport_write(conn->transport, "hi", 2);
}

static void heard(struct conn *conn)
{
    if (++chunks == 6) {
        after_six(conn);
        return;
    }
    soon(conn->name == 'a' ? "a.soon" : "b.soon", NULL);
    rondo_transport_write(conn->transport, "hello", 5);
}

static rondo_future *make_client(void)
{
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = stage.path;
    return rondo_create_unix_connection(stage.loop, make, NULL, &options);
}

static void both_ends(void (*function)(struct conn *conn))
{
    chunks = 0;
    after_six = function;
    stage.on_made = speak_first;
    stage.on_data = heard;
    serve();
    spawn("client", make_client);
    passes(20);
    state();
}

static void both_ends_close(int number)
{
    (void) number;
    both_ends(close_conn);
}

static void abort_both(struct conn *conn)
{
    (void) conn;
    abort_first();
    abort_second();
}

static void both_ends_abort_both(int number)
{
    (void) number;
    both_ends(abort_both);
}

static void end_conn(struct conn *conn)
{
    rondo_transport_write_eof(conn->transport);
}

static void both_ends_eof(int number)
{
    (void) number;
    both_ends(end_conn);
}

static void close_first(void)
{
    close_conn(&stage.conns[0]);
}

static void close_second(void)
{
    close_conn(&stage.conns[1]);
}

static void wait_and_leave(struct conn *conn)
{
    spawn("waited", wait_closed);
    soon("close", close_server);
    soon("leave", conn->name == 'a' ? close_first : close_second);
}

static void both_ends_server_closed(int number)
{
    (void) number;
    both_ends(wait_and_leave);
}

const struct life scenarios[] = {
    { "connection_cancelled_after_0", connection_cancelled, 0, false },
    { "connection_cancelled_after_1", connection_cancelled, 1, false },
    { "connection_cancelled_after_2", connection_cancelled, 2, false },
    { "connection_cancelled_after_3", connection_cancelled, 3, false },
    { "connection_cancelled_after_4", connection_cancelled, 4, false },
    { "accepted_cancelled_after_0", accepted_cancelled, 0, false },
    { "accepted_cancelled_after_1", accepted_cancelled, 1, false },
    { "accepted_cancelled_after_2", accepted_cancelled, 2, false },
    { "accepted_cancelled_after_3", accepted_cancelled, 3, false },
    { "accepted_cancelled_after_4", accepted_cancelled, 4, false },
    { "unix_cancelled_after_0", unix_cancelled, 0, true },
    { "unix_cancelled_after_1", unix_cancelled, 1, true },
    { "unix_cancelled_after_2", unix_cancelled, 2, true },
    { "unix_cancelled_after_3", unix_cancelled, 3, true },
    { "unix_cancelled_after_4", unix_cancelled, 4, true },
    { "reader_cancelled_after_0", reader_cancelled, 0, false },
    { "reader_cancelled_after_1", reader_cancelled, 1, false },
    { "reader_cancelled_after_2", reader_cancelled, 2, false },
    { "reader_cancelled_after_3", reader_cancelled, 3, false },
    { "reader_cancelled_after_4", reader_cancelled, 4, false },
    { "writer_cancelled_after_0", writer_cancelled, 0, false },
    { "writer_cancelled_after_1", writer_cancelled, 1, false },
    { "writer_cancelled_after_2", writer_cancelled, 2, false },
    { "writer_cancelled_after_3", writer_cancelled, 3, false },
    { "writer_cancelled_after_4", writer_cancelled, 4, false },
    { "server_cancelled_after_0", server_cancelled, 0, false },
    { "server_cancelled_after_1", server_cancelled, 1, false },
    { "server_cancelled_after_2", server_cancelled, 2, false },
    { "server_cancelled_after_3", server_cancelled, 3, false },
    { "server_cancelled_after_4", server_cancelled, 4, false },
    { "failing_factory", failing_factory, 0, false },
    { "closed_in_made", closed_in_made, 0, false },
    { "aborted_in_made", aborted_in_made, 0, false },
    { "small_backlog", small_backlog, 0, true },
    { "server_closed_after_0", server_closed, 0, false },
    { "server_closed_after_1", server_closed, 1, true },
    { "server_closed_after_2", server_closed, 2, true },
    { "server_closed_after_3", server_closed, 3, false },
    { "server_closed_in_factory", server_closed_in_factory, 0, true },
    { "server_closed_in_lost", server_closed_in_lost, 0, false },
    { "server_failing_factory", server_failing_factory, 0, false },
    { "server_aborts_in_made", server_aborts_in_made, 0, false },
    { "server_closed_and_left_in_one_pass", server_closed_and_left_in_one_pass, 0, false },
    { "waiter_cancelled", waiter_cancelled, 0, false },
    { "serve_forever_twice", serve_forever_twice, 0, false },
    { "serve_forever_with_clients", serve_forever_with_clients, 0, false },
    { "serve_forever_closed_and_cancelled", serve_forever_closed_and_cancelled, 0, false },
    { "closed_in_data_while_others_come", closed_in_data_while_others_come, 0, false },
    { "both_ends_close", both_ends_close, 0, true },
    { "both_ends_abort_both", both_ends_abort_both, 0, true },
    { "both_ends_eof", both_ends_eof, 0, true },
    { "both_ends_server_closed", both_ends_server_closed, 0, true },
    { "file_small", file_small, 0, false },
    { "file_counted", file_counted, 0, false },
    { "sock_file_counted", sock_file_counted, 0, false },
    { "file_empty", file_empty, 0, false },
    { "file_behind_writes", file_behind_writes, 0, false },
    { "file_then_write", file_then_write, 0, false },
    { "file_and_refused_write", file_and_refused_write, 0, false },
    { "file_and_data", file_and_data, 0, true },
    { "file_and_paused_data", file_and_paused_data, 0, false },
    { "file_and_resumed", file_and_resumed, 0, true },
    { "file_and_end", file_and_end, 0, true },
    { "file_and_peer_gone", file_and_peer_gone, 0, true },
    { "file_cancelled", file_cancelled, 0, true },
    { "file_closing", file_closing, 0, false },
    { "file_marks", file_marks, 0, false },
    { "file_then_close", file_then_close, 0, false },
    { "file_then_eof", file_then_eof, 0, false },
    { "files_in_a_row", files_in_a_row, 0, true },
};

const size_t scenario_count = sizeof scenarios / sizeof(scenarios[0]);
