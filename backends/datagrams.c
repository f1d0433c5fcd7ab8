/* SPDX-License-Identifier: MIT */
/* Receiving datagrams in batches that nobody can tell from one datagram a pass.
 *
 * In asyncio each datagram is a readiness of its own: what one's callback queues runs before the next one's. So the happy path is:
 * one call receives several, the first is told, and as long as the loop has nothing else to run, nor a timer that is due,
 * the next one follows at once. As soon as it has, what is left stays here and is told in the next pass, again as if the socket
 * had been found readable then. Only where the op is alone in its pass anything is received ahead. A run ends after
 * MOST datagrams or LONGEST, so that other descriptors have their turn and answers that wait for its end leave soon.
 *
 * Failures: no memory for a batch, and a descriptor that is none, are the op's end. Other errors of the socket are told,
 * and it goes on.
 * Invariants: an op has a batch exactly while one of its run goes on, or something in it was not told. */
#include "datagrams.h"

#include "../platform/clock.h"
#include "../src/base/container.h"
#include "../src/base/memory.h"

#define MOST 32u
#define LONGEST RONDO_US(250)

/* The largest datagrams: of IP, and of others (asyncio's max_size). The distance keeps their beginnings in different lines of
 * the processor's cache. */
#define IP_CAPACITY ((size_t) 64 * 1024)
#define LARGE_CAPACITY ((size_t) 256 * 1024)
#define DISTANCE ((size_t) 320)
#define ALIGNMENT ((size_t) 64)

struct rondo_datagram_batch {
    size_t told;
    size_t count;
    struct rondo_datagram datagrams[RONDO_DATAGRAMS];
    unsigned char memory[];
};

static struct rondo_datagram_receive *receive_of(struct rondo_op *op)
{
    return rondo_container(op, struct rondo_datagram_receive, op);
}

/* --- batches ---------------------------------------------------------------------------------------- */

static struct rondo_datagram_batch *new_batch(const rondo_allocator *allocator)
{
    size_t size = LARGE_CAPACITY + RONDO_DATAGRAMS * (IP_CAPACITY + DISTANCE) + ALIGNMENT;
    struct rondo_datagram_batch *batch = rondo_allocate(allocator, sizeof(*batch) + size);
    if (!batch)
        return NULL;
    unsigned char *memory = batch->memory + (-(uintptr_t) batch->memory & (ALIGNMENT - 1));
    for (size_t i = 0; i < RONDO_DATAGRAMS; i++) {
        size_t capacity = i ? IP_CAPACITY : LARGE_CAPACITY;
        batch->datagrams[i] = (struct rondo_datagram){ .memory = memory, .capacity = capacity };
        memory += capacity + DISTANCE;
    }
    return batch;
}

static struct rondo_datagram_batch *take_batch(struct rondo_datagram_pool *pool)
{
    struct rondo_datagram_batch *batch = pool->spare;
    pool->spare = NULL;
    if (!batch && !(batch = new_batch(pool->allocator)))
        return NULL;
    batch->told = 0;
    batch->count = 0;
    return batch;
}

void rondo_datagrams_drop(struct rondo_datagram_pool *pool, struct rondo_op *op)
{
    struct rondo_datagram_receive *receive = receive_of(op);
    if (!receive->batch)
        return;
    if (pool->spare)
        rondo_release(pool->allocator, receive->batch);
    else
        pool->spare = receive->batch;
    receive->batch = NULL;
}

bool rondo_datagrams_are_held(const struct rondo_op *op)
{
    return rondo_container(op, const struct rondo_datagram_receive, op)->batch != NULL;
}

void rondo_datagram_pool_free(struct rondo_datagram_pool *pool)
{
    rondo_release(pool->allocator, pool->spare);
    pool->spare = NULL;
}

/* --- a run ------------------------------------------------------------------------------------------ */

static bool is_idle(struct rondo_core *core)
{
    return core->is_idle && core->is_idle(core);
}

