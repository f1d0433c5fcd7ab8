/* SPDX-License-Identifier: MIT */
/* sendfile over a stream transport.
 *
 * The happy path: reading is paused and writing locked; once the transport has sent what was written before, one call sends
 * as much as the socket takes, at most a budget for each pass, and the next follows when there is room. Without such a call
 * the file is read and written block by block, each when the one before has gone.
 * Behind the last byte it hears of room once more, and reading and writing go on in the pass after its future is done, before
 * whoever waits for that: this is when asyncio's task does it.
 * Failures: those of the calls, by the future; the end of the transport ends it, too. Invariant: a sending
 * is its stream's until that pass; then only its operation, which was cancelled, or its nodes hold it. */
#include <rondo/sendfile.h>

#include <limits.h>

#include "../../platform/file.h"
#include "../async/future.h"
#include "stream.h"

#define BUDGET ((size_t) 1024 * 1024) /* bytes in a pass */
#define BLOCK ((size_t) 64 * 1024)    /* of the fallback */

struct rondo_sending {
    rondo_future future;         /* first */
    struct rondo_op op;          /* waits for room; holds a reference while it is active */
    struct rondo_ready again;    /* the next pass; holds one while it is queued */
    struct rondo_ready over;     /* the same, when the future is done */
    struct rondo_stream *stream; /* NULL: it is over. Each holds the other */
    rondo_file file;
    int64_t offset;
    int64_t left;
    int64_t sent;
    int64_t *ret_sent;
    unsigned char *block; /* of the fallback */
    bool is_native;
    bool may_fall_back;
    bool resumes_reading;
    bool is_starting; /* in rondo_sendfile */
    bool is_over;     /* the future is done, or about to be */
};

static bool sending_cancel(rondo_future *future);
static void sending_dispose(rondo_future *future);
static void step(struct rondo_sending *self);

static const struct rondo_future_type sending_type = { .cancel = sending_cancel, .dispose = sending_dispose };

/* --- the end --------------------------------------------------------------------------------------------- */

static void sending_dispose(rondo_future *future)
{
    struct rondo_sending *self = rondo_container(future, struct rondo_sending, future);
    rondo_release(&future->loop->allocator, self->block);
    rondo_future_dispose(future);
}

/* The stream may be written to again, if it was not given to another sending since. */
static void unlock(struct rondo_sending *self)
{
    struct rondo_driver *driver = self->stream->base.loop->core.driver;
    const struct rondo_output *output = self->stream->out;
    if (output && output->sending == self)
        rondo_stream_unlock(self->stream);
    driver->ops->cancel(driver, &self->op);
}

/* The stream is its own again. The future, which may go with this, is done. */
static void let_go(struct rondo_sending *self)
{
    struct rondo_stream *stream = self->stream;
    unlock(self);
    self->stream = NULL;
    if (self->resumes_reading)
        rondo_transport_resume_reading(&stream->base); /* nothing, where it is closing */
    rondo_transport_unref(&stream->base);
    rondo_future_unref(&self->future);
}

static void run_over(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_sending *self = rondo_container(node, struct rondo_sending, over);
    if (self->stream)
        let_go(self);
    rondo_future_unref(&self->future);
}

/* The future is done next: who waits for it comes behind this. */
static void end(struct rondo_sending *self)
{
    self->is_over = true;
    self->over.run = run_over;
    rondo_future_ref(&self->future);
    rondo_loop_queue_in_turn(self->future.loop, &self->over);
}

static bool sending_cancel(rondo_future *future)
{
    struct rondo_sending *self = rondo_container(future, struct rondo_sending, future);
    if (self->stream) {
        end(self);
        unlock(self);
    }
    return rondo_future_cancel_now(future);
}

/* Where it is over at once nobody waits yet. */
static void end_or_let_go(struct rondo_sending *self, bool at_once)
{
    if (at_once)
        let_go(self);
    else
        end(self);
}

