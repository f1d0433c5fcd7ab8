/* SPDX-License-Identifier: MIT */
/* Datagrams on libuv: one at a time with uv_udp_try_send, and received in batches (UV_UDP_RECVMMSG). */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "server.h"

enum { DATAGRAM = 64 * 1024, BATCH = 20 }; /* libuv's own limits */

static _Alignas(4096) char buffer[DATAGRAM * BATCH];
static size_t buffer_size = DATAGRAM;

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void) handle;
    (void) suggested;
    *ret_buffer = uv_buf_init(buffer, (unsigned) buffer_size);
}

static void on_datagram(uv_udp_t *handle, ssize_t got, const uv_buf_t *data, const struct sockaddr *address,
                        unsigned flags)
{
    (void) flags;
    if (got < 0 || !address)
        return;
    uv_buf_t piece = uv_buf_init(data->base, (unsigned) got);
    uv_udp_try_send(handle, &piece, 1, address); /* what cannot be sent is lost, as datagrams may be */
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    bool batches = strcmp(server->argument, "batches") == 0;
    buffer_size = batches ? sizeof buffer : DATAGRAM;
    uv_loop_t loop;
    uv_udp_t udp;
    int rc = uv_loop_init(&loop);
    if (rc == 0)
        rc = uv_udp_init_ex(&loop, &udp, batches ? UV_UDP_RECVMMSG : 0);
    if (rc == 0)
        rc = uv_udp_open(&udp, job->socket);
    if (rc == 0)
        rc = uv_udp_recv_start(&udp, allocate, on_datagram);
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", server->name, uv_strerror(rc));
        return -1;
    }
    return uv_run(&loop, UV_RUN_DEFAULT);
}

extern const struct bench_server bench_libuv_udp_servers[];

const struct bench_server bench_libuv_udp_servers[] = {
    { .name = "libuv",
      .about = "libuv, uv_udp_try_send",
      .family = BENCH_PEER,
      .services = BENCH_DATAGRAMS,
      .argument = "single",
      .serve = serve },
    { .name = "libuv-mmsg",
      .about = "libuv, received by recvmmsg, uv_udp_try_send",
      .family = BENCH_PEER,
      .services = BENCH_DATAGRAMS,
      .argument = "batches",
      .serve = serve },
    { .name = NULL },
};
