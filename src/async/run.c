/* SPDX-License-Identifier: MIT */
/* Running a future to its end, and rondo_run (asyncio.run).
 *
 * run_until_complete stops the loop from a done-callback, as asyncio does: all of that pass still runs, and a future that
 * is done already costs one full pass. rondo_run adds what surrounds a main task: Ctrl+C, the cancellation of what is
 * left, and the end of the loop. */
#include <rondo/task.h>
#include <rondo/wait.h>

#include <stdio.h>

#include "coroutine.h"

struct completion {
    struct rondo_waiter waiter;
    bool has_run;
};

static void run_completion(struct rondo_ready *node, struct rondo_core *core)
{
    struct completion *self = rondo_container(node, struct completion, waiter.ready);
    self->has_run = true;
    rondo_loop *loop = rondo_loop_of(core);
    if (!loop->interrupt)
        loop->stopping = true;
    rondo_waiter_release(&self->waiter);
}

static int check_run(rondo_loop *loop, rondo_future *future)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    if (loop->closed)
        return rondo_fail(RONDO_ECLOSED, "the loop is closed");
    if (loop->running)
        return rondo_fail(RONDO_ERUNNING, "this loop is running already");
    if (rondo_thread_state.running) /* rondo_loop_running would overwrite the last error */
        return rondo_fail(RONDO_ERUNNING, "another loop is running on this thread");
    if (!future)
        return rondo_last_error() < 0 ? rondo_last_error() : rondo_fail(RONDO_EINVAL, "no future given");
    if (future->loop != loop)
        return rondo_fail(RONDO_EOTHERLOOP, "the future belongs to another loop");
    return 0;
}

/* The node lies on the stack: take it out of wherever it is. A queued one sits in the ready queue after an
 * interrupt; it is then the only node with its run function there. */
static void forget_completion(rondo_loop *loop, struct completion *self)
{
    if (self->has_run || rondo_waiter_remove(&self->waiter))
        return;
    struct rondo_ready_list kept;
    rondo_ready_list_init(&kept);
    struct rondo_ready *node;
    while ((node = rondo_ready_list_pop(&loop->core.queue)))
        if (node != &self->waiter.ready)
            rondo_ready_list_append(&kept, node);
    rondo_ready_list_splice(&loop->core.queue, &kept);
    rondo_waiter_release(&self->waiter);
}

int rondo_loop_run_until_complete(rondo_loop *loop, rondo_future *future, void **ret_value)
{
    int rc = check_run(loop, future);
    if (rc < 0) {
        rondo_future_unref(future);
        return rc;
    }
    struct completion completion = { .waiter.ready.run = run_completion };
    rondo_waiter_add(&completion.waiter, future);
    rc = rondo_loop_run_forever(loop);
    forget_completion(loop, &completion);
    if (rc < 0)
        future->unseen = false; /* the interrupt is reported in its place */
    else if (!rondo_future_is_done(future))
        rc = rondo_fail(RONDO_ESTOPPED, NULL);
    else
        rc = ret_value ? rondo_future_take(future, ret_value) : rondo_future_result(future, NULL);
    rondo_future_unref(future);
    return rc;
}

/* --- rondo_run ------------------------------------------------------------------------------------- */

struct runner {
    rondo_loop *loop;
    rondo_task *main;
    unsigned interrupts; /* taken so far */
};

/* The first one cancels the main task, a later one ends the run. */
static void take_interrupt(rondo_loop *loop, unsigned count, void *context)
{
    struct runner *runner = context;
    if (count > 1 || !runner->main || rondo_future_done(runner->main))
        rondo_loop_interrupt(loop, RONDO_EINTERRUPTED);
    else if (count > runner->interrupts)
        rondo_future_cancel(runner->main);
    runner->interrupts = count;
}

static int run_main(struct runner *runner, rondo_coroutine *coroutine, void *context)
{
    rondo_loop *loop = runner->loop;
    runner->main = rondo_create_task(loop, coroutine, context);
    if (!runner->main)
        return rondo_last_error();
    bool watching = rondo_loop_watch_interrupt(loop, take_interrupt, runner);
    int rc = rondo_loop_run_until_complete(loop, rondo_future_ref(runner->main), NULL);
    if (watching)
        rondo_loop_unwatch_interrupt(loop);
    if (rc == RONDO_ECANCELLED && runner->interrupts && rondo_task_uncancel(runner->main) == 0)
        rc = rondo_fail(RONDO_EINTERRUPTED, NULL);
    rondo_future_unref(runner->main);
    runner->main = NULL;
    return rc;
}

static size_t collect_tasks(rondo_loop *loop, rondo_future **tasks, size_t capacity)
{
    size_t count = 0;
    for (struct rondo_link *link = loop->tasks.next; link != &loop->tasks; link = link->next) {
        struct rondo_coroutine_frame *frame = rondo_container(link, struct rondo_coroutine_frame, link);
        if (!frame->future.type->is_task)
            continue;
        if (count < capacity)
            tasks[count] = rondo_future_ref(&frame->future);
        count++;
    }
    return count;
}

static void report_left_over(rondo_loop *loop, rondo_task *task)
{
    if (task->state != RONDO_FUTURE_FINISHED || task->code >= 0)
        return;
    rondo_loop_report(loop, (rondo_exception_context){
                                .message = "unhandled exception during rondo_run() shutdown",
                                .error = task->code,
                                .error_message = task->message,
                                .task = task,
                                .socket = RONDO_INVALID_SOCKET,
                            });
}

/* Cancel every task that is left, wait for all of them, and report those that failed. */
static void cancel_all_tasks(rondo_loop *loop)
{
    size_t count = collect_tasks(loop, NULL, 0);
    if (!count)
        return;
    rondo_future **tasks = rondo_allocate(&loop->allocator, count * sizeof(*tasks));
    if (!tasks)
        return;
    collect_tasks(loop, tasks, count);
    for (size_t i = 0; i < count; i++)
        rondo_future_cancel(tasks[i]);
    rondo_loop_run_until_complete(loop, rondo_gather(loop, tasks, count, true, NULL), NULL);
    for (size_t i = 0; i < count; i++) {
        report_left_over(loop, tasks[i]);
        rondo_future_unref(tasks[i]);
    }
    rondo_release(&loop->allocator, tasks);
}

int rondo_run(const rondo_loop_options *options, rondo_coroutine *coroutine, void *context)
{
    if (!coroutine)
        return rondo_fail(RONDO_EINVAL, "no coroutine given");
    if (rondo_loop_of_thread())
        return rondo_fail(RONDO_ERUNNING, "a loop is running on this thread already");
    struct runner runner = { 0 };
    int rc = rondo_loop_new(options, &runner.loop);
    if (rc < 0)
        return rc;
    rondo_loop *outer = rondo_thread_state.set;
    bool owns_outer = rondo_thread_state.owns_set;
    rondo_thread_state.set = runner.loop;
    rondo_thread_state.owns_set = false;
    rc = run_main(&runner, coroutine, context);
    char message[256]; /* of the failure, before anything else fails */
    snprintf(message, sizeof message, "%s",
             rondo_last_error() == rc ? rondo_last_error_message() : rondo_strerror(rc));
    cancel_all_tasks(runner.loop);
    rondo_thread_state.set = outer;
    rondo_thread_state.owns_set = owns_outer;
    rondo_loop_free(runner.loop);
    return rc < 0 ? rondo_fail_text(rc, message) : rc;
}
