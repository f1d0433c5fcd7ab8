/* SPDX-License-Identifier: MIT */
/* The limit for datagrams on selectors: an epoll loop that receives and sends in batches (recvmmsg, sendmmsg).
 * What is longer than a buffer is cut off; what the kernel does not take is waited for. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "server.h"

enum { BATCH = 64, BUFFER = 2048 + 64 }; /* no power of two: those would compete for the same cache lines */

static struct mmsghdr messages[BATCH];
static struct iovec pieces[BATCH];
static struct sockaddr_storage addresses[BATCH];
static unsigned char buffers[BATCH][BUFFER];

static void prepare(void)
{
    for (int i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){ buffers[i], BUFFER };
        messages[i].msg_hdr = (struct msghdr){ .msg_name = &addresses[i],
                                               .msg_namelen = sizeof addresses[i],
                                               .msg_iov = &pieces[i],
                                               .msg_iovlen = 1 };
    }
}

static void send_all(int sock, int count)
{
    for (int sent = 0; sent < count;) {
        int more = sendmmsg(sock, messages + sent, (unsigned) (count - sent), 0);
        struct pollfd wanted = { .fd = sock, .events = POLLOUT };
        if (more > 0)
            sent += more;
        else if (errno == EAGAIN)
            poll(&wanted, 1, -1);
        else
            sent++; /* this one cannot be sent */
    }
}

static void echo(int sock)
{
    int count = recvmmsg(sock, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        pieces[i].iov_len = messages[i].msg_len;
    send_all(sock, count);
    for (int i = 0; i < count; i++) {
        pieces[i].iov_len = BUFFER;
        messages[i].msg_hdr.msg_namelen = sizeof addresses[i];
    }
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, job->socket, &event) < 0) {
        fprintf(stderr, "%s: %s\n", server->name, strerror(errno));
        return -1;
    }
    prepare();
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) == 1)
            echo(job->socket);
    }
}

extern const struct bench_server bench_epoll_udp_servers[];

const struct bench_server bench_epoll_udp_servers[] = {
    { .name = "bare-epoll",
      .about = "hand-written epoll loop: recvmmsg + sendmmsg",
      .family = BENCH_BARE,
      .services = BENCH_DATAGRAMS,
      .serve = serve },
    { .name = NULL },
};
