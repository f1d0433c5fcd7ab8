/* SPDX-License-Identifier: MIT */
/* Datagrams by recvmmsg and sendmmsg; see platform/datagram.h. An error behind the first datagram of a batch ends it, and is
 * told by the next call: the kernel keeps one of a receive, and meets one of a send again. But what a connected socket has heard
 * of an earlier datagram (a refusal) it tells once, so those are sent one by one. */
#define _GNU_SOURCE
#include "../datagram.h"

#include <errno.h>
#include <sys/socket.h>

#include "../socket.h"

const size_t rondo_datagrams_at_once = RONDO_DATAGRAMS;

static int error_of_call(void)
{
    return errno == EINTR ? RONDO_EAGAIN : rondo_error_from_system(errno);
}

/* One alone is cheaper by the plain call. */
static ptrdiff_t recv_one(rondo_socket sock, struct rondo_datagram *datagram)
{
    ptrdiff_t n = rondo_socket_recvfrom(sock, datagram->memory, datagram->capacity, &datagram->sender);
    if (n < 0)
        return n;
    datagram->length = (size_t) n;
    return 1;
}

ptrdiff_t rondo_socket_recv_datagrams(rondo_socket sock, struct rondo_datagram *datagrams, size_t count)
{
    if (count == 1)
        return recv_one(sock, datagrams);
    struct mmsghdr headers[RONDO_DATAGRAMS];
    struct iovec vectors[RONDO_DATAGRAMS];
    if (count > RONDO_DATAGRAMS)
        count = RONDO_DATAGRAMS;
    for (size_t i = 0; i < count; i++) {
        struct rondo_datagram *datagram = &datagrams[i];
        vectors[i] = (struct iovec){ .iov_base = datagram->memory, .iov_len = datagram->capacity };
        headers[i].msg_hdr = (struct msghdr){
            .msg_name = datagram->sender.storage.bytes,
            .msg_namelen = sizeof datagram->sender.storage,
            .msg_iov = &vectors[i],
            .msg_iovlen = 1,
        };
    }
    int received = recvmmsg(sock, headers, (unsigned) count, MSG_DONTWAIT, NULL);
    if (received < 0)
        return error_of_call();
    for (int i = 0; i < received; i++) {
        datagrams[i].length = headers[i].msg_len;
        datagrams[i].sender.length = headers[i].msg_hdr.msg_namelen;
    }
    return received;
}

ptrdiff_t rondo_socket_send_datagrams(rondo_socket sock, const struct rondo_outgoing *datagrams, size_t count)
{
    if (count == 1 || !datagrams->to) {
        ptrdiff_t n = rondo_socket_sendto(sock, datagrams->data, datagrams->length, datagrams->to);
        return n < 0 ? n : 1;
    }
    struct mmsghdr headers[RONDO_DATAGRAMS];
    struct iovec vectors[RONDO_DATAGRAMS];
    if (count > RONDO_DATAGRAMS)
        count = RONDO_DATAGRAMS;
    for (size_t i = 0; i < count; i++) {
        const struct rondo_outgoing *datagram = &datagrams[i];
        vectors[i] =
            (struct iovec){ .iov_base = (void *) (uintptr_t) datagram->data, .iov_len = datagram->length };
        headers[i].msg_hdr = (struct msghdr){
            .msg_name = datagram->to ? (void *) (uintptr_t) datagram->to->storage.bytes : NULL,
            .msg_namelen = datagram->to ? datagram->to->length : 0,
            .msg_iov = &vectors[i],
            .msg_iovlen = 1,
        };
    }
    int sent = sendmmsg(sock, headers, (unsigned) count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? error_of_call() : sent;
}
