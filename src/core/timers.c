/* SPDX-License-Identifier: MIT */
/* Timers: call_later and call_at over the slab and the heap.
 *
 * A timer is a slot in state TIMER and an entry in the heap that carries the slot's `order`. Cancelling
 * gives the slot back and leaves the entry, which is stale from then on; so does moving a timer to a
 * time before the key of its entry. Moving it to any other time touches the slot alone. Stale entries go when they reach the
 * head, or all at once when they are more than half. A few timers that are due become queued slots; where there are very
 * many, one node in the queue stands for all of them, and their slots, which no longer are in the cache, are not touched
 * before they run. Failures: as call_soon. Invariant: each live timer has exactly one entry with
 * its order, in the heap, where its key is not later than the slot's deadline, or among those due. */
#include "loop.h"

#define FEW_TIMERS 64u
#define AHEAD 8u          /* how far ahead slots are fetched */
#define SWEEP_MINIMUM 100 /* below this many entries stale ones are not worth a sweep */

static bool entry_is_live(void *context, const struct rondo_heap_entry *entry)
{
    const struct rondo_slots *slots = context;
    return rondo_slots_at(slots, entry->owner)->order == entry->order;
}

static uint32_t next_order(rondo_loop *loop)
{
    if (++loop->timer_order == 0) /* 0 means none */
        ++loop->timer_order;
    return loop->timer_order;
}

static int start_timer(rondo_loop *loop, const rondo_call *call, rondo_handle *ret_handle)
{
    int rc = rondo_loop_check(loop);
    if (rc < 0)
        return rc;
    if (!call->callback)
        return rondo_fail(RONDO_EINVAL, "no callback given");
    struct rondo_slot *slot = rondo_slots_take(&loop->slots, &loop->allocator);
    if (!slot)
        return RONDO_ENOMEM;
    struct rondo_heap_entry entry = { call->when, next_order(loop), slot->index };
    if (rondo_heap_push(&loop->timers, &loop->allocator, entry) < 0) {
        rondo_slots_give(&loop->slots, slot);
        return RONDO_ENOMEM;
    }
    slot->callback = call->callback;
    slot->context = call->context;
    slot->destroy = call->destroy;
    slot->name = call->name;
    slot->order = entry.order;
    slot->when = slot->key = call->when;
    slot->state = RONDO_SLOT_TIMER;
    loop->live_timers++;
    if (ret_handle)
        *ret_handle = (rondo_handle){ loop, slot->index, slot->generation, call->when, false };
    return 0;
}

int rondo_loop_timer(rondo_loop *loop, rondo_ns when, rondo_handle *ret_handle, rondo_callback *callback,
                     void *context)
{
    rondo_call call = { .callback = callback, .context = context, .when = when };
    return start_timer(loop, &call, ret_handle);
}

int rondo_loop_call_at(rondo_loop *loop, rondo_ns when, rondo_handle *ret_handle, rondo_callback *callback,
                       void *context)
{
    return rondo_loop_timer(loop, when, ret_handle, callback, context);
}

int rondo_loop_call_later(rondo_loop *loop, rondo_ns delay, rondo_handle *ret_handle,
                          rondo_callback *callback, void *context)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    return rondo_loop_timer(loop, rondo_loop_deadline(loop, delay), ret_handle, callback, context);
}

int rondo_loop_call_timed(rondo_loop *loop, const rondo_call *call, rondo_handle *ret_handle)
{
    if (!call || !call->size)
        return rondo_fail(RONDO_EINVAL, "no call given, or its size is not set");
    return start_timer(loop, call, ret_handle);
}

rondo_ns rondo_loop_time(const rondo_loop *loop)
{
    return loop ? loop->clock(loop->clock_context) : 0;
}

rondo_ns rondo_loop_deadline(const rondo_loop *loop, rondo_ns delay)
{
    rondo_ns now = rondo_loop_time(loop);
    if (delay > 0 && now > RONDO_FOREVER - delay)
        return RONDO_FOREVER;
    if (delay < 0 && now < INT64_MIN - delay)
        return INT64_MIN;
    return now + delay;
}

/* Every move of a timer to an earlier time, and every cancel, leaves a stale entry. */
static void sweep_stale(rondo_loop *loop)
{
    if (loop->timers.count > SWEEP_MINIMUM && loop->live_timers < loop->timers.count / 2)
        rondo_heap_sweep(&loop->timers, entry_is_live, &loop->slots);
}

bool rondo_timer_is_due(const rondo_loop *loop, const struct rondo_slot *slot)
{
    const struct rondo_due *due = &loop->due;
    return due->block && slot->when <= due->now && (int32_t) (slot->order - due->order) <= 0;
}

void rondo_timer_cancel(rondo_loop *loop, struct rondo_slot *slot)
{
    bool is_due = rondo_timer_is_due(loop, slot);
    slot->order = 0;
    rondo_slots_give(&loop->slots, slot);
    if (is_due)
        return;
    loop->live_timers--;
    sweep_stale(loop);
}

