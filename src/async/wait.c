/* SPDX-License-Identifier: MIT */
/* rondo_wait, rondo_wait_for, rondo_shield, rondo_timeout.
 *
 * wait and wait_for are coroutines of the library, written as asyncio's are, so that what they do happens in the same
 * passes. Failures: no memory, futures of another loop: nothing was started. */
#include <rondo/wait.h>

#include <string.h>

#include "coroutine.h"

/* --- wait ---------------------------------------------------------------------------------------- */

struct wait_call;

struct wait_member {
    struct rondo_waiter waiter;
    struct wait_call *call;
};

struct wait_call {
    rondo_loop *loop;
    rondo_future *release; /* done when the wait is over */
    rondo_handle timer;
    rondo_ns timeout;
    rondo_wait_until until;
    size_t count;
    size_t left;
    size_t holders; /* the coroutine, and each waiter that is in a list or queued */
    rondo_future **futures;
    struct wait_member members[];
};

static void drop_wait(struct wait_call *call)
{
    if (--call->holders)
        return;
    for (size_t i = 0; i < call->count; i++)
        rondo_future_unref(call->futures[i]);
    rondo_future_unref(call->release);
    rondo_allocator allocator = call->loop->allocator;
    rondo_release(&allocator, call->futures);
    rondo_release(&allocator, call);
}

static void release_future(void *context)
{
    rondo_future_finish(context, 0, NULL, NULL);
}

static bool is_over(struct wait_call *call, rondo_future *member)
{
    if (call->left == 0 || call->until == RONDO_WAIT_FIRST)
        return true;
    if (call->until != RONDO_WAIT_FIRST_FAILURE || member->state == RONDO_FUTURE_CANCELLED ||
        member->code >= 0)
        return false;
    member->unseen = false;
    return true;
}

static void run_wait_member(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct wait_member *member = rondo_container(node, struct wait_member, waiter.ready);
    struct wait_call *call = member->call;
    call->left--;
    if (is_over(call, member->waiter.future)) {
        rondo_handle_cancel(&call->timer);
        rondo_future_finish(call->release, 0, NULL, NULL);
    }
    rondo_waiter_release(&member->waiter);
    drop_wait(call);
}

static int begin_wait(struct wait_call *call)
{
    rondo_ns deadline = rondo_loop_deadline(call->loop, call->timeout);
    int rc = 0;
    if (call->timeout != RONDO_FOREVER)
        rc = rondo_loop_timer(call->loop, deadline, &call->timer, release_future, call->release);
    for (size_t i = 0; rc == 0 && i < call->count; i++) {
        call->members[i].call = call;
        call->members[i].waiter.ready.run = run_wait_member;
        call->holders++;
        rondo_waiter_add(&call->members[i].waiter, call->futures[i]);
    }
    return rc;
}

static int count_done(struct wait_call *call)
{
    int done = 0;
    for (size_t i = 0; i < call->count; i++)
        done += rondo_future_is_done(call->futures[i]);
    return done;
}

static int run_wait(void *context)
{
    struct wait_call *call = context;
    int rc = begin_wait(call);
    if (rc < 0)
        return rc;
    rc = rondo_await(rondo_future_ref(call->release), NULL);
    rondo_handle_cancel(&call->timer);
    for (size_t i = 0; i < call->count; i++)
        if (!rondo_future_is_done(call->futures[i]) && rondo_waiter_remove(&call->members[i].waiter))
            call->holders--;
    return rc < 0 ? rc : count_done(call);
}

static void drop_wait_context(void *context)
{
    drop_wait(context);
}

