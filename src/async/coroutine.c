/* SPDX-License-Identifier: MIT */
/* Coroutines: their making, their steps, their end.
 *
 * The life of a coroutine: QUEUED for its first step, then RUNNING and WAITING (or QUEUED again by a
 * yield) in turn, then ENDED. Each step is a node run from the queue that switches to the stack and comes back
 * when the coroutine gives way or has returned; then its stack goes back to the pool and its future is completed.
 * A stack is taken at the first step, so that a coroutine cancelled before it never needs one.
 * Failures: no memory for the frame (the call fails) or for the stack (the coroutine ends with RONDO_ENOMEM).
 * Invariants: the node is in at most one place, which `state` names; a frame holds a reference to itself until it has
 * ended; nothing is switched to but from its loop's thread. */
#include "coroutine.h"

#include <assert.h>
#include <string.h>

#define POOLED_FRAMES 256u

struct rondo_coroutine_pool {
    struct rondo_coroutine_frame *frames; /* free ones, linked by `awaited` */
    unsigned count;
};

static bool coroutine_cancel(rondo_future *future);
static void coroutine_dispose(rondo_future *future);

static const struct rondo_future_type task_type = {
    .cancel = coroutine_cancel,
    .dispose = coroutine_dispose,
    .is_task = true,
};

static const struct rondo_future_type call_type = {
    .cancel = coroutine_cancel,
    .dispose = coroutine_dispose,
    .resumes_directly = true,
};

static struct rondo_coroutine_frame *frame_of(rondo_future *future)
{
    return rondo_container(future, struct rondo_coroutine_frame, future);
}

/* --- the pool ----------------------------------------------------------------------------------- */

static struct rondo_coroutine_pool *pool_of(rondo_loop *loop)
{
    if (!loop->coroutines)
        loop->coroutines = rondo_allocate_zeroed(&loop->allocator, sizeof(*loop->coroutines));
    if (!loop->coroutines)
        rondo_fail(RONDO_ENOMEM, NULL);
    return loop->coroutines;
}

static struct rondo_coroutine_frame *take_frame(rondo_loop *loop)
{
    struct rondo_coroutine_pool *pool = pool_of(loop);
    if (!pool)
        return NULL;
    struct rondo_coroutine_frame *self = pool->frames;
    if (self) {
        pool->frames = self->awaited ? frame_of(self->awaited) : NULL;
        pool->count--;
        return self;
    }
    self = rondo_allocate(&loop->allocator, sizeof(*self));
    if (!self)
        rondo_fail(RONDO_ENOMEM, NULL);
    return self;
}

static void give_frame(struct rondo_coroutine_frame *self)
{
    struct rondo_coroutine_pool *pool = self->future.loop->coroutines;
    if (pool->count >= POOLED_FRAMES) {
        rondo_release(&self->future.loop->allocator, self);
        return;
    }
    self->awaited = pool->frames ? &pool->frames->future : NULL;
    pool->frames = self;
    pool->count++;
}

static void coroutine_dispose(rondo_future *future)
{
    struct rondo_coroutine_frame *self = frame_of(future);
    assert(self->state == RONDO_COROUTINE_ENDED && !self->flow.has_stack);
    rondo_future_clear(future);
    give_frame(self);
}

/* --- the end ------------------------------------------------------------------------------------ */

static void release_context(struct rondo_coroutine_frame *self)
{
    rondo_destructor *destroy = self->destroy;
    self->destroy = NULL;
    if (destroy)
        destroy(self->context);
}

/* What rondo_task_set_value left, where nobody will get it. */
static void release_value(struct rondo_coroutine_frame *self)
{
    rondo_destructor *destroy = self->value_destroy;
    self->value_destroy = NULL;
    if (destroy)
        destroy(self->value);
}

