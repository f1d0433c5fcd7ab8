/* SPDX-License-Identifier: MIT */
/* The slab of registered calls.
 *
 * A slot holds one call from its registration to its run. It is named by index and generation, so a
 * handle that outlives it is merely stale. Slots never move; freed ones are reused last in, first out. */
#ifndef RONDO_CORE_SLOTS_H
#define RONDO_CORE_SLOTS_H

#include <rondo/loop.h>

#include "../base/ready.h"

enum rondo_slot_state {
    RONDO_SLOT_FREE,
    RONDO_SLOT_QUEUED,    /* in the ready queue */
    RONDO_SLOT_TIMER,     /* in the timer heap, or among those that a pass has found due */
    RONDO_SLOT_CANCELLED, /* in the ready queue still, with its context released */
    RONDO_SLOT_MAIL       /* in the ready queue: stands for the letters before the number in `context` */
};

struct rondo_slot {
    union {
        struct rondo_ready ready; /* QUEUED, CANCELLED */
        struct {
            rondo_ns when; /* TIMER: the deadline, which a rearm may have put off */
            rondo_ns key;  /* that of its entry in the heap, not later */
        };
        struct rondo_slot *next; /* FREE */
    };
    rondo_callback *callback;
    void *context;
    rondo_destructor *destroy;
    const char *name;
    uint32_t index;
    uint32_t generation;
    uint32_t order; /* TIMER: which entry of the heap stands for it; else 0 */
    uint32_t state; /* enum rondo_slot_state */
};

#define RONDO_SLOTS_PER_CHUNK 256u

struct rondo_slots {
    struct rondo_slot *free;
    struct rondo_slot **chunks;
    size_t chunk_count;
};

/* Add a chunk of free slots. Returns 0 or RONDO_ENOMEM. */
int rondo_slots_grow(struct rondo_slots *slots, const rondo_allocator *allocator);
void rondo_slots_free(struct rondo_slots *slots, const rondo_allocator *allocator);

static inline struct rondo_slot *rondo_slots_at(const struct rondo_slots *slots, uint32_t index)
{
    return &slots->chunks[index / RONDO_SLOTS_PER_CHUNK][index % RONDO_SLOTS_PER_CHUNK];
}

static inline struct rondo_slot *rondo_slots_take(struct rondo_slots *slots, const rondo_allocator *allocator)
{
    if (!slots->free && rondo_slots_grow(slots, allocator) < 0)
        return NULL;
    struct rondo_slot *slot = slots->free;
    slots->free = slot->next;
    return slot;
}

static inline void rondo_slots_give(struct rondo_slots *slots, struct rondo_slot *slot)
{
    slot->generation++;
    slot->state = RONDO_SLOT_FREE;
    slot->next = slots->free;
    slots->free = slot;
}

#endif
