/* SPDX-License-Identifier: MIT */
/* The reactor: a driver made of a poller.
 *
 * Each descriptor has an entry with at most one op for reading and one for writing. An op that is submitted is parked in its
 * entry; when the poller finds its side ready the op is appended to the completed list, and the system call is made when
 * its turn in the batch comes: so data is received at delivery, into one scratch buffer for all connections.
 *
 * Interest is kept between operations: what ops want is compared with what is registered once before each wait. A read side
 * that nobody wants any more stays registered until it reports something, so that a connection that receives
 * again and again costs no system call but the receives; a write side is dropped at once, as it is ready nearly always.
 *
 * The descriptors of the program (op->borrowed) are not ours to close, so nothing is kept for them: interest goes with
 * the op, before the next wait. But one that comes back until then under the same number and is the same is found still registered.
 *
 * Failures: an operation's own errors complete it. A registration that fails completes the op with that error.
 * Invariants: an op is in its entry's slot exactly while it is active and not cancelled; the generation in the cookie
 * tells events of a descriptor that was closed and reused. */
#include "reactor_inside.h"

#include <assert.h>
#include <string.h>

#include "../platform/socket.h"
#include "../src/base/container.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"
#include "pollable.h"

#define SCRATCH_SIZE ((size_t) 256 * 1024) /* asyncio's max_size */
#define SCRATCH_ALIGNMENT ((size_t) 64)

/* --- entries ------------------------------------------------------------------------------------- */

/* By a quarter: what is not used of it is memory of each connection all the same. */
static int grow_entries(struct rondo_reactor *reactor, size_t least)
{
    size_t count = reactor->entry_count ? reactor->entry_count : 64;
    while (count < least)
        count += count / 4;
    struct rondo_reactor_entry *entries =
        rondo_reallocate(&reactor->allocator, reactor->entries, count * sizeof(*entries));
    if (!entries)
        return rondo_fail(RONDO_ENOMEM, NULL);
    memset(entries + reactor->entry_count, 0, (count - reactor->entry_count) * sizeof(*entries));
    reactor->entries = entries;
    reactor->entry_count = count;
    return 0;
}

static inline struct rondo_reactor_entry *entry_at(struct rondo_reactor *reactor, rondo_socket sock)
{
    return (size_t) sock < reactor->entry_count ? &reactor->entries[sock] : NULL;
}

/* Room for every entry to be dirty is made before an op is parked, so that marking cannot fail. */
static int reserve_changes(struct rondo_reactor *reactor)
{
    if (reactor->change_capacity >= reactor->entry_count)
        return 0;
    rondo_socket *changes = rondo_allocate(&reactor->allocator, reactor->entry_count * sizeof(*changes));
    if (!changes)
        return rondo_fail(RONDO_ENOMEM, NULL);
    if (reactor->change_count) /* and no more: pages that were never used stay so */
        memcpy(changes, reactor->changes, reactor->change_count * sizeof(*changes));
    rondo_release(&reactor->allocator, reactor->changes);
    reactor->changes = changes;
    reactor->change_capacity = reactor->entry_count;
    return 0;
}

static void mark_dirty(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry)
{
    if (entry->is_dirty)
        return;
    entry->is_dirty = true;
    reactor->driver.is_quiet = false;
    reactor->changes[reactor->change_count++] = (rondo_socket) (entry - reactor->entries);
}

/* Nobody is there to hear of what @side reports. */
static rondo_cold void drop_interest(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry,
                                     int side)
{
    entry->spurious |= (uint8_t) (side == RONDO_READING ? RONDO_POLL_READ : RONDO_POLL_WRITE);
    mark_dirty(reactor, entry);
}

static bool has_held(const struct rondo_op *op)
{
    return op->kind == RONDO_OP_RECV_DATAGRAMS && rondo_datagrams_are_held(op);
}

void rondo_reactor_rest(struct rondo_reactor *reactor, struct rondo_op *op)
{
    if (!op->paused && has_held(op))
        rondo_reactor_hold(reactor, op);
    drop_interest(reactor, &reactor->entries[op->socket], rondo_reactor_side_of(op));
}

