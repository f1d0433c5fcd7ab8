/* SPDX-License-Identifier: MIT */
/* The load generator: hand-written, one thread, blind to what it measures. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sample.h"

struct bench_load {
    struct sockaddr_in address; /* of the server */
    pid_t server;               /* whose CPU time and memory are read */
    unsigned connections;
    size_t size;              /* of a message, in bytes: 1 to BENCH_PATTERN_LONGEST */
    unsigned pipeline;        /* messages in flight on each connection: 1 to BENCH_MAX_PIPELINE */
    int64_t warmup, duration; /* ns */
    bool count_syscalls;
};

enum { BENCH_MAX_PIPELINE = 1024 };

/* Each of these measures once and fills in *ret_sample. Returns 0; -1 with a text in @error: a server that
 * cannot be reached, a wrong byte, an answer that does not come. */

/* Messages go there and back on connections that stay. Fills in rate, CPU, latencies, system calls. */
int bench_load_echo(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                    size_t capacity);

/* Connect, one message there and back, close; @connections of them at a time. The same figures for a
 * cycle. */
int bench_load_churn(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                     size_t capacity);

/* Connections that echo once and then do nothing. Fills in memory. */
int bench_load_idle(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                    size_t capacity);

#endif
