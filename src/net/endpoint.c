/* SPDX-License-Identifier: MIT */
/* The datagram transport: its making, its receiving and its end. Sending has a file of its own.
 *
 * The happy path: made -> connection_made, start of reading, the completion of the call that made it (three nodes, queued in
 * that order) -> datagrams, each lent by the driver -> close: what is queued is sent -> connection_lost -> the socket is
 * closed -> one pass of grace -> the memory goes with the last reference. Failures: an error of the system goes to
 * error_received and ends nothing; what a callback raises goes to the exception handler, as from any callback of the loop, and
 * ends nothing either; only a driver that cannot go on ends an endpoint.
 * Invariants: connection_lost is called exactly once and nothing after it; its place in the queue does not wait for operations that
 * were cancelled, which hold the memory and nothing else. */
#include "endpoint.h"

#include <assert.h>

#include "../../platform/sockaddr.h"

static void endpoint_dispose(rondo_transport *transport)
{
    struct rondo_endpoint *endpoint = rondo_endpoint_of(transport);
    assert(!rondo_op_is_active(&endpoint->receive.op) && !rondo_op_is_active(&endpoint->writable));
    rondo_endpoint_send_free(endpoint);
    rondo_transport_dispose(transport);
}

/* --- the end ---------------------------------------------------------------------------------------- */

static bool endpoint_is_idle(const rondo_transport *transport)
{
    const struct rondo_endpoint *endpoint = rondo_container(transport, const struct rondo_endpoint, base);
    return !rondo_op_is_active(&endpoint->receive.op) && !rondo_op_is_active(&endpoint->writable) &&
           !endpoint->is_flush_queued;
}

static void begin_closing(struct rondo_endpoint *endpoint)
{
    struct rondo_driver *driver = endpoint->base.loop->core.driver;
    endpoint->base.is_closing = true;
    driver->ops->cancel(driver, &endpoint->receive.op);
}

static void endpoint_close(rondo_transport *transport)
{
    struct rondo_endpoint *endpoint = rondo_endpoint_of(transport);
    rondo_endpoint_send_collected(endpoint);
    if (transport->is_closing)
        return;
    begin_closing(endpoint);
    if (!endpoint->head)
        rondo_transport_queue_lost(transport, 0);
}

void rondo_endpoint_fail(struct rondo_endpoint *endpoint, int error)
{
    if (endpoint->base.end != RONDO_TRANSPORT_OPEN)
        return;
    rondo_endpoint_drop_output(endpoint);
    begin_closing(endpoint);
    rondo_transport_queue_lost(&endpoint->base, error);
}

static void endpoint_abort(rondo_transport *transport, int error)
{
    struct rondo_endpoint *endpoint = rondo_endpoint_of(transport);
    rondo_endpoint_send_collected(endpoint);
    rondo_endpoint_fail(endpoint, error);
}

void rondo_endpoint_fail_badly(struct rondo_endpoint *endpoint, int error)
{
    if (endpoint->base.end == RONDO_TRANSPORT_OPEN && rondo_err_class(error) != RONDO_CLASS_OS)
        rondo_loop_report(endpoint->base.loop, (rondo_exception_context){
                                                   .message = "Fatal error on datagram transport",
                                                   .error = error,
                                                   .error_message = rondo_strerror(error),
                                                   .transport = &endpoint->base,
                                                   .protocol = endpoint->base.protocol,
                                                   .socket = RONDO_INVALID_SOCKET,
                                               });
    rondo_endpoint_fail(endpoint, error);
}

/* --- receiving -------------------------------------------------------------------------------------- */

/* A table from before there were datagrams has no functions for them. */
static bool knows_datagrams(const rondo_protocol_ops *ops)
{
    return ops->size > offsetof(rondo_protocol_ops, error_received);
}

/* Returns what it has raised. */
static int call_error(struct rondo_endpoint *endpoint, int error, struct rondo_nested *nested,
                      const char **ret_message)
{
    rondo_protocol *protocol = endpoint->base.protocol;
    if (!knows_datagrams(protocol->ops) || !protocol->ops->error_received)
        return 0;
    rondo_nested_enter(endpoint->base.loop, nested);
    endpoint->depth++;
    protocol->ops->error_received(protocol, error);
    endpoint->depth--;
    return rondo_nested_leave(endpoint->base.loop, nested, ret_message);
}

void rondo_endpoint_tell_error(struct rondo_endpoint *endpoint, int error)
{
    struct rondo_nested nested;
    const char *message = NULL;
    int code = call_error(endpoint, error, &nested, &message);
    rondo_transport_report(&endpoint->base, "Exception in callback protocol.error_received()", code, message);
}

int rondo_endpoint_pass_error(struct rondo_endpoint *endpoint, int error)
{
    struct rondo_nested nested;
    const char *message = NULL;
    int code = call_error(endpoint, error, &nested, &message);
    return code ? rondo_fail_text(code, message) : 0;
}

