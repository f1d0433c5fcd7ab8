/* SPDX-License-Identifier: MIT */
/* Sockets on Windows: platform/socket.h over Winsock 2. Options are in socket_options.c, names in
 * socket_names.c, error numbers in system_error.c.
 *
 * Happy path: every socket made here is overlapped, so that a completion port can serve it, non-blocking,
 * and not inherited by children.
 * Failures: codes by rondo_error_from_system.
 * Invariants: lengths above what an int holds are cut, which a stream's caller must expect anyway. */
#include <limits.h>
#include <string.h>

#include <rondo/error.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>

#include "../socket.h"

static int rondo_socket_failure(void)
{
    return rondo_error_from_system(WSAGetLastError());
}

static BOOL CALLBACK rondo_socket_start_once(INIT_ONCE *once, void *parameter, void **context)
{
    (void) once;
    (void) context;
    WSADATA data;
    *(int *) parameter = WSAStartup(MAKEWORD(2, 2), &data);
    return *(int *) parameter == 0;
}

int rondo_socket_startup(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    int number = 0;
    if (InitOnceExecuteOnce(&once, rondo_socket_start_once, &number, NULL))
        return 0;
    return rondo_error_from_system(number);
}

/* --- making and ending ----------------------------------------------------------------------------- */

int rondo_socket_open(int family, int type, int proto, rondo_socket *ret_socket)
{
    SOCKET sock = WSASocketW(family, type, proto, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return rondo_socket_failure();
    int code = rondo_socket_set_nonblocking(sock);
    if (code < 0) {
        closesocket(sock);
        return code;
    }
    *ret_socket = sock;
    return 0;
}

int rondo_socket_close(rondo_socket sock)
{
    return closesocket(sock) == 0 ? 0 : rondo_socket_failure();
}

/* Take connections from @listener until it is @client's: anybody on this machine can connect to the port. */
static SOCKET rondo_socket_accept_from(SOCKET listener, SOCKET client)
{
    struct sockaddr_in expected, peer;
    int length = sizeof expected;
    if (getsockname(client, (struct sockaddr *) &expected, &length) != 0)
        return INVALID_SOCKET;
    for (;;) {
        length = sizeof peer;
        SOCKET sock = accept(listener, (struct sockaddr *) &peer, &length);
        if (sock == INVALID_SOCKET ||
            (peer.sin_port == expected.sin_port && peer.sin_addr.s_addr == expected.sin_addr.s_addr))
            return sock;
        closesocket(sock);
    }
}

/* A listener on a free port of the loopback interface, whose address goes to *@ret_address. */
static SOCKET rondo_socket_listen_locally(struct sockaddr_in *ret_address)
{
    SOCKET sock =
        WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return INVALID_SOCKET;
    struct sockaddr_in address = { .sin_family = AF_INET };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length = sizeof *ret_address;
    BOOL yes = TRUE;
    if (setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *) &yes, sizeof yes) == 0 &&
        bind(sock, (const struct sockaddr *) &address, sizeof address) == 0 && listen(sock, 1) == 0 &&
        getsockname(sock, (struct sockaddr *) ret_address, &length) == 0)
        return sock;
    int number = WSAGetLastError();
    closesocket(sock);
    WSASetLastError(number);
    return INVALID_SOCKET;
}

static int rondo_socket_connect_pair(SOCKET listener, const struct sockaddr_in *address, SOCKET pair[2])
{
    pair[0] = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (pair[0] == INVALID_SOCKET)
        return rondo_socket_failure();
    if (connect(pair[0], (const struct sockaddr *) address, sizeof *address) != 0)
        return rondo_socket_failure();
    pair[1] = rondo_socket_accept_from(listener, pair[0]);
    if (pair[1] == INVALID_SOCKET)
        return rondo_socket_failure();
    SetHandleInformation((HANDLE) pair[1], HANDLE_FLAG_INHERIT, 0);
    int code = 0;
    for (int i = 0; i < 2 && code == 0; i++) {
        code = rondo_socket_set_nonblocking(pair[i]);
        if (code == 0)
            code = rondo_socket_set_nodelay(pair[i]);
    }
    return code;
}

int rondo_socket_pair(rondo_socket ret_pair[2])
{
    struct sockaddr_in address;
    SOCKET listener = rondo_socket_listen_locally(&address);
    if (listener == INVALID_SOCKET)
        return rondo_socket_failure();
    SOCKET pair[2] = { INVALID_SOCKET, INVALID_SOCKET };
    int code = rondo_socket_connect_pair(listener, &address, pair);
    closesocket(listener);
    for (int i = 0; i < 2; i++) {
        if (code == 0)
            ret_pair[i] = pair[i];
        else if (pair[i] != INVALID_SOCKET)
            closesocket(pair[i]);
    }
    return code;
}

/* --- connecting ------------------------------------------------------------------------------------ */

