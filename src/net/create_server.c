/* SPDX-License-Identifier: MIT */
/* create_server (18.5.1.7): from options to a listening server, as a coroutine of the library.
 *
 * The happy path: hosts are resolved, every address is bound once, the server is made and begins to listen. Failures: bad
 * arguments (refused at once), no address, a bind that fails (all sockets made so far are closed; the text names the
 * address). A family that the kernel does not have is skipped. */
#include <rondo/server.h>

#include <stdio.h>
#include <string.h>

#include "../../platform/sockaddr.h"
#include "../async/coroutine.h"
#include "../base/options.h"
#include "descriptor.h"
#include "setup.h"

struct request {
    struct rondo_setup setup;
    rondo_server_options options; /* with copies of its texts in `hosts` and `service` */
    char **hosts;                 /* NULL entries: all interfaces */
    size_t host_count;
    char *service;
    rondo_addrinfo_entry *addresses; /* each once */
    size_t address_count;
    rondo_socket *sockets;
    size_t socket_count;
};

static void drop_request(void *context)
{
    struct request *request = context;
    const rondo_allocator *allocator = &request->setup.loop->allocator;
    for (size_t i = 0; i < request->socket_count; i++)
        rondo_socket_close(request->sockets[i]);
    for (size_t i = 0; request->hosts && i < request->host_count; i++)
        rondo_release(allocator, request->hosts[i]);
    rondo_release(allocator, request->hosts);
    rondo_release(allocator, request->service);
    rondo_release(allocator, request->addresses);
    rondo_release(allocator, request->sockets);
    rondo_setup_drop(request);
}

/* --- checking ------------------------------------------------------------------------------------------------ */

static bool has_address(const rondo_server_options *options)
{
    return options->host || options->host_count || options->port != RONDO_NO_PORT || options->service;
}

static int check_options(const rondo_server_options *options)
{
    if (options->sock != RONDO_INVALID_SOCKET && has_address(options))
        return rondo_fail(RONDO_EINVAL, "host/port and sock can not be specified at the same time");
    if (options->sock != RONDO_INVALID_SOCKET)
        return rondo_setup_check_stream(options->sock);
    if (!has_address(options))
        return rondo_fail(RONDO_EINVAL, "neither host/port nor sock were specified");
    if (options->host && options->host_count)
        return rondo_fail(RONDO_EINVAL, "give host or hosts, not both");
    if (options->host_count && !options->hosts)
        return rondo_fail(RONDO_EINVAL, "host_count without hosts");
    if (options->port < RONDO_NO_PORT || options->port > 65535)
        return rondo_fail(RONDO_EINVAL, "port %d is not 0 to 65535", options->port);
    if (options->port != RONDO_NO_PORT && options->service)
        return rondo_fail(RONDO_EINVAL, "give port or service, not both");
    if (options->backlog < 0)
        return rondo_fail(RONDO_EINVAL, "backlog is negative");
    return 0;
}

/* --- resolving ------------------------------------------------------------------------------------------------- */

static bool is_known(const struct request *request, const rondo_addrinfo_entry *entry)
{
    for (size_t i = 0; i < request->address_count; i++)
        if (rondo_address_equal(&request->addresses[i].address, &entry->address))
            return true;
    return false;
}

static int add_addresses(struct request *request, const rondo_addrinfo *info)
{
    size_t count = request->address_count + info->count;
    rondo_addrinfo_entry *addresses =
        rondo_reallocate(&request->setup.loop->allocator, request->addresses, count * sizeof(*addresses));
    if (!addresses)
        return rondo_fail(RONDO_ENOMEM, NULL);
    request->addresses = addresses;
    for (size_t i = 0; i < info->count; i++)
        if (!is_known(request, &info->entries[i]))
            addresses[request->address_count++] = info->entries[i];
    return 0;
}

