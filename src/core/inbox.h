/* SPDX-License-Identifier: MIT */
/* The inbox: calls from other threads on their way into the ready queue.
 *
 * Letters are numbered, and one word, `tail`, has the number of the next one. A sender takes a number by one
 * compare-and-swap, fills in the letter of that number, and publishes it. The loop reads the word to see how far it may go
 * and runs the letters in their order. They lie in a chain of blocks. Numbers and letters correspond such that the lower bits of
 * a number are the place in a block; one place of each block has no letter: a tail that points there says that the block
 * is full, and the sender that finds it so adds a block, under the mutex. */
#ifndef RONDO_CORE_INBOX_H
#define RONDO_CORE_INBOX_H

#include <stdatomic.h>

#include <rondo/loop.h>

#include "../../platform/thread.h"
#include "../base/ready.h"

/* A call that has a destructor or a name is a letter of three: the first has but the context and a callback that tells
 * so, the second its callback and the destructor, the third its name. */
struct rondo_letter {
    rondo_callback *_Atomic callback; /* NULL: not published yet, or run; of the first one written last */
    union {
        void *context;
        rondo_destructor *destroy;
        const char *name;
    };
};

#define RONDO_INBOX_BLOCK 256u /* numbers for each block */
#define RONDO_LETTERS_PER_BLOCK (RONDO_INBOX_BLOCK - 1)

struct rondo_inbox_block {
    struct rondo_inbox_block *next;
    struct rondo_letter letters[RONDO_LETTERS_PER_BLOCK];
};

struct rondo_inbox {
    /* --- the senders', under the mutex */
    rondo_mutex mutex;
    struct rondo_inbox_block *first;
    struct rondo_inbox_block **link;  /* where the next block is hung: &first, or the last one's next */
    struct rondo_inbox_block *spares; /* empty blocks */
    unsigned spare_count;
    /* --- the loop's */
    uint64_t taken;                    /* what `tail` was when it was looked at last, less the flags */
    uint64_t next;                     /* the number of the first letter that has not run */
    struct rondo_inbox_block *running; /* where `next` lies, or the one before; NULL at first */
    /* --- everybody's: a cache line of its own, by distance: an alignment above malloc's is not the allocators' to give */
    char distance_before[64];
    _Atomic uint64_t tail; /* the number of the next letter, above the flags */
    struct rondo_inbox_block *_Atomic last;
    char distance_behind[48];
};

/* What stands for a slot index in the handle of a letter. */
#define RONDO_INBOX_SLOT UINT32_MAX

enum { RONDO_INBOX_SLEEPING = 1, RONDO_INBOX_CLOSED = 2, RONDO_INBOX_FLAGS = 3 }; /* of `tail` */

int rondo_inbox_init(struct rondo_inbox *inbox);
void rondo_inbox_free(struct rondo_inbox *inbox, const rondo_allocator *allocator);

/* Loop thread. */
static inline bool rondo_inbox_has_mail(const struct rondo_inbox *inbox)
{
    return (atomic_load_explicit(&inbox->tail, memory_order_relaxed) ^ inbox->taken) > RONDO_INBOX_FLAGS;
}

/* Any thread. Wakes the driver of @core if its loop sleeps. Returns 0, RONDO_ECLOSED, RONDO_ENOMEM. */
int rondo_inbox_send(struct rondo_inbox *inbox, const rondo_allocator *allocator, const rondo_call *call,
                     const struct rondo_core *core, uint32_t *ret_number);

/* The rest is the loop thread's. */

/* Count the mail as seen. True if there is any: all letters before *ret_end are to be run in their turn. */
bool rondo_inbox_take(struct rondo_inbox *inbox, uint32_t *ret_end);

/* Open the next letter before @end: false if all are. One that was cancelled has a callback that does nothing. */
bool rondo_inbox_open(struct rondo_inbox *inbox, const rondo_allocator *allocator, uint32_t end,
                      rondo_call *ret_call, uint32_t *ret_number);
/* Take callback and context out of letter @number, if it has not run. Returns true and what was there. */
bool rondo_inbox_cancel(struct rondo_inbox *inbox, uint32_t number, rondo_call *ret_call);

/* Refuse letters from now on. */
void rondo_inbox_close(struct rondo_inbox *inbox);
/* Wait for a sender that may still be waking the driver: at close, when the last letter is open. */
void rondo_inbox_settle(struct rondo_inbox *inbox);

/* Announce that the loop is about to block: true if it may, false if mail has come. End it afterwards. */
bool rondo_inbox_sleep(struct rondo_inbox *inbox);
void rondo_inbox_awake(struct rondo_inbox *inbox);

#endif
