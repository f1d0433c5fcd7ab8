/* SPDX-License-Identifier: MIT */
/* Child processes: each server and each micro benchmark runs in one of its own, fresh, on the server's
 * core. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/types.h>

#include "host.h"

/* The descriptor at which a server child finds its listening socket. */
enum { BENCH_CHILD_LISTENER = 3 };

struct bench_child {
    pid_t pid;
    struct sockaddr_in address; /* where it listens */
};

/* A listening socket at 127.0.0.1:@port (0: any), with TCP_NODELAY on, which accepted sockets inherit.
 * Returns the descriptor, its address in *@ret_address; -1 with errno. */
int bench_listen(unsigned port, struct sockaddr_in *ret_address);

/* Start the server called @name. Connections may be made at once: they queue until it accepts them.
 * Returns 0; -1 with a text in @error. */
int bench_child_serve(const struct bench_host *host, const char *name, struct bench_child *ret_child,
                      char *error, size_t capacity);

/* End it and wait until it is gone. */
void bench_child_stop(struct bench_child *child);

/* True if the child has ended by itself, which a server never does; says how. */
bool bench_child_is_gone(struct bench_child *child, char *error, size_t capacity);

/* Run micro benchmark @test of @suite in a child and read its figure. Returns 0; -1 with a text in @error. */
int bench_child_micro(const struct bench_host *host, const char *suite, const char *test, double *ret_ns,
                      char *error, size_t capacity);

#endif
