/* SPDX-License-Identifier: MIT */
/* Running a loop until something has happened on the network, and a protocol that counts its events.
 *
 * The happy path: run_until makes turns that do not block, and after some of them turns that sleep for a
 * millisecond at most. Failures: a condition that never comes ends the case by net_turn's deadline.
 * Invariants: what a net_conn counts is checked as it comes: nothing nests, nothing comes before
 * connection_made or after connection_lost. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

/* --- running -------------------------------------------------------------------------------- */

static void stop(void *loop)
{
    rondo_loop_stop(loop);
}

bool net_turn(rondo_loop *loop, unsigned attempt)
{
    static rondo_ns begun;
    if (attempt == 0)
        begun = support_now();
    if (support_now() - begun > RONDO_S(support_default_deadline()) * 2 / 3)
        return false;
    if (attempt < 64)
        rondo_loop_stop(loop);
    else
        ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_MS(1), NULL, stop, loop), 0);
    support_run(loop);
    return true;
}

int net_finish(rondo_loop *loop, rondo_future *future, void **ret_value)
{
    return rondo_loop_run_until_complete(loop, future, ret_value);
}

int net_outcome(rondo_future *future)
{
    ck_assert(rondo_future_done(future));
    int rc = rondo_future_result(future, NULL);
    rondo_future_unref(future);
    return rc;
}

void net_refused(rondo_future *future, int code)
{
    ck_assert_ptr_null(future);
    ck_assert_msg(rondo_last_error() == code, "%s instead of %s: %s", rondo_err_name(rondo_last_error()),
                  rondo_err_name(code), rondo_last_error_message());
}

void net_drain(rondo_loop *loop, peer_sink *sink, size_t length)
{
    run_until(loop, peer_drain(sink) >= length);
    ck_assert_uint_eq(sink->received, length);
    ck_assert(!sink->corrupt);
}

void net_in_a_task(rondo_loop *loop, rondo_coroutine *body, void *context)
{
    int rc = net_finish(loop, rondo_create_task(loop, body, context), NULL);
    ck_assert_msg(rc >= 0, "%s", rondo_last_error_message());
}

int net_expect_received(rondo_future *future, const char *text)
{
    rondo_received *received = NULL;
    int rc = rondo_await_received(future, &received);
    if (rc < 0)
        return rc;
    ck_assert_uint_eq(received->length, strlen(text));
    ck_assert_int_eq(memcmp(received->data, text, strlen(text)), 0);
    rondo_received_free(received);
    return 0;
}

/* --- the protocol --------------------------------------------------------------------------- */

static net_conn *conn_of(rondo_protocol *protocol)
{
    return *(net_conn **) rondo_protocol_data(protocol);
}

static net_conn *enter(rondo_protocol *protocol, bool may_nest)
{
    net_conn *conn = conn_of(protocol);
    if (conn->inside && !may_nest)
        conn->nested = true;
    if (!conn->made || conn->losts)
        conn->late = true;
    conn->inside++;
    return conn;
}

static void leave(net_conn *conn)
{
    conn->inside--;
}

static void on_made(rondo_protocol *protocol, rondo_transport *transport)
{
    net_conn *conn = conn_of(protocol);
    conn->made++;
    conn = enter(protocol, false);
    conn->protocol = protocol;
    if (!conn->transport)
        conn->transport = rondo_transport_ref(transport);
    if (conn->name)
        trace("%s.made", conn->name);
    if (conn->on_made)
        conn->on_made(conn);
    leave(conn);
}

static void got(net_conn *conn, const void *data, size_t length)
{
    if (conn->checked && !pattern_check(data, length, conn->received))
        conn->corrupt = true;
    if (conn->received < sizeof conn->text - 1) {
        size_t room = sizeof conn->text - 1 - conn->received;
        memcpy(conn->text + conn->received, data, length < room ? length : room);
    }
    conn->received += length;
    conn->chunks++;
    if (length > conn->largest_chunk)
        conn->largest_chunk = length;
    if (conn->name)
        trace("%s.data:%zu", conn->name, length);
    if (conn->echo)
        ck_assert_int_eq(rondo_transport_write(conn->transport, data, length), 0);
    if (conn->on_data)
        conn->on_data(conn, data, length);
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    net_conn *conn = enter(protocol, false);
    ck_assert_uint_gt(length, 0);
    got(conn, data, length);
    leave(conn);
}

static void *on_get_buffer(rondo_protocol *protocol, size_t hint, size_t *ret_length)
{
    net_conn *conn = enter(protocol, false);
    (void) hint;
    size_t size = conn->buffer_size ? conn->buffer_size : 64;
    if (!conn->buffer)
        conn->buffer = malloc(size);
    *ret_length = size;
    if (conn->on_buffer)
        conn->on_buffer(conn);
    leave(conn);
    return conn->buffer;
}

static void on_updated(rondo_protocol *protocol, size_t length)
{
    net_conn *conn = enter(protocol, false);
    ck_assert_uint_gt(length, 0);
    ck_assert_uint_le(length, conn->buffer_size ? conn->buffer_size : 64);
    got(conn, conn->buffer, length);
    leave(conn);
}

static bool on_eof(rondo_protocol *protocol)
{
    net_conn *conn = enter(protocol, false);
    conn->eofs++;
    if (conn->name)
        trace("%s.eof", conn->name);
    if (conn->on_eof)
        conn->on_eof(conn);
    leave(conn);
    return conn->keep_open;
}

