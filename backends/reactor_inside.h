/* SPDX-License-Identifier: MIT */
/* The inside of the reactor, shared by its two files: reactor.c (which op waits for what) and reactor_ops.c (what an op does
 * when its turn has come). */
#ifndef RONDO_BACKENDS_REACTOR_INSIDE_H
#define RONDO_BACKENDS_REACTOR_INSIDE_H

#include "../src/base/container.h"
#include "datagrams.h"
#include "reactor.h"

enum { RONDO_READING, RONDO_WRITING };

/* What an op's `flags` say. */
enum {
    RONDO_IS_QUEUED = 1,
    RONDO_IS_FAILED = 2,
    RONDO_IS_STALE = 4, /* paused and resumed since it was queued: as in asyncio, only the next wait counts */
    RONDO_IS_HELD = 8   /* the queue that it stands in is `held` */
};

/* One descriptor. */
struct rondo_reactor_entry {
    struct rondo_op *ops[2]; /* RONDO_READING, RONDO_WRITING */
    uint32_t generation;     /* of a borrowed descriptor that has an identity: that */
    uint8_t registered;      /* RONDO_POLL_*, as the poller knows it */
    uint8_t spurious;        /* sides that reported with nobody there: to be dropped */
    bool is_dirty;           /* in the list of changes */
    bool is_borrowed;        /* the last op on it was: the program may have closed it when no op is there */
};

struct rondo_reactor {
    struct rondo_driver driver;
    const struct rondo_poller_ops *poller_ops;
    struct rondo_poller *poller;
    rondo_allocator allocator;
    struct rondo_reactor_entry *entries; /* by descriptor */
    size_t entry_count;
    rondo_socket *changes; /* descriptors whose interest may have changed */
    size_t change_count;
    size_t change_capacity;
    struct rondo_ready_list *completed; /* of the wait that goes on */
    size_t registered_count;            /* descriptors that the poller watches */
    bool is_haunted;                    /* the poller has told of a descriptor that was closed */
    size_t scratch_size;
    unsigned char *scratch;
    void *scratch_block;
    struct rondo_datagram_pool datagrams;
    struct rondo_ready_list
        held; /* ops that have received more than they could tell: they run in the next pass */
};

static inline struct rondo_reactor *rondo_reactor_of(struct rondo_driver *driver)
{
    return rondo_container(driver, struct rondo_reactor, driver);
}

/* --- reactor.c ------------------------------------------------------------------------------------- */

/* The side of @op, which is paused, has reported: the interest goes until somebody wants it again. */
void rondo_reactor_rest(struct rondo_reactor *reactor, struct rondo_op *op);

/* The last completion. The op is its owner's again when complete is called. */
void rondo_reactor_retire(struct rondo_reactor *reactor, struct rondo_op *op, ptrdiff_t result);

/* Have @op run in the next pass as if its side were found ready. */
void rondo_reactor_hold(struct rondo_reactor *reactor, struct rondo_op *op);

/* --- reactor_ops.c ---------------------------------------------------------------------------------- */

/* RONDO_READING or RONDO_WRITING. */
int rondo_reactor_side_of(const struct rondo_op *op);

/* What runs for an op whose side was found ready. */
extern rondo_run_fn *const rondo_reactor_run_of_kind[];

#endif
