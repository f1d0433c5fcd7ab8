/* SPDX-License-Identifier: MIT */
/* Structures of options that a program hands in: they begin with their size, and may be an older header's. */
#ifndef RONDO_BASE_OPTIONS_H
#define RONDO_BASE_OPTIONS_H

#include <stddef.h>

/* Lay what @given has over the defaults in @options, which has @size bytes. RONDO_EINVAL, with @start named as what to start
 * from, for NULL, for a size that was not set, and for one below @least. */
int rondo_options_read(void *options, size_t size, const void *given, size_t least, const char *start);

#endif
