/* SPDX-License-Identifier: MIT */
/* poll(2) as a poller, for every Unix: the array that the kernel looks through, kept from wait to wait.
 *
 * Happy path: a descriptor has one slot in the array, found through an index by descriptor, so a change costs no
 * system call (but a look at what is added) and no search. A removed slot is filled with the last one. What is found
 * is reported from another place in the array each time: who came first in one wait comes last in the next, so
 * that whoever hands out something scarce in this order, such as the last free descriptors, starves nobody.
 * Waits with nanoseconds where there is ppoll(2), else with milliseconds, rounded up.
 *
 * The kernel looks at all that it is given, so among ten thousand descriptors that are idle the busy ones would wait for them
 * in each pass. Where there are many, a wait looks at the busy ones, which stand in front, and at a part of the others,
 * the next time at the next part; only when a whole round of parts has found nothing it sleeps over all of them. Who has
 * reported nothing for a round is busy no more. So each descriptor is looked at once in PARTS waits at least.
 *
 * Failures: no memory for a slot; a wake channel refused. A descriptor that was closed behind our back is reported
 * as ready on both sides: the operation that waits for it then finds out.
 * Invariants: slot 0 is the wake channel; indices[d] is the slot of descriptor d, 0 for none; the busy ones are slots 1 to
 * `busy`. */
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
#define FEW ((size_t) 1024) /* slots up to which all are looked at in each wait: a third of a millisecond */
#define PARTS ((size_t) 64)
#define LEAST_PART ((size_t) 64) /* slots */

/* What goes with a slot. */
struct note {
    uint64_t cookie;
    bool has_reported; /* since the round began */
};

struct rondo_poller {
    struct rondo_reactor *reactor;
    rondo_allocator allocator;
    struct pollfd *slots;
    struct note *notes; /* by slot */
    size_t count;
    size_t capacity;
    size_t *indices; /* by descriptor */
    size_t index_count;
    size_t first; /* where to begin with reporting */
    size_t busy;
    size_t next;           /* the slot at which the next part begins */
    struct pollfd *picked; /* copies of the slots that a wait looks at, where these are not all */
    size_t picked_capacity;
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
    struct note *notes = rondo_reallocate(&self->allocator, self->notes, capacity * sizeof(*notes));
    if (!notes)
        return rondo_fail(RONDO_ENOMEM, NULL);
    self->notes = notes;
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
    self->notes[self->count] = (struct note){ 0 };
    self->indices[sock] = self->count++;
    return 0;
}

static void move(struct rondo_poller *self, size_t from, size_t to)
{
    self->slots[to] = self->slots[from];
    self->notes[to] = self->notes[from];
    self->indices[self->slots[to].fd] = to;
}

static void exchange(struct rondo_poller *self, size_t one, size_t other)
{
    struct pollfd slot = self->slots[one];
    struct note note = self->notes[one];
    move(self, other, one);
    self->slots[other] = slot;
    self->notes[other] = note;
    self->indices[slot.fd] = other;
}

static void drop(struct rondo_poller *self, rondo_socket sock)
{
    size_t slot = self->indices[sock];
    if (slot <= self->busy) { /* the last of the busy ones takes its place, and gives it its own */
        exchange(self, slot, self->busy);
        slot = self->busy--;
    }
    size_t last = --self->count;
    if (slot != last)
        move(self, last, slot);
    self->indices[sock] = 0;
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
    self->notes[slot].cookie = cookie;
    return 0;
}

/* --- waiting ---------------------------------------------------------------------------------------- */

#if defined(RONDO_HAVE_PPOLL)

static int wait_once(struct pollfd *slots, size_t count, rondo_ns timeout)
{
    struct timespec span = { .tv_sec = (time_t) (timeout / RONDO_S(1)),
                             .tv_nsec = (long) (timeout % RONDO_S(1)) };
    return ppoll(slots, (nfds_t) count, timeout < 0 ? NULL : &span, NULL);
}

#else

static int wait_once(struct pollfd *slots, size_t count, rondo_ns timeout)
{
    rondo_ns milliseconds = timeout < 0 ? -1 : timeout / RONDO_MS(1) + (timeout % RONDO_MS(1) != 0);
    return poll(slots, (nfds_t) count, milliseconds < INT_MAX ? (int) milliseconds : INT_MAX);
}

#endif

