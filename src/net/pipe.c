/* SPDX-License-Identifier: MIT */
/* connect_read_pipe and connect_write_pipe (18.5.1.11): streams of one direction.
 *
 * They are streams (stream.h) with other operations: the reading one never sends, the writing one never receives, and
 * watches for the reader going away instead.
 * The happy path: check the descriptor, call the factory, make the stream, wait until connection_made has run.
 * Failures: a descriptor that is no pipe, or blocks where that cannot be, is refused at once; read errors are reported, but
 * for the EIO of a terminal. Invariant: the end of a read pipe is two nodes, eof_received and connection_lost, and
 * nothing that happens between them stops either. */
#include <rondo/pipe.h>

#include "../../platform/file.h"
#include "../async/coroutine.h"
#include "descriptor.h"
#include "setup.h"
#include "stream.h"

struct request {
    struct rondo_setup setup; /* its socket is the pipe */
    const struct rondo_transport_type *type;
    bool is_blocking;
    bool is_watched; /* a reader can be seen going away */
};

/* --- the ends ---------------------------------------------------------------------------------------- */

static void run_eof(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_stream *stream = rondo_container(node, struct rondo_stream, recv.ready);
    const rondo_protocol_ops *ops = stream->base.protocol->ops;
    if (stream->base.loop->closed || !ops->eof_received)
        return;
    ops->eof_received(stream->base.protocol);
    rondo_transport_callback_failed(&stream->base, "Exception in protocol.eof_received()");
}

void rondo_pipe_ended(struct rondo_stream *stream, int end)
{
    if (end == 0) {
        stream->recv.ready.run = run_eof; /* the receive is idle */
        rondo_loop_queue_in_turn(stream->base.loop, &stream->recv.ready);
    } else if (end != RONDO_EIO) {
        rondo_loop_report(stream->base.loop, (rondo_exception_context){
                                                 .message = "Fatal read error on pipe transport",
                                                 .error = end,
                                                 .error_message = rondo_strerror(end),
                                                 .transport = &stream->base,
                                                 .protocol = stream->base.protocol,
                                                 .socket = RONDO_INVALID_SOCKET,
                                             });
    }
    rondo_stream_fail(stream, end);
}

static void on_hangup(struct rondo_op *op)
{
    struct rondo_stream *stream = rondo_container(op, struct rondo_stream, recv);
    if (op->result == 0)
        rondo_stream_fail(stream, rondo_stream_buffer_size(&stream->base) ? RONDO_EPIPE : 0);
    else if (op->result != RONDO_ECANCELLED)
        rondo_stream_fail(stream, (int) op->result);
    rondo_transport_op_idle(&stream->base);
}

/* --- the transports ----------------------------------------------------------------------------------- */

static int write_eof(rondo_transport *transport)
{
    rondo_transport_close(transport);
    return 0;
}

static const struct rondo_transport_type read_pipe_type = {
    .size = sizeof(struct rondo_stream),
    .is_pipe = true,
    .close = rondo_stream_close,
    .abort = rondo_stream_abort,
    .pause_reading = rondo_stream_pause,
    .resume_reading = rondo_stream_resume,
    .protocol_changed = rondo_stream_protocol_changed,
    .is_idle = rondo_stream_is_idle,
    .dispose = rondo_stream_dispose,
};

static const struct rondo_transport_type write_pipe_type = {
    .size = sizeof(struct rondo_stream),
    .is_pipe = true,
    .write = rondo_stream_write_slowly,
    .write_eof = write_eof,
    .close = rondo_stream_close,
    .abort = rondo_stream_abort,
    .buffer_size = rondo_stream_buffer_size,
    .is_idle = rondo_stream_is_idle,
    .dispose = rondo_stream_dispose,
};

/* --- connecting ----------------------------------------------------------------------------------------- */

static rondo_transport *make_pipe(struct rondo_setup *setup, rondo_protocol *protocol, rondo_future *waiter)
{
    const struct request *request = rondo_container(setup, struct request, setup);
    struct rondo_stream *stream =
        rondo_stream_make(setup->loop, request->type, setup->sock, protocol, NULL, waiter);
    if (!stream)
        return NULL;
    stream->recv.blocking = request->is_blocking;
    stream->recv.kind = RONDO_OP_READ;
    if (request->type->write) {
        stream->recv.kind = RONDO_OP_HANGUP;
        stream->recv.complete = request->is_watched ? on_hangup : NULL;
    }
    return &stream->base;
}

static int run_connect(void *context)
{
    return rondo_setup_transport(context, make_pipe);
}

static int check_pipe(struct request *request, rondo_file pipe)
{
    enum rondo_file_kind kind;
    int rc = rondo_file_kind(pipe, &kind);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    if (kind != RONDO_FILE_PIPE && kind != RONDO_FILE_SOCKET && kind != RONDO_FILE_DEVICE)
        return rondo_fail(RONDO_EINVAL, "Pipe transport is for pipes, sockets and character devices only.");
    int is_nonblocking = rondo_file_is_nonblocking(pipe);
    if (is_nonblocking < 0)
        return rondo_fail(is_nonblocking, NULL);
    request->is_blocking = !is_nonblocking;
    request->is_watched = kind != RONDO_FILE_DEVICE;
    if (request->is_blocking && !request->setup.loop->core.driver->ops->is_proactor)
        return rondo_fail(RONDO_EINVAL, "the pipe must be non-blocking on a loop that is a selector's");
    rc = rondo_descriptor_check_free(request->setup.loop, rondo_file_descriptor(pipe));
    if (rc < 0)
        return rc;
    rc = rondo_file_silence(pipe);
    return rc < 0 ? rondo_fail(rc, NULL) : 0;
}

static rondo_future *start(const struct rondo_setup *setup, const struct rondo_transport_type *type,
                           rondo_file pipe)
{
    struct request wanted = { .setup = *setup, .type = type };
    if (rondo_setup_check(setup->loop, setup->factory, RONDO_CAN_PIPES, "pipes") < 0 ||
        check_pipe(&wanted, pipe) < 0)
        return NULL;
    struct request *request = rondo_setup_new(setup->loop, setup->factory, setup->context, sizeof(*request));
    if (!request)
        return NULL;
    *request = wanted;
    request->setup.sock = rondo_file_descriptor(pipe);
    rondo_future *future = rondo_coroutine_spawn(setup->loop, run_connect, &request->setup, rondo_setup_drop);
    if (future)
        return future;
    request->setup.sock = RONDO_INVALID_SOCKET; /* still the caller's */
    rondo_setup_drop(request);
    return NULL;
}

rondo_future *rondo_connect_read_pipe(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                      rondo_file pipe)
{
    struct rondo_setup setup = { loop, factory, context, RONDO_INVALID_SOCKET };
    return start(&setup, &read_pipe_type, pipe);
}

rondo_future *rondo_connect_write_pipe(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                       rondo_file pipe)
{
    struct rondo_setup setup = { loop, factory, context, RONDO_INVALID_SOCKET };
    return start(&setup, &write_pipe_type, pipe);
}

rondo_file rondo_transport_pipe(const rondo_transport *transport)
{
    return transport && transport->type->is_pipe ? rondo_file_of_descriptor(transport->sock)
                                                 : RONDO_INVALID_FILE;
}
