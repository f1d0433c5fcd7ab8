/* SPDX-License-Identifier: MIT */
/* Sockets by the POSIX calls; see platform/socket.h. Close-on-exec and non-blocking mode are set in the creating call
 * where the system can, so that no other thread's fork sees a descriptor without them. */
#define _GNU_SOURCE
#include "../socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../src/base/container.h"
#include "../../src/base/error.h"

const bool rondo_socket_reuse_address_default = true;
#if defined(__linux__)
const bool rondo_socket_nodelay_is_inherited = true;
#else
const bool rondo_socket_nodelay_is_inherited = false;
#endif
const int rondo_resolve_passive = AI_PASSIVE;
const int rondo_resolve_numeric_host = AI_NUMERICHOST;

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE is set on each socket there */
#endif

/* clang-format off */
int rondo_error_from_system(int number)
{
    switch (number) {
    case 0:
        return 0;
#define MAP(name) \
    case name:    \
        return RONDO_##name;
        MAP(ENOMEM) MAP(EACCES) MAP(EADDRINUSE) MAP(EADDRNOTAVAIL) MAP(EAFNOSUPPORT) MAP(EAGAIN)
        MAP(EALREADY) MAP(EBADF) MAP(ECONNABORTED) MAP(ECONNREFUSED) MAP(ECONNRESET) MAP(EDESTADDRREQ) MAP(EEXIST)
        MAP(EHOSTUNREACH) MAP(EINPROGRESS) MAP(EINTR) MAP(EIO) MAP(EISCONN) MAP(EISDIR) MAP(EMFILE) MAP(EMSGSIZE)
        MAP(ENAMETOOLONG) MAP(ENETDOWN) MAP(ENETUNREACH) MAP(ENFILE) MAP(ENOBUFS) MAP(ENODEV) MAP(ENOENT)
        MAP(ENOPROTOOPT) MAP(ENOSPC) MAP(ENOSYS) MAP(ENOTCONN) MAP(ENOTDIR) MAP(ENOTSOCK) MAP(EPERM) MAP(EPIPE)
        MAP(EPROTO) MAP(EPROTONOSUPPORT) MAP(EPROTOTYPE) MAP(ESRCH) MAP(EOPNOTSUPP) MAP(ECHILD) MAP(EFAULT)
        MAP(ELOOP) MAP(ESHUTDOWN) MAP(EBUSY)
#undef MAP
    case EINVAL: /* not RONDO_EINVAL: that is what the library says of its own callers */
        return RONDO_EOSINVAL;
    case ETIMEDOUT:
        return RONDO_ETIMEDOUT;
    case ECANCELED:
        return RONDO_ECANCELLED;
    default:
        return RONDO_EOS;
    }
}
/* clang-format on */

static int check(int rc)
{
    return rc < 0 ? rondo_error_from_system(errno) : 0;
}

int rondo_socket_startup(void)
{
    return 0;
}

/* Where a send cannot be told to raise no SIGPIPE, the socket is. */
static void silence(int sock)
{
#if defined(SO_NOSIGPIPE)
    int on = 1;
    setsockopt(sock, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#else
    (void) sock;
#endif
}

#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
#define NEW_SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)
#define HAVE_NEW_SOCKET_FLAGS 1 /* the flags are enumerators: #if cannot look at them */
static int prepare(int sock)
{
    (void) sock;
    return 0;
}
#else
#define NEW_SOCKET_FLAGS 0
static int prepare(int sock)
{
    if (fcntl(sock, F_SETFD, FD_CLOEXEC) < 0 || fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) | O_NONBLOCK) < 0)
        return -1;
    silence(sock);
    return 0;
}
#endif

/* A new descriptor into *ret_socket, or the error of making or preparing it. */
static int take(int sock, rondo_socket *ret_socket)
{
    if (sock >= 0 && prepare(sock) == 0) {
        *ret_socket = sock;
        return 0;
    }
    int rc = rondo_error_from_system(errno);
    if (sock >= 0)
        close(sock);
    return rc;
}

int rondo_socket_open(int family, int type, int proto, rondo_socket *ret_socket)
{
    return take(socket(family, type | NEW_SOCKET_FLAGS, proto), ret_socket);
}

int rondo_socket_close(rondo_socket sock)
{
    return check(close(sock) < 0 && errno != EINTR ? -1 : 0);
}

int rondo_socket_pair(rondo_socket ret_pair[2])
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | NEW_SOCKET_FLAGS, 0, pair) < 0)
        return rondo_error_from_system(errno);
    int rc = take(pair[0], &ret_pair[0]);
    if (rc < 0) {
        close(pair[1]);
        return rc;
    }
    rc = take(pair[1], &ret_pair[1]);
    if (rc < 0)
        close(pair[0]);
    return rc;
}

