/* SPDX-License-Identifier: MIT */
/* The kinds of measurement: one row for each, which everything else looks its differences up in. */
#ifndef BENCH_KIND_H
#define BENCH_KIND_H

#include "load.h"
#include "server.h"

enum bench_kind {
    BENCH_ECHO,
    BENCH_BULK,
    BENCH_CHURN,
    BENCH_IDLE,
    BENCH_LOOPS,
    BENCH_FAIRNESS,
    BENCH_UNIX_ECHO,
    BENCH_UDP,
    BENCH_PIPE,
    BENCH_PROXYING,
    BENCH_MICRO,
    BENCH_KINDS
};

/* Which figures a kind has, and so which columns and bars. */
enum bench_figures {
    BENCH_PER_REQUEST, /* rate, CPU, latency, system calls */
    BENCH_PER_MIB,     /* the same, counted by the MiB */
    BENCH_PER_LOOP,    /* rate, CPU, and how the rate grows with the loops */
    BENCH_PER_CROWD,   /* p99 beside others to p99 alone */
    BENCH_PER_CONNECTION,
    BENCH_PER_OPERATION
};

struct bench_kind_info {
    const char *name;    /* for --only and JSON */
    const char *heading; /* of its table and chart */
    const char *unit;    /* of the rate; NULL without one */
    enum bench_figures figures;
    enum bench_service service; /* what its servers do */
    bench_load_function *load;  /* NULL: no server takes part */
};

extern const struct bench_kind_info bench_kinds[BENCH_KINDS];

/* The kind called by the first @length characters of @name; BENCH_KINDS for none. */
enum bench_kind bench_kind_find(const char *name, size_t length);

#endif
