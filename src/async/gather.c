/* SPDX-License-Identifier: MIT */
/* rondo_gather: one future for the outcomes of several (asyncio.gather).
 *
 * Each member has a waiter, which counts it when its turn in the queue comes; the last one completes the gather, the
 * first failure ends it early. The gather holds itself until every waiter has run. Failures: a NULL member, one of another loop,
 * no memory: nothing was started. */
#include <rondo/wait.h>

#include "future.h"

struct member {
    struct rondo_waiter waiter;
    struct gather *gather;
};

struct gather {
    rondo_future future;
    struct rondo_holder holder;
    rondo_outcome *outcomes; /* the caller's; may be NULL */
    rondo_future **futures;  /* as given, with repetitions; a reference each */
    struct member *members;  /* each future once */
    size_t count;
    size_t member_count;
    size_t finished;
    bool return_errors;
    bool cancel_requested;
};

static bool gather_cancel(rondo_future *future)
{
    struct gather *self = rondo_container(future, struct gather, future);
    bool taken = false;
    for (size_t i = 0; i < self->count; i++)
        if (rondo_future_cancel(self->futures[i]))
            taken = true;
    self->cancel_requested |= taken;
    return taken;
}

static void gather_dispose(rondo_future *future)
{
    struct gather *self = rondo_container(future, struct gather, future);
    rondo_link_remove(&self->holder.link);
    for (size_t i = 0; i < self->count; i++)
        rondo_future_unref(self->futures[i]);
    rondo_release(&future->loop->allocator, self->futures);
    rondo_release(&future->loop->allocator, self->members);
    rondo_future_dispose(future);
}

static const struct rondo_future_type gather_type = { .cancel = gather_cancel,
                                                      .dispose = gather_dispose,
                                                      .stays_unseen = true };

static void hand_out(struct gather *self)
{
    for (size_t i = 0; self->outcomes && i < self->count; i++)
        self->outcomes[i] = rondo_future_is_done(self->futures[i])
                                ? (rondo_outcome){ self->futures[i]->code, self->futures[i]->value }
                                : (rondo_outcome){ RONDO_EINVALIDSTATE, NULL };
}

static void count_member(struct gather *self, rondo_future *member)
{
    rondo_future *outer = &self->future;
    self->finished++;
    member->unseen = false;
    if (rondo_future_is_done(outer))
        return;
    if (!self->return_errors && member->code < 0) {
        hand_out(self);
        rondo_future_fail(outer, member->code, member->message);
        return;
    }
    if (self->finished < self->member_count)
        return;
    hand_out(self);
    if (self->cancel_requested)
        rondo_future_fail(outer, RONDO_ECANCELLED, NULL);
    else
        rondo_future_finish(outer, 0, NULL, NULL);
}

static void run_member(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct member *member = rondo_container(node, struct member, waiter.ready);
    struct gather *self = member->gather;
    count_member(self, member->waiter.future);
    rondo_waiter_release(&member->waiter);
    rondo_future_unref(&self->future);
}

static int check_members(rondo_loop *loop, rondo_future *const *futures, size_t count)
{
    int rc = rondo_loop_check(loop);
    if (rc < 0)
        return rc;
    if (count && !futures)
        return rondo_fail(RONDO_EINVAL, "no futures given");
    for (size_t i = 0; i < count; i++) {
        if (!futures[i])
            return rondo_fail(RONDO_EINVAL, "future number %zu is NULL", i);
        if (futures[i]->loop != loop)
            return rondo_fail(RONDO_EOTHERLOOP, "future number %zu belongs to another loop", i);
    }
    return 0;
}

/* A member that nobody will ever complete holds its gather, and the gather holds the member. */
static void let_go(struct rondo_holder *holder)
{
    struct gather *self = rondo_container(holder, struct gather, holder);
    rondo_future_ref(&self->future);
    for (size_t i = 0; i < self->member_count; i++)
        if (!rondo_future_is_done(self->members[i].waiter.future) &&
            rondo_waiter_remove(&self->members[i].waiter))
            rondo_future_unref(&self->future);
    rondo_future_unref(&self->future);
}

static struct gather *make(rondo_loop *loop, size_t count)
{
    rondo_future *future = rondo_future_make(loop, &gather_type, sizeof(struct gather));
    if (!future)
        return NULL;
    struct gather *self = rondo_container(future, struct gather, future);
    self->holder.let_go = let_go;
    rondo_link_append(&loop->gathers, &self->holder.link);
    if (!count)
        return self;
    self->futures = rondo_allocate(&loop->allocator, count * sizeof(*self->futures));
    self->members = rondo_allocate(&loop->allocator, count * sizeof(*self->members));
    if (self->futures && self->members)
        return self;
    rondo_future_unref(future);
    rondo_fail(RONDO_ENOMEM, NULL);
    return NULL;
}

/* Every future once, in the order given. */
static void wait_for_members(struct gather *self)
{
    uint32_t stamp = ++self->future.loop->gather_stamp;
    for (size_t i = 0; i < self->count; i++) {
        if (self->futures[i]->stamp == stamp)
            continue;
        self->futures[i]->stamp = stamp;
        self->member_count++;
    }
    stamp = ++self->future.loop->gather_stamp;
    for (size_t i = 0, k = 0; i < self->count; i++) {
        if (self->futures[i]->stamp == stamp)
            continue;
        self->futures[i]->stamp = stamp;
        struct member *member = &self->members[k++];
        member->gather = self;
        member->waiter.ready.run = run_member;
        rondo_future_ref(&self->future);
        rondo_waiter_add(&member->waiter, self->futures[i]);
    }
}

rondo_future *rondo_gather(rondo_loop *loop, rondo_future *const *futures, size_t count, bool return_errors,
                           rondo_outcome *ret_outcomes)
{
    if (check_members(loop, futures, count) < 0)
        return NULL;
    struct gather *self = make(loop, count);
    if (!self)
        return NULL;
    self->outcomes = ret_outcomes;
    self->return_errors = return_errors;
    self->count = count;
    for (size_t i = 0; i < count; i++)
        self->futures[i] = rondo_future_ref(futures[i]);
    wait_for_members(self);
    if (!count)
        rondo_future_finish(&self->future, 0, NULL, NULL);
    return &self->future;
}

void rondo_gathers_free(rondo_loop *loop)
{
    while (!rondo_link_is_alone(&loop->gathers)) {
        struct rondo_holder *holder = rondo_container(loop->gathers.next, struct rondo_holder, link);
        rondo_link_remove(&holder->link);
        holder->let_go(holder);
    }
}
