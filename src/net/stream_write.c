/* SPDX-License-Identifier: MIT */
/* The sending half of a stream.
 *
 * The happy path on a selector: nothing is queued, the send is made at once and takes everything. Else, and on a proactor, the
 * bytes are copied into chunks and one send at a time takes them, as many as one system call can; behind the last
 * one come the end of the sending half (write_eof) or connection_lost (close). Failures: an error of a send ends the
 * stream with it; no memory for what a send has left over does too, as bytes cannot be lost in the middle.
 * What is written of bytes that the driver lends in several pieces is named, not copied, and sent when it lends them no longer,
 * or before anything else that has to go behind it. Nobody can tell, but for an error that shows a moment later.
 * Invariants: one send in flight at most; the chunks it names stay in place until it is back, also when their content
 * counts no more. */
#include "stream.h"

#define WARN_FROM 5

static void on_send(struct rondo_op *op);
static size_t gather(struct rondo_op *op, rondo_bytes *pieces, size_t capacity);

/* --- what there is while there is something to send ----------------------------------------------------- */

static struct rondo_output *take_output(struct rondo_stream *stream)
{
    rondo_loop *loop = stream->base.loop;
    struct rondo_output *output = loop->outputs;
    if (output)
        loop->outputs = output->next;
    else if (!(output = rondo_allocate(&loop->allocator, sizeof(*output))))
        return NULL;
    *output = (struct rondo_output){ .stream = stream };
    output->send.kind = stream->base.type->is_pipe ? RONDO_OP_WRITE : RONDO_OP_SEND;
    output->send.blocking = stream->recv.blocking;
    output->send.socket = stream->base.sock;
    output->send.complete = on_send;
    output->send.gather = gather;
    stream->out = output;
    rondo_stream_settle(stream);
    return output;
}

static void give_output(struct rondo_stream *stream)
{
    struct rondo_output *output = stream->out;
    output->next = stream->base.loop->outputs;
    stream->base.loop->outputs = output;
    stream->out = NULL;
    rondo_stream_settle(stream);
}

void rondo_outputs_free(rondo_loop *loop)
{
    while (loop->outputs) {
        struct rondo_output *output = loop->outputs;
        loop->outputs = output->next;
        rondo_release(&loop->allocator, output);
    }
}

static size_t gather(struct rondo_op *op, rondo_bytes *pieces, size_t capacity)
{
    const struct rondo_output *output = rondo_container(op, struct rondo_output, send);
    return rondo_chunks_gather(&output->chunks, pieces, capacity);
}

static void consume(struct rondo_stream *stream, size_t length)
{
    rondo_loop *loop = stream->base.loop;
    struct rondo_output *output = stream->out;
    rondo_chunks_consume(&output->chunks, &loop->chunks, &loop->allocator, length);
    if (!output->chunks.size && !rondo_op_is_active(&output->send) && !output->sending)
        give_output(stream);
}

static void send_queue(struct rondo_stream *stream);

/* --- what the driver lends -------------------------------------------------------------------------------- */

static void send_all_lent(struct rondo_core *core)
{
    const rondo_loop *loop = rondo_loop_of(core);
    while (loop->lent_outputs)
        rondo_stream_send_lent(loop->lent_outputs->stream);
}

/* Whether the piece needs no copy now: it goes on where the last one ended, and stays there until send_all_lent. */
static bool collect(struct rondo_stream *stream, const rondo_bytes *piece)
{
    rondo_loop *loop = stream->base.loop;
    struct rondo_output *output = stream->out;
    if (!rondo_core_lends(&loop->core, piece->data) || output->chunks.size || output->sending ||
        rondo_op_is_active(&output->send) || stream->base.type->is_pipe)
        return false;
    const unsigned char *lent = output->lent.data;
    if (lent && lent + output->lent.length != piece->data)
        return false;
    if (!lent) {
        output->next = loop->lent_outputs;
        loop->lent_outputs = output;
        loop->core.lent_over = send_all_lent;
        output->lent.data = piece->data;
    }
    output->lent.length += piece->length;
    return true;
}

static rondo_bytes forget_lent(struct rondo_output *output)
{
    struct rondo_output **place = &output->stream->base.loop->lent_outputs;
    rondo_bytes lent = output->lent;
    if (!lent.data)
        return lent;
    while (*place != output)
        place = &(*place)->next;
    *place = output->next;
    output->lent = (rondo_bytes){ NULL, 0 };
    return lent;
}

/* Now, although it is lent. */
static ptrdiff_t try_lent(struct rondo_stream *stream, const rondo_bytes *piece)
{
    struct rondo_core *core = &stream->base.loop->core;
    const unsigned char *lent = core->lent;
    core->lent = NULL;
    ptrdiff_t n = core->driver->ops->try_send(core->driver, stream->base.sock, piece, 1);
    core->lent = lent;
    return n;
}

