/* SPDX-License-Identifier: MIT */
/* Rondo's datagrams: each goes back to where it came from. While the socket takes no more, nothing is received. */
#include "server_rondo.h"

static void on_datagram(rondo_protocol *protocol, const void *data, size_t length, const rondo_address *from)
{
    rondo_datagram_sendto(rondo_protocol_transport(protocol), data, length, from);
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
    .datagram_received = on_datagram,
    .pause_writing = on_pause,
    .resume_writing = on_resume,
};

int bench_rondo_datagrams(rondo_loop *loop, const struct bench_job *job)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = job->socket;
    rondo_future *future =
        rondo_create_datagram_endpoint(loop, rondo_protocol_new, (void *) (uintptr_t) &echo, &options);
    return rondo_loop_run_until_complete(loop, future, NULL);
}
