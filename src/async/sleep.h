/* SPDX-License-Identifier: MIT */
#ifndef RONDO_ASYNC_SLEEP_H
#define RONDO_ASYNC_SLEEP_H

#include "future.h"

/* Whether @future is a pending rondo_sleep of zero or less: awaiting it is to give way once. */
bool rondo_future_is_bare_yield(const rondo_future *future);

#endif
