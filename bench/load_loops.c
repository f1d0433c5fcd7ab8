/* SPDX-License-Identifier: MIT */
/* Echo from several threads, for servers of several loops.
 *
 * Where there are cores beside the server's, each thread has one of those. Otherwise they share the server's cores,
 * one on each, so that each core has the same to do.
 * Happy path: each thread connects its part of the connections and lets it run warm; they meet, the clock and
 * the server's CPU time are read, and they run until the same moment. Failures: as for the pool; a thread that has
 * failed still comes to the meetings. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter.h"
#include "pool.h"
#include "server.h"

struct meeting {
    pthread_barrier_t warm, begun, over;
    int64_t deadline;
};

struct part {
    struct meeting *meeting;
    const struct bench_load *load;
    pthread_t thread;
    int core;
    unsigned first, connections;
    int rc;
    uint64_t messages;
    int64_t cpu;
    struct bench_histogram histogram;
    char error[256];
};

static int warm_up(struct part *part, struct bench_pool *pool)
{
    const struct bench_load *load = part->load;
    bench_pin(part->core);
    if (bench_pool_init(pool, load, part->connections, part->error, sizeof part->error) < 0)
        return -1;
    pool->first = part->first;
    if (bench_pool_grow(pool, part->connections) < 0 || bench_pool_feed(pool) < 0)
        return -1;
    return bench_pool_run(pool, bench_now() + load->warmup);
}

static void run_timed(struct part *part, struct bench_pool *pool)
{
    uint64_t messages = pool->messages;
    int64_t cpu = bench_thread_cpu();
    pool->histogram = &part->histogram;
    part->rc = bench_pool_run(pool, part->meeting->deadline);
    pool->histogram = NULL;
    part->cpu = bench_thread_cpu() - cpu;
    part->messages = pool->messages - messages;
}

static void *run_part(void *context)
{
    struct part *part = context;
    struct bench_pool pool;
    memset(&pool, 0, sizeof pool);
    part->rc = warm_up(part, &pool);
    pthread_barrier_wait(&part->meeting->warm);
    pthread_barrier_wait(&part->meeting->begun);
    if (part->rc == 0)
        run_timed(part, &pool);
    pthread_barrier_wait(&part->meeting->over);
    if (part->rc == 0)
        part->rc = bench_pool_finish(&pool);
    if (pool.connections)
        bench_pool_destroy(&pool);
    return NULL;
}

/* The first thread's latencies stand for all: each has its share of every loop's connections. */
static void sum_up(const struct part *parts, unsigned count, const struct bench_meter *meter,
                   struct bench_sample *sample)
{
    uint64_t messages = 0;
    int64_t load_cpu = 0;
    for (unsigned i = 0; i < count; i++) {
        messages += parts[i].messages;
        load_cpu += parts[i].cpu;
    }
    bench_meter_end(meter, messages, &parts[0].histogram, sample);
    sample->value[BENCH_DELAY] = NAN; /* of the loops, the load generator is one cause */
    sample->value[BENCH_LOAD_CPU] = (double) load_cpu / 1000 / (double) messages;
}

static int measure(const struct bench_load *load, struct part *parts, unsigned count,
                   struct bench_sample *sample, struct meeting *meeting)
{
    pthread_barrier_wait(&meeting->warm);
    struct bench_meter meter;
    bench_meter_begin(&meter, load);
    meeting->deadline = meter.begin + load->duration;
    pthread_barrier_wait(&meeting->begun);
    pthread_barrier_wait(&meeting->over);
    sum_up(parts, count, &meter, sample);
    int rc = 0;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(parts[i].thread, NULL);
        rc = rc < 0 ? rc : parts[i].rc;
    }
    return rc;
}

static unsigned count_threads(const struct bench_load *load)
{
    unsigned cores = (unsigned) load->host->cores;
    unsigned spare = cores > load->loops ? cores - load->loops : 0;
    unsigned threads = spare > 0 && spare < load->loops ? spare : load->loops;
    return threads < load->connections ? threads : load->connections;
}

static void divide(const struct bench_load *load, struct meeting *meeting, struct part *parts, unsigned count)
{
    unsigned cores = (unsigned) load->host->cores;
    unsigned begin = cores > load->loops ? load->loops : 0;
    for (unsigned i = 0; i < count; i++) {
        parts[i].meeting = meeting;
        parts[i].load = load;
        parts[i].core = load->host->core[(begin + i) % cores];
        parts[i].first = load->connections * i / count;
        parts[i].connections = load->connections * (i + 1) / count - parts[i].first;
    }
}

int bench_load_loops(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                     size_t capacity)
{
    struct meeting meeting;
    struct bench_sample sample;
    unsigned count = count_threads(load);
    struct part *parts = calloc(count, sizeof *parts);
    bench_sample_clear(&sample);
    snprintf(error, capacity, "the load generator has no memory or threads left");
    if (!parts)
        return -1;
    pthread_barrier_init(&meeting.warm, NULL, count + 1);
    pthread_barrier_init(&meeting.begun, NULL, count + 1);
    pthread_barrier_init(&meeting.over, NULL, count + 1);
    divide(load, &meeting, parts, count);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&parts[i].thread, NULL, run_part, &parts[i]) != 0) {
            fprintf(stderr, "rondo-bench: cannot start a thread\n");
            exit(1); /* the threads before it wait for it: there is no other way out */
        }
    }
    int rc = measure(load, parts, count, &sample, &meeting);
    for (unsigned i = 0; i < count; i++) {
        if (rc < 0 && parts[i].rc < 0)
            snprintf(error, capacity, "%s", parts[i].error);
    }
    free(parts);
    if (rc == 0)
        *ret_sample = sample;
    return rc;
}
