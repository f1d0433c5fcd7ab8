/* SPDX-License-Identifier: MIT */
/* Each power of two is cut into 32 steps of equal width: bucket = 32 * (exponent) + next five bits. Times
 * below 32 ns have a bucket for each ns. Invariant: buckets are in the order of the times. */
#include "histogram.h"

#include <string.h>

static unsigned bucket_of(uint64_t ns)
{
    if (ns < BENCH_HISTOGRAM_STEPS)
        return (unsigned) ns;
    unsigned shift = 63U - 5U - (unsigned) __builtin_clzll(ns); /* so that ns >> shift is 32 to 63 */
    return (shift + 1) * BENCH_HISTOGRAM_STEPS + (unsigned) (ns >> shift) - BENCH_HISTOGRAM_STEPS;
}

static double middle_of(unsigned bucket)
{
    if (bucket < BENCH_HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / BENCH_HISTOGRAM_STEPS - 1;
    uint64_t first = (uint64_t) (bucket % BENCH_HISTOGRAM_STEPS + BENCH_HISTOGRAM_STEPS) << shift;
    return (double) first + (double) (((uint64_t) 1 << shift) - 1) / 2;
}

void bench_histogram_clear(struct bench_histogram *histogram)
{
    memset(histogram, 0, sizeof *histogram);
}

void bench_histogram_add(struct bench_histogram *histogram, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    if (ns > histogram->largest)
        histogram->largest = ns;
    histogram->counts[bucket_of((uint64_t) ns)]++;
    histogram->total++;
}

double bench_histogram_quantile(const struct bench_histogram *histogram, double quantile)
{
    uint64_t wanted = (uint64_t) (quantile * (double) histogram->total);
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < BENCH_HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > wanted)
            return middle_of(bucket);
    }
    return (double) histogram->largest;
}
