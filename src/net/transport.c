/* SPDX-License-Identifier: MIT */
/* The public calls on transports: checks, what all kinds have in common, and the way to the kind's own function. */
#include "descriptor.h"

#include <string.h>

#define HIGH_MARK ((size_t) 64 * 1024)

static void *place_of_peer(const rondo_transport *transport)
{
    return (char *) (uintptr_t) transport + transport->type->size;
}

/* How many bytes of an address have to be kept: those of an IPv4 one end with eight zeros. */
static size_t count_kept(const rondo_address *address)
{
    size_t count = address->length;
    while (count && !address->storage.bytes[count - 1])
        count--;
    return count;
}

rondo_transport *rondo_transport_new(const struct rondo_transport_type *type, rondo_loop *loop,
                                     rondo_socket sock, rondo_protocol *protocol, const rondo_address *peer)
{
    rondo_address asked;
    asked.length = 0;
    if (!peer || !peer->length) {
        if (!type->is_pipe)
            rondo_socket_peer(sock, &asked);
        peer = &asked;
    }
    if (rondo_descriptor_reserve(loop, sock) < 0)
        return NULL;
    size_t kept = count_kept(peer);
    rondo_transport *transport = rondo_allocate_zeroed(&loop->allocator, type->size + kept);
    if (!transport) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    transport->type = type;
    transport->loop = loop;
    transport->protocol = protocol;
    transport->sock = sock;
    transport->references = 1;
    transport->high = HIGH_MARK;
    transport->low = HIGH_MARK / 4;
    transport->peer_length = (uint8_t) peer->length;
    transport->peer_kept = (uint8_t) kept;
    memcpy(place_of_peer(transport), peer->storage.bytes, kept);
    rondo_link_append(&loop->transports, &transport->link);
    rondo_descriptor_own(loop, sock);
    return transport;
}

rondo_transport *rondo_transport_ref(rondo_transport *transport)
{
    if (transport)
        transport->references++;
    return transport;
}

void rondo_transport_unref(rondo_transport *transport)
{
    if (transport && --transport->references == 0)
        transport->type->dispose(transport);
}

void rondo_transport_dispose(rondo_transport *transport)
{
    rondo_release(&transport->loop->allocator, transport->sockname);
    rondo_release(&transport->loop->allocator, transport);
}

/* The socket's own address, which costs a call and memory: only where somebody can still ask for it. */
static rondo_address *keep_name(const rondo_transport *transport)
{
    const rondo_allocator *allocator = &transport->loop->allocator;
    bool is_wanted = transport->references > 1 && !transport->type->is_pipe;
    rondo_address *name = is_wanted ? rondo_allocate_zeroed(allocator, sizeof(*name)) : NULL;
    if (name && rondo_socket_name(transport->sock, name) == 0)
        return name;
    rondo_release(allocator, name);
    return NULL;
}

void rondo_transport_leave(rondo_transport *transport)
{
    rondo_loop *loop = transport->loop;
    rondo_protocol *protocol = transport->protocol;
    transport->protocol = NULL;
    if (protocol->transport == transport)
        protocol->transport = NULL;
    rondo_protocol_unref(protocol);
    rondo_link_remove(&transport->link);
    transport->sockname = keep_name(transport);
    rondo_socket sock = transport->sock;
    transport->sock = RONDO_INVALID_SOCKET;
    rondo_descriptor_leave(loop, sock);
    loop->core.driver->ops->close_socket(loop->core.driver, sock);
    rondo_servers_descriptor_freed(loop);
    if (transport->server)
        rondo_server_detach(transport->server);
    transport->server = NULL;
}

int rondo_transport_report(rondo_transport *transport, const char *message, int code,
                           const char *error_message)
{
    if (code)
        rondo_loop_report(transport->loop, (rondo_exception_context){
                                               .message = message,
                                               .error = code,
                                               .error_message = error_message,
                                               .transport = transport,
                                               .protocol = transport->protocol,
                                               .socket = RONDO_INVALID_SOCKET,
                                           });
    return code;
}

int rondo_transport_callback_failed(rondo_transport *transport, const char *message)
{
    const char *error_message = NULL;
    int code = rondo_loop_take_raised(transport->loop, &error_message);
    return rondo_transport_report(transport, message, code, error_message);
}

/* --- flow control --------------------------------------------------------------------------------- */

