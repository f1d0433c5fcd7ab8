/* SPDX-License-Identifier: MIT */
/* CPU time is read last when it begins and first when it ends: what the reading itself costs is nobody's. */
#include "meter.h"

#include "host.h"

void bench_meter_begin(struct bench_meter *meter, const struct bench_load *load)
{
    meter->server = load->server;
    meter->cores = load->host->cores;
    meter->stolen = bench_host_stolen();
    meter->delay = bench_process_delay(load->server);
    meter->begin = bench_now();
    meter->cpu = bench_process_cpu(load->server);
}

void bench_meter_end(const struct bench_meter *meter, uint64_t count, const struct bench_histogram *histogram,
                     struct bench_sample *sample)
{
    int64_t cpu = bench_process_cpu(meter->server) - meter->cpu;
    double seconds = (double) (bench_now() - meter->begin) / 1e9;
    int64_t delay = bench_process_delay(meter->server) - meter->delay;
    int64_t stolen = bench_host_stolen() - meter->stolen;
    sample->value[BENCH_RATE] = (double) count / seconds;
    sample->value[BENCH_CPU] = (double) cpu / 1000 / (double) count;
    sample->value[BENCH_DELAY] = (double) delay / 1e9 / seconds;
    sample->value[BENCH_STOLEN] = (double) stolen / 1e9 / seconds / meter->cores;
    sample->value[BENCH_P50] = bench_histogram_quantile(histogram, 0.5) / 1000;
    sample->value[BENCH_P99] = bench_histogram_quantile(histogram, 0.99) / 1000;
    sample->value[BENCH_WORST] = (double) histogram->largest / 1000;
}
