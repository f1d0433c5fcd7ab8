/* SPDX-License-Identifier: MIT */
/* See inbox.h. The happy path: a number, the letter, published; no lock, and no system call while the loop is awake.
 *
 * No wake-up is lost: that the loop sleeps is a flag in the very word that senders take their numbers from. The loop sets it
 * and sees in the same step whether mail has come; a sender that takes a number sees it and clears it, so that only one
 * wakes. That one publishes and wakes under the mutex, which closing takes too, after the last letter: it never
 * reaches a driver that is gone.
 *
 * Failures: no memory for a block; closed. Nothing is sent then. Invariants: a letter is published only by who took its
 * number, and opened once; a block is in one place: the chain, where `running` and what follows holds all letters that have
 * not run, or the spares, with all its callbacks NULL. A sender touches a block only after it has taken a number in it,
 * and until that letter is opened the block stays. */
#include "inbox.h"

#include "../../backends/driver.h"
#include "../base/container.h"
#include "../base/error.h"
#include "../base/memory.h"

#define MOST_SPARES 128u
#define STEP ((uint64_t) RONDO_INBOX_FLAGS + 1)
#define FULL (RONDO_INBOX_BLOCK - 1) /* the place without a letter */
#define AHEAD 16u                    /* letters between the one in hand and the one that is fetched */
#define PATIENCE 200                 /* looks at a letter on its way before the loop lets others run */

static inline uint64_t number_of(uint64_t tail)
{
    return tail / STEP;
}

static inline uint32_t place_of(uint64_t number)
{
    return (uint32_t) number % RONDO_INBOX_BLOCK;
}

int rondo_inbox_init(struct rondo_inbox *inbox)
{
    inbox->next = FULL;
    inbox->taken = FULL * STEP;
    inbox->link = &inbox->first;
    atomic_init(&inbox->tail, inbox->taken);
    return rondo_mutex_init(&inbox->mutex);
}

static void free_chain(struct rondo_inbox_block *block, const rondo_allocator *allocator)
{
    while (block) {
        struct rondo_inbox_block *next = block->next;
        rondo_release(allocator, block);
        block = next;
    }
}

static struct rondo_inbox_block *block_behind(const struct rondo_inbox *inbox,
                                              const struct rondo_inbox_block *block)
{
    return block ? block->next : inbox->first;
}

void rondo_inbox_free(struct rondo_inbox *inbox, const rondo_allocator *allocator)
{
    free_chain(inbox->running ? inbox->running : inbox->first, allocator);
    free_chain(inbox->spares, allocator);
    rondo_mutex_destroy(&inbox->mutex);
}

/* --- sending ------------------------------------------------------------------------------------ */

static struct rondo_inbox_block *take_block(struct rondo_inbox *inbox, const rondo_allocator *allocator)
{
    struct rondo_inbox_block *block = inbox->spares;
    if (!block)
        return rondo_allocate_zeroed(allocator, sizeof(*block));
    inbox->spares = block->next;
    inbox->spare_count--;
    block->next = NULL;
    return block;
}

static int add_block(struct rondo_inbox *inbox, const rondo_allocator *allocator)
{
    struct rondo_inbox_block *block = take_block(inbox, allocator);
    if (!block)
        return rondo_fail(RONDO_ENOMEM, NULL);
    *inbox->link = block;
    inbox->link = &block->next;
    atomic_store_explicit(&inbox->last, block, memory_order_relaxed);
    atomic_fetch_add_explicit(&inbox->tail, STEP, memory_order_release);
    return 0;
}

/* Whoever found the block full: only the first one adds another. */
static int grow(struct rondo_inbox *inbox, const rondo_allocator *allocator)
{
    rondo_mutex_lock(&inbox->mutex);
    uint64_t tail = atomic_load_explicit(&inbox->tail, memory_order_relaxed);
    int rc = 0;
    if (place_of(number_of(tail)) == FULL && !(tail & RONDO_INBOX_CLOSED))
        rc = add_block(inbox, allocator);
    rondo_mutex_unlock(&inbox->mutex);
    return rc;
}

/* What is run of a letter that was cancelled, and of one that fills a block. */
static void do_nothing(void *context)
{
    (void) context;
}

/* Never called: the mark of a letter of three. */
static void is_long(void *context)
{
    (void) context;
}

static inline void publish(struct rondo_letter *letter, rondo_callback *callback)
{
    atomic_store_explicit(&letter->callback, callback, memory_order_release);
}

/* Make the tail @next, which takes the numbers in between, if it still is *tail; else *tail is what it is. Then `last`, if it was
 * looked at in between, is the block of these numbers. */
