/* SPDX-License-Identifier: MIT */
/* create_datagram_endpoint (18.5.1.6), as one coroutine of the library.
 *
 * The happy path: look up the local and the remote address, pair what has the same family and protocol, open a socket for the first
 * pair, bind and connect it, call the factory, make the transport, wait until connection_made has run. A Unix address needs no
 * lookup, no address at all no pair. Failures: bad arguments (refused at once, a socket stays the caller's); the resolver's; the first
 * of the pairs', if all of them fail; a failing factory. Cancelled: nothing is left open, a transport that was made is closed. */
#include <rondo/datagram.h>

#include <stdio.h>
#include <string.h>

#include "../../platform/sockaddr.h"
#include "../../platform/unix_socket.h"
#include "../async/coroutine.h"
#include "../base/options.h"
#include "endpoint.h"
#include "setup.h"

enum { LOCAL, REMOTE };

/* What a socket is made from: the addresses of one family and protocol; length 0: none. */
struct pair {
    int family;
    int proto;
    rondo_address addresses[2]; /* LOCAL, REMOTE */
};

struct request {
    struct rondo_setup setup;
    rondo_datagram_options options; /* its texts are the caller's, and gone */
    char *hosts[2];
    bool is_given[2];     /* LOCAL, REMOTE */
    rondo_address target; /* the default one, if it is not connected to */
    struct pair *pairs;
    size_t pair_count;
};

static void drop_request(void *context)
{
    struct request *request = context;
    const rondo_allocator *allocator = &request->setup.loop->allocator;
    rondo_release(allocator, request->hosts[LOCAL]);
    rondo_release(allocator, request->hosts[REMOTE]);
    rondo_release(allocator, request->pairs);
    rondo_setup_drop(request);
}

/* --- checking ------------------------------------------------------------------------------------------------ */

static bool has_path(const rondo_datagram_options *options)
{
    return options->local_path || options->remote_path;
}

static bool has_port(const rondo_datagram_options *options)
{
    return options->local_port != RONDO_NO_PORT || options->remote_port != RONDO_NO_PORT;
}

static int check_sock(const rondo_datagram_options *options)
{
    int type;
    if (rondo_socket_kind(options->sock, NULL, &type, NULL) < 0 || type != SOCK_DGRAM)
        return rondo_fail(RONDO_EINVAL, "a datagram socket was expected");
    if (has_path(options) || has_port(options) || options->family || options->proto || options->flags ||
        options->reuse_address || options->reuse_port || options->allow_broadcast)
        return rondo_fail(RONDO_EINVAL,
                          "socket modifier keyword arguments can not be used when sock is specified");
    return 0;
}

static int check_host(const char *which, const char *host, int port)
{
    if (host && port == RONDO_NO_PORT)
        return rondo_fail(RONDO_ETYPE, "the %s address has a host, but no port", which);
    if (port < RONDO_NO_PORT || port > 65535)
        return rondo_fail(RONDO_EINVAL, "%s port %d is not 0 to 65535", which, port);
    return 0;
}

static int check_options(const rondo_datagram_options *options)
{
    int rc = check_host("local", options->local_host, options->local_port);
    if (rc == 0)
        rc = check_host("remote", options->remote_host, options->remote_port);
    if (rc < 0)
        return rc;
    if (options->sock != RONDO_INVALID_SOCKET)
        return check_sock(options);
    if (has_path(options) && has_port(options))
        return rondo_fail(RONDO_EINVAL, "one address is a path, the other is none");
    if (has_path(options) && options->family && options->family != AF_UNIX)
        return rondo_fail(RONDO_EINVAL, "a path is an address of the Unix family");
    if (has_port(options) && options->family == AF_UNIX)
        return rondo_fail(RONDO_ETYPE, "an address of the Unix family is a path");
    if (!has_path(options) && !has_port(options) && !options->family)
        return rondo_fail(RONDO_EINVAL, "unexpected address family");
    return 0;
}

/* --- from addresses to pairs ----------------------------------------------------------------------------------- */

