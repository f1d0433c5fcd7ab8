/* SPDX-License-Identifier: MIT */
/* kqueue(2) as a poller, for the BSDs and macOS: level-triggered filters, one for each side that is watched.
 *
 * Happy path: a change is one call of kevent for each side that comes or goes, so that the operation that needs it
 * learns at once of a refusal; a wait is one call. Reading sides are reported before writing ones, as the two
 * filters of one descriptor come in any order. A waker triggers a user filter, or writes to a pipe on the
 * systems that have no such filter.
 *
 * What systems do: the end of a stream (EV_EOF) may come while there is data, so it only means "read": what is there
 * comes first. On the writing filter it means that nothing will ever be taken, and an error (fflags) ends both sides:
 * these are reported as both. Adding the writing filter to a pipe without a reader is refused with EPIPE,
 * where the other pollers find it ready: it is kept in a list, asked for again in each wait, and reported like theirs.
 * libkqueue asks a socket for its error to put it into the event, and asking takes it away: errors of events are kept
 * until the operation that ends with them takes them, or the descriptor goes.
 * A queue does not survive a fork: in the child another descriptor may have its number, so it is not touched.
 *
 * Failures: kqueue or the wake channel refused; a filter that the descriptor does not have is RONDO_EPERM.
 * Invariants: a filter is there exactly while its side is registered, unless the descriptor was closed behind our
 * back; filters never have EV_CLEAR, EV_ONESHOT or EV_RECEIPT, but for the user filter, which resets itself. */
#define _GNU_SOURCE
#include <sys/types.h>

#include <sys/event.h>
#include <sys/time.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "../platform/socket.h"
#include "../platform/thread.h"
#include "../platform/wake.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"
#include "pollable.h"
#include "reactor.h"

#define FIRST_EVENTS 256
#define MOST_EVENTS 65536
#define WAKE_IDENT 1

/* The type of kevent's counts. */
#if defined(__NetBSD__)
typedef size_t event_count;
#else
typedef int event_count;
#endif

/* An error that came with an event. */
struct told_error {
    rondo_socket sock;
    int number;
};

struct rondo_poller {
    struct rondo_reactor *reactor;
    rondo_allocator allocator;
    struct kevent *events;
    size_t capacity;
    size_t filters; /* that are registered: so many events can come at once */
    int descriptor;
    uintptr_t process; /* that made the queue */
    uint64_t *broken;  /* cookies of pipes that have no reader: their writing filter was refused */
    size_t broken_count;
    size_t broken_capacity;
    struct told_error *errors;
    size_t error_count;
    size_t error_capacity;
    bool has_user_filter;
    struct rondo_wake wake; /* where there is no user filter */
};

/* --- changes ---------------------------------------------------------------------------------------- */

/* A descriptor's number comes back as the event's ident, so only the other half of the cookie travels in udata,
 * which has no more room than that on some systems. */
static struct kevent make_change(rondo_socket sock, uint64_t cookie, unsigned side, unsigned flags)
{
    struct kevent change = { 0 };
    change.ident = (uintptr_t) sock;
    change.filter = side == RONDO_POLL_READ ? EVFILT_READ : EVFILT_WRITE;
    change.flags = (__typeof__(change.flags)) flags;
    change.udata = (__typeof__(change.udata)) (uintptr_t) (cookie >> 32);
    return change;
}

static uint64_t cookie_of(const struct kevent *event)
{
    return (uint64_t) (uintptr_t) event->udata << 32 | (uint32_t) event->ident;
}

/* 0 or the system's error number. */
static int apply(struct rondo_poller *self, const struct kevent *change)
{
    if (self->process != rondo_process_self())
        return EBADF;
    int rc;
    do
        rc = kevent(self->descriptor, change, 1, NULL, 0, NULL);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : 0;
}

static int fail_watching(int number)
{
    switch (number) {
    case EINVAL: /* a device that has no such filter, by system */
    case ENODEV:
    case ENOTTY:
    case ENOTSUP:
#if EOPNOTSUPP != ENOTSUP
    case EOPNOTSUPP:
#endif
    case EPERM:
        return rondo_fail(RONDO_EPERM, "this descriptor cannot be watched");
    default:
        return rondo_fail(rondo_error_from_system(number), NULL);
    }
}