static inline bool take_numbers(struct rondo_inbox *inbox, uint64_t *tail, uint64_t next)
{
    return atomic_compare_exchange_weak_explicit(&inbox->tail, tail, next, memory_order_acq_rel,
                                                 memory_order_acquire);
}

/* There is no room for a letter of three: use up what is left. */
static void fill_block(struct rondo_inbox *inbox, uint64_t tail)
{
    struct rondo_inbox_block *block = atomic_load_explicit(&inbox->last, memory_order_relaxed);
    uint32_t place = place_of(number_of(tail));
    if (take_numbers(inbox, &tail, tail + (FULL - place) * STEP))
        for (; place < FULL; place++)
            publish(&block->letters[place], do_nothing);
}

static int make_room(struct rondo_inbox *inbox, const rondo_allocator *allocator, uint64_t tail)
{
    if (place_of(number_of(tail)) == FULL)
        return grow(inbox, allocator);
    fill_block(inbox, tail);
    return 0;
}

/* The first of @size letters in a row, whose numbers are taken: *ret_tail is what the tail was. NULL with an error. */
static struct rondo_letter *take_letters(struct rondo_inbox *inbox, const rondo_allocator *allocator,
                                         uint32_t size, uint64_t *ret_tail)
{
    uint64_t tail = atomic_load_explicit(&inbox->tail, memory_order_acquire);
    for (;;) {
        if (tail & RONDO_INBOX_CLOSED) {
            rondo_fail(RONDO_ECLOSED, "the loop is closed");
            return NULL;
        }
        uint32_t place = place_of(number_of(tail));
        if (place + size > FULL) {
            if (make_room(inbox, allocator, tail) < 0)
                return NULL;
            tail = atomic_load_explicit(&inbox->tail, memory_order_acquire);
            continue;
        }
        struct rondo_inbox_block *block = atomic_load_explicit(&inbox->last, memory_order_relaxed);
        *ret_tail = tail;
        if (take_numbers(inbox, &tail, (tail & ~(uint64_t) RONDO_INBOX_FLAGS) + size * STEP))
            return &block->letters[place];
    }
}

/* Write the letter but for what publishes it, which is returned. */
static rondo_callback *write_long(struct rondo_letter *letter, const rondo_call *call)
{
    atomic_store_explicit(&letter[1].callback, call->callback, memory_order_relaxed);
    letter[1].destroy = call->destroy;
    letter[2].name = call->name;
    return is_long;
}

int rondo_inbox_send(struct rondo_inbox *inbox, const rondo_allocator *allocator, const rondo_call *call,
                     const struct rondo_core *core, uint32_t *ret_number)
{
    bool has_more = call->destroy || call->name;
    uint64_t tail = 0;
    struct rondo_letter *letter = take_letters(inbox, allocator, has_more ? 3 : 1, &tail);
    if (!letter)
        return rondo_last_error();
    letter->context = call->context;
    rondo_callback *callback = has_more ? write_long(letter, call) : call->callback;
    *ret_number = (uint32_t) number_of(tail);
    if (!(tail & RONDO_INBOX_SLEEPING)) {
        publish(letter, callback);
        rondo_prefetch(letter + AHEAD);
        return 0;
    }
    rondo_mutex_lock(&inbox->mutex);
    publish(letter, callback);
    core->driver->ops->wake(core->driver);
    rondo_mutex_unlock(&inbox->mutex);
    return 0;
}

/* --- receiving ---------------------------------------------------------------------------------- */

bool rondo_inbox_take(struct rondo_inbox *inbox, uint32_t *ret_end)
{
    uint64_t tail = atomic_load_explicit(&inbox->tail, memory_order_acquire);
    uint64_t seen = number_of(inbox->taken);
    inbox->taken = tail & ~(uint64_t) RONDO_INBOX_FLAGS;
    uint64_t end = number_of(tail);
    *ret_end = (uint32_t) end;
    return end != seen && !(place_of(seen) == FULL && end == seen + 1); /* or it is but a new block */
}

static void retire_block(struct rondo_inbox *inbox, const rondo_allocator *allocator,
                         struct rondo_inbox_block *block)
{
    rondo_mutex_lock(&inbox->mutex);
    bool keep = inbox->spare_count < MOST_SPARES;
    if (keep) {
        block->next = inbox->spares;
        inbox->spares = block;
        inbox->spare_count++;
    }
    rondo_mutex_unlock(&inbox->mutex);
    if (!keep)
        rondo_release(allocator, block);
}

/* Its sender has taken the number and is about to publish it, unless the system has put another thread in its place. */
static rondo_callback *await_letter(struct rondo_letter *letter)
{
    for (int looks = 0;; looks++) {
        rondo_callback *callback = atomic_load_explicit(&letter->callback, memory_order_acquire);
        if (callback)
            return callback;
        if (looks >= PATIENCE)
            rondo_thread_rest();
    }
}