/* As in asyncio, a later answer of the same kind takes the place of an earlier one. */
static void add_answer(struct request *request, const rondo_addrinfo_entry *entry, int side)
{
    size_t i = 0;
    while (i < request->pair_count &&
           (request->pairs[i].family != entry->family || request->pairs[i].proto != entry->proto))
        i++;
    if (i == request->pair_count)
        request->pairs[request->pair_count++] =
            (struct pair){ .family = entry->family, .proto = entry->proto };
    request->pairs[i].addresses[side] = entry->address;
}

static int add_answers(struct request *request, const rondo_addrinfo *info, int side)
{
    const rondo_allocator *allocator = &request->setup.loop->allocator;
    size_t count = request->pair_count + info->count;
    struct pair *pairs = rondo_reallocate(allocator, request->pairs, count * sizeof(*pairs));
    if (!pairs)
        return rondo_fail(RONDO_ENOMEM, NULL);
    request->pairs = pairs;
    for (size_t i = 0; i < info->count; i++)
        add_answer(request, &info->entries[i], side);
    return 0;
}

static int look_up(struct request *request, int side)
{
    const rondo_datagram_options *options = &request->options;
    if (!request->is_given[side])
        return 0;
    char port[16];
    snprintf(port, sizeof port, "%d", side == LOCAL ? options->local_port : options->remote_port);
    rondo_addrinfo_query query = {
        .size = sizeof query,
        .host = request->hosts[side],
        .service = port,
        .family = options->family,
        .type = SOCK_DGRAM,
        .proto = options->proto,
        .flags = options->flags,
    };
    rondo_addrinfo *info;
    int rc = rondo_resolve_await(request->setup.loop, &query, &info);
    if (rc < 0)
        return rc;
    rc = add_answers(request, info, side);
    rondo_addrinfo_free(info);
    return rc;
}

/* Those that have an address for each side that was given. */
static int keep_complete_pairs(struct request *request)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->pair_count; i++) {
        const struct pair *pair = &request->pairs[i];
        bool lacks_local = request->is_given[LOCAL] && !pair->addresses[LOCAL].length;
        bool lacks_remote = request->is_given[REMOTE] && !pair->addresses[REMOTE].length;
        if (!lacks_local && !lacks_remote)
            request->pairs[kept++] = *pair;
    }
    request->pair_count = kept;
    return kept ? 0 : rondo_fail(RONDO_EINVAL, "can not get address information");
}

static int find_pairs(struct request *request)
{
    if (request->pair_count) /* of paths, or for a family alone */
        return 0;
    int rc = look_up(request, LOCAL);
    if (rc == 0)
        rc = look_up(request, REMOTE);
    return rc < 0 ? rc : keep_complete_pairs(request);
}

/* --- from pairs to a socket -------------------------------------------------------------------------------------- */

static void remove_stale(const rondo_address *address)
{
    char path[160];
    int rc = rondo_address_family(address) == AF_UNIX ? rondo_unix_file_remove_stale(address) : 0;
    if (rc == 0)
        return;
    rondo_address_format(address, path, sizeof path);
    rondo_log(RONDO_LOG_ERROR, "Unable to check or remove stale UNIX socket '%s': %s", path,
              rondo_strerror(rc));
}

static int set_up(struct request *request, const struct pair *pair, rondo_socket sock)
{
    const rondo_datagram_options *options = &request->options;
    int rc = options->reuse_address ? rondo_socket_set_reuse_address(sock, true) : 0;
    if (rc == 0 && options->reuse_port && (rc = rondo_socket_set_reuse_port(sock)) < 0)
        return rondo_fail(RONDO_EINVAL, "reuse_port not supported by this system, or for this socket");
    if (rc == 0 && options->allow_broadcast)
        rc = rondo_socket_set_broadcast(sock);
    if (rc == 0 && request->is_given[LOCAL])
        rc = rondo_socket_bind(sock, &pair->addresses[LOCAL]);
    if (rc == 0 && request->is_given[REMOTE] && !options->allow_broadcast)
        rc = rondo_socket_connect(sock, &pair->addresses[REMOTE]);
    return rc < 0 ? rondo_fail(rc, NULL) : 0;
}

static int open_pair(struct request *request, const struct pair *pair)
{
    rondo_socket sock;
    int rc = rondo_socket_open(pair->family, SOCK_DGRAM, pair->proto, &sock);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    rc = set_up(request, pair, sock);
    if (rc < 0) {
        request->setup.loop->core.driver->ops->close_socket(request->setup.loop->core.driver, sock);
        return rc;
    }
    request->setup.sock = sock;
    if (request->options.allow_broadcast)
        request->target = pair->addresses[REMOTE];
    return 0;
}

