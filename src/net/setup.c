/* SPDX-License-Identifier: MIT */
/* What the calls that make connections and servers have in common: create_connection and create_server, their kin for the
 * Unix family, and connect_accepted_socket.
 *
 * The happy path: a call checks its arguments, its coroutine comes by a socket, and ends here. Failures: those of the
 * arguments, at once; a failing factory, no memory, a listen that fails, cancellation: nothing is left open then. */
#include "setup.h"

#include "../../platform/sockaddr.h" /* SOCK_STREAM */
#include "../async/coroutine.h"
#include "descriptor.h"

int rondo_setup_check(rondo_loop *loop, rondo_protocol_factory *factory, unsigned capability,
                      const char *what)
{
    int rc = rondo_loop_check(loop);
    if (rc < 0)
        return rc;
    if (!factory)
        return rondo_fail(RONDO_EINVAL, "no protocol factory given");
    if (!(rondo_loop_capabilities(loop) & capability))
        return rondo_fail(RONDO_ENOTSUP, "this loop has no %s", what);
    return 0;
}

int rondo_setup_check_stream(rondo_socket sock)
{
    int type;
    if (rondo_socket_kind(sock, NULL, &type, NULL) < 0 || type != SOCK_STREAM)
        return rondo_fail(RONDO_EINVAL, "a stream socket was expected");
    return 0;
}

int rondo_setup_check_connected(rondo_socket sock)
{
    rondo_address peer;
    int rc = rondo_setup_check_stream(sock);
    if (rc == 0 && rondo_socket_peer(sock, &peer) == RONDO_ENOTCONN && !rondo_socket_has_lost_peer(sock))
        rc = rondo_fail(RONDO_EINVAL, "the socket is not connected");
    return rc;
}

/* --- requests ------------------------------------------------------------------------------------------------ */

void *rondo_setup_new(rondo_loop *loop, rondo_protocol_factory *factory, void *context, size_t size)
{
    struct rondo_setup *setup = rondo_allocate_zeroed(&loop->allocator, size);
    if (!setup) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    *setup = (struct rondo_setup){ loop, factory, context, RONDO_INVALID_SOCKET };
    return setup;
}

void rondo_setup_drop(void *request)
{
    struct rondo_setup *setup = request;
    rondo_loop *loop = setup->loop;
    if (setup->sock != RONDO_INVALID_SOCKET)
        loop->core.driver->ops->close_socket(loop->core.driver, setup->sock);
    rondo_release(&loop->allocator, setup);
}

rondo_future *rondo_setup_spawn(struct rondo_setup *setup, rondo_coroutine *run, rondo_destructor *drop,
                                rondo_socket sock)
{
    if (sock != RONDO_INVALID_SOCKET && rondo_descriptor_check_free(setup->loop, sock) < 0) {
        drop(setup);
        return NULL;
    }
    int rc = sock == RONDO_INVALID_SOCKET ? 0 : rondo_socket_set_nonblocking(sock);
    setup->sock = sock;
    rondo_future *future = rc == 0 ? rondo_coroutine_spawn(setup->loop, run, setup, drop) : NULL;
    if (future)
        return future;
    setup->sock = RONDO_INVALID_SOCKET; /* still the caller's */
    drop(setup);
    if (rc < 0)
        rondo_fail(rc, NULL);
    return NULL;
}

/* --- the ends of the coroutines -------------------------------------------------------------------------------- */

int rondo_setup_transport(struct rondo_setup *setup, rondo_setup_make *make)
{
    rondo_loop *loop = setup->loop;
    int rc = rondo_descriptor_take(loop, &setup->sock);
    if (rc < 0)
        return rc;
    rondo_protocol *protocol = rondo_protocol_make(loop, setup->factory, setup->context);
    if (!protocol)
        return rondo_last_error();
    rondo_future *waiter = rondo_future_new(loop);
    rondo_transport *transport = waiter ? make(setup, protocol, waiter) : NULL;
    if (!transport) {
        rondo_future_unref(waiter);
        rondo_protocol_unref(protocol);
        return rondo_fail(RONDO_ENOMEM, NULL);
    }
    setup->sock = RONDO_INVALID_SOCKET; /* the transport's now */
    rondo_transport_ref(transport);
    rc = rondo_await(waiter, NULL);
    if (rc >= 0) {
        rondo_coroutine_hand_over(transport, rondo_transport_let_go, true);
        return 0;
    }
    rondo_transport_close(transport);
    rondo_transport_unref(transport);
    return rc;
}

static rondo_transport *make_stream(struct rondo_setup *setup, rondo_protocol *protocol, rondo_future *waiter)
{
    rondo_socket_set_nodelay(setup->sock);
    return rondo_stream_new(setup->loop, setup->sock, protocol, NULL, NULL, waiter);
}

int rondo_setup_connection(struct rondo_setup *setup)
{
    return rondo_setup_transport(setup, make_stream);
}

int rondo_setup_server(rondo_server *server, bool start_serving)
{
    int rc = start_serving ? rondo_server_start_serving(server) : 0;
    if (rc == 0 && start_serving)
        rc = rondo_yield(); /* as asyncio: accepting has begun when the call returns */
    if (rc < 0) {
        rondo_server_free(server);
        return rc;
    }
    rondo_task_set_value(server, NULL); /* it serves on, whether or not anybody keeps it */
    return 0;
}
