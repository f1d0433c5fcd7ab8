/* SPDX-License-Identifier: MIT */
/* Tasks: create_task and its factory, rondo_await, and what a task can ask of itself (18.5.1.5). */
#include "coroutine.h"

#include "sleep.h"

rondo_task *rondo_task_new(rondo_loop *loop, const rondo_task_options *options, rondo_coroutine *coroutine,
                           void *context)
{
    return rondo_coroutine_task(loop, options, coroutine, context);
}

rondo_task *rondo_create_task(rondo_loop *loop, rondo_coroutine *coroutine, void *context)
{
    if (!loop || !loop->task_factory)
        return rondo_coroutine_task(loop, NULL, coroutine, context);
    if (rondo_loop_check(loop) < 0)
        return NULL;
    if (!coroutine) {
        rondo_fail(RONDO_EINVAL, "no coroutine given");
        return NULL;
    }
    loop->nesting++;
    rondo_future *made = loop->task_factory(loop, coroutine, context, loop->task_factory_user);
    loop->nesting--;
    const char *message;
    int code = rondo_loop_take_raised(loop, &message);
    if (!made && rondo_last_error() == 0)
        rondo_fail(RONDO_ETYPE, "the task factory returned no future");
    if (made && code) { /* it raised and returned one all the same: the failure counts */
        rondo_future_unref(made);
        made = NULL;
    }
    if (code)
        rondo_fail_text(code, message);
    return made;
}

int rondo_loop_set_task_factory(rondo_loop *loop, rondo_task_factory *factory, void *user)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    loop->task_factory = factory;
    loop->task_factory_user = factory ? user : NULL;
    return 0;
}

rondo_task_factory *rondo_loop_get_task_factory(const rondo_loop *loop, void **ret_user)
{
    if (!loop)
        return NULL;
    if (ret_user)
        *ret_user = loop->task_factory_user;
    return loop->task_factory;
}

/* --- awaiting ------------------------------------------------------------------------------------ */

/* The coroutine that may give way here: not inside a callback that a task's call has led to. */
static struct rondo_coroutine_frame *waiting_frame(void)
{
    struct rondo_coroutine_frame *self = rondo_coroutine_current();
    return self && !self->future.loop->nesting ? self : NULL;
}

int rondo_yield(void)
{
    struct rondo_coroutine_frame *self = waiting_frame();
    if (!self)
        return rondo_fail(RONDO_ENOTASK, "only a task can give way");
    int rc = rondo_coroutine_give_way(self, RONDO_COROUTINE_QUEUED);
    return rc < 0 ? rondo_fail(rc, NULL) : 0;
}

/* asyncio raises in the next step of the task: one pass goes by. */
static int refuse(rondo_future *future, int code, const char *message)
{
    rondo_future_unref(future);
    int rc = rondo_yield();
    return rc < 0 ? rc : rondo_fail(code, "%s", message);
}

/* Wait for a pending future; RONDO_ECANCELLED if a cancellation of the task ended the wait. */
static int wait_for_pending(struct rondo_coroutine_frame *self, rondo_future *future)
{
    self->awaited = future;
    self->wake.ready.run = rondo_coroutine_wake;
    rondo_waiter_add(&self->wake, future);
    self->state = RONDO_COROUTINE_WAITING;
    if (self->must_cancel && rondo_future_cancel(future))
        self->must_cancel = false;
    int rc = rondo_coroutine_give_way(self, RONDO_COROUTINE_WAITING);
    self->awaited = NULL;
    return rc;
}

int rondo_await(rondo_future *future, void **ret_value)
{
    if (!future)
        return rondo_last_error() < 0 ? rondo_last_error() : rondo_fail(RONDO_EINVAL, "no future given");
    struct rondo_coroutine_frame *self = waiting_frame();
    if (!self) {
        rondo_future_unref(future);
        return rondo_fail(RONDO_ENOTASK, "only a task can await");
    }
    int rc = 0;
    if (!rondo_future_is_done(future)) {
        if (future == &self->future)
            return refuse(future, RONDO_ESELF, "a task cannot await itself");
        if (future->loop != self->future.loop)
            return refuse(future, RONDO_EFOREIGN, "the future belongs to another loop than the task");
        if (rondo_future_is_bare_yield(future)) {
            rondo_future_unref(future);
            return rondo_yield();
        }
        rc = wait_for_pending(self, future);
    }
    if (rc < 0)
        rondo_fail(rc, NULL);
    else
        rc = ret_value ? rondo_future_take(future, ret_value) : rondo_future_result(future, NULL);
    rondo_future_unref(future);
    return rc;
}

/* --- asking -------------------------------------------------------------------------------------- */

static struct rondo_coroutine_frame *frame_of_task(const rondo_task *task)
{
    if (!task || !task->type->is_task)
        return NULL;
    return rondo_container(task, struct rondo_coroutine_frame, future);
}

rondo_task *rondo_task_current(void)
{
    struct rondo_coroutine_frame *self = rondo_coroutine_current();
    return self && self->future.type->is_task ? &self->future : NULL;
}

int rondo_task_set_value(void *value, rondo_destructor *destroy)
{
    struct rondo_coroutine_frame *self = waiting_frame();
    if (!self)
        return rondo_fail(RONDO_ENOTASK, "not inside a task");
    if (self->value_destroy)
        self->value_destroy(self->value);
    self->value = value;
    self->value_destroy = destroy;
    return 0;
}

const char *rondo_task_name(const rondo_task *task)
{
    struct rondo_coroutine_frame *self = frame_of_task(task);
    return self ? self->name : "";
}

unsigned rondo_task_cancelling(const rondo_task *task)
{
    struct rondo_coroutine_frame *self = frame_of_task(task);
    return self ? self->cancelling : 0;
}

unsigned rondo_task_uncancel(rondo_task *task)
{
    struct rondo_coroutine_frame *self = frame_of_task(task);
    if (!self)
        return 0;
    if (self->cancelling > 0)
        self->cancelling--;
    return self->cancelling;
}
