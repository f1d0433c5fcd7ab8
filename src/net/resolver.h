/* SPDX-License-Identifier: MIT */
/* Asking the system for names and addresses, on threads of the loop's own. */
#ifndef RONDO_NET_RESOLVER_H
#define RONDO_NET_RESOLVER_H

#include "net.h"

/* On the loop's thread: what is asked is copied. The future's value is a rondo_addrinfo or a
 * rondo_nameinfo. NULL, with the error: no memory, or no thread could be started. */
rondo_future *rondo_resolver_getaddrinfo(rondo_loop *loop, const rondo_addrinfo_query *query);
rondo_future *rondo_resolver_getnameinfo(rondo_loop *loop, const rondo_address *address, int flags);

/* The destructors of such values. */
void rondo_resolver_free_info(void *info);
void rondo_resolver_free_name(void *name);

#endif
