/* SPDX-License-Identifier: MIT */
/* How the calls that make connections and servers begin, and how their coroutines end. */
#ifndef RONDO_NET_SETUP_H
#define RONDO_NET_SETUP_H

#include "server.h"

/* What the request of each of them begins with. */
struct rondo_setup {
    rondo_loop *loop;
    rondo_protocol_factory *factory;
    void *context;
    rondo_socket sock; /* the program's, or connected for it, until a transport or a server has it */
};

/* What each of them asks first: a loop that may be used, a factory, and the @capability; without it the words are
 * "this loop has no @what". */
int rondo_setup_check(rondo_loop *loop, rondo_protocol_factory *factory, unsigned capability,
                      const char *what);

/* RONDO_EINVAL unless @sock is a stream; unless it is a stream that is connected, or was: that it is not any more is for
 * connection_lost to tell. */
int rondo_setup_check_stream(rondo_socket sock);
int rondo_setup_check_connected(rondo_socket sock);

/* A request of @size bytes, zeroed but for its setup; NULL with RONDO_ENOMEM. */
void *rondo_setup_new(rondo_loop *loop, rondo_protocol_factory *factory, void *context, size_t size);

/* Close the socket that it has, and release it: a destructor, or the end of one. */
void rondo_setup_drop(void *request);

/* Begin the coroutine @run with the request, which @drop ends, and with @sock (may be RONDO_INVALID_SOCKET), made non-blocking.
 * NULL with an error: the request was dropped, and @sock is still the caller's. */
rondo_future *rondo_setup_spawn(struct rondo_setup *setup, rondo_coroutine *run, rondo_destructor *drop,
                                rondo_socket sock);

/* Makes a transport over setup->sock, whose @waiter is completed behind connection_made; takes over the reference to
 * @protocol, unless it returns NULL. */
typedef rondo_transport *rondo_setup_make(struct rondo_setup *setup, rondo_protocol *protocol,
                                          rondo_future *waiter);

/* The end of a coroutine that makes a transport: the factory, @make, connection_made. The transport is then the value of
 * the coroutine. Cancelled in between, it is closed. */
int rondo_setup_transport(struct rondo_setup *setup, rondo_setup_make *make);

/* The same for a connection: the factory, the transport over setup->sock, connection_made. The
 * transport is then the value of the coroutine. Cancelled in between, it is closed. */
int rondo_setup_connection(struct rondo_setup *setup);

/* The end of a coroutine that makes a server: @server, which has its sockets, begins to serve, if it is to, and is the value of
 * the coroutine. A failure frees it. */
int rondo_setup_server(rondo_server *server, bool start_serving);

#endif