static void finish(struct rondo_sending *self)
{
    rondo_future_ref(&self->future);
    end_or_let_go(self, self->is_starting);
    rondo_future_finish(&self->future, self->sent < INT_MAX ? (int) self->sent : INT_MAX, NULL, NULL);
    rondo_future_unref(&self->future);
}

static void fail_with(struct rondo_sending *self, int code, bool at_once)
{
    rondo_future_ref(&self->future);
    end_or_let_go(self, at_once);
    rondo_future_fail(&self->future, code,
                      code == RONDO_ENOTSUP ? "the system cannot send this file to this socket" : NULL);
    rondo_future_unref(&self->future);
}

static void fail(struct rondo_sending *self, int code)
{
    fail_with(self, code, self->is_starting);
}

void rondo_sending_lost(struct rondo_sending *self, int error)
{
    if (self->is_over)
        let_go(self);
    else if (error == RONDO_ECLOSED) /* the loop closes, and rondo_future_cancel would refuse */
        sending_cancel(&self->future);
    else
        fail_with(self, error ? error : RONDO_ECONNABORTED, true);
}

/* --- sending ----------------------------------------------------------------------------------------------- */

static void note(struct rondo_sending *self, ptrdiff_t n)
{
    self->offset += n;
    self->left -= n;
    self->sent += n;
    if (self->ret_sent)
        *self->ret_sent = self->sent;
}

static size_t cut(const struct rondo_sending *self, size_t most)
{
    return self->left < (int64_t) most ? (size_t) self->left : most;
}

static void on_room(struct rondo_op *op)
{
    struct rondo_sending *self = rondo_container(op, struct rondo_sending, op);
    bool goes_on = self->stream && !self->is_over;
    if (goes_on && op->result < 0)
        fail(self, (int) op->result);
    else if (goes_on)
        step(self);
    rondo_future_unref(&self->future);
}

static void wait_for_room(struct rondo_sending *self)
{
    struct rondo_driver *driver = self->stream->base.loop->core.driver;
    self->op.kind = RONDO_OP_WRITABLE;
    self->op.socket = self->stream->base.sock;
    self->op.complete = on_room;
    int rc = driver->ops->submit(driver, &self->op);
    if (rc < 0)
        fail(self, rc);
    else
        rondo_future_ref(&self->future);
}

static void run_again(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_sending *self = rondo_container(node, struct rondo_sending, again);
    if (self->stream && !self->is_over)
        step(self);
    rondo_future_unref(&self->future);
}

static void go_on_later(struct rondo_sending *self)
{
    self->again.run = run_again;
    rondo_future_ref(&self->future);
    rondo_loop_queue_in_turn(self->future.loop, &self->again);
}

/* One block; false where it is over, or what the kernel has not taken has to go first. */
static bool write_block(struct rondo_sending *self)
{
    ptrdiff_t n = rondo_file_read_at(self->file, self->offset, self->block, cut(self, BLOCK));
    if (n == RONDO_EAGAIN) /* interrupted */
        return true;
    if (n < 0) {
        fail(self, (int) n);
        return false;
    }
    if (n > 0) {
        rondo_bytes piece = { self->block, (size_t) n };
        note(self, n);
        int rc = rondo_stream_push(self->stream, &piece, 1, piece.length);
        if (!self->stream)
            return false; /* it was lost with that */
        if (rc < 0) {
            note(self, -n); /* nothing of it was taken */
            fail(self, rc);
            return false;
        }
    }
    if (n == 0 || !self->left) {
        finish(self);
        return false;
    }
    return rondo_stream_buffer_size(&self->stream->base) == 0;
}

static void write_blocks(struct rondo_sending *self)
{
    if (!self->block)
        self->block = rondo_allocate(&self->future.loop->allocator, BLOCK);
    if (!self->block) {
        fail(self, RONDO_ENOMEM);
        return;
    }
    for (size_t written = 0; written < BUDGET; written += BLOCK)
        if (!write_block(self))
            return;
    go_on_later(self);
}

