/* SPDX-License-Identifier: MIT */
/* The micro benchmarks that have a counterpart in libev. */
#include <ev.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "micro.h"

extern const struct bench_micro bench_libev_micros[];

static struct ev_loop *loop;
static size_t remaining;

static void on_call(struct ev_loop *on, ev_prepare *watcher, int events)
{
    (void) on;
    (void) watcher;
    (void) events;
    remaining--;
}

static double run_call_soon(int other_core)
{
    (void) other_core;
    static ev_prepare watchers[BENCH_BATCH];
    loop = ev_loop_new(EVBACKEND_EPOLL);
    if (!loop)
        return NAN;
    for (int i = 0; i < BENCH_BATCH; i++)
        ev_prepare_init(&watchers[i], on_call);
    remaining = (size_t) BENCH_BATCH * BENCH_BATCHES;
    int64_t begin = bench_now();
    for (int batch = 0; batch < BENCH_BATCHES; batch++) {
        for (int i = 0; i < BENCH_BATCH; i++)
            ev_feed_event(loop, &watchers[i], EV_CUSTOM);
        ev_run(loop, EVRUN_NOWAIT);
    }
    int64_t used = bench_now() - begin;
    return remaining == 0 ? (double) used / BENCH_BATCH / BENCH_BATCHES : NAN;
}

/* An event that is fed by its own callback runs in the same turn. */
static void on_chain(struct ev_loop *on, ev_prepare *watcher, int events)
{
    if (--remaining > 0)
        ev_feed_event(on, watcher, events);
}

static double run_chain(int other_core)
{
    (void) other_core;
    ev_prepare watcher;
    loop = ev_loop_new(EVBACKEND_EPOLL);
    if (!loop)
        return NAN;
    ev_prepare_init(&watcher, on_chain);
    remaining = BENCH_CHAIN;
    int64_t begin = bench_now();
    ev_feed_event(loop, &watcher, EV_CUSTOM);
    while (remaining > 0)
        ev_run(loop, EVRUN_NOWAIT);
    return (double) (bench_now() - begin) / BENCH_CHAIN;
}

static void on_timer(struct ev_loop *on, ev_timer *timer, int events)
{
    (void) on;
    (void) timer;
    (void) events;
    remaining--;
}

static double run_timer(int other_core)
{
    (void) other_core;
    ev_timer *timers = malloc(BENCH_TIMERS * sizeof *timers);
    loop = ev_loop_new(EVBACKEND_EPOLL);
    if (!timers || !loop)
        return NAN;
    memset(timers, 1, BENCH_TIMERS * sizeof *timers); /* the pages exist before the clock starts */
    remaining = BENCH_TIMERS / 2;
    int64_t begin = bench_now();
    ev_now_update(loop);
    for (size_t i = 0; i < BENCH_TIMERS; i++) {
        ev_timer_init(&timers[i], on_timer, (double) (bench_random() % BENCH_TIMER_MS) / 1000, 0.);
        ev_timer_start(loop, &timers[i]);
    }
    for (size_t i = 0; i < BENCH_TIMERS; i += 2)
        ev_timer_stop(loop, &timers[i]);
    int64_t used = bench_now() - begin;
    bench_sleep_until(begin + used + (BENCH_TIMER_MS + 20) * INT64_C(1000000));
    begin = bench_now();
    ev_run(loop, 0);
    used += bench_now() - begin;
    return remaining == 0 ? (double) used / BENCH_TIMERS : NAN;
}

static double run_rearm(int other_core)
{
    (void) other_core;
    static ev_timer timers[BENCH_REARM_TIMERS];
    loop = ev_loop_new(EVBACKEND_EPOLL);
    if (!loop)
        return NAN;
    for (int i = 0; i < BENCH_REARM_TIMERS; i++) {
        ev_timer_init(&timers[i], on_timer, 60. + (double) (bench_random() % 1000) / 1000, 60.);
        ev_timer_start(loop, &timers[i]);
    }
    int64_t begin = bench_now();
    for (int round = 0; round < BENCH_REARM_ROUNDS; round++) {
        ev_now_update(loop);
        for (int i = 0; i < BENCH_REARM_TIMERS; i++) {
            timers[i].repeat = 60. + (double) (bench_random() % 1000) / 1000;
            ev_timer_again(loop, &timers[i]);
        }
    }
    return (double) (bench_now() - begin) / BENCH_REARM_TIMERS / BENCH_REARM_ROUNDS;
}

struct poster {
    ev_async async;
    int core;
    int64_t used;
};

static void on_async(struct ev_loop *on, ev_async *async, int events)
{
    (void) on;
    (void) async;
    (void) events;
    remaining++;
}

static void *post(void *context)
{
    struct poster *poster = context;
    bench_pin(poster->core);
    int64_t begin = bench_now();
    for (int i = 0; i < BENCH_POSTS; i++)
        ev_async_send(loop, &poster->async);
    poster->used = bench_now() - begin;
    return NULL;
}

static void *run_in_background(void *context)
{
    (void) context;
    ev_run(loop, 0);
    return NULL;
}

/* The loop runs on this core, in a thread that ends with the process; the sends come from the other one. */
static double run_threadsafe(int other_core)
{
    static struct poster poster;
    poster.core = other_core;
    pthread_t sender, runner;
    loop = ev_loop_new(EVBACKEND_EPOLL);
    if (!loop)
        return NAN;
    ev_async_init(&poster.async, on_async);
    ev_async_start(loop, &poster.async);
    if (pthread_create(&runner, NULL, run_in_background, NULL) != 0 ||
        pthread_create(&sender, NULL, post, &poster) != 0)
        return NAN;
    pthread_join(sender, NULL);
    return (double) poster.used / BENCH_POSTS;
}

const struct bench_micro bench_libev_micros[] = {
    { "call_soon", run_call_soon }, { "call_soon_chain", run_chain }, { "timer", run_timer },
    { "timer_rearm", run_rearm },   { "threadsafe", run_threadsafe }, { NULL, NULL },
};
