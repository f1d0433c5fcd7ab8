/* SPDX-License-Identifier: MIT */
/* What is to be measured, and what came of it. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "host.h"
#include "options.h"
#include "sample.h"
#include "server.h"

enum { BENCH_MAX_SERIES = 32 };

struct bench_case {
    enum bench_kind kind;
    unsigned connections, pipeline;
    size_t size;
    size_t work_us;         /* loops: that a server computes for each answer */
    const char *test;       /* micro: its name */
    enum bench_crowd crowd; /* fairness */
    char title[96];         /* "64 connections, 64 B, 1 in flight" */
    unsigned rounds;
    size_t series_count;
    struct bench_series *series; /* one for each server or library, in the order of the tables */
};

struct bench_plan {
    struct bench_host host;
    bool peers, syscalls;
    struct bench_tuning tuning;
    double seconds;
    size_t count;
    struct bench_case *cases;
    size_t server_count;
    const struct bench_server *servers[BENCH_MAX_SERIES];
};

/* Make the list of cases out of @options. Returns 0; after a line on stderr 1, or 2 for options that make
 * no sense. */
int bench_plan_make(struct bench_plan *ret_plan, const struct bench_options *options);

/* Measure it all, in interleaved rounds, with progress on stderr. Returns how many series failed. */
size_t bench_plan_run(struct bench_plan *plan);

void bench_plan_free(struct bench_plan *plan);

/* The series of case @of that others are compared to: rondo's first selector, or the bare loop called
 * @name; and one loop of the server of @series. NULL where it was not measured. */
const struct bench_series *bench_plan_selector(const struct bench_case *of);
const struct bench_series *bench_plan_named(const struct bench_case *of, const char *name);
const struct bench_series *bench_plan_one_loop(const struct bench_case *of,
                                               const struct bench_series *series);

#endif
