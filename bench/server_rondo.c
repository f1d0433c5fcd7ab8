/* SPDX-License-Identifier: MIT */
/* Rondo: the same protocols on each backend. A peer that does not read is not read from. */
#include <rondo.h>
#include <stdio.h>

#include "server.h"

enum { BACKENDS = 16 };

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

static int serve_on(rondo_loop *loop, const struct bench_job *job)
{
    answer = job->answer;
    const rondo_protocol_ops *ops = answer ? &answering : &echo;
    rondo_future *future = job->service == BENCH_UNIX ? create_unix_server(loop, ops, job->socket)
                                                      : create_server(loop, ops, job->socket);
    int rc = rondo_loop_run_until_complete(loop, future, NULL);
    return rc < 0 ? rc : rondo_loop_run_forever(loop);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.spin_ns = (rondo_ns) job->tuning.spin_ns;
    options.receive_buffer_size = job->tuning.receive_buffer;
    options.receive_buffers = (unsigned) job->tuning.receive_buffers;
    options.ring_entries = (unsigned) job->tuning.ring_entries;
    rondo_loop *loop = NULL;
    int rc = rondo_backend_from_name(server->argument, &options.backend);
    if (rc == 0)
        rc = rondo_loop_new(&options, &loop);
    if (rc == 0)
        rc = serve_on(loop, job);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", server->name, rondo_last_error_message());
    rondo_loop_free(loop);
    return rc;
}

static bool available(const struct bench_server *server, char *reason, size_t capacity)
{
    rondo_backend_info infos[BACKENDS];
    size_t count = rondo_backend_probe(infos, BACKENDS);
    rondo_backend wanted = RONDO_BACKEND_AUTO;
    rondo_backend_from_name(server->argument, &wanted);
    for (size_t i = 0; i < count && i < BACKENDS; i++) {
        if (infos[i].backend != wanted)
            continue;
        if (!infos[i].available)
            snprintf(reason, capacity, "%s",
                     infos[i].reason ? infos[i].reason : rondo_strerror(infos[i].error));
        return infos[i].available;
    }
    snprintf(reason, capacity, "not built in");
    return false;
}

size_t bench_rondo_servers(struct bench_server *ret_servers, size_t capacity)
{
    static char names[BACKENDS][32];
    rondo_backend_info infos[BACKENDS];
    size_t count = rondo_backend_probe(infos, BACKENDS);
    size_t made = 0;
    for (size_t i = 0; i < count && i < BACKENDS && made < capacity; i++) {
        if (infos[i].error == RONDO_ENOTSUP)
            continue; /* not built in, as --probe says; nothing to compare */
        snprintf(names[i], sizeof names[i], "rondo-%s", infos[i].name);
        ret_servers[made++] = (struct bench_server){
            .name = names[i],
            .about = infos[i].is_proactor ? "rondo on a proactor" : "rondo on a selector",
            .family = infos[i].is_proactor ? BENCH_PROACTOR : BENCH_SELECTOR,
            .services = BENCH_TCP | BENCH_UNIX,
            .argument = rondo_backend_name(infos[i].backend),
            .available = available,
            .serve = serve,
        };
    }
    return made;
}
