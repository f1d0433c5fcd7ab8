/* SPDX-License-Identifier: MIT */
/* Futures: state, outcome, waiters.
 *
 * The happy path: pending; somebody waits; it is completed once; the whole list of waiters moves to the
 * ready queue in one step. Failures: completing twice, completing with waiters on a closed loop (they could not be
 * queued): refused, nothing changed. Invariants: a done future has no waiters; an error that nobody looked at is
 * reported when the last reference goes. */
#include "future.h"

#include <assert.h>
#include <string.h>

static const struct rondo_future_type plain_type = {
    .cancel = rondo_future_cancel_now,
    .dispose = rondo_future_dispose,
};

void rondo_future_init(rondo_future *future, rondo_loop *loop, const struct rondo_future_type *type)
{
    *future = (rondo_future){ .loop = loop, .type = type, .references = 1 };
    rondo_ready_list_init(&future->waiters);
}

rondo_future *rondo_future_make(rondo_loop *loop, const struct rondo_future_type *type, size_t size)
{
    assert(size >= sizeof(rondo_future));
    rondo_future *future = rondo_allocate_zeroed(&loop->allocator, size);
    if (!future) {
        rondo_fail(RONDO_ENOMEM, NULL);
        return NULL;
    }
    rondo_future_init(future, loop, type);
    return future;
}

rondo_future *rondo_future_new(rondo_loop *loop)
{
    if (!loop) {
        rondo_fail(RONDO_EINVAL, "no loop given");
        return NULL;
    }
    return rondo_future_make(loop, &plain_type, sizeof(rondo_future));
}

rondo_future *rondo_future_ref(rondo_future *future)
{
    if (future)
        future->references++;
    return future;
}

static void report_unseen(rondo_future *future)
{
    bool is_task = future->type->is_task;
    rondo_loop_report(future->loop, (rondo_exception_context){
                                        .message = is_task ? "Task exception was never retrieved"
                                                           : "Future exception was never retrieved",
                                        .error = future->code,
                                        .error_message = future->message,
                                        .future = future,
                                        .socket = RONDO_INVALID_SOCKET,
                                    });
}

void rondo_future_unref(rondo_future *future)
{
    if (!future)
        return;
    assert(future->references > 0);
    if (future->references == 1 && future->unseen) {
        future->unseen = false;
        report_unseen(future); /* the handler may keep it */
    }
    if (--future->references == 0)
        future->type->dispose(future);
}

/* --- waiters ---------------------------------------------------------------------------------- */

struct done_waiter {
    struct rondo_waiter waiter;
    rondo_done_callback *callback;
    void *context;
};

static void run_done_callback(struct rondo_ready *node, struct rondo_core *core);

void rondo_future_clear(rondo_future *future)
{
    struct rondo_ready *node;
    while ((node = rondo_ready_list_pop(&future->waiters)))
        if (node->run == run_done_callback)
            rondo_release(&future->loop->allocator, rondo_container(node, struct done_waiter, waiter.ready));
    if (future->destroy)
        future->destroy(future->value);
    future->destroy = NULL;
    rondo_release(&future->loop->allocator, future->message);
    future->message = NULL;
}

void rondo_future_dispose(rondo_future *future)
{
    rondo_future_clear(future);
    rondo_release(&future->loop->allocator, future);
}

void rondo_waiter_add(struct rondo_waiter *waiter, rondo_future *future)
{
    waiter->future = future;
    if (rondo_future_is_done(future)) {
        future->references++;
        rondo_loop_queue_in_turn(future->loop, &waiter->ready);
    } else {
        rondo_ready_list_append(&future->waiters, &waiter->ready);
    }
}

static bool remove_node(struct rondo_ready_list *list, struct rondo_ready **link)
{
    struct rondo_ready *node = *link;
    *link = node->next;
    if (!node->next)
        list->tail = link;
    return true;
}

bool rondo_waiter_remove(struct rondo_waiter *waiter)
{
    struct rondo_ready_list *list = &waiter->future->waiters;
    for (struct rondo_ready **link = &list->head; *link; link = &(*link)->next)
        if (*link == &waiter->ready)
            return remove_node(list, link);
    return false;
}

