/* SPDX-License-Identifier: MIT */
/* The limit for selectors: a bare epoll loop, one recv and one send for each message.
 *
 * Happy path: level-triggered epoll; recv into one buffer for all, send from it. What the kernel does not
 * take is copied, and the connection watched for writing instead of reading until it is gone.
 * Failures: a connection with an error is closed; a failing accept (no descriptors left) is tried again at
 * the next event. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { EVENTS = 1024, BUFFER = 256 * 1024 };

struct connection {
    int fd;
    unsigned char state;   /* the answer's */
    size_t length, offset; /* of the rest below */
    unsigned char *rest;   /* what could not be sent; NULL for none */
};

static _Thread_local _Alignas(4096) unsigned char buffer[BUFFER];

static void watch(int epoll, int operation, struct connection *connection, uint32_t interest)
{
    struct epoll_event event = { .events = interest, .data.ptr = connection };
    epoll_ctl(epoll, operation, connection->fd, &event);
}

static void finish(struct connection *connection)
{
    close(connection->fd);
    free(connection->rest);
    free(connection);
}

/* One for each event: asking again to hear that there is no other would cost a system call. */
static void accept_one(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        close(fd);
        return;
    }
    connection->fd = fd;
    watch(epoll, EPOLL_CTL_ADD, connection, EPOLLIN);
}

static void keep_rest(int epoll, struct connection *connection, const unsigned char *data, size_t length)
{
    connection->rest = malloc(length);
    if (!connection->rest) {
        finish(connection);
        return;
    }
    memcpy(connection->rest, data, length);
    connection->length = length;
    connection->offset = 0;
    watch(epoll, EPOLL_CTL_MOD, connection, EPOLLOUT);
}

static void serve_one(int epoll, struct connection *connection, bench_answer *answer)
{
    ssize_t got = recv(connection->fd, buffer, answer ? BENCH_ANSWER_CHUNK : sizeof buffer, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            finish(connection);
        return;
    }
    size_t length = (size_t) got;
    const unsigned char *data = answer ? answer(&connection->state, buffer, &length) : buffer;
    if (length == 0)
        return;
    ssize_t sent = send(connection->fd, data, length, MSG_NOSIGNAL);
    if (sent == (ssize_t) length)
        return;
    if (sent < 0 && errno != EAGAIN) {
        finish(connection);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    keep_rest(epoll, connection, data + done, length - done);
}

static void send_rest(int epoll, struct connection *connection)
{
    ssize_t sent = send(connection->fd, connection->rest + connection->offset,
                        connection->length - connection->offset, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            finish(connection);
        return;
    }
    connection->offset += (size_t) sent;
    if (connection->offset < connection->length)
        return;
    free(connection->rest);
    connection->rest = NULL;
    watch(epoll, EPOLL_CTL_MOD, connection, EPOLLIN);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    struct epoll_event events[EVENTS];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, job->socket, &event) < 0) {
        fprintf(stderr, "%s: %s\n", server->name, strerror(errno));
        return -1;
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection)
                accept_one(epoll, job->socket);
            else if (connection->rest)
                send_rest(epoll, connection);
            else
                serve_one(epoll, connection, job->answer);
        }
    }
}

extern const struct bench_server bench_epoll_servers[];

const struct bench_server bench_epoll_servers[] = {
    { .name = "bare-epoll",
      .about = "hand-written epoll loop: recv + send",
      .family = BENCH_BARE,
      .services = BENCH_TCP | BENCH_UNIX,
      .serve = serve },
    { .name = NULL },
};
