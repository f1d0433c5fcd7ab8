/* SPDX-License-Identifier: MIT */
/* Ctrl+C on its way from a signal handler, or a thread of the system's, to the loop's thread: two atomics and a wake. */
#include "../../platform/interrupt.h"

#include "loop.h"

static void on_interrupt(void *context)
{
    rondo_loop *loop = context;
    atomic_fetch_add(&loop->interrupts, 1);
    atomic_store(&loop->interrupted, true);
    loop->core.driver->ops->wake(loop->core.driver);
}

bool rondo_loop_watch_interrupt(rondo_loop *loop,
                                void (*take)(rondo_loop *loop, unsigned count, void *context), void *context)
{
    atomic_store(&loop->interrupts, 0);
    loop->on_interrupt = take;
    loop->on_interrupt_context = context;
    return rondo_thread_is_main() && rondo_interrupt_watch(on_interrupt, loop) == 0;
}

void rondo_loop_unwatch_interrupt(rondo_loop *loop)
{
    rondo_interrupt_unwatch();
    loop->on_interrupt = NULL;
}

void rondo_loop_take_interrupt(rondo_loop *loop)
{
    atomic_store(&loop->interrupted, false);
    if (loop->on_interrupt)
        loop->on_interrupt(loop, atomic_load(&loop->interrupts), loop->on_interrupt_context);
}
