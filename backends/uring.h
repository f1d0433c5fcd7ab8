/* SPDX-License-Identifier: MIT */
/* The inside of the io_uring driver, shared by its six files: uring.c (the loop's side: wait, wake,
 * vtable), uring_setup.c (finding out what the kernel has), uring_submit.c (from ops to the submission
 * queue), uring_complete.c (from the completion queue to ops), and what pipes and datagrams have of their own
 * (uring_pipe.c, uring_datagrams.c).
 *
 * Identity. The kernel knows an op by a name of 64 bits: generation, tag and slot. The slot leads to
 * the op; a name whose generation is over leads nowhere. Descriptors are never used to find anything.
 *
 * Where an op is, while it is active (enum rondo_uring_place):
 *   PENDING  in the list `pending`, by op->ready; the next wait arms it, or runs what it holds
 *   ARMED    the kernel has it: exactly one completion without IORING_CQE_F_MORE is to come. A receive of
 *            datagrams that holds some is in `pending` all the same
 *   ENDING   that completion was reaped, its node is queued
 *   PARKED   none of these: a receive that is paused
 * A watch that is cancelled leaves its slot to `nobody`, an op of the driver's own, which takes what the kernel still
 * has to say. Watches are polls that end with each event.
 *
 * Entries of the submission queue are made in wait() alone, right before the system call. So between
 * two waits the kernel's queue names no descriptor, and closing one needs no look at it. */
#ifndef RONDO_BACKENDS_URING_H
#define RONDO_BACKENDS_URING_H

#include <liburing.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "datagrams.h"
#include "driver.h"

enum rondo_uring_place { RONDO_URING_PARKED, RONDO_URING_PENDING, RONDO_URING_ARMED, RONDO_URING_ENDING };

/* What a completion belongs to: the kind of an op, or one of these. */
enum rondo_uring_tag { RONDO_URING_TAG_WAKE = 14, RONDO_URING_TAG_CANCEL = 15 };

#define RONDO_URING_SLOT_BITS 28
#define RONDO_URING_NONE UINT32_MAX
#define RONDO_URING_GROUP 0         /* the buffer group of receives */
#define RONDO_URING_LETTERS_GROUP 1 /* that of datagrams */

/* Flags of an op: its node is in `pending`, whatever became of the op since; that of a receive of datagrams is among what is to
 * run; it was paused and resumed since, so that its turn comes with the next wait, as on a selector. */
enum { RONDO_URING_LISTED = 1, RONDO_URING_QUEUED = 2, RONDO_URING_STALE = 4 };

enum {
    RONDO_URING_PIECES = 1024, /* iovecs for each submission */
    RONDO_URING_PIECES_PER_SEND = 64,
    RONDO_URING_MESSAGES = 128,
    RONDO_URING_LETTERS = 64 /* buffers for datagrams; a power of two */
};

struct rondo_uring_slot {
    struct rondo_op *op; /* NULL: free, or only waiting to be taken off the cancel list */
    uint32_t generation;
    uint32_t next;              /* in the cancel list, or else in the free list */
    uint32_t socket_generation; /* of the socket's row when it was armed */
    rondo_socket socket;
    uint8_t place;      /* enum rondo_uring_place */
    bool cancel_wanted; /* the kernel is to let go of it */
    bool cancel_listed; /* in the cancel list */
    bool cancel_sent;   /* the kernel was told */
    bool is_bulk;       /* a receive that is made by calls: the kernel only says when */
    bool is_repeating;  /* a poll for room whose peer has ended its half; a send that waits for one */
    bool by_worker; /* READ, WRITE: the next entry is the transfer, not the question whether it would wait */
    uint8_t streak; /* receives in a row that speak against is_bulk */
};

/* What is armed on a descriptor; the generation tells a number that was closed and came back. Closing cancels what is armed on
 * some, and shuts the others down. */
struct rondo_uring_row {
    uint32_t generation;
    uint32_t armed : 31;
    uint32_t is_to_cancel : 1;
};

/* A reaped completion on its way to its op. */
struct rondo_uring_node {
    struct rondo_ready ready;
    uint64_t name;
    int32_t result;
    uint32_t flags;
};

