/* SPDX-License-Identifier: MIT */
/* The table. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "plan.h"

/* What the machine is, which backends it has and which options they run with, on stdout. */
void bench_report_machine(const struct bench_plan *plan);

/* What can run here and why not: backends, servers, counters. */
void bench_report_probe(const struct bench_host *host);

/* All servers and micro benchmarks by name. */
void bench_report_list(void);

/* The results. */
void bench_report_results(const struct bench_plan *plan);

#endif