static void enter_next_block(struct rondo_inbox *inbox, const rondo_allocator *allocator)
{
    struct rondo_inbox_block *old = inbox->running;
    inbox->running = block_behind(inbox, old);
    inbox->next++;
    if (old)
        retire_block(inbox, allocator, old);
}

static inline bool has_more(const struct rondo_inbox *inbox, uint32_t end)
{
    return (int32_t) (end - (uint32_t) inbox->next) > 0;
}

/* Empty a letter of three; returns its callback. */
static rondo_callback *open_long(struct rondo_letter *letter, rondo_call *call)
{
    rondo_callback *callback = atomic_load_explicit(&letter[1].callback, memory_order_relaxed);
    atomic_store_explicit(&letter[1].callback, NULL, memory_order_relaxed);
    call->destroy = letter[1].destroy;
    call->name = letter[2].name;
    return callback;
}

bool rondo_inbox_open(struct rondo_inbox *inbox, const rondo_allocator *allocator, uint32_t end,
                      rondo_call *ret_call, uint32_t *ret_number)
{
    if (has_more(inbox, end) && place_of(inbox->next) == FULL)
        enter_next_block(inbox, allocator);
    if (!has_more(inbox, end))
        return false;
    struct rondo_letter *letter = &inbox->running->letters[place_of(inbox->next)];
    rondo_prefetch(letter + AHEAD);
    rondo_callback *callback = await_letter(letter);
    atomic_store_explicit(&letter->callback, NULL, memory_order_relaxed);
    *ret_number = (uint32_t) inbox->next++;
    ret_call->context = letter->context;
    ret_call->destroy = NULL;
    ret_call->name = NULL;
    ret_call->callback = callback;
    if (callback == is_long) {
        ret_call->callback = open_long(letter, ret_call);
        inbox->next += 2;
    }
    return true;
}

/* The letter of @number; NULL if it has run or was never sent. */
static struct rondo_letter *find(const struct rondo_inbox *inbox, uint32_t number)
{
    uint64_t tail = atomic_load_explicit(&inbox->tail, memory_order_acquire);
    uint32_t next = (uint32_t) inbox->next;
    if (number - next >= (uint32_t) number_of(tail) - next)
        return NULL;
    struct rondo_inbox_block *block = inbox->running;
    for (uint32_t start = next - place_of(next); number - start >= RONDO_INBOX_BLOCK;
         start += RONDO_INBOX_BLOCK)
        block = block_behind(inbox, block);
    return &block->letters[place_of(number)];
}

bool rondo_inbox_cancel(struct rondo_inbox *inbox, uint32_t number, rondo_call *ret_call)
{
    struct rondo_letter *letter = place_of(number) == FULL ? NULL : find(inbox, number);
    if (!letter)
        return false;
    void *context = letter->context;
    bool has_destructor = atomic_load_explicit(&letter->callback, memory_order_acquire) == is_long;
    if (has_destructor)
        letter++;
    if (atomic_load_explicit(&letter->callback, memory_order_relaxed) == do_nothing)
        return false;
    atomic_store_explicit(&letter->callback, do_nothing, memory_order_relaxed);
    ret_call->context = context;
    ret_call->destroy = has_destructor ? letter->destroy : NULL;
    if (has_destructor)
        letter->destroy = NULL;
    return true;
}

/* --- closing and sleeping ------------------------------------------------------------------------ */

void rondo_inbox_close(struct rondo_inbox *inbox)
{
    atomic_fetch_or_explicit(&inbox->tail, RONDO_INBOX_CLOSED, memory_order_acq_rel);
}

void rondo_inbox_settle(struct rondo_inbox *inbox)
{
    rondo_mutex_lock(&inbox->mutex);
    rondo_mutex_unlock(&inbox->mutex);
}

bool rondo_inbox_sleep(struct rondo_inbox *inbox)
{
    atomic_fetch_or_explicit(&inbox->tail, RONDO_INBOX_SLEEPING, memory_order_acq_rel);
    if (!rondo_inbox_has_mail(inbox))
        return true;
    rondo_inbox_awake(inbox);
    return false;
}

void rondo_inbox_awake(struct rondo_inbox *inbox)
{
    if (atomic_load_explicit(&inbox->tail, memory_order_relaxed) & RONDO_INBOX_SLEEPING)
        atomic_fetch_and_explicit(&inbox->tail, ~(uint64_t) RONDO_INBOX_SLEEPING, memory_order_acq_rel);
}
