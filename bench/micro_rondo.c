/* SPDX-License-Identifier: MIT */
/* Rondo's micro benchmarks, on the default backend: it has no part in them but its poll that does not
 * wait. */
#include <math.h>
#include <pthread.h>
#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>

#include "host.h"
#include "micro.h"

static rondo_loop *loop;
static size_t remaining; /* calls that are still to run */

static double fail(const char *test)
{
    fprintf(stderr, "rondo: %s: %s\n", test, rondo_last_error_message());
    return NAN;
}

static bool open_loop(void)
{
    return rondo_loop_new(NULL, &loop) == 0;
}

static void count_down(void *context)
{
    (void) context;
    if (--remaining == 0)
        rondo_loop_stop(loop);
}

static double run_call_soon(int other_core)
{
    (void) other_core;
    if (!open_loop())
        return fail("loop");
    int64_t begin = bench_now();
    for (int batch = 0; batch < BENCH_BATCHES; batch++) {
        remaining = BENCH_BATCH;
        for (int i = 0; i < BENCH_BATCH; i++) {
            if (rondo_loop_call_soon(loop, NULL, count_down, NULL) < 0)
                return fail("call_soon");
        }
        if (rondo_loop_run_forever(loop) < 0)
            return fail("run_forever");
    }
    return (double) (bench_now() - begin) / BENCH_BATCH / BENCH_BATCHES;
}

static void queue_next(void *context)
{
    if (--remaining == 0)
        rondo_loop_stop(loop);
    else
        rondo_loop_call_soon(loop, NULL, queue_next, context);
}

static double run_chain(int other_core)
{
    (void) other_core;
    if (!open_loop())
        return fail("loop");
    remaining = BENCH_CHAIN;
    int64_t begin = bench_now();
    if (rondo_loop_call_soon(loop, NULL, queue_next, NULL) < 0 || rondo_loop_run_forever(loop) < 0)
        return fail("call_soon_chain");
    return (double) (bench_now() - begin) / BENCH_CHAIN;
}

static double run_timer(int other_core)
{
    (void) other_core;
    rondo_handle *handles = calloc(BENCH_TIMERS, sizeof *handles);
    if (!handles || !open_loop())
        return fail("loop");
    for (size_t i = 0; i < BENCH_TIMERS; i++)
        handles[i].slot = (uint32_t) i; /* the pages exist before the clock starts */
    remaining = BENCH_TIMERS / 2;
    int64_t begin = bench_now();
    for (size_t i = 0; i < BENCH_TIMERS; i++) {
        rondo_ns delay = RONDO_MS(bench_random() % BENCH_TIMER_MS);
        if (rondo_loop_call_later(loop, delay, &handles[i], count_down, NULL) < 0)
            return fail("call_later");
    }
    for (size_t i = 0; i < BENCH_TIMERS; i += 2)
        rondo_handle_cancel(&handles[i]);
    int64_t used = bench_now() - begin;
    bench_sleep_until(begin + used + RONDO_MS(BENCH_TIMER_MS + 20));
    begin = bench_now();
    if (rondo_loop_run_forever(loop) < 0)
        return fail("run_forever");
    used += bench_now() - begin;
    free(handles);
    return (double) used / BENCH_TIMERS;
}

static double run_rearm(int other_core)
{
    (void) other_core;
    static rondo_handle handles[BENCH_REARM_TIMERS];
    if (!open_loop())
        return fail("loop");
    for (int i = 0; i < BENCH_REARM_TIMERS; i++) {
        rondo_ns delay = RONDO_S(60) + RONDO_MS(bench_random() % 1000);
        if (rondo_loop_call_later(loop, delay, &handles[i], count_down, NULL) < 0)
            return fail("call_later");
    }
    int64_t begin = bench_now();
    for (int round = 0; round < BENCH_REARM_ROUNDS; round++) {
        rondo_ns now = rondo_loop_time(loop);
        for (int i = 0; i < BENCH_REARM_TIMERS; i++) {
            if (rondo_handle_rearm(&handles[i], now + RONDO_S(60) + RONDO_MS(bench_random() % 1000)) < 0)
                return fail("rearm");
        }
    }
    return (double) (bench_now() - begin) / BENCH_REARM_TIMERS / BENCH_REARM_ROUNDS;
}

