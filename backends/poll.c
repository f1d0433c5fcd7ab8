/* SPDX-License-Identifier: MIT */
/* poll(2) as a poller, for every Unix: the array that the kernel looks through, kept from wait to wait.
 *
 * Happy path: a descriptor has one slot in the array, found through an index by descriptor, so a change costs no
 * system call (but a look at what is added) and no search. A removed slot is filled with the last one. What is found
 * is reported from another place in the array each time: who came first in one wait comes last in the next, so
 * that whoever hands out something scarce in this order, such as the last free descriptors, starves nobody.
 * Waits with nanoseconds where there is ppoll(2), else with milliseconds, rounded up.
 *
 * Failures: no memory for a slot; a wake channel refused. A descriptor that was closed behind our back is reported
 * as ready on both sides: the operation that waits for it then finds out.
 * Invariants: slot 0 is the wake channel; indices[d] is the slot of descriptor d, 0 for none. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "../platform/socket.h"
#include "../platform/wake.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"
#include "pollable.h"
#include "reactor.h"

#define FIRST_SLOTS 64

struct rondo_poller {
    struct rondo_reactor *reactor;
    rondo_allocator allocator;
    struct pollfd *slots;
    uint64_t *cookies; /* by slot */
    size_t count;
    size_t capacity;
    size_t *indices; /* by descriptor */
    size_t index_count;
    size_t first; /* the slot to report first */
    struct rondo_wake wake;
};

/* --- slots ------------------------------------------------------------------------------------------ */

static int reserve_slot(struct rondo_poller *self)
{
    if (self->count < self->capacity)
        return 0;
    size_t capacity = self->capacity ? self->capacity * 2 : FIRST_SLOTS;
    struct pollfd *slots = rondo_reallocate(&self->allocator, self->slots, capacity * sizeof(*slots));
    if (!slots)
        return rondo_fail(RONDO_ENOMEM, NULL);
    self->slots = slots;
    uint64_t *cookies = rondo_reallocate(&self->allocator, self->cookies, capacity * sizeof(*cookies));
    if (!cookies)
        return rondo_fail(RONDO_ENOMEM, NULL);
    self->cookies = cookies;
    self->capacity = capacity;
    return 0;
}

static int reserve_index(struct rondo_poller *self, rondo_socket sock)
{
    size_t count = self->index_count ? self->index_count : FIRST_SLOTS;
    while (count <= (size_t) sock)
        count *= 2;
    if (count == self->index_count)
        return 0;
    size_t *indices = rondo_reallocate(&self->allocator, self->indices, count * sizeof(*indices));
    if (!indices)
        return rondo_fail(RONDO_ENOMEM, NULL);
    memset(indices + self->index_count, 0, (count - self->index_count) * sizeof(*indices));
    self->indices = indices;
    self->index_count = count;
    return 0;
}

static int add(struct rondo_poller *self, rondo_socket sock)
{
    int rc = reserve_slot(self);
    if (rc == 0)
        rc = reserve_index(self, sock);
    if (rc < 0)
        return rc;
    self->slots[self->count] = (struct pollfd){ .fd = sock };
    self->indices[sock] = self->count++;
    return 0;
}

static void drop(struct rondo_poller *self, rondo_socket sock)
{
    size_t slot = self->indices[sock];
    size_t last = --self->count;
    self->indices[sock] = 0;
    if (slot == last)
        return;
    self->slots[slot] = self->slots[last];
    self->cookies[slot] = self->cookies[last];
    self->indices[self->slots[slot].fd] = slot;
}

static int poll_change(struct rondo_poller *self, rondo_socket sock, uint64_t cookie, unsigned from,
                       unsigned to)
{
    if (!to) {
        drop(self, sock);
        return 0;
    }
    int rc = 0;
    if (!from && (rc = rondo_pollable_check(sock)) == 0)
        rc = add(self, sock);
    if (rc < 0)
        return rc;
    size_t slot = self->indices[sock];
    self->slots[slot].events =
        (short) ((to & RONDO_POLL_READ ? POLLIN : 0) | (to & RONDO_POLL_WRITE ? POLLOUT : 0));
    self->cookies[slot] = cookie;
    return 0;
}

/* --- waiting ---------------------------------------------------------------------------------------- */

#if defined(RONDO_HAVE_PPOLL)

static int wait_once(struct rondo_poller *self, rondo_ns timeout)
{
    struct timespec span = { .tv_sec = (time_t) (timeout / RONDO_S(1)),
                             .tv_nsec = (long) (timeout % RONDO_S(1)) };
    return ppoll(self->slots, (nfds_t) self->count, timeout < 0 ? NULL : &span, NULL);
}