int rondo_socket_bind(rondo_socket sock, const rondo_address *address)
{
    return check(bind(sock, rondo_address_sockaddr(address), (socklen_t) address->length));
}

int rondo_socket_listen(rondo_socket sock, int backlog)
{
    return check(listen(sock, backlog));
}

int rondo_socket_connect(rondo_socket sock, const rondo_address *address)
{
    int rc = connect(sock, rondo_address_sockaddr(address), (socklen_t) address->length);
    if (rc < 0 && errno == EINTR)
        return RONDO_EINPROGRESS;
    if (rc < 0 && errno == EAGAIN)
        return RONDO_EBUSY;
    return check(rc);
}

int rondo_socket_pending_error(rondo_socket sock)
{
    int number = 0;
    socklen_t length = sizeof number;
    if (getsockopt(sock, SOL_SOCKET, SO_ERROR, &number, &length) < 0)
        number = errno;
    return rondo_error_from_system(number);
}

int rondo_socket_accept(rondo_socket sock, rondo_socket *ret_socket, rondo_address *ret_peer)
{
    socklen_t length = sizeof ret_peer->storage;
    struct sockaddr *peer = ret_peer ? (struct sockaddr *) (void *) ret_peer->storage.bytes : NULL;
#if defined(HAVE_NEW_SOCKET_FLAGS)
    int accepted = accept4(sock, peer, peer ? &length : NULL, NEW_SOCKET_FLAGS);
#else
    int accepted = accept(sock, peer, peer ? &length : NULL);
#endif
    int rc = take(accepted, ret_socket);
    if (rc == 0 && ret_peer)
        ret_peer->length = (uint32_t) length;
    return rc;
}

bool rondo_socket_is_readable(rondo_socket sock)
{
    struct pollfd slot = { .fd = sock, .events = POLLIN };
    return poll(&slot, 1, 0) != 0;
}

/* The codes of a receive and a send that failed. They stand apart, so that the plain way is short: it is
 * gone for each message. */
static rondo_cold int recv_error(void)
{
    return errno == EINTR ? RONDO_EAGAIN : rondo_error_from_system(errno);
}

static rondo_cold int send_error(void)
{
#if defined(__APPLE__)
    if (errno == EPROTOTYPE)
        return RONDO_EPIPE; /* what Darwin says while a socket is being shut down */
#endif
    return recv_error();
}

ptrdiff_t rondo_socket_recv(rondo_socket sock, void *buffer, size_t length)
{
    ssize_t n = recv(sock, buffer, length, 0);
    return n >= 0 ? n : recv_error();
}

ptrdiff_t rondo_socket_send(rondo_socket sock, const void *data, size_t length)
{
    ssize_t n = send(sock, data, length, MSG_NOSIGNAL);
    return n >= 0 ? n : send_error();
}

ptrdiff_t rondo_socket_sendv(rondo_socket sock, const rondo_bytes *pieces, size_t count)
{
    struct iovec vectors[64];
    if (count > 64)
        count = 64;
    for (size_t i = 0; i < count; i++)
        vectors[i] =
            (struct iovec){ .iov_base = (void *) (uintptr_t) pieces[i].data, .iov_len = pieces[i].length };
    struct msghdr message = { .msg_iov = vectors };
    message.msg_iovlen = (__typeof__(message.msg_iovlen)) count; /* int or size_t */
    ssize_t n = sendmsg(sock, &message, MSG_NOSIGNAL);
    return n >= 0 ? n : send_error();
}

ptrdiff_t rondo_socket_recvfrom(rondo_socket sock, void *buffer, size_t length, rondo_address *ret_sender)
{
    struct sockaddr *sender = ret_sender ? (struct sockaddr *) (void *) ret_sender->storage.bytes : NULL;
    socklen_t sender_length = sizeof ret_sender->storage;
    ssize_t n = recvfrom(sock, buffer, length, MSG_DONTWAIT, sender, sender ? &sender_length : NULL);
    if (n < 0)
        return recv_error();
    if (ret_sender)
        ret_sender->length = (uint32_t) sender_length;
    return n;
}

ptrdiff_t rondo_socket_sendto(rondo_socket sock, const void *data, size_t length, const rondo_address *to)
{
    const struct sockaddr *target = to ? rondo_address_sockaddr(to) : NULL;
    if (!MSG_NOSIGNAL)
        silence(sock); /* it may be the program's */
    ssize_t n =
        sendto(sock, data, length, MSG_NOSIGNAL | MSG_DONTWAIT, target, to ? (socklen_t) to->length : 0);
    return n >= 0 ? n : send_error();
}

int rondo_socket_shutdown_write(rondo_socket sock)
{
    return check(shutdown(sock, SHUT_WR));
}

