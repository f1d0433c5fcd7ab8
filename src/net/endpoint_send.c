/* SPDX-License-Identifier: MIT */
/* The sending half of a datagram transport.
 *
 * The happy path on a selector: nothing is queued, and the datagram is sent at once. What the kernel would not take is copied, and
 * sent when the socket can be written to. A proactor copies each, and sends all of a pass in the next one, or at the end of a batch
 * of received ones.
 *
 * Answers are collected: while datagrams come in a batch, a small one to the very sender of that which is being told is
 * copied, and all of them leave in one call at the end of the batch. Nobody can tell: such a send fails for want of room
 * alone, and then they are what is queued. Any other datagram, and the closing, sends them first.
 *
 * Failures: an error of the system is the datagram's own; it is lost, and error_received hears of it. No memory for a copy is
 * the caller's error. Invariant: datagrams leave in the order of their sendto. */
#include "endpoint.h"

#include <string.h>

#include "../../platform/datagram.h"
#include "../base/memory.h"

#define WARN_FROM 5
#define DEEPEST 16            /* error_received that sends what fails again, inside one another */
#define SMALL ((size_t) 1472) /* what fits into one frame of Ethernet */
#define MOST_SPARES 32u
#define RETRY RONDO_MS(1)

struct rondo_packet {
    struct rondo_packet *next;
    size_t length;
    rondo_address to; /* length 0: to whom the socket is connected */
    bool is_small;    /* has room for SMALL bytes */
    unsigned char bytes[];
};

static void on_writable(struct rondo_op *op);

void rondo_endpoint_send_init(struct rondo_endpoint *endpoint)
{
    endpoint->writable.kind = RONDO_OP_WRITABLE;
    endpoint->writable.socket = endpoint->base.sock;
    endpoint->writable.complete = on_writable;
    endpoint->tail = &endpoint->head;
}

static bool is_proactor(const struct rondo_endpoint *endpoint)
{
    return endpoint->base.loop->core.driver->ops->is_proactor;
}

/* --- the queue ---------------------------------------------------------------------------------------- */

static struct rondo_packet *new_packet(struct rondo_endpoint *endpoint, size_t length)
{
    struct rondo_packet *packet = endpoint->spares;
    bool is_small = length <= SMALL;
    if (is_small && packet) {
        endpoint->spares = packet->next;
        endpoint->spare_count--;
        return packet;
    }
    if (length > SIZE_MAX - sizeof(*packet))
        return NULL;
    packet = rondo_allocate(&endpoint->base.loop->allocator, sizeof(*packet) + (is_small ? SMALL : length));
    if (packet)
        packet->is_small = is_small;
    return packet;
}

static void release_packet(struct rondo_endpoint *endpoint, struct rondo_packet *packet)
{
    if (!packet->is_small || endpoint->spare_count == MOST_SPARES) {
        rondo_release(&endpoint->base.loop->allocator, packet);
        return;
    }
    packet->next = endpoint->spares;
    endpoint->spares = packet;
    endpoint->spare_count++;
}

static int enqueue(struct rondo_endpoint *endpoint, const void *data, size_t length, const rondo_address *to)
{
    struct rondo_packet *packet = new_packet(endpoint, length);
    if (!packet)
        return rondo_fail(RONDO_ENOMEM, NULL);
    packet->next = NULL;
    packet->length = length;
    packet->to.length = 0;
    if (to)
        packet->to = *to;
    if (length)
        memcpy(packet->bytes, data, length);
    *endpoint->tail = packet;
    endpoint->tail = &packet->next;
    endpoint->size += length;
    endpoint->count++;
    return 0;
}

static void dequeue(struct rondo_endpoint *endpoint)
{
    struct rondo_packet *packet = endpoint->head;
    endpoint->head = packet->next;
    if (!endpoint->head)
        endpoint->tail = &endpoint->head;
    endpoint->size -= packet->length;
    endpoint->count--;
    release_packet(endpoint, packet);
}

/* The first one that a proactor has is in flight for asyncio, and does not count. */
size_t rondo_endpoint_buffer_size(const rondo_transport *transport)
{
    const struct rondo_endpoint *endpoint = rondo_container(transport, const struct rondo_endpoint, base);
    if (endpoint->is_collecting)
        return 0;
    return endpoint->head && is_proactor(endpoint) ? endpoint->size - endpoint->head->length : endpoint->size;
}

void rondo_endpoint_drop_output(struct rondo_endpoint *endpoint)
{
    struct rondo_driver *driver = endpoint->base.loop->core.driver;
    while (endpoint->head)
        dequeue(endpoint);
    endpoint->is_collecting = false;
    rondo_handle_cancel(&endpoint->retry);
    driver->ops->cancel(driver, &endpoint->writable);
}