static void run_done_callback(struct rondo_ready *node, struct rondo_core *core)
{
    struct done_waiter *self = rondo_container(node, struct done_waiter, waiter.ready);
    rondo_loop *loop = rondo_loop_of(core);
    rondo_future *future = self->waiter.future;
    rondo_done_callback *callback = self->callback;
    void *context = self->context;
    rondo_release(&loop->allocator, self);
    if (!loop->closed) {
        callback(future, context);
        const char *message;
        int code = rondo_loop_take_raised(loop, &message);
        if (code)
            rondo_loop_report(loop, (rondo_exception_context){
                                        .message = "Exception in callback",
                                        .error = code,
                                        .error_message = message,
                                        .future = future,
                                        .socket = RONDO_INVALID_SOCKET,
                                    });
    }
    rondo_future_unref(future);
}

int rondo_future_add_done_callback(rondo_future *future, rondo_done_callback *callback, void *context)
{
    if (!future || !callback)
        return rondo_fail(RONDO_EINVAL, "no future or no callback given");
    if (rondo_future_is_done(future) && future->loop->closed)
        return rondo_fail(RONDO_ECLOSED, "the loop is closed: the callback would never run");
    struct done_waiter *waiter = rondo_allocate(&future->loop->allocator, sizeof(*waiter));
    if (!waiter)
        return rondo_fail(RONDO_ENOMEM, NULL);
    waiter->waiter.ready.run = run_done_callback;
    waiter->callback = callback;
    waiter->context = context;
    rondo_waiter_add(&waiter->waiter, future);
    return 0;
}

size_t rondo_future_remove_done_callback(rondo_future *future, rondo_done_callback *callback, void *context)
{
    if (!future)
        return 0;
    size_t removed = 0;
    struct rondo_ready **link = &future->waiters.head;
    while (*link) {
        struct done_waiter *waiter = rondo_container(*link, struct done_waiter, waiter.ready);
        if ((*link)->run == run_done_callback && waiter->callback == callback && waiter->context == context) {
            remove_node(&future->waiters, link);
            rondo_release(&future->loop->allocator, waiter);
            removed++;
        } else {
            link = &(*link)->next;
        }
    }
    return removed;
}

/* --- completing ------------------------------------------------------------------------------- */

/* Queue everybody who waits; each waiter gets a reference. */
static void release_waiters(rondo_future *future)
{
    for (struct rondo_ready *node = future->waiters.head; node; node = node->next)
        future->references++;
    struct rondo_core *core = &future->loop->core;
    rondo_loop_take_mail_first(future->loop);
    struct rondo_ready *first = future->waiters.head;
    if (!future->type->resumes_directly || !first || first->run != rondo_coroutine_wake)
        first = NULL;
    else
        first = rondo_ready_list_pop(&future->waiters);
    rondo_ready_list_splice(&core->queue, &future->waiters);
    if (first)
        first->run(first, core);
}

static int check_pending(const rondo_future *future)
{
    if (!future)
        return rondo_fail(RONDO_EINVAL, "no future given");
    if (future->type->is_task)
        return rondo_fail(RONDO_EBUSY, "a task is completed by its coroutine only");
    if (rondo_future_is_done(future))
        return rondo_fail(RONDO_EINVALIDSTATE, "the future is done already");
    if (future->loop->closed && !rondo_ready_list_is_empty(&future->waiters))
        return rondo_fail(RONDO_ECLOSED, "the loop is closed: the callbacks of the future cannot be queued");
    return 0;
}

void rondo_future_finish(rondo_future *future, int code, void *value, rondo_destructor *destroy)
{
    if (rondo_future_is_done(future)) {
        if (destroy)
            destroy(value);
        return;
    }
    future->state = RONDO_FUTURE_FINISHED;
    future->code = code;
    future->value = value;
    future->destroy = destroy;
    release_waiters(future);
}

