/* SPDX-License-Identifier: MIT */
/* The inside of the IOCP driver, shared by its files: iocp.c (the loop's side: open, wait, wake, vtable),
 * iocp_request.c (requests and the table of sockets), iocp_stream.c (receive, send, connect) and
 * iocp_accept.c.
 *
 * A request is what the kernel knows of an op: the OVERLAPPED, and with it everything that must live until
 * the packet is dequeued. A receive, a send and a connect have one, an accept has several. op->slot is the
 * number of the request, or of an accept's first one. Packets carry the request's address, never a socket.
 *
 * Where a request is (enum rondo_iocp_place):
 *   FREE    in the pool
 *   KERNEL  started; exactly one packet is to come, whatever happens to the op or the socket
 *   QUEUED  its node is in a ready list: the packet came, or it was over at once
 *   HELD    neither: a receive that is paused and has something to read
 *   CALLED  its op's callback runs; what that asks for is seen to when it returns */
#ifndef RONDO_BACKENDS_IOCP_H
#define RONDO_BACKENDS_IOCP_H

#include <stdatomic.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>

#include <mswsock.h>

#include "driver.h"

enum rondo_iocp_place {
    RONDO_IOCP_FREE,
    RONDO_IOCP_KERNEL,
    RONDO_IOCP_QUEUED,
    RONDO_IOCP_HELD,
    RONDO_IOCP_CALLED
};

enum {
    RONDO_IOCP_PACKETS = 128,        /* taken by one wait */
    RONDO_IOCP_PIECES_PER_SEND = 64, /* buffers of one WSASend */
    RONDO_IOCP_ACCEPTS = 8,          /* posted for each listener, at most */
    RONDO_IOCP_RECEIVE_SIZE = 65536
};

/* The completion keys. */
enum { RONDO_IOCP_KEY_SOCKET = 0, RONDO_IOCP_KEY_WAKE = 1 };

struct rondo_iocp_accept;

struct rondo_iocp_request {
    OVERLAPPED overlapped; /* first: the address in a packet is the request's */
    struct rondo_ready ready;
    struct rondo_iocp *iocp;
    struct rondo_op *op;
    struct rondo_iocp_accept *accept; /* the listener's, for its first request */
    ptrdiff_t result;                 /* once QUEUED: bytes or an error */
    uint32_t slot;
    uint32_t next_free;
    uint8_t place; /* enum rondo_iocp_place */
};

/* A socket that was given to the port, which cannot be undone. An empty row is RONDO_INVALID_SOCKET. */
struct rondo_iocp_row {
    rondo_socket socket;
    bool skips; /* what succeeds at once posts no packet */
};

struct rondo_iocp {
    struct rondo_driver driver;
    const rondo_allocator *allocator;
    HANDLE port;
    atomic_bool woken; /* a wake packet is on its way */

    struct rondo_iocp_request **requests;
    uint32_t request_count;
    uint32_t free_request; /* RONDO_IOCP_NONE: none */

    struct rondo_iocp_row *rows; /* hashed, a power of two of them */
    size_t row_count;
    size_t row_used;

    LPFN_ACCEPTEX accept_ex;
    LPFN_CONNECTEX connect_ex;
    LPFN_GETACCEPTEXSOCKADDRS accept_addresses;
    bool may_skip; /* sockets are handles of the system's own */

    void *block; /* as it was allocated */
    unsigned char *buffer;
    size_t buffer_size;
};

#define RONDO_IOCP_NONE UINT32_MAX

static inline struct rondo_iocp *rondo_iocp_of(struct rondo_driver *driver)
{
    return (struct rondo_iocp *) (void *) driver;
}

/* --- iocp_request.c -------------------------------------------------------------------------------- */

/* A request for @op, or NULL: out of memory. */
struct rondo_iocp_request *rondo_iocp_take(struct rondo_iocp *iocp, struct rondo_op *op, rondo_run_fn *run);
void rondo_iocp_give(struct rondo_iocp_request *request);
void rondo_iocp_release_requests(struct rondo_iocp *iocp);

/* Zero the OVERLAPPED before it is started. */
void rondo_iocp_begin(struct rondo_iocp_request *request);
/* What a start came to: it returned success (@ok) or WSAGetLastError says more. */
void rondo_iocp_started(struct rondo_iocp_request *request, bool ok, DWORD bytes);
/* Put it in the loop's queue with @result. */
void rondo_iocp_queue(struct rondo_iocp_request *request, ptrdiff_t result);
/* The last completion of an op with one request. */
void rondo_iocp_finish(struct rondo_iocp_request *request, ptrdiff_t result);
/* Take a packet apart. */
void rondo_iocp_reap(struct rondo_iocp_request *request, DWORD bytes, struct rondo_ready_list *completed);

/* Give the socket to the port unless it has been. */
int rondo_iocp_adopt(struct rondo_iocp *iocp, rondo_socket sock);
void rondo_iocp_forget(struct rondo_iocp *iocp, rondo_socket sock);
bool rondo_iocp_skips(const struct rondo_iocp *iocp, rondo_socket sock);

/* --- iocp_stream.c, iocp_accept.c: start an op; 0 or an error with nothing started -------------------- */

int rondo_iocp_recv(struct rondo_iocp *iocp, struct rondo_op *op);
int rondo_iocp_send(struct rondo_iocp *iocp, struct rondo_op *op);
int rondo_iocp_connect(struct rondo_iocp *iocp, struct rondo_op *op);
int rondo_iocp_accept(struct rondo_iocp *iocp, struct rondo_op *op);
/* The op's state says that it is over: stop what is posted. */
void rondo_iocp_accept_cancel(struct rondo_iocp_accept *accept);

#endif
