/* SPDX-License-Identifier: MIT */
/* A wake channel on Windows: two connected sockets, because nothing else can be polled beside sockets.
 *
 * Happy path: signal sends one byte, drain reads until nothing is left.
 * Failures: only open can fail, as rondo_socket_pair does; a channel that is full is readable already.
 * Invariant: both ends are non-blocking. */
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include "../socket.h"
#include "../wake.h"

int rondo_wake_open(struct rondo_wake *ret_wake)
{
    rondo_socket pair[2];
    int code = rondo_socket_startup();
    if (code == 0)
        code = rondo_socket_pair(pair);
    if (code < 0)
        return code;
    *ret_wake = (struct rondo_wake){ .reader = pair[0], .writer = pair[1] };
    return 0;
}

void rondo_wake_close(struct rondo_wake *wake)
{
    rondo_socket_close(wake->writer);
    rondo_socket_close(wake->reader);
    *wake = (struct rondo_wake){ .reader = RONDO_INVALID_SOCKET, .writer = RONDO_INVALID_SOCKET };
}

void rondo_wake_signal(const struct rondo_wake *wake)
{
    static const char byte = 1;
    int before = WSAGetLastError();
    (void) rondo_socket_send(wake->writer, &byte, 1);
    WSASetLastError(before);
}

void rondo_wake_drain(const struct rondo_wake *wake)
{
    char bytes[256];
    while (rondo_socket_recv(wake->reader, bytes, sizeof bytes) > 0)
        continue;
}