int rondo_socket_shutdown(rondo_socket sock)
{
    return check(shutdown(sock, SHUT_RDWR) < 0 && errno != ENOTCONN ? -1 : 0);
}

typedef int name_call(int sock, struct sockaddr *address, socklen_t *length);

static int get_name(name_call *call, rondo_socket sock, rondo_address *ret_address)
{
    rondo_address address = { 0 };
    socklen_t length = sizeof address.storage;
    if (call(sock, (struct sockaddr *) (void *) address.storage.bytes, &length) < 0)
        return rondo_error_from_system(errno);
    address.length = (uint32_t) length;
    *ret_address = address;
    return 0;
}

int rondo_socket_name(rondo_socket sock, rondo_address *ret_address)
{
    return get_name(getsockname, sock, ret_address);
}

int rondo_socket_peer(rondo_socket sock, rondo_address *ret_address)
{
    return get_name(getpeername, sock, ret_address);
}

int rondo_socket_set_nonblocking(rondo_socket sock)
{
    int flags = fcntl(sock, F_GETFL);
    if (flags < 0)
        return rondo_error_from_system(errno);
    silence(sock); /* it is not one of ours yet */
    return flags & O_NONBLOCK ? 0 : check(fcntl(sock, F_SETFL, flags | O_NONBLOCK));
}

int rondo_socket_close_on_exec(rondo_socket sock)
{
    int flags = fcntl(sock, F_GETFD);
    return check(flags < 0 || fcntl(sock, F_SETFD, flags | FD_CLOEXEC) < 0 ? -1 : 0);
}

int rondo_socket_set_blocking(rondo_socket sock)
{
    int flags = fcntl(sock, F_GETFL);
    return check(flags < 0 ? -1 : fcntl(sock, F_SETFL, flags & ~O_NONBLOCK));
}

int rondo_socket_is_nonblocking(rondo_socket sock)
{
    int flags = fcntl(sock, F_GETFL);
    return flags < 0 ? rondo_error_from_system(errno) : (flags & O_NONBLOCK) != 0;
}

static int get_option(rondo_socket sock, int option, int *ret_value)
{
    int value;
    socklen_t length = sizeof value;
    if (ret_value && getsockopt(sock, SOL_SOCKET, option, &value, &length) < 0)
        return rondo_error_from_system(errno);
    if (ret_value)
        *ret_value = value;
    return 0;
}

int rondo_socket_kind(rondo_socket sock, int *ret_family, int *ret_type, int *ret_proto)
{
    int type = 0;
    int rc = get_option(sock, SO_TYPE, &type);
    if (rc < 0)
        return rc;
    if (ret_type)
        *ret_type = type;
    rondo_address name = { 0 };
    rc = ret_family ? rondo_socket_name(sock, &name) : 0;
    if (rc == 0 && ret_family)
        *ret_family = rondo_address_sockaddr(&name)->sa_family;
#if defined(SO_PROTOCOL)
    if (rc == 0)
        rc = get_option(sock, SO_PROTOCOL, ret_proto);
#else
    if (ret_proto)
        *ret_proto = 0;
#endif
    return rc;
}

bool rondo_socket_has_lost_peer(rondo_socket sock)
{
    struct pollfd slot = { .fd = sock, .events = POLLIN };
    int is_listening = 0;
    if (get_option(sock, SO_ACCEPTCONN, &is_listening) < 0 || is_listening)
        return false;
    return poll(&slot, 1, 0) == 1 && slot.revents & POLLIN;
}

static int set_option(rondo_socket sock, int level, int option, int value)
{
    return check(setsockopt(sock, level, option, &value, sizeof value));
}

int rondo_socket_set_reuse_address(rondo_socket sock, bool on)
{
    return set_option(sock, SOL_SOCKET, SO_REUSEADDR, on);
}

int rondo_socket_set_reuse_port(rondo_socket sock)
{
#if defined(SO_REUSEPORT)
    return set_option(sock, SOL_SOCKET, SO_REUSEPORT, 1) < 0 ? RONDO_EINVAL : 0;
#else
    (void) sock;
    return RONDO_EINVAL;
#endif
}

int rondo_socket_set_v6only(rondo_socket sock)
{
    return set_option(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

int rondo_socket_set_broadcast(rondo_socket sock)
{
    return set_option(sock, SOL_SOCKET, SO_BROADCAST, 1);
}

int rondo_socket_set_nodelay(rondo_socket sock)
{
    int rc = set_option(sock, IPPROTO_TCP, TCP_NODELAY, 1);
    return rc == RONDO_EOPNOTSUPP || rc == RONDO_ENOPROTOOPT ? 0 : rc;
}

int rondo_socket_set_linger_reset(rondo_socket sock)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    return check(setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}
