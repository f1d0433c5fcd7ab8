/* SPDX-License-Identifier: MIT */
/* The stream transport: its making and its closing. Reading and writing have files of their own, and so has the end that it
 * shares with the other kinds (ending.c).
 *
 * The happy path: made -> connection_made, start of reading (two nodes, queued in that order) -> data ... -> close: the
 * output is flushed -> connection_lost. Failures: an I/O error or a failing callback ends it with that error; abort ends it
 * with 0. All of them go through rondo_stream_fail. */
#include "stream.h"

#include <assert.h>

void rondo_stream_dispose(rondo_transport *transport)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    assert(!rondo_op_is_active(&stream->recv) && !stream->out);
    rondo_stream_held_free(stream);
    rondo_transport_dispose(transport);
}

/* --- the end ---------------------------------------------------------------------------------------- */

bool rondo_stream_is_idle(const rondo_transport *transport)
{
    const struct rondo_stream *stream = rondo_container(transport, const struct rondo_stream, base);
    return !rondo_op_is_active(&stream->recv) && !stream->out;
}

static void begin_closing(struct rondo_stream *stream)
{
    if (stream->base.is_closing)
        return;
    stream->base.is_closing = true;
    rondo_stream_settle(stream);
}

/* A file that is on its way ends here. */
static void end_sending(struct rondo_stream *stream, int error)
{
    if (stream->out && stream->out->sending)
        rondo_sending_lost(stream->out->sending, error);
}

void rondo_stream_close(rondo_transport *transport)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    rondo_stream_send_lent(stream);
    if (transport->is_closing)
        return;
    begin_closing(stream);
    if (!rondo_stream_watches_on(stream))
        rondo_stream_stop_reading(stream);
    end_sending(stream, 0);
    if (!stream->out)
        rondo_transport_queue_lost(transport, 0);
}

void rondo_stream_fail(struct rondo_stream *stream, int error)
{
    if (stream->base.end != RONDO_TRANSPORT_OPEN)
        return;
    rondo_stream_drop_output(stream);
    begin_closing(stream);
    rondo_stream_stop_reading(stream);
    end_sending(stream, error);
    rondo_transport_queue_lost(&stream->base, error);
}

void rondo_stream_abort(rondo_transport *transport, int error)
{
    rondo_stream_send_lent(rondo_stream_of(transport));
    rondo_stream_fail(rondo_stream_of(transport), error);
}

/* --- the beginning ------------------------------------------------------------------------------------ */

static const struct rondo_transport_type stream_type = {
    .size = sizeof(struct rondo_stream),
    .sends_files = true,
    .write = rondo_stream_write,
    .write_eof = rondo_stream_write_eof,
    .close = rondo_stream_close,
    .abort = rondo_stream_abort,
    .pause_reading = rondo_stream_pause,
    .resume_reading = rondo_stream_resume,
    .buffer_size = rondo_stream_buffer_size,
    .protocol_changed = rondo_stream_protocol_changed,
    .is_idle = rondo_stream_is_idle,
    .dispose = rondo_stream_dispose,
};

/* connection_made and the start of reading: asyncio queues two calls, but nothing can come between them. The event node
 * may be needed for connection_lost while this waits in the queue (a cancelled create_connection). */
static void run_made(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_stream *stream = rondo_container(node, struct rondo_stream, recv.ready);
    if (!stream->base.loop
             ->closed) /* else, as with other callbacks that were queued, it never learns of it */
        rondo_transport_make(&stream->base);
    if (stream->recv.complete) /* else there is nothing to hear of */
        rondo_stream_start_reading(stream);
}

/* Completes the future of create_connection behind connection_made. */
struct waiter_node {
    struct rondo_ready ready;
    rondo_future *future;
};

static void drop_waiter(rondo_loop *loop, struct waiter_node *self)
{
    if (self)
        rondo_future_unref(self->future);
    rondo_release(&loop->allocator, self);
}

static void run_waiter(struct rondo_ready *node, struct rondo_core *core)
{
    struct waiter_node *self = rondo_container(node, struct waiter_node, ready);
    if (!rondo_future_done(self->future))
        rondo_future_set_result(self->future, NULL);
    drop_waiter(rondo_loop_of(core), self);
}

static struct waiter_node *make_waiter(rondo_loop *loop, rondo_future *future)
{
    struct waiter_node *self = rondo_allocate(&loop->allocator, sizeof(*self));
    if (!self) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    self->ready.run = run_waiter;
    self->future = rondo_future_ref(future);
    return self;
}

struct rondo_stream *rondo_stream_make(rondo_loop *loop, const struct rondo_transport_type *type,
                                       rondo_socket sock, rondo_protocol *protocol, const rondo_address *peer,
                                       rondo_future *waiter)
{
    struct waiter_node *waiter_node = waiter ? make_waiter(loop, waiter) : NULL;
    if (waiter && !waiter_node)
        return NULL;
    rondo_transport *base = rondo_transport_new(type, loop, sock, protocol, peer);
    if (!base) {
        drop_waiter(loop, waiter_node);
        return NULL;
    }
    struct rondo_stream *stream = rondo_stream_of(base);
    rondo_stream_read_init(stream);
    stream->recv.ready.run = run_made; /* the op is idle until then */
    rondo_loop_queue_in_turn(loop, &stream->recv.ready);
    if (waiter_node)
        rondo_loop_queue(loop, &waiter_node->ready);
    return stream;
}

rondo_transport *rondo_stream_new(rondo_loop *loop, rondo_socket sock, rondo_protocol *protocol,
                                  rondo_server *server, const rondo_address *peer, rondo_future *waiter)
{
    struct rondo_stream *stream = rondo_stream_make(loop, &stream_type, sock, protocol, peer, waiter);
    if (!stream)
        return NULL;
    stream->base.server = server;
    if (server)
        rondo_server_attach(server);
    return &stream->base;
}