/* These two may be called inside a task's or another callback's write. */
static void call_flow(rondo_transport *transport, void (*callback)(rondo_protocol *protocol),
                      const char *message)
{
    if (!callback)
        return;
    struct rondo_nested nested;
    const char *error_message = NULL;
    rondo_nested_enter(transport->loop, &nested);
    callback(transport->protocol);
    int code = rondo_nested_leave(transport->loop, &nested, &error_message);
    rondo_transport_report(transport, message, code, error_message);
}

void rondo_transport_maybe_pause(rondo_transport *transport)
{
    if (transport->is_write_paused || !transport->protocol ||
        transport->type->buffer_size(transport) <= transport->high)
        return;
    transport->is_write_paused = true;
    call_flow(transport, transport->protocol->ops->pause_writing, "protocol.pause_writing() failed");
}

void rondo_transport_maybe_resume(rondo_transport *transport)
{
    if (!transport->is_write_paused || !transport->protocol ||
        transport->type->buffer_size(transport) > transport->low)
        return;
    transport->is_write_paused = false;
    call_flow(transport, transport->protocol->ops->resume_writing, "protocol.resume_writing() failed");
}

int rondo_transport_set_write_buffer_limits(rondo_transport *transport, size_t high, size_t low)
{
    if (!transport)
        return rondo_fail(RONDO_EINVAL, "no transport given");
    if (!transport->type->buffer_size)
        return rondo_fail(RONDO_ENOTSUP, "the transport is for reading only");
    if (high == RONDO_DEFAULT_MARK)
        high = low == RONDO_DEFAULT_MARK ? HIGH_MARK : low > SIZE_MAX / 4 ? SIZE_MAX - 1 : 4 * low;
    if (low == RONDO_DEFAULT_MARK)
        low = high / 4;
    if (high < low)
        return rondo_fail(RONDO_EINVAL, "high (%zu) must be >= low (%zu)", high, low);
    transport->high = high;
    transport->low = low;
    rondo_transport_maybe_pause(transport);
    return 0;
}

void rondo_transport_get_write_buffer_limits(const rondo_transport *transport, size_t *ret_low,
                                             size_t *ret_high)
{
    if (ret_low)
        *ret_low = transport ? transport->low : 0;
    if (ret_high)
        *ret_high = transport ? transport->high : 0;
}

size_t rondo_transport_get_write_buffer_size(const rondo_transport *transport)
{
    return transport && transport->type->buffer_size ? transport->type->buffer_size(transport) : 0;
}

/* --- writing ---------------------------------------------------------------------------------------- */

int rondo_transport_write(rondo_transport *transport, const void *data, size_t length)
{
    if (!transport || (!data && length))
        return rondo_fail(RONDO_EINVAL, "no transport or no data given");
    if (!transport->type->write)
        return rondo_fail(RONDO_ENOTSUP, "the transport is for reading only");
    rondo_bytes piece = { data, length };
    return transport->type->write(transport, &piece, 1);
}

int rondo_transport_writelines(rondo_transport *transport, const rondo_bytes *pieces, size_t count)
{
    if (!transport || (!pieces && count))
        return rondo_fail(RONDO_EINVAL, "no transport or no data given");
    for (size_t i = 0; i < count; i++)
        if (!pieces[i].data && pieces[i].length)
            return rondo_fail(RONDO_EINVAL, "piece number %zu has a length but no data", i);
    if (!transport->type->write)
        return rondo_fail(RONDO_ENOTSUP, "the transport is for reading only");
    return transport->type->write(transport, pieces, count);
}

int rondo_transport_write_eof(rondo_transport *transport)
{
    if (!transport)
        return rondo_fail(RONDO_EINVAL, "no transport given");
    if (!transport->type->write)
        return rondo_fail(RONDO_ENOTSUP, "the transport is for reading only");
    if (!transport->type->write_eof)
        return rondo_fail(RONDO_ENOTSUP, "the transport cannot end its sending half alone");
    return transport->type->write_eof(transport);
}

bool rondo_transport_can_write_eof(const rondo_transport *transport)
{
    return transport && transport->type->write_eof;
}

/* --- closing and reading ------------------------------------------------------------------------------ */

void rondo_transport_close(rondo_transport *transport)
{
    if (transport)
        transport->type->close(transport);
}

void rondo_transport_abort(rondo_transport *transport)
{
    if (transport)
        transport->type->abort(transport, 0);
}

bool rondo_transport_is_closing(const rondo_transport *transport)
{
    return transport && transport->is_closing;
}

void rondo_transport_pause_reading(rondo_transport *transport)
{
    if (!transport || !transport->type->pause_reading || transport->is_closing || transport->is_read_paused)
        return;
    transport->is_read_paused = true;
    transport->type->pause_reading(transport);
}

