/* SPDX-License-Identifier: MIT */
/* The io_uring driver: from ops to the submission queue, and the closing of sockets.
 *
 * Happy path: submit() takes a slot and appends the op to `pending`. The next wait() walks that list
 * and makes an entry of each; only then a send is asked what it has to send, so that all that was
 * written in a pass goes out in one send. A cancel puts the slot on a list, and the same wait() tells
 * the kernel.
 *
 * Failures. No memory for a slot: submit refuses. The submission queue is full: what is there is
 * handed over and the walk goes on; if the kernel takes nothing, the rest stays pending. A cancel that
 * finds nothing in the kernel (ENOENT) is sent again while the op is armed; one that comes too late
 * changes nothing.
 *
 * Invariants: a send is gathered once, and only when there is an entry and room for its pieces.
 * Whether the kernel has to be told of a cancel is decided when the entry would be made, not when the
 * cancel was asked for. */
#define _GNU_SOURCE
#include "uring.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../src/base/container.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"
#include "pollable.h"

_Static_assert(offsetof(rondo_bytes, data) == offsetof(struct iovec, iov_base) &&
                   offsetof(rondo_bytes, length) == offsetof(struct iovec, iov_len) &&
                   sizeof(rondo_bytes) == sizeof(struct iovec),
               "a piece is an iovec");

/* --- slots and rows -------------------------------------------------------------------------------- */

static int grow_slots(struct rondo_uring *uring)
{
    uint32_t count = uring->slot_count ? uring->slot_count * 2 : 64;
    if (count > 1u << RONDO_URING_SLOT_BITS)
        return RONDO_ENOMEM;
    struct rondo_uring_slot *slots =
        rondo_reallocate(uring->allocator, uring->slots, count * sizeof *uring->slots);
    if (!slots)
        return RONDO_ENOMEM;
    uring->slots = slots;
    uring->slot_count = count;
    return 0;
}

static struct rondo_uring_slot *take_slot(struct rondo_uring *uring)
{
    if (uring->free_slot != RONDO_URING_NONE) {
        struct rondo_uring_slot *slot = &uring->slots[uring->free_slot];
        uring->free_slot = slot->next;
        return slot;
    }
    if (uring->slots_used == uring->slot_count && grow_slots(uring) < 0)
        return NULL;
    struct rondo_uring_slot *slot = &uring->slots[uring->slots_used++];
    memset(slot, 0, sizeof *slot);
    return slot;
}

static void give_slot(struct rondo_uring *uring, struct rondo_uring_slot *slot)
{
    slot->next = uring->free_slot;
    uring->free_slot = (uint32_t) (slot - uring->slots);
}

static int grow_rows(struct rondo_uring *uring, rondo_socket sock)
{
    size_t count = uring->row_count ? uring->row_count * 2 : 64;
    while (count <= (size_t) sock)
        count *= 2;
    struct rondo_uring_row *rows =
        rondo_reallocate(uring->allocator, uring->rows, count * sizeof *uring->rows);
    if (!rows)
        return RONDO_ENOMEM;
    memset(rows + uring->row_count, 0, (count - uring->row_count) * sizeof *rows);
    uring->rows = rows;
    uring->row_count = count;
    return 0;
}

void rondo_uring_release_slot(struct rondo_uring *uring, struct rondo_uring_slot *slot)
{
    slot->op = NULL;
    slot->generation++;
    if (!slot->cancel_listed) /* else it comes home when the list is walked */
        give_slot(uring, slot);
}

void rondo_uring_finish(struct rondo_uring *uring, struct rondo_op *op, ptrdiff_t result)
{
    rondo_uring_release_slot(uring, &uring->slots[op->slot]);
    if (op->kind == RONDO_OP_RECV_DATAGRAMS)
        rondo_uring_drop_datagrams(uring, op);
    uring->driver.active--;
    op->state = RONDO_OP_IDLE;
    op->more = false;
    op->result = result;
    op->complete(op);
}

