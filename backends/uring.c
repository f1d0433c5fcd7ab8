/* SPDX-License-Identifier: MIT */
/* The io_uring driver: wait, wake and the table of its functions.
 *
 * Happy path of a pass: ops submitted since the last one lie in `pending`. wait() makes entries of
 * them, and one io_uring_enter hands them over, lets the kernel run what it had put off, and waits.
 * The completions are reaped into nodes, which the loop runs; each finds its op by name, and calls it.
 *
 * Failures. The system call may be interrupted or time out (an empty result), or the kernel be short
 * of memory or of room for completions (EAGAIN, EBUSY: what is there is reaped, the rest stays queued
 * for the next pass). When the completion queue overflows the kernel keeps what did not fit, in order,
 * and says so in a flag; the next system call brings it. No completion is ever lost.
 *
 * Invariants: the ring is bound to the thread that first waits. Whatever the kernel may still write to
 * is kept until it has said that it is done. */
#define _GNU_SOURCE
#include "uring.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "../platform/socket.h"
#include "../src/base/error.h"

/* Bytes. Queueing copies: at 16 KiB an echo gains 4 % by it, but a proxy loses a third; at 48 KiB both lose. */
enum { SEND_AT_ONCE = 8 * 1024 };

/* Make the queued entries visible; how many the kernel has not taken yet. liburing keeps this to itself. */
static unsigned publish_entries(struct io_uring_sq *queue)
{
    if (queue->sqe_head != queue->sqe_tail) {
        queue->sqe_head = queue->sqe_tail;
        io_uring_smp_store_release(queue->ktail, queue->sqe_tail);
    }
    return queue->sqe_tail - io_uring_smp_load_acquire(queue->khead);
}

static int explain_enter(int number)
{
    switch (number) {
    case ETIME:
    case EINTR:
    case EAGAIN:
    case EBUSY:
        return 0;
    case EEXIST:
        return rondo_fail(RONDO_ETHREAD, "an io_uring loop can only be run by the thread that ran it first");
    default:
        return rondo_fail_what(rondo_error_from_system(number), "io_uring_enter");
    }
}

int rondo_uring_enter(struct rondo_uring *uring, rondo_ns timeout)
{
    struct io_uring *ring = &uring->ring;
    unsigned queued = publish_entries(&ring->sq);
    unsigned state = IO_URING_READ_ONCE(*ring->sq.kflags);
    if (!queued && timeout == 0 && !(state & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)))
        return 0;

    struct __kernel_timespec span = { .tv_sec = timeout / RONDO_S(1), .tv_nsec = timeout % RONDO_S(1) };
    struct io_uring_getevents_arg argument = { .ts = (uint64_t) (uintptr_t) &span };
    int rc;
    if (timeout == 0)
        rc = io_uring_enter2((unsigned) ring->ring_fd, queued, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    else if (timeout < 0)
        rc = io_uring_enter2((unsigned) ring->ring_fd, queued, 1, uring->wait_flags, NULL, 0);
    else
        rc = io_uring_enter2((unsigned) ring->ring_fd, queued, 1, uring->wait_flags | IORING_ENTER_EXT_ARG,
                             (sigset_t *) (void *) &argument, sizeof argument);
    if (io_uring_smp_load_acquire(ring->sq.khead) == ring->sq.sqe_tail) {
        uring->piece_count = 0;
        uring->message_count = 0;
    }
    return rc < 0 ? explain_enter(-rc) : 0;
}

/* Bind the ring to this thread. (liburing 2.3 declares a function for it, and does not export it.) */
static int enable(struct rondo_uring *uring)
{
    int rc = io_uring_register((unsigned) uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (rc < 0)
        return rondo_fail_what(rondo_error_from_system(-rc), "the io_uring could not be enabled");
    uring->enabled = true;
    return 0;
}

static int uring_wait(struct rondo_driver *driver, rondo_ns timeout, struct rondo_ready_list *completed)
{
    struct rondo_uring *uring = rondo_uring_of(driver);
    if (!uring->enabled) {
        int rc = enable(uring);
        if (rc < 0)
            return rc;
    }
    struct rondo_ready_list local;
    rondo_ready_list_init(&local);
    rondo_uring_prepare(uring, &local);
    bool has_more = !rondo_ready_list_is_empty(&local) || !rondo_ready_list_is_empty(&uring->pending);
    /* What is still pending found no room: the kernel takes what is there, and the next wait goes on. */
    if (has_more || io_uring_cq_ready(&uring->ring) > 0)
        timeout = 0;
    int rc = rondo_uring_enter(uring, timeout);
    rondo_uring_reap(uring, &local);
    rondo_ready_list_splice(completed, &local);
    return rc;
}

/* The eventfd is never read: every write makes the poll on it post a completion. */
static void uring_wake(struct rondo_driver *driver)
{
    const uint64_t one = 1;
    int saved = errno;
    ssize_t written;
    do
        written = write(rondo_uring_of(driver)->wake_descriptor, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    errno = saved;
}

/* A send that goes out with the pass's system call is cheaper, until the copy that queueing it takes
 * costs more than a system call of its own. What was lent in pieces goes out in one piece. */
static ptrdiff_t uring_try_send(struct rondo_driver *driver, rondo_socket sock, const rondo_bytes *pieces,
                                size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += pieces[i].length;
    if (total < SEND_AT_ONCE || rondo_core_lends(driver->core, pieces->data))
        return RONDO_EAGAIN;
    /* Pieces have the shape of iovecs. The socket may be a blocking one. */
    struct msghdr message = { .msg_iov = (struct iovec *) (uintptr_t) pieces,
                              .msg_iovlen = count < IOV_MAX ? count : IOV_MAX };
    ssize_t sent;
    do
        sent = sendmsg(sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? rondo_error_from_system(errno) : sent;
}

static const char *uring_describe(struct rondo_driver *driver)
{
    return rondo_uring_of(driver)->description;
}

extern const struct rondo_driver_ops rondo_driver_uring;

const struct rondo_driver_ops rondo_driver_uring = {
    .name = "io_uring",
    .backend = RONDO_BACKEND_IO_URING,
    .is_proactor = true,
    .capabilities = RONDO_CAN_STREAMS | RONDO_CAN_UNIX_SOCKETS | RONDO_CAN_REUSE_PORT | RONDO_CAN_PIPES |
                    RONDO_CAN_PROACT | RONDO_CAN_BLOCKING_SOCKETS | RONDO_CAN_SOCKET_CALLS,
    .extended_capabilities = RONDO_CAN_WATCH_DESCRIPTORS | RONDO_CAN_DATAGRAMS,
    .open = rondo_uring_open,
    .close = rondo_uring_close,
    .submit = rondo_uring_submit,
    .cancel = rondo_uring_cancel,
    .pause = rondo_uring_pause,
    .resume = rondo_uring_resume,
    .try_send = uring_try_send,
    .try_write = rondo_uring_try_write,
    .close_socket = rondo_uring_close_socket,
    .wait = uring_wait,
    .wake = uring_wake,
    .describe = uring_describe,
};