#else

static int wait_once(struct rondo_poller *self, rondo_ns timeout)
{
    rondo_ns milliseconds = timeout < 0 ? -1 : timeout / RONDO_MS(1) + (timeout % RONDO_MS(1) != 0);
    return poll(self->slots, (nfds_t) self->count, milliseconds < INT_MAX ? (int) milliseconds : INT_MAX);
}

#endif

/* Whatever is not the one side is the other: hang-up, error and a closed descriptor are both. */
static void report(struct rondo_poller *self, size_t slot)
{
    unsigned found = (unsigned short) self->slots[slot].revents;
    unsigned sides = found & ~(unsigned) POLLOUT ? RONDO_POLL_READ : 0;
    if (found & ~(unsigned) POLLIN)
        sides |= RONDO_POLL_WRITE;
    rondo_reactor_notify(self->reactor, self->cookies[slot], sides);
}

static int poll_wait(struct rondo_poller *self, rondo_ns timeout)
{
    int found = wait_once(self, timeout);
    if (found < 0)
        return errno == EINTR ? 0 : rondo_fail(rondo_error_from_system(errno), "poll failed");
    if (found > 0 && self->slots[0].revents) {
        rondo_wake_drain(&self->wake);
        found--;
    }
    size_t slot = self->first < self->count ? self->first : 1;
    bool is_first = true;
    for (size_t i = 1; i < self->count && found > 0; i++, slot = slot + 1 < self->count ? slot + 1 : 1) {
        if (!self->slots[slot].revents)
            continue;
        if (is_first)
            self->first = slot + 1;
        is_first = false;
        found--;
        report(self, slot);
    }
    return 0;
}

static void poll_wake(struct rondo_poller *self)
{
    rondo_wake_signal(&self->wake);
}

/* --- opening and closing ----------------------------------------------------------------------------- */

static void poll_close(struct rondo_poller *self)
{
    rondo_allocator allocator = self->allocator;
    if (self->wake.reader != RONDO_INVALID_SOCKET)
        rondo_wake_close(&self->wake);
    rondo_release(&allocator, self->slots);
    rondo_release(&allocator, self->cookies);
    rondo_release(&allocator, self->indices);
    rondo_release(&allocator, self);
}

static int poll_start(struct rondo_poller *self)
{
    int rc = reserve_slot(self);
    if (rc < 0)
        return rc;
    rc = rondo_wake_open(&self->wake);
    if (rc < 0) {
        self->wake.reader = RONDO_INVALID_SOCKET;
        return rondo_fail(rc, "no descriptor for waking the loop");
    }
    self->slots[0] = (struct pollfd){ .fd = self->wake.reader, .events = POLLIN };
    self->count = 1;
    self->first = 1;
    return 0;
}

static int poll_open(const rondo_allocator *allocator, struct rondo_reactor *reactor,
                     struct rondo_poller **ret_poller)
{
    struct rondo_poller *self = rondo_allocate_zeroed(allocator, sizeof(*self));
    if (!self)
        return rondo_fail(RONDO_ENOMEM, NULL);
    self->reactor = reactor;
    self->allocator = *allocator;
    self->wake.reader = RONDO_INVALID_SOCKET;
    int rc = poll_start(self);
    if (rc < 0) {
        poll_close(self);
        return rc;
    }
    *ret_poller = self;
    return 0;
}

static const char *poll_describe(struct rondo_poller *self)
{
    (void) self;
#if defined(RONDO_HAVE_PPOLL)
    return "ppoll (nanoseconds)";
#else
    return "poll (milliseconds)";
#endif
}

static const struct rondo_poller_ops poll_poller = {
    .name = "poll",
    .open = poll_open,
    .close = poll_close,
    .change = poll_change,
    .wait = poll_wait,
    .wake = poll_wake,
    .describe = poll_describe,
};

static int poll_open_driver(const struct rondo_driver_config *config, struct rondo_core *core,
                            struct rondo_driver **ret_driver);

const struct rondo_driver_ops rondo_driver_poll = {
    .name = "poll",
    .backend = RONDO_BACKEND_POLL,
    .capabilities = RONDO_REACTOR_CAPABILITIES,
    .open = poll_open_driver,
    RONDO_REACTOR_VERBS,
};

static int poll_open_driver(const struct rondo_driver_config *config, struct rondo_core *core,
                            struct rondo_driver **ret_driver)
{
    return rondo_reactor_open(&rondo_driver_poll, &poll_poller, config, core, ret_driver);
}
