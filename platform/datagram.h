/* SPDX-License-Identifier: MIT */
/* Contract: datagrams in batches, in one system call where the system has such calls. None blocks, whatever the socket's
 * mode. Results as in platform/socket.h. */
#ifndef RONDO_PLATFORM_DATAGRAM_H
#define RONDO_PLATFORM_DATAGRAM_H

#include <rondo/address.h>
#include <rondo/error.h>
#include <rondo/types.h>

/* More than so many are never handled in one call. */
#define RONDO_DATAGRAMS 16u

/* Room for one that is received. What does not fit into it is cut off. */
struct rondo_datagram {
    void *memory;
    size_t capacity;
    size_t length;        /* of what came */
    rondo_address sender; /* length 0: it has no name */
};

/* One that is to be sent. */
struct rondo_outgoing {
    const void *data;
    size_t length;
    const rondo_address *to; /* NULL: to whom the socket is connected */
};

/* How many one call receives where so many are there: RONDO_DATAGRAMS or 1. */
extern const size_t rondo_datagrams_at_once;

/* Receive what is there, at most @count and as many as one call receives: how many; RONDO_EAGAIN for none, or interrupted;
 * an error that the socket had to tell. */
ptrdiff_t rondo_socket_recv_datagrams(rondo_socket sock, struct rondo_datagram *datagrams, size_t count);

/* Send in order, as many as the system takes now: how many, of @count, at least one; else what became of the first:
 * RONDO_EAGAIN for not now, or an error that is its own. */
ptrdiff_t rondo_socket_send_datagrams(rondo_socket sock, const struct rondo_outgoing *datagrams,
                                      size_t count);

#endif
