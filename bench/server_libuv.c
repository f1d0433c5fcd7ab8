/* SPDX-License-Identifier: MIT */
/* libuv, in two ways: the one its documentation shows (a buffer from malloc, uv_write, free in the
 * callback), and the fast one (one buffer for all, uv_try_write, uv_write only for what is left). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "server.h"

enum { BUFFER = 64 * 1024 };

struct client {
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    unsigned char state; /* the answer's */
};

struct write {
    uv_write_t request;
    char *data;
};

static _Thread_local _Alignas(4096) char buffer[BUFFER];
static _Thread_local bench_answer *answer;
static _Thread_local bool is_unix;

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_stream(uv_stream_t *stream)
{
    if (!uv_is_closing((uv_handle_t *) stream))
        uv_close((uv_handle_t *) stream, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void) status;
    close_stream(request->handle);
    free(request);
}

/* End of stream: close behind what is still to be written. */
static void finish(uv_stream_t *stream)
{
    uv_shutdown_t *request = malloc(sizeof *request);
    if (!request || uv_shutdown(request, stream, on_shutdown) != 0) {
        free(request);
        close_stream(stream);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct write *write = (struct write *) request;
    if (status < 0)
        close_stream(request->handle);
    free(write->data);
    free(write);
}

/* Queue @length bytes of @data, which is freed when they are written. */
static void write_later(uv_stream_t *stream, char *data, size_t length)
{
    struct write *write = malloc(sizeof *write);
    uv_buf_t piece = uv_buf_init(data, (unsigned) length);
    if (write)
        write->data = data;
    if (!write || uv_write(&write->request, stream, &piece, 1, on_written) != 0) {
        free(data);
        free(write);
        close_stream(stream);
    }
}

static void allocate_usual(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void) handle;
    *ret_buffer = uv_buf_init(malloc(suggested), (unsigned) suggested);
}

static void read_usual(uv_stream_t *stream, ssize_t got, const uv_buf_t *data)
{
    if (got > 0) {
        write_later(stream, data->base, (size_t) got);
        return;
    }
    free(data->base);
    if (got < 0)
        finish(stream);
}

static void allocate_shared(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void) handle;
    (void) suggested;
    *ret_buffer = uv_buf_init(buffer, answer ? BENCH_ANSWER_CHUNK : sizeof buffer);
}

static void read_fast(uv_stream_t *stream, ssize_t got, const uv_buf_t *data)
{
    if (got <= 0) {
        if (got < 0)
            finish(stream);
        return;
    }
    size_t length = (size_t) got;
    const char *bytes = data->base;
    if (answer)
        bytes = answer(&((struct client *) stream)->state, bytes, &length);
    if (length == 0)
        return;
    uv_buf_t piece = uv_buf_init((char *) (uintptr_t) bytes, (unsigned) length);
    int sent = uv_try_write(stream, &piece, 1);
    if (sent == (int) length)
        return;
    if (sent < 0 && sent != UV_EAGAIN) {
        close_stream(stream);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    size_t left = length - done;
    char *rest = malloc(left);
    if (!rest) {
        close_stream(stream);
        return;
    }
    memcpy(rest, bytes + done, left);
    write_later(stream, rest, left);
}

static int init_stream(uv_loop_t *loop, struct client *stream)
{
    return is_unix ? uv_pipe_init(loop, &stream->uv.pipe, 0) : uv_tcp_init(loop, &stream->uv.tcp);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct client *client = status == 0 ? calloc(1, sizeof *client) : NULL;
    if (!client)
        return;
    init_stream(listener->loop, client);
    if (uv_accept(listener, &client->uv.stream) != 0) {
        close_stream(&client->uv.stream);
        return;
    }
    const struct bench_server *server = listener->data;
    if (strcmp(server->argument, "usual") == 0)
        uv_read_start(&client->uv.stream, allocate_usual, read_usual);
    else
        uv_read_start(&client->uv.stream, allocate_shared, read_fast);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    uv_loop_t loop;
    struct client listener;
    answer = job->answer;
    is_unix = job->service == BENCH_UNIX;
    int rc = uv_loop_init(&loop);
    if (rc == 0)
        rc = init_stream(&loop, &listener);
    listener.uv.stream.data = (void *) (uintptr_t) server;
    if (rc == 0)
        rc = is_unix ? uv_pipe_open(&listener.uv.pipe, job->socket)
                     : uv_tcp_open(&listener.uv.tcp, job->socket);
    if (rc == 0)
        rc = uv_listen(&listener.uv.stream, 4096, on_connection);
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", server->name, uv_strerror(rc));
        return -1;
    }
    return uv_run(&loop, UV_RUN_DEFAULT);
}

extern const struct bench_server bench_libuv_servers[];

const struct bench_server bench_libuv_servers[] = {
    { .name = "libuv",
      .about = "libuv, uv_try_write",
      .family = BENCH_PEER,
      .services = BENCH_TCP | BENCH_UNIX,
      .argument = "fast",
      .serve = serve },
    { .name = "libuv-write",
      .about = "libuv, the usual way: malloc + uv_write",
      .family = BENCH_PEER,
      .services = BENCH_TCP | BENCH_UNIX,
      .only_echo = true,
      .argument = "usual",
      .serve = serve },
    { .name = NULL },
};
