/* SPDX-License-Identifier: MIT */
/* Medians, extremes and ratios. Invariant: a NAN never takes part in a summary. */
#include "sample.h"

#include <math.h>
#include <stdlib.h>

const char *const bench_metric_names[BENCH_METRICS] = {
    [BENCH_RATE] = "requests_per_second",
    [BENCH_CPU] = "cpu_us_per_request",
    [BENCH_P50] = "latency_p50_us",
    [BENCH_P99] = "latency_p99_us",
    [BENCH_WORST] = "latency_max_us",
    [BENCH_SYSCALLS] = "system_calls_per_request",
    [BENCH_MEMORY] = "bytes_per_connection",
    [BENCH_TIME] = "ns_per_operation",
    [BENCH_LOAD_CPU] = "load_cpu_us_per_request",
    [BENCH_DELAY] = "share_waited_for_core",
    [BENCH_P99_ALONE] = "latency_p99_alone_us",
    [BENCH_P99_RATIO] = "latency_p99_to_alone",
    [BENCH_STOLEN] = "share_stolen_by_host",
};

void bench_sample_clear(struct bench_sample *sample)
{
    for (size_t i = 0; i < BENCH_METRICS; i++)
        sample->value[i] = NAN;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *) left;
    double b = *(const double *) right;
    return (a > b) - (a < b);
}

static struct bench_summary summarize(double *values, size_t count)
{
    struct bench_summary summary = { NAN, NAN, NAN };
    if (count == 0)
        return summary;
    qsort(values, count, sizeof values[0], compare);
    summary.low = values[0];
    summary.high = values[count - 1];
    summary.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
    return summary;
}

struct bench_summary bench_summarize(const struct bench_series *series, enum bench_metric metric)
{
    double values[BENCH_MAX_ROUNDS];
    size_t count = 0;
    for (size_t i = 0; i < series->count; i++) {
        if (!isnan(series->samples[i].value[metric]))
            values[count++] = series->samples[i].value[metric];
    }
    return summarize(values, count);
}

double bench_ratio(const struct bench_series *series, const struct bench_series *base,
                   enum bench_metric metric)
{
    double values[BENCH_MAX_ROUNDS];
    size_t count = 0;
    if (!base)
        return NAN;
    for (size_t i = 0; i < series->count && i < base->count; i++) {
        double value = series->samples[i].value[metric] / base->samples[i].value[metric];
        if (isfinite(value))
            values[count++] = value;
    }
    return summarize(values, count).median;
}

double bench_spread(const struct bench_summary *summary)
{
    return (summary->high - summary->low) / 2 / summary->median;
}
