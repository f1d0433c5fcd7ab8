/* SPDX-License-Identifier: MIT */
/* Rondo on pairs of pipes: what is read from one is written to the other. While that one is full, the first is not
 * read; at its end the other is closed. Failures: a pipe that cannot be adopted ends the start with its error. */
#include "server_rondo.h"

struct end {
    rondo_transport *other; /* to write to, for the end that reads; to pause, for the one that writes */
};

static rondo_transport *other_of(rondo_protocol *protocol)
{
    struct end *end = rondo_protocol_data(protocol);
    return end->other;
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    rondo_transport_write(other_of(protocol), data, length);
}

static void on_pause(rondo_protocol *protocol)
{
    rondo_transport_pause_reading(other_of(protocol));
}

static void on_resume(rondo_protocol *protocol)
{
    rondo_transport_resume_reading(other_of(protocol));
}

/* Each holds a reference to the other's transport: calls on one that is closed are harmless. */
static void on_lost(rondo_protocol *protocol, int error)
{
    (void) error;
    struct end *end = rondo_protocol_data(protocol);
    if (end->other)
        rondo_transport_close(end->other);
    rondo_transport_unref(end->other);
    end->other = NULL;
}

static void on_reader_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct end *writer = rondo_protocol_data(rondo_transport_get_protocol(other_of(protocol)));
    writer->other = rondo_transport_ref(transport);
}

static const rondo_protocol_ops reading = {
    .size = sizeof reading,
    .data_size = sizeof(struct end),
    .connection_made = on_reader_made,
    .data_received = on_data,
    .connection_lost = on_lost,
};

static const rondo_protocol_ops writing = {
    .size = sizeof writing,
    .data_size = sizeof(struct end),
    .connection_lost = on_lost,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
};

/* It knows where to write before anything can be received. */
static rondo_protocol *make_reader(void *writer)
{
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) &reading);
    if (protocol) {
        struct end *end = rondo_protocol_data(protocol);
        end->other = rondo_transport_ref(writer);
    }
    return protocol;
}

static int connect_pair(rondo_loop *loop, rondo_file in)
{
    void *writer = NULL;
    rondo_future *future =
        rondo_connect_write_pipe(loop, rondo_protocol_new, (void *) (uintptr_t) &writing, in + 1);
    int rc = rondo_loop_run_until_complete(loop, future, &writer);
    if (rc < 0)
        return rc;
    return rondo_loop_run_until_complete(loop, rondo_connect_read_pipe(loop, make_reader, writer, in), NULL);
}

int bench_rondo_pipes(rondo_loop *loop, const struct bench_job *job)
{
    int rc = 0;
    for (size_t i = 0; i < job->pairs && rc == 0; i++)
        rc = connect_pair(loop, job->socket + 2 * (int) i);
    return rc;
}
