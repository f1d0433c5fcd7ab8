/* SPDX-License-Identifier: MIT */
/* create_connection (18.5.1.6) and connect_accepted_socket (18.5.1.7), as one coroutine of the library.
 *
 * The happy path: resolve host and local address, connect, call the factory, make the transport, wait until connection_made
 * has run. Failures: bad arguments (refused at once, a socket stays the caller's); the resolver's or the connects' errors; a
 * failing factory. Cancelled: while connecting nothing is left; while waiting for connection_made the
 * transport is closed. */
#include <rondo/connection.h>

#include <stdio.h>
#include <string.h>

#include "../../platform/sockaddr.h"
#include "../async/coroutine.h"
#include "connect.h"

struct request {
    rondo_loop *loop;
    rondo_protocol_factory *factory;
    void *context;
    rondo_connection_options options; /* with copies of its texts */
    char *host;
    char *service;
    char *local_host;
    rondo_socket sock; /* connected, until a transport has it */
    rondo_addrinfo *remote;
    rondo_addrinfo *local;
};

static void drop_request(void *context)
{
    struct request *request = context;
    rondo_loop *loop = request->loop;
    if (request->sock != RONDO_INVALID_SOCKET)
        loop->core.driver->ops->close_socket(loop->core.driver, request->sock);
    rondo_addrinfo_free(request->remote);
    rondo_addrinfo_free(request->local);
    rondo_release(&loop->allocator, request->host);
    rondo_release(&loop->allocator, request->service);
    rondo_release(&loop->allocator, request->local_host);
    rondo_release(&loop->allocator, request);
}

/* --- checking ------------------------------------------------------------------------------------------------ */

static bool has_address(const rondo_connection_options *options)
{
    return options->host || options->port != RONDO_NO_PORT || options->service;
}

static bool has_local(const rondo_connection_options *options)
{
    return options->local_host || options->local_port != RONDO_NO_PORT;
}

static int check_socket(rondo_socket sock)
{
    int type;
    rondo_address peer;
    if (rondo_socket_kind(sock, NULL, &type, NULL) < 0 || type != SOCK_STREAM)
        return rondo_fail(RONDO_EINVAL, "a stream socket was expected");
    if (rondo_socket_peer(sock, &peer) == RONDO_ENOTCONN)
        return rondo_fail(RONDO_EINVAL, "the socket is not connected");
    return 0;
}

static int check_port(const char *name, int port)
{
    if (port < RONDO_NO_PORT || port > 65535)
        return rondo_fail(RONDO_EINVAL, "%s %d is not 0 to 65535", name, port);
    return 0;
}

static int check_options(const rondo_connection_options *options)
{
    if (options->sock != RONDO_INVALID_SOCKET) {
        if (has_address(options) || has_local(options) || options->family || options->proto || options->flags)
            return rondo_fail(RONDO_EINVAL, "sock excludes host, port, family, proto, flags and local_addr");
        return check_socket(options->sock);
    }
    if (!has_address(options))
        return rondo_fail(RONDO_EINVAL, "host and port was not specified and no sock specified");
    if (options->port != RONDO_NO_PORT && options->service)
        return rondo_fail(RONDO_EINVAL, "give port or service, not both");
    if (options->happy_eyeballs_delay < 0 || options->interleave < 0)
        return rondo_fail(RONDO_EINVAL, "happy_eyeballs_delay or interleave is negative");
    int rc = check_port("port", options->port);
    return rc < 0 ? rc : check_port("local port", options->local_port);
}

static int read_options(const rondo_connection_options *given, rondo_connection_options *options)
{
    *options = RONDO_CONNECTION_OPTIONS;
    if (!given || given->size < offsetof(rondo_connection_options, port) || given->size > 4096)
        return rondo_fail(RONDO_EINVAL,
                          "no options given, or their size is not set; start from RONDO_CONNECTION_OPTIONS");
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    return check_options(options);
}

/* --- resolving ------------------------------------------------------------------------------------------------- */

static int resolve(struct request *request, const char *host, const char *service, rondo_addrinfo **ret_info)
{
    rondo_addrinfo_query query = {
        .size = sizeof query,
        .host = host,
        .service = service,
        .family = request->options.family,
        .type = SOCK_STREAM,
        .proto = request->options.proto,
        .flags = request->options.flags,
    };
    return rondo_resolve_await(request->loop, &query, ret_info);
}

static int resolve_all(struct request *request)
{
    int rc = resolve(request, request->host, request->service, &request->remote);
    if (rc < 0 || !has_local(&request->options))
        return rc;
    char port[16];
    int number = request->options.local_port;
    snprintf(port, sizeof port, "%d", number == RONDO_NO_PORT ? 0 : number);
    return resolve(request, request->local_host, port, &request->local);
}

/* The family of the first address goes first for @first addresses; after that they take turns (RFC 8305 section 4). */
static void interleave(rondo_addrinfo *info, int first, rondo_addrinfo_entry *scratch)
{
    int family = info->entries[0].family;
    size_t own = 0;   /* next of the first family */
    size_t other = 0; /* next of any other */
    for (size_t i = 0; i < info->count; i++) {
        while (own < info->count && info->entries[own].family != family)
            own++;
        while (other < info->count && info->entries[other].family == family)
            other++;
        bool is_own_turn = i < (size_t) first || (i - (size_t) first) % 2 == 1;
        if (other >= info->count || (is_own_turn && own < info->count))
            scratch[i] = info->entries[own++];
        else
            scratch[i] = info->entries[other++];
    }
    memcpy(info->entries, scratch, info->count * sizeof(*scratch));
}