/* Each future once; a repeated one counts once. */
static int take_members(struct wait_call *call, rondo_future *const *futures, size_t count)
{
    uint32_t stamp = ++call->loop->gather_stamp;
    for (size_t i = 0; i < count; i++) {
        if (!futures[i])
            return rondo_fail(RONDO_EINVAL, "future number %zu is NULL", i);
        if (futures[i]->loop != call->loop)
            return rondo_fail(RONDO_EOTHERLOOP, "future number %zu belongs to another loop", i);
        if (futures[i]->stamp == stamp)
            continue;
        futures[i]->stamp = stamp;
        call->futures[call->count++] = rondo_future_ref(futures[i]);
    }
    call->left = call->count;
    return 0;
}

static struct wait_call *make_wait(rondo_loop *loop, rondo_future *const *futures, size_t count)
{
    struct wait_call *call =
        rondo_allocate_zeroed(&loop->allocator, sizeof(*call) + count * sizeof(struct wait_member));
    if (!call) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    call->loop = loop;
    call->holders = 1;
    call->release = rondo_future_new(loop);
    call->futures = rondo_allocate(&loop->allocator, count * sizeof(*call->futures));
    int rc =
        call->release && call->futures ? take_members(call, futures, count) : rondo_fail(RONDO_ENOMEM, NULL);
    if (rc == 0)
        return call;
    drop_wait(call);
    return NULL;
}

rondo_future *rondo_wait(rondo_loop *loop, rondo_future *const *futures, size_t count, rondo_ns timeout,
                         rondo_wait_until until)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    if (!futures || !count) {
        rondo_fail(RONDO_EINVAL, "no futures to wait for");
        return NULL;
    }
    if (until != RONDO_WAIT_ALL && until != RONDO_WAIT_FIRST && until != RONDO_WAIT_FIRST_FAILURE) {
        rondo_fail(RONDO_EINVAL, "no such condition for waiting: %d", (int) until);
        return NULL;
    }
    struct wait_call *call = make_wait(loop, futures, count);
    if (!call)
        return NULL;
    call->timeout = timeout;
    call->until = until;
    rondo_future *future = rondo_coroutine_spawn(loop, run_wait, call, drop_wait_context);
    if (!future)
        drop_wait(call);
    return future;
}

/* --- wait_for -------------------------------------------------------------------------------------- */

struct wait_for_call {
    rondo_future *future;  /* that is waited for */
    rondo_future *release; /* done when it is, or when the time is up */
    rondo_handle timer;
    rondo_ns timeout;
};

/* Completes the release when the future is done. Its own memory, as it may be queued still when the coroutine ends. */
struct release_waiter {
    struct rondo_waiter waiter;
    rondo_future *release;
};

static void drop_wait_for(void *context)
{
    struct wait_for_call *call = context;
    rondo_loop *loop = call->future->loop;
    rondo_handle_cancel(&call->timer);
    rondo_future_unref(call->release);
    rondo_future_unref(call->future);
    rondo_release(&loop->allocator, call);
}

static void run_release(struct rondo_ready *node, struct rondo_core *core)
{
    struct release_waiter *self = rondo_container(node, struct release_waiter, waiter.ready);
    rondo_future_finish(self->release, 0, NULL, NULL);
    rondo_future_unref(self->release);
    rondo_waiter_release(&self->waiter);
    rondo_release(&rondo_loop_of(core)->allocator, self);
}

/* Wait until the future is done, or the release by other hands; first cancel the future if @cancel says so. */
static int watch(struct wait_for_call *call, bool cancel)
{
    rondo_loop *loop = call->future->loop;
    struct release_waiter *waiter = rondo_allocate(&loop->allocator, sizeof(*waiter));
    if (!waiter)
        return rondo_fail(RONDO_ENOMEM, NULL);
    waiter->waiter.ready.run = run_release;
    waiter->release = rondo_future_ref(call->release);
    rondo_waiter_add(&waiter->waiter, call->future);
    if (cancel)
        rondo_future_cancel(call->future);
    int rc = rondo_await(rondo_future_ref(call->release), NULL);
    if (!rondo_future_is_done(call->future) && rondo_waiter_remove(&waiter->waiter)) {
        rondo_future_unref(waiter->release);
        rondo_release(&loop->allocator, waiter);
    }
    return rc;
}

