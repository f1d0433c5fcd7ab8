/* SPDX-License-Identifier: MIT */
/* Receive, send and connect on a completion port.
 *
 * Receive. The happy path: a receive of zero bytes waits in the kernel, holding no memory; its packet says
 * that something is there, and the node makes one plain receive into the buffer that all connections share
 * (or the owner's) and delivers it, then waits again. So an idle connection costs a request and nothing
 * else, a pause never loses a byte, because nothing was taken from the socket, and the socket need not be
 * non-blocking.
 * Send: one overlapped WSASend with everything that the owner had; the kernel is done with the memory when
 * the packet comes. Connect: bind where it was not, as ConnectEx wants it, and afterwards tell the socket
 * that it is connected.
 *
 * Failures: whatever the start or the packet says; an end of stream and an error end a receive.
 * Invariants: a cancelled op completes with RONDO_ECANCELLED whatever came of it; its last completion comes
 * after its packet. */
#include <string.h>

#include "../platform/socket.h"
#include "../src/base/container.h"
#include "../src/base/error.h"
#include "iocp.h"

static struct rondo_iocp_request *rondo_iocp_request_of(struct rondo_ready *node)
{
    return rondo_container(node, struct rondo_iocp_request, ready);
}

static bool rondo_iocp_is_cancelled(const struct rondo_iocp_request *request)
{
    return request->op->state == RONDO_OP_CANCELLING;
}

/* --- receive --------------------------------------------------------------------------------------- */

static void rondo_iocp_recv_arm(struct rondo_iocp_request *request)
{
    WSABUF none = { .len = 0, .buf = NULL };
    DWORD bytes = 0, flags = 0;
    rondo_iocp_begin(request);
    bool ok = WSARecv(request->op->socket, &none, 1, &bytes, &flags, &request->overlapped, NULL) == 0;
    rondo_iocp_started(request, ok, bytes);
}

/* After a callback, which may have paused or cancelled the op. */
static void rondo_iocp_recv_go_on(struct rondo_iocp_request *request)
{
    if (rondo_iocp_is_cancelled(request))
        rondo_iocp_queue(request, RONDO_ECANCELLED);
    else if (request->op->paused)
        request->place = RONDO_IOCP_HELD;
    else
        rondo_iocp_recv_arm(request);
}

/* Read once and deliver. */
static void rondo_iocp_recv_ready(struct rondo_iocp_request *request)
{
    struct rondo_op *op = request->op;
    void *buffer = request->iocp->buffer;
    size_t length = request->iocp->buffer_size;
    request->place = RONDO_IOCP_CALLED;
    if (op->buffer)
        buffer = op->buffer(op, &length);
    if (!buffer || rondo_iocp_is_cancelled(request)) {
        rondo_iocp_recv_go_on(request);
        return;
    }
    ptrdiff_t count = rondo_socket_recv(op->socket, buffer, length);
    if (count == RONDO_EAGAIN) {
        rondo_iocp_recv_arm(request);
        return;
    }
    op->data = buffer;
    if (count <= 0) {
        rondo_iocp_finish(request, count);
        return;
    }
    op->result = count;
    op->more = true;
    op->complete(op);
    rondo_iocp_recv_go_on(request);
}

static void rondo_iocp_recv_run(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_iocp_request *request = rondo_iocp_request_of(node);
    if (rondo_iocp_is_cancelled(request))
        rondo_iocp_finish(request, RONDO_ECANCELLED);
    else if (request->op->paused)
        request->place = RONDO_IOCP_HELD;
    else if (request->result < 0)
        rondo_iocp_finish(request, request->result);
    else
        rondo_iocp_recv_ready(request);
}

int rondo_iocp_recv(struct rondo_iocp *iocp, struct rondo_op *op)
{
    struct rondo_iocp_request *request = rondo_iocp_take(iocp, op, rondo_iocp_recv_run);
    if (!request)
        return rondo_fail(RONDO_ENOMEM, NULL);
    op->slot = request->slot;
    rondo_iocp_recv_arm(request);
    return 0;
}

