/* SPDX-License-Identifier: MIT */
/** Name resolution without blocking (18.5.1.10). */
#ifndef RONDO_RESOLVE_H
#define RONDO_RESOLVE_H

#include <rondo/address.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** What to look up. The numbers are the system's (AF_INET, SOCK_STREAM, AI_PASSIVE ...), 0: any. */
typedef struct rondo_addrinfo_query {
    size_t size;         /**< sizeof(rondo_addrinfo_query) */
    const char *host;    /**< NULL or "": none */
    const char *service; /**< a number as text or a name; NULL: none */
    int family, type, proto, flags;
} rondo_addrinfo_query;

/** One answer. */
typedef struct rondo_addrinfo_entry {
    int family, type, proto;
    rondo_address address;
} rondo_addrinfo_entry;

/** The answers, in the resolver's order. */
typedef struct rondo_addrinfo {
    size_t count;
    char *canonical_name; /**< with AI_CANONNAME; else NULL */
    rondo_addrinfo_entry *entries;
} rondo_addrinfo;

/** Allocate a list of @count zeroed entries, for resolvers of one's own; owned. NULL: out of memory. */
RONDO_API rondo_addrinfo *rondo_addrinfo_new(size_t count);
RONDO_API void rondo_addrinfo_free(rondo_addrinfo *info);

/** Look @query up on a thread of the resolver (getaddrinfo, 18.5.1.10). Numeric hosts with numeric
 *  services do not need a thread. Everything in @query is copied. The future's value is a
 *  rondo_addrinfo that it owns: rondo_await_addrinfo takes it out. A failed lookup is a RONDO_EAI_ code.
 *  Cancelling abandons the lookup; the loop may be closed meanwhile.
 *  NULL with RONDO_EINVAL, RONDO_ECLOSED, RONDO_ENOMEM. */
RONDO_API rondo_future *rondo_getaddrinfo(rondo_loop *loop, const rondo_addrinfo_query *query);

/** rondo_await for rondo_getaddrinfo: @ret_info is owned (rondo_addrinfo_free). */
RONDO_API int rondo_await_addrinfo(rondo_future *future, rondo_addrinfo **ret_info);

/** Stands in for getaddrinfo on one loop: every lookup the library makes goes through it. Returns
 *  a future as rondo_getaddrinfo does. */
typedef rondo_future *rondo_resolver(rondo_loop *loop, const rondo_addrinfo_query *query, void *user);

/** Install @resolver; NULL brings the system's back. */
RONDO_API int rondo_loop_set_resolver(rondo_loop *loop, rondo_resolver *resolver, void *user);

/** The name of an address: what the value of rondo_getnameinfo's future points to. */
typedef struct rondo_nameinfo {
    char host[1025];
    char service[32];
} rondo_nameinfo;

/** The reverse (getnameinfo, 18.5.1.10). @flags: NI_NUMERICHOST ... The value is a rondo_nameinfo
 *  that the future owns; rondo_await_nameinfo copies it out. */
RONDO_API rondo_future *rondo_getnameinfo(rondo_loop *loop, const rondo_address *address, int flags);
RONDO_API int rondo_await_nameinfo(rondo_future *future, rondo_nameinfo *ret_info);

RONDO_END_DECLS

#endif