/* Cancel the future and wait until it has really ended (asyncio's _cancel_and_wait). On a closed loop nothing ends any
 * more: there is nothing to wait for. */
static int cancel_and_wait(struct wait_for_call *call)
{
    rondo_loop *loop = call->future->loop;
    rondo_handle_cancel(&call->timer); /* its release is not the one that counts from here on */
    rondo_future_unref(call->release);
    call->release = NULL;
    if (loop->closed)
        return rondo_fail(RONDO_ECANCELLED, NULL);
    call->release = rondo_future_new(loop);
    int rc = call->release ? watch(call, true) : RONDO_ENOMEM;
    if (rc == RONDO_ENOMEM)
        rondo_future_cancel(call->future);
    return rc;
}

/* The outcome, with the value handed on. */
static int hand_on(struct wait_for_call *call)
{
    rondo_future *future = call->future;
    void *value = NULL;
    int rc = rondo_future_result(future, &value);
    if (rc >= 0) {
        rondo_coroutine_hand_over(value, future->destroy, future->is_lent);
        future->destroy = NULL;
    }
    return rc;
}

static int time_is_up(struct wait_for_call *call)
{
    int rc = cancel_and_wait(call);
    if (rc < 0)
        return rc;
    rc = hand_on(call);
    return rc == RONDO_ECANCELLED ? rondo_fail(RONDO_ETIMEDOUT, NULL) : rc;
}

static int run_wait_for(void *context)
{
    struct wait_for_call *call = context;
    rondo_loop *loop = call->future->loop;
    if (call->timeout == RONDO_FOREVER) {
        int rc = rondo_await(rondo_future_ref(call->future), NULL);
        return rc < 0 ? rc : hand_on(call);
    }
    if (call->timeout <= 0)
        return rondo_future_is_done(call->future) ? hand_on(call) : time_is_up(call);
    rondo_ns deadline = rondo_loop_deadline(loop, call->timeout);
    int rc = rondo_loop_timer(loop, deadline, &call->timer, release_future, call->release);
    if (rc == 0)
        rc = watch(call, false);
    if (rc == RONDO_ENOMEM)
        return rc;
    if (rc == RONDO_ECANCELLED && !rondo_future_is_done(call->future)) {
        cancel_and_wait(call);
        return rondo_fail(RONDO_ECANCELLED, NULL);
    }
    return rondo_future_is_done(call->future) ? hand_on(call) : time_is_up(call);
}

