/* SPDX-License-Identifier: MIT */
/* Contract: the monotonic clock. Any thread; cannot fail. */
#ifndef RONDO_PLATFORM_CLOCK_H
#define RONDO_PLATFORM_CLOCK_H

#include <rondo/types.h>

/* Nanoseconds since an arbitrary moment; never goes back. */
rondo_ns rondo_clock_now(void);

#endif
