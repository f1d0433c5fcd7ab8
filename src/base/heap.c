/* SPDX-License-Identifier: MIT */
/* See heap.h. The root stands at index 3, so that the children of entry k, 4 * (k - 2) and the three
 * behind it, begin on a multiple of four entries: one cache line. */
#include "heap.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "memory.h"

#define LINE 64u

static inline bool is_before(const struct rondo_heap_entry *a, const struct rondo_heap_entry *b)
{
    if (a->when != b->when)
        return a->when < b->when;
    return (int32_t) (a->order - b->order) < 0;
}

static inline size_t parent_of(size_t index)
{
    return index / 4 + 2;
}

static inline size_t first_child_of(size_t index)
{
    return 4 * (index - 2);
}

static void sift_up(struct rondo_heap *heap, size_t index, struct rondo_heap_entry entry)
{
    struct rondo_heap_entry *entries = heap->entries;
    while (index > RONDO_HEAP_ROOT && is_before(&entry, &entries[parent_of(index)])) {
        entries[index] = entries[parent_of(index)];
        index = parent_of(index);
    }
    entries[index] = entry;
}

static void sift_down(struct rondo_heap *heap, size_t index, struct rondo_heap_entry entry)
{
    struct rondo_heap_entry *entries = heap->entries;
    size_t end = RONDO_HEAP_ROOT + heap->count;
    for (size_t child = first_child_of(index); child < end; child = first_child_of(index)) {
        size_t last = child + 4 < end ? child + 4 : end;
        size_t least = child;
        for (size_t i = child + 1; i < last; i++)
            if (is_before(&entries[i], &entries[least]))
                least = i;
        if (!is_before(&entries[least], &entry))
            break;
        entries[index] = entries[least];
        index = least;
    }
    entries[index] = entry;
}

static int grow(struct rondo_heap *heap, const rondo_allocator *allocator)
{
    size_t capacity = heap->capacity ? heap->capacity * 2 : 61;
    void *block = rondo_allocate(allocator, (capacity + RONDO_HEAP_ROOT) * sizeof(*heap->entries) + LINE);
    if (!block)
        return rondo_fail(RONDO_ENOMEM, NULL);
    uintptr_t aligned = ((uintptr_t) block + LINE - 1) & ~(uintptr_t) (LINE - 1);
    struct rondo_heap_entry *entries = (struct rondo_heap_entry *) aligned;
    if (heap->count)
        memcpy(&entries[RONDO_HEAP_ROOT], &heap->entries[RONDO_HEAP_ROOT], heap->count * sizeof(*entries));
    rondo_release(allocator, heap->block);
    heap->block = block;
    heap->entries = entries;
    heap->capacity = capacity;
    return 0;
}

int rondo_heap_push(struct rondo_heap *heap, const rondo_allocator *allocator, struct rondo_heap_entry entry)
{
    if (heap->count == heap->capacity && grow(heap, allocator) < 0)
        return RONDO_ENOMEM;
    heap->count++;
    sift_up(heap, RONDO_HEAP_ROOT + heap->count - 1, entry);
    return 0;
}

void rondo_heap_pop(struct rondo_heap *heap)
{
    heap->count--;
    if (heap->count)
        sift_down(heap, RONDO_HEAP_ROOT, heap->entries[RONDO_HEAP_ROOT + heap->count]);
}

void rondo_heap_replace(struct rondo_heap *heap, struct rondo_heap_entry entry)
{
    sift_down(heap, RONDO_HEAP_ROOT, entry);
}

/* Put the entries from the root to @end in order again. */
static void rebuild(struct rondo_heap *heap, size_t end)
{
    heap->count = end - RONDO_HEAP_ROOT;
    if (heap->count < 2)
        return;
    for (size_t i = parent_of(end - 1) + 1; i-- > RONDO_HEAP_ROOT;)
        sift_down(heap, i, heap->entries[i]);
}

void rondo_heap_sweep(struct rondo_heap *heap,
                      bool (*is_live)(void *context, const struct rondo_heap_entry *entry), void *context)
{
    size_t kept = RONDO_HEAP_ROOT;
    for (size_t i = RONDO_HEAP_ROOT; i < RONDO_HEAP_ROOT + heap->count; i++)
        if (is_live(context, &heap->entries[i]))
            heap->entries[kept++] = heap->entries[i];
    rebuild(heap, kept);
}

static int compare(const void *left, const void *right)
{
    const struct rondo_heap_entry *a = left;
    const struct rondo_heap_entry *b = right;
    return is_before(a, b) ? -1 : is_before(b, a);
}

/* Move what is due behind the rest; returns where it begins. */
static size_t part_due(struct rondo_heap *heap, rondo_ns now)
{
    struct rondo_heap_entry *entries = heap->entries;
    size_t end = RONDO_HEAP_ROOT + heap->count;
    size_t kept = RONDO_HEAP_ROOT;
    for (size_t i = RONDO_HEAP_ROOT; i < end; i++) {
        if (entries[i].when <= now)
            continue;
        struct rondo_heap_entry entry = entries[i];
        entries[i] = entries[kept];
        entries[kept++] = entry;
    }
    return kept;
}

struct rondo_heap_entry *rondo_heap_take_due(struct rondo_heap *heap, rondo_ns now,
                                             bool (*settle)(void *context, struct rondo_heap_entry *entry),
                                             void *context, size_t *ret_count)
{
    struct rondo_heap_entry *entries = heap->entries;
    size_t end = RONDO_HEAP_ROOT + heap->count;
    size_t live = part_due(heap, now); /* [root, live): in the heap; [live, due): to be handed out */
    size_t due = live;
    for (size_t i = live; i < end; i++) {
        struct rondo_heap_entry entry = entries[i];
        if (!settle(context, &entry))
            continue;
        if (entry.when > now) {
            entries[due] = entries[live];
            entries[live++] = entry;
        } else {
            entries[due] = entry;
        }
        due++;
    }
    rebuild(heap, live);
    qsort(&entries[live], due - live, sizeof(*entries), compare);
    *ret_count = due - live;
    return &entries[live];
}

void rondo_heap_free(struct rondo_heap *heap, const rondo_allocator *allocator)
{
    rondo_release(allocator, heap->block);
    memset(heap, 0, sizeof(*heap));
}
