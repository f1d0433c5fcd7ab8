/* SPDX-License-Identifier: MIT */
/* getaddrinfo and getnameinfo, and what connections and servers ask of them.
 *
 * The happy path: numbers are answered at once; anything else goes to the resolver that the program has set, or to the threads of
 * the loop's own (resolver.c). Failures: misuse at once; the resolver's codes by the future. */
#include "resolver.h"

#include <stdlib.h>
#include <string.h>

#include "../../platform/sockaddr.h"
#include "../async/coroutine.h"

/* Answers are the program's, and have no loop. */
static const rondo_allocator *const memory = &rondo_allocator_default;

/* --- answers ---------------------------------------------------------------------------------------- */

rondo_addrinfo *rondo_addrinfo_new(size_t count)
{
    rondo_addrinfo *info = rondo_allocate_zeroed(memory, sizeof(*info));
    rondo_addrinfo_entry *entries =
        info ? rondo_allocate_zeroed(memory, (count ? count : 1) * sizeof(*entries)) : NULL;
    if (!entries) {
        rondo_release(memory, info);
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    info->count = count;
    info->entries = entries;
    return info;
}

void rondo_addrinfo_free(rondo_addrinfo *info)
{
    if (!info)
        return;
    free(info->canonical_name); /* by strdup, as in a resolver of the program's own */
    rondo_release(memory, info->entries);
    rondo_release(memory, info);
}

void rondo_resolver_free_info(void *info)
{
    rondo_addrinfo_free(info);
}

void rondo_resolver_free_name(void *name)
{
    rondo_release(memory, name);
}

/* --- getaddrinfo, getnameinfo -------------------------------------------------------------------------- */

static bool is_number(const char *service)
{
    return !service || service[strspn(service, "0123456789")] == '\0';
}

static bool is_numeric_host(const char *host)
{
    rondo_address address;
    return host && *host && !strchr(host, '%') && rondo_address_from_numeric(&address, host, 0) == 0;
}

/* The system needs no time to answer numbers. */
static rondo_future *answer_numeric(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    rondo_addrinfo_query numeric = *query;
    numeric.flags |= rondo_resolve_numeric_host;
    rondo_addrinfo *info = NULL;
    int rc = rondo_socket_resolve(&numeric, &info);
    rondo_future *future = rondo_future_new(loop);
    if (!future)
        rondo_addrinfo_free(info);
    else if (rc < 0)
        rondo_future_fail(future, rc, NULL);
    else
        rondo_future_finish(future, 0, info, rondo_resolver_free_info);
    return future;
}

static rondo_future *ask_program(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    rondo_resolver *resolver = loop->resolver;
    loop->resolver = NULL; /* a lookup that it makes itself is the system's */
    struct rondo_nested nested;
    const char *message;
    rondo_nested_enter(loop, &nested);
    rondo_future *future = resolver(loop, query, loop->resolver_user);
    int code = rondo_nested_leave(loop, &nested, &message);
    loop->resolver = resolver;
    if (!future && code)
        rondo_fail_text(code, message);
    return future;
}

rondo_future *rondo_getaddrinfo(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    if (!query || query->size < sizeof *query) {
        rondo_fail(RONDO_EINVAL, "no query given, or its size is not set");
        return NULL;
    }
    if (loop->resolver)
        return ask_program(loop, query);
    if (is_numeric_host(query->host) && is_number(query->service))
        return answer_numeric(loop, query);
    return rondo_resolver_getaddrinfo(loop, query);
}

int rondo_await_addrinfo(rondo_future *future, rondo_addrinfo **ret_info)
{
    void *info = NULL;
    int rc = rondo_await(future, &info);
    if (rc < 0)
        return rc;
    if (ret_info)
        *ret_info = info;
    else
        rondo_addrinfo_free(info);
    return 0;
}

int rondo_loop_set_resolver(rondo_loop *loop, rondo_resolver *resolver, void *user)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    loop->resolver = resolver;
    loop->resolver_user = user;
    return 0;
}

rondo_future *rondo_getnameinfo(rondo_loop *loop, const rondo_address *address, int flags)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    if (!address || !address->length || address->length > sizeof address->storage) {
        rondo_fail(RONDO_EINVAL, "no address given, or one that is too long to be one");
        return NULL;
    }
    return rondo_resolver_getnameinfo(loop, address, flags);
}

int rondo_await_nameinfo(rondo_future *future, rondo_nameinfo *ret_info)
{
    void *name = NULL;
    int rc = rondo_await(future, &name);
    if (rc < 0)
        return rc;
    if (ret_info)
        *ret_info = *(rondo_nameinfo *) name;
    rondo_resolver_free_name(name);
    return 0;
}

/* --- for connections and servers ----------------------------------------------------------------------- */

/* As a lookup says it; between TCP and UDP the type decides, as in asyncio. */
static int protocol_of(const rondo_addrinfo_query *query)
{
    bool is_usual = !query->proto || query->proto == IPPROTO_TCP || query->proto == IPPROTO_UDP;
    if (!is_usual || (query->type != SOCK_STREAM && query->type != SOCK_DGRAM))
        return query->proto;
    return query->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
}

static int answer_address(const rondo_addrinfo_query *query, rondo_addrinfo **ret_info)
{
    long port = query->service && *query->service ? strtol(query->service, NULL, 10) : 0;
    rondo_address address;
    int rc = rondo_address_from_numeric(&address, query->host, port <= 65535 ? (int) port : -1);
    if (rc < 0)
        return rc;
    rondo_addrinfo *info = rondo_addrinfo_new(1);
    if (!info)
        return RONDO_ENOMEM;
    info->entries[0] =
        (rondo_addrinfo_entry){ rondo_address_family(&address), query->type, protocol_of(query), address };
    *ret_info = info;
    return 0;
}

/* asyncio's _ipaddr_info: such a host never sees the resolver. */
static bool needs_no_resolver(const rondo_addrinfo_query *query)
{
    rondo_address address;
    if (!is_numeric_host(query->host) || !is_number(query->service))
        return false;
    rondo_address_from_numeric(&address, query->host, 0);
    return !query->family || query->family == rondo_address_family(&address);
}

int rondo_resolve_await(rondo_loop *loop, const rondo_addrinfo_query *query, rondo_addrinfo **ret_info)
{
    if (needs_no_resolver(query))
        return answer_address(query, ret_info);
    rondo_addrinfo *info = NULL;
    int rc = rondo_await_addrinfo(rondo_getaddrinfo(loop, query), &info);
    if (rc < 0)
        return rc;
    if (!info || info->count == 0) {
        rondo_addrinfo_free(info);
        return rondo_fail(RONDO_EOS, "getaddrinfo() returned empty list");
    }
    *ret_info = info;
    return 0;
}
