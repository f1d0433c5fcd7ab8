/* SPDX-License-Identifier: MIT */
/* See heap.h. The root stands at index 3, so that the children of entry k, 4 * (k - 2) and the three
 * behind it, begin on a multiple of four entries: one cache line. */
#include "heap.h"

#include <assert.h>
#include <string.h>

#include "error.h"
#include "memory.h"
#include "sort.h"

#define LINE 64u

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
    while (index > RONDO_HEAP_ROOT && rondo_heap_entry_is_before(&entry, &entries[parent_of(index)])) {
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
            if (rondo_heap_entry_is_before(&entries[i], &entries[least]))
                least = i;
        if (!rondo_heap_entry_is_before(&entries[least], &entry))
            break;
        entries[index] = entries[least];
        index = least;
    }
    entries[index] = entry;
}

/* A block that is given more room seldom moves within its line, however far it moves as a whole. */
static int grow(struct rondo_heap *heap, const rondo_allocator *allocator)
{
    size_t capacity = heap->capacity ? heap->capacity * 2 : 61;
    size_t old = heap->block ? (size_t) ((char *) heap->entries - (char *) heap->block) : 0;
    char *block = rondo_reallocate(allocator, heap->block,
                                   (capacity + RONDO_HEAP_ROOT) * sizeof(*heap->entries) + LINE);
    if (!block)
        return rondo_fail(RONDO_ENOMEM, NULL);
    size_t skip = (LINE - (uintptr_t) block % LINE) % LINE;
    if (skip != old && heap->count)
        memmove(block + skip, block + old, (heap->count + RONDO_HEAP_ROOT) * sizeof(*heap->entries));
    heap->block = block;
    heap->entries = (struct rondo_heap_entry *) (void *) (block + skip);
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
    rondo_sort_entries(&entries[live], due - live);
    *ret_count = due - live;
    return &entries[live];
}

void *rondo_heap_leave_block(struct rondo_heap *heap, const rondo_allocator *allocator)
{
    struct rondo_heap next = { .capacity = heap->count };
    if (grow(&next, allocator) < 0)
        return NULL;
    assert(next.entries);
    memcpy(&next.entries[RONDO_HEAP_ROOT], &heap->entries[RONDO_HEAP_ROOT],
           heap->count * sizeof(*heap->entries));
    void *block = heap->block;
    next.count = heap->count;
    *heap = next;
    return block;
}

void rondo_heap_free(struct rondo_heap *heap, const rondo_allocator *allocator)
{
    rondo_release(allocator, heap->block);
    memset(heap, 0, sizeof(*heap));
}