static void deliver(struct rondo_endpoint *endpoint)
{
    struct rondo_datagram_receive *receive = &endpoint->receive;
    rondo_protocol *protocol = endpoint->base.protocol;
    if (!knows_datagrams(protocol->ops) || !protocol->ops->datagram_received)
        return;
    endpoint->is_delivering = true;
    protocol->ops->datagram_received(protocol, receive->op.data, (size_t) receive->op.result,
                                     receive->sender);
    endpoint->is_delivering = false;
    if (endpoint->base.loop->raised)
        rondo_transport_callback_failed(&endpoint->base,
                                        "Exception in callback protocol.datagram_received()");
}

static void on_receive(struct rondo_op *op)
{
    struct rondo_endpoint *endpoint = rondo_container(op, struct rondo_endpoint, receive.op);
    if (!op->more) {
        if (op->result != RONDO_ECANCELLED)
            rondo_endpoint_fail_badly(endpoint, (int) op->result);
        rondo_transport_op_idle(&endpoint->base);
    } else if (op->result >= 0) {
        deliver(endpoint);
    } else {
        rondo_endpoint_tell_error(endpoint, (int) op->result);
    }
}

static void on_delivered(struct rondo_op *op)
{
    rondo_endpoint_delivered(rondo_container(op, struct rondo_endpoint, receive.op));
}

static void submit(struct rondo_endpoint *endpoint)
{
    struct rondo_driver *driver = endpoint->base.loop->core.driver;
    int rc = driver->ops->submit(driver, &endpoint->receive.op);
    if (rc < 0)
        rondo_endpoint_fail_badly(endpoint, rc);
}

static void endpoint_pause(rondo_transport *transport)
{
    struct rondo_op *op = &rondo_endpoint_of(transport)->receive.op;
    struct rondo_driver *driver = transport->loop->core.driver;
    if (rondo_op_is_active(op))
        driver->ops->pause(driver, op);
}

static void endpoint_resume(rondo_transport *transport)
{
    struct rondo_endpoint *endpoint = rondo_endpoint_of(transport);
    struct rondo_driver *driver = transport->loop->core.driver;
    if (rondo_op_is_active(&endpoint->receive.op))
        driver->ops->resume(driver, &endpoint->receive.op);
    else if (endpoint->has_started)
        submit(endpoint);
}

/* --- the beginning ------------------------------------------------------------------------------------ */

const struct rondo_transport_type rondo_endpoint_type = {
    .size = sizeof(struct rondo_endpoint),
    .close = endpoint_close,
    .abort = endpoint_abort,
    .pause_reading = endpoint_pause,
    .resume_reading = endpoint_resume,
    .buffer_size = rondo_endpoint_buffer_size,
    .is_idle = endpoint_is_idle,
    .dispose = endpoint_dispose,
};

/* The making has the node of an op that is idle until the protocol knows the transport, as a stream's. */
static void run_made(struct rondo_ready *node, struct rondo_core *core)
{
    struct rondo_endpoint *endpoint = rondo_container(node, struct rondo_endpoint, writable.ready);
    if (!rondo_loop_of(core)->closed)
        rondo_transport_make(&endpoint->base);
}

static void run_start(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_endpoint *endpoint = rondo_container(node, struct rondo_endpoint, receive.op.ready);
    endpoint->has_started = true;
    if (!endpoint->base.is_closing && !endpoint->base.is_read_paused)
        submit(endpoint);
}

static void run_waiter(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_endpoint *endpoint = rondo_container(node, struct rondo_endpoint, waiter);
    rondo_future *future = endpoint->waiting;
    endpoint->waiting = NULL;
    if (!rondo_future_done(future))
        rondo_future_set_result(future, NULL);
    rondo_future_unref(future);
}

/* Whom the socket is connected to, or the default target of one that is not. */
static void note_target(struct rondo_endpoint *endpoint, const rondo_address *target)
{
    endpoint->is_connected = rondo_transport_peername(&endpoint->base, &endpoint->target) == 0;
    if (!endpoint->is_connected)
        endpoint->target = *target;
    rondo_address name;
    int family = rondo_transport_sockname(&endpoint->base, &name) == 0 ? rondo_address_family(&name) : 0;
    endpoint->receive.may_read_ahead = family == AF_INET || family == AF_INET6;
}

static void queue_node(rondo_loop *loop, struct rondo_ready *node, rondo_run_fn *run)
{
    node->run = run;
    rondo_loop_queue_in_turn(loop, node);
}

rondo_transport *rondo_endpoint_new(rondo_loop *loop, rondo_socket sock, rondo_protocol *protocol,
                                    const rondo_address *target, rondo_future *waiter)
{
    rondo_transport *base = rondo_transport_new(&rondo_endpoint_type, loop, sock, protocol, NULL);
    if (!base)
        return NULL;
    struct rondo_endpoint *endpoint = rondo_endpoint_of(base);
    endpoint->receive.op.kind = RONDO_OP_RECV_DATAGRAMS;
    endpoint->receive.op.socket = sock;
    endpoint->receive.op.complete = on_receive;
    endpoint->receive.delivered = on_delivered;
    note_target(endpoint, target);
    rondo_endpoint_send_init(endpoint);
    endpoint->waiting = rondo_future_ref(waiter);
    queue_node(loop, &endpoint->writable.ready, run_made); /* both ops are idle until these have run */
    queue_node(loop, &endpoint->receive.op.ready, run_start);
    queue_node(loop, &endpoint->waiter, run_waiter);
    return base;
}
