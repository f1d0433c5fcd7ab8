/* SPDX-License-Identifier: MIT */
/** Low-level socket operations (18.5.1.9), for sockets that the program has opened and goes on to own.
 *
 *  Each call gives a future. It tries at once and, where that is enough, the future is done already, and waiting for it
 *  gives no way to the loop; else it is tried again when the socket is ready. Cancelling is over at once: nothing was taken from
 *  the socket, nothing more is sent, memory that was lent is the caller's again, and the next operation may follow right away.
 *
 *  Memory that is given for data stays lent until the future is done.
 *
 *  There is one operation for each side of a socket, receiving (recv, accept) and sending (send, connect): a later one takes the
 *  place of one that still waits, which fails with RONDO_EBUSY. A reader or writer (rondo/watch.h) is such an operation, too.
 *  Close the socket when nothing waits on it.
 *
 *  On a selector's loop the socket must be non-blocking, a proactor's takes any (RONDO_CAN_BLOCKING_SOCKETS).
 *
 *  All of them return NULL, with rondo_last_error, and have done nothing for RONDO_EINVAL (also a socket that is blocking, on a
 *  selector), RONDO_EBADF, RONDO_EBUSY (a transport that is not closing uses the socket), RONDO_ECLOSED, RONDO_ETHREAD,
 *  RONDO_ENOTSUP, RONDO_ENOMEM. The system's errors come by the future, and so does what keeps one from waiting once it was tried
 *  (RONDO_ENOMEM, RONDO_EBUSY where a server accepts on the socket or, on a selector, a closing transport still sends). When the
 *  loop closes they are cancelled. All functions: loop thread only. */
#ifndef RONDO_SOCK_H
#define RONDO_SOCK_H

#include <rondo/address.h>
#include <rondo/future.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** Bytes that were received, and by recvfrom who sent them. */
typedef struct rondo_received {
    size_t length;        /**< 0: the end of the stream, or an empty datagram */
    unsigned char *data;  /**< released with this structure */
    rondo_address sender; /**< recvfrom only; length 0 where there is none */
} rondo_received;

RONDO_API void rondo_received_free(rondo_received *received);

/** At most @length bytes (2 GiB), as soon as there are any (loop.sock_recv, 18.5.1.9). The future's value is a
 *  rondo_received that it owns: rondo_await_received takes it out. */
RONDO_API rondo_future *rondo_sock_recv(rondo_loop *loop, rondo_socket sock, size_t length);

/** One datagram, cut to @length bytes, and its sender (loop.sock_recvfrom). The value is a rondo_received. */
RONDO_API rondo_future *rondo_sock_recvfrom(rondo_loop *loop, rondo_socket sock, size_t length);

/** rondo_await for both: *ret_received is owned (rondo_received_free). */
RONDO_API int rondo_await_received(rondo_future *future, rondo_received **ret_received);

/** The two into @length bytes of @memory (loop.sock_recv_into, loop.sock_recvfrom_into). The future's number, which rondo_await
 *  returns, is how many bytes came. *ret_sender (may be NULL) is lent like the memory. */
RONDO_API rondo_future *rondo_sock_recv_into(rondo_loop *loop, rondo_socket sock, void *memory,
                                             size_t length);
RONDO_API rondo_future *rondo_sock_recvfrom_into(rondo_loop *loop, rondo_socket sock, void *memory,
                                                 size_t length, rondo_address *ret_sender);

/** Send all of @data to a connected socket (loop.sock_sendall, 18.5.1.9). When it fails or is cancelled there is no telling how
 *  much went out. */
RONDO_API rondo_future *rondo_sock_sendall(rondo_loop *loop, rondo_socket sock, const void *data,
                                           size_t length);

/** Send one datagram to @address, which is copied; NULL: to the peer of a connected socket (loop.sock_sendto). The future's
 *  number is how many bytes went out. */
RONDO_API rondo_future *rondo_sock_sendto(rondo_loop *loop, rondo_socket sock, const void *data,
                                          size_t length, const rondo_address *address);

/** Connect to @address, which is copied (loop.sock_connect, 18.5.1.9): of an IP socket, a Unix one, any. Cancelled while it goes
 *  on, the system may still make the connection; another call then waits for it. RONDO_EAGAIN:
 *  the queue of a Unix listener is full. */
RONDO_API rondo_future *rondo_sock_connect(rondo_loop *loop, rondo_socket sock, const rondo_address *address);

/** The same to @host (copied), a name or a number, and @port: a name is looked up by the loop's resolver for the family, type and
 *  protocol of the socket, and the first answer is taken. IP sockets only. The future may also fail with a RONDO_EAI_ code. */
RONDO_API rondo_future *rondo_sock_connect_host(rondo_loop *loop, rondo_socket sock, const char *host,
                                                int port);

/** A connection that was accepted. */
typedef struct rondo_accepted {
    rondo_socket sock;  /**< non-blocking and close-on-exec */
    rondo_address peer; /**< length 0 where it has no address */
} rondo_accepted;

/** Release it, and close the socket, unless that was set to RONDO_INVALID_SOCKET. */
RONDO_API void rondo_accepted_free(rondo_accepted *accepted);

/** One connection of @sock, which listens (loop.sock_accept, 18.5.1.9). The future's value is a rondo_accepted that it owns;
 *  nobody takes it: the connection is closed. */
RONDO_API rondo_future *rondo_sock_accept(rondo_loop *loop, rondo_socket sock);

/** rondo_await for it: *ret_sock is owned; *ret_peer may be NULL. */
RONDO_API int rondo_await_accepted(rondo_future *future, rondo_socket *ret_sock, rondo_address *ret_peer);

RONDO_END_DECLS

#endif