void rondo_future_fail(rondo_future *future, int code, const char *message)
{
    if (rondo_future_is_done(future))
        return;
    if (message && strcmp(message, rondo_strerror(code)) != 0)
        future->message = rondo_duplicate_text(&future->loop->allocator, message);
    future->state = RONDO_FUTURE_FINISHED;
    future->code = code;
    future->unseen = true;
    release_waiters(future);
}

void rondo_future_follow(rondo_future *to, rondo_future *from)
{
    assert(rondo_future_is_done(from));
    if (from->state == RONDO_FUTURE_CANCELLED) {
        rondo_future_cancel_now(to);
    } else if (from->code < 0) {
        from->unseen = false;
        rondo_future_fail(to, from->code, from->message);
    } else {
        rondo_destructor *destroy = from->destroy;
        from->destroy = NULL;
        to->is_lent = from->is_lent;
        rondo_future_finish(to, from->code, from->value, destroy);
    }
}

bool rondo_future_cancel_now(rondo_future *future)
{
    if (rondo_future_is_done(future))
        return false;
    future->state = RONDO_FUTURE_CANCELLED;
    future->code = RONDO_ECANCELLED;
    release_waiters(future);
    return true;
}

int rondo_future_set_result(rondo_future *future, void *value)
{
    return rondo_future_set_result_owned(future, value, NULL);
}

int rondo_future_set_result_owned(rondo_future *future, void *value, rondo_destructor *destroy)
{
    int rc = check_pending(future);
    if (rc < 0)
        return rc;
    rondo_future_finish(future, 0, value, destroy);
    return 0;
}

int rondo_future_set_error(rondo_future *future, int code, const char *message)
{
    if (code >= 0)
        return rondo_fail(RONDO_EINVAL, "%d is not an error code: they are negative", code);
    if (code == RONDO_ECANCELLED)
        return rondo_fail(RONDO_ETYPE, "a cancellation is not an error to set; use rondo_future_cancel");
    int rc = check_pending(future);
    if (rc < 0)
        return rc;
    rondo_future_fail(future, code, message);
    return 0;
}

bool rondo_future_cancel(rondo_future *future)
{
    if (!future)
        return false;
    if (rondo_future_is_done(future)) {
        future->unseen &= future->type->stays_unseen;
        return false;
    }
    if (future->loop->closed && !rondo_ready_list_is_empty(&future->waiters)) {
        rondo_fail(RONDO_ECLOSED, "the loop is closed: the callbacks of the future cannot be queued");
        return false;
    }
    return future->type->cancel(future);
}

/* --- asking ----------------------------------------------------------------------------------- */

bool rondo_future_done(const rondo_future *future)
{
    return future && rondo_future_is_done(future);
}

bool rondo_future_cancelled(const rondo_future *future)
{
    return future && future->state == RONDO_FUTURE_CANCELLED;
}

int rondo_future_result(rondo_future *future, void **ret_value)
{
    if (!future)
        return rondo_fail(RONDO_EINVAL, "no future given");
    if (!rondo_future_is_done(future))
        return rondo_fail(RONDO_EINVALIDSTATE, "the future is not done yet");
    future->unseen = false;
    if (future->code < 0)
        return rondo_fail_text(future->code, future->message);
    if (ret_value)
        *ret_value = future->value;
    return future->code;
}

int rondo_future_error(rondo_future *future, const char **ret_message)
{
    if (!future)
        return rondo_fail(RONDO_EINVAL, "no future given");
    if (!rondo_future_is_done(future))
        return rondo_fail(RONDO_EINVALIDSTATE, "the future is not done yet");
    future->unseen = false;
    if (future->code >= 0)
        return 0;
    if (ret_message)
        *ret_message = future->message ? future->message : rondo_strerror(future->code);
    return future->code;
}

int rondo_future_take(rondo_future *future, void **ret_value)
{
    int rc = rondo_future_result(future, ret_value);
    if (rc >= 0 && ret_value && !future->is_lent)
        future->destroy = NULL;
    return rc;
}

rondo_loop *rondo_future_loop(const rondo_future *future)
{
    return future ? future->loop : NULL;
}

bool rondo_future_is_task(const rondo_future *future)
{
    return future && future->type->is_task;
}
