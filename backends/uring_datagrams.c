/* SPDX-License-Identifier: MIT */
/* The io_uring driver: receiving datagrams.
 *
 * Happy path: a repeating recvmsg fills buffers that hold a datagram and its sender each. What a wait reaps is linked up behind
 * the op, and its node, queued once, tells them as datagrams.h says: the first one, and others as long as nobody can tell.
 * What is left is told in the next pass. So between two system calls that wait nothing is asked of the kernel.
 *
 * Where an op's datagrams may be larger than a buffer, and where there are no such buffers, the kernel only says when there is
 * something (a poll, slot->is_bulk), and they are received by calls. So is, there and then, what finds all buffers with others.
 *
 * Failures: an error of the socket ends the kernel's work. It is told behind what came before it, as a readiness of its own, and
 * the receive is armed again.
 * Invariants: a buffer is linked to one op from when it is reaped until it was told or the op is over. The node of an op that is
 * ARMED is queued only while something of it is to be told. */
#include "uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "../platform/socket.h"
#include "../src/base/container.h"

#define NONE UINT16_MAX

enum {
    BUFFERS = RONDO_URING_LETTERS,
    NAME_SIZE = 48, /* of the sender; makes the head that the kernel writes a whole line */
    HEAD_SIZE = (int) sizeof(struct io_uring_recvmsg_out) + NAME_SIZE,
    LARGEST = 65536,
    DISTANCE = 320 /* the beginnings lie in different lines of the processor's cache */
};

_Static_assert(HEAD_SIZE == 64, "a head is a line");

/* What is received: no control data, and a name. Read by the kernel at submission. */
static struct msghdr shape = { .msg_namelen = NAME_SIZE };

static struct rondo_datagram_receive *receive_of(struct rondo_op *op)
{
    return rondo_container(op, struct rondo_datagram_receive, op);
}

static struct rondo_uring_slot *slot_of(struct rondo_uring *uring, const struct rondo_op *op)
{
    return &uring->slots[op->slot];
}

/* --- what has come ---------------------------------------------------------------------------------- */

static bool has_arrived(const struct rondo_datagram_receive *receive)
{
    return receive->first_arrived != NONE;
}

static void link_arrived(struct rondo_uring *uring, struct rondo_datagram_receive *receive, unsigned index,
                         int length)
{
    struct rondo_uring_letters *letters = &uring->letters;
    letters->linked++;
    letters->next[index] = NONE;
    letters->length[index] = length;
    if (has_arrived(receive))
        letters->next[receive->last_arrived] = (uint16_t) index;
    else
        receive->first_arrived = (uint16_t) index;
    receive->last_arrived = (uint16_t) index;
}

/* Give the first one's buffer back. */
static void unlink_arrived(struct rondo_uring *uring, struct rondo_datagram_receive *receive)
{
    unsigned index = receive->first_arrived;
    receive->first_arrived = uring->letters.next[index];
    uring->letters.linked--;
    rondo_uring_give_buffer(&uring->letters.buffers, index);
}

void rondo_uring_init_datagrams(struct rondo_op *op)
{
    struct rondo_datagram_receive *receive = receive_of(op);
    receive->first_arrived = NONE;
    receive->end = 0;
}

bool rondo_uring_datagrams_are_held(const struct rondo_op *op)
{
    const struct rondo_datagram_receive *receive =
        rondo_container(op, const struct rondo_datagram_receive, op);
    return has_arrived(receive) || receive->end < 0 || rondo_datagrams_are_held(op);
}

void rondo_uring_drop_datagrams(struct rondo_uring *uring, struct rondo_op *op)
{
    struct rondo_datagram_receive *receive = receive_of(op);
    while (has_arrived(receive))
        unlink_arrived(uring, receive);
    receive->end = 0;
    rondo_datagrams_drop(&uring->datagrams, op);
}

/* --- arming ----------------------------------------------------------------------------------------- */

/* Whether there are any, and not all of them with endpoints that are paused. */
static bool have_buffers(struct rondo_uring *uring)
{
    struct rondo_uring_letters *letters = &uring->letters;
    if (!letters->is_tried) {
        letters->is_tried = true;
        letters->buffers.size = HEAD_SIZE + LARGEST;
        letters->buffers.stride = HEAD_SIZE + LARGEST + DISTANCE;
        letters->buffers.count = BUFFERS;
        letters->are_lent =
            rondo_uring_lend_buffers(uring, &letters->buffers, RONDO_URING_LETTERS_GROUP) == 0;
    }
    return letters->are_lent && letters->linked < BUFFERS;
}

