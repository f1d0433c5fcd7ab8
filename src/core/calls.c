/* SPDX-License-Identifier: MIT */
/* Registered calls: call_soon and call_soon_threadsafe, their handles and their run.
 *
 * The happy path: a slot is taken, filled, and queued (or a letter sent); when its turn comes the slot is given back
 * first and the callback called after, so that a callback that registers anew finds a warm slot.
 * Failures: no memory, a closed loop, the wrong thread in debug mode; nothing is registered then.
 * Invariant: a context is released exactly once, after the call, at cancel, or when the loop closes. */
#include "loop.h"

#include <assert.h>
#include <string.h>

static int check_closely(rondo_loop *loop)
{
    if (loop->closed)
        return rondo_fail(RONDO_ECLOSED, "the loop is closed");
    if (loop->debug && loop->running && loop->thread != rondo_thread_self())
        return rondo_fail(RONDO_ETHREAD, "called from a thread that is not the loop's; use "
                                         "rondo_loop_call_soon_threadsafe");
    return 0;
}

int rondo_loop_check(rondo_loop *loop)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    return loop->guarded ? check_closely(loop) : 0;
}

/* The slow way into a call: something is wrong, or mail that came before this call has to go before it. */
static int enter_closely(rondo_loop *loop, rondo_callback *callback)
{
    int rc = rondo_loop_check(loop);
    if (rc < 0)
        return rc;
    if (!callback)
        return rondo_fail(RONDO_EINVAL, "no callback given");
    assert(loop); /* or it would not have been let in */
    rondo_loop_take_mail_first(loop);
    return 0;
}

static inline void put_call(rondo_loop *loop, struct rondo_slot *slot, rondo_handle *ret_handle,
                            rondo_callback *callback, void *context, rondo_destructor *destroy,
                            const char *name)
{
    slot->callback = callback;
    slot->context = context;
    slot->destroy = destroy;
    slot->name = name;
    slot->state = RONDO_SLOT_QUEUED;
    slot->ready.run = rondo_slot_run;
    rondo_loop_queue(loop, &slot->ready);
    if (ret_handle)
        *ret_handle = (rondo_handle){ loop, slot->index, slot->generation, 0, false };
}

/* Everything that is not plain: apart, so that the plain way is short. */
static int queue_call_closely(rondo_loop *loop, rondo_handle *ret_handle, const rondo_call *call)
{
    int rc = enter_closely(loop, call->callback);
    if (rc < 0)
        return rc;
    assert(loop); /* or it would not have been let in */
    struct rondo_slot *slot = rondo_slots_take(&loop->slots, &loop->allocator);
    if (!slot)
        return RONDO_ENOMEM;
    put_call(loop, slot, ret_handle, call->callback, call->context, call->destroy, call->name);
    return 0;
}

static int queue_plain_closely(rondo_loop *loop, rondo_handle *ret_handle, rondo_callback *callback,
                               void *context)
{
    rondo_call call = { .callback = callback, .context = context };
    return queue_call_closely(loop, ret_handle, &call);
}

int rondo_loop_call_soon(rondo_loop *loop, rondo_handle *ret_handle, rondo_callback *callback, void *context)
{
    if (!loop || !callback || loop->guarded || rondo_inbox_has_mail(&loop->inbox) || !loop->slots.free)
        return queue_plain_closely(loop, ret_handle, callback, context);
    struct rondo_slot *slot = loop->slots.free;
    loop->slots.free = slot->next;
    put_call(loop, slot, ret_handle, callback, context, NULL, NULL);
    return 0;
}

int rondo_loop_call(rondo_loop *loop, const rondo_call *call, rondo_handle *ret_handle)
{
    if (!call || !call->size)
        return rondo_fail(RONDO_EINVAL, "no call given, or its size is not set");
    return queue_call_closely(loop, ret_handle, call);
}

static void report_call(rondo_loop *loop, uint32_t slot, uint32_t generation)
{
    rondo_handle handle = { loop, slot, generation, 0, false };
    const char *message;
    int code = rondo_loop_take_raised(loop, &message);
    if (code)
        rondo_loop_report(loop, (rondo_exception_context){
                                    .message = "Exception in callback",
                                    .error = code,
                                    .error_message = message,
                                    .handle = &handle,
                                    .handle_name = loop->callback_name,
                                    .socket = RONDO_INVALID_SOCKET,
                                });
}