void rondo_stream_send_lent(struct rondo_stream *stream)
{
    rondo_loop *loop = stream->base.loop;
    struct rondo_output *output = stream->out;
    if (!output || !output->lent.data)
        return;
    rondo_bytes lent = forget_lent(output);
    ptrdiff_t n = try_lent(stream, &lent);
    if (n < 0 && n != RONDO_EAGAIN)
        rondo_stream_fail(stream, (int) n);
    else if (n >= 0 && (size_t) n == lent.length)
        consume(stream, 0);
    else if (rondo_chunks_append(&output->chunks, &loop->chunks, &loop->allocator, &lent, 1,
                                 n > 0 ? (size_t) n : 0) < 0)
        rondo_stream_fail(stream, RONDO_ENOMEM); /* bytes cannot be lost in the middle */
    else
        send_queue(stream);
}

/* --- files ------------------------------------------------------------------------------------------------ */

int rondo_stream_lock(struct rondo_stream *stream, struct rondo_sending *sending)
{
    rondo_stream_send_lent(stream); /* may end it */
    if (stream->base.is_closing)
        return rondo_fail(RONDO_ECLOSED, "Transport is closing");
    struct rondo_output *output = stream->out ? stream->out : take_output(stream);
    if (!output)
        return rondo_fail(RONDO_ENOMEM, NULL);
    output->sending = sending;
    return 0;
}

void rondo_stream_unlock(struct rondo_stream *stream)
{
    stream->out->sending = NULL;
    consume(stream, 0);
}

size_t rondo_stream_buffer_size(const rondo_transport *transport)
{
    const struct rondo_output *output = rondo_container(transport, struct rondo_stream, base)->out;
    return output && !output->is_dropped ? output->chunks.size : 0;
}

void rondo_stream_drop_output(struct rondo_stream *stream)
{
    struct rondo_driver *driver = stream->base.loop->core.driver;
    if (!stream->out)
        return;
    forget_lent(stream->out);
    if (rondo_op_is_active(&stream->out->send)) {
        stream->out->is_dropped = true;
        driver->ops->cancel(driver, &stream->out->send);
    } else {
        consume(stream, stream->out->chunks.size);
    }
}

/* --- sending ------------------------------------------------------------------------------------------ */

static void submit(struct rondo_stream *stream)
{
    struct rondo_driver *driver = stream->base.loop->core.driver;
    int rc = driver->ops->submit(driver, &stream->out->send);
    if (rc < 0)
        rondo_stream_fail(stream, rc);
}

/* Have the driver send what is queued, and the protocol know if that is much. */
static void send_queue(struct rondo_stream *stream)
{
    if (!rondo_op_is_active(&stream->out->send))
        submit(stream);
    rondo_transport_maybe_pause(&stream->base);
}

/* Everything is sent: what was asked for behind it. */
static void on_flushed(struct rondo_stream *stream)
{
    if (stream->base.is_closing) {
        rondo_stream_stop_reading(stream); /* a write pipe has watched for its reader until now */
        rondo_transport_flushed(&stream->base);
    } else if (stream->base.has_eof) {
        rondo_socket_shutdown_write(stream->base.sock); /* a peer that is gone shows in the receive */
    }
}

static void on_sent(struct rondo_stream *stream, size_t length)
{
    consume(stream, length);
    if (!stream->out || !stream->base.type->is_pipe) /* in asyncio a pipe resumes when it is empty */
        rondo_transport_maybe_resume(&stream->base); /* may write, close or abort */
    if (stream->base.end != RONDO_TRANSPORT_OPEN)
        return;
    if (!stream->out)
        on_flushed(stream);
    else if (rondo_op_is_active(&stream->out->send))
        return;
    else if (stream->out->chunks.size)
        submit(stream);
    else
        rondo_sending_flushed(stream->out->sending);
}

static void on_send(struct rondo_op *op)
{
    struct rondo_output *output = rondo_container(op, struct rondo_output, send);
    struct rondo_stream *stream = output->stream;
    if (output->is_dropped) {
        consume(stream, output->chunks.size);
        rondo_transport_op_idle(&stream->base);
    } else if (op->result == RONDO_EAGAIN) {
        submit(stream); /* the kernel said "writable", took nothing and gave up: no error of the socket */
    } else if (op->result < 0) {
        rondo_stream_fail(stream, (int) op->result);
    } else {
        on_sent(stream, (size_t) op->result);
    }
}

/* --- writing ----------------------------------------------------------------------------------------- */

static int ignore_write(struct rondo_stream *stream)
{
    if (stream->ignored_writes < WARN_FROM)
        stream->ignored_writes++;
    if (stream->ignored_writes == WARN_FROM)
        rondo_log(RONDO_LOG_WARNING, stream->base.type->is_pipe
                                         ? "pipe closed by peer or os.write(pipe, data) raised exception."
                                         : "socket.send() raised exception.");
    return 0;
}

/* What the kernel takes at once; 0 where it would block or a queued send is the better way; an error has ended the
 * stream. */
