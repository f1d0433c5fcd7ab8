/* SPDX-License-Identifier: MIT */
/* The receiving half of a stream.
 *
 * The happy path: one repeating receive is submitted at the start; each completion lends bytes, which go to the protocol in
 * the same call. While reading is paused what arrives all the same (a proactor may have it already) is copied and
 * held, with the end of stream or the error behind it, and delivered from a node after resume_reading, in order.
 * Failures: end of stream asks eof_received; an error of the receive or of a callback ends the stream.
 * Invariants: nothing is delivered while paused or closing; what is held goes before what arrives later. */
#include <string.h>

#include "stream.h"

struct held_block {
    struct held_block *next;
    size_t start;
    size_t length;
    unsigned char bytes[];
};

struct rondo_held {
    struct rondo_ready ready;
    struct rondo_stream *stream;
    struct held_block *head;
    struct held_block *tail;
    bool is_queued;
    bool has_end; /* behind the bytes: `end` is 0 for end of stream, or an error */
    int end;
};

/* --- what is held ------------------------------------------------------------------------------------- */

static void run_held(struct rondo_ready *node, struct rondo_core *core);

static struct rondo_held *held_of(struct rondo_stream *stream)
{
    if (stream->held)
        return stream->held;
    struct rondo_held *held = rondo_allocate_zeroed(&stream->base.loop->allocator, sizeof(*held));
    if (!held)
        return NULL;
    held->ready.run = run_held;
    held->stream = stream;
    stream->held = held;
    rondo_stream_settle(stream);
    return held;
}

static void hold(struct rondo_stream *stream, const unsigned char *data, size_t length)
{
    struct rondo_held *held = held_of(stream);
    struct held_block *block =
        held ? rondo_allocate(&stream->base.loop->allocator, sizeof(*block) + length) : NULL;
    if (!block) { /* bytes cannot be lost in silence */
        rondo_stream_fail(stream, RONDO_ENOMEM);
        return;
    }
    *block = (struct held_block){ .length = length };
    memcpy(block->bytes, data, length);
    if (held->tail)
        held->tail->next = block;
    else
        held->head = block;
    held->tail = block;
}

static void hold_end(struct rondo_stream *stream, int end)
{
    struct rondo_held *held = held_of(stream);
    if (!held) {
        rondo_stream_fail(stream, RONDO_ENOMEM);
        return;
    }
    held->has_end = true;
    held->end = end;
}

void rondo_stream_held_free(struct rondo_stream *stream)
{
    struct rondo_held *held = stream->held;
    if (!held)
        return;
    const rondo_allocator *allocator = &stream->base.loop->allocator;
    while (held->head) {
        struct held_block *block = held->head;
        held->head = block->next;
        rondo_release(allocator, block);
    }
    held->tail = NULL;
    held->has_end = false;
    if (!held->is_queued) {
        stream->held = NULL;
        rondo_stream_settle(stream);
        rondo_release(allocator, held);
    }
}

static bool may_deliver(const struct rondo_stream *stream)
{
    return !stream->base.is_closing && !stream->base.is_read_paused;
}

/* --- to the protocol ------------------------------------------------------------------------------------ */

static bool is_buffered(const struct rondo_stream *stream)
{
    const rondo_protocol_ops *ops = stream->base.protocol->ops;
    return ops->size > offsetof(rondo_protocol_ops, buffer_updated) && ops->get_buffer && ops->buffer_updated;
}

/* A failing callback ends the connection, but that data_received of a proactor or a pipe does not (TRN-21). */
static void end_failed(struct rondo_stream *stream, const char *message)
{
    int code = rondo_transport_callback_failed(&stream->base, message);
    if (code)
        rondo_stream_fail(stream, code);
}

/* The protocol's memory; NULL after the stream has failed, or where it is not wanted any more. */
static void *ask_buffer(struct rondo_stream *stream, size_t hint, size_t *ret_length)
{
    size_t length = 0;
    rondo_protocol *protocol = stream->base.protocol;
    void *buffer = protocol->ops->get_buffer(protocol, hint, &length);
    if (stream->base.loop->raised) {
        end_failed(stream, "Fatal error: protocol.get_buffer() call failed.");
        return NULL;
    }
    if (!buffer || !length) {
        rondo_raise(RONDO_EINVAL, "get_buffer() returned an empty buffer");
        end_failed(stream, "Fatal error: protocol.get_buffer() call failed.");
        return NULL;
    }
    if (!may_deliver(stream) || stream->base.protocol != protocol)
        return NULL;
    *ret_length = length;
    return buffer;
}

