/* SPDX-License-Identifier: MIT */
/* Low-level socket operations (18.5.1.9): the life of a call, receiving and sending. Accepting and connecting are in
 * sock_connect.c.
 *
 * The happy path: the call is checked and tried; if that would block it watches its side of the socket and is tried again
 * whenever that is ready; then its future is done. On each backend it is this: a watch, and calls that do not block, so that
 * nothing of the caller's is in the kernel's hands and a cancelled call has taken nothing.
 * Failures: misuse at once; the system's errors by the future; a call whose place was taken fails with RONDO_EBUSY.
 * Invariant: a call that waits holds a reference to itself, and is on its side exactly as long. */
#include "sock.h"

#include <limits.h>
#include <string.h>

#include <rondo/task.h>

/* --- the life of a call ------------------------------------------------------------------------------------ */

static bool call_cancel(rondo_future *future);
static void call_dispose(rondo_future *future);

static const struct rondo_future_type call_type = { .cancel = call_cancel, .dispose = call_dispose };

int rondo_sock_check(rondo_loop *loop, rondo_socket sock, bool *ret_is_blocking)
{
    int rc = rondo_loop_check(loop);
    if (rc < 0)
        return rc;
    unsigned capabilities = rondo_loop_capabilities(loop);
    if (!(capabilities & RONDO_CAN_SOCKET_CALLS))
        return rondo_fail(RONDO_ENOTSUP, "this loop has no low-level socket operations");
    if (sock == RONDO_INVALID_SOCKET)
        return rondo_fail(RONDO_EBADF, NULL);
    rc = rondo_socket_is_nonblocking(sock);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    if (rc == 0 && !(capabilities & RONDO_CAN_BLOCKING_SOCKETS))
        return rondo_fail(RONDO_EINVAL, "the socket must be non-blocking on a selector's loop");
    if (rondo_descriptor_owner(loop, sock))
        return rondo_fail(RONDO_EBUSY, "the socket is used by a transport");
    *ret_is_blocking = rc == 0;
    return 0;
}

struct rondo_sock_call *rondo_sock_call_new(rondo_loop *loop, rondo_socket sock,
                                            const struct rondo_sock_kind *kind)
{
    bool is_blocking = false;
    if (rondo_sock_check(loop, sock, &is_blocking) < 0)
        return NULL;
    struct rondo_sock_call *call =
        (struct rondo_sock_call *) (void *) rondo_future_make(loop, &call_type, sizeof *call);
    if (!call)
        return NULL;
    call->kind = kind;
    call->sock = sock;
    call->is_blocking = is_blocking;
    return call;
}

static void call_dispose(rondo_future *future)
{
    struct rondo_sock_call *call = rondo_container(future, struct rondo_sock_call, future);
    rondo_received_free(call->received);
    rondo_accepted_free(call->accepted);
    rondo_received_fds_free(call->received_fds);
    rondo_future_dispose(future);
}

static void settle(struct rondo_sock_call *call, ptrdiff_t result)
{
    if (result >= 0)
        call->kind->succeed(call, result);
    else if (call->kind->fail)
        call->kind->fail(call, (int) result);
    else
        rondo_future_fail(&call->future, (int) result, NULL);
}

/* Leave the side, if it is on one. The reference that it held is the caller's. */
static bool stop_waiting(struct rondo_sock_call *call)
{
    struct rondo_side *side = call->side;
    call->side = NULL;
    if (side)
        rondo_side_clear(side);
    return side;
}

static bool call_cancel(rondo_future *future)
{
    struct rondo_sock_call *call = rondo_container(future, struct rondo_sock_call, future);
    bool was_waiting = stop_waiting(call);
    bool taken = rondo_future_cancel_now(future);
    if (was_waiting)
        rondo_future_unref(future);
    return taken;
}

