/* SPDX-License-Identifier: MIT */
/* Accepting on a completion port: a few AcceptEx posted for each listener.
 *
 * Happy path: each posted accept has a fresh socket, which the kernel connects; its node tells the socket
 * whose child it is, posts the next accept before any user code runs, and hands the socket over.
 * Failures: a connection that broke before it was accepted is replaced without a word. Any other error,
 * such as no socket left to post with, ends the op: what else is posted is cancelled, connections that come
 * all the same are still handed over, and the last one back brings the error. A cancelled op closes what it
 * gets.
 * Invariants: `live` counts the requests that are not free; the op is idle when it is 0, and only then. */
#include <assert.h>
#include <string.h>

#include "../platform/socket.h"
#include "../src/base/container.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"
#include "iocp.h"

/* What AcceptEx asks for: 16 bytes more than an address takes, for each of the two. */
enum { RONDO_ACCEPT_ADDRESS = sizeof(SOCKADDR_STORAGE) + 16 };

struct rondo_iocp_posted {
    struct rondo_iocp_request *request; /* NULL: not posted any more */
    SOCKET socket;
    unsigned char addresses[2 * RONDO_ACCEPT_ADDRESS];
};

struct rondo_iocp_accept {
    struct rondo_iocp *iocp;
    struct rondo_op *op;
    int family, type, proto;
    int error; /* why it ends; 0 while it goes on */
    unsigned live;
    struct rondo_iocp_posted posted[RONDO_IOCP_ACCEPTS];
};

/* What says something of one connection and nothing of the listener. */
static bool rondo_accept_is_transient(ptrdiff_t code)
{
    return code == RONDO_ECONNRESET || code == RONDO_ECONNABORTED || code == RONDO_ETIMEDOUT ||
           code == RONDO_EINTR || code == RONDO_EAGAIN;
}

static void rondo_accept_drop(struct rondo_iocp_posted *posted)
{
    if (posted->socket != INVALID_SOCKET)
        closesocket(posted->socket);
    posted->socket = INVALID_SOCKET;
}

/* Post one accept with a new socket. An error leaves it unposted. */
static int rondo_accept_post(struct rondo_iocp_accept *accept, struct rondo_iocp_posted *posted)
{
    for (int attempt = 0;; attempt++) {
        int code = rondo_socket_open(accept->family, accept->type, accept->proto, &posted->socket);
        if (code < 0) {
            posted->socket = INVALID_SOCKET;
            return code;
        }
        DWORD bytes = 0;
        rondo_iocp_begin(posted->request);
        bool ok = accept->iocp->accept_ex(accept->op->socket, posted->socket, posted->addresses, 0,
                                          RONDO_ACCEPT_ADDRESS, RONDO_ACCEPT_ADDRESS, &bytes,
                                          &posted->request->overlapped);
        code = ok ? 0 : rondo_error_from_system(WSAGetLastError());
        if (ok || WSAGetLastError() == WSA_IO_PENDING) {
            rondo_iocp_started(posted->request, ok, 0);
            return 0;
        }
        rondo_accept_drop(posted);
        if (!rondo_accept_is_transient(code) || attempt == 16)
            return code;
    }
}

/* --- the end ------------------------------------------------------------------------------------------ */

void rondo_iocp_accept_cancel(struct rondo_iocp_accept *accept)
{
    for (unsigned i = 0; i < RONDO_IOCP_ACCEPTS; i++) {
        struct rondo_iocp_request *request = accept->posted[i].request;
        if (request && request->place == RONDO_IOCP_KERNEL)
            CancelIoEx((HANDLE) accept->op->socket, &request->overlapped);
    }
}

static void rondo_accept_fail(struct rondo_iocp_accept *accept, int code)
{
    if (accept->error)
        return;
    accept->error = code;
    if (accept->op->state == RONDO_OP_ACTIVE)
        rondo_iocp_accept_cancel(accept);
}

/* @posted is not posted again. The last one ends the op. */
static void rondo_accept_retire(struct rondo_iocp_accept *accept, struct rondo_iocp_posted *posted)
{
    rondo_accept_drop(posted);
    struct rondo_iocp_request *request = posted->request;
    posted->request = NULL;
    request->place = RONDO_IOCP_CALLED;
    if (--accept->live > 0) {
        /* The number that the op knows is the first request's, which is kept till the end. */
        if (request->accept)
            request->place = RONDO_IOCP_HELD;
        else
            rondo_iocp_give(request);
        return;
    }
    struct rondo_iocp *iocp = accept->iocp;
    struct rondo_op *op = accept->op;
    int result = op->state == RONDO_OP_CANCELLING ? RONDO_ECANCELLED : accept->error;
    struct rondo_iocp_request *first = iocp->requests[op->slot];
    if (first != request)
        rondo_iocp_give(request);
    rondo_release(iocp->allocator, accept);
    rondo_iocp_finish(first, result);
}

/* --- a connection ------------------------------------------------------------------------------------- */