/* What a slot or a letter comes to: the call, and the report of its failure. */
static inline void run_call(rondo_loop *loop, const rondo_call *call, uint32_t slot, uint32_t generation)
{
    loop->callback_name = call->name;
    call->callback(call->context);
    if (loop->raised)
        report_call(loop, slot, generation);
    if (call->destroy)
        call->destroy(call->context);
}

void rondo_slot_run(struct rondo_ready *node, struct rondo_core *core)
{
    struct rondo_slot *slot = rondo_container(node, struct rondo_slot, ready);
    rondo_loop *loop = rondo_loop_of(core);
    rondo_call call = {
        .callback = slot->callback, .context = slot->context, .destroy = slot->destroy, .name = slot->name
    };
    uint32_t index = slot->index;
    uint32_t generation = slot->generation;
    rondo_slots_give(&loop->slots, slot);
    run_call(loop, &call, index, generation);
}

static void run_cancelled_slot(struct rondo_ready *node, struct rondo_core *core)
{
    rondo_slots_give(&rondo_loop_of(core)->slots, rondo_container(node, struct rondo_slot, ready));
}

/* --- from other threads ---------------------------------------------------------------------- */

/* What stands for mail in the queue: the loop's own slot, which needs no memory, or one of the slab where that is in use. */
static struct rondo_slot *take_mail_slot(rondo_loop *loop)
{
    if (loop->mail.state == RONDO_SLOT_FREE)
        return &loop->mail;
    return rondo_slots_take(&loop->slots, &loop->allocator);
}

static void give_mail_slot(rondo_loop *loop, struct rondo_slot *slot)
{
    if (slot == &loop->mail)
        slot->state = RONDO_SLOT_FREE;
    else
        rondo_slots_give(&loop->slots, slot);
}

/* Where the batch is to end, or each call is timed by itself, the rest comes as a new node. */
static void run_mail(struct rondo_ready *node, struct rondo_core *core)
{
    struct rondo_slot *slot = rondo_container(node, struct rondo_slot, ready);
    rondo_loop *loop = rondo_loop_of(core);
    uint32_t end = (uint32_t) (uintptr_t) slot->context;
    rondo_call call;
    uint32_t number;
    loop->metrics.callbacks--; /* what counts are the calls */
    while (rondo_inbox_open(&loop->inbox, &loop->allocator, end, &call, &number)) {
        loop->metrics.callbacks++;
        run_call(loop, &call, RONDO_INBOX_SLOT, number);
        if (loop->interrupt || loop->debug) {
            rondo_loop_run_again(loop, node);
            return;
        }
    }
    give_mail_slot(loop, slot);
}

/* Without memory for a second slot in a pass the mail stays where it is until the next one. */
void rondo_loop_take_mail(rondo_loop *loop)
{
    struct rondo_slot *slot = take_mail_slot(loop);
    if (!slot)
        return;
    uint32_t end;
    if (!rondo_inbox_take(&loop->inbox, &end)) {
        give_mail_slot(loop, slot);
        return;
    }
    slot->context = (void *) (uintptr_t) end;
    slot->state = RONDO_SLOT_MAIL;
    slot->ready.run = run_mail;
    rondo_loop_queue(loop, &slot->ready);
}

int rondo_loop_call_threadsafe(rondo_loop *loop, const rondo_call *call, rondo_handle *ret_handle)
{
    if (!loop || !call || !call->size || !call->callback)
        return rondo_fail(RONDO_EINVAL, "no loop, no call or no callback given");
    if (rondo_thread_state.running == loop) /* our own thread: one queue, one order */
        return rondo_loop_call(loop, call, ret_handle);
    uint32_t number;
    int rc = rondo_inbox_send(&loop->inbox, &loop->allocator, call, &loop->core, &number);
    if (rc == 0 && ret_handle)
        *ret_handle = (rondo_handle){ loop, RONDO_INBOX_SLOT, number, 0, false };
    return rc;
}

int rondo_loop_call_soon_threadsafe(rondo_loop *loop, rondo_handle *ret_handle, rondo_callback *callback,
                                    void *context)
{
    rondo_call call = { .size = sizeof call, .callback = callback, .context = context };
    return rondo_loop_call_threadsafe(loop, &call, ret_handle);
}

