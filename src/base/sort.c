/* SPDX-License-Identifier: MIT */
/* Sorting by digits, in place, the highest digit first: entries are dealt out to 256 buckets, and each bucket
 * is sorted by what lies below. Comparing costs a mispredicted branch for half of the comparisons; dealing has no
 * branch that depends on the keys. Small buckets are sorted by insertion.
 *
 * The key of an entry is its deadline, as the distance from the earliest, above its order, as the distance from half a
 * turn before that of the first entry: that is the order of rondo_heap_entry_is_before, while no two orders are further
 * apart than half a turn. Cannot fail. Depth of recursion: one for each byte of the key, twelve at most. */
#include "sort.h"

#define BUCKETS 256u
#define SMALL 24u
#define DIGIT 8
#define DEADLINES 32 /* bits of the key below the deadline */

struct origin {
    uint64_t when;
    uint32_t order;
};

static inline unsigned digit_of(const struct rondo_heap_entry *entry, const struct origin *origin, int shift)
{
    if (shift >= DEADLINES)
        return (unsigned) (((uint64_t) entry->when - origin->when) >> (shift - DEADLINES)) % BUCKETS;
    return ((entry->order - origin->order) >> shift) % BUCKETS;
}

static void sort_small(struct rondo_heap_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct rondo_heap_entry entry = entries[i];
        size_t place = i;
        for (; place > 0 && rondo_heap_entry_is_before(&entry, &entries[place - 1]); place--)
            entries[place] = entries[place - 1];
        entries[place] = entry;
    }
}

/* Where each bucket ends; returns whether one of them holds everything. */
static bool measure(const struct rondo_heap_entry *entries, size_t count, const struct origin *origin,
                    int shift, size_t *ends)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        ends[i] = 0;
    for (size_t i = 0; i < count; i++)
        ends[digit_of(&entries[i], origin, shift)]++;
    bool is_single = ends[digit_of(entries, origin, shift)] == count;
    for (unsigned i = 1; i < BUCKETS; i++)
        ends[i] += ends[i - 1];
    return is_single;
}

/* Put each entry where the next of its bucket belongs, and go on with the one that was there. */
static void deal(struct rondo_heap_entry *entries, const struct origin *origin, int shift, const size_t *ends)
{
    size_t next[BUCKETS];
    next[0] = 0;
    for (unsigned i = 1; i < BUCKETS; i++)
        next[i] = ends[i - 1];
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (next[i] < ends[i]) {
            struct rondo_heap_entry entry = entries[next[i]];
            for (unsigned to; (to = digit_of(&entry, origin, shift)) != i;) {
                struct rondo_heap_entry other = entries[next[to]];
                entries[next[to]++] = entry;
                entry = other;
            }
            entries[next[i]++] = entry;
        }
    }
}

/* The digit below: the lowest of the deadline may overlap the one above it. */
static int lower(int shift)
{
    return shift > DEADLINES && shift < DEADLINES + DIGIT ? DEADLINES : shift - DIGIT;
}

/* @shift: the digit to begin with; a negative one: nothing is left that differs. */
static void sort_from(struct rondo_heap_entry *entries, size_t count, const struct origin *origin, int shift)
{
    size_t ends[BUCKETS];
    while (count > SMALL && shift >= 0 && measure(entries, count, origin, shift, ends))
        shift = lower(shift);
    if (count <= SMALL || shift < 0) {
        sort_small(entries, count);
        return;
    }
    deal(entries, origin, shift, ends);
    for (size_t i = 0, begin = 0; i < BUCKETS; begin = ends[i++])
        if (ends[i] - begin > 1)
            sort_from(&entries[begin], ends[i] - begin, origin, lower(shift));
}

void rondo_sort_entries(struct rondo_heap_entry *entries, size_t count)
{
    if (count < 2)
        return;
    rondo_ns first = entries[0].when;
    rondo_ns last = first;
    for (size_t i = 1; i < count; i++) {
        first = entries[i].when < first ? entries[i].when : first;
        last = entries[i].when > last ? entries[i].when : last;
    }
    struct origin origin = { (uint64_t) first, entries[0].order - (UINT32_C(1) << 31) };
    int bits = 0;
    while (bits < 64 && ((uint64_t) last - origin.when) >> bits)
        bits++;
    sort_from(entries, count, &origin, DEADLINES + (bits > DIGIT ? bits - DIGIT : 0));
}