/* --- send ------------------------------------------------------------------------------------------ */

static void rondo_iocp_single_run(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_iocp_request *request = rondo_iocp_request_of(node);
    rondo_iocp_finish(request, rondo_iocp_is_cancelled(request) ? RONDO_ECANCELLED : request->result);
}

/* As much of @pieces as one call takes. */
static DWORD rondo_iocp_fill(WSABUF *buffers, const rondo_bytes *pieces, size_t count)
{
    const size_t most = 1u << 30;
    size_t total = 0;
    DWORD used = 0;
    for (; used < count && total < most; used++) {
        size_t length = pieces[used].length < most - total ? pieces[used].length : most - total;
        buffers[used] = (WSABUF){ .len = (ULONG) length, .buf = (char *) (uintptr_t) pieces[used].data };
        total += length;
    }
    return used;
}

int rondo_iocp_send(struct rondo_iocp *iocp, struct rondo_op *op)
{
    rondo_bytes pieces[RONDO_IOCP_PIECES_PER_SEND];
    WSABUF buffers[RONDO_IOCP_PIECES_PER_SEND];
    struct rondo_iocp_request *request = rondo_iocp_take(iocp, op, rondo_iocp_single_run);
    if (!request)
        return rondo_fail(RONDO_ENOMEM, NULL);
    op->slot = request->slot;
    DWORD used = rondo_iocp_fill(buffers, pieces, op->gather(op, pieces, RONDO_IOCP_PIECES_PER_SEND));
    DWORD bytes = 0;
    rondo_iocp_begin(request);
    bool ok = WSASend(op->socket, buffers, used, &bytes, 0, &request->overlapped, NULL) == 0;
    rondo_iocp_started(request, ok, bytes);
    return 0;
}

/* --- connect --------------------------------------------------------------------------------------- */

static void rondo_iocp_connect_run(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_iocp_request *request = rondo_iocp_request_of(node);
    ptrdiff_t result = request->result < 0 ? request->result : 0;
    if (rondo_iocp_is_cancelled(request))
        result = RONDO_ECANCELLED;
    else if (result == 0 &&
             setsockopt(request->op->socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) != 0)
        result = rondo_error_from_system(WSAGetLastError());
    rondo_iocp_finish(request, result);
}

/* ConnectEx wants a socket that is bound: to any address of the target's family, where the owner chose
 * none. */
static int rondo_iocp_bind_any(rondo_socket sock, int family)
{
    struct sockaddr_in6 any;
    memset(&any, 0, sizeof any);
    any.sin6_family = (short) family;
    int length = family == AF_INET6 ? (int) sizeof any : (int) sizeof(struct sockaddr_in);
    if (bind(sock, (const struct sockaddr *) &any, length) == 0 || WSAGetLastError() == WSAEINVAL)
        return 0;
    return rondo_error_from_system(WSAGetLastError());
}

int rondo_iocp_connect(struct rondo_iocp *iocp, struct rondo_op *op)
{
    const struct sockaddr *target = rondo_address_sockaddr(op->address);
    if (target->sa_family != AF_INET && target->sa_family != AF_INET6)
        return rondo_fail(RONDO_EAFNOSUPPORT, NULL);
    struct rondo_iocp_request *request = rondo_iocp_take(iocp, op, rondo_iocp_connect_run);
    if (!request)
        return rondo_fail(RONDO_ENOMEM, NULL);
    op->slot = request->slot;
    int code = rondo_iocp_bind_any(op->socket, target->sa_family);
    if (code < 0) {
        rondo_iocp_queue(request, code);
        return 0;
    }
    DWORD bytes = 0;
    rondo_iocp_begin(request);
    bool ok = iocp->connect_ex(op->socket, target, (int) op->address->length, NULL, 0, &bytes,
                               &request->overlapped);
    rondo_iocp_started(request, ok, 0);
    return 0;
}
