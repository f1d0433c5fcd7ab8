/* SPDX-License-Identifier: MIT */
/* The loop's own structure and what the rooms above it may use. */
#ifndef RONDO_CORE_LOOP_H
#define RONDO_CORE_LOOP_H

#include <stdatomic.h>

#include <rondo/loop.h>
#include <rondo/resolve.h>
#include <rondo/task.h>

#include "../../backends/driver.h"
#include "../base/chunk.h"
#include "../base/container.h"
#include "../base/error.h"
#include "../base/heap.h"
#include "../base/list.h"
#include "../base/memory.h"
#include "../base/ready.h"
#include "inbox.h"
#include "slots.h"

struct rondo_coroutine_pool;
struct rondo_descriptor;
struct rondo_flow_pool;
struct rondo_output;
struct rondo_resolver_pool;

/* Many timers that a pass has found due at once: a node that runs them one after another. */
struct rondo_due {
    struct rondo_ready ready;
    struct rondo_heap_entry *entries; /* in order; those that were cancelled since are stale */
    size_t next;                      /* the first that has not run */
    size_t count;
    void *block; /* the memory of the entries; NULL: there are none */
    rondo_ns now;
    uint32_t order; /* the last that was given when they were found */
};

struct rondo_loop {
    struct rondo_core core; /* first: nodes are run with it */

    /* --- touched by every pass and every callback */
    bool guarded; /* a call must look closer: closed, in debug mode, or mail may be waiting unseen */
    bool closed;
    bool running;
    bool stopping;
    bool debug;
    bool is_crowded;           /* the wait of this pass found more than one operation to go on with */
    int raised;                /* the code of rondo_raise in the callback that runs; 0: none */
    int interrupt;             /* what ends the run at once; 0: nothing */
    unsigned nesting;          /* protocol callbacks that run inside a task's or a callback's call */
    const char *callback_name; /* of the callback that runs, for debug mode */
    struct rondo_slots slots;
    struct rondo_slot mail; /* FREE, or it stands for mail in the queue */
    struct rondo_heap timers;
    size_t live_timers;
    uint32_t timer_order;
    struct rondo_due due;
    rondo_allocator allocator;
    rondo_ns (*clock)(void *context);
    void *clock_context;
    rondo_ns spin_ns;
    struct rondo_ready_list batch; /* what is left of the batch that runs */
    rondo_loop_metrics metrics;

    /* --- rooms above */
    struct rondo_link transports;
    struct rondo_link servers;
    struct rondo_descriptor **descriptors; /* what is watched, in ranges of numbers; NULL: nothing in there */
    size_t descriptor_ranges;
    unsigned char *owned;    /* a bit for each descriptor that is a transport's */
    size_t owned_size;       /* in bytes */
    struct rondo_link tasks; /* every task that is not done */
    struct rondo_link gathers;
    struct rondo_flow_pool *flows;
    struct rondo_coroutine_pool *coroutines;
    struct rondo_resolver_pool *resolvers;
    rondo_resolver *resolver; /* set by the program; NULL: the system's */
    void *resolver_user;
    rondo_task_factory *task_factory;
    void *task_factory_user;
    uint32_t gather_stamp;
    struct rondo_chunk_pool chunks;
    struct rondo_output *outputs;      /* a pool of them */
    struct rondo_output *lent_outputs; /* those that name bytes which a driver lends */

    /* --- seldom */
    atomic_bool interrupted; /* the user wants the program to end; set with a wake from a signal handler */
    atomic_uint interrupts;  /* how many times since the watch began */
    void (*on_interrupt)(rondo_loop *loop, unsigned count, void *context); /* called in the next pass then */
    void *on_interrupt_context;
    rondo_loop_options options;
    rondo_exception_handler *exception_handler;
    void *exception_handler_user;
    rondo_ns slow_callback_duration;
    char *fallback_reason;
    uintptr_t thread;  /* that runs it, while it runs */
    uintptr_t process; /* that made it */
    char raised_message[256];

    struct rondo_inbox inbox;
};

static inline rondo_loop *rondo_loop_of(struct rondo_core *core)
{
    return rondo_container(core, rondo_loop, core);
}

static inline void rondo_loop_queue(rondo_loop *loop, struct rondo_ready *node)
{
    rondo_ready_list_append(&loop->core.queue, node);
}

void rondo_loop_take_mail(rondo_loop *loop); /* calls.c */

/* What other threads have sent, and our own between runs, stands before what is queued now. */
static inline void rondo_loop_take_mail_first(rondo_loop *loop)
{
    if (rondo_inbox_has_mail(&loop->inbox))
        rondo_loop_take_mail(loop);
}

/* For what asyncio queues, too: a callback may know that another thread has sent something before. */
static inline void rondo_loop_queue_in_turn(rondo_loop *loop, struct rondo_ready *node)
{
    rondo_loop_take_mail_first(loop);
    rondo_loop_queue(loop, node);
}

/* What every loop-thread call begins with: 0, or RONDO_EINVAL for NULL, RONDO_ECLOSED, RONDO_ETHREAD in
 * debug mode, with words for rondo_last_error_message. */
int rondo_loop_check(rondo_loop *loop);

/* The calls below the public ones: an internal timer or queued call. Same errors. */
int rondo_loop_timer(rondo_loop *loop, rondo_ns when, rondo_handle *ret_handle, rondo_callback *callback,
                     void *context);