static void complete(struct rondo_coroutine_frame *self, int code)
{
    rondo_future *future = &self->future;
    if (code >= 0 && !self->must_cancel) {
        rondo_destructor *destroy = self->value_destroy;
        self->value_destroy = NULL;
        rondo_future_finish(future, code, self->value, destroy);
        return;
    }
    release_value(self);
    if (code == RONDO_ECANCELLED || code >= 0) /* a late request takes a result away, but no error */
        rondo_future_cancel_now(future);
    else
        rondo_future_fail(future, code, rondo_last_error() == code ? rondo_last_error_message() : NULL);
}

/* The function has returned @code, or was never entered. */
static void end(struct rondo_coroutine_frame *self, int code)
{
    rondo_loop *loop = self->future.loop;
    self->state = RONDO_COROUTINE_ENDED;
    rondo_link_remove(&self->link);
    rondo_flow_end(loop, &self->flow);
    bool interrupts = code < 0 && rondo_err_class(code) == RONDO_CLASS_INTERRUPT;
    complete(self, code);
    release_context(self);
    if (interrupts) { /* as KeyboardInterrupt does: the run ends, and the future has it too */
        self->future.unseen = false;
        rondo_loop_interrupt(loop, code);
    }
    rondo_future_unref(&self->future);
}

/* --- steps -------------------------------------------------------------------------------------- */

static void enter(void *argument)
{
    struct rondo_coroutine_frame *self = argument;
    self->code = self->function(self->context);
    self->state = RONDO_COROUTINE_ENDED;
    rondo_flow_exit(&self->flow);
}

static inline void become_current(struct rondo_coroutine_frame *self)
{
    self->state = RONDO_COROUTINE_RUNNING;
    self->future.loop->callback_name = self->name;
    rondo_thread_state.coroutine = self;
}

/* Switch to the coroutine until it, or the last of those that it handed on to, gives way or ends. */
static void resume(struct rondo_coroutine_frame *self)
{
    struct rondo_coroutine_frame *outer = rondo_coroutine_current();
    become_current(self);
    rondo_flow_resume(self->future.loop, &self->flow, outer ? &outer->flow : NULL);
    self = rondo_thread_state.coroutine;
    rondo_thread_state.coroutine = outer;
    if (self->state == RONDO_COROUTINE_ENDED)
        end(self, self->code);
}

static void start(struct rondo_coroutine_frame *self)
{
    if (self->must_cancel) {
        self->must_cancel = false;
        end(self, RONDO_ECANCELLED);
        return;
    }
    int rc = rondo_flow_start(self->future.loop, &self->flow, enter, self);
    if (rc < 0)
        end(self, rc);
    else
        resume(self);
}

/* A request that came while it was queued ends the wait that goes on now. */
static void take_up_cancel(struct rondo_coroutine_frame *self)
{
    if (self->must_cancel)
        self->throwing = true;
    self->must_cancel = false;
}

static struct rondo_coroutine_frame *frame_of_node(struct rondo_ready *node)
{
    return rondo_container(node, struct rondo_coroutine_frame, wake.ready);
}

static void run_step(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_coroutine_frame *self = frame_of_node(node);
    self->in_batch = true;
    if (self->is_destroyed) {
        rondo_future_unref(&self->future);
    } else if (!self->flow.has_stack) {
        start(self);
    } else {
        take_up_cancel(self);
        resume(self);
    }
}

void rondo_coroutine_wake(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_coroutine_frame *self = frame_of_node(node);
    rondo_future *future = self->wake.future;
    future->unseen = false; /* it is looked at, even where a cancellation hides it */
    rondo_future_unref(future);
    if (self->is_destroyed) {
        rondo_future_unref(&self->future);
        return;
    }
    take_up_cancel(self);
    self->in_batch = false; /* the completion of a future may have called this */
    resume(self);
}

/* The coroutine whose step is next in the batch, if @self can switch to it past the loop: it does then what the loop
 * would have done between the two steps, which is nothing but to count. */