static unsigned wanted_sides(const struct rondo_reactor_entry *entry)
{
    const struct rondo_op *reading = entry->ops[RONDO_READING];
    unsigned wanted =
        entry->is_borrowed ? 0 : entry->registered & RONDO_POLL_READ & ~(unsigned) entry->spurious;
    if (reading && !reading->paused)
        wanted |= RONDO_POLL_READ;
    if (entry->ops[RONDO_WRITING])
        wanted |= RONDO_POLL_WRITE;
    return wanted;
}

static uint64_t cookie_of(const struct rondo_reactor *reactor, const struct rondo_reactor_entry *entry)
{
    return (uint64_t) entry->generation << 32 | (uint64_t) (entry - reactor->entries);
}

/* Generations that are counted have the bit of an identity clear. */
static uint32_t next_generation(const struct rondo_reactor_entry *entry)
{
    return (entry->generation + 1) & ~RONDO_IDENTITY_KNOWN;
}

/* With nothing registered nothing can be ready; mail is told by other means than the wake channel. */
static void count_registered(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry, unsigned sides)
{
    if (sides && !entry->registered)
        reactor->registered_count++;
    if (!sides && entry->registered) {
        reactor->registered_count--;
        entry->generation = next_generation(entry); /* an event that comes all the same is nobody's */
    }
    entry->registered = (uint8_t) sides;
}

static void finish_unpolled(struct rondo_reactor *reactor, struct rondo_op *op, int code);

static void apply_change(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry)
{
    unsigned wanted = wanted_sides(entry);
    entry->is_dirty = false;
    entry->spurious = 0;
    if (wanted == entry->registered)
        return;
    rondo_socket sock = (rondo_socket) (entry - reactor->entries);
    int rc = reactor->poller_ops->change(reactor->poller, sock, cookie_of(reactor, entry), entry->registered,
                                         wanted);
    if (rc == 0) {
        count_registered(reactor, entry, wanted);
        return;
    }
    for (int side = RONDO_READING; side <= RONDO_WRITING; side++) /* nobody must wait for what cannot come */
        if (entry->ops[side])
            finish_unpolled(reactor, entry->ops[side], rc);
    if (entry->registered) { /* what is left of it: the next one with this number begins anew */
        reactor->poller_ops->change(reactor->poller, sock, 0, entry->registered, 0);
        count_registered(reactor, entry, 0);
    }
}

static void apply_changes(struct rondo_reactor *reactor)
{
    size_t count = reactor->change_count;
    reactor->change_count = 0;
    for (size_t i = 0; i < count; i++)
        apply_change(reactor, &reactor->entries[reactor->changes[i]]);
    reactor->driver.is_quiet =
        reactor->registered_count == 0 && reactor->change_count == 0 && !reactor->held.head;
}

/* --- the life of an op --------------------------------------------------------------------------- */

static void forget(struct rondo_reactor *reactor, struct rondo_op *op)
{
    struct rondo_reactor_entry *entry = entry_at(reactor, op->socket);
    int side = rondo_reactor_side_of(op);
    if (!entry || entry->ops[side] != op)
        return;
    entry->ops[side] = NULL;
    if (side == RONDO_WRITING || op->borrowed)
        mark_dirty(reactor, entry);
}

void rondo_reactor_retire(struct rondo_reactor *reactor, struct rondo_op *op, ptrdiff_t result)
{
    forget(reactor, op);
    if (op->kind == RONDO_OP_RECV_DATAGRAMS)
        rondo_datagrams_drop(&reactor->datagrams, op);
    reactor->driver.active--;
    op->state = RONDO_OP_IDLE;
    op->more = false;
    op->result = result;
    op->complete(op);
}

void rondo_reactor_hold(struct rondo_reactor *reactor, struct rondo_op *op)
{
    if (op->flags & RONDO_IS_QUEUED)
        return; /* it was paused and resumed in its run */
    op->flags |= RONDO_IS_QUEUED | RONDO_IS_HELD;
    reactor->driver.is_quiet = false;
    reactor->driver.completions++;
    rondo_ready_list_append(&reactor->held, &op->ready);
}

static void run_cancelled(struct rondo_ready *node, struct rondo_core *core)
{
    struct rondo_op *op = rondo_container(node, struct rondo_op, ready);
    ptrdiff_t result = op->flags & RONDO_IS_FAILED ? op->result : RONDO_ECANCELLED;
    op->flags = 0;
    rondo_reactor_retire(rondo_reactor_of(core->driver), op, result);
}

