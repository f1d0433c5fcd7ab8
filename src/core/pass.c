/* SPDX-License-Identifier: MIT */
/* One pass of the loop, and the run that repeats it.
 *
 * A pass: wait for I/O; queue the mail of other threads, then what completed, then the timers that are due; run the
 * batch that stands now. What the batch queues waits for the next pass. The wait does not block when anything is
 * queued or a stop is pending. Failures: the backend's wait (the run ends with its error), and an
 * interrupt raised by a callback (the rest of the batch stays queued, in order). */
#include "../../platform/clock.h"

#include "loop.h"

#define LONGEST_WAIT RONDO_S(86400) /* asyncio's MAXIMUM_SELECT_TIMEOUT */

static rondo_ns wait_time(rondo_loop *loop)
{
    if (!rondo_ready_list_is_empty(&loop->core.queue) || loop->stopping || rondo_inbox_has_mail(&loop->inbox))
        return 0;
    if (!loop->timers.count)
        return -1;
    rondo_ns deadline = rondo_timers_deadline(loop);
    if (deadline == RONDO_FOREVER)
        return -1;
    rondo_ns now = rondo_loop_time(loop);
    if (deadline <= now)
        return 0;
    return deadline - now < LONGEST_WAIT ? deadline - now : LONGEST_WAIT;
}

static inline bool is_interrupted(rondo_loop *loop)
{
    return atomic_load_explicit(&loop->interrupted, memory_order_relaxed);
}

/* Poll without sleeping for a while before going to sleep: a program that asked for it pays a core for latency. What is
 * spent is real time, whatever clock the loop has. A poll may take in the wake of an interrupt, so that the wait would
 * no longer see it. */
static int spin(rondo_loop *loop, rondo_ns *timeout, struct rondo_ready_list *completed)
{
    struct rondo_driver *driver = loop->core.driver;
    rondo_ns start = rondo_clock_now();
    rondo_ns limit = *timeout >= 0 && *timeout < loop->spin_ns ? *timeout : loop->spin_ns;
    rondo_ns spent = 0;
    while (spent < limit) {
        int rc = driver->ops->wait(driver, 0, completed);
        if (rc < 0 || !rondo_ready_list_is_empty(completed) || rondo_inbox_has_mail(&loop->inbox) ||
            is_interrupted(loop)) {
            *timeout = 0;
            return rc;
        }
        spent = rondo_clock_now() - start;
    }
    if (*timeout > 0)
        *timeout = *timeout > spent ? *timeout - spent : 0;
    return 0;
}

/* The wait of a pass that may sleep. */
static int wait_long(rondo_loop *loop, rondo_ns timeout, struct rondo_ready_list *completed)
{
    struct rondo_driver *driver = loop->core.driver;
    if (loop->spin_ns > 0) {
        int rc = spin(loop, &timeout, completed);
        if (rc < 0 || timeout == 0)
            return rc;
    }
    if (!rondo_inbox_sleep(&loop->inbox))
        return driver->ops->wait(driver, 0, completed);
    loop->metrics.waits++;
    int rc = driver->ops->wait(driver, timeout, completed);
    rondo_inbox_awake(&loop->inbox);
    return rc;
}

/* An interrupt leaves the rest of the batch at the head of the queue. */
static void keep_rest(rondo_loop *loop)
{
    if (rondo_ready_list_is_empty(&loop->batch)) {
        rondo_ready_list_init(&loop->batch);
        return;
    }
    rondo_ready_list_splice(&loop->batch, &loop->core.queue);
    rondo_ready_list_splice(&loop->core.queue, &loop->batch);
}

static void run_timed(rondo_loop *loop, struct rondo_ready *node)
{
    loop->callback_name = NULL;
    rondo_ns start = rondo_loop_time(loop);
    node->run(node, &loop->core);
    rondo_ns spent = rondo_loop_time(loop) - start;
    if (spent >= loop->slow_callback_duration)
        rondo_log(RONDO_LOG_WARNING, "Executing <%s> took %.3f seconds",
                  loop->callback_name ? loop->callback_name : "callback", (double) spent / 1e9);
}