static void tell_updated(struct rondo_stream *stream, size_t length)
{
    stream->base.protocol->ops->buffer_updated(stream->base.protocol, length);
    end_failed(stream, "Fatal error: protocol.buffer_updated() call failed.");
}

/* One round of a BufferedProtocol: how many bytes it took; 0 after a failure, or where get_buffer changed its mind. */
static size_t deliver_round(struct rondo_stream *stream, const unsigned char *data, size_t length)
{
    size_t room;
    void *buffer = ask_buffer(stream, length, &room);
    if (!buffer)
        return 0;
    size_t n = length < room ? length : room;
    memcpy(buffer, data, n);
    tell_updated(stream, n);
    return n;
}

static struct rondo_stream *stream_of_recv(struct rondo_op *op)
{
    return rondo_container(op, struct rondo_stream, recv);
}

static rondo_cold void data_received_failed(struct rondo_op *recv)
{
    struct rondo_stream *stream = stream_of_recv(recv);
    if (stream->base.loop->core.driver->ops->is_proactor || stream->base.type->is_pipe)
        rondo_transport_callback_failed(&stream->base, "Exception in callback protocol.data_received()");
    else
        end_failed(stream, "Fatal error: protocol.data_received() call failed.");
}

/* It is the op that goes around here: the hot path has that in hand. */
static inline void deliver_plain(struct rondo_op *recv, const void *data, size_t length)
{
    rondo_protocol *protocol = stream_of_recv(recv)->base.protocol;
    protocol->ops->data_received(protocol, data, length);
    if (stream_of_recv(recv)->base.loop->raised)
        data_received_failed(recv);
}

/* Returns how many bytes the protocol has seen: fewer than @length where it paused, closed or failed in between. */
static size_t deliver(struct rondo_stream *stream, const unsigned char *data, size_t length)
{
    size_t seen = 0;
    while (seen < length && may_deliver(stream)) {
        if (!is_buffered(stream)) {
            if (stream->base.protocol->ops->data_received)
                deliver_plain(&stream->recv, data + seen, length - seen);
            return length;
        }
        size_t n = deliver_round(stream, data + seen, length - seen);
        if (!n)
            break;
        seen += n;
    }
    return seen;
}

static void deliver_eof(struct rondo_stream *stream)
{
    const rondo_protocol_ops *ops = stream->base.protocol->ops;
    bool keep_open = ops->eof_received && ops->eof_received(stream->base.protocol);
    if (stream->base.loop->raised)
        end_failed(stream, "Fatal error: protocol.eof_received() call failed.");
    else if (!keep_open)
        rondo_transport_close(&stream->base);
}

static void deliver_end(struct rondo_stream *stream, int end)
{
    if (stream->base.is_closing)
        return;
    if (stream->base.is_read_paused)
        hold_end(stream, end);
    else if (stream->base.type->is_pipe)
        rondo_pipe_ended(stream, end);
    else if (end == 0)
        deliver_eof(stream);
    else
        rondo_stream_fail(stream, end);
}

static struct held_block *take_held(struct rondo_held *held)
{
    struct held_block *block = held->head;
    held->head = block->next;
    if (!held->head)
        held->tail = NULL;
    return block;
}

static void put_back_held(struct rondo_held *held, struct held_block *block)
{
    block->next = held->head;
    held->head = block;
    if (!held->tail)
        held->tail = block;
}

/* The block is out of the list while it is delivered: a protocol that closes the stream in between empties that.
 * False where the protocol does not want any more now. */
static bool deliver_held(struct rondo_stream *stream, struct rondo_held *held)
{
    struct held_block *block = take_held(held);
    block->start += deliver(stream, block->bytes + block->start, block->length - block->start);
    if (block->start < block->length && !stream->base.is_closing) {
        put_back_held(held, block);
        return false;
    }
    rondo_release(&stream->base.loop->allocator, block);
    return true;
}

static void queue_held(struct rondo_stream *stream)
{
    if (stream->held->is_queued)
        return;
    stream->held->is_queued = true;
    rondo_transport_ref(&stream->base);
    rondo_loop_queue_in_turn(stream->base.loop, &stream->held->ready);
}

/* `is_queued` stays set to the end: it keeps the structure, whatever the protocol does. */
static void run_held(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_held *held = rondo_container(node, struct rondo_held, ready);
    struct rondo_stream *stream = held->stream;
    while (held->head && may_deliver(stream))
        if (!deliver_held(stream, held))
            break;
    if (held->has_end && !held->head && may_deliver(stream)) {
        held->has_end = false;
        deliver_end(stream, held->end);
    }
    held->is_queued = false;
    if (stream->base.is_closing || (!held->head && !held->has_end))
        rondo_stream_held_free(stream);
    else if (may_deliver(stream))
        queue_held(stream); /* an interrupt came between */
    rondo_transport_unref(&stream->base);
}

