/* SPDX-License-Identifier: MIT */
/* Choosing a backend. */
#ifndef RONDO_CORE_CHOOSE_H
#define RONDO_CORE_CHOOSE_H

#include <rondo/loop.h>

#include "../base/ready.h"

/* Open the driver that @options ask for into core->driver. Where a fallback was taken, *ret_reason gets the
 * words, owned. Returns 0 or the reason why not, with words. */
int rondo_choose_driver(const rondo_loop_options *options, const rondo_allocator *allocator,
                        struct rondo_core *core, char **ret_reason);

#endif
