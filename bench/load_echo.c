/* SPDX-License-Identifier: MIT */
/* Echo on connections that stay.
 *
 * Happy path: connect all, let it run warm, then read clock, message count and the server's CPU time
 * twice, `duration` apart: the figures are differences. System calls are counted afterwards, in a slice of
 * their own, as counting slows them. In the end every answer must have come and the server must close on
 * end of stream. */
#include <math.h>
#include <stdio.h>

#include "host.h"
#include "meter.h"
#include "pool.h"
#include "syscalls.h"

static int run_timed(const struct bench_load *load, struct bench_pool *pool, struct bench_sample *sample)
{
    struct bench_histogram histogram;
    bench_histogram_clear(&histogram);
    pool->histogram = &histogram;
    uint64_t messages = pool->messages;
    struct bench_meter meter;
    bench_meter_begin(&meter, load);
    int rc = bench_pool_run(pool, meter.begin + load->duration);
    if (rc == 0)
        bench_meter_end(&meter, pool->messages - messages, &histogram, sample);
    pool->histogram = NULL;
    return rc;
}

static int run_counted(const struct bench_load *load, struct bench_pool *pool, struct bench_sample *sample)
{
    int counter = bench_syscalls_begin(load->server);
    if (counter < 0)
        return 0;
    uint64_t messages = pool->messages;
    int rc = bench_pool_run(pool, bench_now() + load->duration / 5);
    int64_t calls = bench_syscalls_end(counter);
    if (calls >= 0 && pool->messages > messages)
        sample->value[BENCH_SYSCALLS] = (double) calls / (double) (pool->messages - messages);
    return rc;
}

static int run(const struct bench_load *load, struct bench_pool *pool, struct bench_sample *sample)
{
    if (bench_pool_grow(pool, load->connections) < 0 || bench_pool_feed(pool) < 0 ||
        bench_pool_run(pool, bench_now() + load->warmup) < 0 || run_timed(load, pool, sample) < 0)
        return -1;
    if (load->count_syscalls && run_counted(load, pool, sample) < 0)
        return -1;
    return bench_pool_finish(pool);
}

int bench_load_echo(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                    size_t capacity)
{
    struct bench_pool pool;
    struct bench_sample sample;
    bench_sample_clear(&sample);
    if (bench_pool_init(&pool, load, load->connections, error, capacity) < 0)
        return -1;
    int rc = run(load, &pool, &sample);
    bench_pool_destroy(&pool);
    if (rc == 0)
        *ret_sample = sample;
    return rc;
}