/* --- from another thread ---------------------------------------------------------------------- */

struct poster {
    int core;
    int64_t used;
    bool failed;
};

static void *post(void *context)
{
    struct poster *poster = context;
    bench_pin(poster->core);
    rondo_loop *to = loop; /* what is static here shares a cache line with what the callbacks count */
    int64_t begin = bench_now();
    for (int i = 0; i < BENCH_POSTS; i++) {
        if (rondo_loop_call_soon_threadsafe(to, NULL, count_down, NULL) < 0)
            poster->failed = true;
    }
    poster->used = bench_now() - begin;
    return NULL;
}

/* Post all from another thread while the loop runs; returns false if one was lost or refused. */
static bool run_posts(struct poster *poster, int64_t *ret_total)
{
    pthread_t thread;
    if (!open_loop())
        return false;
    remaining = BENCH_POSTS;
    int64_t begin = bench_now();
    if (pthread_create(&thread, NULL, post, poster) != 0)
        return false;
    int rc = rondo_loop_run_forever(loop);
    *ret_total = bench_now() - begin;
    pthread_join(thread, NULL);
    return rc == 0 && !poster->failed && remaining == 0;
}

static double run_threadsafe(int other_core)
{
    struct poster poster = { .core = other_core };
    int64_t total = 0;
    return run_posts(&poster, &total) ? (double) poster.used / BENCH_POSTS : fail("threadsafe");
}

static double run_threadsafe_run(int other_core)
{
    struct poster poster = { .core = other_core };
    int64_t total = 0;
    return run_posts(&poster, &total) ? (double) total / BENCH_POSTS : fail("threadsafe_run");
}

/* --- tasks ------------------------------------------------------------------------------------ */

static int yield_often(void *context)
{
    (void) context;
    int rc = 0;
    for (int i = 0; i < BENCH_YIELDS && rc == 0; i++)
        rc = rondo_yield();
    count_down(NULL);
    return rc;
}

static double run_switch(int other_core)
{
    (void) other_core;
    if (!open_loop())
        return fail("loop");
    remaining = BENCH_TASKS;
    for (int i = 0; i < BENCH_TASKS; i++) {
        rondo_task *task = rondo_create_task(loop, yield_often, NULL);
        if (!task)
            return fail("create_task");
        rondo_future_unref(task);
    }
    int64_t begin = bench_now();
    if (rondo_loop_run_forever(loop) < 0)
        return fail("task_switch");
    return (double) (bench_now() - begin) / BENCH_TASKS / BENCH_YIELDS;
}

static int do_nothing(void *context)
{
    (void) context;
    return 0;
}

static int await_often(void *context)
{
    (void) context;
    int rc = 0;
    for (int i = 0; i < BENCH_CHILDREN && rc == 0; i++)
        rc = rondo_await(rondo_create_task(loop, do_nothing, NULL), NULL);
    return rc;
}

static double run_await(int other_core)
{
    (void) other_core;
    if (!open_loop())
        return fail("loop");
    int64_t begin = bench_now();
    if (rondo_loop_run_until_complete(loop, rondo_create_task(loop, await_often, NULL), NULL) < 0)
        return fail("task_await");
    return (double) (bench_now() - begin) / BENCH_CHILDREN;
}

const struct bench_micro bench_rondo_micros[] = {
    { "call_soon", run_call_soon },
    { "call_soon_chain", run_chain },
    { "timer", run_timer },
    { "timer_rearm", run_rearm },
    { "threadsafe", run_threadsafe },
    { "threadsafe_run", run_threadsafe_run },
    { "task_switch", run_switch },
    { "task_await", run_await },
    { NULL, NULL },
};