static struct rondo_coroutine_frame *take_next_step(struct rondo_coroutine_frame *self)
{
    rondo_loop *loop = self->future.loop;
    struct rondo_ready *node = loop->batch.head;
    if (!self->in_batch || !node || node->run != run_step || loop->interrupt || loop->debug)
        return NULL;
    struct rondo_coroutine_frame *next = frame_of_node(node);
    if (next->is_destroyed || !next->flow.has_stack)
        return NULL;
    loop->batch.head = node->next;
    rondo_prefetch(node->next);
    loop->metrics.callbacks++;
    next->in_batch = true;
    return next;
}

static inline void switch_away(struct rondo_coroutine_frame *self)
{
    struct rondo_coroutine_frame *next = take_next_step(self);
    if (!next) {
        rondo_flow_give_way(&self->flow);
        return;
    }
    take_up_cancel(next);
    become_current(next);
    rondo_flow_hand_on(&self->flow, &next->flow);
}

int rondo_coroutine_give_way(struct rondo_coroutine_frame *self, enum rondo_coroutine_state state)
{
    self->state = (uint8_t) state;
    if (state == RONDO_COROUTINE_QUEUED) {
        self->wake.ready.run = run_step;
        rondo_loop_queue_in_turn(self->future.loop, &self->wake.ready);
    }
    switch_away(self);
    if (!self->throwing)
        return 0;
    self->throwing = false;
    return RONDO_ECANCELLED;
}

/* Hand the request down to the last coroutine that waits for another one, and ask there. A loop and no recursion: a
 * long chain may be cancelled from the small stack of a task. `is_cancelling` ends it where they wait in a circle. */
static bool coroutine_cancel(rondo_future *future)
{
    struct rondo_coroutine_frame *self = frame_of(future);
    size_t marked = 0;
    self->cancelling++;
    while (self->state == RONDO_COROUTINE_WAITING && !self->is_cancelling && !future->loop->closed &&
           self->awaited->type->cancel == coroutine_cancel && !rondo_future_is_done(self->awaited)) {
        self->is_cancelling = true;
        marked++;
        self = frame_of(self->awaited);
        self->cancelling++;
    }
    bool taken = false;
    if (self->state == RONDO_COROUTINE_WAITING && !self->is_cancelling) {
        self->is_cancelling = true;
        taken = rondo_future_cancel(self->awaited);
        self->is_cancelling = false;
    }
    if (!taken)
        self->must_cancel = true;
    for (self = frame_of(future); marked > 0; marked--, self = frame_of(self->awaited))
        self->is_cancelling = false;
    return true;
}

void rondo_coroutine_hand_over(void *value, rondo_destructor *destroy, bool is_lent)
{
    rondo_task_set_value(value, destroy);
    rondo_coroutine_current()->future.is_lent = is_lent;
}

/* --- making ------------------------------------------------------------------------------------- */

static struct rondo_coroutine_frame *make(rondo_loop *loop, const struct rondo_future_type *type,
                                          size_t stack_size, rondo_coroutine *function, void *context)
{
    if (rondo_loop_check(loop) < 0)
        return NULL;
    if (!function) {
        rondo_fail(RONDO_EINVAL, "no coroutine given");
        return NULL;
    }
    stack_size = rondo_flow_stack_size(loop, stack_size);
    struct rondo_coroutine_frame *self = stack_size ? take_frame(loop) : NULL;
    if (!self)
        return NULL;
    memset(self, 0, sizeof *self);
    rondo_future_init(&self->future, loop, type);
    self->future.references = 2; /* the caller's and its own */
    self->function = function;
    self->context = context;
    self->flow.stack_size = stack_size;
    rondo_link_append(&loop->tasks, &self->link);
    return self;
}

static void queue_first_step(struct rondo_coroutine_frame *self)
{
    self->state = RONDO_COROUTINE_QUEUED;
    self->wake.ready.run = run_step;
    rondo_loop_queue_in_turn(self->future.loop, &self->wake.ready);
}