void rondo_uring_fill_datagrams(struct rondo_uring *uring, struct rondo_op *op, struct io_uring_sqe *entry)
{
    struct rondo_uring_slot *slot = slot_of(uring, op);
    slot->is_bulk = !receive_of(op)->may_read_ahead || !have_buffers(uring);
    if (slot->is_bulk) {
        io_uring_prep_poll_add(entry, op->socket, POLLIN);
        return;
    }
    io_uring_prep_recvmsg_multishot(entry, op->socket, &shape, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = RONDO_URING_LETTERS_GROUP;
}

/* --- reaping ---------------------------------------------------------------------------------------- */

static bool is_harmless(int result)
{
    return result >= 0 || result == -ENOBUFS || result == -ECANCELED || result == -EINTR || result == -EAGAIN;
}

static bool is_readable(rondo_socket sock)
{
    struct pollfd wanted = { .fd = sock, .events = POLLIN };
    return poll(&wanted, 1, 0) > 0;
}

/* The kernel has ended what was armed, and has brought nothing that would have to be told first. A poll has found something. A
 * receive that lacked a buffer, or was cancelled for a pause that is over, may have: that is received by calls in this pass. */
static void go_on(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result,
                  struct rondo_ready_list *completed)
{
    bool has_found = slot->is_bulk && result >= 0;
    if (!has_found && !is_readable(slot->socket)) {
        rondo_uring_rearm(uring, slot->op);
        return;
    }
    slot->is_bulk = true;
    rondo_uring_queue_datagrams(uring, slot->op, completed);
}

/* What comes to an op that is paused has to wait, even if it goes on in this pass. */
void rondo_uring_reap_datagrams(struct rondo_uring *uring, struct rondo_uring_slot *slot,
                                const struct io_uring_cqe *entry, struct rondo_ready_list *completed)
{
    struct rondo_op *op = slot->op;
    struct rondo_datagram_receive *receive = receive_of(op);
    if (entry->flags & IORING_CQE_F_BUFFER)
        link_arrived(uring, receive, entry->flags >> IORING_CQE_BUFFER_SHIFT, entry->res);
    bool is_last = !(entry->flags & IORING_CQE_F_MORE);
    if (is_last && !is_harmless(entry->res))
        receive->end = rondo_error_from_system(-entry->res);
    if (op->flags)
        return; /* it is in a list still, and sees to all of that in its turn */
    bool is_active = op->state == RONDO_OP_ACTIVE;
    if (is_active && op->paused && is_last)
        rondo_uring_park(slot);
    else if (is_active && op->paused)
        rondo_uring_want_cancel(uring, slot);
    else if (is_active && is_last && !rondo_uring_datagrams_are_held(op))
        go_on(uring, slot, entry->res, completed);
    else
        rondo_uring_queue_datagrams(uring, op, completed);
}

/* --- telling ---------------------------------------------------------------------------------------- */

static void read_letter(const struct rondo_uring *uring, unsigned index, struct rondo_datagram *ret_datagram)
{
    const struct rondo_uring_letters *letters = &uring->letters;
    unsigned char *memory = letters->buffers.memory + index * letters->buffers.stride;
    struct io_uring_recvmsg_out *head = io_uring_recvmsg_validate(memory, letters->length[index], &shape);
    ret_datagram->memory = memory + HEAD_SIZE;
    ret_datagram->length = head ? io_uring_recvmsg_payload_length(head, letters->length[index], &shape) : 0;
    ret_datagram->sender.length = head && head->namelen <= NAME_SIZE ? head->namelen : 0;
    memcpy(ret_datagram->sender.storage.bytes, memory + sizeof *head, ret_datagram->sender.length);
}

/* A buffer goes back when its datagram was told. */
static void tell_arrived(struct rondo_uring *uring, struct rondo_datagram_receive *receive)
{
    struct rondo_datagram_run run = { .core = uring->driver.core };
    bool has_more;
    do {
        struct rondo_datagram datagram;
        unsigned index = receive->first_arrived;
        has_more = uring->letters.next[index] != NONE;
        read_letter(uring, index, &datagram);
        rondo_datagram_tell(&run, receive, &datagram, has_more);
        unlink_arrived(uring, receive);
    } while (has_more && rondo_datagram_may_follow(&run, &receive->op));
    rondo_datagram_end_batch(&run, receive);
}

static enum rondo_datagram_outcome tell(struct rondo_uring *uring, struct rondo_op *op)
{
    struct rondo_datagram_receive *receive = receive_of(op);
    int end = receive->end;
    if (has_arrived(receive)) {
        tell_arrived(uring, receive);
    } else if (end < 0) {
        receive->end = 0;
        return rondo_datagram_tell_error(op, end);
    } else if (slot_of(uring, op)->is_bulk) {
        return rondo_datagrams_run(&uring->datagrams, op, uring->driver.core);
    }
    return RONDO_DATAGRAMS_WAIT;
}

/* See to it that the op goes on, or comes to its end. */
static void settle(struct rondo_uring *uring, struct rondo_op *op, enum rondo_datagram_outcome outcome)
{
    struct rondo_uring_slot *slot = slot_of(uring, op);
    bool is_ending = slot->place == RONDO_URING_ENDING;
    if (op->state == RONDO_OP_CANCELLING && !is_ending)
        rondo_uring_drop_datagrams(uring, op); /* the kernel's last word is to come */
    else if (op->state == RONDO_OP_CANCELLING)
        rondo_uring_finish(uring, op, RONDO_ECANCELLED);
    else if (outcome == RONDO_DATAGRAMS_OVER)
        rondo_uring_finish(uring, op, op->result);
    else if (is_ending)
        rondo_uring_rearm(uring, op);
    else if (op->paused)
        rondo_uring_want_cancel(uring, slot);
    else if (rondo_uring_datagrams_are_held(op))
        rondo_uring_hold(uring, op);
}

static void run_datagrams(struct rondo_ready *ready, struct rondo_core *core)
{
    struct rondo_uring *uring = rondo_uring_of(core->driver);
    struct rondo_op *op = rondo_container(ready, struct rondo_op, ready);
    bool may_tell = op->state == RONDO_OP_ACTIVE && !op->paused && !(op->flags & RONDO_URING_STALE);
    op->flags = 0;
    settle(uring, op, may_tell ? tell(uring, op) : RONDO_DATAGRAMS_WAIT);
}

void rondo_uring_queue_datagrams(struct rondo_uring *uring, struct rondo_op *op,
                                 struct rondo_ready_list *completed)
{
    assert(!op->flags);
    op->flags = RONDO_URING_QUEUED;
    op->ready.run = run_datagrams;
    uring->driver.completions++;
    rondo_ready_list_append(completed, &op->ready);
}