static void call_ready(struct rondo_side *side)
{
    struct rondo_sock_call *call = side->watch.context;
    ptrdiff_t result = call->kind->attempt(call);
    if (result == RONDO_SOCK_WAIT)
        return;
    if (result == 0 && side->op.result < 0) /* no error of the socket's any more: it came with the event */
        result = side->op.result;
    stop_waiting(call);
    settle(call, result);
    rondo_future_unref(&call->future);
}

static void call_ended(struct rondo_side *side, const struct rondo_watch *watch, int reason)
{
    (void) side;
    struct rondo_sock_call *call = watch->context;
    call->side = NULL;
    if (reason == RONDO_ECLOSED)
        rondo_future_cancel_now(&call->future);
    else
        rondo_future_fail(&call->future, reason,
                          reason == RONDO_EBUSY ? "a later operation has taken the place of this one" : NULL);
    rondo_future_unref(&call->future);
}

static const struct rondo_watch_type watch_type = { .ready = call_ready, .ended = call_ended };

rondo_future *rondo_sock_call_start(struct rondo_sock_call *call)
{
    rondo_future *future = &call->future;
    ptrdiff_t result = call->kind->attempt(call);
    if (result != RONDO_SOCK_WAIT) {
        settle(call, result);
        return future;
    }
    const struct rondo_watch watch = { .type = &watch_type, .context = call };
    rondo_future_ref(future);
    int rc = rondo_descriptor_watch(future->loop, call->sock, call->kind->side, &watch, &call->side);
    if (rc == 0)
        return future;
    settle(call, rc); /* the first try may have sent a part, or begun to connect */
    rondo_future_unref(future);
    return future;
}

/* --- values that are handed out ------------------------------------------------------------------------------ */

/* They may outlive the loop, so each knows where its memory comes from. */
struct handout {
    rondo_allocator allocator;
    _Alignas(16) unsigned char value[];
};

void *rondo_handout_new(rondo_loop *loop, size_t size)
{
    struct handout *handout = rondo_allocate(&loop->allocator, sizeof(*handout) + size);
    if (!handout) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    handout->allocator = loop->allocator;
    return handout->value;
}

void rondo_handout_free(void *value)
{
    struct handout *handout = rondo_container(value, struct handout, value);
    rondo_allocator allocator = handout->allocator;
    rondo_release(&allocator, handout);
}

static unsigned char *bytes_of(rondo_received *received)
{
    return (unsigned char *) (received + 1);
}

static rondo_received *new_received(rondo_loop *loop, size_t length)
{
    rondo_received *received = rondo_handout_new(loop, sizeof(*received) + length);
    if (received)
        *received = (rondo_received){ .data = bytes_of(received) };
    return received;
}

void rondo_received_free(rondo_received *received)
{
    if (received)
        rondo_handout_free(received);
}

/* Most receives bring less than what was asked for: give the rest back. */
static rondo_received *shrink(rondo_received *received, size_t length)
{
    struct handout *handout = rondo_container(received, struct handout, value);
    rondo_allocator allocator = handout->allocator;
    handout = rondo_reallocate(&allocator, handout, sizeof(*handout) + sizeof(*received) + length);
    if (!handout)
        return received;
    received = (rondo_received *) (void *) handout->value;
    received->data = bytes_of(received);
    return received;
}

static void destroy_received(void *received)
{
    rondo_received_free(received);
}

static size_t cut(size_t length)
{
    return length < INT_MAX ? length : INT_MAX;
}

/* --- receiving ------------------------------------------------------------------------------------------------- */

static ptrdiff_t try_receive(struct rondo_sock_call *call)
{
    return rondo_sock_outcome(rondo_socket_recvfrom(call->sock, call->memory, call->length, call->sender));
}

static void give_number(struct rondo_sock_call *call, ptrdiff_t result)
{
    rondo_future_finish(&call->future, (int) result, NULL, NULL);
}

static void give_received(struct rondo_sock_call *call, ptrdiff_t result)
{
    rondo_received *received = call->received;
    call->received = NULL;
    if ((size_t) result < call->length)
        received = shrink(received, (size_t) result);
    received->length = (size_t) result;
    rondo_future_finish(&call->future, 0, received, destroy_received);
}

