/* SPDX-License-Identifier: MIT */
/* The seam between the loop and what it stands on.
 *
 * The life of an operation. Its owner (a transport, a server, a connect) embeds a struct rondo_op, fills in
 * kind, socket, complete and the arguments, and submits it. From then on the op is *active*: it and
 * the memory it names must stay where they are. It completes exactly once, by a call of `complete` with
 * the outcome in `result`; a repeating op (RECV, READ, ACCEPT) completes any number of times with `more` set, and one
 * last time with `more` clear. With that last call the op is idle again and the driver has
 * forgotten it: `complete` may free it or submit it anew.
 *
 * Completions are never run inside submit, cancel or wait: wait() appends nodes to a list, and the loop runs
 * them in its batch. A node that runs for an op that was cancelled meanwhile completes it with RONDO_ECANCELLED.
 *
 * cancel() on an active op makes it complete soon with RONDO_ECANCELLED, or with what it had come to: it may
 * have succeeded. A cancelled ACCEPT closes the sockets that it gets all the same. On an op that is idle, or
 * whose cancellation is under way, cancel does nothing. A repeating op delivers nothing but its last
 * completion after cancel.
 *
 * A watch is the exception: it has nothing that the kernel could hand over, so cancelling it is over at once: the op is
 * idle, complete is not called, and it may be submitted anew in the same breath. But its memory stays where it is as long as
 * the loop lives, as its node may still stand in a queue.
 *
 * A *borrowed* socket is the program's: it may close the descriptor behind the driver's back whenever no op on it is active, and
 * open another one under the same number. The others are closed by close_socket.
 *
 * Everything but wake() is called on the loop's thread. */
#ifndef RONDO_BACKENDS_DRIVER_H
#define RONDO_BACKENDS_DRIVER_H

#include <rondo/address.h>
#include <rondo/backend.h>
#include <rondo/error.h>
#include <rondo/transport.h>
#include <rondo/types.h>

#include "../src/base/ready.h"

enum rondo_op_kind {
    /* A stream receive that repeats. result > 0: so many bytes, lent at op->data until complete returns
     * (or in the memory that op->buffer gave); 0: end of stream, the last completion; negative: an error, the
     * last one. At most one completion for each pass on a selector. */
    RONDO_OP_RECV,
    /* One send of what op->gather names, as much as the kernel takes. result > 0: so many bytes. */
    RONDO_OP_SEND,
    /* Accept that repeats. result >= 0: a new socket, non-blocking and close-on-exec, now the owner's;
     * op->address (may be NULL): the peer, or length 0 where not known; borrowed for the call.
     * Would-block, interruption and aborted connections are never reported. Another error is the last
     * completion: the owner decides when to submit again. At most `limit` for each pass on a selector. */
    RONDO_OP_ACCEPT,
    /* Connect op->socket to *op->address (borrowed until complete). result 0 or an error;
     * RONDO_EBUSY: the queue of a Unix listener is full, nothing has begun. */
    RONDO_OP_CONNECT,
    /* Tell that a socket, or whatever else can be polled, is readable or writable; hang-up and errors count as both.
     * Repeats, once a pass, as long as it is so. result 0, or an error that was told with it and which the socket may not
     * tell any more; without `more` an error: the last completion. Refused at once: what cannot be
     * polled (RONDO_EPERM) or is not open (RONDO_EBADF). */
    RONDO_OP_WATCH_READ,
    RONDO_OP_WATCH_WRITE,
    /* RECV and SEND for pipes, devices and whatever else is read and written: op->blocking says that it would block. */
    RONDO_OP_READ,
    RONDO_OP_WRITE,
    /* Tell once that a descriptor that is only written to is readable: the other end has gone. result 0 or an error. */
    RONDO_OP_HANGUP,
    /* Receive datagrams; repeats. The op is the first member of a struct rondo_datagram_receive. result >= 0: the
     * length of one, lent at op->data until complete returns. Negative with `more`: an error of the socket, which goes on
     * receiving; without: the last completion. Each comes in a pass of its own, unless nobody can tell. */
    RONDO_OP_RECV_DATAGRAMS,
    /* Tell once that a socket can be written to, or that it has an error to tell. result 0, or an error of the driver. */
    RONDO_OP_WRITABLE
};

static inline bool rondo_op_kind_is_watch(unsigned kind)
{
    return kind == RONDO_OP_WATCH_READ || kind == RONDO_OP_WATCH_WRITE;
}

enum rondo_op_state {
    RONDO_OP_IDLE,      /* not the driver's */
    RONDO_OP_ACTIVE,    /* submitted */
    RONDO_OP_CANCELLING /* cancel was called; the last completion is still to come */
};

