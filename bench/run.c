/* SPDX-License-Identifier: MIT */
/* Measuring: for each case, round after round, each server once in a fresh process.
 *
 * The servers of a round follow one another closely, so that what drifts (other guests of the machine,
 * temperature) meets them alike, and each round begins with another one. Failures: a server that fails is
 * left out of the later rounds of its case, and its series says why. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "child.h"
#include "load.h"
#include "micro.h"
#include "pattern.h"
#include "plan.h"
#include "progress.h"

/* Have @child under load. */
static int measure_child(const struct bench_plan *plan, const struct bench_case *of,
                         struct bench_series *series, struct bench_child *child, struct bench_sample *sample)
{
    struct bench_load load = {
        .host = &plan->host,
        .loops = series->loops,
        .wire = &child->wire,
        .server = child->pid,
        .connections = of->connections,
        .size = of->size,
        .pipeline = of->pipeline,
        .crowd = of->crowd,
        .warmup = (int64_t) (plan->seconds * 0.2e9),
        .duration = (int64_t) (plan->seconds * 1e9),
        .count_syscalls = plan->syscalls,
    };
    int rc = bench_kinds[of->kind].load(&load, sample, series->error, sizeof series->error);
    char end[128];
    if (rc < 0 && bench_child_is_gone(child, end, sizeof end)) {
        size_t used = strlen(series->error);
        snprintf(series->error + used, sizeof series->error - used, "; the server %s", end);
    }
    return rc;
}

/* What a proxy connects to: the bare echo, out of its way on the load generator's core. */
static int start_upstream(const struct bench_plan *plan, struct bench_series *series,
                          struct bench_child *child)
{
    struct bench_errand errand = {
        .server = bench_server_find("bare-epoll", BENCH_TCP),
        .service = BENCH_TCP,
        .loops = 1,
        .beside_load = true,
    };
    return bench_child_serve(&plan->host, &errand, child, series->error, sizeof series->error);
}

static int measure_server(const struct bench_plan *plan, const struct bench_case *of,
                          struct bench_series *series, struct bench_sample *sample)
{
    struct bench_child upstream = { .pid = -1 }, child;
    struct bench_errand errand = {
        .server = series->server,
        .service = bench_kinds[of->kind].service,
        .loops = series->loops,
        .pairs = of->kind == BENCH_PIPE ? of->connections : 0,
        .work_us = of->work_us,
        .tuning = plan->tuning,
    };
    if (of->kind == BENCH_PROXYING) {
        if (start_upstream(plan, series, &upstream) < 0)
            return -1;
        errand.upstream = bench_address_port(&upstream.wire.address);
    }
    int rc = bench_child_serve(&plan->host, &errand, &child, series->error, sizeof series->error);
    if (rc == 0) {
        rc = measure_child(plan, of, series, &child, sample);
        bench_child_stop(&child);
    }
    bench_child_stop(&upstream);
    return rc;
}

static int measure_micro(const struct bench_plan *plan, const struct bench_case *of,
                         struct bench_series *series, struct bench_sample *sample)
{
    return bench_child_micro(&plan->host, series->name, of->test, &sample->value[BENCH_TIME], series->error,
                             sizeof series->error);
}

static void measure(const struct bench_plan *plan, const struct bench_case *of, struct bench_series *series)
{
    struct bench_sample sample;
    bench_sample_clear(&sample);
    int rc = of->kind == BENCH_MICRO ? measure_micro(plan, of, series, &sample)
                                     : measure_server(plan, of, series, &sample);
    if (rc == 0) {
        series->error[0] = '\0';
        series->samples[series->count++] = sample;
    }
}

static size_t count_steps(const struct bench_plan *plan)
{
    size_t steps = 0;
    for (size_t i = 0; i < plan->count; i++)
        steps += plan->cases[i].rounds * plan->cases[i].series_count;
    return steps;
}

static void run_case(const struct bench_plan *plan, struct bench_case *of, struct bench_progress *progress)
{
    for (unsigned round = 0; round < of->rounds; round++) {
        for (size_t i = 0; i < of->series_count; i++) {
            struct bench_series *series = &of->series[(i + round) % of->series_count];
            bench_progress_step(progress, bench_kinds[of->kind].name, of->title, series->name);
            if (series->error[0] == '\0')
                measure(plan, of, series);
        }
    }
}

size_t bench_plan_run(struct bench_plan *plan)
{
    struct bench_progress progress;
    size_t failures = 0;
    signal(SIGPIPE, SIG_IGN); /* a server that is gone shows as an error */
    bench_pattern_init();
    bench_pin(plan->host.load_core);
    bench_progress_begin(&progress, count_steps(plan));
    for (size_t i = 0; i < plan->count; i++) {
        run_case(plan, &plan->cases[i], &progress);
        for (size_t j = 0; j < plan->cases[i].series_count; j++)
            failures += plan->cases[i].series[j].error[0] != '\0';
    }
    bench_progress_end(&progress);
    return failures;
}
