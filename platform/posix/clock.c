/* SPDX-License-Identifier: MIT */
/* The monotonic clock by clock_gettime(2). */
#define _GNU_SOURCE
#include "../clock.h"

#include <time.h>

rondo_ns rondo_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (rondo_ns) now.tv_sec * RONDO_S(1) + now.tv_nsec;
}