int rondo_timer_move(rondo_loop *loop, struct rondo_slot *slot, rondo_ns when)
{
    if (when < slot->key) {
        struct rondo_heap_entry entry = { when, next_order(loop), slot->index };
        if (rondo_heap_push(&loop->timers, &loop->allocator, entry) < 0)
            return RONDO_ENOMEM;
        slot->order = entry.order;
        slot->key = when;
        sweep_stale(loop);
    }
    slot->when = when; /* later than its entry, which finds out when it reaches the head */
    return 0;
}

/* Bring a live entry with a true key to the head; NULL if no timer is left. */
static struct rondo_heap_entry *settle_head(rondo_loop *loop, struct rondo_slot **ret_slot)
{
    struct rondo_heap_entry *head;
    while ((head = rondo_heap_head(&loop->timers))) {
        struct rondo_slot *slot = rondo_slots_at(&loop->slots, head->owner);
        if (slot->order != head->order) {
            rondo_heap_pop(&loop->timers);
        } else if (slot->when > head->when) { /* it was put off */
            slot->order = next_order(loop);
            slot->key = slot->when;
            rondo_heap_replace(&loop->timers,
                               (struct rondo_heap_entry){ slot->when, slot->order, slot->index });
        } else {
            *ret_slot = slot;
            return head;
        }
    }
    return NULL;
}

rondo_ns rondo_timers_deadline(rondo_loop *loop)
{
    struct rondo_slot *slot;
    struct rondo_heap_entry *head = settle_head(loop, &slot);
    return head ? head->when : RONDO_FOREVER;
}

static void queue_timer(rondo_loop *loop, struct rondo_slot *slot)
{
    slot->order = 0;
    slot->state = RONDO_SLOT_QUEUED;
    slot->ready.run = rondo_slot_run;
    rondo_loop_queue(loop, &slot->ready);
    loop->live_timers--;
    loop->metrics.timers++;
}

/* For rondo_heap_take_due: whether the entry is live, with its true key. */
static bool settle_entry(void *context, struct rondo_heap_entry *entry)
{
    rondo_loop *loop = context;
    struct rondo_slot *slot = rondo_slots_at(&loop->slots, entry->owner);
    if (slot->order != entry->order)
        return false;
    entry->when = slot->key = slot->when;
    return true;
}

static struct rondo_slot *next_due(struct rondo_due *due, const struct rondo_slots *slots)
{
    while (due->next < due->count) {
        const struct rondo_heap_entry *entry = &due->entries[due->next++];
        if (due->next + AHEAD < due->count)
            rondo_prefetch(rondo_slots_at(slots, entry[AHEAD].owner));
        struct rondo_slot *slot = rondo_slots_at(slots, entry->owner);
        if (slot->order == entry->order)
            return slot;
    }
    return NULL;
}

/* One of them, so that a batch may end in between. */
static void run_due(struct rondo_ready *node, struct rondo_core *core)
{
    rondo_loop *loop = rondo_loop_of(core);
    struct rondo_due *due = &loop->due;
    struct rondo_slot *slot = next_due(due, &loop->slots);
    if (due->next < due->count) {
        rondo_loop_run_again(loop, node);
    } else {
        rondo_release(&loop->allocator, due->block);
        due->block = NULL;
    }
    if (slot) {
        slot->order = 0;
        rondo_slot_run(&slot->ready, core);
    }
}

/* Let one node stand for all @count of @entries, which lie in the heap's own block. */
static bool queue_due(rondo_loop *loop, struct rondo_heap_entry *entries, size_t count, rondo_ns now)
{
    struct rondo_due *due = &loop->due;
    if (count == 0 || due->block) /* an interrupt has left others */
        return false;
    due->block = rondo_heap_leave_block(&loop->timers, &loop->allocator);
    if (!due->block)
        return false;
    due->ready.run = run_due;
    due->entries = entries;
    due->next = 0;
    due->count = count;
    due->now = now;
    due->order = loop->timer_order;
    rondo_loop_queue(loop, &due->ready);
    loop->live_timers -= count;
    loop->metrics.timers += count;
    return true;
}

/* Very many are due: sorting them is cheaper than taking one after another off the heap. */
static void expire_many(rondo_loop *loop, rondo_ns now)
{
    size_t count;
    struct rondo_heap_entry *due = rondo_heap_take_due(&loop->timers, now, settle_entry, loop, &count);
    if (queue_due(loop, due, count, now))
        return;
    for (size_t i = 0; i < count; i++)
        queue_timer(loop, rondo_slots_at(&loop->slots, due[i].owner));
}

void rondo_timers_expire(rondo_loop *loop)
{
    struct rondo_heap_entry *head = rondo_heap_head(&loop->timers);
    if (!head)
        return;
    rondo_ns now = rondo_loop_time(loop);
    struct rondo_slot *slot;
    size_t patience = FEW_TIMERS + loop->timers.count / FEW_TIMERS;
    while ((head = rondo_heap_head(&loop->timers)) && head->when <= now &&
           (head = settle_head(loop, &slot)) && head->when <= now) {
        if (head->when == RONDO_FOREVER)
            return; /* never */
        if (patience-- == 0) {
            expire_many(loop, now);
            return;
        }
        rondo_heap_pop(&loop->timers);
        queue_timer(loop, slot);
    }
}