/* Park the op in the queue for its last completion. */
static void finish_soon(struct rondo_reactor *reactor, struct rondo_op *op)
{
    forget(reactor, op);
    op->ready.run = run_cancelled;
    if (!(op->flags & RONDO_IS_QUEUED))
        rondo_ready_list_append(&reactor->driver.core->queue, &op->ready);
    op->flags |= RONDO_IS_QUEUED;
}

/* What a watch comes to that was cancelled while it stood in a queue. */
static void run_dropped(struct rondo_ready *node, struct rondo_core *core)
{
    (void) core;
    struct rondo_op *op = rondo_container(node, struct rondo_op, ready);
    op->flags = 0;
    op->ready.run = rondo_reactor_run_of_kind[op->kind];
}

static void drop_watch(struct rondo_reactor *reactor, struct rondo_op *op)
{
    forget(reactor, op);
    reactor->driver.active--;
    op->state = RONDO_OP_IDLE;
    op->flags &= RONDO_IS_QUEUED;
    op->ready.run = run_dropped;
}

static void finish_unpolled(struct rondo_reactor *reactor, struct rondo_op *op, int code)
{
    op->flags |= RONDO_IS_FAILED;
    op->result = code;
    finish_soon(reactor, op);
}

void rondo_reactor_cancel(struct rondo_driver *driver, struct rondo_op *op)
{
    if (op->state != RONDO_OP_ACTIVE)
        return;
    if (rondo_op_kind_is_watch(op->kind)) {
        drop_watch(rondo_reactor_of(driver), op);
        return;
    }
    op->state = RONDO_OP_CANCELLING;
    finish_soon(rondo_reactor_of(driver), op);
}

void rondo_reactor_pause(struct rondo_driver *driver, struct rondo_op *op)
{
    (void) driver; /* the interest goes when the descriptor reports */
    op->paused = true;
}

void rondo_reactor_resume(struct rondo_driver *driver, struct rondo_op *op)
{
    struct rondo_reactor *reactor = rondo_reactor_of(driver);
    op->paused = false;
    if (op->state != RONDO_OP_ACTIVE)
        return;
    if (op->flags & RONDO_IS_HELD)
        return;
    if (op->flags & RONDO_IS_QUEUED)
        op->flags |= RONDO_IS_STALE;
    else if (has_held(op))
        rondo_reactor_hold(reactor, op);
    if (!(reactor->entries[op->socket].registered & RONDO_POLL_READ))
        mark_dirty(reactor, &reactor->entries[op->socket]);
}

/* --- submitting ----------------------------------------------------------------------------------- */

/* Nothing of what is registered is this descriptor's, or nobody knows. */
static void purge(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry)
{
    if (!entry->registered)
        return;
    rondo_socket sock = (rondo_socket) (entry - reactor->entries);
    reactor->poller_ops->change(reactor->poller, sock, 0, entry->registered, 0);
    count_registered(reactor, entry, 0);
}

/* What an event has told of an earlier descriptor of that number. */
static void forget_error(struct rondo_reactor *reactor, rondo_socket sock)
{
    if (reactor->poller_ops->take_error)
        reactor->poller_ops->take_error(reactor->poller, sock);
}

/* As purge, for a descriptor that is closed in the same breath. */
static void forget_registered(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry)
{
    if (reactor->poller_ops->forget)
        reactor->poller_ops->forget(reactor->poller, (rondo_socket) (entry - reactor->entries),
                                    entry->registered);
    else
        purge(reactor, entry);
    count_registered(reactor, entry, 0);
}

/* An op on an entry which is the program's or was: is what is registered there the same descriptor? Where another op is
 * there and nobody knows, it is. */
static void identify(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry,
                     const struct rondo_op *op)
{
    bool is_first = !entry->ops[RONDO_READING] && !entry->ops[RONDO_WRITING];
    if (!is_first && !(op->borrowed && entry->is_borrowed))
        return;
    uint32_t identity = op->borrowed ? rondo_pollable_identity(op->socket) : 0;
    if (identity ? entry->is_borrowed && entry->generation == identity : !is_first)
        return;
    purge(reactor, entry);
    forget_error(reactor, op->socket);
    entry->generation = identity ? identity : next_generation(entry);
    entry->is_borrowed = op->borrowed;
}