bool rondo_datagram_may_follow(struct rondo_datagram_run *run, const struct rondo_op *op)
{
    if (op->state != RONDO_OP_ACTIVE || op->paused || run->told >= MOST || !is_idle(run->core))
        return false;
    rondo_ns now = rondo_clock_now();
    if (!run->begun)
        run->begun = now;
    return now - run->begun < LONGEST;
}

void rondo_datagram_tell(struct rondo_datagram_run *run, struct rondo_datagram_receive *receive,
                         const struct rondo_datagram *datagram, bool has_more)
{
    run->told++;
    receive->is_batch = run->told > 1 || has_more;
    receive->sender = &datagram->sender;
    receive->op.data = datagram->memory;
    receive->op.result = (ptrdiff_t) datagram->length;
    receive->op.more = true;
    run->is_owing = receive->is_batch;
    receive->op.complete(&receive->op);
}

void rondo_datagram_end_batch(struct rondo_datagram_run *run, struct rondo_datagram_receive *receive)
{
    if (run->is_owing)
        receive->delivered(&receive->op);
    run->is_owing = false;
}

enum rondo_datagram_outcome rondo_datagram_tell_error(struct rondo_op *op, int code)
{
    op->result = code;
    if (code == RONDO_EBADF || code == RONDO_ENOTSOCK)
        return RONDO_DATAGRAMS_OVER;
    op->more = true;
    if (code != RONDO_EAGAIN)
        op->complete(op);
    return RONDO_DATAGRAMS_WAIT;
}

/* Returns what rondo_socket_recv_datagrams does. @was_full: it brought as many as it was asked for. */
static ptrdiff_t receive_some(struct rondo_core *core, struct rondo_datagram_receive *receive, bool *was_full)
{
    struct rondo_datagram_batch *batch = receive->batch;
    bool is_ahead = receive->may_read_ahead && is_idle(core);
    size_t asked = is_ahead ? rondo_datagrams_at_once : 1;
    ptrdiff_t n = rondo_socket_recv_datagrams(receive->op.socket, batch->datagrams, asked);
    batch->told = 0;
    batch->count = n > 0 ? (size_t) n : 0;
    *was_full = is_ahead && batch->count == asked;
    return n;
}

static enum rondo_datagram_outcome run_on(struct rondo_datagram_run *run,
                                          struct rondo_datagram_receive *receive)
{
    struct rondo_datagram_batch *batch = receive->batch;
    bool was_full = false, has_more;
    do {
        ptrdiff_t n = batch->told == batch->count ? receive_some(run->core, receive, &was_full) : 0;
        if (n < 0)
            return rondo_datagram_tell_error(&receive->op, (int) n);
        const struct rondo_datagram *datagram = &batch->datagrams[batch->told++];
        has_more = batch->told < batch->count || was_full;
        rondo_datagram_tell(run, receive, datagram, has_more);
        if (batch->told == batch->count)
            rondo_datagram_end_batch(run, receive); /* whose senders wait for answers: before the next look */
    } while (has_more && rondo_datagram_may_follow(run, &receive->op));
    if (batch->told == batch->count)
        return RONDO_DATAGRAMS_WAIT;
    return receive->op.paused ? RONDO_DATAGRAMS_PAUSED : RONDO_DATAGRAMS_GO_ON;
}

enum rondo_datagram_outcome rondo_datagrams_run(struct rondo_datagram_pool *pool, struct rondo_op *op,
                                                struct rondo_core *core)
{
    struct rondo_datagram_receive *receive = receive_of(op);
    if (!receive->batch && !(receive->batch = take_batch(pool))) {
        op->result = RONDO_ENOMEM;
        return RONDO_DATAGRAMS_OVER;
    }
    receive->is_batch = false;
    struct rondo_datagram_run run = { .core = core };
    enum rondo_datagram_outcome outcome = run_on(&run, receive);
    rondo_datagram_end_batch(&run, receive);
    bool is_held = outcome == RONDO_DATAGRAMS_GO_ON || outcome == RONDO_DATAGRAMS_PAUSED;
    if (op->state != RONDO_OP_ACTIVE || !is_held)
        rondo_datagrams_drop(pool, op);
    return outcome;
}
