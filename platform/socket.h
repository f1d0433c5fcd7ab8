/* SPDX-License-Identifier: MIT */
/* Contract: sockets. Each call is one system call or a fixed few; none blocks on a non-blocking
 * socket; none raises SIGPIPE. Results are 0 or a count, or a negative RONDO_ code; the codes
 * are the same on every system. Every descriptor made here is close-on-exec. */
#ifndef RONDO_PLATFORM_SOCKET_H
#define RONDO_PLATFORM_SOCKET_H

#include <rondo/address.h>
#include <rondo/error.h>
#include <rondo/resolve.h>
#include <rondo/transport.h>
#include <rondo/types.h>

/* The code for a system error number (errno on Unix, WSAGetLastError or GetLastError on Windows). */
int rondo_error_from_system(int number);

/* Once before the first socket (WSAStartup); repeatable, any thread. */
int rondo_socket_startup(void);

/* A non-blocking socket. */
int rondo_socket_open(int family, int type, int proto, rondo_socket *ret_socket);
int rondo_socket_close(rondo_socket sock);
/* Two connected non-blocking stream sockets. */
int rondo_socket_pair(rondo_socket ret_pair[2]);

int rondo_socket_bind(rondo_socket sock, const rondo_address *address);
int rondo_socket_listen(rondo_socket sock, int backlog);
/* 0 when connected at once; RONDO_EINPROGRESS while it goes on (also when interrupted); RONDO_EBUSY: nothing has begun,
 * since the queue of a Unix listener is full. */
int rondo_socket_connect(rondo_socket sock, const rondo_address *address);
/* How a connect ended, or another pending error: SO_ERROR as a code, 0 for none. */
int rondo_socket_pending_error(rondo_socket sock);
/* One connection, non-blocking; RONDO_EAGAIN when there is none. */
int rondo_socket_accept(rondo_socket sock, rondo_socket *ret_socket, rondo_address *ret_peer);

/* Whether it could do without waiting what it waits for: a connection to accept, bytes, an end. Cheap, where an accept
 * that finds nothing is dear. True also where there is no telling. */
bool rondo_socket_is_readable(rondo_socket sock);

/* Bytes received or sent, 0 for end of stream, RONDO_EAGAIN: not now, or interrupted. */
ptrdiff_t rondo_socket_recv(rondo_socket sock, void *buffer, size_t length);
ptrdiff_t rondo_socket_send(rondo_socket sock, const void *data, size_t length);
ptrdiff_t rondo_socket_sendv(rondo_socket sock, const rondo_bytes *pieces, size_t count);

/* One datagram; results as above, but that 0 is an empty one. On Unix these two do not block on a blocking socket either.
 * What does not fit into @length is lost. The sender may be asked for by @ret_sender (length 0: it has no address). */
ptrdiff_t rondo_socket_recvfrom(rondo_socket sock, void *buffer, size_t length, rondo_address *ret_sender);
/* @to NULL: to the peer that the socket is connected to. */
ptrdiff_t rondo_socket_sendto(rondo_socket sock, const void *data, size_t length, const rondo_address *to);

int rondo_socket_shutdown_write(rondo_socket sock);
int rondo_socket_shutdown(rondo_socket sock); /* both halves; ENOTCONN is success */

int rondo_socket_name(rondo_socket sock, rondo_address *ret_address);
int rondo_socket_peer(rondo_socket sock, rondo_address *ret_address);
/* Whether a stream without a peer had one, or tried to: an error or an end of it is to be read. No where there is no telling. */
bool rondo_socket_has_lost_peer(rondo_socket sock);
int rondo_socket_set_nonblocking(rondo_socket sock);
/* Programs that this one starts do not get it: for sockets that were not made here. */
int rondo_socket_close_on_exec(rondo_socket sock);
int rondo_socket_set_blocking(rondo_socket sock);
/* 1, 0, or an error (where the system cannot tell: 1). */
int rondo_socket_is_nonblocking(rondo_socket sock);
/* What the socket is: each output may be NULL. RONDO_ENOTSOCK and RONDO_EBADF for what is none. */
int rondo_socket_kind(rondo_socket sock, int *ret_family, int *ret_type, int *ret_proto);

int rondo_socket_set_reuse_address(rondo_socket sock, bool on);
/* RONDO_EINVAL where the system has none. */
int rondo_socket_set_reuse_port(rondo_socket sock);
int rondo_socket_set_v6only(rondo_socket sock);
/* Let datagrams go to broadcast addresses. */
int rondo_socket_set_broadcast(rondo_socket sock);
/* Only where it applies (TCP over IP); else does nothing. */
int rondo_socket_set_nodelay(rondo_socket sock);
/* Close with a reset in place of an orderly end. */
int rondo_socket_set_linger_reset(rondo_socket sock);

/* What create_server does for reuse_address when it was not said. */
extern const bool rondo_socket_reuse_address_default;
/* Whether accepted sockets have TCP_NODELAY set when their listener has. */
extern const bool rondo_socket_nodelay_is_inherited;
/* The system's AI_PASSIVE and AI_NUMERICHOST, which not every header shows under plain C11. */
extern const int rondo_resolve_passive;
extern const int rondo_resolve_numeric_host;

/* --- names: these two block ------------------------------------------------------------------ */

/* getaddrinfo; a RONDO_EAI_ code or a system one on failure. The list is owned. */
int rondo_socket_resolve(const rondo_addrinfo_query *query, rondo_addrinfo **ret_info);
int rondo_socket_reverse(const rondo_address *address, int flags, rondo_nameinfo *ret_info);

#endif