static rondo_future *receive(rondo_loop *loop, rondo_socket sock, size_t length, bool wants_sender)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_READ, try_receive, give_received, NULL };
    struct rondo_sock_call *call = rondo_sock_call_new(loop, sock, &kind);
    if (!call)
        return NULL;
    call->length = cut(length);
    call->received = new_received(loop, call->length);
    if (!call->received) {
        rondo_future_unref(&call->future);
        return NULL;
    }
    call->memory = call->received->data;
    call->sender = wants_sender ? &call->received->sender : NULL;
    return rondo_sock_call_start(call);
}

rondo_future *rondo_sock_recv(rondo_loop *loop, rondo_socket sock, size_t length)
{
    return receive(loop, sock, length, false);
}

rondo_future *rondo_sock_recvfrom(rondo_loop *loop, rondo_socket sock, size_t length)
{
    return receive(loop, sock, length, true);
}

int rondo_await_received(rondo_future *future, rondo_received **ret_received)
{
    void *received = NULL;
    int rc = rondo_await(future, &received);
    if (rc < 0)
        return rc;
    if (ret_received)
        *ret_received = received;
    else
        rondo_received_free(received);
    return 0;
}

rondo_future *rondo_sock_recvfrom_into(rondo_loop *loop, rondo_socket sock, void *memory, size_t length,
                                       rondo_address *ret_sender)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_READ, try_receive, give_number, NULL };
    struct rondo_sock_call *call = rondo_sock_call_new(loop, sock, &kind);
    if (!call)
        return NULL;
    if (!memory && length) {
        rondo_future_unref(&call->future);
        rondo_fail(RONDO_EINVAL, "no memory to receive into given");
        return NULL;
    }
    call->memory = memory;
    call->length = cut(length);
    call->sender = ret_sender;
    return rondo_sock_call_start(call);
}

rondo_future *rondo_sock_recv_into(rondo_loop *loop, rondo_socket sock, void *memory, size_t length)
{
    return rondo_sock_recvfrom_into(loop, sock, memory, length, NULL);
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static ptrdiff_t try_sendall(struct rondo_sock_call *call)
{
    size_t left = call->length - call->done;
    ptrdiff_t n = rondo_socket_sendto(call->sock, call->memory + call->done, left, NULL);
    if (n < 0)
        return rondo_sock_outcome(n);
    call->done += (size_t) n;
    return call->done == call->length ? 0 : RONDO_SOCK_WAIT;
}

static ptrdiff_t try_sendto(struct rondo_sock_call *call)
{
    const rondo_address *address = call->address.length ? &call->address : NULL;
    return rondo_sock_outcome(rondo_socket_sendto(call->sock, call->memory, call->length, address));
}

static struct rondo_sock_call *new_send(rondo_loop *loop, rondo_socket sock, const void *data, size_t length,
                                        const struct rondo_sock_kind *kind)
{
    struct rondo_sock_call *call = rondo_sock_call_new(loop, sock, kind);
    if (!call)
        return NULL;
    if (!data && length) {
        rondo_future_unref(&call->future);
        rondo_fail(RONDO_EINVAL, "no data given");
        return NULL;
    }
    call->memory = (unsigned char *) (uintptr_t) (data ? data : ""); /* only read from */
    call->length = length;
    return call;
}

rondo_future *rondo_sock_sendall(rondo_loop *loop, rondo_socket sock, const void *data, size_t length)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_WRITE, try_sendall, give_number, NULL };
    struct rondo_sock_call *call = new_send(loop, sock, data, length, &kind);
    return call ? rondo_sock_call_start(call) : NULL;
}

rondo_future *rondo_sock_sendto(rondo_loop *loop, rondo_socket sock, const void *data, size_t length,
                                const rondo_address *address)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_WRITE, try_sendto, give_number, NULL };
    struct rondo_sock_call *call = new_send(loop, sock, data, length, &kind);
    if (!call)
        return NULL;
    if (address)
        call->address = *address;
    return rondo_sock_call_start(call);
}
