/* SPDX-License-Identifier: MIT */
/* libev: one ev_io for each connection, recv and send. */
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { BUFFER = 64 * 1024 };

struct connection {
    ev_io io;
    unsigned char state; /* the answer's */
    unsigned char *rest; /* what could not be sent; NULL for none */
    size_t length, offset;
};

static _Thread_local _Alignas(4096) unsigned char buffer[BUFFER];
static _Thread_local bench_answer *answer;

static void finish(struct ev_loop *loop, struct connection *connection)
{
    ev_io_stop(loop, &connection->io);
    close(connection->io.fd);
    free(connection->rest);
    free(connection);
}

static void watch(struct ev_loop *loop, struct connection *connection, int events)
{
    ev_io_stop(loop, &connection->io);
    ev_io_set(&connection->io, connection->io.fd, events);
    ev_io_start(loop, &connection->io);
}

static void keep_rest(struct ev_loop *loop, struct connection *connection, const unsigned char *data,
                      size_t length)
{
    connection->rest = malloc(length);
    if (!connection->rest) {
        finish(loop, connection);
        return;
    }
    memcpy(connection->rest, data, length);
    connection->length = length;
    connection->offset = 0;
    watch(loop, connection, EV_WRITE);
}

static void serve_one(struct ev_loop *loop, struct connection *connection)
{
    ssize_t got = recv(connection->io.fd, buffer, answer ? BENCH_ANSWER_CHUNK : sizeof buffer, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            finish(loop, connection);
        return;
    }
    size_t length = (size_t) got;
    const unsigned char *data = answer ? answer(&connection->state, buffer, &length) : buffer;
    if (length == 0)
        return;
    ssize_t sent = send(connection->io.fd, data, length, MSG_NOSIGNAL);
    if (sent == (ssize_t) length)
        return;
    if (sent < 0 && errno != EAGAIN) {
        finish(loop, connection);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    keep_rest(loop, connection, data + done, length - done);
}

static void send_rest(struct ev_loop *loop, struct connection *connection)
{
    ssize_t sent = send(connection->io.fd, connection->rest + connection->offset,
                        connection->length - connection->offset, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            finish(loop, connection);
        return;
    }
    connection->offset += (size_t) sent;
    if (connection->offset < connection->length)
        return;
    free(connection->rest);
    connection->rest = NULL;
    watch(loop, connection, EV_READ);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    (void) events;
    struct connection *connection = (struct connection *) io;
    if (connection->rest)
        send_rest(loop, connection);
    else
        serve_one(loop, connection);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
    (void) events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        close(fd);
        return;
    }
    ev_io_init(&connection->io, on_io, fd, EV_READ);
    ev_io_start(loop, &connection->io);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL);
    if (!loop) {
        fprintf(stderr, "%s: no loop on epoll\n", server->name);
        return -1;
    }
    answer = job->answer;
    ev_io io;
    ev_io_init(&io, on_accept, job->socket, EV_READ);
    ev_io_start(loop, &io);
    ev_run(loop, 0);
    return 0;
}

extern const struct bench_server bench_libev_servers[];

const struct bench_server bench_libev_servers[] = {
    { .name = "libev",
      .about = "libev, ev_io with recv + send",
      .family = BENCH_PEER,
      .services = BENCH_TCP | BENCH_UNIX,
      .serve = serve },
    { .name = NULL },
};
