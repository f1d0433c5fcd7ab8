/* SPDX-License-Identifier: MIT */
/* What one measurement gives, and what several of them say together. */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stddef.h>

enum bench_metric {
    BENCH_RATE, /* requests for each second */
    BENCH_CPU,  /* the server's CPU time for each request, us */
    BENCH_P50,  /* latency, us */
    BENCH_P99,
    BENCH_WORST,
    BENCH_SYSCALLS,  /* of the server, for each request */
    BENCH_MEMORY,    /* of the server, bytes for each connection */
    BENCH_TIME,      /* of one operation, ns */
    BENCH_P99_ALONE, /* latency without the crowd, us */
    BENCH_P99_RATIO, /* BENCH_P99 to it */
    BENCH_LOAD_CPU,  /* the load generator's CPU time for each request, us */
    BENCH_DELAY,  /* share of the time that the server waited for its core: above 0.05 others disturbed it */
    BENCH_STOLEN, /* share of all cores that the machine's host took away: likewise */
    BENCH_METRICS
};

/* The key of a metric in JSON. */
extern const char *const bench_metric_names[BENCH_METRICS];

/* One measurement; NAN for what was not measured. */
struct bench_sample {
    double value[BENCH_METRICS];
};

void bench_sample_clear(struct bench_sample *sample);

enum { BENCH_MAX_ROUNDS = 99 };

struct bench_server;

/* One server or library in one case: a sample of each round. */
struct bench_series {
    char name[48];
    const struct bench_server *server; /* NULL: a library of the micro benchmarks */
    unsigned loops;
    size_t count;
    struct bench_sample samples[BENCH_MAX_ROUNDS];
    char error[256]; /* not empty: it failed, and how */
};

struct bench_summary {
    double median, low, high;
};

/* Of one metric over the rounds; all NAN when it was never measured. */
struct bench_summary bench_summarize(const struct bench_series *series, enum bench_metric metric);

/* The median over the rounds of @series / @base, each round by itself: what drifts from round to round
 * cancels out. NAN where either is missing. */
double bench_ratio(const struct bench_series *series, const struct bench_series *base,
                   enum bench_metric metric);

/* Half the distance of the extremes as a share of the median. */
double bench_spread(const struct bench_summary *summary);

#endif
