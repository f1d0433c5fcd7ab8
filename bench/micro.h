/* SPDX-License-Identifier: MIT */
/* Micro benchmarks: what single operations of a loop cost, in ns. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stddef.h>
#include <stdint.h>

struct bench_test {
    const char *name;
    const char *about; /* one line */
};

/* All tests, in the order of the table; the last has no name. */
extern const struct bench_test bench_tests[];

/* One test on one library; runs on the calling thread, with @other_core for a second one. Returns ns for each
 * operation, or NAN after a line on stderr. */
struct bench_micro {
    const char *test;
    double (*run)(int other_core);
};

/* How much of each is done. */
enum {
    BENCH_BATCH = 1000, /* calls queued before they are run */
    BENCH_BATCHES = 2000,
    BENCH_CHAIN = 2000000,  /* calls that each queue the next */
    BENCH_TIMERS = 1000000, /* started; every second one is cancelled, the others fire */
    BENCH_TIMER_MS = 1000,  /* they are spread over so much time */
    BENCH_REARM_TIMERS = 10000,
    BENCH_REARM_ROUNDS = 200, /* of moving each of them */
    BENCH_POSTS = 1000000,    /* from another thread */
    BENCH_TASKS = 100,        /* that yield in turn */
    BENCH_YIELDS = 20000,     /* each */
    BENCH_CHILDREN = 200000   /* tasks made and awaited */
};

struct bench_suite {
    const char *name;
    const struct bench_micro *micros; /* the last has no test */
};

/* The libraries, rondo first; returns how many. */
size_t bench_suites(const struct bench_suite **ret_suites);

/* @test of @suite, or NULL where there is none. */
const struct bench_micro *bench_micro_find(const char *suite, const char *test);

/* The next of a row of random numbers; the same row in each process. */
uint32_t bench_random(void);

/* Sleep until the clock shows @when. */
void bench_sleep_until(int64_t when);

extern const struct bench_micro bench_rondo_micros[];

#endif