static void rondo_accept_read_peer(const struct rondo_iocp_accept *accept, struct rondo_iocp_posted *posted,
                                   rondo_address *ret_peer)
{
    struct sockaddr *local = NULL, *remote = NULL;
    int local_length = 0, remote_length = 0;
    accept->iocp->accept_addresses(posted->addresses, 0, RONDO_ACCEPT_ADDRESS, RONDO_ACCEPT_ADDRESS, &local,
                                   &local_length, &remote, &remote_length);
    memset(ret_peer, 0, sizeof *ret_peer);
    if (!remote || remote_length <= 0 || (size_t) remote_length > sizeof ret_peer->storage)
        return;
    ret_peer->length = (uint32_t) remote_length;
    memcpy(ret_peer->storage.bytes, remote, (size_t) remote_length);
}

/* Make @posted's connection a socket like any other. */
static int rondo_accept_inherit(const struct rondo_iocp_accept *accept,
                                const struct rondo_iocp_posted *posted)
{
    SOCKET listener = accept->op->socket;
    if (setsockopt(posted->socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *) &listener,
                   sizeof listener) == 0)
        return 0;
    return rondo_error_from_system(WSAGetLastError());
}

static void rondo_accept_deliver(struct rondo_iocp_accept *accept, SOCKET sock, rondo_address *peer)
{
    struct rondo_op *op = accept->op;
    op->address = peer;
    op->result = (ptrdiff_t) sock;
    op->more = true;
    op->complete(op);
}

/* Post again or end, and hand over what came, in this order: user code may do anything. The count that
 * `live` holds for @posted keeps the op and @accept there until it returns. */
static void rondo_accept_take(struct rondo_iocp_accept *accept, struct rondo_iocp_posted *posted,
                              ptrdiff_t result)
{
    SOCKET sock = INVALID_SOCKET;
    rondo_address peer;
    if (result >= 0 && rondo_accept_inherit(accept, posted) == 0) {
        rondo_accept_read_peer(accept, posted, &peer);
        sock = posted->socket;
        posted->socket = INVALID_SOCKET;
    }
    rondo_accept_drop(posted);
    if (result < 0 && !rondo_accept_is_transient(result))
        rondo_accept_fail(accept, (int) result);
    bool again = !accept->error;
    if (again) {
        int code = rondo_accept_post(accept, posted);
        again = code == 0;
        if (code < 0)
            rondo_accept_fail(accept, code);
    }
    if (!again)
        posted->request->place = RONDO_IOCP_CALLED;
    if (sock != INVALID_SOCKET)
        rondo_accept_deliver(accept, sock, &peer);
    if (!again)
        rondo_accept_retire(accept, posted);
}

static void rondo_accept_run(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_iocp_request *request = rondo_container(node, struct rondo_iocp_request, ready);
    struct rondo_iocp_accept *accept = request->iocp->requests[request->op->slot]->accept;
    struct rondo_iocp_posted *posted = accept->posted;
    while (posted->request != request)
        posted++;
    if (accept->op->state == RONDO_OP_CANCELLING)
        rondo_accept_retire(accept, posted);
    else
        rondo_accept_take(accept, posted, request->result);
}

/* --- the start ---------------------------------------------------------------------------------------- */

static struct rondo_iocp_accept *rondo_accept_new(struct rondo_iocp *iocp, struct rondo_op *op)
{
    struct rondo_iocp_accept *accept = rondo_allocate_zeroed(iocp->allocator, sizeof *accept);
    if (!accept)
        return NULL;
    accept->iocp = iocp;
    accept->op = op;
    for (unsigned i = 0; i < RONDO_IOCP_ACCEPTS; i++)
        accept->posted[i].socket = INVALID_SOCKET;
    return accept;
}

/* Post as many as the op's limit asks for. One is enough to go on. */
static int rondo_accept_post_all(struct rondo_iocp_accept *accept)
{
    unsigned limit = accept->op->limit;
    unsigned wanted = limit < 1 ? 1 : limit < RONDO_IOCP_ACCEPTS ? limit : RONDO_IOCP_ACCEPTS;
    for (unsigned i = 0; i < wanted; i++) {
        struct rondo_iocp_posted *posted = &accept->posted[i];
        posted->request = rondo_iocp_take(accept->iocp, accept->op, rondo_accept_run);
        if (!posted->request)
            return i > 0 ? 0 : RONDO_ENOMEM;
        int code = rondo_accept_post(accept, posted);
        if (code < 0) {
            rondo_iocp_give(posted->request);
            posted->request = NULL;
            return i > 0 ? 0 : code;
        }
        if (i == 0) {
            posted->request->accept = accept;
            accept->op->slot = posted->request->slot;
        }
        accept->live++;
    }
    return 0;
}

int rondo_iocp_accept(struct rondo_iocp *iocp, struct rondo_op *op)
{
    struct rondo_iocp_accept *accept = rondo_accept_new(iocp, op);
    if (!accept)
        return rondo_fail(RONDO_ENOMEM, NULL);
    int code = rondo_socket_kind(op->socket, &accept->family, &accept->type, &accept->proto);
    if (code == 0)
        code = rondo_accept_post_all(accept);
    if (code < 0) {
        rondo_release(iocp->allocator, accept);
        return rondo_fail(code, NULL);
    }
    return 0;
}
