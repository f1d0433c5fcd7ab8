/* SPDX-License-Identifier: MIT */
/* Server objects (18.5.1.16): closing, waiting, what they can be asked, and what goes beyond the page.
 *
 * A server belongs to the loop: it lies in loop->servers until it was forgotten (rondo_server_free, or the loop's own end),
 * and its memory goes when it is forgotten, has no connection, and nothing is on its way to it (`holders`).
 * Invariant: a waiter is completed when the server is closed and its last connection has had its connection_lost. */
#include "server.h"

#include <rondo/wait.h>

#include "../../platform/unix_socket.h"
#include "../async/coroutine.h"
#include "descriptor.h"

rondo_server *rondo_server_make(rondo_loop *loop, rondo_protocol_factory *factory, void *context, int backlog,
                                size_t count)
{
    rondo_server *server =
        rondo_allocate_zeroed(&loop->allocator, sizeof(*server) + count * sizeof(struct rondo_listener));
    if (!server) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    server->loop = loop;
    server->factory = factory;
    server->context = context;
    server->backlog = backlog;
    rondo_link_append(&loop->servers, &server->link);
    return server;
}

void rondo_server_add(rondo_server *server, rondo_socket sock)
{
    struct rondo_listener *listener = &server->listeners[server->listener_count++];
    listener->server = server;
    listener->sock = sock;
    rondo_descriptor_own(server->loop, sock);
}

/* --- the file of a Unix server ------------------------------------------------------------------------------ */

struct rondo_server_file {
    rondo_address address;
    struct rondo_unix_file file;
};

int rondo_server_own_file(rondo_server *server, const rondo_address *address,
                          const struct rondo_unix_file *file)
{
    server->file = rondo_allocate(&server->loop->allocator, sizeof(*server->file));
    if (!server->file)
        return rondo_fail(RONDO_ENOMEM, NULL);
    *server->file = (struct rondo_server_file){ *address, *file };
    return 0;
}

/* While the socket is open: as long as it is, no other file can have got the number of its own. */
static void remove_file(rondo_server *server)
{
    struct rondo_server_file *file = server->file;
    if (!file)
        return;
    char path[128];
    int rc = rondo_unix_file_remove(&file->address, &file->file);
    rondo_address_format(&file->address, path, sizeof path);
    if (rc < 0)
        rondo_log(RONDO_LOG_ERROR, "Unable to remove UNIX socket '%s': %s", path, rondo_strerror(rc));
    rondo_release(&server->loop->allocator, file);
    server->file = NULL;
}

/* --- life ------------------------------------------------------------------------------------------------- */

static void maybe_dispose(rondo_server *server)
{
    if (!server->is_forgotten || server->connections || server->holders)
        return;
    const rondo_allocator *allocator = &server->loop->allocator;
    rondo_link_remove(&server->link);
    for (size_t i = 0; i < server->waiter_count; i++)
        rondo_future_unref(server->waiters[i]);
    rondo_release(allocator, server->waiters);
    rondo_release(allocator, server);
}

void rondo_server_release(rondo_server *server)
{
    server->holders--;
    maybe_dispose(server);
}

void rondo_server_free(rondo_server *server)
{
    if (!server || server->is_forgotten)
        return;
    rondo_server_close(server);
    server->is_forgotten = true;
    maybe_dispose(server);
}

static void complete_waiters(rondo_server *server)
{
    for (size_t i = 0; i < server->waiter_count; i++) {
        rondo_future_finish(server->waiters[i], 0, NULL, NULL);
        rondo_future_unref(server->waiters[i]);
    }
    server->waiter_count = 0;
}

void rondo_server_attach(rondo_server *server)
{
    server->connections++;
}

void rondo_server_detach(rondo_server *server)
{
    if (--server->connections == 0 && server->is_closed)
        complete_waiters(server);
    maybe_dispose(server);
}

