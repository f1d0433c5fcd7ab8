/* SPDX-License-Identifier: MIT */
/* The list of the micro benchmarks and what they share. */
#include "micro.h"

#include <string.h>
#include <time.h>

#include "parts.h"

const struct bench_test bench_tests[] = {
    { "call_soon", "queue 1000 calls, run them (libuv: 1000 idle handles)" },
    { "call_soon_chain", "each call queues the next" },
    { "timer", "one of a million: start all, cancel half, fire the rest" },
    { "timer_rearm", "move one of 10,000 timers" },
    { "threadsafe", "call_soon_threadsafe, as the calling thread sees it (libuv, libev: coalesced)" },
    { "threadsafe_run", "the same until each call has run" },
    { "task_switch", "one yield of 100 tasks that take turns" },
    { "task_await", "create a task that returns at once, and await it" },
    { NULL, NULL },
};

#define DECLARE(part) extern const struct bench_micro bench_##part##_micros[];
BENCH_MICRO_PARTS(DECLARE)
#undef DECLARE

#define SUITE(part) { #part, bench_##part##_micros },
static const struct bench_suite suites[] = { { "rondo", bench_rondo_micros }, BENCH_MICRO_PARTS(SUITE) };
#undef SUITE

size_t bench_suites(const struct bench_suite **ret_suites)
{
    *ret_suites = suites;
    return sizeof suites / sizeof suites[0];
}

const struct bench_micro *bench_micro_find(const char *suite, const char *test)
{
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (strcmp(suites[i].name, suite) != 0)
            continue;
        for (const struct bench_micro *micro = suites[i].micros; micro->test; micro++) {
            if (strcmp(micro->test, test) == 0)
                return micro;
        }
    }
    return NULL;
}

uint32_t bench_random(void)
{
    static uint32_t state = 2463534242U; /* xorshift32 */
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void bench_sleep_until(int64_t when)
{
    struct timespec until = { .tv_sec = when / 1000000000, .tv_nsec = when % 1000000000 };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        continue;
}
