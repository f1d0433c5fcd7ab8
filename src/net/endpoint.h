/* SPDX-License-Identifier: MIT */
/* The datagram transport, for the files that make it up. */
#ifndef RONDO_NET_ENDPOINT_H
#define RONDO_NET_ENDPOINT_H

#include <rondo/datagram.h>

#include "net.h"

struct rondo_packet;

struct rondo_endpoint {
    rondo_transport base; /* first */
    struct rondo_datagram_receive receive;
    struct rondo_op writable; /* while the kernel would not take what is queued */
    struct rondo_ready flush; /* a proactor's sends */
    struct rondo_ready waiter;
    rondo_future *waiting; /* what the waiter completes */
    rondo_handle retry;    /* in place of `writable`, where that says yes and the kernel no */

    struct rondo_packet *head; /* what is to be sent */
    struct rondo_packet **tail;
    struct rondo_packet *spares; /* small ones */
    size_t size;                 /* bytes of all that are queued */
    unsigned count;
    unsigned spare_count;

    rondo_address target;  /* where NULL goes, and nothing else is taken; length 0: there is none */
    uint8_t ignored_sends; /* after the end, for the warning */
    uint8_t depth;         /* error_received inside sendto inside error_received ... */
    bool is_connected;     /* the kernel knows the target */
    bool has_started;      /* the start of reading has had its turn */
    bool is_delivering;    /* datagram_received runs */
    bool is_collecting;    /* what is queued are answers, which leave when the batch was told */
    bool is_flush_queued;
};

static inline struct rondo_endpoint *rondo_endpoint_of(rondo_transport *transport)
{
    return rondo_container(transport, struct rondo_endpoint, base);
}

/* Make the transport of a datagram socket, as rondo_stream_new does. @target, with a length, is the default one of a socket
 * that is not connected. */
rondo_transport *rondo_endpoint_new(rondo_loop *loop, rondo_socket sock, rondo_protocol *protocol,
                                    const rondo_address *target, rondo_future *waiter);

/* End it with @error: what is queued is dropped, connection_lost is queued. */
void rondo_endpoint_fail(struct rondo_endpoint *endpoint, int error);
/* The same for an error that no system call had to tell: unless its class is OSError, the exception handler hears of it. */
void rondo_endpoint_fail_badly(struct rondo_endpoint *endpoint, int error);
/* Call error_received, and report what it raises. */
void rondo_endpoint_tell_error(struct rondo_endpoint *endpoint, int error);
/* Call error_received, and make what it raises the failure of the call that goes on. */
int rondo_endpoint_pass_error(struct rondo_endpoint *endpoint, int error);

/* --- endpoint_send.c */
void rondo_endpoint_send_init(struct rondo_endpoint *endpoint);
size_t rondo_endpoint_buffer_size(const rondo_transport *transport);
/* Send the answers that were collected, now. */
void rondo_endpoint_send_collected(struct rondo_endpoint *endpoint);
/* A batch has ended. */
void rondo_endpoint_delivered(struct rondo_endpoint *endpoint);
/* Drop what is queued, and wait for nothing. */
void rondo_endpoint_drop_output(struct rondo_endpoint *endpoint);
/* Release what the sending half holds. */
void rondo_endpoint_send_free(struct rondo_endpoint *endpoint);

extern const struct rondo_transport_type rondo_endpoint_type;

#endif