static int order_addresses(struct request *request)
{
    int first = request->options.interleave;
    if (!first && request->options.happy_eyeballs_delay > 0)
        first = 1;
    if (!first || request->remote->count < 2)
        return 0;
    rondo_loop *loop = request->loop;
    rondo_addrinfo_entry *scratch =
        rondo_allocate(&loop->allocator, request->remote->count * sizeof(*scratch));
    if (!scratch)
        return rondo_fail(RONDO_ENOMEM, NULL);
    interleave(request->remote, first, scratch);
    rondo_release(&loop->allocator, scratch);
    return 0;
}

/* --- the coroutine ------------------------------------------------------------------------------------------------ */

static int make_transport(struct request *request)
{
    rondo_loop *loop = request->loop;
    rondo_protocol *protocol = rondo_protocol_make(loop, request->factory, request->context);
    if (!protocol)
        return rondo_last_error();
    rondo_socket_set_nodelay(request->sock);
    rondo_future *waiter = rondo_future_new(loop);
    rondo_transport *transport =
        waiter ? rondo_stream_new(loop, request->sock, protocol, NULL, NULL, waiter) : NULL;
    if (!transport) {
        rondo_future_unref(waiter);
        rondo_protocol_unref(protocol);
        return rondo_fail(RONDO_ENOMEM, NULL);
    }
    request->sock = RONDO_INVALID_SOCKET; /* the transport's now */
    rondo_transport_ref(transport);
    int rc = rondo_await(waiter, NULL);
    if (rc >= 0) {
        rondo_coroutine_hand_over(transport, rondo_stream_let_go, true);
        return 0;
    }
    rondo_transport_close(transport);
    rondo_transport_unref(transport);
    return rc;
}

static int run_create_connection(void *context)
{
    struct request *request = context;
    if (request->sock != RONDO_INVALID_SOCKET)
        return make_transport(request);
    int rc = resolve_all(request);
    if (rc == 0)
        rc = order_addresses(request);
    if (rc == 0)
        rc = rondo_connect_race(request->loop, request->remote, request->local,
                                request->options.happy_eyeballs_delay, &request->sock);
    return rc < 0 ? rc : make_transport(request);
}

static int copy_texts(struct request *request)
{
    const rondo_connection_options *options = &request->options;
    const rondo_allocator *allocator = &request->loop->allocator;
    char number[16];
    snprintf(number, sizeof number, "%d", options->port == RONDO_NO_PORT ? 0 : options->port);
    request->host = rondo_duplicate_text(allocator, options->host);
    request->service = rondo_duplicate_text(allocator, options->service ? options->service : number);
    request->local_host = rondo_duplicate_text(allocator, options->local_host);
    bool failed = (options->host && !request->host) || !request->service ||
                  (options->local_host && !request->local_host);
    return failed ? RONDO_ENOMEM : 0;
}

static rondo_future *start(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                           const rondo_connection_options *options)
{
    if (!factory) {
        rondo_fail(RONDO_EINVAL, "no protocol factory given");
        return NULL;
    }
    if (!(rondo_loop_capabilities(loop) & RONDO_CAN_STREAMS)) {
        rondo_fail(RONDO_ENOTSUP, "this loop has no streams");
        return NULL;
    }
    struct request *request = rondo_allocate_zeroed(&loop->allocator, sizeof(*request));
    if (!request) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    request->loop = loop;
    request->factory = factory;
    request->context = context;
    request->options = *options;
    request->sock = RONDO_INVALID_SOCKET;
    bool has_sock = options->sock != RONDO_INVALID_SOCKET;
    int rc = has_sock ? rondo_socket_set_nonblocking(options->sock) : copy_texts(request);
    if (rc < 0) {
        drop_request(request);
        rondo_fail(rc, NULL);
        return NULL;
    }
    request->sock = options->sock;
    rondo_future *future = rondo_coroutine_spawn(loop, run_create_connection, request, drop_request);
    if (!future) {
        request->sock = RONDO_INVALID_SOCKET; /* still the caller's */
        drop_request(request);
    }
    return future;
}

rondo_future *rondo_create_connection(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                      const rondo_connection_options *given)
{
    rondo_connection_options options;
    if (rondo_loop_check(loop) < 0 || read_options(given, &options) < 0)
        return NULL;
    return start(loop, factory, context, &options);
}

rondo_future *rondo_connect_accepted_socket(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                            rondo_socket sock)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = sock;
    if (sock == RONDO_INVALID_SOCKET || check_options(&options) < 0) {
        rondo_fail(RONDO_EINVAL, "a connected stream socket was expected");
        return NULL;
    }
    return start(loop, factory, context, &options);
}

int rondo_await_connection(rondo_future *future, rondo_transport **ret_transport,
                           rondo_protocol **ret_protocol)
{
    void *value = NULL;
    int rc = rondo_await(future, &value);
    if (rc < 0)
        return rc;
    if (ret_transport)
        *ret_transport = value;
    if (ret_protocol)
        *ret_protocol = rondo_transport_get_protocol(value);
    return 0;
}