/* Whether the op needs no kernel to go on. */
static bool is_held(const struct rondo_op *op)
{
    return op->kind == RONDO_OP_RECV_DATAGRAMS && rondo_uring_datagrams_are_held(op);
}

/* --- what the loop asks for ------------------------------------------------------------------------- */

void rondo_uring_hold(struct rondo_uring *uring, struct rondo_op *op)
{
    if (op->flags & RONDO_URING_LISTED)
        return;
    op->flags = RONDO_URING_LISTED;
    rondo_ready_list_append(&uring->pending, &op->ready);
}

static void append_pending(struct rondo_uring *uring, struct rondo_op *op)
{
    uring->slots[op->slot].place = RONDO_URING_PENDING;
    rondo_uring_hold(uring, op);
}

int rondo_uring_submit(struct rondo_driver *driver, struct rondo_op *op)
{
    struct rondo_uring *uring = rondo_uring_of(driver);
    assert(op->state == RONDO_OP_IDLE);
    if (op->socket < 0)
        return rondo_fail(RONDO_EBADF, NULL);
    int rc = rondo_op_kind_is_watch(op->kind) ? rondo_pollable_check(op->socket) : 0;
    if (rc < 0)
        return rc;
    if ((size_t) op->socket >= uring->row_count && grow_rows(uring, op->socket) < 0)
        return rondo_fail(RONDO_ENOMEM, NULL);
    struct rondo_uring_slot *slot = take_slot(uring);
    if (!slot)
        return rondo_fail(RONDO_ENOMEM, NULL);
    op->slot = (uint32_t) (slot - uring->slots);
    slot->op = op;
    slot->socket = op->socket;
    slot->cancel_wanted = false;
    slot->cancel_sent = false;
    slot->is_bulk = false;
    slot->is_repeating = false;
    slot->by_worker = false;
    slot->streak = 0;
    if (op->kind == RONDO_OP_RECV_DATAGRAMS)
        rondo_uring_init_datagrams(op);
    op->state = RONDO_OP_ACTIVE;
    op->paused = false;
    driver->active++;
    append_pending(uring, op);
    return 0;
}

void rondo_uring_want_cancel(struct rondo_uring *uring, struct rondo_uring_slot *slot)
{
    slot->cancel_wanted = true;
    if (slot->cancel_listed || slot->cancel_sent)
        return;
    slot->cancel_listed = true;
    slot->next = uring->cancel_list;
    uring->cancel_list = (uint32_t) (slot - uring->slots);
}

static void drop_watch(struct rondo_uring *uring, struct rondo_op *op)
{
    struct rondo_uring_slot *slot = &uring->slots[op->slot];
    op->state = RONDO_OP_IDLE;
    uring->driver.active--;
    if (slot->place == RONDO_URING_PENDING) {
        rondo_uring_release_slot(uring, slot);
        return;
    }
    slot->op = &uring->nobody;
    if (slot->place == RONDO_URING_ARMED)
        rondo_uring_want_cancel(uring, slot);
}

void rondo_uring_cancel(struct rondo_driver *driver, struct rondo_op *op)
{
    struct rondo_uring *uring = rondo_uring_of(driver);
    if (op->state != RONDO_OP_ACTIVE)
        return;
    if (rondo_op_kind_is_watch(op->kind)) {
        drop_watch(uring, op);
        return;
    }
    op->state = RONDO_OP_CANCELLING;
    struct rondo_uring_slot *slot = &uring->slots[op->slot];
    if (slot->place == RONDO_URING_ARMED)
        rondo_uring_want_cancel(uring, slot);
    else if (slot->place == RONDO_URING_PARKED)
        append_pending(uring, op); /* the next wait completes it */
}

void rondo_uring_pause(struct rondo_driver *driver, struct rondo_op *op)
{
    (void) driver;
    op->paused = true; /* the kernel hears of it when more arrives: most pauses are over before */
}

