/* SPDX-License-Identifier: MIT */
/* Counts of times by size, exact to 3 %, in fixed memory. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { BENCH_HISTOGRAM_STEPS = 32, BENCH_HISTOGRAM_BUCKETS = 60 * BENCH_HISTOGRAM_STEPS };

struct bench_histogram {
    uint64_t total;
    int64_t largest;
    uint64_t counts[BENCH_HISTOGRAM_BUCKETS];
};

void bench_histogram_clear(struct bench_histogram *histogram);
void bench_histogram_add(struct bench_histogram *histogram, int64_t ns);

/* The time that the share @quantile (0 to 1) of all does not exceed, in ns; 0 without any. */
double bench_histogram_quantile(const struct bench_histogram *histogram, double quantile);

#endif
