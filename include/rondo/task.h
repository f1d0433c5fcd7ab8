/* SPDX-License-Identifier: MIT */
/** Tasks (18.5.1.5): plain C functions that may await anywhere.
 *
 *  A task runs on a stack of its own, on the loop's thread, and gives way only inside
 *  rondo_await and rondo_yield. A task lives until its function has returned, whether or not anybody holds a
 *  reference to it. A task is a future: rondo_future_cancel, rondo_future_result and the rest apply. */
#ifndef RONDO_TASK_H
#define RONDO_TASK_H

#include <rondo/future.h>
#include <rondo/loop.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** The body of a task. Returns 0 or a positive number, or a negative error; to return
 *  RONDO_ECANCELLED after a cancellation is to be cancelled. */
typedef int rondo_coroutine(void *context);

/** Make a task of @coroutine and queue its first step (create_task, 18.5.1.5); goes through the task
 *  factory. One reference. NULL with RONDO_ECLOSED, RONDO_EINVAL, RONDO_ENOMEM or the factory's error. */
RONDO_API rondo_task *rondo_create_task(rondo_loop *loop, rondo_coroutine *coroutine, void *context);

/** Makes the future that create_task returns. Returns a future with one reference, or NULL after
 *  rondo_raise. Usually wraps rondo_task_new. */
typedef rondo_future *rondo_task_factory(rondo_loop *loop, rondo_coroutine *coroutine, void *context,
                                         void *user);

/** Install @factory (18.5.1.5); NULL brings the default back. */
RONDO_API int rondo_loop_set_task_factory(rondo_loop *loop, rondo_task_factory *factory, void *user);

/** The factory and its user pointer (@ret_user may be NULL); NULL for the default. */
RONDO_API rondo_task_factory *rondo_loop_get_task_factory(const rondo_loop *loop, void **ret_user);

/** A task with options. */
typedef struct rondo_task_options {
    size_t size;       /**< sizeof(rondo_task_options) */
    size_t stack_size; /**< bytes; 0: the loop's */
    const char *name;  /**< for reports; must outlive the task; may be NULL */
} rondo_task_options;

/** The default factory: create_task past any factory that is installed. @options may be NULL. */
RONDO_API rondo_task *rondo_task_new(rondo_loop *loop, const rondo_task_options *options,
                                     rondo_coroutine *coroutine, void *context);

/** Wait for @future inside a task (`await`). Consumes the caller's reference.
 *  A future that is done continues without giving way. Returns what rondo_future_result would, with
 *  the value in @ret_value (may be NULL). A value that the future owns is taken out of it: the caller
 *  owns it. An error's text is in rondo_last_error_message.
 *  RONDO_ECANCELLED when the task, or the future, was cancelled; RONDO_ENOTASK outside of a task,
 *  RONDO_ESELF on itself, RONDO_EFOREIGN for another loop's; a NULL future gives the error of the call that
 *  returned it. */
RONDO_API int rondo_await(rondo_future *future, void **ret_value);

/** Give way once (`await sleep(0)`): what is queued now runs before this task goes on.
 *  Returns 0; RONDO_ECANCELLED; RONDO_ENOTASK. */
RONDO_API int rondo_yield(void);

/** The task that runs now, borrowed; NULL outside of one (asyncio.current_task). */
RONDO_API rondo_task *rondo_task_current(void);

/** Inside a task: the value that its future will carry besides the number returned.
 *  @destroy (may be NULL) releases it when nobody takes it. Returns 0; RONDO_ENOTASK. */
RONDO_API int rondo_task_set_value(void *value, rondo_destructor *destroy);

/** Whether @future is a task. */
RONDO_API bool rondo_future_is_task(const rondo_future *future);

/** The name given with the options; "task" without one. */
RONDO_API const char *rondo_task_name(const rondo_task *task);

/** How many cancellations were asked of the task less those taken back (Task.cancelling). */
RONDO_API unsigned rondo_task_cancelling(const rondo_task *task);

/** Take one request for cancellation back (Task.uncancel); returns how many are left. */
RONDO_API unsigned rondo_task_uncancel(rondo_task *task);

/** Create a loop with @options (NULL: defaults), run @coroutine in a task until it has returned, cancel
 *  and wait for the tasks that are left, close and free the loop (asyncio.run). Ctrl+C cancels the
 *  task; a second one ends the run at once. Returns what the coroutine returned, RONDO_EINTERRUPTED after Ctrl+C,
 *  RONDO_ERUNNING inside a running loop, or an error of rondo_loop_new. */
RONDO_API int rondo_run(const rondo_loop_options *options, rondo_coroutine *coroutine, void *context);

RONDO_END_DECLS

#endif
