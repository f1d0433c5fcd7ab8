/* SPDX-License-Identifier: MIT */
/* The io_uring driver: pipes, terminals and whatever else is read and written rather than received and sent.
 *
 * The happy path: the kernel is asked when there is something (a poll), and the node makes a call that does not wait. A
 * descriptor in blocking mode gets RWF_NOWAIT; the ones that do not know it (terminals, named pipes) have one of the kernel's
 * workers make the transfer, begun when the poll says that it need not wait: who else reads or writes there may
 * let the worker wait, never the loop. Failures: an error of the call ends the op; EPIPE comes without SIGPIPE.
 * Invariants: a transfer by a worker is one in flight, reads into a buffer of the ring, and is cancelled like all others. */
#include "uring.h"

#include <errno.h>
#include <poll.h>

#include "../platform/file_now.h"
#include "../platform/socket.h"

enum { PIECES = 16 };

/* Reads and writes where they are, wherever they go. */
#define CURRENT_PLACE ((uint64_t) -1)

void rondo_uring_fill_pipe(struct rondo_uring *uring, struct rondo_op *op, struct io_uring_sqe *entry)
{
    if (!uring->slots[op->slot].by_worker) {
        io_uring_prep_poll_add(entry, op->socket, op->kind == RONDO_OP_WRITE ? POLLOUT : POLLIN);
    } else if (op->kind == RONDO_OP_READ) {
        io_uring_prep_read(entry, op->socket, NULL, 0, CURRENT_PLACE);
        entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_ASYNC;
        entry->buf_group = RONDO_URING_GROUP;
    } else {
        rondo_bytes piece = { 0 };
        op->gather(op, &piece, 1);
        io_uring_prep_write(entry, op->socket, piece.data, (unsigned) piece.length, CURRENT_PLACE);
        entry->flags |= IOSQE_ASYNC;
    }
}

static bool is_for_again(int result)
{
    return result == -EAGAIN || result == -EINTR || result == -ECANCELED || result == -ENOBUFS;
}

/* What the completion means for an op that transfers: true where that is the end of it, or a poll for the next turn. */
static bool settle(struct rondo_uring *uring, struct rondo_op *op, int result)
{
    if (op->state == RONDO_OP_CANCELLING)
        rondo_uring_finish(uring, op, RONDO_ECANCELLED);
    else if (is_for_again(result))
        rondo_uring_rearm(uring, op);
    else if (result < 0)
        rondo_uring_finish(uring, op, rondo_error_from_system(-result));
    else
        return false;
    return true;
}

/* A call that does not wait came to @n. The worker's turn is next where there is no such call. */
static bool needs_worker(struct rondo_uring *uring, struct rondo_op *op, ptrdiff_t n)
{
    if (n != RONDO_EAGAIN && n != RONDO_EOPNOTSUPP)
        return false;
    uring->slots[op->slot].by_worker = n == RONDO_EOPNOTSUPP;
    rondo_uring_rearm(uring, op);
    return true;
}

static void read_by_call(struct rondo_uring *uring, struct rondo_op *op)
{
    void *scratch = uring->buffers.scratch;
    size_t size = uring->buffers.chunk_size;
    ptrdiff_t n = op->blocking ? rondo_file_read_now(op->socket, scratch, size)
                               : rondo_file_read(op->socket, scratch, size);
    if (needs_worker(uring, op, n))
        return;
    if (n <= 0) {
        rondo_uring_finish(uring, op, n);
        return;
    }
    rondo_uring_rearm(uring, op);
    rondo_uring_deliver(op, scratch, n);
}

void rondo_uring_run_read(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result,
                          uint32_t flags)
{
    struct rondo_op *op = slot->op;
    bool was_transfer = slot->by_worker;
    slot->by_worker = false;
    if (settle(uring, op, result)) {
        rondo_uring_give_back(&uring->buffers, flags);
    } else if (was_transfer && result > 0) {
        rondo_uring_rearm(uring, op);
        rondo_uring_deliver(op, rondo_uring_lent_buffer(uring, flags), result);
        rondo_uring_give_back(&uring->buffers, flags);
    } else if (was_transfer) {
        rondo_uring_give_back(&uring->buffers, flags);
        rondo_uring_finish(uring, op, 0);
    } else if (op->paused) {
        rondo_uring_rearm(uring, op);
    } else {
        read_by_call(uring, op);
    }
}

static ptrdiff_t write_by_call(rondo_socket sock, bool blocking, const rondo_bytes *pieces, size_t count)
{
    return blocking ? rondo_file_write_now(sock, pieces, count) : rondo_file_write(sock, pieces, count);
}

void rondo_uring_run_write(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result)
{
    struct rondo_op *op = slot->op;
    bool was_transfer = slot->by_worker;
    slot->by_worker = false;
    if (was_transfer && result > 0) { /* what a cancelled one has written is written */
        rondo_uring_finish(uring, op, result);
        return;
    }
    if (settle(uring, op, result))
        return;
    rondo_bytes pieces[PIECES];
    ptrdiff_t n = write_by_call(op->socket, op->blocking, pieces, op->gather(op, pieces, PIECES));
    if (!needs_worker(uring, op, n))
        rondo_uring_finish(uring, op, n);
}

void rondo_uring_run_hangup(struct rondo_uring *uring, struct rondo_op *op, int result)
{
    if (!settle(uring, op, result))
        rondo_uring_finish(uring, op, 0);
}

ptrdiff_t rondo_uring_try_write(struct rondo_driver *driver, rondo_socket sock, bool blocking,
                                const rondo_bytes *pieces, size_t count)
{
    (void) driver;
    ptrdiff_t n = write_by_call(sock, blocking, pieces, count);
    return n == RONDO_EOPNOTSUPP ? RONDO_EAGAIN : n;
}