void rondo_uring_resume(struct rondo_driver *driver, struct rondo_op *op)
{
    struct rondo_uring *uring = rondo_uring_of(driver);
    op->paused = false;
    if (op->state != RONDO_OP_ACTIVE)
        return;
    if (op->flags & RONDO_URING_QUEUED)
        op->flags |= RONDO_URING_STALE;
    struct rondo_uring_slot *slot = &uring->slots[op->slot];
    slot->cancel_wanted = false;
    if (slot->place == RONDO_URING_PARKED)
        append_pending(uring, op);
    else if (slot->place == RONDO_URING_ARMED && !op->flags && is_held(op))
        rondo_uring_hold(uring, op);
}

void rondo_uring_park(struct rondo_uring_slot *slot)
{
    assert(slot->place == RONDO_URING_ENDING);
    slot->cancel_wanted = false;
    slot->cancel_sent = false;
    slot->place = RONDO_URING_PARKED;
}

void rondo_uring_rearm(struct rondo_uring *uring, struct rondo_op *op)
{
    rondo_uring_park(&uring->slots[op->slot]);
    if (!op->paused)
        append_pending(uring, op);
}

/* --- entries ----------------------------------------------------------------------------------------- */

/* A free entry, or NULL when the queue is full and the kernel takes nothing. */
static struct io_uring_sqe *take_entry(struct rondo_uring *uring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    if (!entry && rondo_uring_enter(uring, 0) == 0)
        entry = io_uring_get_sqe(&uring->ring);
    return entry;
}

/* Whether there is room for the pieces of one more send, if need be by handing over what is queued. */
static bool have_room_for_pieces(struct rondo_uring *uring)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (uring->message_count < RONDO_URING_MESSAGES &&
            uring->piece_count + RONDO_URING_PIECES_PER_SEND <= RONDO_URING_PIECES)
            return true;
        if (rondo_uring_enter(uring, 0) < 0)
            return false;
    }
    return false;
}

static void fill_send(struct rondo_uring *uring, struct rondo_op *op, struct io_uring_sqe *entry)
{
    union rondo_uring_piece *pieces = &uring->pieces[uring->piece_count];
    size_t count = op->gather(op, &pieces->bytes, RONDO_URING_PIECES_PER_SEND);
    assert(count <= RONDO_URING_PIECES_PER_SEND);
    if (count <= 1) {
        const void *data = count ? pieces->bytes.data : NULL;
        io_uring_prep_send(entry, op->socket, data, count ? pieces->bytes.length : 0,
                           MSG_NOSIGNAL | MSG_WAITALL);
        return;
    }
    struct msghdr *message = &uring->messages[uring->message_count++];
    memset(message, 0, sizeof *message);
    message->msg_iov = &pieces->vector;
    message->msg_iovlen = count;
    uring->piece_count += (unsigned) count;
    io_uring_prep_sendmsg(entry, op->socket, message, MSG_NOSIGNAL | MSG_WAITALL);
}