static void send_file(struct rondo_sending *self)
{
    ptrdiff_t n = 0;
    if (self->left)
        n = rondo_file_send(self->stream->base.sock, self->file, self->offset, cut(self, BUDGET));
    if (n > 0)
        note(self, n);
    if (n == 0) {
        finish(self);
    } else if (n > 0 || n == RONDO_EAGAIN) {
        wait_for_room(self);
    } else if (n == RONDO_ENOTSUP && self->may_fall_back) {
        self->is_native = false;
        write_blocks(self);
    } else {
        fail(self, (int) n);
    }
}

static void step(struct rondo_sending *self)
{
    if (rondo_stream_buffer_size(&self->stream->base))
        return; /* rondo_sending_flushed comes */
    rondo_future_ref(&self->future);
    if (self->is_native)
        send_file(self);
    else
        write_blocks(self);
    rondo_future_unref(&self->future);
}

/* In asyncio a task is woken by that. */
void rondo_sending_flushed(struct rondo_sending *self)
{
    if (self->is_over)
        return;
    if (self->is_native)
        go_on_later(self);
    else
        step(self);
}

/* --- the call ------------------------------------------------------------------------------------------------ */

int rondo_sendfile_check(rondo_file file, int64_t offset, int64_t count, bool fallback, bool *ret_is_native)
{
    if (offset < 0)
        return rondo_fail(RONDO_EINVAL, "offset must be a non-negative integer (got %lld)",
                          (long long) offset);
    if (count <= 0)
        return rondo_fail(RONDO_EINVAL, "count must be a positive integer (got %lld)", (long long) count);
    enum rondo_file_kind kind;
    int rc = rondo_file_kind(file, &kind);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    if (kind == RONDO_FILE_PIPE || kind == RONDO_FILE_SOCKET)
        return rondo_fail(RONDO_ENOTSUP, "a pipe or a socket is no file to send");
    *ret_is_native = kind == RONDO_FILE_REGULAR;
    if (!*ret_is_native && !fallback)
        return rondo_fail(RONDO_ENOTSUP, "not a regular file, and the fallback is disabled");
    return 0;
}

static int check_transport(const rondo_transport *transport)
{
    if (!transport)
        return rondo_fail(RONDO_EINVAL, "no transport given");
    int rc = rondo_loop_check(transport->loop);
    if (rc < 0)
        return rc;
    if (transport->is_closing)
        return rondo_fail(RONDO_ECLOSED, "Transport is closing");
    if (!transport->type->sends_files)
        return rondo_fail(RONDO_ENOTSUP, "sendfile is not supported for this transport");
    if (transport->has_eof)
        return rondo_fail(RONDO_EINVALIDSTATE, "cannot send a file after write_eof");
    const struct rondo_output *output = rondo_container(transport, struct rondo_stream, base)->out;
    if (output && output->sending)
        return rondo_fail(RONDO_EBUSY, "the transport is sending a file already");
    return 0;
}

rondo_future *rondo_sendfile(rondo_transport *transport, rondo_file file, int64_t offset, int64_t count,
                             bool fallback, int64_t *ret_sent)
{
    bool is_native = false;
    if (check_transport(transport) < 0 || rondo_sendfile_check(file, offset, count, fallback, &is_native) < 0)
        return NULL;
    struct rondo_stream *stream = rondo_stream_of(transport);
    rondo_future *future = rondo_future_make(transport->loop, &sending_type, sizeof(struct rondo_sending));
    if (!future)
        return NULL;
    struct rondo_sending *self = rondo_container(future, struct rondo_sending, future);
    if (rondo_stream_lock(stream, self) < 0) {
        rondo_future_unref(future);
        return NULL;
    }
    rondo_transport_ref(transport);
    rondo_future_ref(future);
    self->stream = stream;
    self->file = file;
    self->offset = offset;
    self->left = count;
    self->ret_sent = ret_sent;
    self->is_native = is_native;
    self->may_fall_back = fallback;
    self->resumes_reading = rondo_transport_is_reading(transport);
    if (ret_sent)
        *ret_sent = 0;
    rondo_transport_pause_reading(transport);
    self->is_starting = true;
    step(self);
    self->is_starting = false;
    return future;
}
