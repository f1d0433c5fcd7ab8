/* SPDX-License-Identifier: MIT */
/* What each kind of op does on a selector, when its side of the descriptor was found ready.
 *
 * The happy path: the loop runs the op's node, the system call is made, and what it brought completes the op. A call
 * that would block after all leaves the op where it is. Failures: an error of the call completes the op for the last time.
 * Invariant: after the last completion the op is not touched. */
#include "reactor_inside.h"

#include "../platform/file.h"
#include "../platform/socket.h"

#define SEND_PIECES 16u

int rondo_reactor_side_of(const struct rondo_op *op)
{
    switch ((enum rondo_op_kind) op->kind) {
    case RONDO_OP_RECV:
    case RONDO_OP_ACCEPT:
    case RONDO_OP_WATCH_READ:
    case RONDO_OP_READ:
    case RONDO_OP_HANGUP:
    case RONDO_OP_RECV_DATAGRAMS:
        return RONDO_READING;
    case RONDO_OP_SEND:
    case RONDO_OP_WRITE:
    case RONDO_OP_CONNECT:
    case RONDO_OP_WATCH_WRITE:
    case RONDO_OP_WRITABLE:
        break;
    }
    return RONDO_WRITING;
}

/* A completion of an op that goes on, unless it is cancelled or paused in there. */
static inline void deliver(struct rondo_op *op, ptrdiff_t result)
{
    op->more = true;
    op->result = result;
    op->complete(op);
}

/* --- what an op does when its side is ready ------------------------------------------------------- */

/* What a call came to that told of no error, or of a vague one: the error that an event has told, if there is one. */
static inline ptrdiff_t told_error(struct rondo_reactor *reactor, rondo_socket sock, ptrdiff_t n)
{
    const struct rondo_poller_ops *ops = reactor->poller_ops;
    int code = ops->take_error ? ops->take_error(reactor->poller, sock) : 0;
    return code ? code : n;
}

/* What a receive said but bytes. */
static rondo_cold void recv_ended(struct rondo_reactor *reactor, struct rondo_op *op, ptrdiff_t n)
{
    if (n == 0)
        n = told_error(reactor, op->socket, n);
    if (n != RONDO_EAGAIN)
        rondo_reactor_retire(reactor, op, n);
}

typedef ptrdiff_t receive_call(int descriptor, void *buffer, size_t length);

static inline void receive(struct rondo_reactor *reactor, struct rondo_op *op, void *buffer, size_t length,
                           receive_call *call)
{
    op->data = buffer;
    ptrdiff_t n = call(op->socket, buffer, length);
    if (n > 0)
        deliver(op, n);
    else
        recv_ended(reactor, op, n);
}

/* Into the owner's memory; where it gives none it has seen to it. */
static rondo_cold void receive_lent(struct rondo_reactor *reactor, struct rondo_op *op, receive_call *call)
{
    size_t length = 0;
    void *buffer = op->buffer(op, &length);
    if (buffer)
        receive(reactor, op, buffer, length, call);
}

static inline void do_recv(struct rondo_reactor *reactor, struct rondo_op *op)
{
    if (op->buffer)
        receive_lent(reactor, op, rondo_socket_recv);
    else
        receive(reactor, op, reactor->scratch, reactor->scratch_size, rondo_socket_recv);
}

static void do_read(struct rondo_reactor *reactor, struct rondo_op *op)
{
    if (op->buffer)
        receive_lent(reactor, op, rondo_file_read);
    else
        receive(reactor, op, reactor->scratch, reactor->scratch_size, rondo_file_read);
}

static inline ptrdiff_t send_pieces(rondo_socket sock, const rondo_bytes *pieces, size_t count)
{
    return count == 1 ? rondo_socket_send(sock, pieces[0].data, pieces[0].length)
                      : rondo_socket_sendv(sock, pieces, count);
}

static void do_send(struct rondo_reactor *reactor, struct rondo_op *op)
{
    rondo_bytes pieces[SEND_PIECES];
    size_t count = op->gather(op, pieces, SEND_PIECES);
    ptrdiff_t n = send_pieces(op->socket, pieces, count);
    if (n == RONDO_EPIPE)
        n = told_error(reactor, op->socket, n);
    if (n != RONDO_EAGAIN)
        rondo_reactor_retire(reactor, op, n);
}

static void do_write(struct rondo_reactor *reactor, struct rondo_op *op)
{
    rondo_bytes pieces[SEND_PIECES];
    size_t count = op->gather(op, pieces, SEND_PIECES);
    ptrdiff_t n = rondo_file_write(op->socket, pieces, count);
    if (n != RONDO_EAGAIN)
        rondo_reactor_retire(reactor, op, n);
}

