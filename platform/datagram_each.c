/* SPDX-License-Identifier: MIT */
/* Datagrams one by one, for systems without calls for several; see platform/datagram.h. It stands on platform/socket.h
 * alone. A receive that went on behind the first datagram would lose the error that it met there, so it does not; a send meets it
 * again. */
#include "datagram.h"

#include "socket.h"

const size_t rondo_datagrams_at_once = 1;

ptrdiff_t rondo_socket_recv_datagrams(rondo_socket sock, struct rondo_datagram *datagrams, size_t count)
{
    (void) count;
    ptrdiff_t n = rondo_socket_recvfrom(sock, datagrams->memory, datagrams->capacity, &datagrams->sender);
    if (n < 0)
        return n;
    datagrams->length = (size_t) n;
    return 1;
}

ptrdiff_t rondo_socket_send_datagrams(rondo_socket sock, const struct rondo_outgoing *datagrams, size_t count)
{
    ptrdiff_t n = 0;
    size_t sent = 0;
    while (sent < count) {
        const struct rondo_outgoing *datagram = &datagrams[sent];
        n = rondo_socket_sendto(sock, datagram->data, datagram->length, datagram->to);
        if (n < 0)
            break;
        sent++;
    }
    return sent ? (ptrdiff_t) sent : n;
}
