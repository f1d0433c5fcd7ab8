/* SPDX-License-Identifier: MIT */
/* Accepting: from a listening socket to transports.
 *
 * The happy path: one repeating accept for each listener; each socket that it brings becomes a transport, on a selector one
 * pass later (asyncio makes a task for it), on a proactor at once. Failures: out of descriptors or memory: the
 * exception handler hears of it and the listener rests for a second, or until a descriptor is closed; other errors are
 * reported and the listener rests as well; a failing factory costs its own connection only. A listener ends by close alone. */
#include "descriptor.h"
#include "server.h"

#define REST RONDO_S(1) /* asyncio's ACCEPT_RETRY_DELAY */

/* --- one connection -------------------------------------------------------------------------------------- */

static void report_connection(rondo_server *server, rondo_socket sock)
{
    if (!server->loop->debug)
        return;
    rondo_loop_report(server->loop, (rondo_exception_context){
                                        .message = "Error on transport creation for incoming connection",
                                        .error = rondo_last_error(),
                                        .error_message = rondo_last_error_message(),
                                        .socket = sock,
                                    });
}

static void make_connection(rondo_server *server, rondo_socket sock, const rondo_address *peer)
{
    rondo_loop *loop = server->loop;
    rondo_protocol *protocol = rondo_protocol_make(loop, server->factory, server->context);
    if (protocol && !server->is_closed) {
        if (!rondo_socket_nodelay_is_inherited)
            rondo_socket_set_nodelay(sock);
        if (rondo_stream_new(loop, sock, protocol, server, peer, NULL))
            return;
    }
    if (!protocol || !server->is_closed)
        report_connection(server, sock);
    rondo_protocol_unref(protocol);
    loop->core.driver->ops->close_socket(loop->core.driver, sock);
}

/* A socket on its way to the next pass. */
struct arrival {
    struct rondo_ready ready;
    rondo_server *server;
    rondo_socket sock;
    rondo_address peer;
};

static void run_arrival(struct rondo_ready *node, struct rondo_core *core)
{
    struct arrival *arrival = rondo_container(node, struct arrival, ready);
    rondo_loop *loop = rondo_loop_of(core);
    rondo_server *server = arrival->server;
    if (loop->closed)
        core->driver->ops->close_socket(core->driver, arrival->sock);
    else
        make_connection(server, arrival->sock, &arrival->peer);
    rondo_release(&loop->allocator, arrival);
    rondo_server_release(server);
}

static void queue_arrival(rondo_server *server, rondo_socket sock, const rondo_address *peer)
{
    rondo_loop *loop = server->loop;
    struct arrival *arrival = rondo_allocate(&loop->allocator, sizeof(*arrival));
    if (!arrival) {
        rondo_fail(RONDO_ENOMEM, NULL);
        report_connection(server, sock);
        loop->core.driver->ops->close_socket(loop->core.driver, sock);
        return;
    }
    arrival->ready.run = run_arrival;
    arrival->server = server;
    arrival->sock = sock;
    arrival->peer.length = 0;
    if (peer)
        arrival->peer = *peer;
    server->holders++;
    rondo_loop_queue_in_turn(loop, &arrival->ready);
}

/* --- the listener ------------------------------------------------------------------------------------------ */

static int submit(struct rondo_listener *listener)
{
    rondo_server *server = listener->server;
    struct rondo_driver *driver = server->loop->core.driver;
    int rc = driver->ops->submit(driver, &listener->accept);
    if (rc == 0)
        server->holders++;
    return rc;
}

static void start_again(void *context)
{
    struct rondo_listener *listener = context;
    listener->is_resting = false;
    if (!listener->server->is_closed)
        rondo_listener_start(listener);
}

void rondo_listener_wake(struct rondo_listener *listener)
{
    if (!listener->is_resting)
        return;
    rondo_handle_cancel(&listener->rest);
    start_again(listener);
}

static bool is_out_of_resources(int error)
{
    return error == RONDO_EMFILE || error == RONDO_ENFILE || error == RONDO_ENOBUFS || error == RONDO_ENOMEM;
}

static void rest(struct rondo_listener *listener, int error)
{
    rondo_server *server = listener->server;
    rondo_loop *loop = server->loop;
    rondo_loop_report(loop,
                      (rondo_exception_context){
                          .message = is_out_of_resources(error) ? "socket.accept() out of system resource"
                                                                : "Accept failed on a socket",
                          .error = error,
                          .error_message = rondo_strerror(error),
                          .socket = listener->sock,
                      });
    if (server->is_closed || loop->closed)
        return;
    listener->is_resting = true;
    if (rondo_loop_timer(loop, rondo_loop_deadline(loop, REST), &listener->rest, start_again, listener) < 0)
        listener->is_resting =
            submit(listener) < 0; /* else the next descriptor that is closed ends the rest */
}

static void on_accept(struct rondo_op *op)
{
    struct rondo_listener *listener = rondo_container(op, struct rondo_listener, accept);
    rondo_server *server = listener->server;
    struct rondo_driver *driver = server->loop->core.driver;
    if (op->result >= 0) {
        if (driver->ops->is_proactor)
            make_connection(server, (rondo_socket) op->result, op->address);
        else
            queue_arrival(server, (rondo_socket) op->result, op->address);
    } else if (op->result != RONDO_ECANCELLED && !server->is_closed) {
        rest(listener, (int) op->result);
    }
    if (!op->more)
        rondo_server_release(server);
}

int rondo_listener_start(struct rondo_listener *listener)
{
    rondo_server *server = listener->server;
    rondo_descriptor_enter(server->loop, listener->sock);
    listener->accept.kind = RONDO_OP_ACCEPT;
    listener->accept.socket = listener->sock;
    listener->accept.complete = on_accept;
    listener->accept.limit = server->backlog > 0 ? (unsigned) server->backlog : 1;
    int rc = submit(listener);
    if (rc < 0)
        rest(listener, rc);
    return 0;
}

void rondo_listener_stop(struct rondo_listener *listener)
{
    struct rondo_driver *driver = listener->server->loop->core.driver;
    rondo_handle_cancel(&listener->rest);
    listener->is_resting = false;
    driver->ops->cancel(driver, &listener->accept);
    rondo_descriptor_leave(listener->server->loop, listener->sock);
    driver->ops->close_socket(driver, listener->sock);
    listener->sock = RONDO_INVALID_SOCKET;
}
