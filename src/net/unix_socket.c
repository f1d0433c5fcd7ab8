/* SPDX-License-Identifier: MIT */
/* Sockets of the Unix family: what they are made from, and who is at their other end. */
#include "unix_socket.h"

#include <rondo/unix_socket.h>

#include "../../platform/sockaddr.h"
#include "../../platform/unix_socket.h"

int rondo_unix_check_stream(rondo_socket sock)
{
    int family, type;
    if (rondo_socket_kind(sock, &family, &type, NULL) < 0 || family != AF_UNIX || type != SOCK_STREAM)
        return rondo_fail(RONDO_EINVAL, "a stream socket of the Unix family was expected");
    return 0;
}

int rondo_unix_target(const char *path, size_t length, rondo_socket sock, rondo_address *ret_address)
{
    if (path && sock != RONDO_INVALID_SOCKET)
        return rondo_fail(RONDO_EINVAL, "path and sock can not be specified at the same time");
    if (path)
        return rondo_address_from_path(ret_address, path, length);
    if (sock == RONDO_INVALID_SOCKET)
        return rondo_fail(RONDO_EINVAL, "no path and sock were specified");
    return rondo_unix_check_stream(sock);
}

int rondo_transport_peer_credentials(const rondo_transport *transport, rondo_credentials *ret_credentials)
{
    if (!transport || !ret_credentials)
        return rondo_fail(RONDO_EINVAL, "no transport, or no place for the credentials given");
    if (transport->sock == RONDO_INVALID_SOCKET)
        return rondo_fail(RONDO_ENOTCONN, "the connection is gone");
    int rc = rondo_unix_credentials(transport->sock, ret_credentials);
    return rc < 0 ? rondo_fail(rc, NULL) : 0;
}
