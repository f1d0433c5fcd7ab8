/* SPDX-License-Identifier: MIT */
/** Types that every other header needs: time, allocator, callback. */
#ifndef RONDO_TYPES_H
#define RONDO_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rondo/export.h>

RONDO_BEGIN_DECLS

typedef struct rondo_loop rondo_loop;
typedef struct rondo_future rondo_future;
typedef struct rondo_transport rondo_transport;
typedef struct rondo_protocol rondo_protocol;
typedef struct rondo_server rondo_server;

/** A task is a future that a coroutine completes: every call that takes a future takes a task. */
typedef rondo_future rondo_task;

/** A time or a span in nanoseconds, signed. */
typedef int64_t rondo_ns;

#define RONDO_US(n) (1000 * (rondo_ns) (n))
#define RONDO_MS(n) (1000000 * (rondo_ns) (n))
#define RONDO_S(n) (1000000000 * (rondo_ns) (n))
/** As a span: for ever. */
#define RONDO_FOREVER INT64_MAX

/** A queued function; @context is what was given with it. */
typedef void rondo_callback(void *context);

/** Releases @context; called exactly once, on the loop's thread. */
typedef void rondo_destructor(void *context);

/** Where memory comes from. The three functions follow malloc, realloc and free; any of them
 *  may be called from the loop's thread and, for call_soon_threadsafe, from any thread. */
typedef struct rondo_allocator {
    size_t size; /**< sizeof(rondo_allocator) */
    void *(*allocate)(void *context, size_t size);
    void *(*reallocate)(void *context, void *block, size_t size);
    void (*release)(void *context, void *block);
    void *context;
} rondo_allocator;

RONDO_END_DECLS

#endif
