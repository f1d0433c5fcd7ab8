/* SPDX-License-Identifier: MIT */
/* A double of kqueue(2) for tests on Linux, over epoll and eventfd.
 *
 * Happy path: a queue is an epoll descriptor with a table beside it that says, for each descriptor, which filters
 * are there. Adding and deleting sets what epoll watches; a wait translates what epoll found into one event for each
 * filter. The user filter is an eventfd.
 *
 * Faithful where a backend could get it wrong: the filters of a descriptor are gone when it is closed, also when the
 * number is used again or another descriptor keeps the file open; deleting what is not there is ENOENT, and EBADF on
 * a closed descriptor; EV_EOF comes with unread data, and on the writing filter once nothing will be taken; the
 * writing filter of a pipe without a reader is refused with EPIPE, and a device with EINVAL; errors of changes stop
 * the call, or are events with EV_ERROR where there is room; a queue does not survive a fork. Of the order that
 * real systems leave open it takes the bad one: a descriptor's writing filter comes before its reading one.
 *
 * RONDO_KQUEUE_DOUBLE in the environment asks for more: "no_user" for a system without EVFILT_USER, "interrupts" for
 * waits of which every third is interrupted, "takes_errors" for one that takes the error which it puts into an event away from
 * the socket, as libkqueue does.
 *
 * Failures: whatever epoll refuses; what the double does not know (edges, one-shots, receipts) is EINVAL.
 * Invariants: only the triggering of the user filter may come from other threads and signal handlers, and touches
 * nothing but an atomic pointer and the eventfd. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sys/event.h>
#undef close

enum { MAX_QUEUES = 65536, READ = 0, WRITE = 1 };
#define USER_IDENT UINT64_MAX
#define SECOND 1000000000

struct knote {
    bool is_there;
    dev_t device; /* with the inode: which file the descriptor was when the filter was added */
    ino_t inode;
    void *udata;
};

struct watched {
    struct knote sides[2];
    uint32_t generation; /* of what the number stands for; epoll goes on telling of what a copy keeps open */
    bool is_armed;       /* in the epoll set, as far as we know */
};

struct queue {
    int descriptor;
    int user; /* the eventfd of the user filter, or -1 */
    uintptr_t user_ident;
    struct watched *table; /* by descriptor */
    size_t count;
    struct epoll_event *found;
    int room;
    unsigned waits;
};

static _Atomic(struct queue *) queues[MAX_QUEUES];
static atomic_int queue_limit; /* no queue has this number or a higher one */

/* --- queues ------------------------------------------------------------------------------------------ */

static bool is_asked_for(const char *word)
{
    const char *words = getenv("RONDO_KQUEUE_DOUBLE");
    return words && strstr(words, word);
}

static void end_queue(struct queue *queue)
{
    if (queue->user >= 0)
        close(queue->user);
    free(queue->table);
    free(queue->found);
    free(queue);
}

/* In the child: its queues are gone, and their numbers free. */
static void end_all(void)
{
    for (int i = 0; i < atomic_load(&queue_limit); i++) {
        struct queue *queue = atomic_exchange(&queues[i], NULL);
        if (!queue)
            continue;
        end_queue(queue);
        close(i);
    }
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, end_all);
}

static int refuse(int number)
{
    errno = number;
    return -1;
}

int kqueue(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    int descriptor = epoll_create1(0);
    if (descriptor < 0)
        return -1;
    struct queue *queue = descriptor < MAX_QUEUES ? calloc(1, sizeof *queue) : NULL;
    if (!queue) {
        close(descriptor);
        return refuse(ENOMEM);
    }
    queue->descriptor = descriptor;
    queue->user = -1;
    int limit = atomic_load(&queue_limit);
    while (limit <= descriptor && !atomic_compare_exchange_weak(&queue_limit, &limit, descriptor + 1))
        continue;
    atomic_store(&queues[descriptor], queue);
    return descriptor;
}

int kqueue_double_close(int descriptor)
{
    struct queue *queue =
        descriptor >= 0 && descriptor < MAX_QUEUES ? atomic_exchange(&queues[descriptor], NULL) : NULL;
    if (queue)
        end_queue(queue);
    return close(descriptor);
}

/* --- changes ----------------------------------------------------------------------------------------- */

static bool is_same_file(const struct knote *knote, int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 && status.st_dev == knote->device && status.st_ino == knote->inode;
}

/* Closing a descriptor takes its filters away; here that is noticed when it is looked at next. */
static void forget_stale(struct watched *watched, int descriptor)
{
    for (int side = READ; side <= WRITE; side++) {
        struct knote *knote = &watched->sides[side];
        if (!knote->is_there || is_same_file(knote, descriptor))
            continue;
        knote->is_there = false;
        watched->is_armed = false;
        watched->generation++;
    }
}

