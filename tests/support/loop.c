/* SPDX-License-Identifier: MIT */
/* Loops for tests, and virtual time.
 *
 * Virtual time: the loop reads its clock before it sleeps and again when it has slept. The clock looks
 * at the loop's count of sleeps and goes on by one tick for each, so a timer n ticks away fires after n
 * short sleeps, and no time passes while there is something to run. Failures: a loop that cannot be made
 * fails the case. Invariant: there is one virtual clock, for one loop at a time. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static struct {
    rondo_loop *loop;
    rondo_ns now;
    uint64_t waits;
} virtual_clock;

rondo_loop *support_loop_with(const rondo_loop_options *options)
{
    rondo_loop_options copy = *options;
    if (copy.backend == RONDO_BACKEND_AUTO)
        copy.backend = support_backend();
    if (!copy.allocator)
        copy.allocator = &support_allocator;
    rondo_loop *loop = NULL;
    int rc = rondo_loop_new(&copy, &loop);
    if (rc < 0) {
        ck_abort_msg("no loop on %s: %s (%s)", support_backend_name(), rondo_err_name(rc),
                     rondo_last_error_message());
        abort(); /* not reached: for programs without a Check runner, and the compiler */
    }
    rondo_loop_set_exception_handler(loop, support_record, NULL);
    return loop;
}

rondo_loop *support_loop(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    return support_loop_with(&options);
}

rondo_loop *support_extended_loop(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.extended = true;
    return support_loop_with(&options);
}

void support_loop_end(rondo_loop *loop)
{
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    if (virtual_clock.loop == loop)
        virtual_clock.loop = NULL;
}

void support_run(rondo_loop *loop)
{
    ck_assert_int_eq(rondo_loop_run_forever(loop), 0);
}

void support_run_passes(rondo_loop *loop, int passes)
{
    for (int i = 0; i < passes; i++) {
        rondo_loop_stop(loop);
        support_run(loop);
    }
}

uint64_t support_passes(rondo_loop *loop)
{
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &metrics), 0);
    return metrics.passes;
}

static rondo_ns read_virtual_clock(void *context)
{
    (void) context;
    if (!virtual_clock.loop)
        return virtual_clock.now;
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    rondo_loop_get_metrics(virtual_clock.loop, &metrics);
    if (metrics.waits != virtual_clock.waits) {
        virtual_clock.waits = metrics.waits;
        virtual_clock.now += SUPPORT_TICK;
    }
    return virtual_clock.now;
}

rondo_loop *support_virtual_loop(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.clock = read_virtual_clock;
    virtual_clock.loop = NULL;
    virtual_clock.now = TICKS(1000);
    virtual_clock.waits = 0;
    virtual_clock.loop = support_loop_with(&options);
    return virtual_clock.loop;
}

void support_clock_advance(rondo_ns span)
{
    virtual_clock.now += span;
}
