/* SPDX-License-Identifier: MIT */
/* sock_accept and sock_connect (18.5.1.9).
 *
 * The happy path: as sock.c says; a connect is begun by the first try and told of by the pending error of the socket, and a
 * name is looked up first, in a coroutine of the library. Failures: those of the calls and of the resolver. On a
 * proactor the socket may be a blocking one: it is made non-blocking for the moment of the call.
 * Invariant: a connection that was accepted is handed out, or closed with the future. */
#include "sock.h"

#include <stdio.h>

#include "../../platform/sockaddr.h"
#include "../async/coroutine.h"
#include "connect.h"

/* --- accepting ---------------------------------------------------------------------------------------------- */

static int accept_now(struct rondo_sock_call *call)
{
    if (call->is_blocking)
        rondo_socket_set_nonblocking(call->sock);
    int rc = rondo_socket_accept(call->sock, &call->accepted->sock, &call->accepted->peer);
    if (call->is_blocking)
        rondo_socket_set_blocking(call->sock);
    return rc;
}

static ptrdiff_t try_accept(struct rondo_sock_call *call)
{
    int rc;
    do
        rc = accept_now(call);
    while (rc == RONDO_EINTR || rc == RONDO_ECONNABORTED); /* the next one, then */
    return rondo_sock_outcome(rc);
}

void rondo_accepted_free(rondo_accepted *accepted)
{
    if (!accepted)
        return;
    if (accepted->sock != RONDO_INVALID_SOCKET)
        rondo_socket_close(accepted->sock);
    rondo_handout_free(accepted);
}

static void destroy_accepted(void *accepted)
{
    rondo_accepted_free(accepted);
}

static void give_accepted(struct rondo_sock_call *call, ptrdiff_t result)
{
    (void) result;
    rondo_accepted *accepted = call->accepted;
    call->accepted = NULL;
    rondo_future_finish(&call->future, 0, accepted, destroy_accepted);
}

rondo_future *rondo_sock_accept(rondo_loop *loop, rondo_socket sock)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_READ, try_accept, give_accepted, NULL };
    struct rondo_sock_call *call = rondo_sock_call_new(loop, sock, &kind);
    if (!call)
        return NULL;
    call->accepted = rondo_handout_new(loop, sizeof *call->accepted);
    if (!call->accepted) {
        rondo_future_unref(&call->future);
        return NULL;
    }
    *call->accepted = (rondo_accepted){ .sock = RONDO_INVALID_SOCKET };
    return rondo_sock_call_start(call);
}

int rondo_await_accepted(rondo_future *future, rondo_socket *ret_sock, rondo_address *ret_peer)
{
    void *value = NULL;
    int rc = rondo_await(future, &value);
    if (rc < 0)
        return rc;
    rondo_accepted *accepted = value;
    if (ret_peer)
        *ret_peer = accepted->peer;
    if (ret_sock) {
        *ret_sock = accepted->sock;
        accepted->sock = RONDO_INVALID_SOCKET;
    }
    rondo_accepted_free(accepted);
    return 0;
}

/* --- connecting ---------------------------------------------------------------------------------------------- */

/* RONDO_EALREADY: one that was cancelled goes on. A Unix listener whose queue is full gives no way of waiting for it: that it
 * would block is the answer then. */
static ptrdiff_t try_connect(struct rondo_sock_call *call)
{
    if (call->has_begun)
        return rondo_socket_pending_error(call->sock);
    call->has_begun = true;
    if (call->is_blocking)
        rondo_socket_set_nonblocking(call->sock);
    int rc = rondo_socket_connect(call->sock, &call->address);
    if (call->is_blocking)
        rondo_socket_set_blocking(call->sock);
    if (rc == RONDO_EINPROGRESS || rc == RONDO_EALREADY)
        return RONDO_SOCK_WAIT;
    return rc == RONDO_EBUSY ? RONDO_EAGAIN : rc;
}

static void give_connected(struct rondo_sock_call *call, ptrdiff_t result)
{
    (void) result;
    rondo_future_finish(&call->future, 0, NULL, NULL);
}

static void fail_connect(struct rondo_sock_call *call, int code)
{
    rondo_connect_failed(code, &call->address);
    rondo_future_fail(&call->future, code, rondo_last_error_message());
}

rondo_future *rondo_sock_connect(rondo_loop *loop, rondo_socket sock, const rondo_address *address)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_WRITE, try_connect, give_connected,
                                                 fail_connect };
    struct rondo_sock_call *call = rondo_sock_call_new(loop, sock, &kind);
    if (!call)
        return NULL;
    if (!address || !address->length) {
        rondo_future_unref(&call->future);
        rondo_fail(RONDO_EINVAL, "no address given");
        return NULL;
    }
    call->address = *address;
    return rondo_sock_call_start(call);
}

/* --- connecting to a name -------------------------------------------------------------------------------------- */

struct named_connect {
    rondo_loop *loop;
    rondo_socket sock;
    char *host;
    rondo_addrinfo_query query;
    char port[16];
};

static void drop_named(void *context)
{
    struct named_connect *self = context;
    rondo_loop *loop = self->loop;
    rondo_release(&loop->allocator, self->host);
    rondo_release(&loop->allocator, self);
}

static int run_named(void *context)
{
    struct named_connect *self = context;
    rondo_addrinfo *info = NULL;
    int rc = rondo_resolve_await(self->loop, &self->query, &info);
    if (rc < 0)
        return rc;
    rondo_address address = info->entries[0].address;
    rondo_addrinfo_free(info);
    return rondo_await(rondo_sock_connect(self->loop, self->sock, &address), NULL);
}

/* The socket, and what there is to ask for it. */
static int read_named(struct named_connect *self, const char *host, int port)
{
    rondo_addrinfo_query *query = &self->query;
    query->size = sizeof *query;
    int rc = rondo_socket_kind(self->sock, &query->family, &query->type, &query->proto);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    if (query->family != AF_INET && query->family != AF_INET6)
        return rondo_fail(RONDO_EINVAL, "a host is for IP sockets; give others an address");
    if (!host || port < 0 || port > 65535)
        return rondo_fail(RONDO_EINVAL, "no host given, or the port is not 0 to 65535");
    self->host = rondo_duplicate_text(&self->loop->allocator, host);
    if (!self->host)
        return rondo_fail(RONDO_ENOMEM, NULL);
    snprintf(self->port, sizeof self->port, "%d", port);
    query->host = self->host;
    query->service = self->port;
    return 0;
}

rondo_future *rondo_sock_connect_host(rondo_loop *loop, rondo_socket sock, const char *host, int port)
{
    bool is_blocking;
    if (rondo_sock_check(loop, sock, &is_blocking) < 0)
        return NULL;
    struct named_connect *self = rondo_allocate_zeroed(&loop->allocator, sizeof(*self));
    if (!self) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    self->loop = loop;
    self->sock = sock;
    rondo_future *future =
        read_named(self, host, port) == 0 ? rondo_coroutine_spawn(loop, run_named, self, drop_named) : NULL;
    if (!future)
        drop_named(self);
    return future;
}