struct rondo_op {
    struct rondo_ready ready; /* the driver's: its place in a queue */
    void (*complete)(struct rondo_op *op);
    uint8_t kind;        /* enum rondo_op_kind; owner */
    uint8_t state;       /* enum rondo_op_state; driver */
    bool more;           /* at complete: there will be another; driver */
    bool paused;         /* RECV, READ: deliver nothing; set by pause and resume; driver */
    uint8_t flags;       /* the driver's own; 0 before the first submit */
    bool borrowed;       /* the descriptor is the program's; owner */
    bool blocking;       /* READ, WRITE: it was not made non-blocking. Proactors alone take it; owner */
    uint32_t slot;       /* the driver's own: identity in the kernel */
    rondo_socket socket; /* owner */
    ptrdiff_t result;    /* driver */
    union {
        const void *data; /* RECV, READ, at complete: the lent bytes; driver */
        /* SEND, WRITE: fills in what is to be sent and returns how many pieces; called once, any time between submit
         * and the start of the send; what it named must stay in place until complete; owner */
        size_t (*gather)(struct rondo_op *op, rondo_bytes *pieces, size_t capacity);
        rondo_address *address; /* ACCEPT: see there (driver); CONNECT: the target (owner) */
    };
    union {
        /* RECV, READ, may be NULL: memory to receive into, asked for right before a receive that is made at delivery.
         * NULL from it: receive nothing now. Drivers that lend buffers of their own ignore it; owner */
        void *(*buffer)(struct rondo_op *op, size_t *ret_length);
        unsigned limit; /* ACCEPT; owner */
    };
};

static inline bool rondo_op_is_active(const struct rondo_op *op)
{
    return op->state != RONDO_OP_IDLE;
}

struct rondo_datagram_batch;

/* A RECV_DATAGRAMS. Where a datagram's completion leaves nothing behind that would run before the next one's in the next pass, the
 * next one may follow at once: they are a batch. */
struct rondo_datagram_receive {
    struct rondo_op op;
    const rondo_address *sender; /* at complete: borrowed for the call; length 0: it has no name; driver */
    void (*delivered)(struct rondo_op *op); /* behind the last completion of a batch for now; owner */
    struct rondo_datagram_batch *batch; /* received and not told yet; NULL before the first submit; driver */
    bool is_batch;                      /* at complete: `delivered` will be called; driver */
    bool may_read_ahead; /* several may be received at once, of at most 64 KiB each; else 256 KiB; owner */
    /* io_uring's own: the buffers that have come, in order, and an error behind them (0: none). */
    uint16_t first_arrived, last_arrived;
    int end;
};

struct rondo_driver_config {
    const rondo_allocator *allocator;
    size_t receive_buffer_size; /* 0: the driver's default */
    unsigned receive_buffers;   /* 0: default */
    unsigned ring_entries;      /* 0: default */
    bool extended;
};

struct rondo_driver {
    const struct rondo_driver_ops *ops;
    struct rondo_core *core; /* whose queue local completions go to */
    uint64_t completions;    /* nodes that waits have appended so far */
    size_t active;           /* ops that are not idle: close needs 0 */
    bool is_quiet; /* nothing is watched or in flight: a wait that does not block would find nothing */
};

struct rondo_driver_ops {
    const char *name;
    rondo_backend backend;
    bool is_proactor;
    unsigned capabilities;          /* enum rondo_capability, by default */
    unsigned extended_capabilities; /* what `extended` adds */

    /* Open it, or say why it cannot run: a code, with the words by rondo_fail. @core may be NULL: a probe. */
    int (*open)(const struct rondo_driver_config *config, struct rondo_core *core,
                struct rondo_driver **ret_driver);
    void (*close)(struct rondo_driver *driver);

    /* 0: it will complete. 1: it is done already, op->result says how, complete is not called and the op is
     * idle (on selectors, a connect that succeeds or fails at once).
     * Negative: refused, the op is idle. */
    int (*submit)(struct rondo_driver *driver, struct rondo_op *op);
    void (*cancel)(struct rondo_driver *driver, struct rondo_op *op);

    /* RECV, READ: hold deliveries back, and go on. On a selector nothing is read while paused. On a proactor what has
     * arrived already may still be delivered (the owner parks it), but the driver soon stops receiving. Repeatable. */
    void (*pause)(struct rondo_driver *driver, struct rondo_op *op);
    void (*resume)(struct rondo_driver *driver, struct rondo_op *op);

    /* Send without queueing, where the driver thinks that it pays: bytes taken, RONDO_EAGAIN for "submit it", or
     * an error. Only when no SEND is active on the socket. */
    ptrdiff_t (*try_send)(struct rondo_driver *driver, rondo_socket sock, const rondo_bytes *pieces,
                          size_t count);

    /* The same for WRITE. */
    ptrdiff_t (*try_write)(struct rondo_driver *driver, rondo_socket sock, bool blocking,
                           const rondo_bytes *pieces, size_t count);

    /* Close a socket whose ops are idle or cancelled, such that the peer sees an orderly end and no late completion
     * reaches a socket that gets the same number. */
    void (*close_socket)(struct rondo_driver *driver, rondo_socket sock);

    /* Hand the kernel what is queued and wait for completions at most @timeout (0: do not block; negative: for ever),
     * in one system call where the kernel can. Appends every finished op to @completed. An interrupted
     * wait is an empty result. Returns 0, or an error of the backend itself. Never returns early for a
     * timer: rounds up. */
    int (*wait)(struct rondo_driver *driver, rondo_ns timeout, struct rondo_ready_list *completed);

    /* End a wait that blocks, or the next one. Any thread; async-signal-safe on Unix. The core coalesces. */
    void (*wake)(struct rondo_driver *driver);

    /* What it found on this machine, for rondo_backend_probe; static or borrowed until the driver closes. */
    const char *(*describe)(struct rondo_driver *driver);
};

/* The backends that are built in, best first within each family; ends with NULL. From registry.c. */
extern const struct rondo_driver_ops *const rondo_driver_registry[];

#endif