/* Room for one more in a list of @count; NULL: no memory, and the list stays. */
static void *make_room(struct rondo_poller *self, void *list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    size_t wanted = *capacity ? 2 * *capacity : 4;
    void *larger = rondo_reallocate(&self->allocator, list, wanted * size);
    if (larger)
        *capacity = wanted;
    return larger;
}

static int take_told(struct rondo_poller *self, rondo_socket sock)
{
    for (size_t i = 0; i < self->error_count; i++)
        if (self->errors[i].sock == sock) {
            int number = self->errors[i].number;
            self->errors[i] = self->errors[--self->error_count];
            return number;
        }
    return 0;
}

/* Without memory it is lost: the operation ends all the same, as if there were none. */
static void note_error(struct rondo_poller *self, const struct kevent *event)
{
    struct told_error told = { (rondo_socket) event->ident, (int) event->fflags };
    take_told(self, told.sock);
    struct told_error *errors =
        make_room(self, self->errors, self->error_count, &self->error_capacity, sizeof(*errors));
    if (!errors)
        return;
    self->errors = errors;
    self->errors[self->error_count++] = told;
}

static int kqueue_take_error(struct rondo_poller *self, rondo_socket sock)
{
    int number = take_told(self, sock);
    return number ? rondo_error_from_system(number) : 0;
}

static int note_broken(struct rondo_poller *self, uint64_t cookie)
{
    uint64_t *broken =
        make_room(self, self->broken, self->broken_count, &self->broken_capacity, sizeof(*broken));
    if (!broken)
        return rondo_fail(RONDO_ENOMEM, NULL);
    self->broken = broken;
    self->broken[self->broken_count++] = cookie;
    return 0;
}

static bool forget_broken(struct rondo_poller *self, rondo_socket sock)
{
    for (size_t i = 0; i < self->broken_count; i++)
        if ((uint32_t) self->broken[i] == (uint32_t) sock) {
            self->broken[i] = self->broken[--self->broken_count];
            return true;
        }
    return false;
}

static int add_filter(struct rondo_poller *self, rondo_socket sock, uint64_t cookie, unsigned side)
{
    struct kevent change = make_change(sock, cookie, side, EV_ADD);
    int number = apply(self, &change);
    if (number == EPIPE && side == RONDO_POLL_WRITE)
        return note_broken(self, cookie);
    return number ? fail_watching(number) : 0;
}

/* False if the filter was gone already: the descriptor was closed behind our back. */
static bool drop_filter(struct rondo_poller *self, rondo_socket sock, unsigned side)
{
    struct kevent change = make_change(sock, 0, side, EV_DELETE);
    return (side == RONDO_POLL_WRITE && forget_broken(self, sock)) || apply(self, &change) == 0;
}

static int add_filters(struct rondo_poller *self, rondo_socket sock, uint64_t cookie, unsigned sides)
{
    int rc = sides & RONDO_POLL_READ ? add_filter(self, sock, cookie, RONDO_POLL_READ) : 0;
    if (rc < 0 || !(sides & RONDO_POLL_WRITE))
        return rc;
    rc = add_filter(self, sock, cookie, RONDO_POLL_WRITE);
    if (rc < 0 && sides & RONDO_POLL_READ)
        drop_filter(self, sock, RONDO_POLL_READ);
    return rc;
}

static size_t count_sides(unsigned sides)
{
    return (size_t) !!(sides & RONDO_POLL_READ) + (size_t) !!(sides & RONDO_POLL_WRITE);
}

static int kqueue_change(struct rondo_poller *self, rondo_socket sock, uint64_t cookie, unsigned from,
                         unsigned to)
{
    assert(!to || (uint32_t) cookie == (uint32_t) sock);
    int rc = from ? 0 : rondo_pollable_check(sock);
    if (rc == 0)
        rc = add_filters(self, sock, cookie, to & ~from);
    if (rc < 0)
        return rc;
    bool is_known = true;
    for (unsigned side = RONDO_POLL_READ; side <= RONDO_POLL_WRITE; side <<= 1)
        if (from & ~to & side)
            is_known = drop_filter(self, sock, side);
    if (!is_known) /* closed behind our back, perhaps opened again: the side that stays is gone, too */
        rc = add_filters(self, sock, cookie, from & to);
    if (rc == 0)
        self->filters += count_sides(to) - count_sides(from);
    return rc;
}

