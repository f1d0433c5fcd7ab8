/* SPDX-License-Identifier: MIT */
/* The io_uring driver: from the completion queue to ops.
 *
 * Happy path: reap() turns each completion into a node and queues it (a send has one in itself). When the loop runs the node, it
 * finds the op by name and completes it; a buffer that the kernel filled goes back to it as soon as
 * the owner has returned.
 *
 * What the kernel ends without need is begun again unseen: a repeating receive or accept that came
 * with data but without IORING_CQE_F_MORE, an interruption, a connection that was aborted while it
 * waited, a receive cancelled for a pause. A receive that found no buffer (ENOBUFS) is made by a
 * system call when its node runs; by the next wait all buffers are back, for they are lent no longer
 * than one batch, so it is simply armed again.
 *
 * A stream in bulk transfer does better with one large buffer that stays in the caches than with a ring of them that
 * does not. When several receives in a row have brought more than half a buffer, the kernel is only asked when there
 * is something (a poll), and the receive is made by a system call when the node runs. What the repeating receive had
 * taken before goes first, as it does with a pause: the poll is armed when its last completion has run. One call takes
 * several chunks, which are delivered one after the other: fewer and larger receives are what makes bulk cheap. So are
 * fewer and larger sends: what is written of the chunks meanwhile leaves behind the last one (core->lent).
 *
 * Invariants: nodes are as many as completions fit in the queue; when they run out, the rest waits
 * there for the next pass. An op is not touched after its last completion, and a node is free before
 * its op is called. */
#define _GNU_SOURCE
#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "../platform/socket.h"
#include "../src/base/container.h"

/* Receives of the other size before a stream changes its way; a full buffer says it alone. */
enum { STREAK = 4 };

/* --- buffers ---------------------------------------------------------------------------------------- */

static unsigned char *buffer_at(const struct rondo_uring_buffers *buffers, unsigned index)
{
    return buffers->memory + index * buffers->stride;
}

