/* SPDX-License-Identifier: MIT */
/* Connecting a socket, inside a coroutine. */
#ifndef RONDO_NET_CONNECT_H
#define RONDO_NET_CONNECT_H

#include "net.h"

/* A socket connected to @address, bound first to the first of the @local addresses (may be NULL) that fits and
 * can be. Gives way. An error has its words in rondo_last_error_message; RONDO_ECANCELLED when cancelled: nothing is left. */
int rondo_connect_address(rondo_loop *loop, const rondo_addrinfo_entry *address, const rondo_addrinfo *local,
                          rondo_socket *ret_socket);

/* The words for a connect that failed with @code, which is returned. */
int rondo_connect_failed(int code, const rondo_address *address);

/* What went wrong with each address, for the error of the whole (CON-12). */
struct rondo_failures {
    size_t count;
    int code;        /* that all share, else RONDO_EOS */
    bool is_uniform; /* all texts are equal */
    char first[256];
    char all[480]; /* separated by ", ", cut where it does not fit */
};

void rondo_failures_add(struct rondo_failures *failures, int code, const char *message);
int rondo_failures_raise(const struct rondo_failures *failures);

/* Connect to the addresses of @remote one after another, each beginning when the one before has failed or @delay has passed
 * (RFC 8305); 0: only when it has failed. The first that connects wins. */
int rondo_connect_race(rondo_loop *loop, const rondo_addrinfo *remote, const rondo_addrinfo *local,
                       rondo_ns delay, rondo_socket *ret_socket);

#endif