static struct watched *watched_at(struct queue *queue, int descriptor)
{
    size_t count = queue->count ? queue->count : 64;
    while (count <= (size_t) descriptor)
        count *= 2;
    if (count > queue->count) {
        struct watched *table = realloc(queue->table, count * sizeof *table);
        if (!table)
            return NULL;
        memset(table + queue->count, 0, (count - queue->count) * sizeof *table);
        queue->table = table;
        queue->count = count;
    }
    forget_stale(&queue->table[descriptor], descriptor);
    return &queue->table[descriptor];
}

/* Let epoll watch what the filters ask for. Returns 0 or an error number. */
static int arm(struct queue *queue, struct watched *watched, int descriptor)
{
    struct epoll_event event = { .data.u64 = (uint64_t) watched->generation << 32 | (uint32_t) descriptor };
    if (watched->sides[READ].is_there)
        event.events |= EPOLLIN | EPOLLRDHUP;
    if (watched->sides[WRITE].is_there)
        event.events |= EPOLLOUT;
    int verb = !event.events ? EPOLL_CTL_DEL : watched->is_armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    watched->is_armed = event.events != 0;
    int rc = epoll_ctl(queue->descriptor, verb, descriptor, &event);
    if (rc < 0 && errno == EEXIST)
        rc = epoll_ctl(queue->descriptor, EPOLL_CTL_MOD, descriptor, &event);
    if (rc == 0 || verb == EPOLL_CTL_DEL)
        return 0;
    watched->is_armed = false;
    return errno == EPERM ? EINVAL : errno;
}

static bool is_broken_pipe(int descriptor, const struct stat *status)
{
    struct pollfd slot = { .fd = descriptor, .events = POLLOUT };
    return S_ISFIFO(status->st_mode) && poll(&slot, 1, 0) == 1 && slot.revents & POLLERR;
}

static int add_filter(struct queue *queue, struct watched *watched, int side, const struct kevent *change)
{
    struct knote *knote = &watched->sides[side];
    struct stat status;
    if (fstat((int) change->ident, &status) < 0)
        return errno;
    if (side == WRITE && is_broken_pipe((int) change->ident, &status))
        return EPIPE;
    bool was_there = knote->is_there;
    *knote = (struct knote){ true, status.st_dev, status.st_ino, change->udata };
    int number = was_there ? 0 : arm(queue, watched, (int) change->ident);
    if (number)
        knote->is_there = false;
    return number;
}

static int change_side(struct queue *queue, int side, const struct kevent *change)
{
    int descriptor = (int) change->ident;
    if (fcntl(descriptor, F_GETFD) < 0) {
        if (descriptor >= 0 && (size_t) descriptor < queue->count)
            queue->table[descriptor] =
                (struct watched){ .generation = queue->table[descriptor].generation +
                                                1 }; /* what an inode may not show: eventfds share one */
        return EBADF;
    }
    struct watched *watched = watched_at(queue, descriptor);
    if (!watched)
        return ENOMEM;
    if (change->flags == EV_ADD)
        return add_filter(queue, watched, side, change);
    if (!watched->sides[side].is_there)
        return ENOENT;
    if (change->flags != EV_DELETE)
        return EINVAL;
    watched->sides[side].is_there = false;
    return arm(queue, watched, descriptor);
}

static int change_user(struct queue *queue, const struct kevent *change)
{
    if (change->flags == 0 && change->fflags == NOTE_TRIGGER) {
        uint64_t one = 1;
        if (queue->user < 0)
            return ENOENT;
        return write(queue->user, &one, sizeof one) < 0 && errno != EAGAIN ? errno : 0;
    }
    if (change->flags != (EV_ADD | EV_CLEAR) || queue->user >= 0 || is_asked_for("no_user"))
        return EINVAL;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = USER_IDENT };
    queue->user_ident = change->ident;
    queue->user = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->user < 0 || epoll_ctl(queue->descriptor, EPOLL_CTL_ADD, queue->user, &event) < 0)
        return errno;
    return 0;
}

static int change_one(struct queue *queue, const struct kevent *change)
{
    switch (change->filter) {
    case EVFILT_READ:
        return change_side(queue, READ, change);
    case EVFILT_WRITE:
        return change_side(queue, WRITE, change);
    case EVFILT_USER:
        return change_user(queue, change);
    default:
        return EINVAL;
    }
}

/* --- waiting ----------------------------------------------------------------------------------------- */

struct out {
    struct kevent *events;
    int room;
    int count;
};

static void put(struct out *out, const struct kevent *event)
{
    if (out->count < out->room)
        out->events[out->count++] = *event;
}

static void put_user(struct queue *queue, struct out *out)
{
    uint64_t count;
    if (out->count == out->room || read(queue->user, &count, sizeof count) < 0)
        return;
    struct kevent event = { .ident = queue->user_ident, .filter = EVFILT_USER, .flags = EV_CLEAR };
    put(out, &event); /* the trigger had no udata, and took the place of the one that was given */
}

