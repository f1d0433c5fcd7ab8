/* SPDX-License-Identifier: MIT */
/* The micro benchmarks that have a counterpart in libuv. It has no queue of calls. Idle handles, which run
 * once in each turn, come nearest to a batch; a timer of 0 ms that its callback starts again, which runs
 * in the same turn, to a chain. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "host.h"
#include "micro.h"

extern const struct bench_micro bench_libuv_micros[];

static uv_loop_t loop;
static size_t remaining;

static void on_idle(uv_idle_t *handle)
{
    (void) handle;
    if (--remaining == 0)
        uv_stop(&loop);
}

static double run_call_soon(int other_core)
{
    (void) other_core;
    uv_idle_t *handles = calloc(BENCH_BATCH, sizeof *handles);
    if (!handles || uv_loop_init(&loop) != 0)
        return NAN;
    for (size_t i = 0; i < BENCH_BATCH; i++) {
        uv_idle_init(&loop, &handles[i]);
        uv_idle_start(&handles[i], on_idle);
    }
    remaining = (size_t) BENCH_BATCH * BENCH_BATCHES;
    int64_t begin = bench_now();
    uv_run(&loop, UV_RUN_DEFAULT);
    return (double) (bench_now() - begin) / BENCH_BATCH / BENCH_BATCHES;
}

static void on_chain(uv_timer_t *timer)
{
    if (--remaining > 0)
        uv_timer_start(timer, on_chain, 0, 0);
}

static double run_chain(int other_core)
{
    (void) other_core;
    uv_timer_t timer;
    if (uv_loop_init(&loop) != 0 || uv_timer_init(&loop, &timer) != 0)
        return NAN;
    remaining = BENCH_CHAIN;
    int64_t begin = bench_now();
    uv_timer_start(&timer, on_chain, 0, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    return (double) (bench_now() - begin) / BENCH_CHAIN;
}

static void on_timer(uv_timer_t *timer)
{
    (void) timer;
    remaining--;
}

static double run_timer(int other_core)
{
    (void) other_core;
    uv_timer_t *timers = malloc(BENCH_TIMERS * sizeof *timers);
    if (!timers || uv_loop_init(&loop) != 0)
        return NAN;
    memset(timers, 1, BENCH_TIMERS * sizeof *timers); /* the pages exist before the clock starts */
    remaining = BENCH_TIMERS / 2;
    int64_t begin = bench_now();
    uv_update_time(&loop);
    for (size_t i = 0; i < BENCH_TIMERS; i++) {
        uv_timer_init(&loop, &timers[i]);
        uv_timer_start(&timers[i], on_timer, bench_random() % BENCH_TIMER_MS, 0);
    }
    for (size_t i = 0; i < BENCH_TIMERS; i += 2)
        uv_timer_stop(&timers[i]);
    int64_t used = bench_now() - begin;
    bench_sleep_until(begin + used + (BENCH_TIMER_MS + 20) * INT64_C(1000000));
    begin = bench_now();
    uv_run(&loop, UV_RUN_DEFAULT);
    used += bench_now() - begin;
    return remaining == 0 ? (double) used / BENCH_TIMERS : NAN;
}

static double run_rearm(int other_core)
{
    (void) other_core;
    static uv_timer_t timers[BENCH_REARM_TIMERS];
    if (uv_loop_init(&loop) != 0)
        return NAN;
    for (int i = 0; i < BENCH_REARM_TIMERS; i++) {
        uv_timer_init(&loop, &timers[i]);
        uv_timer_start(&timers[i], on_timer, 60000 + bench_random() % 1000, 0);
    }
    int64_t begin = bench_now();
    for (int round = 0; round < BENCH_REARM_ROUNDS; round++) {
        uv_update_time(&loop);
        for (int i = 0; i < BENCH_REARM_TIMERS; i++)
            uv_timer_start(&timers[i], on_timer, 60000 + bench_random() % 1000, 0);
    }
    return (double) (bench_now() - begin) / BENCH_REARM_TIMERS / BENCH_REARM_ROUNDS;
}

struct poster {
    uv_async_t async;
    int core;
    int64_t used;
};

static void on_async(uv_async_t *async)
{
    (void) async;
    remaining++;
}

static void *post(void *context)
{
    struct poster *poster = context;
    bench_pin(poster->core);
    int64_t begin = bench_now();
    for (int i = 0; i < BENCH_POSTS; i++)
        uv_async_send(&poster->async);
    poster->used = bench_now() - begin;
    return NULL;
}

static void *run_in_background(void *context)
{
    (void) context;
    uv_run(&loop, UV_RUN_DEFAULT);
    return NULL;
}

/* The loop runs on this core, in a thread that ends with the process; the sends come from the other one. */
static double run_threadsafe(int other_core)
{
    static struct poster poster;
    poster.core = other_core;
    pthread_t sender, runner;
    if (uv_loop_init(&loop) != 0 || uv_async_init(&loop, &poster.async, on_async) != 0 ||
        pthread_create(&runner, NULL, run_in_background, NULL) != 0 ||
        pthread_create(&sender, NULL, post, &poster) != 0)
        return NAN;
    pthread_join(sender, NULL);
    return (double) poster.used / BENCH_POSTS;
}

const struct bench_micro bench_libuv_micros[] = {
    { "call_soon", run_call_soon }, { "call_soon_chain", run_chain }, { "timer", run_timer },
    { "timer_rearm", run_rearm },   { "threadsafe", run_threadsafe }, { NULL, NULL },
};
