/* SPDX-License-Identifier: MIT */
/* See inbox.h. No wake-up is lost: a sender appends and looks whether the loop sleeps, the loop looks for mail and
 * says that it sleeps, both under the mutex. Only the first letter that finds it asleep wakes it. The wake itself happens
 * under the mutex, which close takes too: it never reaches a driver that is gone. */
#include "inbox.h"

#include "../../backends/driver.h"
#include "../base/error.h"
#include "../base/memory.h"

#define MOST_SPARES 16u

int rondo_inbox_init(struct rondo_inbox *inbox)
{
    inbox->next_number = 1;
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

void rondo_inbox_free(struct rondo_inbox *inbox, const rondo_allocator *allocator)
{
    free_chain(inbox->filling, allocator);
    free_chain(inbox->taken, allocator);
    free_chain(inbox->spares, allocator);
    rondo_mutex_destroy(&inbox->mutex);
}

/* The block to write into; called with the mutex held. */
static struct rondo_inbox_block *block_with_room(struct rondo_inbox *inbox, const rondo_allocator *allocator)
{
    if (inbox->last && inbox->last->count < RONDO_LETTERS_PER_BLOCK)
        return inbox->last;
    struct rondo_inbox_block *block = inbox->spares;
    if (block) {
        inbox->spares = block->next;
        inbox->spare_count--;
    } else if (!(block = rondo_allocate(allocator, sizeof(*block)))) {
        return NULL;
    }
    block->next = NULL;
    block->first = inbox->next_number;
    block->count = 0;
    if (inbox->last)
        inbox->last->next = block;
    else
        inbox->filling = block;
    inbox->last = block;
    return block;
}

static int send_locked(struct rondo_inbox *inbox, const rondo_allocator *allocator, const rondo_call *call,
                       const struct rondo_core *core, uint32_t *ret_number)
{
    if (inbox->closed)
        return RONDO_ECLOSED;
    struct rondo_inbox_block *block = block_with_room(inbox, allocator);
    if (!block)
        return RONDO_ENOMEM;
    struct rondo_letter *letter = &block->letters[block->count++];
    letter->callback = call->callback;
    letter->context = call->context;
    letter->destroy = call->destroy;
    letter->name = call->name;
    letter->block = block;
    *ret_number = inbox->next_number++;
    atomic_store_explicit(&inbox->has_mail, true, memory_order_relaxed);
    if (inbox->sleeping) {
        inbox->sleeping = false;
        core->driver->ops->wake(core->driver);
    }
    return 0;
}

int rondo_inbox_send(struct rondo_inbox *inbox, const rondo_allocator *allocator, const rondo_call *call,
                     const struct rondo_core *core, uint32_t *ret_number)
{
    rondo_mutex_lock(&inbox->mutex);
    int rc = send_locked(inbox, allocator, call, core, ret_number);
    rondo_mutex_unlock(&inbox->mutex);
    return rc < 0 ? rondo_fail(rc, rc == RONDO_ECLOSED ? "the loop is closed" : NULL) : 0;
}

void rondo_inbox_take(struct rondo_inbox *inbox, struct rondo_ready_list *queue, rondo_run_fn *run)
{
    rondo_mutex_lock(&inbox->mutex);
    struct rondo_inbox_block *block = inbox->filling;
    inbox->filling = inbox->last = NULL;
    atomic_store_explicit(&inbox->has_mail, false, memory_order_relaxed);
    rondo_mutex_unlock(&inbox->mutex);

    while (block) {
        struct rondo_inbox_block *next = block->next;
        block->unread = block->count;
        for (uint32_t i = 0; i < block->count; i++) {
            block->letters[i].ready.run = run;
            rondo_ready_list_append(queue, &block->letters[i].ready);
        }
        block->next = inbox->taken;
        inbox->taken = block;
        block = next;
    }
}

static void retire_block(struct rondo_inbox *inbox, const rondo_allocator *allocator,
                         struct rondo_inbox_block *block)
{
    struct rondo_inbox_block **link = &inbox->taken;
    while (*link != block)
        link = &(*link)->next;
    *link = block->next;

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

void rondo_inbox_letter_done(struct rondo_inbox *inbox, const rondo_allocator *allocator,
                             struct rondo_letter *letter)
{
    letter->callback = NULL;
    if (--letter->block->unread == 0)
        retire_block(inbox, allocator, letter->block);
}

static bool cancel_in(struct rondo_inbox_block *block, uint32_t number, rondo_call *ret_call)
{
    for (; block; block = block->next) {
        uint32_t index = number - block->first;
        if (index >= block->count || !block->letters[index].callback)
            continue;
        struct rondo_letter *letter = &block->letters[index];
        ret_call->context = letter->context;
        ret_call->destroy = letter->destroy;
        letter->callback = NULL;
        letter->destroy = NULL;
        return true;
    }
    return false;
}

bool rondo_inbox_cancel(struct rondo_inbox *inbox, uint32_t number, rondo_call *ret_call)
{
    if (cancel_in(inbox->taken, number, ret_call))
        return true;
    rondo_mutex_lock(&inbox->mutex);
    bool found = cancel_in(inbox->filling, number, ret_call);
    rondo_mutex_unlock(&inbox->mutex);
    return found;
}

void rondo_inbox_close(struct rondo_inbox *inbox)
{
    rondo_mutex_lock(&inbox->mutex);
    inbox->closed = true;
    rondo_mutex_unlock(&inbox->mutex);
}

bool rondo_inbox_sleep(struct rondo_inbox *inbox)
{
    rondo_mutex_lock(&inbox->mutex);
    inbox->sleeping = !inbox->filling;
    bool may_sleep = inbox->sleeping;
    rondo_mutex_unlock(&inbox->mutex);
    return may_sleep;
}

void rondo_inbox_awake(struct rondo_inbox *inbox)
{
    rondo_mutex_lock(&inbox->mutex);
    inbox->sleeping = false;
    rondo_mutex_unlock(&inbox->mutex);
}
