/* SPDX-License-Identifier: MIT */
/* The load generator: hand-written, one thread, blind to what it measures. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host.h"
#include "sample.h"
#include "wire.h"

/* Who is beside the connections whose fairness is measured. */
enum bench_crowd {
    BENCH_CROWD_SLOW, /* send much and read little */
    BENCH_CROWD_IDLE, /* many, who echoed once */
    BENCH_CROWD_FLOOD /* send one byte, and again, as fast as they can */
};

struct bench_load {
    const struct bench_host *host;
    struct bench_wire *wire; /* to the server */
    unsigned loops;          /* of the server */
    pid_t server;            /* whose CPU time and memory are read */
    unsigned connections;
    size_t size;       /* of a message, in bytes: 1 to BENCH_PATTERN_LONGEST */
    unsigned pipeline; /* messages in flight on each connection: 1 to BENCH_MAX_PIPELINE */
    enum bench_crowd crowd;
    int64_t warmup, duration; /* ns */
    bool count_syscalls;
};

enum { BENCH_MAX_PIPELINE = 1024, BENCH_LONGEST_DATAGRAM = 1472 };

/* Each of these measures once and fills in *ret_sample. Returns 0; -1 with a text in @error: a server that
 * cannot be reached, a wrong byte, an answer that does not come. */
typedef int bench_load_function(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                                size_t capacity);

/* Messages go there and back on connections that stay. Fills in rate, CPU, latencies, system calls. */
bench_load_function bench_load_echo;

/* Connect, one message there and back, close; @connections of them at a time. The same figures for a
 * cycle. */
bench_load_function bench_load_churn;

/* Connections that echo once and then do nothing. Fills in memory. */
bench_load_function bench_load_idle;

/* Echo alone, and beside a crowd. Fills in rate and latencies beside it, p99 alone, and the ratio of both. */
bench_load_function bench_load_fairness;

/* Datagrams there and back. Fills in the same as echo. */
bench_load_function bench_load_udp;

/* Echo from several threads, enough for a server of several loops. Fills in rate, CPU of both sides, latencies. */
bench_load_function bench_load_loops;

#endif