rondo_future *rondo_wait_for(rondo_future *future, rondo_ns timeout)
{
    if (!future) {
        if (rondo_last_error() == 0)
            rondo_fail(RONDO_EINVAL, "no future given");
        return NULL;
    }
    rondo_loop *loop = future->loop;
    struct wait_for_call *call = rondo_allocate_zeroed(&loop->allocator, sizeof(*call));
    rondo_future *release = call ? rondo_future_new(loop) : NULL;
    if (!release) {
        rondo_release(&loop->allocator, call);
        rondo_future_unref(future);
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    call->future = future;
    call->release = release;
    call->timeout = timeout;
    rondo_future *outcome = rondo_coroutine_spawn(loop, run_wait_for, call, drop_wait_for);
    if (!outcome)
        drop_wait_for(call);
    return outcome;
}

/* --- shield ------------------------------------------------------------------------------------------ */

struct shield {
    rondo_future future; /* the outer one */
    struct rondo_holder holder;
    struct rondo_waiter waiter;
    struct rondo_ready cancelled;
    rondo_future *inner;
};

static void shield_dispose(rondo_future *future)
{
    struct shield *self = rondo_container(future, struct shield, future);
    rondo_link_remove(&self->holder.link);
    rondo_future_unref(self->inner);
    rondo_future_dispose(future);
}

/* The inner future, which nobody will ever complete, holds the outer one, and that holds it. */
static void shield_let_go(struct rondo_holder *holder)
{
    struct shield *self = rondo_container(holder, struct shield, holder);
    if (!rondo_future_is_done(self->inner) && rondo_waiter_remove(&self->waiter))
        rondo_future_unref(&self->future);
}

static void run_cancelled(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct shield *self = rondo_container(node, struct shield, cancelled);
    shield_let_go(&self->holder);
    rondo_future_unref(&self->future);
}

/* The inner future is let go in a callback of the outer one, the first that it has: an error that comes before counts as
 * seen. */
static bool shield_cancel(rondo_future *future)
{
    struct shield *self = rondo_container(future, struct shield, future);
    if (future->loop->closed) { /* nothing runs any more */
        shield_let_go(&self->holder);
        return rondo_future_cancel_now(future);
    }
    self->cancelled.run = run_cancelled;
    rondo_future_ref(future);
    rondo_loop_queue_in_turn(future->loop, &self->cancelled);
    return rondo_future_cancel_now(future);
}

static const struct rondo_future_type shield_type = { .cancel = shield_cancel, .dispose = shield_dispose };

static void run_inner_done(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct shield *self = rondo_container(node, struct shield, waiter.ready);
    if (rondo_future_is_done(&self->future))
        self->inner->unseen = false;
    else
        rondo_future_follow(&self->future, self->inner);
    rondo_waiter_release(&self->waiter);
    rondo_future_unref(&self->future);
}

rondo_future *rondo_shield(rondo_future *future)
{
    if (!future) {
        if (rondo_last_error() == 0)
            rondo_fail(RONDO_EINVAL, "no future given");
        return NULL;
    }
    if (rondo_future_is_done(future))
        return future;
    rondo_future *outer = rondo_future_make(future->loop, &shield_type, sizeof(struct shield));
    if (!outer) {
        rondo_future_unref(future);
        return NULL;
    }
    struct shield *self = rondo_container(outer, struct shield, future);
    self->inner = future;
    self->holder.let_go = shield_let_go;
    rondo_link_append(&future->loop->gathers, &self->holder.link);
    self->waiter.ready.run = run_inner_done;
    rondo_waiter_add(&self->waiter, future);
    return rondo_future_ref(outer);
}

/* --- timeout ----------------------------------------------------------------------------------------- */

static void expire(void *context)
{
    rondo_timeout *timeout = context;
    timeout->expired = true;
    rondo_future_cancel(timeout->task);
}

int rondo_timeout_enter(rondo_timeout *timeout, rondo_ns delay)
{
    if (!timeout)
        return rondo_fail(RONDO_EINVAL, "no timeout given");
    rondo_task *task = rondo_task_current();
    if (!task)
        return rondo_fail(RONDO_ENOTASK, "only a task can have a time limit");
    memset(timeout, 0, sizeof *timeout);
    timeout->task = task;
    timeout->cancelling = rondo_task_cancelling(task);
    if (delay == RONDO_FOREVER)
        return 0;
    if (delay <= 0) /* asyncio: already late, the next wait is cancelled */
        return rondo_loop_call_soon(task->loop, &timeout->timer, expire, timeout);
    return rondo_loop_timer(task->loop, rondo_loop_deadline(task->loop, delay), &timeout->timer, expire,
                            timeout);
}

int rondo_timeout_leave(rondo_timeout *timeout, int code)
{
    if (!timeout || !timeout->task)
        return rondo_fail(RONDO_EINVAL, "the timeout was not entered");
    rondo_handle_cancel(&timeout->timer);
    rondo_task *task = timeout->task;
    timeout->task = NULL;
    if (!timeout->expired)
        return code;
    if (rondo_task_uncancel(task) <= timeout->cancelling && code == RONDO_ECANCELLED)
        return rondo_fail(RONDO_ETIMEDOUT, NULL);
    return code;
}