rondo_task *rondo_coroutine_task(rondo_loop *loop, const rondo_task_options *options,
                                 rondo_coroutine *function, void *context)
{
    if (options && !options->size) {
        rondo_fail(RONDO_EINVAL, "the size of the task's options is not set");
        return NULL;
    }
    size_t stack_size = options ? options->stack_size : 0;
    struct rondo_coroutine_frame *self = make(loop, &task_type, stack_size, function, context);
    if (!self)
        return NULL;
    self->name = options && options->name ? options->name : "task";
    queue_first_step(self);
    return &self->future;
}

rondo_future *rondo_coroutine_spawn(rondo_loop *loop, rondo_coroutine *function, void *context,
                                    rondo_destructor *destroy)
{
    struct rondo_coroutine_frame *self = make(loop, &call_type, 0, function, context);
    if (!self)
        return NULL;
    self->destroy = destroy;
    if (rondo_coroutine_current() && !loop->nesting)
        start(self);
    else
        queue_first_step(self);
    return &self->future;
}

/* --- closing ------------------------------------------------------------------------------------- */

static void report_pending(struct rondo_coroutine_frame *self)
{
    rondo_loop_report(self->future.loop, (rondo_exception_context){
                                             .message = "Task was destroyed but it is pending!",
                                             .future = &self->future,
                                             .task = &self->future,
                                             .socket = RONDO_INVALID_SOCKET,
                                         });
}

/* Forget a coroutine whose function will never go on. What stands on its stack is lost. */
static void destroy_frame(struct rondo_coroutine_frame *self)
{
    bool node_is_free = self->state == RONDO_COROUTINE_WAITING && rondo_waiter_remove(&self->wake);
    self->state = RONDO_COROUTINE_ENDED;
    self->is_destroyed = true;
    rondo_link_remove(&self->link);
    rondo_future_unref(self->awaited);
    self->awaited = NULL;
    rondo_flow_end(self->future.loop, &self->flow);
    release_value(self);
    release_context(self);
    if (node_is_free) /* else the node is queued and lets go when it is run */
        rondo_future_unref(&self->future);
}

/* Tasks of the program are destroyed where they stand. The library's own coroutines are cancelled and get to clean up:
 * the loop runs what is queued until nothing is in flight. */
void rondo_tasks_close(rondo_loop *loop)
{
    struct rondo_link *link = loop->tasks.next;
    while (link != &loop->tasks) {
        struct rondo_coroutine_frame *self = rondo_container(link, struct rondo_coroutine_frame, link);
        link = link->next;
        if (self->future.type == &call_type)
            continue;
        report_pending(self);
        link = self->link.next;
        rondo_future_ref(&self->future);
        destroy_frame(self);
        rondo_future_cancel_now(&self->future); /* who waits for it hears of it, if it is the library's own */
        rondo_future_unref(&self->future);
    }
    for (link = loop->tasks.next; link != &loop->tasks; link = link->next) {
        struct rondo_coroutine_frame *self = rondo_container(link, struct rondo_coroutine_frame, link);
        if (self->state == RONDO_COROUTINE_WAITING && !rondo_future_is_done(self->awaited))
            self->awaited->type->cancel(self->awaited);
        else
            self->must_cancel = true;
    }
}

void rondo_coroutines_free(rondo_loop *loop)
{
    struct rondo_coroutine_pool *pool = loop->coroutines;
    if (!pool)
        return;
    while (!rondo_link_is_alone(&loop->tasks))
        destroy_frame(rondo_container(loop->tasks.next, struct rondo_coroutine_frame, link));
    while (pool->frames) {
        struct rondo_coroutine_frame *self = pool->frames;
        pool->frames = self->awaited ? frame_of(self->awaited) : NULL;
        rondo_release(&loop->allocator, self);
    }
    rondo_release(&loop->allocator, pool);
    loop->coroutines = NULL;
}
