/* SPDX-License-Identifier: MIT */
/* Growing and freeing the slab of registered calls; see slots.h. */
#include "slots.h"

#include "../base/error.h"
#include "../base/memory.h"

int rondo_slots_grow(struct rondo_slots *slots, const rondo_allocator *allocator)
{
    size_t count = slots->chunk_count;
    if ((count & (count - 1)) == 0) { /* the table is full at powers of two */
        size_t capacity = count ? count * 2 : 1;
        struct rondo_slot **chunks = rondo_reallocate(allocator, slots->chunks, capacity * sizeof(*chunks));
        if (!chunks)
            return rondo_fail(RONDO_ENOMEM, NULL);
        slots->chunks = chunks;
    }
    struct rondo_slot *chunk = rondo_allocate_zeroed(allocator, RONDO_SLOTS_PER_CHUNK * sizeof(*chunk));
    if (!chunk)
        return rondo_fail(RONDO_ENOMEM, NULL);
    slots->chunks[count] = chunk;
    slots->chunk_count = count + 1;
    for (uint32_t i = RONDO_SLOTS_PER_CHUNK; i-- > 0;) {
        chunk[i].index = (uint32_t) (count * RONDO_SLOTS_PER_CHUNK) + i;
        chunk[i].generation = 1; /* a zeroed handle names nothing */
        chunk[i].next = slots->free;
        slots->free = &chunk[i];
    }
    return 0;
}

void rondo_slots_free(struct rondo_slots *slots, const rondo_allocator *allocator)
{
    for (size_t i = 0; i < slots->chunk_count; i++)
        rondo_release(allocator, slots->chunks[i]);
    rondo_release(allocator, slots->chunks);
    slots->chunks = NULL;
    slots->chunk_count = 0;
    slots->free = NULL;
}
