/* SPDX-License-Identifier: MIT */
/* Rondo's stream servers, on TCP and Unix sockets. A peer that does not read is not read from. */
#include "server_rondo.h"

static _Thread_local bench_answer *answer; /* of the loop on this thread */

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    rondo_transport_write(rondo_protocol_transport(protocol), data, length);
}

static void on_data_to_answer(rondo_protocol *protocol, const void *data, size_t length)
{
    rondo_transport *transport = rondo_protocol_transport(protocol);
    for (size_t offset = 0; offset < length; offset += BENCH_ANSWER_CHUNK) {
        size_t taken = length - offset < BENCH_ANSWER_CHUNK ? length - offset : BENCH_ANSWER_CHUNK;
        const void *bytes = answer(rondo_protocol_data(protocol), (const char *) data + offset, &taken);
        rondo_transport_write(transport, bytes, taken);
    }
}

static void on_pause(rondo_protocol *protocol)
{
    rondo_transport_pause_reading(rondo_protocol_transport(protocol));
}

static void on_resume(rondo_protocol *protocol)
{
    rondo_transport_resume_reading(rondo_protocol_transport(protocol));
}

static const rondo_protocol_ops echo = {
    .size = sizeof echo,
    .data_received = on_data,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
};

static const rondo_protocol_ops answering = {
    .size = sizeof answering,
    .data_size = 1, /* the answer's state */
    .data_received = on_data_to_answer,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
};

static rondo_future *create_server(rondo_loop *loop, const rondo_protocol_ops *ops, int sock)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.sock = sock;
    options.backlog = 4096;
    return rondo_create_server(loop, rondo_protocol_new, (void *) (uintptr_t) ops, &options);
}

static rondo_future *create_unix_server(rondo_loop *loop, const rondo_protocol_ops *ops, int sock)
{
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.sock = sock;
    options.backlog = 4096;
    return rondo_create_unix_server(loop, rondo_protocol_new, (void *) (uintptr_t) ops, &options);
}

int bench_rondo_stream(rondo_loop *loop, const struct bench_job *job)
{
    answer = job->answer;
    const rondo_protocol_ops *ops = answer ? &answering : &echo;
    rondo_future *future = job->service == BENCH_UNIX ? create_unix_server(loop, ops, job->socket)
                                                      : create_server(loop, ops, job->socket);
    return rondo_loop_run_until_complete(loop, future, NULL);
}
