/* SPDX-License-Identifier: MIT */
/* An intrusive doubly linked ring: O(1) removal from the middle, safe to ask whether linked. */
#ifndef RONDO_BASE_LIST_H
#define RONDO_BASE_LIST_H

#include <stdbool.h>

struct rondo_link {
    struct rondo_link *next;
    struct rondo_link *previous;
};

/* An empty ring, or a member that is in none, points to itself. */
static inline void rondo_link_init(struct rondo_link *link)
{
    link->next = link->previous = link;
}

static inline bool rondo_link_is_alone(const struct rondo_link *link)
{
    return link->next == link;
}

static inline void rondo_link_append(struct rondo_link *ring, struct rondo_link *link)
{
    link->next = ring;
    link->previous = ring->previous;
    ring->previous->next = link;
    ring->previous = link;
}

static inline void rondo_link_remove(struct rondo_link *link)
{
    link->next->previous = link->previous;
    link->previous->next = link->next;
    rondo_link_init(link);
}

#endif
