/* SPDX-License-Identifier: MIT */
/* Making and ending a loop, and its plain questions.
 *
 * The happy path: options are checked, a backend is chosen and opened, the loop is empty and not running.
 * close ends the rooms from the top down (tasks, transports, calls), lets the kernel give back what is in flight, and
 * closes the driver; free releases the memory. Failures: a bad option, a backend that cannot run, no memory. */
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#include "../../platform/clock.h"
#include "../../platform/thread.h"
#include "choose.h"
#include "flow.h"

static rondo_ns system_clock(void *context)
{
    (void) context;
    return rondo_clock_now();
}

/* Copy what the caller's version of the structure has. */
static int read_options(const rondo_loop_options *given, rondo_loop_options *options)
{
    *options = RONDO_LOOP_OPTIONS;
    if (!given)
        return 0;
    if (given->size < offsetof(rondo_loop_options, fallback) || given->size > 4096)
        return rondo_fail(RONDO_EINVAL,
                          "the size of the loop's options is not set; start from RONDO_LOOP_OPTIONS");
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    if ((int) options->backend < 0 || options->backend > RONDO_BACKEND_IOCP)
        return rondo_fail(RONDO_EINVAL, "no such backend: %d", (int) options->backend);
    if (options->spin_ns < 0)
        return rondo_fail(RONDO_EINVAL, "spin_ns is negative");
    const rondo_allocator *allocator = options->allocator;
    if (allocator && (!allocator->allocate || !allocator->reallocate || !allocator->release))
        return rondo_fail(RONDO_EINVAL, "the allocator lacks a function");
    return 0;
}

static bool environment_says(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static void init_loop(rondo_loop *loop, const rondo_loop_options *options, const rondo_allocator *allocator)
{
    loop->allocator = *allocator;
    loop->options = *options;
    loop->clock = options->clock ? options->clock : system_clock;
    loop->clock_context = options->clock_context;
    loop->spin_ns = options->spin_ns;
    loop->slow_callback_duration = RONDO_MS(100);
    loop->process = rondo_process_self();
    rondo_ready_list_init(&loop->core.queue);
    rondo_ready_list_init(&loop->batch);
    loop->core.is_idle = rondo_loop_is_idle;
    rondo_link_init(&loop->transports);
    rondo_link_init(&loop->servers);
    rondo_link_init(&loop->tasks);
    rondo_link_init(&loop->gathers);
    rondo_loop_set_debug(loop, environment_says("RONDO_DEBUG") || environment_says("PYTHONASYNCIODEBUG"));
}

int rondo_loop_new(const rondo_loop_options *given, rondo_loop **ret_loop)
{
    rondo_loop_options options;
    int rc = read_options(given, &options);
    if (rc < 0)
        return rc;
    if (!ret_loop)
        return rondo_fail(RONDO_EINVAL, "no place for the loop given");
    const rondo_allocator *allocator = options.allocator ? options.allocator : &rondo_allocator_default;
    rondo_loop *loop = rondo_allocate_zeroed(allocator, sizeof(*loop));
    if (!loop)
        return rondo_fail(RONDO_ENOMEM, NULL);
    init_loop(loop, &options, allocator);
    rc = rondo_inbox_init(&loop->inbox);
    if (rc < 0) {
        rondo_release(allocator, loop);
        return rondo_fail(rc, NULL);
    }
    rc = rondo_choose_driver(&loop->options, &loop->allocator, &loop->core, &loop->fallback_reason);
    if (rc < 0) {
        rondo_allocator copy = loop->allocator;
        rondo_inbox_free(&loop->inbox, &copy);
        rondo_release(&copy, loop);
        return rc;
    }
    *ret_loop = loop;
    return 0;
}

/* Nodes of operations that were cancelled complete here; user code no longer runs but for connection_lost. */
static void settle(rondo_loop *loop)
{
    struct rondo_driver *driver = loop->core.driver;
    while (driver->active || !rondo_ready_list_is_empty(&loop->core.queue)) {
        struct rondo_ready_list completed;
        rondo_ready_list_init(&completed);
        bool block = rondo_ready_list_is_empty(&loop->core.queue);
        if (driver->ops->wait(driver, block ? -1 : 0, &completed) < 0)
            break;
        rondo_ready_list_splice(&loop->core.queue, &completed);
        rondo_run_batch(loop);
        loop->interrupt = 0;
    }
}

int rondo_loop_close(rondo_loop *loop)
{
    if (!loop)
        return rondo_fail(RONDO_EINVAL, "no loop given");
    if (loop->closed)
        return 0;
    if (loop->process != rondo_process_self()) /* it would take the parent's connections with it */
        return rondo_fail(RONDO_EFORKED, "the loop was made by the parent process; leave it alone");
    if (loop->running)
        return rondo_fail(RONDO_ERUNNING, "a running loop cannot be closed");
    rondo_inbox_close(&loop->inbox);
    loop->closed = true;
    loop->guarded = true;
    rondo_calls_drop(loop);
    rondo_tasks_close(loop);
    rondo_net_close(loop);
    settle(loop);
    loop->core.driver->ops->close(loop->core.driver);
    loop->core.driver = NULL;
    return 0;
}

int rondo_loop_free(rondo_loop *loop)
{
    if (!loop)
        return 0;
    if (loop->closed && loop->core.driver) /* a callback of rondo_loop_close */
        return rondo_fail(RONDO_ERUNNING, "a loop cannot be freed while it closes");
    int rc = rondo_loop_close(loop);
    if (rc < 0)
        return rc;
    rondo_allocator allocator = loop->allocator;
    rondo_net_free(loop);
    rondo_gathers_free(loop);
    rondo_coroutines_free(loop);
    rondo_flows_free(loop);
    rondo_chunk_pool_free(&loop->chunks, &allocator);
    rondo_slots_free(&loop->slots, &allocator);
    rondo_heap_free(&loop->timers, &allocator);
    rondo_release(&allocator, loop->due.block);
    rondo_inbox_free(&loop->inbox, &allocator);
    rondo_release(&allocator, loop->fallback_reason);
    if (rondo_thread_state.set == loop)
        rondo_thread_state.set = NULL;
    rondo_release(&allocator, loop);
    return 0;
}

bool rondo_loop_is_running(const rondo_loop *loop)
{
    return loop && loop->running;
}

bool rondo_loop_is_closed(const rondo_loop *loop)
{
    return loop && loop->closed;
}

bool rondo_loop_get_debug(const rondo_loop *loop)
{
    return loop && loop->debug;
}

void rondo_loop_set_debug(rondo_loop *loop, bool enabled)
{
    if (!loop)
        return;
    loop->debug = enabled;
    loop->guarded = loop->debug || loop->closed;
}

rondo_ns rondo_loop_get_slow_callback_duration(const rondo_loop *loop)
{
    return loop ? loop->slow_callback_duration : 0;
}

void rondo_loop_set_slow_callback_duration(rondo_loop *loop, rondo_ns duration)
{
    if (loop)
        loop->slow_callback_duration = duration;
}

int rondo_loop_get_metrics(const rondo_loop *loop, rondo_loop_metrics *ret_metrics)
{
    if (!loop || !ret_metrics || !ret_metrics->size)
        return rondo_fail(RONDO_EINVAL, "no loop or no metrics given, or their size is not set");
    size_t size = ret_metrics->size;
    rondo_loop_metrics metrics = loop->metrics;
    memcpy(ret_metrics, &metrics, size < sizeof metrics ? size : sizeof metrics);
    ret_metrics->size = size;
    return 0;
}