/* A piece of a send, as its owner fills it in and as the kernel reads it. */
union rondo_uring_piece {
    rondo_bytes bytes;
    struct iovec vector;
};

struct rondo_uring_buffers {
    struct io_uring_buf_ring *ring;
    size_t ring_size; /* of the mapping */
    unsigned char *memory;
    size_t memory_size;
    unsigned char *scratch; /* for receives that are made by calls */
    size_t scratch_size;
    size_t chunk_size; /* what is delivered at a time, at most */
    size_t stride;
    unsigned size;
    unsigned count; /* a power of two */
};

/* Buffers for datagrams, made when the first one is received. Of those that have come: the next one's number, and what the
 * kernel has written. */
struct rondo_uring_letters {
    struct rondo_uring_buffers buffers;
    bool is_tried;
    bool are_lent;
    unsigned linked; /* how many have come and were not told */
    uint16_t next[RONDO_URING_LETTERS];
    int length[RONDO_URING_LETTERS];
};

struct rondo_uring {
    struct rondo_driver driver;
    const rondo_allocator *allocator;
    struct io_uring ring;
    int wake_descriptor;
    bool enabled; /* the ring knows the thread that runs it */
    bool wake_armed;
    bool accept_once; /* this kernel's repeating accept cannot be trusted */
    unsigned wait_flags;

    struct rondo_ready_list pending;
    struct rondo_op nobody; /* whose slots are watches that were cancelled; nothing else of it is used */
    struct rondo_uring_slot *slots;
    uint32_t slot_count;
    uint32_t slots_used; /* the others have never been touched */
    uint32_t free_slot;
    uint32_t cancel_list;
    struct rondo_uring_row *rows;
    size_t row_count;
    struct rondo_uring_node *nodes;
    uint32_t node_count;
    uint32_t nodes_used; /* likewise */
    struct rondo_ready *free_node;
    struct rondo_uring_buffers buffers;
    struct rondo_uring_letters letters;
    struct rondo_datagram_pool datagrams; /* for those that are received by calls */

    /* Read by the kernel until a submission has consumed every entry. */
    union rondo_uring_piece *pieces;
    struct msghdr *messages;
    unsigned piece_count;
    unsigned message_count;

    char description[192];
};

static inline struct rondo_uring *rondo_uring_of(struct rondo_driver *driver)
{
    return (struct rondo_uring *) (void *) driver;
}

/* Both sides of a watch have one tag. */
static inline unsigned rondo_uring_tag_of(const struct rondo_op *op)
{
    return rondo_op_kind_is_watch(op->kind) ? RONDO_OP_WATCH_READ : op->kind;
}

static inline uint64_t rondo_uring_name(uint32_t generation, unsigned tag, uint32_t slot)
{
    return (uint64_t) generation << 32 | (uint64_t) tag << RONDO_URING_SLOT_BITS | slot;
}

static inline unsigned rondo_uring_name_tag(uint64_t name)
{
    return (unsigned) (name >> RONDO_URING_SLOT_BITS) & 15u;
}

/* The slot that @name stands for, or NULL when that time is over. */
static inline struct rondo_uring_slot *rondo_uring_find(struct rondo_uring *uring, uint64_t name)
{
    uint32_t index = (uint32_t) name & ((1u << RONDO_URING_SLOT_BITS) - 1);
    if (index >= uring->slots_used)
        return NULL;
    struct rondo_uring_slot *slot = &uring->slots[index];
    return slot->op && slot->generation == (uint32_t) (name >> 32) ? slot : NULL;
}

/* --- uring_setup.c -------------------------------------------------------------------------------- */

int rondo_uring_open(const struct rondo_driver_config *config, struct rondo_core *core,
                     struct rondo_driver **ret_driver);
void rondo_uring_close(struct rondo_driver *driver);
/* Map the buffers, whose sizes and count are given, and lend all of them to the kernel as @group. Returns 0 or minus an
 * errno. They go with rondo_uring_close. */
int rondo_uring_lend_buffers(struct rondo_uring *uring, struct rondo_uring_buffers *buffers, unsigned group);

/* --- uring.c -------------------------------------------------------------------------------------- */