void rondo_server_close(rondo_server *server)
{
    if (!server || server->is_closed)
        return;
    server->is_closed = true;
    server->is_serving = false;
    remove_file(server);
    server->holders++; /* the listeners may be the last to hold it */
    for (size_t i = 0; i < server->listener_count; i++)
        rondo_listener_stop(&server->listeners[i]);
    if (server->forever)
        rondo_future_cancel(server->forever);
    if (!server->connections)
        complete_waiters(server);
    rondo_server_release(server);
}

void rondo_servers_descriptor_freed(rondo_loop *loop)
{
    for (struct rondo_link *link = loop->servers.next; link != &loop->servers; link = link->next) {
        rondo_server *server = rondo_container(link, rondo_server, link);
        for (size_t i = 0; !server->is_closed && i < server->listener_count; i++)
            rondo_listener_wake(&server->listeners[i]);
    }
}

/* --- serving ------------------------------------------------------------------------------------------------ */

/* There is no way back from listening but to close: no half of a server shall go on for a call that failed. */
static int listen_failed(rondo_server *server, size_t index, int rc)
{
    rondo_address address = { 0 };
    char text[160];
    rondo_socket_name(server->listeners[index].sock, &address);
    rondo_address_format(&address, text, sizeof text);
    rondo_server_close(server);
    return rondo_fail(rc, "cannot listen on %s: %s", text, rondo_strerror(rc));
}

int rondo_server_start_serving(rondo_server *server)
{
    if (!server)
        return rondo_fail(RONDO_EINVAL, "no server given");
    if (server->is_closed)
        return rondo_fail(RONDO_ECLOSED, "the server is closed");
    if (server->is_serving)
        return 0;
    for (size_t i = 0; i < server->listener_count; i++) {
        int rc = rondo_socket_listen(server->listeners[i].sock, server->backlog);
        if (rc < 0)
            return listen_failed(server, i, rc);
    }
    server->is_serving = true;
    for (size_t i = 0; i < server->listener_count; i++)
        rondo_listener_start(&server->listeners[i]);
    return 0;
}

static void drop_forever(void *context)
{
    rondo_server *server = context;
    server->is_run_forever = false;
    rondo_server_release(server);
}

/* Runs until it is cancelled, which closes the server. */
static int run_forever(void *context)
{
    rondo_server *server = context;
    int rc = rondo_server_start_serving(server);
    if (rc == 0) {
        server->forever = rondo_future_new(server->loop);
        rc = server->forever ? rondo_await(rondo_future_ref(server->forever), NULL) : RONDO_ENOMEM;
        rondo_future_unref(server->forever);
    }
    server->forever = NULL;
    if (rc == RONDO_ECANCELLED) {
        rondo_server_close(server);
        rondo_await(rondo_server_wait_closed(server), NULL);
        return rondo_fail(RONDO_ECANCELLED, NULL);
    }
    return rc;
}

