/* SPDX-License-Identifier: MIT */
/* epoll(7) as a poller: level-triggered, one array of events for each wait.
 *
 * Waits with nanoseconds where the kernel has epoll_pwait2 (5.11), else with milliseconds, rounded up. Failures: epoll_create1 or
 * eventfd refused. Invariant: the wake channel is registered with a cookie that no descriptor can have.
 *
 * What a program closes while it is watched, and keeps open under another number (a child has it, or dup), stays in the
 * set and cannot be named any more. It shows when it is ready; then everything moves to a new set. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../platform/socket.h"
#include "../platform/wake.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"
#include "reactor.h"

#define WAKE_COOKIE UINT64_MAX
#define BOTH_SIDES (RONDO_POLL_READ | RONDO_POLL_WRITE)
#define FIRST_EVENTS 256
#define MOST_EVENTS 65536

_Static_assert((int) EPOLLIN == (int) RONDO_POLL_READ && (int) EPOLLOUT == (int) RONDO_POLL_WRITE,
               "sides are epoll's own bits");

struct rondo_poller {
    struct rondo_reactor *reactor;
    rondo_allocator allocator;
    struct epoll_event *events;
    int capacity;
    int watched; /* descriptors: so many events can come at once */
    int descriptor;
    bool has_pwait2;
    bool has_copies; /* the program shares descriptors with a child, or has others for the same */
    struct rondo_wake wake;
};

static void epoll_close(struct rondo_poller *self)
{
    rondo_allocator allocator = self->allocator;
    if (self->wake.reader >= 0)
        rondo_wake_close(&self->wake);
    if (self->descriptor >= 0)
        close(self->descriptor);
    rondo_release(&allocator, self->events);
    rondo_release(&allocator, self);
}

static int pwait2(struct rondo_poller *self, const struct timespec *timeout)
{
    return (int) syscall(SYS_epoll_pwait2, self->descriptor, self->events, self->capacity, timeout, NULL,
                         (size_t) 0);
}

/* A set with nothing but the wake channel in it, in place of the one that is there. */
static int open_set(struct rondo_poller *self)
{
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (descriptor < 0)
        return rondo_fail_what(rondo_error_from_system(errno), "epoll_create1");
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE_COOKIE };
    if (epoll_ctl(descriptor, EPOLL_CTL_ADD, self->wake.reader, &event) < 0) {
        int number = errno;
        close(descriptor);
        return rondo_fail_what(rondo_error_from_system(number), "the wake descriptor cannot be watched");
    }
    if (self->descriptor >= 0)
        close(self->descriptor);
    self->descriptor = descriptor;
    self->watched = 0;
    return 0;
}

static int epoll_start(struct rondo_poller *self)
{
    int rc = rondo_wake_open(&self->wake);
    if (rc < 0) {
        self->wake.reader = -1;
        return rondo_fail_what(rc, "no descriptor for waking the loop");
    }
    if ((rc = open_set(self)) < 0)
        return rc;
    struct timespec none = { 0, 0 };
    self->has_pwait2 = pwait2(self, &none) >= 0;
    return 0;
}

static int epoll_open(const rondo_allocator *allocator, struct rondo_reactor *reactor,
                      struct rondo_poller **ret_poller)
{
    struct rondo_poller *self = rondo_allocate_zeroed(allocator, sizeof(*self));
    if (!self)
        return rondo_fail(RONDO_ENOMEM, NULL);
    self->reactor = reactor;
    self->allocator = *allocator;
    self->descriptor = -1;
    self->wake.reader = -1;
    self->capacity = FIRST_EVENTS;
    self->events = rondo_allocate(allocator, FIRST_EVENTS * sizeof(*self->events));
    int rc = self->events ? epoll_start(self) : rondo_fail(RONDO_ENOMEM, NULL);
    if (rc < 0) {
        epoll_close(self);
        return rc;
    }
    *ret_poller = self;
    return 0;
}

