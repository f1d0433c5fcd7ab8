/* SPDX-License-Identifier: MIT */
/* libevent, in two ways: bare events with recv and send, and bufferevents. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { BUFFER = 64 * 1024 };

struct connection {
    struct event *event;
    unsigned char state; /* the answer's */
    unsigned char *rest; /* what could not be sent; NULL for none */
    size_t length, offset;
};

static _Thread_local _Alignas(4096) unsigned char buffer[BUFFER];
static _Thread_local struct event_base *base;
static _Thread_local bench_answer *answer;

static void finish(struct connection *connection)
{
    int fd = event_get_fd(connection->event);
    event_free(connection->event);
    close(fd);
    free(connection->rest);
    free(connection);
}

static void on_event(int fd, short what, void *context);

static void watch(struct connection *connection, int fd, short what)
{
    event_del(connection->event);
    event_assign(connection->event, base, fd, (short) (what | EV_PERSIST), on_event, connection);
    event_add(connection->event, NULL);
}

static void keep_rest(struct connection *connection, int fd, const unsigned char *data, size_t length)
{
    connection->rest = malloc(length);
    if (!connection->rest) {
        finish(connection);
        return;
    }
    memcpy(connection->rest, data, length);
    connection->length = length;
    connection->offset = 0;
    watch(connection, fd, EV_WRITE);
}

static void serve_one(struct connection *connection, int fd)
{
    ssize_t got = recv(fd, buffer, answer ? BENCH_ANSWER_CHUNK : sizeof buffer, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            finish(connection);
        return;
    }
    size_t length = (size_t) got;
    const unsigned char *data = answer ? answer(&connection->state, buffer, &length) : buffer;
    if (length == 0)
        return;
    ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
    if (sent == (ssize_t) length)
        return;
    if (sent < 0 && errno != EAGAIN) {
        finish(connection);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    keep_rest(connection, fd, data + done, length - done);
}

static void send_rest(struct connection *connection, int fd)
{
    ssize_t sent = send(fd, connection->rest + connection->offset, connection->length - connection->offset,
                        MSG_NOSIGNAL);
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
    watch(connection, fd, EV_READ);
}

static void on_event(int fd, short what, void *context)
{
    (void) what;
    struct connection *connection = context;
    if (connection->rest)
        send_rest(connection, fd);
    else
        serve_one(connection, fd);
}

static void accept_event(int listener, short what, void *context)
{
    (void) what;
    (void) context;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection)
        connection->event = event_new(base, fd, EV_READ | EV_PERSIST, on_event, connection);
    if (!connection || !connection->event) {
        free(connection);
        close(fd);
        return;
    }
    event_add(connection->event, NULL);
}

static void on_buffer_read(struct bufferevent *stream, void *context)
{
    (void) context;
    bufferevent_write_buffer(stream, bufferevent_get_input(stream));
}

static void on_buffer_written(struct bufferevent *stream, void *context)
{
    (void) context;
    bufferevent_free(stream);
}

static void on_buffer_event(struct bufferevent *stream, short what, void *context)
{
    (void) context;
    if ((what & BEV_EVENT_EOF) && evbuffer_get_length(bufferevent_get_output(stream)) > 0)
        bufferevent_setcb(stream, NULL, on_buffer_written, on_buffer_event, NULL);
    else
        bufferevent_free(stream);
}

static void accept_buffer(int listener, short what, void *context)
{
    (void) what;
    (void) context;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!stream) {
        close(fd);
        return;
    }
    bufferevent_setcb(stream, on_buffer_read, NULL, on_buffer_event, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    bool buffered = strcmp(server->argument, "bufferevent") == 0;
    base = event_base_new();
    answer = job->answer;
    struct event *event = NULL;
    if (base)
        event =
            event_new(base, job->socket, EV_READ | EV_PERSIST, buffered ? accept_buffer : accept_event, NULL);
    if (!event || event_add(event, NULL) != 0) {
        fprintf(stderr, "%s: cannot make an event base\n", server->name);
        return -1;
    }
    return event_base_dispatch(base);
}

/* libev's library has functions of the same names. */
static bool available(const struct bench_server *server, char *reason, size_t capacity)
{
    (void) server;
    if (strncmp(event_get_version(), "libev", 5) != 0)
        return true;
    snprintf(reason, capacity, "libev's imitation of it was linked in its stead");
    return false;
}

extern const struct bench_server bench_libevent_servers[];

const struct bench_server bench_libevent_servers[] = {
    { .name = "libevent",
      .about = "libevent, events with recv + send",
      .family = BENCH_PEER,
      .services = BENCH_TCP | BENCH_UNIX,
      .argument = "event",
      .available = available,
      .serve = serve },
    { .name = "libevent-buf",
      .about = "libevent, bufferevents",
      .family = BENCH_PEER,
      .services = BENCH_TCP | BENCH_UNIX,
      .only_echo = true,
      .argument = "bufferevent",
      .available = available,
      .serve = serve },
    { .name = NULL },
};
