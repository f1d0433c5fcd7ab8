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
#include "../base/options.h"
#include "connect.h"
#include "setup.h"

struct request {
    struct rondo_setup setup;
    rondo_connection_options options; /* with copies of its texts */
    char *host;
    char *service;
    char *local_host;
    rondo_addrinfo *remote;
    rondo_addrinfo *local;
};

static void drop_request(void *context)
{
    struct request *request = context;
    const rondo_allocator *allocator = &request->setup.loop->allocator;
    rondo_addrinfo_free(request->remote);
    rondo_addrinfo_free(request->local);
    rondo_release(allocator, request->host);
    rondo_release(allocator, request->service);
    rondo_release(allocator, request->local_host);
    rondo_setup_drop(request);
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
        return rondo_setup_check_connected(options->sock);
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
    return rondo_resolve_await(request->setup.loop, &query, ret_info);
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
    rondo_loop *loop = request->setup.loop;
    rondo_addrinfo_entry *scratch =
        rondo_allocate(&loop->allocator, request->remote->count * sizeof(*scratch));
    if (!scratch)
        return rondo_fail(RONDO_ENOMEM, NULL);
    interleave(request->remote, first, scratch);
    rondo_release(&loop->allocator, scratch);
    return 0;
}

/* --- the coroutine ------------------------------------------------------------------------------------------------ */

static int run_create_connection(void *context)
{
    struct request *request = context;
    struct rondo_setup *setup = &request->setup;
    if (setup->sock != RONDO_INVALID_SOCKET)
        return rondo_setup_connection(setup);
    int rc = resolve_all(request);
    if (rc == 0)
        rc = order_addresses(request);
    if (rc == 0)
        rc = rondo_connect_race(setup->loop, request->remote, request->local,
                                request->options.happy_eyeballs_delay, &setup->sock);
    return rc < 0 ? rc : rondo_setup_connection(setup);
}

static int copy_texts(struct request *request)
{
    const rondo_connection_options *options = &request->options;
    const rondo_allocator *allocator = &request->setup.loop->allocator;
    char number[16];
    snprintf(number, sizeof number, "%d", options->port == RONDO_NO_PORT ? 0 : options->port);
    request->host = rondo_duplicate_text(allocator, options->host);
    request->service = rondo_duplicate_text(allocator, options->service ? options->service : number);
    request->local_host = rondo_duplicate_text(allocator, options->local_host);
    bool failed = (options->host && !request->host) || !request->service ||
                  (options->local_host && !request->local_host);
    return failed ? RONDO_ENOMEM : 0;
}

/* The options were checked. */
static rondo_future *start(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                           const rondo_connection_options *options)
{
    struct request *request = rondo_setup_new(loop, factory, context, sizeof(*request));
    if (!request)
        return NULL;
    request->options = *options;
    if (options->sock == RONDO_INVALID_SOCKET && copy_texts(request) < 0) {
        drop_request(request);
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    return rondo_setup_spawn(&request->setup, run_create_connection, drop_request, options->sock);
}

rondo_future *rondo_create_connection(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                      const rondo_connection_options *given)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    if (rondo_setup_check(loop, factory, RONDO_CAN_STREAMS, "streams") < 0 ||
        rondo_options_read(&options, sizeof options, given, offsetof(rondo_connection_options, port),
                           "RONDO_CONNECTION_OPTIONS") < 0 ||
        check_options(&options) < 0)
        return NULL;
    return start(loop, factory, context, &options);
}

rondo_future *rondo_connect_accepted_socket(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                            rondo_socket sock)
{
    if (rondo_setup_check(loop, factory, RONDO_CAN_STREAMS, "streams") < 0)
        return NULL;
    if (rondo_setup_check_stream(sock) < 0)
        return NULL; /* whether its peer has gone already is for connection_lost to tell */
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = sock;
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