/* --- handles --------------------------------------------------------------------------------- */

/* The slot that @handle names, if its call has not begun. */
static struct rondo_slot *slot_of(const rondo_handle *handle)
{
    if (!handle || !handle->loop || handle->slot == RONDO_INBOX_SLOT)
        return NULL;
    struct rondo_slots *slots = &handle->loop->slots;
    if (handle->slot >= slots->chunk_count * RONDO_SLOTS_PER_CHUNK)
        return NULL;
    struct rondo_slot *slot = rondo_slots_at(slots, handle->slot);
    return slot->generation == handle->generation ? slot : NULL;
}

/* The node stays where it is and gives the slot back when its turn comes. */
static void cancel_queued(struct rondo_slot *slot)
{
    slot->state = RONDO_SLOT_CANCELLED;
    slot->ready.run = run_cancelled_slot;
}

static void cancel_slot(rondo_loop *loop, struct rondo_slot *slot)
{
    rondo_destructor *destroy = slot->destroy;
    void *context = slot->context;
    slot->destroy = NULL;
    if (slot->state == RONDO_SLOT_TIMER)
        rondo_timer_cancel(loop, slot); /* gives the slot back */
    else
        cancel_queued(slot);
    if (destroy)
        destroy(context);
}

void rondo_handle_cancel(rondo_handle *handle)
{
    if (!handle || !handle->loop || handle->cancelled)
        return;
    handle->cancelled = true;
    struct rondo_slot *slot = slot_of(handle);
    if (slot && slot->state != RONDO_SLOT_CANCELLED) {
        cancel_slot(handle->loop, slot);
        return;
    }
    rondo_call call;
    if (handle->slot == RONDO_INBOX_SLOT &&
        rondo_inbox_cancel(&handle->loop->inbox, handle->generation, &call) && call.destroy)
        call.destroy(call.context);
}

bool rondo_handle_cancelled(const rondo_handle *handle)
{
    if (!handle)
        return false;
    const struct rondo_slot *slot = slot_of(handle);
    return handle->cancelled || (slot && slot->state == RONDO_SLOT_CANCELLED);
}

rondo_ns rondo_handle_when(const rondo_handle *handle)
{
    return handle ? handle->when : 0;
}

int rondo_handle_rearm(rondo_handle *handle, rondo_ns when)
{
    struct rondo_slot *slot = slot_of(handle);
    if (!slot || slot->state != RONDO_SLOT_TIMER || rondo_timer_is_due(handle->loop, slot))
        return rondo_fail(RONDO_EINVALIDSTATE, "the handle names no timer that is waiting");
    int rc = rondo_timer_move(handle->loop, slot, when);
    if (rc == 0)
        handle->when = when;
    return rc;
}

/* --- closing --------------------------------------------------------------------------------- */

static void drop_slot(rondo_loop *loop, struct rondo_slot *slot)
{
    rondo_destructor *destroy = slot->destroy;
    void *context = slot->context;
    slot->destroy = NULL;
    slot->order = 0;
    if (slot->state == RONDO_SLOT_TIMER)
        rondo_slots_give(&loop->slots, slot);
    else
        cancel_queued(slot);
    if (destroy)
        destroy(context);
}

/* Nobody can send any more. */
static void drop_letters(rondo_loop *loop)
{
    uint32_t end, number;
    rondo_call call;
    rondo_inbox_take(&loop->inbox, &end);
    while (rondo_inbox_open(&loop->inbox, &loop->allocator, end, &call, &number))
        if (call.destroy)
            call.destroy(call.context);
    rondo_inbox_settle(&loop->inbox);
}

/* Queued calls stay in the queue, which holds nodes of other kinds too, but run as cancelled ones. */
void rondo_calls_drop(rondo_loop *loop)
{
    loop->timers.count = 0;
    loop->live_timers = 0;
    for (size_t i = 0; i < loop->slots.chunk_count * RONDO_SLOTS_PER_CHUNK; i++) {
        struct rondo_slot *slot = rondo_slots_at(&loop->slots, (uint32_t) i);
        if (slot->state == RONDO_SLOT_QUEUED || slot->state == RONDO_SLOT_TIMER)
            drop_slot(loop, slot);
    }
    drop_letters(loop);
}