static void do_hangup(struct rondo_reactor *reactor, struct rondo_op *op)
{
    rondo_reactor_retire(reactor, op, 0);
}

/* asyncio accepts until there is none. An accept that finds none costs as much as one that succeeds: the kernel
 * makes the socket first. */
static void do_accept(struct rondo_reactor *reactor, struct rondo_op *op)
{
    rondo_address peer;
    for (unsigned i = 0; i < op->limit; i++) {
        if (i > 0 && !rondo_socket_is_readable(op->socket))
            return;
        rondo_socket sock;
        peer.length = 0;
        int rc = rondo_socket_accept(op->socket, &sock, &peer);
        if (rc == RONDO_EAGAIN || rc == RONDO_EINTR || rc == RONDO_ECONNABORTED)
            return;
        op->address = &peer;
        if (rc < 0) {
            rondo_reactor_retire(reactor, op, rc);
            return;
        }
        deliver(op, (ptrdiff_t) sock);
        if (op->state != RONDO_OP_ACTIVE || op->paused)
            return;
    }
}

static void do_connect(struct rondo_reactor *reactor, struct rondo_op *op)
{
    int rc = rondo_socket_pending_error(op->socket);
    rondo_reactor_retire(reactor, op, rc ? rc : told_error(reactor, op->socket, 0));
}

static void do_watch(struct rondo_reactor *reactor, struct rondo_op *op)
{
    deliver(op, told_error(reactor, op->socket, 0));
}

static void do_recv_datagrams(struct rondo_reactor *reactor, struct rondo_op *op)
{
    ptrdiff_t told = told_error(reactor, op->socket, 0);
    if (told) { /* and what there is to receive will be reported again */
        deliver(op, told);
        return;
    }
    enum rondo_datagram_outcome outcome = rondo_datagrams_run(&reactor->datagrams, op, reactor->driver.core);
    if (op->state != RONDO_OP_ACTIVE)
        return;
    if (outcome == RONDO_DATAGRAMS_OVER)
        rondo_reactor_retire(reactor, op, op->result);
    else if (outcome == RONDO_DATAGRAMS_GO_ON)
        rondo_reactor_hold(reactor, op);
}

static void do_writable(struct rondo_reactor *reactor, struct rondo_op *op)
{
    rondo_reactor_retire(reactor, op, 0);
}

/* The run function of a kind: nothing but the kind's own, unless it is or was paused. */
#define RUN(name, act)                                                       \
    static void name(struct rondo_ready *node, struct rondo_core *core)      \
    {                                                                        \
        struct rondo_op *op = rondo_container(node, struct rondo_op, ready); \
        unsigned flags = op->flags;                                          \
        op->flags = 0;                                                       \
        if (op->paused || flags & RONDO_IS_STALE)                            \
            rondo_reactor_rest(rondo_reactor_of(core->driver), op);          \
        else                                                                 \
            act(rondo_reactor_of(core->driver), op);                         \
    }
RUN(run_recv, do_recv)
RUN(run_send, do_send)
RUN(run_accept, do_accept)
RUN(run_connect, do_connect)
RUN(run_watch, do_watch)
RUN(run_read, do_read)
RUN(run_write, do_write)
RUN(run_hangup, do_hangup)
RUN(run_recv_datagrams, do_recv_datagrams)
RUN(run_writable, do_writable)
#undef RUN

rondo_run_fn *const rondo_reactor_run_of_kind[] = {
    [RONDO_OP_RECV] = run_recv,         [RONDO_OP_SEND] = run_send,
    [RONDO_OP_ACCEPT] = run_accept,     [RONDO_OP_CONNECT] = run_connect,
    [RONDO_OP_WATCH_READ] = run_watch,  [RONDO_OP_WATCH_WRITE] = run_watch,
    [RONDO_OP_READ] = run_read,         [RONDO_OP_WRITE] = run_write,
    [RONDO_OP_HANGUP] = run_hangup,     [RONDO_OP_RECV_DATAGRAMS] = run_recv_datagrams,
    [RONDO_OP_WRITABLE] = run_writable,
};

/* --- without waiting --------------------------------------------------------------------------------- */

ptrdiff_t rondo_reactor_try_send(struct rondo_driver *driver, rondo_socket sock, const rondo_bytes *pieces,
                                 size_t count)
{
    (void) driver;
    return send_pieces(sock, pieces, count);
}

ptrdiff_t rondo_reactor_try_write(struct rondo_driver *driver, rondo_socket sock, bool blocking,
                                  const rondo_bytes *pieces, size_t count)
{
    (void) driver;
    (void) blocking; /* never, here */
    return rondo_file_write(sock, pieces, count);
}
