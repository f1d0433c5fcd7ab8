/* SPDX-License-Identifier: MIT */
/* The stream transport, for the files that make it up. */
#ifndef RONDO_NET_STREAM_H
#define RONDO_NET_STREAM_H

#include "net.h"

struct rondo_stream {
    rondo_transport base; /* first */
    struct rondo_op recv;
    struct rondo_output *out; /* what was written and the kernel has not taken; NULL for none */
    struct rondo_held *held;  /* what arrived while reading was paused; NULL for none */
    uint8_t ignored_writes;   /* after the end, for the warning */
    bool has_started;         /* the start of reading has had its turn */
    bool is_read_done;        /* end of stream or an error was received */
    bool gave_buffer;         /* the receive that goes on is into the protocol's memory */
    bool reads_plainly;       /* what arrives goes to data_received as it is; kept by rondo_stream_settle */
    bool writes_plainly; /* nothing goes before a write, and it is welcome; kept by rondo_stream_settle */
};

/* What a stream has while there are bytes or a file to be sent, and no longer: it comes from a pool of the loop's and goes back. */
struct rondo_output {
    struct rondo_op send;
    struct rondo_stream *stream;
    struct rondo_output *next; /* in the pool, or in the loop's list of those that name lent bytes */
    struct rondo_chunks chunks;
    struct rondo_sending *sending; /* the file that is sent behind the chunks; NULL for none */
    rondo_bytes lent; /* what was written of bytes that the driver lends, nothing before it; no data: none */
    bool is_dropped;  /* what is in there counts no more; the kernel may still read it */
};

static inline struct rondo_stream *rondo_stream_of(rondo_transport *transport)
{
    return rondo_container(transport, struct rondo_stream, base);
}

/* After a change of what the two flags for the hot path stand for. */
static inline void rondo_stream_settle(struct rondo_stream *stream)
{
    const rondo_transport *base = &stream->base;
    stream->reads_plainly = !base->is_closing && !base->is_read_paused && !stream->held &&
                            !stream->recv.buffer && base->protocol->ops->data_received;
    stream->writes_plainly = !base->is_closing && !base->has_eof && !stream->out;
}

/* A write pipe that is closing goes on watching for its reader until it is flushed. */
static inline bool rondo_stream_watches_on(const struct rondo_stream *stream)
{
    return stream->recv.kind == RONDO_OP_HANGUP && stream->out && stream->base.end == RONDO_TRANSPORT_OPEN;
}

/* Make the transport @type over @sock and queue connection_made, the start of reading, and, if @waiter is not NULL, its
 * completion (a reference is taken). The ops are those of a socket until the caller says otherwise. NULL, with the error:
 * nothing was taken over. */
struct rondo_stream *rondo_stream_make(rondo_loop *loop, const struct rondo_transport_type *type,
                                       rondo_socket sock, rondo_protocol *protocol, const rondo_address *peer,
                                       rondo_future *waiter);

/* For the types. */
void rondo_stream_close(rondo_transport *transport);
void rondo_stream_abort(rondo_transport *transport, int error);
bool rondo_stream_is_idle(const rondo_transport *transport);
void rondo_stream_dispose(rondo_transport *transport);

/* End it with @error: what is buffered is dropped, connection_lost is queued. */
void rondo_stream_fail(struct rondo_stream *stream, int error);

/* --- stream_read.c */
void rondo_stream_read_init(struct rondo_stream *stream);
void rondo_stream_start_reading(struct rondo_stream *stream);
void rondo_stream_stop_reading(struct rondo_stream *stream); /* for good */
void rondo_stream_pause(rondo_transport *transport);
void rondo_stream_resume(rondo_transport *transport);
void rondo_stream_protocol_changed(rondo_transport *transport);
void rondo_stream_held_free(struct rondo_stream *stream);

/* --- stream_write.c */
int rondo_stream_write(rondo_transport *transport, const rondo_bytes *pieces, size_t count);
int rondo_stream_write_slowly(rondo_transport *transport, const rondo_bytes *pieces, size_t count);
int rondo_stream_write_eof(rondo_transport *transport);
/* A write of @total bytes past all checks. */
int rondo_stream_push(struct rondo_stream *stream, const rondo_bytes *pieces, size_t count, size_t total);
/* Keep writes out until the sending is over. RONDO_ENOMEM: nothing has changed. */
int rondo_stream_lock(struct rondo_stream *stream, struct rondo_sending *sending);
void rondo_stream_unlock(struct rondo_stream *stream);
size_t rondo_stream_buffer_size(const rondo_transport *transport);
/* Send, or keep a copy of, what names bytes that the driver lends: before anything that goes behind it. */
void rondo_stream_send_lent(struct rondo_stream *stream);
/* Drop what is buffered, now or when the kernel has given it back. */
void rondo_stream_drop_output(struct rondo_stream *stream);

/* --- pipe.c */
/* What the reading half of a pipe comes to: 0 for the end, or an error. */
void rondo_pipe_ended(struct rondo_stream *stream, int end);

/* --- sendfile.c */
/* What was written before the file has gone; the stream is at its end, with @error. */
void rondo_sending_flushed(struct rondo_sending *self);
void rondo_sending_lost(struct rondo_sending *self, int error);

#endif