rondo_future *rondo_server_serve_forever(rondo_server *server)
{
    if (!server) {
        rondo_fail(RONDO_EINVAL, "no server given");
        return NULL;
    }
    if (server->is_run_forever) {
        rondo_fail(RONDO_EBUSY, "serve_forever is running on this server already");
        return NULL;
    }
    if (server->is_closed) {
        rondo_fail(RONDO_ECLOSED, "the server is closed");
        return NULL;
    }
    server->is_run_forever = true;
    server->holders++;
    rondo_future *future = rondo_coroutine_spawn(server->loop, run_forever, server, drop_forever);
    if (!future)
        drop_forever(server);
    return future;
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

static int add_waiter(rondo_server *server, rondo_future *future)
{
    if (server->waiter_count == server->waiter_capacity) {
        size_t capacity = server->waiter_capacity ? server->waiter_capacity * 2 : 4;
        rondo_future **waiters =
            rondo_reallocate(&server->loop->allocator, server->waiters, capacity * sizeof(*waiters));
        if (!waiters)
            return rondo_fail(RONDO_ENOMEM, NULL);
        server->waiters = waiters;
        server->waiter_capacity = capacity;
    }
    server->waiters[server->waiter_count++] = rondo_future_ref(future);
    return 0;
}

/* A future that is done now, or with the server's last connection. */
static rondo_future *make_waiter(rondo_server *server, bool is_over)
{
    rondo_future *future = rondo_future_new(server->loop);
    if (!future)
        return NULL;
    if (is_over) {
        rondo_future_finish(future, 0, NULL, NULL);
    } else if (add_waiter(server, future) < 0) {
        rondo_future_unref(future);
        return NULL;
    }
    return future;
}

rondo_future *rondo_server_idle(rondo_server *server)
{
    return make_waiter(server, server->connections == 0);
}

rondo_future *rondo_server_wait_closed(rondo_server *server)
{
    if (!server) {
        rondo_fail(RONDO_EINVAL, "no server given");
        return NULL;
    }
    return make_waiter(server, server->is_closed);
}

struct drain {
    rondo_server *server;
    rondo_ns timeout;
};

static void drop_drain(void *context)
{
    struct drain *drain = context;
    rondo_server *server = drain->server;
    rondo_release(&server->loop->allocator, drain);
    rondo_server_release(server);
}

static int run_drain(void *context)
{
    struct drain *drain = context;
    rondo_server *server = drain->server;
    rondo_server_close(server);
    rondo_server_close_clients(server);
    int rc = rondo_await(rondo_wait_for(rondo_server_idle(server), drain->timeout), NULL);
    if (rc != RONDO_ETIMEDOUT)
        return rc;
    int aborted = (int) server->connections;
    rondo_server_abort_clients(server);
    rc = rondo_await(rondo_server_idle(server), NULL);
    return rc < 0 ? rc : aborted;
}

rondo_future *rondo_server_drain(rondo_server *server, rondo_ns timeout)
{
    if (!server) {
        rondo_fail(RONDO_EINVAL, "no server given");
        return NULL;
    }
    struct drain *drain = rondo_allocate(&server->loop->allocator, sizeof(*drain));
    if (!drain) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    *drain = (struct drain){ server, timeout };
    server->holders++;
    rondo_future *future = rondo_coroutine_spawn(server->loop, run_drain, drain, drop_drain);
    if (!future)
        drop_drain(drain);
    return future;
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

size_t rondo_server_sockets(const rondo_server *server, rondo_socket *ret_sockets, size_t capacity)
{
    if (!server || server->is_closed)
        return 0;
    for (size_t i = 0; ret_sockets && i < server->listener_count && i < capacity; i++)
        ret_sockets[i] = server->listeners[i].sock;
    return server->listener_count;
}

int rondo_server_address(const rondo_server *server, size_t index, rondo_address *ret_address)
{
    if (!server || !ret_address || server->is_closed || index >= server->listener_count)
        return rondo_fail(RONDO_EINVAL, "no such listening socket");
    int rc = rondo_socket_name(server->listeners[index].sock, ret_address);
    return rc < 0 ? rondo_fail(rc, NULL) : 0;
}

bool rondo_server_is_serving(const rondo_server *server)
{
    return server && server->is_serving;
}

rondo_loop *rondo_server_loop(const rondo_server *server)
{
    return server ? server->loop : NULL;
}

size_t rondo_server_connections(const rondo_server *server)
{
    return server ? server->connections : 0;
}

/* Neither close nor abort calls anything back, so the ring does not change under way. */
static void end_clients(rondo_server *server, void (*end)(rondo_transport *transport))
{
    if (!server)
        return;
    struct rondo_link *ring = &server->loop->transports;
    for (struct rondo_link *link = ring->next; link != ring; link = link->next) {
        rondo_transport *transport = rondo_container(link, rondo_transport, link);
        if (transport->server == server)
            end(transport);
    }
}

void rondo_server_close_clients(rondo_server *server)
{
    end_clients(server, rondo_transport_close);
}

void rondo_server_abort_clients(rondo_server *server)
{
    end_clients(server, rondo_transport_abort);
}