/* A deadline @delay from now; never overflows. */
rondo_ns rondo_loop_deadline(const rondo_loop *loop, rondo_ns delay);

/* --- failing callbacks (rondo_raise) */

/* Whether the callback that just returned raised something: its code, 0 for nothing; clears it. *ret_message is
 * borrowed until the next raise. Called after each user callback. Also turns RONDO_EINTERRUPTED into the end of the
 * run: then 0 is returned. */
int rondo_loop_take_raised_slow(rondo_loop *loop, const char **ret_message);

static inline int rondo_loop_take_raised(rondo_loop *loop, const char **ret_message)
{
    return loop->raised ? rondo_loop_take_raised_slow(loop, ret_message) : 0;
}

/* End the run at once with @code. */
void rondo_loop_interrupt(rondo_loop *loop, int code);

/* The node that runs has more to do: it comes next again, before the rest of the batch. */
static inline void rondo_loop_run_again(rondo_loop *loop, struct rondo_ready *node)
{
    node->next = loop->batch.head;
    loop->batch.head = node;
}

/* Hand a failure to the exception handler: @context has everything but `size`. */
void rondo_loop_report(rondo_loop *loop, rondo_exception_context context);

/* --- the pieces of loop.c's life, each in its file */
void rondo_calls_drop(rondo_loop *loop);          /* calls.c: release every call that is left, uncalled */
rondo_ns rondo_timers_deadline(rondo_loop *loop); /* timers.c: earliest live deadline, RONDO_FOREVER */
void rondo_timers_expire(rondo_loop *loop);       /* timers.c: queue what is due */
void rondo_timer_cancel(rondo_loop *loop, struct rondo_slot *slot); /* timers.c: take it off the books */
bool rondo_timer_is_due(const rondo_loop *loop, const struct rondo_slot *slot); /* timers.c: found due */
int rondo_timer_move(rondo_loop *loop, struct rondo_slot *slot, rondo_ns when); /* timers.c: one not due */
void rondo_slot_run(struct rondo_ready *node, struct rondo_core *core);         /* calls.c */
void rondo_run_batch(rondo_loop *loop);                                         /* pass.c */
bool rondo_loop_is_idle(struct rondo_core *core);                               /* pass.c: core->is_idle */

/* --- what the rooms above do when a loop closes; called by rondo_loop_close and rondo_loop_free */
void rondo_tasks_close(rondo_loop *loop);     /* src/async: report and destroy pending tasks */
void rondo_gathers_free(rondo_loop *loop);    /* src/async: those whose members will never be done */
void rondo_coroutines_free(rondo_loop *loop); /* src/async */
void rondo_net_close(rondo_loop *loop);       /* src/net: servers and transports end */
void rondo_net_free(rondo_loop *loop);        /* src/net */

/* interrupt.c: have Ctrl+C call @take on the loop's thread, in the pass that it wakes, until it is unwatched. Returns whether it
 * does: not off the main thread, nor where the program has a handler of its own. */
bool rondo_loop_watch_interrupt(rondo_loop *loop,
                                void (*take)(rondo_loop *loop, unsigned count, void *context), void *context);
void rondo_loop_unwatch_interrupt(rondo_loop *loop);
void rondo_loop_take_interrupt(rondo_loop *loop); /* called by a pass that finds loop->interrupted */

/* --- the loop of this thread (current.c) */
struct rondo_thread_state {
    rondo_loop *running;
    rondo_loop *set;     /* by rondo_loop_set_current */
    bool owns_set;       /* made by rondo_loop_current */
    void *coroutine;     /* the coroutine that runs (src/async) */
    rondo_loop *calling; /* whose nested callback runs; its loop need not run */
};
extern _Thread_local struct rondo_thread_state rondo_thread_state;

/* Around a function of the program's that is called inside another call, a task's too, or while the loop does not
 * run: rondo_raise in it is a failure of it, and one that whoever called it has raised before stays aside. Leave returns the
 * code of its failure, 0 for none, as rondo_loop_take_raised does; the message is good as long as @nested. */
struct rondo_nested {
    rondo_loop *outer;
    int raised;        /* before it, by the caller */
    char message[256]; /* then of that, and in the end of its own failure */
};

void rondo_nested_keep_raised(rondo_loop *loop, struct rondo_nested *nested);
int rondo_nested_take_raised(rondo_loop *loop, struct rondo_nested *nested, const char **ret_message);

static inline void rondo_nested_enter(rondo_loop *loop, struct rondo_nested *nested)
{
    nested->outer = rondo_thread_state.calling;
    nested->raised = loop->raised;
    if (nested->raised)
        rondo_nested_keep_raised(loop, nested);
    rondo_thread_state.calling = loop;
    loop->nesting++;
}

static inline int rondo_nested_leave(rondo_loop *loop, struct rondo_nested *nested, const char **ret_message)
{
    loop->nesting--;
    rondo_thread_state.calling = nested->outer;
    return loop->raised || nested->raised ? rondo_nested_take_raised(loop, nested, ret_message) : 0;
}

/* rondo_loop_running for asking: that there is none is no failure. */
rondo_loop *rondo_loop_of_thread(void);

/* Write one line to the log. Any thread. */
void rondo_log(rondo_log_level level, const char *format, ...) RONDO_PRINTF(2, 3);

#endif