/* The first pair that can be opened; else the first error of the system (DGE-05). */
static int open_socket(struct request *request)
{
    if (request->is_given[LOCAL])
        remove_stale(&request->pairs[0].addresses[LOCAL]);
    int first = 0;
    for (size_t i = 0; i < request->pair_count; i++) {
        int rc = open_pair(request, &request->pairs[i]);
        if (rc == 0 || rondo_err_class(rc) != RONDO_CLASS_OS)
            return rc;
        if (first == 0)
            first = rc;
    }
    return rondo_fail(first, NULL);
}

/* --- the coroutine ------------------------------------------------------------------------------------------------ */

static rondo_transport *make_endpoint(struct rondo_setup *setup, rondo_protocol *protocol,
                                      rondo_future *waiter)
{
    const struct request *request = rondo_container(setup, struct request, setup);
    return rondo_endpoint_new(setup->loop, setup->sock, protocol, &request->target, waiter);
}

static int run_create(void *context)
{
    struct request *request = context;
    int rc = 0;
    if (request->setup.sock == RONDO_INVALID_SOCKET) {
        rc = find_pairs(request);
        if (rc == 0)
            rc = open_socket(request);
    }
    return rc < 0 ? rc : rondo_setup_transport(&request->setup, make_endpoint);
}

/* The one pair that needs no lookup. */
static int make_pair(struct request *request)
{
    const rondo_datagram_options *options = &request->options;
    request->pairs = rondo_allocate_zeroed(&request->setup.loop->allocator, sizeof *request->pairs);
    if (!request->pairs)
        return rondo_fail(RONDO_ENOMEM, NULL);
    struct pair *pair = request->pairs;
    request->pair_count = 1;
    pair->family = has_path(options) ? AF_UNIX : options->family;
    pair->proto = options->proto;
    int rc = 0;
    if (options->local_path)
        rc =
            rondo_address_from_path(&pair->addresses[LOCAL], options->local_path, options->local_path_length);
    if (rc == 0 && options->remote_path)
        rc = rondo_address_from_path(&pair->addresses[REMOTE], options->remote_path,
                                     options->remote_path_length);
    return rc;
}

static int copy_hosts(struct request *request)
{
    const rondo_datagram_options *options = &request->options;
    const rondo_allocator *allocator = &request->setup.loop->allocator;
    request->hosts[LOCAL] = rondo_duplicate_text(allocator, options->local_host);
    request->hosts[REMOTE] = rondo_duplicate_text(allocator, options->remote_host);
    bool failed =
        (options->local_host && !request->hosts[LOCAL]) || (options->remote_host && !request->hosts[REMOTE]);
    return failed ? rondo_fail(RONDO_ENOMEM, NULL) : 0;
}

/* What can be said of the addresses at once. */
static int prepare(struct request *request)
{
    const rondo_datagram_options *options = &request->options;
    request->is_given[LOCAL] = options->local_path || options->local_port != RONDO_NO_PORT;
    request->is_given[REMOTE] = options->remote_path || options->remote_port != RONDO_NO_PORT;
    if (options->sock != RONDO_INVALID_SOCKET)
        return 0;
    return has_port(options) ? copy_hosts(request) : make_pair(request);
}

static rondo_future *start(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                           const rondo_datagram_options *options)
{
    struct request *request = rondo_setup_new(loop, factory, context, sizeof(*request));
    if (!request)
        return NULL;
    request->options = *options;
    if (prepare(request) == 0)
        return rondo_setup_spawn(&request->setup, run_create, drop_request, options->sock);
    drop_request(request);
    return NULL;
}

rondo_future *rondo_create_datagram_endpoint(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                             const rondo_datagram_options *given)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    if (rondo_setup_check(loop, factory, RONDO_CAN_DATAGRAMS, "datagrams") < 0 ||
        rondo_options_read(&options, sizeof options, given, offsetof(rondo_datagram_options, remote_host),
                           "RONDO_DATAGRAM_OPTIONS") < 0 ||
        check_options(&options) < 0)
        return NULL;
    return start(loop, factory, context, &options);
}
