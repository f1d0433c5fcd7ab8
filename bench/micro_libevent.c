/* SPDX-License-Identifier: MIT */
/* The micro benchmarks that have a counterpart in libevent. */
#include <event2/event.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "micro.h"

extern const struct bench_micro bench_libevent_micros[];

static struct event_base *base;
static struct event **events;
static size_t remaining;

static void on_call(int fd, short what, void *context)
{
    (void) fd;
    (void) what;
    (void) context;
    remaining--;
}

static void on_chain(int fd, short what, void *context)
{
    (void) fd;
    (void) what;
    if (--remaining > 0)
        event_active(*(struct event **) context, EV_TIMEOUT, 0);
}

static bool open_base(size_t count, event_callback_fn callback)
{
    base = event_base_new();
    events = calloc(count, sizeof *events);
    if (!base || !events)
        return false;
    for (size_t i = 0; i < count; i++) {
        events[i] = event_new(base, -1, 0, callback, &events[i]);
        if (!events[i])
            return false;
    }
    return true;
}

static double run_call_soon(int other_core)
{
    (void) other_core;
    if (!open_base(BENCH_BATCH, on_call))
        return NAN;
    remaining = (size_t) BENCH_BATCH * BENCH_BATCHES;
    int64_t begin = bench_now();
    for (int batch = 0; batch < BENCH_BATCHES; batch++) {
        for (int i = 0; i < BENCH_BATCH; i++)
            event_active(events[i], EV_TIMEOUT, 0);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    int64_t used = bench_now() - begin;
    return remaining == 0 ? (double) used / BENCH_BATCH / BENCH_BATCHES : NAN;
}

static double run_chain(int other_core)
{
    (void) other_core;
    if (!open_base(1, on_chain))
        return NAN;
    remaining = BENCH_CHAIN;
    int64_t begin = bench_now();
    event_active(events[0], EV_TIMEOUT, 0);
    while (remaining > 0)
        event_base_loop(base, EVLOOP_NONBLOCK);
    return (double) (bench_now() - begin) / BENCH_CHAIN;
}

static struct timeval delay(unsigned milliseconds)
{
    struct timeval time = { .tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000 };
    return time;
}

static double run_timer(int other_core)
{
    (void) other_core;
    base = event_base_new();
    events = malloc(BENCH_TIMERS * sizeof *events);
    if (!base || !events)
        return NAN;
    memset((void *) events, 1, BENCH_TIMERS * sizeof *events); /* the pages exist before the clock starts */
    remaining = BENCH_TIMERS / 2;
    int64_t begin = bench_now();
    for (size_t i = 0; i < BENCH_TIMERS; i++) {
        struct timeval time = delay(bench_random() % BENCH_TIMER_MS);
        events[i] = event_new(base, -1, 0, on_call, NULL);
        event_add(events[i], &time);
    }
    for (size_t i = 0; i < BENCH_TIMERS; i += 2)
        event_del(events[i]);
    int64_t used = bench_now() - begin;
    bench_sleep_until(begin + used + (BENCH_TIMER_MS + 20) * INT64_C(1000000));
    begin = bench_now();
    event_base_dispatch(base);
    used += bench_now() - begin;
    return remaining == 0 ? (double) used / BENCH_TIMERS : NAN;
}

static double run_rearm(int other_core)
{
    (void) other_core;
    if (!open_base(BENCH_REARM_TIMERS, on_call))
        return NAN;
    int64_t begin = 0;
    for (int round = 0; round <= BENCH_REARM_ROUNDS; round++) {
        if (round == 1)
            begin = bench_now(); /* the first round has started them */
        for (int i = 0; i < BENCH_REARM_TIMERS; i++) {
            struct timeval time = delay(60000 + bench_random() % 1000);
            event_add(events[i], &time);
        }
    }
    return (double) (bench_now() - begin) / BENCH_REARM_TIMERS / BENCH_REARM_ROUNDS;
}

const struct bench_micro bench_libevent_micros[] = {
    { "call_soon", run_call_soon },
    { "call_soon_chain", run_chain },
    { "timer", run_timer },
    { "timer_rearm", run_rearm },
    { NULL, NULL },
};