static int park(struct rondo_reactor *reactor, struct rondo_op *op)
{
    if ((size_t) op->socket >= reactor->entry_count && grow_entries(reactor, (size_t) op->socket + 1) < 0)
        return RONDO_ENOMEM;
    if (reserve_changes(reactor) < 0)
        return RONDO_ENOMEM;
    struct rondo_reactor_entry *entry = &reactor->entries[op->socket];
    int side = rondo_reactor_side_of(op);
    if (entry->ops[side])
        return rondo_fail(RONDO_EBUSY, "the socket has an operation of this kind already");
    if (op->borrowed || entry->is_borrowed)
        identify(reactor, entry, op);
    entry->ops[side] = op;
    unsigned need = side == RONDO_READING ? RONDO_POLL_READ : RONDO_POLL_WRITE;
    if ((entry->registered & need) == 0)
        mark_dirty(reactor, entry);
    if (!(op->flags & RONDO_IS_QUEUED)) /* else a watch that was dropped in this pass */
        op->ready.run = rondo_reactor_run_of_kind[op->kind];
    op->state = RONDO_OP_ACTIVE;
    op->paused = false;
    op->more = false;
    reactor->driver.active++;
    return 0;
}

int rondo_reactor_submit(struct rondo_driver *driver, struct rondo_op *op)
{
    assert(op->state == RONDO_OP_IDLE);
    struct rondo_reactor *reactor = rondo_reactor_of(driver);
    if (op->socket == RONDO_INVALID_SOCKET)
        return rondo_fail(RONDO_EBADF, NULL);
    if (rondo_op_kind_is_watch(op->kind)) {
        int rc = rondo_pollable_check(op->socket);
        if (rc < 0)
            return rc;
    }
    if (op->kind == RONDO_OP_CONNECT) {
        int rc = rondo_socket_connect(op->socket, op->address);
        if (rc != RONDO_EINPROGRESS) {
            op->result = rc;
            return 1;
        }
    }
    return park(reactor, op);
}

void rondo_reactor_close_socket(struct rondo_driver *driver, rondo_socket sock)
{
    struct rondo_reactor *reactor = rondo_reactor_of(driver);
    struct rondo_reactor_entry *entry = entry_at(reactor, sock);
    if (entry) {
        assert(!entry->ops[RONDO_READING] && !entry->ops[RONDO_WRITING]);
        if (entry->registered)
            forget_registered(reactor, entry);
        entry->spurious = 0;
        entry->is_borrowed = false;
        entry->generation = next_generation(entry);
        forget_error(reactor, sock);
    }
    rondo_socket_close(sock);
}

/* --- waiting -------------------------------------------------------------------------------------- */

static inline void notify_side(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry, int side)
{
    struct rondo_op *op = entry->ops[side];
    if (!op || op->paused) { /* resumed in this pass, it has its turn in the next one */
        drop_interest(reactor, entry, side);
    } else if (!op->flags) {
        op->flags = RONDO_IS_QUEUED;
        reactor->driver.completions++;
        rondo_ready_list_append(reactor->completed, &op->ready);
    }
}

static rondo_cold void notify_slowly(struct rondo_reactor *reactor, struct rondo_reactor_entry *entry,
                                     uint64_t cookie, unsigned sides)
{
    if (entry->generation != (uint32_t) (cookie >> 32)) {
        reactor->is_haunted = true;
        return;
    }
    sides &= entry->registered; /* a hang-up is told of both */
    if (sides & RONDO_POLL_READ)
        notify_side(reactor, entry, RONDO_READING);
    if (sides & RONDO_POLL_WRITE)
        notify_side(reactor, entry, RONDO_WRITING);
}

void rondo_reactor_notify(struct rondo_reactor *reactor, uint64_t cookie, unsigned sides)
{
    struct rondo_reactor_entry *entry = &reactor->entries[(uint32_t) cookie];
    if (entry->generation == (uint32_t) (cookie >> 32) && sides == RONDO_POLL_READ)
        notify_side(reactor, entry, RONDO_READING);
    else
        notify_slowly(reactor, entry, cookie, sides);
}

static void register_again(struct rondo_reactor *reactor)
{
    for (size_t i = 0; i < reactor->entry_count; i++) {
        struct rondo_reactor_entry *entry = &reactor->entries[i];
        if (!entry->registered)
            continue;
        count_registered(reactor, entry, 0);
        mark_dirty(reactor, entry);
    }
    apply_changes(reactor);
}

