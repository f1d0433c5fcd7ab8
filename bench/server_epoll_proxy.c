/* SPDX-License-Identifier: MIT */
/* A hand-written epoll proxy with recv and send.
 *
 * Happy path: each accepted connection is one side of a link, a connection to the server behind is the other; what
 * one side sends goes to the other at once. What that does not take is copied and waits there, and nothing more is
 * read for it until it is gone. The end of one side's stream is passed on; after both the link is closed.
 * Failures: an error on either side closes the link. Invariant: a link is freed after its events of the pass. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { EVENTS = 1024, BUFFER = 256 * 1024 };

struct link;

struct side {
    int fd;
    bool ended, shut;      /* its stream has ended; we have ended ours to it */
    uint32_t interest;     /* that epoll knows of */
    size_t length, offset; /* of the rest below */
    unsigned char *rest;   /* what it has not taken yet; NULL for none */
    struct link *link;
};

struct link {
    struct side sides[2];
    bool closed;
    struct link *next_closed;
};

static _Alignas(4096) unsigned char buffer[BUFFER];
static int epoll;
static struct link *closed_links;

static struct side *other_side(const struct side *side)
{
    struct link *link = side->link;
    return side == &link->sides[0] ? &link->sides[1] : &link->sides[0];
}

static void finish(struct link *link)
{
    if (link->closed)
        return;
    link->closed = true;
    link->next_closed = closed_links;
    closed_links = link;
    for (int i = 0; i < 2; i++) {
        close(link->sides[i].fd);
        free(link->sides[i].rest);
    }
}

static void free_closed(void)
{
    while (closed_links) {
        struct link *next = closed_links->next_closed;
        free(closed_links);
        closed_links = next;
    }
}

/* A side is read unless it has ended or the other one cannot take more. */
static void watch(struct side *side)
{
    const struct side *other = other_side(side);
    uint32_t interest =
        (side->ended || other->rest ? 0 : (uint32_t) EPOLLIN) | (side->rest ? (uint32_t) EPOLLOUT : 0);
    if (interest == side->interest)
        return;
    side->interest = interest;
    struct epoll_event event = { .events = interest, .data.ptr = side };
    epoll_ctl(epoll, EPOLL_CTL_MOD, side->fd, &event);
}

/* After something has changed: pass an end on that waits for nothing, and settle what is watched. */
static void settle(struct link *link)
{
    for (int i = 0; i < 2; i++) {
        struct side *side = &link->sides[i];
        if (!side->shut && !side->rest && other_side(side)->ended) {
            side->shut = true;
            shutdown(side->fd, SHUT_WR);
        }
    }
    if (link->sides[0].shut && link->sides[1].shut) {
        finish(link);
        return;
    }
    watch(&link->sides[0]);
    watch(&link->sides[1]);
}

static void keep_rest(struct side *side, const unsigned char *data, size_t length)
{
    side->rest = malloc(length);
    if (!side->rest) {
        finish(side->link);
        return;
    }
    memcpy(side->rest, data, length);
    side->length = length;
    side->offset = 0;
    settle(side->link);
}

static void pass_on(struct side *from)
{
    struct side *to = other_side(from);
    ssize_t got = recv(from->fd, buffer, sizeof buffer, 0);
    if (got < 0) {
        if (errno != EAGAIN)
            finish(from->link);
        return;
    }
    if (got == 0) {
        from->ended = true;
        settle(from->link);
        return;
    }
    ssize_t sent = send(to->fd, buffer, (size_t) got, MSG_NOSIGNAL);
    if (sent == got)
        return;
    if (sent < 0 && errno != EAGAIN) {
        finish(from->link);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    keep_rest(to, buffer + done, (size_t) got - done);
}

static void send_rest(struct side *side)
{
    ssize_t sent = send(side->fd, side->rest + side->offset, side->length - side->offset, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            finish(side->link);
        return;
    }
    side->offset += (size_t) sent;
    if (side->offset < side->length)
        return;
    free(side->rest);
    side->rest = NULL;
    settle(side->link);
}

/* On loopback a connect to a socket that listens is done at once. */
static int connect_upstream(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *) &address, sizeof address) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

static void accept_one(const struct bench_job *job)
{
    int fds[2] = { accept4(job->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), -1 };
    if (fds[0] < 0)
        return;
    fds[1] = connect_upstream(job->upstream);
    struct link *link = fds[1] >= 0 ? calloc(1, sizeof *link) : NULL;
    if (!link) {
        close(fds[0]);
        if (fds[1] >= 0)
            close(fds[1]);
        return;
    }
    for (int i = 0; i < 2; i++) {
        struct side *side = &link->sides[i];
        *side = (struct side){ .fd = fds[i], .interest = EPOLLIN, .link = link };
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = side };
        epoll_ctl(epoll, EPOLL_CTL_ADD, side->fd, &event);
    }
}

static void serve_event(const struct epoll_event *event)
{
    struct side *side = event->data.ptr;
    if (!side->link->closed && side->rest && (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        send_rest(side);
    if (!side->link->closed && !side->ended && !other_side(side)->rest &&
        (event->events & ~(uint32_t) EPOLLOUT))
        pass_on(side);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    static struct epoll_event events[EVENTS];
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, job->socket, &event) < 0) {
        fprintf(stderr, "%s: %s\n", server->name, strerror(errno));
        return -1;
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve_event(&events[i]);
            else
                accept_one(job);
        }
        free_closed();
    }
}

extern const struct bench_server bench_epoll_proxy_servers[];

const struct bench_server bench_epoll_proxy_servers[] = {
    { .name = "bare-epoll",
      .about = "hand-written epoll proxy: recv + send",
      .family = BENCH_BARE,
      .services = BENCH_PROXY,
      .serve = serve },
    { .name = NULL },
};
