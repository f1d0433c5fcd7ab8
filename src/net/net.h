/* SPDX-License-Identifier: MIT */
/* What the files of src/net share: the transport behind the public calls, the stream, the server. */
#ifndef RONDO_NET_NET_H
#define RONDO_NET_NET_H

#include <rondo/connection.h>
#include <rondo/server.h>
#include <rondo/transport.h>

#include "../../platform/socket.h"
#include "../base/chunk.h"
#include "../core/loop.h"

struct rondo_protocol {
    const rondo_protocol_ops *ops;
    rondo_transport *transport;
    uint32_t references;
    _Alignas(16) unsigned char data[];
};

/* --- transports -------------------------------------------------------------------------------- */

/* Where a transport stands with its connection_lost. */
enum rondo_transport_end {
    RONDO_TRANSPORT_OPEN,
    RONDO_TRANSPORT_LOST_QUEUED, /* the event node is queued to call connection_lost */
    RONDO_TRANSPORT_LOST,        /* it was called; the event node is queued for the pass of grace */
    RONDO_TRANSPORT_OVER         /* only operations that were cancelled may keep it */
};

/* What differs between kinds of transports. Those of one direction leave the other's functions NULL. */
struct rondo_transport_type {
    size_t size; /* of the kind's own structure, which begins with the transport */
    bool sends_files;
    bool is_pipe; /* its descriptor is a rondo_file */
    int (*write)(rondo_transport *transport, const rondo_bytes *pieces, size_t count);
    int (*write_eof)(rondo_transport *transport);
    void (*close)(rondo_transport *transport);
    void (*abort)(rondo_transport *transport, int error);
    void (*pause_reading)(rondo_transport *transport);
    void (*resume_reading)(rondo_transport *transport);
    size_t (*buffer_size)(const rondo_transport *transport);
    void (*protocol_changed)(rondo_transport *transport);
    bool (*is_idle)(const rondo_transport *transport); /* no operation of it is active */
    void (*dispose)(rondo_transport *transport);
};

struct rondo_transport {
    const struct rondo_transport_type *type;
    rondo_loop *loop;
    rondo_protocol *protocol; /* a reference until connection_lost has returned, then NULL */
    rondo_server *server;     /* that accepted it, or NULL */
    union {
        struct rondo_link link;  /* in loop->transports until connection_lost has returned */
        rondo_address *sockname; /* from then on, for whoever holds a reference; NULL: not known */
    };
    struct rondo_ready event; /* connection_lost, later the grace */
    size_t high;
    size_t low;
    uint32_t references; /* one is the loop's */
    rondo_socket sock;
    int error;    /* for connection_lost */
    uint8_t end;  /* enum rondo_transport_end */
    bool is_made; /* connection_made was called: connection_lost is owed */
    bool is_closing;
    bool is_read_paused;
    bool is_write_paused; /* pause_writing was called */
    bool has_eof;         /* write_eof was called */
    uint8_t peer_length;  /* of the peer's address as it was at the start; 0: none */
    uint8_t peer_kept;    /* how many bytes of it lie behind the kind's structure; the others are 0 */
};

/* A transport of @type, zeroed but for its base, in the loop's list; takes over the reference to @protocol. @peer may be
 * NULL or empty: it is asked of the socket, and not having one is no failure. NULL: RONDO_ENOMEM, and nothing was taken. */
rondo_transport *rondo_transport_new(const struct rondo_transport_type *type, rondo_loop *loop,
                                     rondo_socket sock, rondo_protocol *protocol, const rondo_address *peer);
/* Flow control: call pause_writing or resume_writing where the buffered size asks for it. */
void rondo_transport_maybe_pause(rondo_transport *transport);
void rondo_transport_maybe_resume(rondo_transport *transport);

/* The callback of the protocol that has just returned may have failed: reports it with @message, transport and
 * protocol. Returns its code, 0 for none. */
int rondo_transport_callback_failed(rondo_transport *transport, const char *message);
/* The same for a failure that rondo_nested_leave has told; returns @code. */
int rondo_transport_report(rondo_transport *transport, const char *message, int code,
                           const char *error_message);

/* connection_lost has returned: let go of the protocol and the server, close the descriptor, and be the loop's no more. */
void rondo_transport_leave(rondo_transport *transport);
/* Release what the base holds; the end of every dispose. */
void rondo_transport_dispose(rondo_transport *transport);

/* Call connection_made. */
void rondo_transport_make(rondo_transport *transport);
/* Call connection_lost with @error when its turn in the queue has come. */
void rondo_transport_queue_lost(rondo_transport *transport, int error);
/* All is sent: one that is closing ends. As in asyncio, a selector's connection_lost comes in this very callback, a proactor's
 * through the queue. */
void rondo_transport_flushed(rondo_transport *transport);
/* An operation has come back: the last one lets go of a transport that is over. */
void rondo_transport_op_idle(rondo_transport *transport);
/* The destructor of a transport that is lent by a future. It gives the reference back one pass later, for whoever has just
 * waited and only borrows. */
void rondo_transport_let_go(void *transport);

/* --- the stream --------------------------------------------------------------------------------- */

/* Make the transport of a connected socket and queue connection_made and the start of reading, and, if @waiter is
 * not NULL, its completion behind them (a reference is taken). Takes over @sock and the
 * reference to @protocol, unless it returns NULL (RONDO_ENOMEM). */
rondo_transport *rondo_stream_new(rondo_loop *loop, rondo_socket sock, rondo_protocol *protocol,
                                  rondo_server *server, const rondo_address *peer, rondo_future *waiter);

/* Free the pool of what streams have while they send. */
void rondo_outputs_free(rondo_loop *loop);

/* Call @factory; NULL with the error it raised, or RONDO_ETYPE if it gave none. */
rondo_protocol *rondo_protocol_make(rondo_loop *loop, rondo_protocol_factory *factory, void *context);

/* Whether @file can be sent so: 0 with whether sendfile(2) is to be tried, or the error of a misuse. */
int rondo_sendfile_check(rondo_file file, int64_t offset, int64_t count, bool fallback, bool *ret_is_native);

/* --- servers ------------------------------------------------------------------------------------ */

/* A transport of the server begins and ends. */
void rondo_server_attach(rondo_server *server);
void rondo_server_detach(rondo_server *server);
/* A descriptor of this process was closed: listeners that rest for want of one go on. */
void rondo_servers_descriptor_freed(rondo_loop *loop);

/* --- names -------------------------------------------------------------------------------------- */

/* Inside a coroutine: look @query up through the loop's resolver; a numeric host with a numeric port is answered without it,
 * and without giving way. The answer is owned; an empty one is RONDO_EOS. */
int rondo_resolve_await(rondo_loop *loop, const rondo_addrinfo_query *query, rondo_addrinfo **ret_info);

void rondo_resolvers_close(rondo_loop *loop);

#endif
