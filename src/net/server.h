/* SPDX-License-Identifier: MIT */
/* The server, for the files that make it up. */
#ifndef RONDO_NET_SERVER_H
#define RONDO_NET_SERVER_H

#include "net.h"

struct rondo_unix_file;

struct rondo_listener {
    struct rondo_op accept;
    struct rondo_server *server;
    rondo_socket sock;
    rondo_handle rest; /* the timer that ends a rest for want of descriptors */
    bool is_resting;
};

struct rondo_server {
    rondo_loop *loop;
    struct rondo_link link; /* in loop->servers while anybody may use it */
    rondo_protocol_factory *factory;
    void *context;
    int backlog;
    bool is_serving;
    bool is_closed;
    bool is_run_forever;    /* serve_forever was called and has not ended */
    bool is_forgotten;      /* rondo_server_free was called, or the loop is being freed */
    size_t connections;     /* transports between construction and the end of connection_lost */
    size_t holders;         /* accepts in the driver, accepted sockets on their way, coroutines */
    rondo_future *forever;  /* of serve_forever, while it runs */
    rondo_future **waiters; /* of wait_closed and drain: done when the last connection is gone */
    size_t waiter_count;
    size_t waiter_capacity;
    struct rondo_server_file *file; /* to be removed with the last listener; or NULL */
    size_t listener_count;
    struct rondo_listener listeners[];
};

/* A server that listens on nothing yet, with room for @count listeners. NULL with RONDO_ENOMEM. */
rondo_server *rondo_server_make(rondo_loop *loop, rondo_protocol_factory *factory, void *context, int backlog,
                                size_t count);
/* @sock, for which room was reserved in the table of descriptors, is the server's from now on. */
void rondo_server_add(rondo_server *server, rondo_socket sock);

/* Have the socket file of a Unix server removed when it closes, unless another one has its place by then. */
int rondo_server_own_file(rondo_server *server, const rondo_address *address,
                          const struct rondo_unix_file *file);

/* A future that is done when no connection is left; done already if there is none. */
rondo_future *rondo_server_idle(rondo_server *server);
void rondo_server_release(rondo_server *server); /* one holder less */

/* accept.c */
int rondo_listener_start(struct rondo_listener *listener);
void rondo_listener_stop(struct rondo_listener *listener);
void rondo_listener_wake(struct rondo_listener *listener); /* end a rest */

#endif
