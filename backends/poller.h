/* SPDX-License-Identifier: MIT */
/* The readiness contract: five verbs. What a selector backend must provide; reactor.c makes a driver
 * of it. Level-triggered. One entry for each descriptor, with a read and a write side. */
#ifndef RONDO_BACKENDS_POLLER_H
#define RONDO_BACKENDS_POLLER_H

#include <rondo/types.h>

struct rondo_reactor;
struct rondo_poller;

/* The values are those of EPOLLIN and EPOLLOUT, and of POLLIN and POLLOUT on most systems: nothing to translate. */
enum { RONDO_POLL_READ = 1, RONDO_POLL_WRITE = 4 };

struct rondo_poller_ops {
    const char *name;
    int (*open)(const rondo_allocator *allocator, struct rondo_reactor *reactor,
                struct rondo_poller **ret_poller);
    void (*close)(struct rondo_poller *poller);
    /* Change the interest in @sock from @from to @to (or of RONDO_POLL_*; 0: not registered). @cookie comes back
     * with each event; its lower half is @sock (removing: 0). Removing a descriptor that was closed behind our
     * back is no error; adding one that cannot be polled is RONDO_EPERM. */
    int (*change)(struct rondo_poller *poller, rondo_socket sock, uint64_t cookie, unsigned from,
                  unsigned to);
    /* @sock, registered with @from, is about to be closed: as a change to 0, but where closing removes it nothing need
     * be done. Its cookie is not used again. NULL: a change it is. */
    void (*forget)(struct rondo_poller *poller, rondo_socket sock, unsigned from);
    /* Wait as the driver's wait does, and call rondo_reactor_notify for each descriptor that is ready.
     * Hang-up and error count as both sides. */
    int (*wait)(struct rondo_poller *poller, rondo_ns timeout);
    /* The error that came with an event of @sock, once; 0 for none. For systems where telling it with the event takes it away
     * from the socket, so it counts where the socket has none to tell. NULL: events come without. */
    int (*take_error)(struct rondo_poller *poller, rondo_socket sock);
    /* Begin anew with nothing registered: there was an event of a cookie that is not used any more, so something keeps open
     * and watched what was closed here, a child's copy of the descriptor. Everything is registered again after it. NULL
     * where that cannot be. */
    int (*renew)(struct rondo_poller *poller);
    /* Any thread, async-signal-safe. */
    void (*wake)(struct rondo_poller *poller);
    /* What it found on this machine; static or borrowed from the poller. */
    const char *(*describe)(struct rondo_poller *poller);
};

/* @sides of the descriptor registered with @cookie are ready. */
void rondo_reactor_notify(struct rondo_reactor *reactor, uint64_t cookie, unsigned sides);

#endif