static void fill_receive(struct rondo_uring *uring, struct rondo_op *op, struct io_uring_sqe *entry)
{
    if (uring->slots[op->slot].is_bulk) {
        io_uring_prep_poll_add(entry, op->socket, POLLIN);
        return;
    }
    io_uring_prep_recv_multishot(entry, op->socket, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = RONDO_URING_GROUP;
    /* Without IORING_RECVSEND_POLL_FIRST: kernels that know how much a Unix socket holds (6.18 is one) take
     * the data that was there before, and never come back for an end of stream that was there behind it. */
}

static void fill_entry(struct rondo_uring *uring, struct rondo_op *op, struct io_uring_sqe *entry)
{
    switch ((enum rondo_op_kind) op->kind) {
    case RONDO_OP_RECV:
        fill_receive(uring, op, entry);
        break;
    case RONDO_OP_SEND:
        if (uring->slots[op->slot].is_repeating)
            io_uring_prep_poll_multishot(entry, op->socket, POLLOUT);
        else
            fill_send(uring, op, entry);
        break;
    case RONDO_OP_ACCEPT:
        io_uring_prep_multishot_accept(entry, op->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (uring->accept_once)
            entry->ioprio = 0;
        break;
    case RONDO_OP_CONNECT:
        io_uring_prep_connect(entry, op->socket, rondo_address_sockaddr(op->address),
                              (socklen_t) op->address->length);
        break;
    case RONDO_OP_RECV_DATAGRAMS:
        rondo_uring_fill_datagrams(uring, op, entry);
        break;
    case RONDO_OP_WATCH_READ:
    case RONDO_OP_HANGUP:
        io_uring_prep_poll_add(entry, op->socket, POLLIN);
        break;
    case RONDO_OP_WATCH_WRITE:
    case RONDO_OP_WRITABLE:
        if (uring->slots[op->slot].is_repeating)
            io_uring_prep_poll_multishot(entry, op->socket, POLLOUT);
        else
            io_uring_prep_poll_add(entry, op->socket, POLLOUT);
        break;
    case RONDO_OP_READ:
    case RONDO_OP_WRITE:
        rondo_uring_fill_pipe(uring, op, entry);
        break;
    }
}

/* Its socket is not to be shut down when it is closed: a port that it keeps is to be free at once, and of a pipe that is a
 * socket duplicates may go on. */
static bool is_to_cancel(const struct rondo_op *op)
{
    return op->kind == RONDO_OP_ACCEPT || op->kind == RONDO_OP_RECV_DATAGRAMS || op->kind == RONDO_OP_READ ||
           op->kind == RONDO_OP_WRITE || op->kind == RONDO_OP_HANGUP;
}

/* Make an entry of @op. False: there is none to be had. */
static bool arm(struct rondo_uring *uring, struct rondo_op *op)
{
    if (op->kind == RONDO_OP_SEND && !have_room_for_pieces(uring))
        return false;
    struct io_uring_sqe *entry = take_entry(uring);
    if (!entry)
        return false;
    fill_entry(uring, op, entry);
    struct rondo_uring_slot *slot = &uring->slots[op->slot];
    entry->user_data = rondo_uring_name(slot->generation, rondo_uring_tag_of(op), op->slot);
    struct rondo_uring_row *row = &uring->rows[op->socket];
    row->armed++;
    row->is_to_cancel |= is_to_cancel(op);
    slot->socket_generation = row->generation;
    slot->place = RONDO_URING_ARMED;
    return true;
}

static void run_cancelled(struct rondo_ready *ready, struct rondo_core *core)
{
    rondo_uring_finish(rondo_uring_of(core->driver), rondo_container(ready, struct rondo_op, ready),
                       RONDO_ECANCELLED);
}

static void queue_cancelled(struct rondo_uring *uring, struct rondo_op *op,
                            struct rondo_ready_list *completed)
{
    uring->slots[op->slot].place = RONDO_URING_ENDING;
    op->ready.run = run_cancelled;
    uring->driver.completions++;
    rondo_ready_list_append(completed, &op->ready);
}

static void prepare_pending(struct rondo_uring *uring, struct rondo_ready_list *completed)
{
    while (!rondo_ready_list_is_empty(&uring->pending)) {
        struct rondo_op *op = rondo_container(uring->pending.head, struct rondo_op, ready);
        struct rondo_uring_slot *slot = &uring->slots[op->slot];
        bool was_armed = slot->place == RONDO_URING_ARMED;
        bool may_go_on = op->state == RONDO_OP_ACTIVE && !op->paused;
        bool holds = may_go_on && is_held(op);
        if (may_go_on && !holds && !was_armed && !arm(uring, op))
            return;
        rondo_ready_list_pop(&uring->pending);
        op->flags = 0;
        if (holds) {
            if (!was_armed)
                slot->place = RONDO_URING_ENDING;
            rondo_uring_queue_datagrams(uring, op, completed);
        } else if (op->state == RONDO_OP_CANCELLING && !was_armed) {
            queue_cancelled(uring, op, completed);
        } else if (op->paused && !was_armed) {
            slot->place = RONDO_URING_PARKED;
        }
    }
}

/* Whether the kernel still has to be told. A receive whose socket was shut down ends by itself. */
static bool needs_cancel(const struct rondo_uring *uring, const struct rondo_uring_slot *slot)
{
    if (!slot->cancel_wanted || slot->cancel_sent || slot->place != RONDO_URING_ARMED)
        return false;
    return slot->op->kind != RONDO_OP_RECV || slot->socket_generation == uring->rows[slot->socket].generation;
}

static void prepare_cancels(struct rondo_uring *uring)
{
    while (uring->cancel_list != RONDO_URING_NONE) {
        uint32_t index = uring->cancel_list;
        struct rondo_uring_slot *slot = &uring->slots[index];
        if (slot->op && needs_cancel(uring, slot)) {
            struct io_uring_sqe *entry = take_entry(uring);
            if (!entry)
                return;
            uint64_t name = rondo_uring_name(slot->generation, rondo_uring_tag_of(slot->op), index);
            io_uring_prep_cancel64(entry, name, 0);
            entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
            entry->user_data = rondo_uring_name(slot->generation, RONDO_URING_TAG_CANCEL, index);
            slot->cancel_sent = true;
        }
        uring->cancel_list = slot->next;
        slot->cancel_listed = false;
        if (!slot->op)
            give_slot(uring, slot);
    }
}

static void prepare_wake(struct rondo_uring *uring)
{
    if (uring->wake_armed)
        return;
    struct io_uring_sqe *entry = take_entry(uring);
    if (!entry)
        return;
    io_uring_prep_poll_multishot(entry, uring->wake_descriptor, POLLIN);
    entry->user_data = rondo_uring_name(0, RONDO_URING_TAG_WAKE, 0);
    uring->wake_armed = true;
}

void rondo_uring_prepare(struct rondo_uring *uring, struct rondo_ready_list *completed)
{
    prepare_wake(uring);
    prepare_cancels(uring);
    prepare_pending(uring, completed);
}

/* --- closing ------------------------------------------------------------------------------------------ */

/* Have the kernel let go of what was cancelled before this returns: it would keep a port in use. */
static void cancel_now(struct rondo_uring *uring)
{
    prepare_cancels(uring);
    for (int attempt = 0; attempt < 16; attempt++) {
        if (rondo_uring_enter(uring, 0) < 0)
            return;
        if (!(IO_URING_READ_ONCE(*uring->ring.sq.kflags) & IORING_SQ_TASKRUN))
            return;
    }
}

/* Entries that the kernel has refused so far (it was out of memory) must not meet a new socket of this
 * number. */
static void forget_entries(struct io_uring_sq *queue, rondo_socket sock)
{
    for (unsigned at = io_uring_smp_load_acquire(queue->khead); at != queue->sqe_tail; at++) {
        struct io_uring_sqe *entry = &queue->sqes[at & queue->ring_mask];
        if (entry->fd == sock)
            entry->fd = -1;
    }
}

/* While something is armed the kernel holds the socket open beyond close(), and no end of stream would
 * be sent: so it is shut down first. A socket on which nothing is armed, as after its end of stream,
 * is just closed. */
void rondo_uring_close_socket(struct rondo_driver *driver, rondo_socket sock)
{
    struct rondo_uring *uring = rondo_uring_of(driver);
    struct rondo_uring_row *row = sock >= 0 && (size_t) sock < uring->row_count ? &uring->rows[sock] : NULL;
    if (row && row->armed) {
        if (row->is_to_cancel || shutdown(sock, SHUT_RDWR) < 0)
            cancel_now(uring);
        forget_entries(&uring->ring.sq, sock);
        row->generation++;
        row->armed = 0;
    }
    if (row)
        row->is_to_cancel = 0; /* of the next one with this number */
    close(sock);
}
