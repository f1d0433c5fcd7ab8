/* SPDX-License-Identifier: MIT */
/* From the numbers of Windows to codes: WSAGetLastError and GetLastError share one space, and an overlapped
 * operation on a socket may report either kind.
 *
 * Invariant: what has no code of its own is RONDO_EOS, never 0 for a number that is not 0. */
#include <stddef.h>

#include <rondo/error.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winsock2.h>

#include "../socket.h"

struct rondo_error_pair {
    int number;
    int code;
};

static const struct rondo_error_pair rondo_winsock_errors[] = {
    { WSAEINTR, RONDO_EINTR },
    { WSAEBADF, RONDO_EBADF },
    { WSAEACCES, RONDO_EACCES },
    { WSAEFAULT, RONDO_EFAULT },
    { WSAEINVAL, RONDO_EOSINVAL },
    { WSAEMFILE, RONDO_EMFILE },
    { WSAEWOULDBLOCK, RONDO_EAGAIN },
    { WSAEINPROGRESS, RONDO_EINPROGRESS },
    { WSAEALREADY, RONDO_EALREADY },
    { WSAENOTSOCK, RONDO_ENOTSOCK },
    { WSAEDESTADDRREQ, RONDO_EDESTADDRREQ },
    { WSAEMSGSIZE, RONDO_EMSGSIZE },
    { WSAEPROTOTYPE, RONDO_EPROTOTYPE },
    { WSAENOPROTOOPT, RONDO_ENOPROTOOPT },
    { WSAEPROTONOSUPPORT, RONDO_EPROTONOSUPPORT },
    { WSAESOCKTNOSUPPORT, RONDO_EPROTONOSUPPORT },
    { WSAEOPNOTSUPP, RONDO_EOPNOTSUPP },
    { WSAEPFNOSUPPORT, RONDO_EAFNOSUPPORT },
    { WSAEAFNOSUPPORT, RONDO_EAFNOSUPPORT },
    { WSAEADDRINUSE, RONDO_EADDRINUSE },
    { WSAEADDRNOTAVAIL, RONDO_EADDRNOTAVAIL },
    { WSAENETDOWN, RONDO_ENETDOWN },
    { WSAENETUNREACH, RONDO_ENETUNREACH },
    { WSAENETRESET, RONDO_ECONNRESET },
    { WSAECONNABORTED, RONDO_ECONNABORTED },
    { WSAECONNRESET, RONDO_ECONNRESET },
    { WSAENOBUFS, RONDO_ENOBUFS },
    { WSAEISCONN, RONDO_EISCONN },
    { WSAENOTCONN, RONDO_ENOTCONN },
    { WSAESHUTDOWN, RONDO_EPIPE }, /* what a send after shutdown is on Unix */
    { WSAETIMEDOUT, RONDO_ETIMEDOUT },
    { WSAECONNREFUSED, RONDO_ECONNREFUSED },
    { WSAENAMETOOLONG, RONDO_ENAMETOOLONG },
    { WSAEHOSTDOWN, RONDO_EHOSTUNREACH },
    { WSAEHOSTUNREACH, RONDO_EHOSTUNREACH },
    { WSASYSNOTREADY, RONDO_ENETDOWN },
    { WSANOTINITIALISED, RONDO_ENETDOWN },
    { WSAEDISCON, RONDO_ESHUTDOWN },
    { WSAECANCELLED, RONDO_ECANCELLED },
};

static const struct rondo_error_pair rondo_win32_errors[] = {
    { ERROR_FILE_NOT_FOUND, RONDO_ENOENT },
    { ERROR_PATH_NOT_FOUND, RONDO_ENOENT },
    { ERROR_TOO_MANY_OPEN_FILES, RONDO_EMFILE },
    { ERROR_ACCESS_DENIED, RONDO_EACCES },
    { ERROR_INVALID_HANDLE, RONDO_EBADF },
    { ERROR_NOT_ENOUGH_MEMORY, RONDO_ENOMEM },
    { ERROR_OUTOFMEMORY, RONDO_ENOMEM },
    { ERROR_GEN_FAILURE, RONDO_EIO },
    { ERROR_SHARING_VIOLATION, RONDO_EACCES },
    { ERROR_NOT_SUPPORTED, RONDO_EOPNOTSUPP },
    { ERROR_NETNAME_DELETED, RONDO_ECONNRESET },
    { ERROR_INVALID_PARAMETER, RONDO_EOSINVAL },
    { ERROR_BROKEN_PIPE, RONDO_EPIPE },
    { ERROR_DISK_FULL, RONDO_ENOSPC },
    { ERROR_SEM_TIMEOUT, RONDO_ETIMEDOUT },
    { ERROR_INSUFFICIENT_BUFFER, RONDO_EMSGSIZE },
    { ERROR_ALREADY_EXISTS, RONDO_EEXIST },
    { ERROR_FILE_EXISTS, RONDO_EEXIST },
    { ERROR_PIPE_BUSY, RONDO_EAGAIN },
    { ERROR_NO_DATA, RONDO_EPIPE },
    { ERROR_PIPE_NOT_CONNECTED, RONDO_EPIPE },
    { ERROR_DIRECTORY, RONDO_ENOTDIR },
    { ERROR_OPERATION_ABORTED, RONDO_ECANCELLED },
    { ERROR_NOACCESS, RONDO_EFAULT },
    { ERROR_DEVICE_NOT_CONNECTED, RONDO_ENODEV },
    { ERROR_CONNECTION_REFUSED, RONDO_ECONNREFUSED },
    { ERROR_GRACEFUL_DISCONNECT, RONDO_ESHUTDOWN },
    { ERROR_CONNECTION_INVALID, RONDO_ENOTCONN },
    { ERROR_NETWORK_UNREACHABLE, RONDO_ENETUNREACH },
    { ERROR_HOST_UNREACHABLE, RONDO_EHOSTUNREACH },
    { ERROR_PROTOCOL_UNREACHABLE, RONDO_EHOSTUNREACH },
    { ERROR_PORT_UNREACHABLE, RONDO_ECONNREFUSED },
    { ERROR_CONNECTION_ABORTED, RONDO_ECONNABORTED },
    { ERROR_HOST_DOWN, RONDO_EHOSTUNREACH },
    { ERROR_NO_SYSTEM_RESOURCES, RONDO_ENOBUFS },
    { ERROR_WORKING_SET_QUOTA, RONDO_ENOBUFS },
    { ERROR_COMMITMENT_LIMIT, RONDO_ENOMEM },
    { ERROR_TIMEOUT, RONDO_ETIMEDOUT },
};

static int rondo_error_look_up(const struct rondo_error_pair *pairs, size_t count, int number)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].number == number)
            return pairs[i].code;
    return RONDO_EOS;
}

int rondo_error_from_system(int number)
{
    if (number == 0)
        return 0;
    if (number >= WSABASEERR)
        return rondo_error_look_up(rondo_winsock_errors,
                                   sizeof rondo_winsock_errors / sizeof rondo_winsock_errors[0], number);
    return rondo_error_look_up(rondo_win32_errors, sizeof rondo_win32_errors / sizeof rondo_win32_errors[0],
                               number);
}
