/* SPDX-License-Identifier: MIT */
/* Options and properties of sockets on Windows.
 *
 * Failures: codes by rondo_error_from_system; what Windows does not have is RONDO_EINVAL. */
#include <string.h>

#include <rondo/error.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>

#include "../socket.h"

/* Here SO_REUSEADDR would let anybody take the port of a listener away, so it is never on by default;
 * binding after a crash, for which it is on elsewhere, needs no option. */
const bool rondo_socket_reuse_address_default = false;
const bool rondo_socket_nodelay_is_inherited = false;
const int rondo_resolve_passive = AI_PASSIVE;
const int rondo_resolve_numeric_host = AI_NUMERICHOST;

static int rondo_socket_failure(void)
{
    return rondo_error_from_system(WSAGetLastError());
}

static int rondo_socket_set_flag(rondo_socket sock, int level, int option, bool on)
{
    int value = on;
    return setsockopt(sock, level, option, (const char *) &value, sizeof value) == 0 ? 0
                                                                                     : rondo_socket_failure();
}

static int rondo_socket_name_by(int(WSAAPI *ask)(SOCKET, struct sockaddr *, int *), rondo_socket sock,
                                rondo_address *ret_address)
{
    rondo_address address = { 0 };
    int length = sizeof address.storage;
    if (ask(sock, (struct sockaddr *) (void *) address.storage.bytes, &length) != 0)
        return rondo_socket_failure();
    address.length = (uint32_t) length;
    *ret_address = address;
    return 0;
}

int rondo_socket_name(rondo_socket sock, rondo_address *ret_address)
{
    return rondo_socket_name_by(getsockname, sock, ret_address);
}

int rondo_socket_peer(rondo_socket sock, rondo_address *ret_address)
{
    return rondo_socket_name_by(getpeername, sock, ret_address);
}

bool rondo_socket_has_lost_peer(rondo_socket sock)
{
    (void) sock; /* the name of a peer that is gone can still be asked for */
    return false;
}

static int rondo_socket_set_mode(rondo_socket sock, u_long is_nonblocking)
{
    return ioctlsocket(sock, (long) FIONBIO, &is_nonblocking) == 0 ? 0 : rondo_socket_failure();
}

int rondo_socket_set_nonblocking(rondo_socket sock)
{
    return rondo_socket_set_mode(sock, 1);
}

int rondo_socket_set_blocking(rondo_socket sock)
{
    return rondo_socket_set_mode(sock, 0);
}

int rondo_socket_close_on_exec(rondo_socket sock)
{
    if (SetHandleInformation((HANDLE) sock, HANDLE_FLAG_INHERIT, 0))
        return 0;
    return rondo_error_from_system((int) GetLastError());
}

bool rondo_socket_is_readable(rondo_socket sock)
{
    WSAPOLLFD slot = { .fd = sock, .events = POLLRDNORM };
    return WSAPoll(&slot, 1, 0) != 0;
}

int rondo_socket_is_nonblocking(rondo_socket sock)
{
    int type = 0; /* Windows cannot tell, but it can say whether there is a socket */
    int code = rondo_socket_kind(sock, NULL, &type, NULL);
    return code < 0 ? code : 1;
}

int rondo_socket_kind(rondo_socket sock, int *ret_family, int *ret_type, int *ret_proto)
{
    WSAPROTOCOL_INFOW info;
    int length = sizeof info;
    if (getsockopt(sock, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *) &info, &length) != 0)
        return rondo_socket_failure();
    if (ret_family)
        *ret_family = info.iAddressFamily;
    if (ret_type)
        *ret_type = info.iSocketType;
    if (ret_proto)
        *ret_proto = info.iProtocol;
    return 0;
}

int rondo_socket_set_reuse_address(rondo_socket sock, bool on)
{
    return rondo_socket_set_flag(sock, SOL_SOCKET, on ? SO_REUSEADDR : SO_EXCLUSIVEADDRUSE, true);
}

int rondo_socket_set_reuse_port(rondo_socket sock)
{
    (void) sock;
    return RONDO_EINVAL;
}

int rondo_socket_set_v6only(rondo_socket sock)
{
    return rondo_socket_set_flag(sock, IPPROTO_IPV6, IPV6_V6ONLY, true);
}

int rondo_socket_set_broadcast(rondo_socket sock)
{
    return rondo_socket_set_flag(sock, SOL_SOCKET, SO_BROADCAST, true);
}

int rondo_socket_set_nodelay(rondo_socket sock)
{
    int family = 0, type = 0;
    int code = rondo_socket_kind(sock, &family, &type, NULL);
    if (code < 0)
        return code;
    if ((family != AF_INET && family != AF_INET6) || type != SOCK_STREAM)
        return 0;
    return rondo_socket_set_flag(sock, IPPROTO_TCP, TCP_NODELAY, true);
}

int rondo_socket_set_linger_reset(rondo_socket sock)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    return setsockopt(sock, SOL_SOCKET, SO_LINGER, (const char *) &linger, sizeof linger) == 0
               ? 0
               : rondo_socket_failure();
}