/* Hand over what is queued, let the kernel run what it put off, and wait at most @timeout for a
 * completion (0: not at all, negative: for ever). No system call where there is nothing to do. Being
 * interrupted, timed out or short of room is no error. */
int rondo_uring_enter(struct rondo_uring *uring, rondo_ns timeout);

/* --- uring_submit.c ------------------------------------------------------------------------------- */

int rondo_uring_submit(struct rondo_driver *driver, struct rondo_op *op);
void rondo_uring_cancel(struct rondo_driver *driver, struct rondo_op *op);
void rondo_uring_pause(struct rondo_driver *driver, struct rondo_op *op);
void rondo_uring_resume(struct rondo_driver *driver, struct rondo_op *op);
void rondo_uring_close_socket(struct rondo_driver *driver, rondo_socket sock);

/* Make entries of everything that waits for one. Ops that were cancelled before go to @completed. */
void rondo_uring_prepare(struct rondo_uring *uring, struct rondo_ready_list *completed);

/* Have the next wait arm @op, which the kernel is done with. */
void rondo_uring_rearm(struct rondo_uring *uring, struct rondo_op *op);
/* Have the next wait tell the kernel to let go of what @slot has armed. */
void rondo_uring_want_cancel(struct rondo_uring *uring, struct rondo_uring_slot *slot);
/* The slot's op has come to its end: forget it. */
void rondo_uring_release_slot(struct rondo_uring *uring, struct rondo_uring_slot *slot);
/* The kernel is done with an op that is paused. */
void rondo_uring_park(struct rondo_uring_slot *slot);
/* Have the next wait run what @op, which is ARMED, holds. */
void rondo_uring_hold(struct rondo_uring *uring, struct rondo_op *op);
/* Complete @op for the last time. */
void rondo_uring_finish(struct rondo_uring *uring, struct rondo_op *op, ptrdiff_t result);

/* --- uring_complete.c ----------------------------------------------------------------------------- */

/* Turn completions into nodes, as long as there are both. */
void rondo_uring_reap(struct rondo_uring *uring, struct rondo_ready_list *completed);
/* Lend buffer @index to the kernel (again). */
void rondo_uring_give_buffer(struct rondo_uring_buffers *buffers, unsigned index);
/* The buffer that a completion with @flags came in. */
unsigned char *rondo_uring_lent_buffer(const struct rondo_uring *uring, uint32_t flags);
/* Give it back, if there is one. */
void rondo_uring_give_back(struct rondo_uring_buffers *buffers, uint32_t flags);
/* Complete a receive that goes on. */
void rondo_uring_deliver(struct rondo_op *op, const void *data, ptrdiff_t length);

/* --- uring_pipe.c --------------------------------------------------------------------------------- */

void rondo_uring_fill_pipe(struct rondo_uring *uring, struct rondo_op *op, struct io_uring_sqe *entry);
void rondo_uring_run_read(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result,
                          uint32_t flags);
void rondo_uring_run_write(struct rondo_uring *uring, struct rondo_uring_slot *slot, int result);
void rondo_uring_run_hangup(struct rondo_uring *uring, struct rondo_op *op, int result);
ptrdiff_t rondo_uring_try_write(struct rondo_driver *driver, rondo_socket sock, bool blocking,
                                const rondo_bytes *pieces, size_t count);

/* --- uring_datagrams.c ---------------------------------------------------------------------------- */

/* A RECV_DATAGRAMS is submitted. */
void rondo_uring_init_datagrams(struct rondo_op *op);
void rondo_uring_fill_datagrams(struct rondo_uring *uring, struct rondo_op *op, struct io_uring_sqe *entry);
/* What a repeating recvmsg has brought, or a poll said. */
void rondo_uring_reap_datagrams(struct rondo_uring *uring, struct rondo_uring_slot *slot,
                                const struct io_uring_cqe *entry, struct rondo_ready_list *completed);
/* Queue the node that tells what @op holds. */
void rondo_uring_queue_datagrams(struct rondo_uring *uring, struct rondo_op *op,
                                 struct rondo_ready_list *completed);
/* Whether something has come and was not told. */
bool rondo_uring_datagrams_are_held(const struct rondo_op *op);
void rondo_uring_drop_datagrams(struct rondo_uring *uring, struct rondo_op *op);

#endif