static int resolve_hosts(struct request *request)
{
    const rondo_server_options *options = &request->options;
    for (size_t i = 0; i < request->host_count; i++) {
        rondo_addrinfo_query query = {
            .size = sizeof query,
            .host = request->hosts[i],
            .service = request->service,
            .family = options->family,
            .type = SOCK_STREAM,
            .flags = options->flags == -1 ? rondo_resolve_passive : options->flags,
        };
        rondo_addrinfo *info;
        int rc = rondo_resolve_await(request->setup.loop, &query, &info);
        if (rc < 0)
            return rc;
        rc = add_addresses(request, info);
        rondo_addrinfo_free(info);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- binding ------------------------------------------------------------------------------------------------------ */

static int set_options(const struct request *request, rondo_socket sock, const rondo_addrinfo_entry *entry)
{
    const rondo_server_options *options = &request->options;
    int rc = 0;
    if (options->reuse_address < 0 ? rondo_socket_reuse_address_default : options->reuse_address > 0)
        rc = rondo_socket_set_reuse_address(sock, true);
    if (rc == 0 && options->reuse_port) {
        rc = rondo_socket_set_reuse_port(sock);
        if (rc < 0)
            return rondo_fail(rc, "reuse_port is not supported by this system");
    }
    if (rc == 0 && entry->family == AF_INET6)
        rc = rondo_socket_set_v6only(sock);
    if (rc == 0)
        rc = rondo_socket_set_nodelay(sock);
    return rc < 0 ? rondo_fail(rc, NULL) : 0;
}

static int bind_failed(int rc, const rondo_address *address)
{
    char host[128];
    rondo_address_host(address, host, sizeof host);
    return rondo_fail(rc, "error while attempting to bind on address ('%s', %d): %s", host,
                      rondo_address_port(address), rondo_strerror(rc));
}

/* Add the socket of one address. A family that is not there, or not switched on, is no failure. */
static int bind_address(struct request *request, const rondo_addrinfo_entry *entry)
{
    rondo_socket sock;
    int rc = rondo_socket_open(entry->family, SOCK_STREAM, entry->proto, &sock);
    if (rc == RONDO_EAFNOSUPPORT || rc == RONDO_EPROTONOSUPPORT)
        return 0;
    if (rc < 0)
        return rondo_fail(rc, NULL);
    rc = set_options(request, sock, entry);
    if (rc == 0) {
        rc = rondo_socket_bind(sock, &entry->address);
        if (rc < 0)
            bind_failed(rc, &entry->address);
    }
    if (rc == 0)
        rc = rondo_descriptor_claim(request->setup.loop, &sock);
    if (rc < 0) {
        if (sock != RONDO_INVALID_SOCKET)
            rondo_socket_close(sock);
        bool is_one_of_many = request->address_count > 1 && entry->family == AF_INET6;
        return rc == RONDO_EADDRNOTAVAIL && is_one_of_many ? 0 : rc;
    }
    request->sockets[request->socket_count++] = sock;
    return 0;
}

static int bind_all(struct request *request)
{
    request->sockets =
        rondo_allocate(&request->setup.loop->allocator, request->address_count * sizeof(rondo_socket));
    if (!request->sockets)
        return rondo_fail(RONDO_ENOMEM, NULL);
    for (size_t i = 0; i < request->address_count; i++) {
        int rc = bind_address(request, &request->addresses[i]);
        if (rc < 0)
            return rc;
    }
    if (!request->socket_count)
        return rondo_fail(RONDO_EADDRNOTAVAIL, "could not bind on any of the addresses");
    return 0;
}

/* --- the coroutine -------------------------------------------------------------------------------------------------- */

static int run_create_server(void *context)
{
    struct request *request = context;
    struct rondo_setup *setup = &request->setup;
    bool has_sock = setup->sock != RONDO_INVALID_SOCKET;
    int rc = has_sock ? rondo_descriptor_claim(setup->loop, &setup->sock) : resolve_hosts(request);
    if (rc == 0 && !has_sock)
        rc = bind_all(request);
    if (rc < 0)
        return rc;
    rondo_server *server = rondo_server_make(setup->loop, setup->factory, setup->context,
                                             request->options.backlog, request->socket_count + has_sock);
    if (!server)
        return RONDO_ENOMEM;
    for (size_t i = 0; i < request->socket_count; i++)
        rondo_server_add(server, request->sockets[i]);
    if (has_sock)
        rondo_server_add(server, setup->sock);
    request->socket_count = 0; /* they are the server's now */
    setup->sock = RONDO_INVALID_SOCKET;
    return rondo_setup_server(server, request->options.start_serving);
}

static int copy_hosts(struct request *request)
{
    const rondo_server_options *options = &request->options;
    const rondo_allocator *allocator = &request->setup.loop->allocator;
    request->host_count = options->host_count ? options->host_count : 1;
    request->hosts = rondo_allocate_zeroed(allocator, request->host_count * sizeof(*request->hosts));
    if (!request->hosts)
        return RONDO_ENOMEM;
    for (size_t i = 0; i < request->host_count; i++) {
        const char *host = options->host_count ? options->hosts[i] : options->host;
        if (!host || !*host)
            continue;
        request->hosts[i] = rondo_duplicate_text(allocator, host);
        if (!request->hosts[i])
            return RONDO_ENOMEM;
    }
    char number[16];
    snprintf(number, sizeof number, "%d", options->port == RONDO_NO_PORT ? 0 : options->port);
    request->service = rondo_duplicate_text(allocator, options->service ? options->service : number);
    return request->service ? 0 : RONDO_ENOMEM;
}

rondo_future *rondo_create_server(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                  const rondo_server_options *given)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    if (rondo_setup_check(loop, factory, RONDO_CAN_STREAMS, "streams") < 0 ||
        rondo_options_read(&options, sizeof options, given, offsetof(rondo_server_options, hosts),
                           "RONDO_SERVER_OPTIONS") < 0 ||
        check_options(&options) < 0)
        return NULL;
    struct request *request = rondo_setup_new(loop, factory, context, sizeof(*request));
    if (!request)
        return NULL;
    request->options = options;
    if (options.sock == RONDO_INVALID_SOCKET && copy_hosts(request) < 0) {
        drop_request(request);
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    return rondo_setup_spawn(&request->setup, run_create_server, drop_request, options.sock);
}

int rondo_await_server(rondo_future *future, rondo_server **ret_server)
{
    void *server = NULL;
    int rc = rondo_await(future, &server);
    if (rc >= 0 && ret_server)
        *ret_server = server;
    return rc < 0 ? rc : 0;
}