/* An error has been told: which one, or, as asking would take it away, a likely one. */
static void add_error(struct kevent *event, int descriptor)
{
    int number = 0;
    socklen_t length = sizeof number;
    if (!is_asked_for("takes_errors")) {
        event->fflags = event->flags ? ECONNRESET : 0;
    } else if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &length) == 0) {
        event->fflags = (unsigned) number;
        event->flags |= EV_EOF;
    }
}

static struct kevent writing_event(int descriptor, uint32_t found)
{
    struct stat status;
    bool is_pipe = fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
    struct kevent event = { .filter = EVFILT_WRITE, .data = 1 };
    if (found & EPOLLHUP || (found & EPOLLERR && is_pipe))
        event.flags = EV_EOF;
    if (found & EPOLLERR && !is_pipe)
        add_error(&event, descriptor);
    return event;
}

static struct kevent reading_event(int descriptor, uint32_t found)
{
    int there = 0;
    if (ioctl(descriptor, FIONREAD, &there) < 0)
        there = 1; /* a listening socket: connections */
    struct kevent event = { .filter = EVFILT_READ, .data = there };
    if (found & (EPOLLHUP | EPOLLRDHUP))
        event.flags = EV_EOF;
    if (found & EPOLLERR)
        add_error(&event, descriptor);
    return event;
}

static void put_side(const struct watched *watched, int side, int descriptor, uint32_t found, struct out *out)
{
    uint32_t mask = EPOLLHUP | EPOLLERR | (side == READ ? EPOLLIN | EPOLLRDHUP : EPOLLOUT);
    if (!watched->sides[side].is_there || !(found & mask))
        return;
    struct kevent event = side == READ ? reading_event(descriptor, found) : writing_event(descriptor, found);
    event.ident = (uintptr_t) descriptor;
    event.udata = watched->sides[side].udata;
    put(out, &event);
}

static void put_found(struct queue *queue, const struct epoll_event *found, struct out *out)
{
    if (found->data.u64 == USER_IDENT) {
        put_user(queue, out);
        return;
    }
    int descriptor = (int) (uint32_t) found->data.u64;
    struct watched *watched = &queue->table[descriptor];
    forget_stale(watched, descriptor);
    if (watched->generation != (uint32_t) (found->data.u64 >> 32))
        return;
    put_side(watched, WRITE, descriptor, found->events, out);
    put_side(watched, READ, descriptor, found->events, out);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t) time.tv_sec * SECOND + time.tv_nsec;
}

static int find(struct queue *queue, int room, const struct timespec *span)
{
    int count = epoll_pwait2(queue->descriptor, queue->found, room, span, NULL);
    if (count >= 0 || errno != ENOSYS)
        return count;
    int64_t milliseconds = span ? (int64_t) span->tv_sec * 1000 + (span->tv_nsec + 999999) / 1000000 : -1;
    return epoll_wait(queue->descriptor, queue->found, room, (int) milliseconds);
}

/* Wait until there is something to put out, or the time is up: what epoll finds may be of closed descriptors. */
static int wait_for(struct queue *queue, struct out *out, const struct timespec *timeout)
{
    int64_t deadline = timeout ? now() + (int64_t) timeout->tv_sec * SECOND + timeout->tv_nsec : 0;
    struct timespec span = timeout ? *timeout : (struct timespec){ 0 };
    for (;;) {
        int count = find(queue, out->room, timeout ? &span : NULL);
        if (count < 0)
            return -1;
        for (int i = 0; i < count; i++)
            put_found(queue, &queue->found[i], out);
        int64_t left = timeout ? deadline - now() : 1;
        if (out->count || left <= 0)
            return out->count;
        span = (struct timespec){ .tv_sec = (time_t) (left / SECOND), .tv_nsec = (long) (left % SECOND) };
    }
}

static int begin_wait(struct queue *queue, int room)
{
    if (queue->room < room) {
        struct epoll_event *found = realloc(queue->found, (size_t) room * sizeof *found);
        if (!found)
            return refuse(ENOMEM);
        queue->found = found;
        queue->room = room;
    }
    if (++queue->waits % 3 == 0 && is_asked_for("interrupts"))
        return refuse(EINTR);
    return 0;
}

int kevent(int descriptor, const struct kevent *changes, int change_count, struct kevent *events,
           int event_count, const struct timespec *timeout)
{
    struct queue *queue =
        descriptor >= 0 && descriptor < MAX_QUEUES ? atomic_load(&queues[descriptor]) : NULL;
    if (!queue)
        return refuse(EBADF);
    struct out out = { .events = events, .room = event_count };
    for (int i = 0; i < change_count; i++) {
        int number = change_one(queue, &changes[i]);
        if (!number)
            continue;
        if (out.count == out.room)
            return refuse(number);
        struct kevent event = changes[i];
        event.flags = EV_ERROR;
        event.data = number;
        put(&out, &event);
    }
    if (out.count || out.room == 0)
        return out.count;
    return begin_wait(queue, out.room) < 0 ? -1 : wait_for(queue, &out, timeout);
}
