/* SPDX-License-Identifier: MIT */
/* The timer heap: 4-ary, smallest deadline first, equal deadlines in the order of insertion.
 *
 * It knows keys, not timers: an entry names its owner by an index, and `order` tells the owner
 * which of its entries is the live one. Stale entries are left where they are until they reach the head or
 * until rondo_heap_sweep. The four children of an entry share a cache line. */
#ifndef RONDO_BASE_HEAP_H
#define RONDO_BASE_HEAP_H

#include <rondo/types.h>

struct rondo_heap_entry {
    rondo_ns when;
    uint32_t order; /* unique among live entries; compared by difference, so it may wrap */
    uint32_t owner;
};

struct rondo_heap {
    struct rondo_heap_entry *entries; /* the root is entries[RONDO_HEAP_ROOT]; 64-byte aligned */
    size_t count;
    size_t capacity;
    void *block; /* what the allocator gave */
};

#define RONDO_HEAP_ROOT 3u

static inline bool rondo_heap_entry_is_before(const struct rondo_heap_entry *a,
                                              const struct rondo_heap_entry *b)
{
    if (a->when != b->when)
        return a->when < b->when;
    return (int32_t) (a->order - b->order) < 0;
}

/* Returns 0 or RONDO_ENOMEM: nothing was added. */
int rondo_heap_push(struct rondo_heap *heap, const rondo_allocator *allocator, struct rondo_heap_entry entry);
/* Remove the head. */
void rondo_heap_pop(struct rondo_heap *heap);
/* Give the head another key. */
void rondo_heap_replace(struct rondo_heap *heap, struct rondo_heap_entry entry);
/* Drop every entry for which @is_live says no. */
void rondo_heap_sweep(struct rondo_heap *heap,
                      bool (*is_live)(void *context, const struct rondo_heap_entry *entry), void *context);
/* Take every entry that is due at @now out of the heap and hand it to @settle, which may give it a later key or say false: it
 * is gone then. Those still due come back in order: *ret_count of them, in memory of the heap that stays as it is until the
 * next call, or for good if the heap leaves it to the caller; the others go back into the heap. */
struct rondo_heap_entry *rondo_heap_take_due(struct rondo_heap *heap, rondo_ns now,
                                             bool (*settle)(void *context, struct rondo_heap_entry *entry),
                                             void *context, size_t *ret_count);
/* Go on in another block and leave the present one to the caller, who releases it. NULL: no memory, nothing changed. */
void *rondo_heap_leave_block(struct rondo_heap *heap, const rondo_allocator *allocator);
void rondo_heap_free(struct rondo_heap *heap, const rondo_allocator *allocator);

static inline struct rondo_heap_entry *rondo_heap_head(const struct rondo_heap *heap)
{
    return heap->count ? &heap->entries[RONDO_HEAP_ROOT] : NULL;
}

#endif