/* --- waking ----------------------------------------------------------------------------------------- */

#if defined(EVFILT_USER)

static int change_user_filter(struct rondo_poller *self, unsigned flags, unsigned fflags)
{
    struct kevent change = { 0 };
    change.ident = WAKE_IDENT;
    change.filter = EVFILT_USER;
    change.flags = (__typeof__(change.flags)) flags;
    change.fflags = fflags;
    return apply(self, &change);
}

static bool open_user_filter(struct rondo_poller *self)
{
    return change_user_filter(self, EV_ADD | EV_CLEAR, 0) == 0;
}

static void trigger_user_filter(struct rondo_poller *self)
{
    change_user_filter(self, 0, NOTE_TRIGGER);
}

static bool is_user_event(const struct kevent *event)
{
    return event->filter == EVFILT_USER;
}

#else

static bool open_user_filter(struct rondo_poller *self)
{
    (void) self;
    return false;
}

static void trigger_user_filter(struct rondo_poller *self)
{
    (void) self;
}

static bool is_user_event(const struct kevent *event)
{
    (void) event;
    return false;
}

#endif

static int open_wake(struct rondo_poller *self)
{
    self->has_user_filter = open_user_filter(self);
    if (self->has_user_filter)
        return 0;
    int rc = rondo_wake_open(&self->wake);
    if (rc < 0) {
        self->wake.reader = RONDO_INVALID_SOCKET;
        return rondo_fail_what(rc, "no descriptor for waking the loop");
    }
    struct kevent change = make_change(self->wake.reader, 0, RONDO_POLL_READ, EV_ADD);
    int number = apply(self, &change);
    return number ? rondo_fail_what(rondo_error_from_system(number), "the wake descriptor cannot be watched")
                  : 0;
}

static void kqueue_wake(struct rondo_poller *self)
{
    int saved = errno;
    if (self->has_user_filter)
        trigger_user_filter(self);
    else
        rondo_wake_signal(&self->wake);
    errno = saved;
}

/* True if @event was no descriptor's but the waker's. */
static bool take_wake(struct rondo_poller *self, const struct kevent *event)
{
    if (self->has_user_filter)
        return is_user_event(event);
    if (event->ident != (uintptr_t) self->wake.reader)
        return false;
    rondo_wake_drain(&self->wake);
    return true;
}

/* --- waiting ---------------------------------------------------------------------------------------- */

static bool has_error(const struct kevent *event)
{
    return event->flags & EV_EOF && event->fflags;
}

static unsigned sides_of(const struct kevent *event)
{
    bool is_end = event->flags & EV_EOF;
    if (event->flags & EV_ERROR || (is_end && event->filter == EVFILT_WRITE) || has_error(event))
        return RONDO_POLL_READ | RONDO_POLL_WRITE;
    return event->filter == EVFILT_WRITE ? RONDO_POLL_WRITE : RONDO_POLL_READ;
}

/* Room for all filters at once; without it, the wait makes do with less. */
static void reserve_events(struct rondo_poller *self)
{
    size_t capacity = self->capacity;
    while (capacity <= self->filters && capacity < MOST_EVENTS)
        capacity *= 2;
    if (capacity == self->capacity)
        return;
    struct kevent *events = rondo_reallocate(&self->allocator, self->events, capacity * sizeof(*events));
    if (!events)
        return;
    self->events = events;
    self->capacity = capacity;
}

/* A named pipe may have got a reader since: then the filter is taken now. */
static void notify_broken(struct rondo_poller *self)
{
    for (size_t i = self->broken_count; i-- > 0;) {
        uint64_t cookie = self->broken[i];
        struct kevent change =
            make_change((rondo_socket) (uint32_t) cookie, cookie, RONDO_POLL_WRITE, EV_ADD);
        if (apply(self, &change) == EPIPE)
            rondo_reactor_notify(self->reactor, cookie, RONDO_POLL_READ | RONDO_POLL_WRITE);
        else
            self->broken[i] = self->broken[--self->broken_count];
    }
}

