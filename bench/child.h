/* SPDX-License-Identifier: MIT */
/* Child processes: each server and each micro benchmark runs in one of its own, fresh, on the server's
 * core. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "host.h"
#include "server.h"
#include "wire.h"

/* The descriptor from which on a server child finds its sockets, one for each loop, or its pipes. */
enum { BENCH_CHILD_SOCKETS = 3 };

/* What a server child is to do. */
struct bench_errand {
    const struct bench_server *server;
    enum bench_service service;
    size_t loops;      /* 1: on the server's core; more: each on its own */
    size_t pairs;      /* of pipes */
    unsigned upstream; /* for a proxy: the port of the server behind it */
    bool beside_load;  /* on the load generator's core instead */
    size_t work_us;
    struct bench_tuning tuning;
};

struct bench_child {
    pid_t pid;
    struct bench_wire wire; /* how it is reached */
};

/* Start a server. Connections may be made at once: they queue until it accepts them.
 * Returns 0; -1 with a text in @error. */
int bench_child_serve(const struct bench_host *host, const struct bench_errand *errand,
                      struct bench_child *ret_child, char *error, size_t capacity);

/* End it, wait until it is gone, and close what led to it. */
void bench_child_stop(struct bench_child *child);

/* True if the child has ended by itself, which a server never does; says how. */
bool bench_child_is_gone(struct bench_child *child, char *error, size_t capacity);

/* Run micro benchmark @test of @suite in a child and read its figure. Returns 0; -1 with a text in @error. */
int bench_child_micro(const struct bench_host *host, const char *suite, const char *test, double *ret_ns,
                      char *error, size_t capacity);

#endif