/* Whatever is not the one side is the other: hang-up, error and a closed descriptor are both. */
static void report(struct rondo_poller *self, const struct pollfd *slot)
{
    unsigned found = (unsigned short) slot->revents;
    unsigned sides = found & ~(unsigned) POLLOUT ? RONDO_POLL_READ : 0;
    if (found & ~(unsigned) POLLIN)
        sides |= RONDO_POLL_WRITE;
    struct note *note = &self->notes[self->indices[slot->fd]];
    note->has_reported = true;
    rondo_reactor_notify(self->reactor, note->cookie, sides);
}

/* What was found among @slots, of which the first is the wake channel. */
static void report_all(struct rondo_poller *self, const struct pollfd *slots, size_t count, int found)
{
    if (found > 0 && slots[0].revents) {
        rondo_wake_drain(&self->wake);
        found--;
    }
    size_t at = self->first < count ? self->first : 1;
    bool is_first = true;
    for (size_t i = 1; i < count && found > 0; i++, at = at + 1 < count ? at + 1 : 1) {
        if (!slots[at].revents)
            continue;
        if (is_first)
            self->first = at + 1;
        is_first = false;
        found--;
        report(self, &slots[at]);
    }
}

/* --- a part at a time --------------------------------------------------------------------------------- */

static size_t part_size(const struct rondo_poller *self)
{
    size_t part = self->count / PARTS;
    return part > LEAST_PART ? part : LEAST_PART;
}

/* False, without memory for it or where so many are busy that it makes no difference: look at all. */
static bool goes_by_parts(struct rondo_poller *self)
{
    size_t wanted = 1 + self->busy + part_size(self);
    if (self->count <= FEW || wanted > self->count / 2)
        return false;
    if (wanted <= self->picked_capacity)
        return true;
    struct pollfd *picked = rondo_reallocate(&self->allocator, self->picked, self->count * sizeof(*picked));
    if (!picked)
        return false;
    self->picked = picked;
    self->picked_capacity = self->count;
    return true;
}

/* The wake channel, the busy ones and the next part of the others; returns how many. */
static size_t pick(struct rondo_poller *self)
{
    size_t front = 1 + self->busy;
    size_t part = part_size(self);
    if (self->next < front)
        self->next = front;
    if (part > self->count - self->next)
        part = self->count - self->next;
    memcpy(self->picked, self->slots, front * sizeof(*self->picked));
    memcpy(self->picked + front, self->slots + self->next, part * sizeof(*self->picked));
    self->next += part;
    return front + part;
}

/* Who has reported stands in front. @picked may be the slots themselves: what comes to a place that is behind was seen. */
static void promote(struct rondo_poller *self, const struct pollfd *picked, size_t count)
{
    for (size_t i = self->busy + 1; i < count; i++)
        if (picked[i].revents)
            exchange(self, self->indices[picked[i].fd], ++self->busy);
}

static void end_round(struct rondo_poller *self)
{
    for (size_t slot = self->busy; slot > 0; slot--) {
        if (!self->notes[slot].has_reported)
            exchange(self, slot, self->busy--);
        else
            self->notes[slot].has_reported = false;
    }
    self->next = 0;
}

/* As wait_once over one part, and reported. */
static int look_at_part(struct rondo_poller *self)
{
    size_t count = pick(self);
    int found = wait_once(self->picked, count, 0);
    if (found > 0) {
        report_all(self, self->picked, count, found);
        promote(self, self->picked, count);
    }
    if (self->next >= self->count)
        end_round(self);
    return found;
}

/* 0: nothing is ready anywhere, and the wait may sleep. */
static int look_at_parts(struct rondo_poller *self, bool may_sleep)
{
    int found;
    size_t parts = self->count / part_size(self) + 1;
    do
        found = look_at_part(self);
    while (found == 0 && may_sleep && --parts > 0);
    return found;
}

static int explain_failure(void)
{
    return errno == EINTR ? 0 : rondo_fail_what(rondo_error_from_system(errno), "poll");
}

static int poll_wait(struct rondo_poller *self, rondo_ns timeout)
{
    bool by_parts = goes_by_parts(self);
    if (by_parts) {
        int found = look_at_parts(self, timeout != 0);
        if (found < 0)
            return explain_failure();
        if (found > 0 || timeout == 0)
            return 0;
    }
    int found = wait_once(self->slots, self->count, timeout);
    if (found < 0)
        return explain_failure();
    report_all(self, self->slots, self->count, found);
    if (by_parts)
        promote(self, self->slots, self->count);
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
    rondo_release(&allocator, self->notes);
    rondo_release(&allocator, self->picked);
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
        return rondo_fail_what(rc, "no descriptor for waking the loop");
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