static void on_lost(rondo_protocol *protocol, int error)
{
    net_conn *conn = enter(protocol, false);
    conn->losts++;
    conn->error = error;
    if (conn->name)
        trace("%s.lost:%s", conn->name, error ? rondo_err_name(error) : "0");
    if (conn->on_lost)
        conn->on_lost(conn, error);
    leave(conn);
}

static void on_stall(rondo_protocol *protocol)
{
    net_conn *conn = enter(protocol, true);
    conn->stalls++;
    if (conn->name)
        trace("%s.stall", conn->name);
    if (conn->on_stall)
        conn->on_stall(conn);
    leave(conn);
}

static void on_flow(rondo_protocol *protocol)
{
    net_conn *conn = enter(protocol, true);
    conn->flows++;
    if (conn->name)
        trace("%s.flow", conn->name);
    if (conn->on_flow)
        conn->on_flow(conn);
    leave(conn);
}

static void on_destroy(rondo_protocol *protocol)
{
    conn_of(protocol)->destroyed++;
}

static const rondo_protocol_ops plain_ops = {
    .size = sizeof plain_ops,
    .data_size = sizeof(net_conn *),
    .connection_made = on_made,
    .data_received = on_data,
    .eof_received = on_eof,
    .connection_lost = on_lost,
    .pause_writing = on_stall,
    .resume_writing = on_flow,
    .destroy = on_destroy,
};

static const rondo_protocol_ops buffered_ops = {
    .size = sizeof buffered_ops,
    .data_size = sizeof(net_conn *),
    .connection_made = on_made,
    .eof_received = on_eof,
    .connection_lost = on_lost,
    .pause_writing = on_stall,
    .resume_writing = on_flow,
    .get_buffer = on_get_buffer,
    .buffer_updated = on_updated,
    .destroy = on_destroy,
};

rondo_protocol *net_factory(void *context)
{
    net_conn *conn = context;
    const rondo_protocol_ops *ops = conn->buffered ? &buffered_ops : &plain_ops;
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) ops);
    if (protocol)
        *(net_conn **) rondo_protocol_data(protocol) = conn;
    return protocol;
}

rondo_protocol *net_traced_factory(void *context)
{
    trace("factory");
    return net_factory(context);
}

rondo_connection_options net_to(const char *host, int port)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = host;
    options.port = port;
    return options;
}

void net_conn_end(net_conn *conn)
{
    ck_assert_msg(!conn->nested, "callbacks of a protocol ran inside each other");
    ck_assert_msg(!conn->late, "a callback before connection_made or after connection_lost");
    ck_assert_int_le(conn->made, 1);
    ck_assert_int_le(conn->losts, conn->made);
    ck_assert_int_le(conn->eofs, 1);
    if (conn->transport)
        rondo_transport_unref(conn->transport);
    conn->transport = NULL;
    free(conn->buffer);
    conn->buffer = NULL;
}

void net_done(rondo_loop *loop, net_conn *conn)
{
    if (conn->made && !conn->losts)
        rondo_transport_abort(conn->transport);
    run_until(loop, conn->losts == conn->made);
    net_conn_end(conn);
}

void net_talk(rondo_loop *loop, net_conn *conn, rondo_socket peer)
{
    conn->echo = true;
    peer_send_text(peer, "over there");
    run_until(loop, conn->received == 10 && rondo_transport_get_write_buffer_size(conn->transport) == 0);
    peer_expect(peer, "over there");
    peer_close(peer);
    run_until(loop, conn->losts == 1);
    ck_assert_int_eq(conn->error, 0);
    net_conn_end(conn);
}

/* --- connections and servers ---------------------------------------------------------------- */

void net_adopt(rondo_loop *loop, net_conn *conn, rondo_socket sock)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = sock;
    void *transport = NULL;
    int rc = net_finish(loop, rondo_create_connection(loop, net_factory, conn, &options), &transport);
    ck_assert_msg(rc == 0, "create_connection: %s", rondo_last_error_message());
    ck_assert_ptr_eq(transport, conn->transport);
}

rondo_socket net_open(rondo_loop *loop, net_conn *conn)
{
    rondo_socket pair[2];
    peer_pair(pair);
    net_adopt(loop, conn, pair[0]);
    return pair[1];
}

rondo_socket net_open_tcp(rondo_loop *loop, net_conn *conn)
{
    rondo_socket pair[2];
    peer_tcp_pair(pair);
    net_adopt(loop, conn, pair[0]);
    return pair[1];
}

rondo_server *net_serve_with(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                             const rondo_server_options *options, int *ret_port)
{
    void *server = NULL;
    int rc = net_finish(loop, rondo_create_server(loop, factory, context, options), &server);
    ck_assert_msg(rc == 0, "create_server: %s", rondo_last_error_message());
    rondo_address address;
    ck_assert_int_eq(rondo_server_address(server, 0, &address), 0);
    if (ret_port)
        *ret_port = rondo_address_port(&address);
    return server;
}

rondo_server *net_serve(rondo_loop *loop, rondo_protocol_factory *factory, void *context, int *ret_port)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    options.port = 0;
    return net_serve_with(loop, factory, context, &options, ret_port);
}
