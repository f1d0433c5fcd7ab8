/* SPDX-License-Identifier: MIT */
/* The inbox: calls from other threads on their way into the ready queue.
 *
 * Senders append letters to the last block under a mutex; the loop takes the whole chain of
 * blocks at once and links its letters into the queue. A block lives until its last letter has run.
 * A letter is named by its number in the order of sending. */
#ifndef RONDO_CORE_INBOX_H
#define RONDO_CORE_INBOX_H

#include <stdatomic.h>

#include <rondo/loop.h>

#include "../../platform/thread.h"
#include "../base/ready.h"

struct rondo_inbox_block;

struct rondo_letter {
    struct rondo_ready ready;
    rondo_callback *callback; /* NULL: cancelled or run */
    void *context;
    rondo_destructor *destroy;
    const char *name;
    struct rondo_inbox_block *block;
};

#define RONDO_LETTERS_PER_BLOCK 255u

struct rondo_inbox_block {
    struct rondo_inbox_block *next;
    uint32_t first;  /* number of letters[0] */
    uint32_t count;  /* letters written */
    uint32_t unread; /* letters that have not run, once taken */
    struct rondo_letter letters[RONDO_LETTERS_PER_BLOCK];
};

struct rondo_inbox {
    rondo_mutex mutex;
    struct rondo_inbox_block *filling; /* senders' chain, first to last */
    struct rondo_inbox_block *last;
    struct rondo_inbox_block *spares; /* empty blocks */
    unsigned spare_count;
    uint32_t next_number;
    bool closed;
    bool sleeping;                   /* the loop blocks, or is about to */
    struct rondo_inbox_block *taken; /* the loop's: blocks with letters that have not run */
    /* A cache line of its own, by distance: an alignment above malloc's is not the allocators' to give. */
    char distance_before[64];
    atomic_bool has_mail; /* written under the mutex; a look at it needs none */
    char distance_behind[63];
};

/* What stands for a slot index in the handle of a letter. */
#define RONDO_INBOX_SLOT UINT32_MAX

int rondo_inbox_init(struct rondo_inbox *inbox);
void rondo_inbox_free(struct rondo_inbox *inbox, const rondo_allocator *allocator);

static inline bool rondo_inbox_has_mail(const struct rondo_inbox *inbox)
{
    return atomic_load_explicit(&inbox->has_mail, memory_order_relaxed);
}

/* Any thread. Wakes the driver of @core if its loop sleeps: looked at under the mutex only, as close takes it away.
 * Returns 0, RONDO_ECLOSED, RONDO_ENOMEM. */
int rondo_inbox_send(struct rondo_inbox *inbox, const rondo_allocator *allocator, const rondo_call *call,
                     const struct rondo_core *core, uint32_t *ret_number);

/* Loop thread: move all letters into @queue, in the order of sending. */
void rondo_inbox_take(struct rondo_inbox *inbox, struct rondo_ready_list *queue, rondo_run_fn *run);

/* Loop thread: a letter has run, or was dropped. */
void rondo_inbox_letter_done(struct rondo_inbox *inbox, const rondo_allocator *allocator,
                             struct rondo_letter *letter);

/* Loop thread: take callback and context out of letter @number, if it has not run.
 * Returns true and what was there. */
bool rondo_inbox_cancel(struct rondo_inbox *inbox, uint32_t number, rondo_call *ret_call);

/* Refuse letters from now on. */
void rondo_inbox_close(struct rondo_inbox *inbox);

/* Announce that the loop is about to block: true if it may, false if mail has come. End it afterwards. */
bool rondo_inbox_sleep(struct rondo_inbox *inbox);
void rondo_inbox_awake(struct rondo_inbox *inbox);

#endif