static int epoll_change(struct rondo_poller *self, rondo_socket sock, uint64_t cookie, unsigned from,
                        unsigned to)
{
    struct epoll_event event = { .events = to, .data.u64 = cookie };
    int verb = !from ? EPOLL_CTL_ADD : to ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    int more = !from ? 1 : to ? 0 : -1;
    if (epoll_ctl(self->descriptor, verb, sock, &event) == 0 || verb == EPOLL_CTL_DEL) {
        self->watched += more; /* a removal cannot fail: what was closed behind our back is gone already */
        return 0;
    }
    if (verb == EPOLL_CTL_MOD && errno == ENOENT &&
        epoll_ctl(self->descriptor, EPOLL_CTL_ADD, sock, &event) == 0)
        return 0; /* closed and opened again behind our back */
    if (verb == EPOLL_CTL_ADD && errno == EEXIST &&
        epoll_ctl(self->descriptor, EPOLL_CTL_MOD, sock, &event) == 0) {
        self->watched++; /* closed, and back as a copy of a copy of its own */
        return 0;
    }
    return rondo_fail(rondo_error_from_system(errno), NULL);
}

static int wait_once(struct rondo_poller *self, rondo_ns timeout)
{
    if (timeout <= 0)
        return epoll_wait(self->descriptor, self->events, self->capacity, timeout < 0 ? -1 : 0);
    if (self->has_pwait2) {
        struct timespec span = { .tv_sec = timeout / RONDO_S(1), .tv_nsec = (long) (timeout % RONDO_S(1)) };
        return pwait2(self, &span);
    }
    rondo_ns milliseconds = (timeout - 1) / RONDO_MS(1) + 1;
    return epoll_wait(self->descriptor, self->events, self->capacity,
                      milliseconds < INT32_MAX ? (int) milliseconds : INT32_MAX);
}

/* Room for all descriptors and the wake channel at once; without it, the wait makes do with less. */
static void grow_events(struct rondo_poller *self)
{
    int capacity = self->capacity;
    while (capacity <= self->watched && capacity < MOST_EVENTS)
        capacity *= 2;
    struct epoll_event *events = rondo_allocate(&self->allocator, (size_t) capacity * sizeof(*self->events));
    if (!events)
        return;
    rondo_release(&self->allocator, self->events); /* nothing is copied: pages that were never used stay so */
    self->events = events;
    self->capacity = capacity;
}

/* Closing a descriptor removes it, unless there is a copy: a call is saved until the first copy has shown. */
static void epoll_forget(struct rondo_poller *self, rondo_socket sock, unsigned from)
{
    if (self->has_copies)
        epoll_change(self, sock, 0, from, 0);
    else
        self->watched--;
}

static int epoll_renew(struct rondo_poller *self)
{
    self->has_copies = true;
    return open_set(self);
}

static int epoll_poll(struct rondo_poller *self, rondo_ns timeout)
{
    if (self->capacity <= self->watched && self->capacity < MOST_EVENTS)
        grow_events(self);
    int count = wait_once(self, timeout);
    if (count < 0)
        return errno == EINTR ? 0 : rondo_fail_what(rondo_error_from_system(errno), "epoll_wait");
    struct rondo_reactor *reactor = self->reactor;
    const struct epoll_event *end = self->events + count;
    for (const struct epoll_event *event = self->events; event < end; event++) {
        unsigned sides = event->events & ~(uint32_t) BOTH_SIDES ? BOTH_SIDES : event->events;
        if (event->data.u64 == WAKE_COOKIE)
            rondo_wake_drain(&self->wake);
        else
            rondo_reactor_notify(reactor, event->data.u64, sides);
    }
    return 0;
}

static void epoll_wake(struct rondo_poller *self)
{
    rondo_wake_signal(&self->wake);
}

static const char *epoll_describe(struct rondo_poller *self)
{
    return self->has_pwait2 ? "level-triggered, epoll_pwait2 (nanoseconds)"
                            : "level-triggered, epoll_wait (milliseconds)";
}

static const struct rondo_poller_ops epoll_poller = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .change = epoll_change,
    .forget = epoll_forget,
    .wait = epoll_poll,
    .renew = epoll_renew,
    .wake = epoll_wake,
    .describe = epoll_describe,
};

static int epoll_open_driver(const struct rondo_driver_config *config, struct rondo_core *core,
                             struct rondo_driver **ret_driver);

const struct rondo_driver_ops rondo_driver_epoll = {
    .name = "epoll",
    .backend = RONDO_BACKEND_EPOLL,
    .capabilities = RONDO_REACTOR_CAPABILITIES,
    .open = epoll_open_driver,
    RONDO_REACTOR_VERBS,
};

static int epoll_open_driver(const struct rondo_driver_config *config, struct rondo_core *core,
                             struct rondo_driver **ret_driver)
{
    return rondo_reactor_open(&rondo_driver_epoll, &epoll_poller, config, core, ret_driver);
}
