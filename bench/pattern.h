/* SPDX-License-Identifier: MIT */
/* The bytes that are sent: each connection's stream is a different part of one endless random row, so that
 * a byte that is lost, doubled, swapped or sent to a neighbour shows. */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* At most this much in one piece. */
enum { BENCH_PATTERN_LONGEST = 256 * 1024 };

/* Fill the row; the same bytes in every run. */
void bench_pattern_init(void);

/* The bytes from @position on of the stream of connection number @connection. */
const unsigned char *bench_pattern_at(unsigned connection, uint64_t position);

/* Where @data differs from them: an index below @length, or @length when all is well. */
size_t bench_pattern_check(unsigned connection, uint64_t position, const unsigned char *data, size_t length);

#endif