void rondo_endpoint_send_free(struct rondo_endpoint *endpoint)
{
    while (endpoint->head)
        dequeue(endpoint);
    while (endpoint->spares) {
        struct rondo_packet *packet = endpoint->spares;
        endpoint->spares = packet->next;
        rondo_release(&endpoint->base.loop->allocator, packet);
    }
}

/* --- sending what is queued ------------------------------------------------------------------------------ */

/* As many as one call takes; what rondo_socket_send_datagrams returns. Those that are sent leave the queue, and so does the one that
 * has an error. */
static ptrdiff_t send_some(struct rondo_endpoint *endpoint)
{
    struct rondo_outgoing list[RONDO_DATAGRAMS];
    size_t count = 0;
    for (struct rondo_packet *packet = endpoint->head; packet && count < RONDO_DATAGRAMS;
         packet = packet->next)
        list[count++] = (struct rondo_outgoing){
            .data = packet->bytes,
            .length = packet->length,
            .to = packet->to.length ? &packet->to : NULL,
        };
    ptrdiff_t n = rondo_socket_send_datagrams(endpoint->base.sock, list, count);
    size_t gone = n > 0 ? (size_t) n : n == RONDO_EAGAIN ? 0 : 1;
    while (gone--)
        dequeue(endpoint);
    return n;
}

static void wait_writable(struct rondo_endpoint *endpoint)
{
    struct rondo_driver *driver = endpoint->base.loop->core.driver;
    if (rondo_op_is_active(&endpoint->writable))
        return;
    int rc = driver->ops->submit(driver, &endpoint->writable);
    if (rc < 0)
        rondo_endpoint_fail_badly(endpoint, rc);
}

static void send_queued(struct rondo_endpoint *endpoint, bool is_writable);

static void on_retry(void *context)
{
    send_queued(context, true);
}

/* The socket is said to be writable, and the kernel takes nothing: it is the receiver, of the Unix family, that has no room,
 * and nobody tells when it has. */
static void wait_a_while(struct rondo_endpoint *endpoint)
{
    rondo_loop *loop = endpoint->base.loop;
    if (rondo_loop_timer(loop, rondo_loop_deadline(loop, RETRY), &endpoint->retry, on_retry, endpoint) < 0)
        wait_writable(endpoint);
}

static void run_flush(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_endpoint *endpoint = rondo_container(node, struct rondo_endpoint, flush);
    endpoint->is_flush_queued = false;
    if (endpoint->base.end == RONDO_TRANSPORT_OPEN)
        send_queued(endpoint, false);
    else
        rondo_transport_op_idle(&endpoint->base);
}

static void queue_flush(struct rondo_endpoint *endpoint)
{
    if (endpoint->is_flush_queued)
        return;
    endpoint->is_flush_queued = true;
    endpoint->flush.run = run_flush;
    rondo_loop_queue(endpoint->base.loop, &endpoint->flush);
}

/* Go on where an error has ended a turn, as asyncio does: when the socket can be written to, even if nothing is left. */
static void go_on_later(struct rondo_endpoint *endpoint)
{
    if (is_proactor(endpoint))
        queue_flush(endpoint);
    else
        wait_writable(endpoint);
}

/* A turn of sending: until nothing is left, or the kernel has no room (or, @is_writable, said so and has none), or one datagram
 * has an error. */
static void send_queued(struct rondo_endpoint *endpoint, bool is_writable)
{
    ptrdiff_t n = 0;
    size_t before = endpoint->count;
    while (endpoint->head && (n = send_some(endpoint)) > 0)
        continue;
    if (n < 0 && n != RONDO_EAGAIN) {
        rondo_endpoint_tell_error(endpoint, (int) n);
        if (endpoint->base.end == RONDO_TRANSPORT_OPEN)
            go_on_later(endpoint);
        return;
    }
    bool is_stuck = is_writable && endpoint->head && endpoint->count == before;
    rondo_transport_maybe_resume(&endpoint->base); /* may send, close or abort */
    if (endpoint->base.end != RONDO_TRANSPORT_OPEN)
        return;
    if (!endpoint->head)
        rondo_transport_flushed(&endpoint->base);
    else if (is_stuck && !endpoint->receive.may_read_ahead)
        wait_a_while(endpoint);
    else if (!endpoint->is_flush_queued)
        wait_writable(endpoint);
}

static void on_writable(struct rondo_op *op)
{
    struct rondo_endpoint *endpoint = rondo_container(op, struct rondo_endpoint, writable);
    if (endpoint->base.end != RONDO_TRANSPORT_OPEN)
        rondo_transport_op_idle(&endpoint->base);
    else if (op->result < 0)
        rondo_endpoint_fail_badly(endpoint, (int) op->result);
    else
        send_queued(endpoint, true);
}

void rondo_endpoint_send_collected(struct rondo_endpoint *endpoint)
{
    while (endpoint->is_collecting && endpoint->head) {
        ptrdiff_t n = send_some(endpoint);
        if (n == RONDO_EAGAIN) {
            endpoint->is_collecting = false;
            wait_writable(endpoint);
            rondo_transport_maybe_pause(&endpoint->base);
        } else if (n < 0) {
            rondo_endpoint_tell_error(endpoint, (int) n); /* may send, close or abort */
        }
    }
    endpoint->is_collecting = false;
}