void rondo_uring_give_buffer(struct rondo_uring_buffers *buffers, unsigned index)
{
    io_uring_buf_ring_add(buffers->ring, buffer_at(buffers, index), buffers->size, (unsigned short) index,
                          io_uring_buf_ring_mask(buffers->count), 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
}

void rondo_uring_give_back(struct rondo_uring_buffers *buffers, uint32_t flags)
{
    if (flags & IORING_CQE_F_BUFFER)
        rondo_uring_give_buffer(buffers, flags >> IORING_CQE_BUFFER_SHIFT);
}

unsigned char *rondo_uring_lent_buffer(const struct rondo_uring *uring, uint32_t flags)
{
    return buffer_at(&uring->buffers, flags >> IORING_CQE_BUFFER_SHIFT);
}

/* --- what a completion means -------------------------------------------------------------------------- */

static int code_of(const struct rondo_op *op, int result)
{
    return op->state == RONDO_OP_CANCELLING ? RONDO_ECANCELLED : rondo_error_from_system(-result);
}

static int connect_code(const struct rondo_op *op, int result)
{
    int code = result < 0 ? code_of(op, result) : 0;
    return code == RONDO_EAGAIN ? RONDO_EBUSY : code;
}

/* A stream that gets much at a time goes over to receives by calls, and comes back when these bring little. */
static void note_size(struct rondo_uring *uring, struct rondo_uring_slot *slot, size_t length)
{
    size_t half = uring->buffers.size / 2;
    bool is_against = slot->is_bulk ? length < half / 2 : length >= half;
    slot->streak = is_against ? slot->streak + 1 : 0;
    bool is_full = !slot->is_bulk && length >= uring->buffers.size; /* and there is more */
    if (slot->streak < STREAK && !is_full)
        return;
    slot->streak = 0;
    slot->is_bulk = !slot->is_bulk;
    if (slot->place == RONDO_URING_ARMED)
        rondo_uring_want_cancel(uring, slot); /* and armed again the other way */
}

void rondo_uring_deliver(struct rondo_op *op, const void *data, ptrdiff_t length)
{
    op->data = data;
    op->result = length;
    op->more = true;
    op->complete(op);
}

/* The op is to be armed again by the next wait: whatever the owner does in between, it stays where it is. */
static void deliver_chunks(struct rondo_uring *uring, struct rondo_op *op, const unsigned char *data,
                           size_t length)
{
    struct rondo_core *core = uring->driver.core;
    size_t chunk = uring->buffers.chunk_size;
    bool are_several = length > chunk;
    core->lent = are_several ? data : NULL;
    core->lent_end = data + length;
    for (size_t at = 0; at < length && op->state == RONDO_OP_ACTIVE; at += chunk)
        rondo_uring_deliver(op, data + at, (ptrdiff_t) (length - at < chunk ? length - at : chunk));
    core->lent = NULL;
    if (are_several && core->lent_over)
        core->lent_over(core);
}

/* Receive into the scratch buffer: the ring had none, or the stream is in bulk. */
static void receive_by_call(struct rondo_uring *uring, struct rondo_op *op)
{
    if (op->paused) {
        rondo_uring_rearm(uring, op);
        return;
    }
    struct rondo_uring_buffers *buffers = &uring->buffers;
    ssize_t length = recv(op->socket, buffers->scratch, buffers->scratch_size, MSG_DONTWAIT);
    if (length == 0) {
        rondo_uring_finish(uring, op, 0);
    } else if (length > 0) {
        note_size(uring, &uring->slots[op->slot], (size_t) length);
        rondo_uring_rearm(uring, op);
        deliver_chunks(uring, op, buffers->scratch, (size_t) length);
    } else if (errno == EAGAIN || errno == EINTR) {
        rondo_uring_rearm(uring, op);
    } else {
        rondo_uring_finish(uring, op, rondo_error_from_system(errno));
    }
}

static void run_receive_end(struct rondo_uring *uring, struct rondo_op *op, int result)
{
    if (op->state == RONDO_OP_CANCELLING) {
        rondo_uring_finish(uring, op, RONDO_ECANCELLED);
        return;
    }
    switch (result) {
    case 0:
        rondo_uring_finish(uring, op, 0);
        break;
    case -ENOBUFS:
        receive_by_call(uring, op);
        break;
    case -ECANCELED: /* for a pause, which may be over */
    case -EINTR:
    case -EAGAIN:
        rondo_uring_rearm(uring, op);
        break;
    default:
        rondo_uring_finish(uring, op, code_of(op, result));
    }
}

static void run_receive(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result, uint32_t flags)
{
    struct rondo_op *op = slot->op;
    bool last = !(flags & IORING_CQE_F_MORE);
    if (result > 0 && op->state == RONDO_OP_ACTIVE && !(flags & IORING_CQE_F_BUFFER)) {
        receive_by_call(uring, op); /* the kernel was asked when, no more */
        return;
    }
    if (result > 0 && op->state == RONDO_OP_ACTIVE) {
        note_size(uring, slot, (size_t) result);
        if (last)
            rondo_uring_rearm(uring, op);
        else if (op->paused)
            rondo_uring_want_cancel(uring, slot);
        rondo_uring_deliver(op, rondo_uring_lent_buffer(uring, flags), result);
        rondo_uring_give_back(&uring->buffers, flags);
        return;
    }
    rondo_uring_give_back(&uring->buffers, flags);
    if (last)
        run_receive_end(uring, op, result);
}

static void run_accept(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result, uint32_t flags)
{
    struct rondo_op *op = slot->op;
    bool last = !(flags & IORING_CQE_F_MORE);
    if (op->state == RONDO_OP_CANCELLING) {
        if (result >= 0)
            close(result);
        if (last)
            rondo_uring_finish(uring, op, RONDO_ECANCELLED);
        return;
    }
    bool harmless = result == -ECONNABORTED || result == -EINTR || result == -EAGAIN || result == -ECANCELED;
    if (last && (result >= 0 || harmless))
        rondo_uring_rearm(uring, op);
    if (result >= 0) {
        op->address = NULL;
        op->result = result;
        op->more = true;
        op->complete(op);
    } else if (last && !harmless) {
        rondo_uring_finish(uring, op, code_of(op, result));
    }
}

/* io_uring asks for POLLRDHUP in every poll, so one for room would end at once, again and again, where the peer has ended its
 * sending half and does not read. Such a poll is armed as a repeating one, which says that once. When it says more, it is taken
 * back, and a plain one tells what holds by then. True: that was it, and there is nothing to tell. */
static bool is_about_half_close(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result,
                                uint32_t flags)
{
    bool was_repeating = slot->is_repeating;
    bool is_half_close = result == POLLRDHUP;
    if (flags & IORING_CQE_F_MORE) {
        if (!is_half_close)
            rondo_uring_want_cancel(uring, slot);
        return true;
    }
    slot->is_repeating = is_half_close;
    if (slot->op->state != RONDO_OP_ACTIVE || !(is_half_close || (was_repeating && result == -ECANCELED)))
        return false;
    rondo_uring_rearm(uring, slot->op);
    return true;
}

/* The same for a send: the kernel tries some hundred times, and gives up. The poll that it waits for has said something, or was
 * taken back: it is tried again. */
static void run_room(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result, uint32_t flags)
{
    if (is_about_half_close(uring, slot, result, flags))
        return;
    if (slot->op->state == RONDO_OP_CANCELLING)
        rondo_uring_finish(uring, slot->op, RONDO_ECANCELLED);
    else
        rondo_uring_rearm(uring, slot->op); /* which finds out about errors */
}

/* The kernel has ended a poll with an event or an error: a watch tells of it, and is armed again. */
static void run_watch(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result, uint32_t flags)
{
    struct rondo_op *op = slot->op;
    if (op->kind == RONDO_OP_WATCH_WRITE && is_about_half_close(uring, slot, result, flags))
        return;
    if (result < 0 && result != -ECANCELED && result != -EINTR) {
        rondo_uring_finish(uring, op, code_of(op, result));
        return;
    }
    rondo_uring_rearm(uring, op);
    op->result = 0;
    op->more = true;
    op->complete(op);
}

static void run_writable(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result, uint32_t flags)
{
    struct rondo_op *op = slot->op;
    if (is_about_half_close(uring, slot, result, flags))
        return;
    if (result == -EINTR && op->state == RONDO_OP_ACTIVE)
        rondo_uring_rearm(uring, op);
    else
        rondo_uring_finish(uring, op, result >= 0 ? 0 : code_of(op, result));
}

static void run_node(struct rondo_ready *ready, struct rondo_core *core)
{
    struct rondo_uring *uring = rondo_uring_of(core->driver);
    struct rondo_uring_node *node = rondo_container(ready, struct rondo_uring_node, ready);
    struct rondo_uring_slot *slot = rondo_uring_find(uring, node->name);
    int result = node->result;
    uint32_t flags = node->flags;
    assert(slot); /* an op is not over before its last node has run */
    ready->next = uring->free_node;
    uring->free_node = ready;
    if (slot->op == &uring->nobody) {
        if (!(flags & IORING_CQE_F_MORE))
            rondo_uring_release_slot(uring, slot);
        return;
    }

    switch ((enum rondo_op_kind) slot->op->kind) {
    case RONDO_OP_RECV:
        run_receive(uring, slot, result, flags);
        break;
    case RONDO_OP_ACCEPT:
        run_accept(uring, slot, result, flags);
        break;
    case RONDO_OP_SEND: /* has no node (run_sent) but while it waits for room */
        run_room(uring, slot, result, flags);
        break;
    case RONDO_OP_CONNECT:
        rondo_uring_finish(uring, slot->op, connect_code(slot->op, result));
        break;
    case RONDO_OP_WATCH_READ:
    case RONDO_OP_WATCH_WRITE:
        run_watch(uring, slot, result, flags);
        break;
    case RONDO_OP_READ:
        rondo_uring_run_read(uring, slot, result, flags);
        break;
    case RONDO_OP_WRITE:
        rondo_uring_run_write(uring, slot, result);
        break;
    case RONDO_OP_HANGUP:
        rondo_uring_run_hangup(uring, slot->op, result);
        break;
    case RONDO_OP_RECV_DATAGRAMS: /* has no node */
        break;
    case RONDO_OP_WRITABLE:
        run_writable(uring, slot, result, flags);
        break;
    }
}

/* --- reaping ------------------------------------------------------------------------------------------- */

/* The op is no more, which the kernel should know: it gets back what it gave. */
static void discard(struct rondo_uring *uring, const struct io_uring_cqe *entry)
{
    if (rondo_uring_name_tag(entry->user_data) == RONDO_OP_RECV ||
        rondo_uring_name_tag(entry->user_data) == RONDO_OP_READ)
        rondo_uring_give_back(&uring->buffers, entry->flags);
    else if (rondo_uring_name_tag(entry->user_data) == RONDO_OP_ACCEPT && entry->res >= 0)
        close(entry->res);
    else if (rondo_uring_name_tag(entry->user_data) == RONDO_OP_RECV_DATAGRAMS)
        rondo_uring_give_back(&uring->letters.buffers, entry->flags);
}

/* A cancel failed. Too late is all right. But a receive can be out of sight of a cancel for a moment. */
static void reap_cancel(struct rondo_uring *uring, const struct io_uring_cqe *entry)
{
    struct rondo_uring_slot *slot = rondo_uring_find(uring, entry->user_data);
    if (!slot || entry->res != -ENOENT || slot->place != RONDO_URING_ARMED)
        return;
    slot->cancel_sent = false;
    if (slot->cancel_wanted)
        rondo_uring_want_cancel(uring, slot);
}

static bool have_node(const struct rondo_uring *uring)
{
    return uring->free_node || uring->nodes_used < uring->node_count;
}

static struct rondo_uring_node *take_node(struct rondo_uring *uring)
{
    struct rondo_ready *free = uring->free_node;
    if (!free)
        return &uring->nodes[uring->nodes_used++];
    uring->free_node = free->next;
    return rondo_container(free, struct rondo_uring_node, ready);
}

/* What a cancelled one has sent is sent. */
static void run_sent(struct rondo_ready *ready, struct rondo_core *core)
{
    struct rondo_op *op = rondo_container(ready, struct rondo_op, ready);
    struct rondo_uring *uring = rondo_uring_of(core->driver);
    int result = (int) op->result;
    if (result == -EAGAIN && op->state == RONDO_OP_ACTIVE) {
        uring->slots[op->slot].is_repeating = true;
        rondo_uring_rearm(uring, op);
        return;
    }
    rondo_uring_finish(uring, op, result >= 0 ? result : code_of(op, result));
}

static void reap_op(struct rondo_uring *uring, const struct io_uring_cqe *entry,
                    struct rondo_ready_list *completed)
{
    struct rondo_uring_slot *slot = rondo_uring_find(uring, entry->user_data);
    if (!slot || slot->place != RONDO_URING_ARMED) {
        discard(uring, entry);
        return;
    }
    if (!(entry->flags & IORING_CQE_F_MORE)) {
        slot->place = RONDO_URING_ENDING;
        struct rondo_uring_row *row = &uring->rows[slot->socket];
        if (row->generation == slot->socket_generation)
            row->armed--;
    }
    if (slot->op->kind == RONDO_OP_RECV_DATAGRAMS) {
        rondo_uring_reap_datagrams(uring, slot, entry, completed);
        return;
    }
    uring->driver.completions++;
    /* The most frequent of those that end with one completion needs no node. */
    if (slot->op->kind == RONDO_OP_SEND && !slot->is_repeating) {
        slot->op->result = entry->res;
        slot->op->ready.run = run_sent;
        rondo_ready_list_append(completed, &slot->op->ready);
        return;
    }
    struct rondo_uring_node *node = take_node(uring);
    node->ready.run = run_node;
    node->name = entry->user_data;
    node->result = entry->res;
    node->flags = entry->flags;
    rondo_ready_list_append(completed, &node->ready);
}

void rondo_uring_reap(struct rondo_uring *uring, struct rondo_ready_list *completed)
{
    struct io_uring_cq *queue = &uring->ring.cq;
    unsigned head = *queue->khead;
    unsigned tail = io_uring_smp_load_acquire(queue->ktail);
    for (; head != tail && have_node(uring); head++) {
        const struct io_uring_cqe *entry = &queue->cqes[head & *queue->kring_mask];
        switch (rondo_uring_name_tag(entry->user_data)) {
        case RONDO_URING_TAG_WAKE:
            uring->wake_armed = (entry->flags & IORING_CQE_F_MORE) != 0;
            break;
        case RONDO_URING_TAG_CANCEL:
            reap_cancel(uring, entry);
            break;
        default:
            reap_op(uring, entry, completed);
        }
    }
    io_uring_smp_store_release(queue->khead, head);
}
