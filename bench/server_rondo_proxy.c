/* SPDX-License-Identifier: MIT */
/* A proxy on Rondo: two connections, each written to what the other receives.
 *
 * Happy path: a client connects and is not read from until the connection to the server behind stands; from then on
 * the two protocols know each other. Where one cannot take more, the other is not read from. The end of one stream
 * is passed on, after both the connections are closed.
 * Failures: a connection that is lost closes the other one. Invariant: each side holds a reference to the other one's
 * protocol until its own connection is lost. */
#include "server_rondo.h"

struct side {
    rondo_protocol *other; /* NULL: not connected yet, or gone */
    bool ended;
};

static unsigned upstream_port;

static rondo_transport *other_transport(rondo_protocol *protocol)
{
    struct side *side = rondo_protocol_data(protocol);
    return side->other ? rondo_protocol_transport(side->other) : NULL;
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    rondo_transport *to = other_transport(protocol);
    if (to)
        rondo_transport_write(to, data, length);
}

static void on_pause(rondo_protocol *protocol)
{
    rondo_transport *from = other_transport(protocol);
    if (from)
        rondo_transport_pause_reading(from);
}

static void on_resume(rondo_protocol *protocol)
{
    rondo_transport *from = other_transport(protocol);
    if (from)
        rondo_transport_resume_reading(from);
}

static bool on_end(rondo_protocol *protocol)
{
    struct side *side = rondo_protocol_data(protocol);
    rondo_transport *to = other_transport(protocol);
    side->ended = true;
    if (!to)
        return false;
    rondo_transport_write_eof(to);
    const struct side *other = rondo_protocol_data(side->other);
    if (other->ended)
        rondo_transport_close(to);
    return !other->ended;
}

static void on_lost(rondo_protocol *protocol, int error)
{
    (void) error;
    struct side *side = rondo_protocol_data(protocol);
    rondo_transport *to = other_transport(protocol);
    if (to)
        rondo_transport_close(to);
    rondo_protocol_unref(side->other);
    side->other = NULL;
}

static void on_upstream_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct side *side = rondo_protocol_data(protocol);
    rondo_transport *client = rondo_protocol_transport(side->other);
    if (!client) { /* it has not waited */
        rondo_transport_abort(transport);
        return;
    }
    struct side *other = rondo_protocol_data(side->other);
    other->other = rondo_protocol_ref(protocol);
    rondo_transport_resume_reading(client);
}

static const rondo_protocol_ops upstream = {
    .size = sizeof upstream,
    .data_size = sizeof(struct side),
    .connection_made = on_upstream_made,
    .data_received = on_data,
    .eof_received = on_end,
    .connection_lost = on_lost,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
};

static rondo_protocol *make_upstream(void *client)
{
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) &upstream);
    if (protocol) {
        struct side *side = rondo_protocol_data(protocol);
        side->other = rondo_protocol_ref(client);
    }
    return protocol;
}

/* Holds a reference to the client's protocol. */
static void on_connected(rondo_future *future, void *context)
{
    rondo_protocol *client = context;
    rondo_transport *transport = rondo_protocol_transport(client);
    if (transport && rondo_future_error(future, NULL) != 0)
        rondo_transport_abort(transport);
    rondo_protocol_unref(client);
}

static void on_client_made(rondo_protocol *protocol, rondo_transport *transport)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "127.0.0.1";
    options.port = (int) upstream_port;
    rondo_transport_pause_reading(transport);
    rondo_future *future =
        rondo_create_connection(rondo_transport_loop(transport), make_upstream, protocol, &options);
    if (!future || rondo_future_add_done_callback(future, on_connected, protocol) < 0)
        rondo_transport_abort(transport);
    else
        rondo_protocol_ref(protocol);
    rondo_future_unref(future);
}

static const rondo_protocol_ops downstream = {
    .size = sizeof downstream,
    .data_size = sizeof(struct side),
    .connection_made = on_client_made,
    .data_received = on_data,
    .eof_received = on_end,
    .connection_lost = on_lost,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
};

int bench_rondo_proxy(rondo_loop *loop, const struct bench_job *job)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.sock = job->socket;
    options.backlog = 4096;
    upstream_port = job->upstream;
    rondo_future *future =
        rondo_create_server(loop, rondo_protocol_new, (void *) (uintptr_t) &downstream, &options);
    return rondo_loop_run_until_complete(loop, future, NULL);
}