void rondo_endpoint_delivered(struct rondo_endpoint *endpoint)
{
    if (!is_proactor(endpoint))
        rondo_endpoint_send_collected(endpoint);
    else if (endpoint->head && endpoint->base.end == RONDO_TRANSPORT_OPEN &&
             !rondo_op_is_active(&endpoint->writable))
        send_queued(endpoint, false);
}

/* --- sendto -------------------------------------------------------------------------------------------- */

static int ignore_send(struct rondo_endpoint *endpoint)
{
    if (endpoint->ignored_sends < WARN_FROM)
        endpoint->ignored_sends++;
    if (endpoint->ignored_sends == WARN_FROM)
        rondo_log(RONDO_LOG_WARNING, is_proactor(endpoint) ? "socket.sendto() raised exception."
                                                           : "socket.send() raised exception.");
    return 0;
}

static bool is_in_batch(const struct rondo_endpoint *endpoint)
{
    return endpoint->is_delivering && endpoint->receive.is_batch;
}

/* Whether the datagram may leave when the batch was told. */
static bool is_answer(const struct rondo_endpoint *endpoint, size_t length, const rondo_address *to)
{
    const struct rondo_datagram_receive *receive = &endpoint->receive;
    return is_in_batch(endpoint) && !endpoint->depth && to && length <= SMALL &&
           rondo_address_equal(to, receive->sender);
}

static int collect(struct rondo_endpoint *endpoint, const void *data, size_t length, const rondo_address *to)
{
    int rc = enqueue(endpoint, data, length, to);
    if (rc < 0)
        return rc;
    endpoint->is_collecting = true;
    if (endpoint->count == RONDO_DATAGRAMS)
        rondo_endpoint_send_collected(endpoint);
    return 0;
}

static int send_later(struct rondo_endpoint *endpoint, const void *data, size_t length,
                      const rondo_address *to)
{
    int rc = enqueue(endpoint, data, length, to);
    if (rc < 0)
        return rc;
    if (endpoint->count == 1 && !is_proactor(endpoint))
        wait_writable(endpoint);
    else if (endpoint->count == 1 && !is_in_batch(endpoint)) /* else rondo_endpoint_delivered sends it */
        queue_flush(endpoint);
    rondo_transport_maybe_pause(&endpoint->base);
    return 0;
}

static int send_now(struct rondo_endpoint *endpoint, const void *data, size_t length, const rondo_address *to)
{
    if (endpoint->is_collecting || (!endpoint->head && is_answer(endpoint, length, to))) {
        if (is_answer(endpoint, length, to))
            return collect(endpoint, data, length, to);
        rondo_endpoint_send_collected(endpoint);
        if (endpoint->base.is_closing)
            return ignore_send(endpoint);
    }
    if (endpoint->head || endpoint->depth == DEEPEST)
        return send_later(endpoint, data, length, to);
    ptrdiff_t n = rondo_socket_sendto(endpoint->base.sock, data, length, to);
    if (n >= 0)
        return 0;
    return n == RONDO_EAGAIN ? send_later(endpoint, data, length, to)
                             : rondo_endpoint_pass_error(endpoint, (int) n);
}

static int check_target(const struct rondo_endpoint *endpoint, const rondo_address *to)
{
    const rondo_address *target = &endpoint->target;
    if (to && (!to->length || to->length > sizeof to->storage))
        return rondo_fail(RONDO_EINVAL, "the address is empty, or too long to be one");
    if (!to && !target->length)
        return rondo_fail(RONDO_EDESTADDRREQ, "the endpoint has no default address: name one");
    if (to && target->length && !rondo_address_equal(to, target)) {
        char text[160];
        rondo_address_format(target, text, sizeof text);
        return rondo_fail(RONDO_EINVAL, "Invalid address: must be None or %s", text);
    }
    return 0;
}

int rondo_datagram_sendto(rondo_transport *transport, const void *data, size_t length,
                          const rondo_address *to)
{
    if (!transport || (!data && length))
        return rondo_fail(RONDO_EINVAL, "no transport or no data given");
    if (transport->type != &rondo_endpoint_type)
        return rondo_fail(RONDO_ENOTSUP, "the transport is no datagram endpoint");
    struct rondo_endpoint *endpoint = rondo_endpoint_of(transport);
    int rc = check_target(endpoint, to);
    if (rc < 0)
        return rc;
    if (transport->is_closing)
        return ignore_send(endpoint);
    if (endpoint->is_connected)
        to = NULL;
    else if (!to)
        to = &endpoint->target;
    return is_proactor(endpoint) ? send_later(endpoint, data, length, to)
                                 : send_now(endpoint, data, length, to);
}
