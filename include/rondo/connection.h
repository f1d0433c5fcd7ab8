/* SPDX-License-Identifier: MIT */
/** Making connections (18.5.1.6). */
#ifndef RONDO_CONNECTION_H
#define RONDO_CONNECTION_H

#include <rondo/protocol.h>
#include <rondo/transport.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** A port that was not given. */
#define RONDO_NO_PORT (-1)

/** The arguments of create_connection. Start from RONDO_CONNECTION_OPTIONS. Texts and addresses are
 *  borrowed for the call. */
typedef struct rondo_connection_options {
    size_t size;
    const char *host;              /**< a name or a number */
    int port;                      /**< RONDO_NO_PORT: not given */
    const char *service;           /**< instead of port: a number as text, or a name */
    int family, proto, flags;      /**< handed to getaddrinfo */
    rondo_socket sock;             /**< a connected stream socket; excludes all of the above and local_*;
                              owned by the transport once the call has returned a future */
    const char *local_host;        /**< bind to this address first */
    int local_port;                /**< RONDO_NO_PORT: not given */
    rondo_ns happy_eyeballs_delay; /**< start the next address after this long; 0: one after another */
    int interleave;                /**< addresses of one family before the other's turn; 0: as resolved, or 1
                                        with a happy_eyeballs_delay */
} rondo_connection_options;

#define RONDO_CONNECTION_OPTIONS_INIT                                                                     \
    {                                                                                                     \
        sizeof(rondo_connection_options), NULL, RONDO_NO_PORT, NULL, 0, 0, 0, RONDO_INVALID_SOCKET, NULL, \
            RONDO_NO_PORT, 0, 0                                                                           \
    }
#if defined(__cplusplus)
#define RONDO_CONNECTION_OPTIONS (rondo_connection_options RONDO_CONNECTION_OPTIONS_INIT)
#else
#define RONDO_CONNECTION_OPTIONS ((rondo_connection_options) RONDO_CONNECTION_OPTIONS_INIT)
#endif

/** Connect a stream (create_connection, 18.5.1.6): resolve, connect, call @factory, connection_made. The
 *  future's value is the rondo_transport. Cancelling it closes what it has opened.
 *  NULL with RONDO_EINVAL (neither or both of host/port and sock, a bad or unconnected sock, a bad port),
 *  RONDO_EBUSY (another transport, or a server, owns the sock; if it was given twice at once, the second future fails with it),
 *  RONDO_ECLOSED, RONDO_ENOMEM; the sock is then still the caller's. One that was reset meanwhile is no bad one:
 *  connection_made is called, and connection_lost with the error. The future fails with a RONDO_EAI_ code,
 *  the one error of all attempts, or, where they differ, with a text that lists them all: the code is the one
 *  they share, else RONDO_EOS. */
RONDO_API rondo_future *rondo_create_connection(rondo_loop *loop, rondo_protocol_factory *factory,
                                                void *context, const rondo_connection_options *options);

/** Adopt a connection that was accepted elsewhere (connect_accepted_socket, 18.5.1.7). @sock is made
 *  non-blocking and owned by the transport, once a future was returned. NULL with RONDO_EINVAL
 *  (no stream socket), RONDO_EBUSY (as above), RONDO_ECLOSED, RONDO_ENOMEM. */
RONDO_API rondo_future *rondo_connect_accepted_socket(rondo_loop *loop, rondo_protocol_factory *factory,
                                                      void *context, rondo_socket sock);

/** rondo_await for both: the pair (transport, protocol), each borrowed as rondo/transport.h says;
 *  each output may be NULL. */
RONDO_API int rondo_await_connection(rondo_future *future, rondo_transport **ret_transport,
                                     rondo_protocol **ret_protocol);

RONDO_END_DECLS

#endif
