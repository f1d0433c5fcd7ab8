/* SPDX-License-Identifier: MIT */
/** Servers (18.5.1.7, 18.5.1.16). */
#ifndef RONDO_SERVER_H
#define RONDO_SERVER_H

#include <rondo/connection.h>
#include <rondo/protocol.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** The arguments of create_server. Start from RONDO_SERVER_OPTIONS. Texts are borrowed for the call. */
typedef struct rondo_server_options {
    size_t size;
    const char *host;         /**< a name or a number; NULL or "": all interfaces */
    const char *const *hosts; /**< instead of host: several of them */
    size_t host_count;
    int port;            /**< RONDO_NO_PORT or 0: a free one for each socket */
    const char *service; /**< instead of port */
    int family;          /**< AF_INET or AF_INET6; 0: both */
    int flags;           /**< for getaddrinfo; -1: AI_PASSIVE */
    rondo_socket sock;   /**< a bound stream socket instead of host and port; owned by the server once a
                              future was returned */
    int backlog;         /**< at most so many wait to be accepted */
    int reuse_address;   /**< 1, 0; -1: on for Unix, off for Windows */
    bool reuse_port; /**< several servers may share the port; RONDO_EINVAL where there is no SO_REUSEPORT */
    bool start_serving; /**< false: bind, but do not listen before start_serving */
} rondo_server_options;

#define RONDO_SERVER_OPTIONS_INIT                                                                           \
    {                                                                                                       \
        sizeof(rondo_server_options), NULL, NULL, 0, RONDO_NO_PORT, NULL, 0, -1, RONDO_INVALID_SOCKET, 100, \
            -1, false, true                                                                                 \
    }
#if defined(__cplusplus)
#define RONDO_SERVER_OPTIONS (rondo_server_options RONDO_SERVER_OPTIONS_INIT)
#else
#define RONDO_SERVER_OPTIONS ((rondo_server_options) RONDO_SERVER_OPTIONS_INIT)
#endif

/** Listen on TCP sockets (create_server, 18.5.1.7). @factory makes the protocol of each connection.
 *  The future's value is the rondo_server. NULL with RONDO_EINVAL (sock together with host or port, no stream
 *  socket, a bad port), RONDO_EBUSY (a transport or another server owns the sock; if it was given twice at once, the second
 *  future fails with it), RONDO_ECLOSED, RONDO_ENOMEM; the sock is then still the caller's. The future fails with the error of a
 *  bind, its text naming the address, after closing all sockets made so far, or with a RONDO_EAI_ code. */
RONDO_API rondo_future *rondo_create_server(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                            const rondo_server_options *options);

/** rondo_await for rondo_create_server. The server belongs to the loop and is valid until
 *  rondo_server_free or rondo_loop_free. */
RONDO_API int rondo_await_server(rondo_future *future, rondo_server **ret_server);

/** Close it if it is not, and forget it as soon as its last connection is gone. Optional: freeing the loop does
 *  it too. Connections stay open. NULL is allowed. */
RONDO_API void rondo_server_free(rondo_server *server);

/** Stop accepting and close the listening sockets; connections stay (Server.close). Repeatable. */
RONDO_API void rondo_server_close(rondo_server *server);

/** Begun before close: done when the server is closed and its last connection is gone. Begun after it: done
 *  at once (Server.wait_closed of 3.11; to wait for the connections use rondo_server_drain). */
RONDO_API rondo_future *rondo_server_wait_closed(rondo_server *server);

/** Copy up to @capacity listening sockets to @ret_sockets (may be NULL with 0); returns how many there are:
 *  0 after close (Server.sockets). They are borrowed: do not close them. */
RONDO_API size_t rondo_server_sockets(const rondo_server *server, rondo_socket *ret_sockets, size_t capacity);

/** The address of listening socket number @index. Returns 0; RONDO_EINVAL when there is none. */
RONDO_API int rondo_server_address(const rondo_server *server, size_t index, rondo_address *ret_address);

RONDO_API bool rondo_server_is_serving(const rondo_server *server);

/** Begin to listen and accept, if it was created with start_serving off. Repeatable. Returns 0;
 *  RONDO_ECLOSED after close; an error of listen, its text naming the address: the server is closed then. */
RONDO_API int rondo_server_start_serving(rondo_server *server);

/** Serve until the future is cancelled, which closes the server (Server.serve_forever). NULL with
 *  RONDO_EBUSY when somebody does so already, RONDO_ECLOSED after close. */
RONDO_API rondo_future *rondo_server_serve_forever(rondo_server *server);

RONDO_API rondo_loop *rondo_server_loop(const rondo_server *server);

/* --- beyond the page ------------------------------------------------------------------------- */

/** How many accepted connections are open. */
RONDO_API size_t rondo_server_connections(const rondo_server *server);

/** close() each open connection (Server.close_clients of 3.13). */
RONDO_API void rondo_server_close_clients(rondo_server *server);

/** abort() each open connection (Server.abort_clients of 3.13). */
RONDO_API void rondo_server_abort_clients(rondo_server *server);

/** Close the server, close its connections, and wait until they are gone; those that are not after @timeout
 *  are aborted. The future's result is the number of connections that had to be aborted. */
RONDO_API rondo_future *rondo_server_drain(rondo_server *server, rondo_ns timeout);

RONDO_END_DECLS

#endif
