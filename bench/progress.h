/* SPDX-License-Identifier: MIT */
/* How far it is: a bar on a terminal, a line for each case elsewhere. On stderr, so that the table can be
 * piped. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_progress {
    bool terminal;
    size_t done, total;
    int64_t begin;
    const char *last_case;
};

void bench_progress_begin(struct bench_progress *progress, size_t total);

/* A step of @title begins: one measurement of @name. */
void bench_progress_step(struct bench_progress *progress, const char *kind, const char *title,
                         const char *name);

void bench_progress_end(struct bench_progress *progress);

#endif