/* Where there is no descriptor for another set the old one stays, and the next wait tries again. */
static void exorcise(struct rondo_reactor *reactor)
{
    reactor->is_haunted = false;
    if (reactor->poller_ops->renew && reactor->poller_ops->renew(reactor->poller) == 0)
        register_again(reactor);
}

/* What is held has its turn now, but for what was paused since: that is held again when it is resumed. */
static void queue_held(struct rondo_reactor *reactor, struct rondo_ready_list *completed)
{
    struct rondo_ready *node = reactor->held.head;
    rondo_ready_list_init(&reactor->held);
    while (node) {
        struct rondo_op *op = rondo_container(node, struct rondo_op, ready);
        node = node->next;
        op->flags &= (uint8_t) ~RONDO_IS_HELD;
        if (op->state == RONDO_OP_ACTIVE && op->paused)
            op->flags &= (uint8_t) ~RONDO_IS_QUEUED;
        else
            rondo_ready_list_append(completed, &op->ready);
    }
}

int rondo_reactor_wait(struct rondo_driver *driver, rondo_ns timeout, struct rondo_ready_list *completed)
{
    struct rondo_reactor *reactor = rondo_reactor_of(driver);
    if (reactor->change_count) {
        apply_changes(reactor);
        if (!rondo_ready_list_is_empty(&driver->core->queue))
            timeout = 0; /* a registration has failed */
    }
    if (reactor->held.head) {
        queue_held(reactor, completed);
        timeout = rondo_ready_list_is_empty(completed) ? timeout : 0;
    }
    reactor->completed = completed;
    int rc = reactor->poller_ops->wait(reactor->poller, timeout);
    if (reactor->is_haunted)
        exorcise(reactor);
    return rc;
}

void rondo_reactor_wake(struct rondo_driver *driver)
{
    struct rondo_reactor *reactor = rondo_reactor_of(driver);
    reactor->poller_ops->wake(reactor->poller);
}

/* --- opening and closing --------------------------------------------------------------------------- */

void rondo_reactor_close(struct rondo_driver *driver)
{
    struct rondo_reactor *reactor = rondo_reactor_of(driver);
    rondo_allocator allocator = reactor->allocator;
    if (reactor->poller)
        reactor->poller_ops->close(reactor->poller);
    rondo_datagram_pool_free(&reactor->datagrams);
    rondo_release(&allocator, reactor->entries);
    rondo_release(&allocator, reactor->changes);
    rondo_release(&allocator, reactor->scratch_block);
    rondo_release(&allocator, reactor);
}

int rondo_reactor_open(const struct rondo_driver_ops *ops, const struct rondo_poller_ops *poller_ops,
                       const struct rondo_driver_config *config, struct rondo_core *core,
                       struct rondo_driver **ret_driver)
{
    struct rondo_reactor *reactor = rondo_allocate_zeroed(config->allocator, sizeof(*reactor));
    if (!reactor)
        return rondo_fail(RONDO_ENOMEM, NULL);
    reactor->driver.ops = ops;
    reactor->driver.core = core;
    reactor->driver.is_quiet = true;
    reactor->poller_ops = poller_ops;
    reactor->allocator = *config->allocator;
    reactor->datagrams.allocator = &reactor->allocator;
    rondo_ready_list_init(&reactor->held);
    reactor->scratch_size = config->receive_buffer_size ? config->receive_buffer_size : SCRATCH_SIZE;
    reactor->scratch_block = rondo_allocate(config->allocator, reactor->scratch_size + SCRATCH_ALIGNMENT);
    uintptr_t aligned =
        ((uintptr_t) reactor->scratch_block + SCRATCH_ALIGNMENT - 1) & ~(SCRATCH_ALIGNMENT - 1);
    reactor->scratch = (unsigned char *) aligned;
    int rc = reactor->scratch_block ? rondo_socket_startup() : rondo_fail(RONDO_ENOMEM, NULL);
    if (rc == 0)
        rc = poller_ops->open(config->allocator, reactor, &reactor->poller);
    if (rc < 0) {
        rondo_reactor_close(&reactor->driver);
        return rc;
    }
    *ret_driver = &reactor->driver;
    return 0;
}

const char *rondo_reactor_describe(struct rondo_driver *driver)
{
    return rondo_reactor_of(driver)->poller_ops->describe(rondo_reactor_of(driver)->poller);
}
