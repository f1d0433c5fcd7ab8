/* SPDX-License-Identifier: MIT */
/* One row of random bytes, repeated as far as the longest piece reaches beyond its end. Its period is a
 * prime number of cache lines, and streams begin at a line: messages of whole lines stay aligned, which
 * halves the price of copying them. */
#include "pattern.h"

#include <string.h>

enum { LINE = 64, PERIOD = LINE * 1021 };

static _Alignas(4096) unsigned char row[PERIOD + BENCH_PATTERN_LONGEST];

void bench_pattern_init(void)
{
    uint32_t state = 2463534242U; /* xorshift32 */
    for (size_t i = 0; i < PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        row[i] = (unsigned char) (state >> 11);
    }
    for (size_t i = PERIOD; i < sizeof row; i++)
        row[i] = row[i - PERIOD];
}

const unsigned char *bench_pattern_at(unsigned connection, uint64_t position)
{
    return row + (position + (uint64_t) connection * 37 * LINE) % PERIOD;
}

size_t bench_pattern_check(unsigned connection, uint64_t position, const unsigned char *data, size_t length)
{
    const unsigned char *expected = bench_pattern_at(connection, position);
    if (memcmp(data, expected, length) == 0)
        return length;
    size_t index = 0;
    while (data[index] == expected[index])
        index++;
    return index;
}
