/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a transport, which are the same for all kinds.
 *
 * The happy path: connection_made -> ... -> the kind says that all is over, at once or through the queue -> connection_lost -> the
 * descriptor is closed -> one pass of grace -> the memory goes once the last reference is given back. Invariants:
 * connection_lost is called exactly once, from OPEN through LOST_QUEUED to LOST, and nothing is called after it; its place in
 * the queue is fixed when the end is decided, and does not wait for operations that were cancelled: those hold the memory
 * and nothing else. */
#include "net.h"

#include <assert.h>

void rondo_transport_make(rondo_transport *transport)
{
    rondo_protocol *protocol = transport->protocol;
    transport->is_made = true;
    protocol->transport = transport;
    if (!protocol->ops->connection_made)
        return;
    protocol->ops->connection_made(protocol, transport);
    rondo_transport_callback_failed(transport, "Exception in protocol.connection_made()");
}

void rondo_transport_op_idle(rondo_transport *transport)
{
    if (transport->end == RONDO_TRANSPORT_OVER && transport->type->is_idle(transport))
        rondo_transport_unref(transport);
}

static void run_grace(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    rondo_transport *transport = rondo_container(node, rondo_transport, event);
    transport->end = RONDO_TRANSPORT_OVER;
    rondo_transport_op_idle(transport);
}

static void lose(rondo_transport *transport)
{
    transport->end = RONDO_TRANSPORT_LOST;
    const rondo_protocol_ops *ops = transport->protocol->ops;
    if (transport->is_made && ops->connection_lost) {
        ops->connection_lost(transport->protocol, transport->error);
        rondo_transport_callback_failed(transport, "Exception in protocol.connection_lost()");
    }
    rondo_transport_leave(transport);
    transport->event.run = run_grace;
    rondo_loop_queue(transport->loop, &transport->event);
}

static void run_lost(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    lose(rondo_container(node, rondo_transport, event));
}

void rondo_transport_queue_lost(rondo_transport *transport, int error)
{
    assert(transport->end == RONDO_TRANSPORT_OPEN);
    transport->end = RONDO_TRANSPORT_LOST_QUEUED;
    transport->error = error;
    transport->event.run = run_lost;
    rondo_loop_queue_in_turn(transport->loop, &transport->event);
}

void rondo_transport_flushed(rondo_transport *transport)
{
    if (transport->end != RONDO_TRANSPORT_OPEN || !transport->is_closing)
        return;
    if (transport->loop->core.driver->ops->is_proactor)
        rondo_transport_queue_lost(transport, 0);
    else
        lose(transport);
}

static void run_let_go(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    rondo_transport_unref(rondo_container(node, rondo_transport, event));
}

/* The last reference to one that is over: whoever has just got it from the future may still look at it in this pass. */
void rondo_transport_let_go(void *transport)
{
    rondo_transport *self = transport;
    if (self->references > 1 || self->loop->closed) {
        rondo_transport_unref(self);
        return;
    }
    self->event.run = run_let_go;
    rondo_loop_queue(self->loop, &self->event);
}