/* Debug mode may be switched on or off by any callback. */
static void run_slowly(rondo_loop *loop, struct rondo_ready *node)
{
    if (loop->debug)
        run_timed(loop, node);
    else
        node->run(node, &loop->core);
}

/* The others that the wait found have probably more to come, and their turn comes first. */
bool rondo_loop_is_idle(struct rondo_core *core)
{
    const rondo_loop *loop = rondo_loop_of(core);
    if (loop->is_crowded || loop->debug || loop->batch.head || core->queue.head || loop->stopping ||
        loop->interrupt)
        return false;
    if (rondo_inbox_has_mail(&loop->inbox) || atomic_load_explicit(&loop->interrupted, memory_order_relaxed))
        return false;
    return !loop->timers.count || rondo_timers_deadline(rondo_loop_of(core)) > rondo_loop_time(loop);
}

/* Inline, as is the pass: each return that lies between a switch to a task and the next one is one that the processor
 * predicts wrongly. */
rondo_inlined void run_batch(rondo_loop *loop)
{
    rondo_ready_list_splice(&loop->batch, &loop->core.queue);
    bool is_debug = loop->debug;
    uint64_t count = 0;
    struct rondo_ready *node;
    while ((node = loop->batch.head)) {
        loop->batch.head = node->next;
        rondo_prefetch(node->next);
        count++;
        if (is_debug)
            run_slowly(loop, node);
        else
            node->run(node, &loop->core);
        if (loop->interrupt)
            break;
    }
    loop->metrics.callbacks += count;
    if (!node)
        rondo_ready_list_init(&loop->batch);
    else
        keep_rest(loop);
}

void rondo_run_batch(rondo_loop *loop)
{
    run_batch(loop);
}

/* One turn: the code of an interrupt or of the backend. */
rondo_inlined int run_pass(rondo_loop *loop)
{
    struct rondo_driver *driver = loop->core.driver;
    struct rondo_ready_list completed;
    rondo_ready_list_init(&completed);
    loop->metrics.passes++;
    int rc = 0;
    rondo_ns timeout = wait_time(loop);
    if (timeout != 0)
        rc = wait_long(loop, timeout, &completed);
    else if (!driver->is_quiet)
        rc = driver->ops->wait(driver, 0, &completed);
    if (rondo_inbox_has_mail(&loop->inbox))
        rondo_loop_take_mail(loop);
    loop->is_crowded = driver->completions - loop->metrics.completions > 1;
    loop->metrics.completions = driver->completions;
    rondo_ready_list_splice(&loop->core.queue, &completed); /* behind the mail, before the timers */
    if (loop->timers.count)
        rondo_timers_expire(loop);
    if (rc < 0)
        return rc;
    if (is_interrupted(loop))
        rondo_loop_take_interrupt(loop);
    run_batch(loop);
    return loop->interrupt;
}

static int enter_run(rondo_loop *loop)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    if (loop->closed)
        return rondo_fail(RONDO_ECLOSED, "the loop is closed");
    if (loop->process != rondo_process_self())
        return rondo_fail(RONDO_EFORKED, "the loop was made by the parent process; make a new one");
    if (loop->running)
        return rondo_fail(RONDO_ERUNNING, "this loop is running already");
    if (rondo_loop_of_thread())
        return rondo_fail(RONDO_ERUNNING, "another loop is running on this thread");
    loop->running = true;
    loop->thread = rondo_thread_self();
    rondo_thread_state.running = loop;
    return 0;
}

static void leave_run(rondo_loop *loop)
{
    loop->running = false;
    loop->stopping = false;
    loop->interrupt = 0;
    loop->raised = 0;
    rondo_thread_state.running = NULL;
}

int rondo_loop_run_forever(rondo_loop *loop)
{
    int rc = enter_run(loop);
    if (rc < 0)
        return rc;
    do
        rc = run_pass(loop);
    while (rc == 0 && !loop->stopping);
    leave_run(loop);
    return rc;
}

void rondo_loop_stop(rondo_loop *loop)
{
    if (loop)
        loop->stopping = true;
}
