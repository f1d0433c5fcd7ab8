/* SPDX-License-Identifier: MIT */
/* Pipes and proxying on libuv: what is read from one stream is written to another.
 *
 * Happy path: one buffer for all reads, uv_try_write at once. What the other stream does not take is written by
 * uv_write, and nothing more is read until that is done. The end of a stream is passed on; after both, or an error,
 * both are closed. Failures: a stream with an error takes the other one with it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "server.h"

enum { BUFFER = 64 * 1024 };

struct relay;

struct side {
    union {
        uv_stream_t stream;
        uv_handle_t handle;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct relay *relay;
    bool done; /* its stream has ended, and the other side knows */
};

struct relay {
    struct side sides[2];
    unsigned open;
    uv_connect_t connect;
};

struct write {
    uv_write_t request;
    char data[];
};

static _Alignas(4096) char buffer[BUFFER];

static struct side *other_side(const struct side *side)
{
    struct relay *relay = side->relay;
    return side == &relay->sides[0] ? &relay->sides[1] : &relay->sides[0];
}

static void on_closed(uv_handle_t *handle)
{
    struct side *side = handle->data;
    if (--side->relay->open == 0)
        free(side->relay);
}

static void finish(struct relay *relay)
{
    for (int i = 0; i < 2; i++) {
        if (!uv_is_closing(&relay->sides[i].uv.handle))
            uv_close(&relay->sides[i].uv.handle, on_closed);
    }
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void) handle;
    (void) suggested;
    *ret_buffer = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *data);

static void on_written(uv_write_t *request, int status)
{
    struct side *to = request->handle->data;
    free(request);
    if (status < 0)
        finish(to->relay);
    else if (!uv_is_closing(&to->uv.handle))
        uv_read_start(&other_side(to)->uv.stream, allocate, on_read);
}

static void write_rest(struct side *from, struct side *to, const char *data, size_t length)
{
    struct write *write = malloc(sizeof *write + length);
    if (!write) {
        finish(from->relay);
        return;
    }
    memcpy(write->data, data, length);
    uv_buf_t piece = uv_buf_init(write->data, (unsigned) length);
    uv_read_stop(&from->uv.stream);
    if (uv_write(&write->request, &to->uv.stream, &piece, 1, on_written) != 0) {
        free(write);
        finish(from->relay);
    }
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct side *to = request->handle->data;
    free(request);
    if (status < 0 || (to->done && other_side(to)->done))
        finish(to->relay);
}

static void pass_end_on(struct side *from)
{
    uv_shutdown_t *request = malloc(sizeof *request);
    from->done = true;
    if (!request || uv_shutdown(request, &other_side(from)->uv.stream, on_shutdown) != 0) {
        free(request);
        finish(from->relay);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *data)
{
    struct side *from = stream->data;
    struct side *to = other_side(from);
    if (got == UV_EOF)
        pass_end_on(from);
    else if (got < 0)
        finish(from->relay);
    if (got <= 0)
        return;
    uv_buf_t piece = uv_buf_init(data->base, (unsigned) got);
    int sent = uv_try_write(&to->uv.stream, &piece, 1);
    if (sent == got)
        return;
    if (sent < 0 && sent != UV_EAGAIN) {
        finish(from->relay);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    write_rest(from, to, data->base + done, (size_t) got - done);
}

static struct relay *new_relay(void)
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (!relay)
        return NULL;
    relay->open = 2;
    for (int i = 0; i < 2; i++)
        relay->sides[i].relay = relay;
    return relay;
}

/* --- proxy ------------------------------------------------------------------------------------ */

static void on_connected(uv_connect_t *request, int status)
{
    struct side *upstream = request->handle->data;
    if (status < 0) {
        finish(upstream->relay);
        return;
    }
    uv_tcp_nodelay(&upstream->uv.tcp, 1);
    uv_read_start(&upstream->uv.stream, allocate, on_read);
    uv_read_start(&other_side(upstream)->uv.stream, allocate, on_read);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct relay *relay = status == 0 ? new_relay() : NULL;
    if (!relay)
        return;
    for (int i = 0; i < 2; i++) {
        uv_tcp_init(listener->loop, &relay->sides[i].uv.tcp);
        relay->sides[i].uv.handle.data = &relay->sides[i];
    }
    const struct bench_job *job = listener->data;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", (int) job->upstream, &address);
    if (uv_accept(listener, &relay->sides[0].uv.stream) != 0 ||
        uv_tcp_connect(&relay->connect, &relay->sides[1].uv.tcp, (struct sockaddr *) &address,
                       on_connected) != 0)
        finish(relay);
}

static int start_proxy(uv_loop_t *loop, const struct bench_job *job)
{
    static uv_tcp_t listener;
    int rc = uv_tcp_init(loop, &listener);
    listener.data = (void *) (uintptr_t) job;
    if (rc == 0)
        rc = uv_tcp_open(&listener, job->socket);
    return rc == 0 ? uv_listen((uv_stream_t *) &listener, 4096, on_connection) : rc;
}

/* --- pipes ------------------------------------------------------------------------------------ */

static int start_pair(uv_loop_t *loop, int in)
{
    struct relay *relay = new_relay();
    if (!relay)
        return UV_ENOMEM;
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = uv_pipe_init(loop, &relay->sides[i].uv.pipe, 0);
        relay->sides[i].uv.handle.data = &relay->sides[i];
        if (rc == 0)
            rc = uv_pipe_open(&relay->sides[i].uv.pipe, in + i);
    }
    relay->sides[1].done = true; /* nothing comes from there */
    return rc == 0 ? uv_read_start(&relay->sides[0].uv.stream, allocate, on_read) : rc;
}

static int start_pipes(uv_loop_t *loop, const struct bench_job *job)
{
    int rc = 0;
    for (size_t i = 0; i < job->pairs && rc == 0; i++)
        rc = start_pair(loop, job->socket + 2 * (int) i);
    return rc;
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    uv_loop_t loop;
    int rc = uv_loop_init(&loop);
    if (rc == 0)
        rc = job->service == BENCH_PIPES ? start_pipes(&loop, job) : start_proxy(&loop, job);
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", server->name, uv_strerror(rc));
        return -1;
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    return -1; /* the last pipe has ended */
}

extern const struct bench_server bench_libuv_relay_servers[];

const struct bench_server bench_libuv_relay_servers[] = {
    { .name = "libuv",
      .about = "libuv, uv_try_write to the other stream",
      .family = BENCH_PEER,
      .services = BENCH_PIPES | BENCH_PROXY,
      .serve = serve },
    { .name = NULL },
};
