/* SPDX-License-Identifier: MIT */
/* What a stream server answers: the same bytes, or fixed answers that other people's load generators
 * understand. */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

/* The answer to @data, which has *@length bytes: sets *@length and returns static memory, or @data itself. *@state
 * is the connection's, 0 at first. At most BENCH_ANSWER_CHUNK bytes at a time. */
typedef const void *bench_answer(unsigned char *state, const void *data, size_t *length);

enum { BENCH_ANSWER_CHUNK = 16384 };

struct bench_protocol {
    const char *name;     /* for --protocol */
    bench_answer *answer; /* NULL: what came goes back, whatever its length */
};

/* The one called @name, or NULL. */
const struct bench_protocol *bench_protocol_find(const char *name);

/* The row that fixed answers point into: what lies @offset bytes behind its beginning stays there for good.
 * For servers that keep offsets. */
const unsigned char *bench_protocol_row(void);

/* An echo that first computes for so long, as a program with something to do would. */
bench_answer *bench_protocol_work(int64_t ns);

#endif