/* --- from the driver --------------------------------------------------------------------------------------- */

static void *lend_buffer(struct rondo_op *op, size_t *ret_length)
{
    struct rondo_stream *stream = stream_of_recv(op);
    void *buffer = ask_buffer(stream, 0, ret_length);
    stream->gave_buffer = buffer != NULL;
    return buffer;
}

static rondo_cold void receive_slowly(struct rondo_op *recv)
{
    struct rondo_stream *stream = stream_of_recv(recv);
    const unsigned char *data = recv->data;
    size_t length = (size_t) recv->result;
    size_t seen = 0;
    if (stream->gave_buffer) {
        stream->gave_buffer = false;
        tell_updated(stream, length);
        return;
    }
    if (!stream->held) /* else it goes behind what is held */
        seen = deliver(stream, data, length);
    if (seen == length || stream->base.is_closing)
        return;
    hold(stream, data + seen, length - seen);
    if (may_deliver(stream))
        queue_held(stream);
}

/* A reset of which a send in flight heard first is an end of stream to the receive. But while output is left
 * our own end has not been sent, and then a true end of stream leaves the socket its peer. */
static bool is_reset(const struct rondo_stream *stream)
{
    rondo_address peer;
    return stream->out && !stream->base.is_closing &&
           rondo_socket_peer(stream->base.sock, &peer) == RONDO_ENOTCONN;
}

static void hear_end(struct rondo_stream *stream, int end)
{
    stream->is_read_done = true;
    if (end == 0 && is_reset(stream))
        end = RONDO_ECONNRESET;
    if (stream->held && !stream->base.is_closing) {
        hold_end(stream, end);
        if (!stream->base.is_read_paused)
            queue_held(stream);
    } else {
        deliver_end(stream, end);
    }
}

static rondo_cold void receive_end(struct rondo_op *recv)
{
    struct rondo_stream *stream = stream_of_recv(recv);
    if (recv->result != RONDO_ECANCELLED)
        hear_end(stream, (int) recv->result);
    if (!rondo_op_is_active(recv))
        rondo_transport_op_idle(&stream->base);
}

static void on_recv(struct rondo_op *op)
{
    if (op->result <= 0)
        receive_end(op);
    else if (stream_of_recv(op)->reads_plainly)
        deliver_plain(op, op->data, (size_t) op->result);
    else
        receive_slowly(op);
}

void rondo_stream_read_init(struct rondo_stream *stream)
{
    stream->recv.kind = RONDO_OP_RECV;
    stream->recv.socket = stream->base.sock;
    stream->recv.complete = on_recv;
    rondo_stream_protocol_changed(&stream->base);
}

void rondo_stream_protocol_changed(rondo_transport *transport)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    stream->recv.buffer = is_buffered(stream) ? lend_buffer : NULL;
    rondo_stream_settle(stream);
    stream->gave_buffer = false; /* what the old one gave and nothing came for */
}

static void submit(struct rondo_stream *stream)
{
    struct rondo_driver *driver = stream->base.loop->core.driver;
    int rc = driver->ops->submit(driver, &stream->recv);
    if (rc < 0)
        rondo_stream_fail(stream, rc);
}

void rondo_stream_start_reading(struct rondo_stream *stream)
{
    stream->has_started = true;
    if (may_deliver(stream) || rondo_stream_watches_on(stream))
        submit(stream);
}

void rondo_stream_stop_reading(struct rondo_stream *stream)
{
    struct rondo_driver *driver = stream->base.loop->core.driver;
    driver->ops->cancel(driver, &stream->recv);
    rondo_stream_held_free(stream);
}

void rondo_stream_pause(rondo_transport *transport)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    struct rondo_driver *driver = transport->loop->core.driver;
    rondo_stream_settle(stream);
    if (rondo_op_is_active(&stream->recv))
        driver->ops->pause(driver, &stream->recv);
}

void rondo_stream_resume(rondo_transport *transport)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    struct rondo_driver *driver = transport->loop->core.driver;
    rondo_stream_settle(stream);
    if (rondo_op_is_active(&stream->recv))
        driver->ops->resume(driver, &stream->recv);
    else if (stream->has_started && !stream->is_read_done)
        submit(stream);
    if (stream->held)
        queue_held(stream);
}