static int kqueue_wait(struct rondo_poller *self, rondo_ns timeout)
{
    if (self->process != rondo_process_self())
        return rondo_fail(RONDO_EFORKED, NULL);
    reserve_events(self);
    if (self->broken_count) {
        notify_broken(self);
        timeout = self->broken_count ? 0 : timeout;
    }
    struct timespec span = { .tv_sec = (time_t) (timeout / RONDO_S(1)),
                             .tv_nsec = (long) (timeout % RONDO_S(1)) };
    int count = kevent(self->descriptor, NULL, 0, self->events, (event_count) self->capacity,
                       timeout < 0 ? NULL : &span);
    if (count < 0)
        return errno == EINTR ? 0 : rondo_fail_what(rondo_error_from_system(errno), "kevent");
    for (int i = 0; i < count; i++) {
        const struct kevent *event = &self->events[i];
        if (has_error(event))
            note_error(self, event);
        if (event->filter != EVFILT_WRITE && !take_wake(self, event))
            rondo_reactor_notify(self->reactor, cookie_of(event), sides_of(event));
    }
    for (int i = 0; i < count; i++) {
        const struct kevent *event = &self->events[i];
        if (event->filter == EVFILT_WRITE)
            rondo_reactor_notify(self->reactor, cookie_of(event), sides_of(event));
    }
    return 0;
}

/* --- opening and closing ---------------------------------------------------------------------------- */

static void kqueue_close(struct rondo_poller *self)
{
    rondo_allocator allocator = self->allocator;
    if (self->wake.reader != RONDO_INVALID_SOCKET)
        rondo_wake_close(&self->wake);
    if (self->descriptor >= 0 && self->process == rondo_process_self())
        close(self->descriptor);
    rondo_release(&allocator, self->events);
    rondo_release(&allocator, self->broken);
    rondo_release(&allocator, self->errors);
    rondo_release(&allocator, self);
}

static int kqueue_start(struct rondo_poller *self)
{
    self->descriptor = kqueue();
    if (self->descriptor < 0)
        return rondo_fail_what(rondo_error_from_system(errno), "kqueue");
    self->process = rondo_process_self();
    if (fcntl(self->descriptor, F_SETFD, FD_CLOEXEC) < 0)
        return rondo_fail_what(rondo_error_from_system(errno), "the queue cannot be made close-on-exec");
    return open_wake(self);
}

static int kqueue_open(const rondo_allocator *allocator, struct rondo_reactor *reactor,
                       struct rondo_poller **ret_poller)
{
    struct rondo_poller *self = rondo_allocate_zeroed(allocator, sizeof(*self));
    if (!self)
        return rondo_fail(RONDO_ENOMEM, NULL);
    self->reactor = reactor;
    self->allocator = *allocator;
    self->descriptor = -1;
    self->wake.reader = RONDO_INVALID_SOCKET;
    self->capacity = FIRST_EVENTS;
    self->events = rondo_allocate(allocator, FIRST_EVENTS * sizeof(*self->events));
    int rc = self->events ? kqueue_start(self) : rondo_fail(RONDO_ENOMEM, NULL);
    if (rc < 0) {
        kqueue_close(self);
        return rc;
    }
    *ret_poller = self;
    return 0;
}

static const char *kqueue_describe(struct rondo_poller *self)
{
    return self->has_user_filter ? "level-triggered, woken by EVFILT_USER"
                                 : "level-triggered, woken by a pipe";
}

static const struct rondo_poller_ops kqueue_poller = {
    .name = "kqueue",
    .open = kqueue_open,
    .close = kqueue_close,
    .change = kqueue_change,
    .wait = kqueue_wait,
    .take_error = kqueue_take_error,
    .wake = kqueue_wake,
    .describe = kqueue_describe,
};

static int kqueue_open_driver(const struct rondo_driver_config *config, struct rondo_core *core,
                              struct rondo_driver **ret_driver);

const struct rondo_driver_ops rondo_driver_kqueue = {
    .name = "kqueue",
    .backend = RONDO_BACKEND_KQUEUE,
    .capabilities = RONDO_REACTOR_CAPABILITIES,
    .open = kqueue_open_driver,
    RONDO_REACTOR_VERBS,
};

static int kqueue_open_driver(const struct rondo_driver_config *config, struct rondo_core *core,
                              struct rondo_driver **ret_driver)
{
    return rondo_reactor_open(&rondo_driver_kqueue, &kqueue_poller, config, core, ret_driver);
}
