/* SPDX-License-Identifier: MIT */
/* The ready queue: one FIFO for everything that user code can hang on.
 *
 * Whatever is to run (a call_soon, a due timer, a finished operation, a step of a task) embeds a
 * struct rondo_ready. Queueing links it, running it calls `run`; there is no branch on its kind.
 * A node is in at most one list at a time. After `run` was called the node belongs to its owner
 * again: `run` may free it or queue it anew. */
#ifndef RONDO_BASE_READY_H
#define RONDO_BASE_READY_H

#include <stdbool.h>
#include <stddef.h>

struct rondo_core;
struct rondo_ready;

typedef void rondo_run_fn(struct rondo_ready *self, struct rondo_core *core);

struct rondo_ready {
    struct rondo_ready *next;
    rondo_run_fn *run;
};

struct rondo_ready_list {
    struct rondo_ready *head;
    struct rondo_ready **tail; /* where the next node is linked: &head when empty */
};

/* The part of a loop that the backends see; the first member of struct rondo_loop. */
struct rondo_core {
    struct rondo_ready_list queue; /* what runs in the next batch */
    struct rondo_driver *driver;
    /* Whether the next pass, were it to begin now, would find nothing to run but what the driver has, and the wait of this pass found
     * the node alone; NULL: no. Asked in a node's run. */
    bool (*is_idle)(struct rondo_core *core);
    /* Bytes that a driver is delivering piece by piece, and which stay in place until it says lent_over: what is written of them in
     * between may go out together then. NULL: there are none. */
    const unsigned char *lent, *lent_end;
    void (*lent_over)(struct rondo_core *core); /* set by whoever writes some of them; else NULL */
};

static inline bool rondo_core_lends(const struct rondo_core *core, const void *data)
{
    const unsigned char *bytes = data;
    return core->lent && bytes >= core->lent && bytes < core->lent_end;
}

static inline void rondo_ready_list_init(struct rondo_ready_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

static inline bool rondo_ready_list_is_empty(const struct rondo_ready_list *list)
{
    return list->head == NULL;
}

static inline void rondo_ready_list_append(struct rondo_ready_list *list, struct rondo_ready *node)
{
    node->next = NULL;
    *list->tail = node;
    list->tail = &node->next;
}

/* Move everything in @from behind what is in @to; @from is empty afterwards. */
static inline void rondo_ready_list_splice(struct rondo_ready_list *to, struct rondo_ready_list *from)
{
    if (rondo_ready_list_is_empty(from))
        return;
    *to->tail = from->head;
    to->tail = from->tail;
    rondo_ready_list_init(from);
}

static inline struct rondo_ready *rondo_ready_list_pop(struct rondo_ready_list *list)
{
    struct rondo_ready *node = list->head;
    if (node && !(list->head = node->next))
        list->tail = &list->head;
    return node;
}

#endif