int rondo_socket_bind(rondo_socket sock, const rondo_address *address)
{
    return bind(sock, rondo_address_sockaddr(address), (int) address->length) == 0 ? 0
                                                                                   : rondo_socket_failure();
}

int rondo_socket_listen(rondo_socket sock, int backlog)
{
    return listen(sock, backlog) == 0 ? 0 : rondo_socket_failure();
}

int rondo_socket_connect(rondo_socket sock, const rondo_address *address)
{
    if (connect(sock, rondo_address_sockaddr(address), (int) address->length) == 0)
        return 0;
    int number = WSAGetLastError();
    return number == WSAEWOULDBLOCK ? RONDO_EINPROGRESS : rondo_error_from_system(number);
}

int rondo_socket_pending_error(rondo_socket sock)
{
    int number = 0;
    int length = sizeof number;
    if (getsockopt(sock, SOL_SOCKET, SO_ERROR, (char *) &number, &length) != 0)
        return rondo_socket_failure();
    return rondo_error_from_system(number);
}

int rondo_socket_accept(rondo_socket sock, rondo_socket *ret_socket, rondo_address *ret_peer)
{
    rondo_address peer;
    int length = sizeof peer.storage;
    SOCKET accepted = accept(sock, (struct sockaddr *) (void *) peer.storage.bytes, &length);
    if (accepted == INVALID_SOCKET)
        return rondo_socket_failure();
    SetHandleInformation((HANDLE) accepted, HANDLE_FLAG_INHERIT, 0);
    int code = rondo_socket_set_nonblocking(accepted);
    if (code < 0) {
        closesocket(accepted);
        return code;
    }
    *ret_socket = accepted;
    if (ret_peer) {
        peer.length = (uint32_t) length;
        peer.reserved = 0;
        *ret_peer = peer;
    }
    return 0;
}

int rondo_socket_shutdown_write(rondo_socket sock)
{
    return shutdown(sock, SD_SEND) == 0 ? 0 : rondo_socket_failure();
}

int rondo_socket_shutdown(rondo_socket sock)
{
    if (shutdown(sock, SD_BOTH) == 0 || WSAGetLastError() == WSAENOTCONN)
        return 0;
    return rondo_socket_failure();
}

/* --- bytes ----------------------------------------------------------------------------------------- */

static int rondo_socket_cut(size_t length)
{
    return length > INT_MAX ? INT_MAX : (int) length;
}

ptrdiff_t rondo_socket_recv(rondo_socket sock, void *buffer, size_t length)
{
    int count = recv(sock, buffer, rondo_socket_cut(length), 0);
    return count >= 0 ? count : rondo_socket_failure();
}

ptrdiff_t rondo_socket_send(rondo_socket sock, const void *data, size_t length)
{
    int count = send(sock, data, rondo_socket_cut(length), 0);
    return count >= 0 ? count : rondo_socket_failure();
}

ptrdiff_t rondo_socket_sendv(rondo_socket sock, const rondo_bytes *pieces, size_t count)
{
    WSABUF buffers[64];
    size_t total = 0;
    DWORD used = 0;
    while (used < count && used < sizeof buffers / sizeof buffers[0] && total < INT_MAX) {
        int length = rondo_socket_cut(pieces[used].length);
        if ((size_t) length > INT_MAX - total)
            length = (int) (INT_MAX - total);
        buffers[used].buf = (char *) (uintptr_t) pieces[used].data;
        buffers[used].len = (ULONG) length;
        total += (size_t) length;
        used++;
    }
    DWORD sent = 0;
    if (WSASend(sock, buffers, used, &sent, 0, NULL, NULL) != 0)
        return rondo_socket_failure();
    return (ptrdiff_t) sent;
}

ptrdiff_t rondo_socket_recvfrom(rondo_socket sock, void *buffer, size_t length, rondo_address *ret_sender)
{
    struct sockaddr *sender = ret_sender ? (struct sockaddr *) (void *) ret_sender->storage.bytes : NULL;
    int sender_length = sizeof ret_sender->storage;
    int count = recvfrom(sock, buffer, rondo_socket_cut(length), 0, sender, sender ? &sender_length : NULL);
    if (count < 0 && WSAGetLastError() == WSAEMSGSIZE)
        count = rondo_socket_cut(length); /* it was longer */
    if (count < 0)
        return rondo_socket_failure();
    if (ret_sender)
        ret_sender->length = (uint32_t) sender_length;
    return count;
}

ptrdiff_t rondo_socket_sendto(rondo_socket sock, const void *data, size_t length, const rondo_address *to)
{
    if (!to)
        return rondo_socket_send(sock, data, length);
    int count = sendto(sock, data, rondo_socket_cut(length), 0, rondo_address_sockaddr(to), (int) to->length);
    return count >= 0 ? count : rondo_socket_failure();
}