static ptrdiff_t send_now(struct rondo_stream *stream, const rondo_bytes *pieces, size_t count)
{
    struct rondo_driver *driver = stream->base.loop->core.driver;
    const struct rondo_output *output = stream->out;
    if (output && (output->chunks.size || output->lent.data || rondo_op_is_active(&output->send)))
        return 0;
    ptrdiff_t n =
        stream->base.type->is_pipe
            ? driver->ops->try_write(driver, stream->base.sock, stream->recv.blocking, pieces, count)
            : driver->ops->try_send(driver, stream->base.sock, pieces, count);
    if (n == RONDO_EAGAIN)
        return 0;
    if (n < 0)
        rondo_stream_fail(stream, (int) n);
    return n;
}

/* There is no memory. Of the pieces @sent bytes are gone: what is left of them cannot be lost in the middle. */
static int queue_failed(struct rondo_stream *stream, size_t sent)
{
    if (!sent)
        return rondo_fail(RONDO_ENOMEM, NULL);
    rondo_stream_fail(stream, RONDO_ENOMEM);
    return 0;
}

static int queue_rest(struct rondo_stream *stream, const rondo_bytes *pieces, size_t count, size_t sent)
{
    rondo_loop *loop = stream->base.loop;
    struct rondo_output *output = stream->out ? stream->out : take_output(stream);
    if (!output)
        return queue_failed(stream, sent);
    if (count == 1 && !sent && collect(stream, pieces))
        return 0;
    if (output->lent.data) {
        rondo_stream_send_lent(stream); /* may end it */
        return stream->base.end == RONDO_TRANSPORT_OPEN ? queue_rest(stream, pieces, count, sent) : 0;
    }
    if (rondo_chunks_append(&output->chunks, &loop->chunks, &loop->allocator, pieces, count, sent) < 0) {
        consume(stream, 0);
        return queue_failed(stream, sent);
    }
    send_queue(stream);
    return 0;
}

/* Writes that go nowhere: after the end, and on a proactor (TRN-12) and to a pipe (PIPE-10) while it closes. */
static bool goes_nowhere(const struct rondo_stream *stream)
{
    if (stream->base.end != RONDO_TRANSPORT_OPEN)
        return true;
    return stream->base.is_closing &&
           (stream->base.type->is_pipe || stream->base.loop->core.driver->ops->is_proactor);
}

int rondo_stream_push(struct rondo_stream *stream, const rondo_bytes *pieces, size_t count, size_t total)
{
    ptrdiff_t sent = send_now(stream, pieces, count);
    if (sent < 0 || (size_t) sent == total)
        return 0;
    return queue_rest(stream, pieces, count, (size_t) sent);
}

static bool is_locked(const struct rondo_stream *stream)
{
    return stream->out && stream->out->sending;
}

/* Everything that is not the common case: one piece, and nothing waits before it. */
rondo_cold int rondo_stream_write_slowly(rondo_transport *transport, const rondo_bytes *pieces, size_t count)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    if (stream->base.has_eof)
        return rondo_fail(RONDO_EINVALIDSTATE, "cannot write after write_eof");
    if (is_locked(stream))
        return rondo_fail(RONDO_EBUSY, "unable to write; sendfile is in progress");
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].length > SIZE_MAX - total)
            return rondo_fail(RONDO_EINVAL, "the pieces are longer than memory can be");
        total += pieces[i].length;
    }
    if (!total)
        return 0;
    if (goes_nowhere(stream))
        return ignore_write(stream);
    return rondo_stream_push(stream, pieces, count, total);
}

/* The kernel has not taken all of @piece. */
static rondo_cold int write_rest(struct rondo_stream *stream, const rondo_bytes *piece, ptrdiff_t sent)
{
    if (sent >= 0 || sent == RONDO_EAGAIN)
        return queue_rest(stream, piece, 1, sent > 0 ? (size_t) sent : 0);
    rondo_stream_fail(stream, (int) sent);
    return 0;
}

int rondo_stream_write(rondo_transport *transport, const rondo_bytes *pieces, size_t count)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    struct rondo_driver *driver = transport->loop->core.driver;
    if (!stream->writes_plainly || count != 1 || !pieces->length)
        return rondo_stream_write_slowly(transport, pieces, count);
    ptrdiff_t sent = driver->ops->try_send(driver, transport->sock, pieces, 1);
    return (size_t) sent == pieces->length ? 0 : write_rest(stream, pieces, sent);
}

int rondo_stream_write_eof(rondo_transport *transport)
{
    struct rondo_stream *stream = rondo_stream_of(transport);
    rondo_stream_send_lent(stream); /* may end it */
    if (transport->is_closing || transport->has_eof)
        return 0;
    if (is_locked(stream))
        return rondo_fail(RONDO_EBUSY, "unable to end writing; sendfile is in progress");
    transport->has_eof = true;
    rondo_stream_settle(stream);
    if (!stream->out)
        rondo_socket_shutdown_write(transport->sock);
    return 0;
}