void rondo_transport_resume_reading(rondo_transport *transport)
{
    if (!transport || !transport->type->resume_reading || transport->is_closing || !transport->is_read_paused)
        return;
    transport->is_read_paused = false;
    transport->type->resume_reading(transport);
}

bool rondo_transport_is_reading(const rondo_transport *transport)
{
    return transport && transport->type->pause_reading && !transport->is_closing &&
           !transport->is_read_paused;
}

/* --- the protocol --------------------------------------------------------------------------------------- */

rondo_protocol *rondo_transport_get_protocol(const rondo_transport *transport)
{
    return transport ? transport->protocol : NULL;
}

/* The last reference to a protocol that was replaced, most likely by one of its own callbacks, which may go on to use
 * it: it stays for the rest of this pass. */
struct leaver {
    struct rondo_ready ready;
    rondo_protocol *protocol;
};

static void run_leaver(struct rondo_ready *node, struct rondo_core *core)
{
    struct leaver *leaver = rondo_container(node, struct leaver, ready);
    rondo_protocol_unref(leaver->protocol);
    rondo_release(&rondo_loop_of(core)->allocator, leaver);
}

int rondo_transport_set_protocol(rondo_transport *transport, rondo_protocol *protocol)
{
    if (!transport || !protocol)
        return rondo_fail(RONDO_EINVAL, "no transport or no protocol given");
    if (!transport->protocol)
        return rondo_fail(RONDO_ECLOSED, "the connection is gone");
    rondo_loop *loop = transport->loop;
    rondo_protocol *old = transport->protocol;
    bool is_last = old != protocol && old->references == 1;
    struct leaver *leaver = is_last ? rondo_allocate(&loop->allocator, sizeof(*leaver)) : NULL;
    if (is_last && !leaver)
        return rondo_fail(RONDO_ENOMEM, NULL);
    rondo_protocol_ref(protocol);
    if (old->transport == transport)
        old->transport = NULL;
    transport->protocol = protocol;
    protocol->transport = transport;
    if (transport->type->protocol_changed)
        transport->type->protocol_changed(transport);
    if (is_last) {
        *leaver = (struct leaver){ .ready.run = run_leaver, .protocol = old };
        rondo_loop_queue(loop, &leaver->ready);
    } else {
        rondo_protocol_unref(old);
    }
    return 0;
}

rondo_loop *rondo_transport_loop(const rondo_transport *transport)
{
    return transport ? transport->loop : NULL;
}

/* --- get_extra_info ---------------------------------------------------------------------------------------- */

int rondo_transport_peername(const rondo_transport *transport, rondo_address *ret_address)
{
    if (!transport || !ret_address)
        return rondo_fail(RONDO_EINVAL, "no transport, or no place for the address given");
    if (!transport->peer_length)
        return rondo_fail(RONDO_ENOTCONN, "the peer has no address");
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->length = transport->peer_length;
    memcpy(ret_address->storage.bytes, place_of_peer(transport), transport->peer_kept);
    return 0;
}

int rondo_transport_sockname(const rondo_transport *transport, rondo_address *ret_address)
{
    if (!transport || !ret_address)
        return rondo_fail(RONDO_EINVAL, "no transport, or no place for the address given");
    if (transport->sock != RONDO_INVALID_SOCKET) {
        int rc = rondo_socket_name(transport->sock, ret_address);
        return rc < 0 ? rondo_fail(rc, NULL) : 0;
    }
    if (!transport->sockname)
        return rondo_fail(RONDO_ENOTCONN, "the connection is gone");
    *ret_address = *transport->sockname;
    return 0;
}

rondo_socket rondo_transport_socket(const rondo_transport *transport)
{
    return transport && !transport->type->is_pipe ? transport->sock : RONDO_INVALID_SOCKET;
}

const void *rondo_transport_get_extra_info(const rondo_transport *transport, const char *name,
                                           const void *fallback)
{
    static _Thread_local rondo_address address;
    if (!transport || !name)
        return fallback;
    if (strcmp(name, "peername") == 0)
        return rondo_transport_peername(transport, &address) == 0 ? &address : fallback;
    if (strcmp(name, "sockname") == 0)
        return rondo_transport_sockname(transport, &address) == 0 ? &address : fallback;
    bool is_pipe = transport->type->is_pipe;
    if (strcmp(name, is_pipe ? "pipe" : "socket") == 0 && transport->sock != RONDO_INVALID_SOCKET)
        return &transport->sock;
    return fallback;
}
