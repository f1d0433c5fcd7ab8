/* SPDX-License-Identifier: MIT */
/* The other end of a connection: plain blocking sockets, and a protocol that counts.
 *
 * Most network tests need no second thread: what the kernel buffers is enough for the peer to connect,
 * send and close while the loop stands still; then the loop runs until a condition holds. All functions
 * fail the case where the system refuses what they promise. */
#ifndef RONDO_TESTS_PEER_H
#define RONDO_TESTS_PEER_H

#include "support.h"

/* --- sockets (peer.c) ----------------------------------------------------------------------- */

/* A listening socket on @host ("127.0.0.1", "::1") and a free port, which goes to @ret_port. */
rondo_socket peer_listen(const char *host, int backlog, int *ret_port);

/* A socket bound there that does not listen: connecting to it is refused, binding is in use. */
rondo_socket peer_bound(const char *host, int *ret_port);

/* Connect to @host and @port, blocking. */
rondo_socket peer_connect(const char *host, int port);

/* The same; the code RONDO_ECONNREFUSED and the like where it fails. */
int peer_try_connect(const char *host, int port, rondo_socket *ret_socket);

/* The next connection of @listener, blocking. peer_has_connection: whether there is one now. */
rondo_socket peer_accept(rondo_socket listener);
bool peer_has_connection(rondo_socket listener);

/* Two connected stream sockets: of the Unix family, or TCP over 127.0.0.1. */
void peer_pair(rondo_socket ret_pair[2]);
void peer_tcp_pair(rondo_socket ret_pair[2]);

/* A socket of @type (SOCK_DGRAM ...) that is no stream, and one that is not connected. */
rondo_socket peer_datagram(void);
rondo_socket peer_unconnected(void);

/* All @length bytes, blocking. peer_send_now: as many as fit, returns how many. */
void peer_send(rondo_socket sock, const void *data, size_t length);
size_t peer_send_now(rondo_socket sock, const void *data, size_t length);
void peer_send_text(rondo_socket sock, const char *text);

/* Exactly @length bytes, blocking. */
void peer_recv(rondo_socket sock, void *data, size_t length);

/* What is there: a count, 0 for end of stream, PEER_NOTHING or PEER_RESET. */
enum { PEER_NOTHING = -1, PEER_RESET = -2 };
ptrdiff_t peer_recv_now(rondo_socket sock, void *data, size_t capacity);

/* The next bytes are @text; the next event is an end of stream; nothing is there now. */
void peer_expect(rondo_socket sock, const char *text);
void peer_expect_eof(rondo_socket sock);
void peer_expect_nothing(rondo_socket sock);

/* Finish sending; close in order; close with a reset. */
void peer_shutdown(rondo_socket sock);
void peer_close(rondo_socket sock);
void peer_reset(rondo_socket sock);

/* Have calls on @sock give up after ten seconds, as those on the sockets made here do; returns it. */
rondo_socket peer_patient(rondo_socket sock);

/* The size of the send buffer, so that little data fills it. */
void peer_set_send_buffer(rondo_socket sock, int size);

/* Whether @sock is an open descriptor of this process; how many there are. */
bool peer_is_open(rondo_socket sock);
size_t peer_descriptors(void);
/* The family (AF_INET ...), an option that is a number, and the local port of @sock. */
int peer_family(rondo_socket sock);
int peer_option(rondo_socket sock, int level, int option);
int peer_port(rondo_socket sock);
bool peer_is_nonblocking(rondo_socket sock);
void peer_set_blocking(rondo_socket sock, bool blocks);
/* Whether IPv6 can be used on the loopback. */
bool peer_has_ipv6(void);
/* Fill the queue of @listener so that further connects hang; the sockets go to @ret_sockets. */
size_t peer_fill_backlog(const char *host, int port, rondo_socket *ret_sockets, size_t capacity);

/* Bytes by position, so that loss, repetition and reordering show. */
void pattern_fill(void *data, size_t length, size_t start);
bool pattern_check(const void *data, size_t length, size_t start);

/* A reader that checks the pattern. Start with the socket and zeros; peer_drain reads what is there and
 * returns how much came in all. */
typedef struct peer_sink {
    rondo_socket sock;
    size_t received;
    bool corrupt, ended, reset;
} peer_sink;
size_t peer_drain(peer_sink *sink);

/* --- running (netloop.c) -------------------------------------------------------------------- */

