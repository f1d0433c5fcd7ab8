/* SPDX-License-Identifier: MIT */
/* The monotonic clock on Windows: the performance counter, which goes on at one rate on all processors.
 *
 * Failures: none since Windows XP. Invariant: the result never overflows before 292 years of uptime, because
 * whole seconds and the rest are converted apart. */
#include <stdatomic.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "../clock.h"

static _Atomic(int64_t) rondo_clock_rate; /* ticks for each second; fixed from boot on */

static int64_t rondo_clock_find_rate(void)
{
    LARGE_INTEGER rate;
    QueryPerformanceFrequency(&rate);
    atomic_store_explicit(&rondo_clock_rate, rate.QuadPart, memory_order_relaxed);
    return rate.QuadPart;
}

rondo_ns rondo_clock_now(void)
{
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    int64_t rate = atomic_load_explicit(&rondo_clock_rate, memory_order_relaxed);
    if (rate == 0)
        rate = rondo_clock_find_rate();
    if (rate == 10000000) /* what Windows 10 always has: spares the division */
        return ticks.QuadPart * 100;
    return RONDO_S(ticks.QuadPart / rate) + RONDO_S(ticks.QuadPart % rate) / rate;
}
