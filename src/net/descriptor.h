/* SPDX-License-Identifier: MIT */
/* The table of descriptors: who is told when one is ready, and which transport owns it. */
#ifndef RONDO_NET_DESCRIPTOR_H
#define RONDO_NET_DESCRIPTOR_H

#include "net.h"

enum rondo_side_number { RONDO_SIDE_READ, RONDO_SIDE_WRITE };

struct rondo_side;
struct rondo_watch;

/* What differs between those who watch: callbacks of the program, and low-level socket operations. */
struct rondo_watch_type {
    /* The side is ready; once a pass. */
    void (*ready)(struct rondo_side *side);
    /* @watch is off the side, and for the last time mentioned: RONDO_EBUSY another one has taken its place, or
     * the descriptor is the library's; RONDO_ECLOSED the loop closes; else the error for which the descriptor cannot be watched any more. */
    void (*ended)(struct rondo_side *side, const struct rondo_watch *watch, int reason);
};

struct rondo_watch {
    const struct rondo_watch_type *type; /* NULL: nobody watches */
    rondo_callback *callback;
    void *context;
    rondo_destructor *destroy;
    const char *name;
};

/* One side of a descriptor. */
struct rondo_side {
    struct rondo_op op; /* active exactly while somebody watches */
    rondo_loop *loop;
    struct rondo_watch watch;
    bool *gone; /* while the callback of `watch` runs: set when it is taken off */
};

struct rondo_descriptor {
    struct rondo_side sides[2]; /* enum rondo_side_number */
    bool is_closing;            /* by the library, right now: nobody is to watch it */
};

/* The transport that owns @sock and is not closing, or NULL. */
rondo_transport *rondo_descriptor_owner(rondo_loop *loop, rondo_socket sock);

/* RONDO_EBUSY where a transport owns @sock, even one that is closing, or a server: a second one would close what is not its own. */
int rondo_descriptor_check_free(rondo_loop *loop, rondo_socket sock);

/* The same right before a transport or a server is made: where @sock has an owner already *@sock becomes invalid, as it is not ours
 * to close. It was given twice, or closed behind its owner's back, and is the number of another socket now. */
int rondo_descriptor_take(rondo_loop *loop, rondo_socket *sock);

/* The side of @sock that somebody watches, or NULL. */
struct rondo_side *rondo_descriptor_watched(rondo_loop *loop, rondo_socket sock,
                                            enum rondo_side_number number);

/* Have @watch told, in place of whoever was there; *ret_side (may be NULL) is its side. An error, with its words, is that of
 * the descriptor or of memory: then nobody watches that side. */
int rondo_descriptor_watch(rondo_loop *loop, rondo_socket sock, enum rondo_side_number number,
                           const struct rondo_watch *watch, struct rondo_side **ret_side);

/* Take whoever watches off the side, without a word. */
void rondo_side_clear(struct rondo_side *side);

/* The library has come by @sock: what is watched under this number is over. */
void rondo_descriptor_enter(rondo_loop *loop, rondo_socket sock);
/* The same, for a transport or a server. Room for it was reserved before: 0, or RONDO_ENOMEM. */
int rondo_descriptor_reserve(rondo_loop *loop, rondo_socket sock);
/* Take and reserve, for a server. */
int rondo_descriptor_claim(rondo_loop *loop, rondo_socket *sock);
void rondo_descriptor_own(rondo_loop *loop, rondo_socket sock);
/* It is about to close it. */
void rondo_descriptor_leave(rondo_loop *loop, rondo_socket sock);

void rondo_descriptors_close(rondo_loop *loop);
void rondo_descriptors_free(rondo_loop *loop);

#endif