/* One turn of @loop: does not block when @attempt is small, sleeps a little otherwise. False when the
 * deadline of a wait that began with attempt 0 has passed. */
bool net_turn(rondo_loop *loop, unsigned attempt);

/* Run @loop until @condition holds. */
#define run_until(loop, condition)                                                          \
    do {                                                                                    \
        for (unsigned attempt_ = 0; !(condition); attempt_++)                               \
            if (!net_turn((loop), attempt_))                                                \
                ck_abort_msg("waited in vain for %s; trace: %s", #condition, trace_text()); \
    } while (0)

/* The outcome of @future, which is consumed. The loop is run until it is done. */
int net_finish(rondo_loop *loop, rondo_future *future, void **ret_value);

/* The outcome of @future, which is done, and is consumed. */
int net_outcome(rondo_future *future);

/* @future is none: the call has failed with @code. */
void net_refused(rondo_future *future, int code);

/* Run @body in a task to its end; it must succeed. */
void net_in_a_task(rondo_loop *loop, rondo_coroutine *body, void *context);

/* Inside a coroutine: @future, which is consumed, brings a rondo_received with @text, or the error that is returned. */
int net_expect_received(rondo_future *future, const char *text);

/* Run @loop until @sink has read @length bytes; there must be no more, and all of the pattern. */
void net_drain(rondo_loop *loop, peer_sink *sink, size_t length);

/* --- a protocol that counts (netloop.c) ----------------------------------------------------- */

/* One connection as its protocol saw it. Zeroed at first; the hooks and settings are the test's, the rest is
 * filled in. With a name every event is appended to the trace: "NAME.made", "NAME.data:5", "NAME.lost:0". */
typedef struct net_conn net_conn;
struct net_conn {
    const char *name;
    bool keep_open;     /* what eof_received returns */
    bool echo;          /* write back what comes */
    bool buffered;      /* be a BufferedProtocol */
    size_t buffer_size; /* of a BufferedProtocol; 0: 64 */
    void *context;
    void (*on_made)(net_conn *conn);
    void (*on_data)(net_conn *conn, const void *data, size_t length);
    void (*on_eof)(net_conn *conn);
    void (*on_lost)(net_conn *conn, int error);
    void (*on_stall)(net_conn *conn);
    void (*on_flow)(net_conn *conn);
    void (*on_buffer)(net_conn *conn);

    rondo_transport *transport; /* a reference of its own until net_conn_end */
    rondo_protocol *protocol;   /* the one that was connected, not a reference */
    int made, eofs, losts, stalls, flows;
    int error;       /* of connection_lost */
    size_t received; /* bytes */
    size_t chunks, largest_chunk;
    bool corrupt; /* not pattern bytes by position (checked when `checked` is set) */
    bool checked;
    bool nested; /* a callback ran inside another one: PRO-02 */
    bool late;   /* one came before connection_made or after connection_lost */
    int inside;
    char text[256];   /* the first bytes */
    size_t destroyed; /* protocols released */
    unsigned char *buffer;
};

/* The factory; @context is a net_conn. net_traced_factory: appends "factory" to the trace, too. */
rondo_protocol *net_factory(void *conn);
rondo_protocol *net_traced_factory(void *conn);

/* Options of a connection to @host and @port. */
rondo_connection_options net_to(const char *host, int port);

/* Let go of what @conn holds; fails the case if its events came in a wrong order. */
void net_conn_end(net_conn *conn);

/* Abort the connection if it still is one, wait for connection_lost, then net_conn_end. */
void net_done(rondo_loop *loop, net_conn *conn);

/* @conn, which is made, sends back what @peer sends; then @peer closes, and both are gone. */
void net_talk(rondo_loop *loop, net_conn *conn, rondo_socket peer);

/* A connection over one end of a Unix pair (or a TCP pair), made, and running; the other end is returned. */
rondo_socket net_open(rondo_loop *loop, net_conn *conn);
rondo_socket net_open_tcp(rondo_loop *loop, net_conn *conn);

/* A transport over @sock that is made and running. */
void net_adopt(rondo_loop *loop, net_conn *conn, rondo_socket sock);

/* A server on 127.0.0.1 and a free port. */
rondo_server *net_serve(rondo_loop *loop, rondo_protocol_factory *factory, void *context, int *ret_port);
rondo_server *net_serve_with(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                             const rondo_server_options *options, int *ret_port);

#endif
