/* SPDX-License-Identifier: MIT */
/* What a server has used between two moments, and what disturbed it. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include "histogram.h"
#include "load.h"

struct bench_meter {
    pid_t server;
    int cores;
    int64_t begin, cpu, delay, stolen;
};

void bench_meter_begin(struct bench_meter *meter, const struct bench_load *load);

/* Fill in all that can be said of @count requests since begin. */
void bench_meter_end(const struct bench_meter *meter, uint64_t count, const struct bench_histogram *histogram,
                     struct bench_sample *sample);

#endif
