/* SPDX-License-Identifier: MIT */
/* The table of descriptors.
 *
 * A record for each descriptor has two sides, and each side the driver's operation of a watch. The happy path: the first
 * watch in a range of descriptors makes the records of that range; from then on watching, being told and letting go
 * allocates nothing. There is one watch for each side: a new one takes the place of the old.
 *
 * Which descriptors are a transport's or a server's is a set of bits, as all that is asked nearly always is whether one is; the
 * transport itself is looked for among all.
 *
 * Failures: no memory for the records; what the driver says of the descriptor.
 * Invariants: records never move and live as long as the loop, as a watch that was cancelled may still stand in a queue of
 * the driver's; a side's operation is active exactly while somebody watches it. */
#include "descriptor.h"

#include <assert.h>
#include <string.h>

#define RECORDS ((size_t) 32)               /* for each range */
#define LEAST_OWNED ((size_t) 32)           /* bytes of the set of those that transports own */
#define MOST_DESCRIPTORS ((size_t) 1 << 28) /* a number that is higher is none */

/* --- records --------------------------------------------------------------------------------------------- */

static struct rondo_descriptor *find(const rondo_loop *loop, rondo_socket sock)
{
    size_t range = (size_t) sock / RECORDS;
    if (range >= loop->descriptor_ranges || !loop->descriptors[range])
        return NULL;
    return &loop->descriptors[range][(size_t) sock % RECORDS];
}

static void on_complete(struct rondo_op *op)
{
    struct rondo_side *side = rondo_container(op, struct rondo_side, op);
    assert(side->watch.type);
    if (op->more) {
        side->watch.type->ready(side);
        return;
    }
    struct rondo_watch watch = side->watch;
    side->watch.type = NULL;
    watch.type->ended(side, &watch, (int) op->result);
}

static void init_side(struct rondo_side *side, rondo_loop *loop, rondo_socket sock, enum rondo_op_kind kind)
{
    side->loop = loop;
    side->op.kind = (uint8_t) kind;
    side->op.socket = sock;
    side->op.borrowed = true;
    side->op.complete = on_complete;
}

static void init_range(rondo_loop *loop, struct rondo_descriptor *records, size_t first)
{
    for (size_t i = 0; i < RECORDS; i++) {
        rondo_socket sock = (rondo_socket) (first + i);
        init_side(&records[i].sides[RONDO_SIDE_READ], loop, sock, RONDO_OP_WATCH_READ);
        init_side(&records[i].sides[RONDO_SIDE_WRITE], loop, sock, RONDO_OP_WATCH_WRITE);
    }
}

static int grow_ranges(rondo_loop *loop, size_t least)
{
    size_t count = loop->descriptor_ranges ? loop->descriptor_ranges : 4;
    while (count < least)
        count *= 2;
    struct rondo_descriptor **ranges =
        rondo_reallocate(&loop->allocator, loop->descriptors, count * sizeof(struct rondo_descriptor *));
    if (!ranges)
        return RONDO_ENOMEM;
    for (size_t i = loop->descriptor_ranges; i < count; i++)
        ranges[i] = NULL;
    loop->descriptors = ranges;
    loop->descriptor_ranges = count;
    return 0;
}

/* The record of @sock, made where need be. A number that stands for nothing gets no memory. */
static int make(rondo_loop *loop, rondo_socket sock, struct rondo_descriptor **ret_record)
{
    size_t range = (size_t) sock / RECORDS;
    struct rondo_descriptor *record = find(loop, sock);
    if (!record) {
        if ((size_t) sock >= MOST_DESCRIPTORS || rondo_socket_is_nonblocking(sock) == RONDO_EBADF)
            return RONDO_EBADF;
        if (range >= loop->descriptor_ranges && grow_ranges(loop, range + 1) < 0)
            return RONDO_ENOMEM;
        struct rondo_descriptor *records =
            rondo_allocate_zeroed(&loop->allocator, RECORDS * sizeof(*records));
        if (!records)
            return RONDO_ENOMEM;
        init_range(loop, records, range * RECORDS);
        loop->descriptors[range] = records;
        record = find(loop, sock);
    }
    *ret_record = record;
    return 0;
}

/* --- owners ---------------------------------------------------------------------------------------------- */

static rondo_transport *search(rondo_loop *loop, rondo_socket sock)
{
    for (struct rondo_link *link = loop->transports.next; link != &loop->transports; link = link->next) {
        rondo_transport *transport = rondo_container(link, rondo_transport, link);
        if (transport->sock == sock)
            return transport;
    }
    return NULL;
}

static bool is_owned(const rondo_loop *loop, rondo_socket sock)
{
    size_t number = (size_t) sock;
    return number / 8 < loop->owned_size && loop->owned[number / 8] >> number % 8 & 1;
}

rondo_transport *rondo_descriptor_owner(rondo_loop *loop, rondo_socket sock)
{
    rondo_transport *owner = is_owned(loop, sock) ? search(loop, sock) : NULL;
    return owner && !owner->is_closing ? owner : NULL;
}

int rondo_descriptor_check_free(rondo_loop *loop, rondo_socket sock)
{
    return is_owned(loop, sock) ? rondo_fail(RONDO_EBUSY, "the descriptor is used by a transport or a server")
                                : 0;
}

int rondo_descriptor_take(rondo_loop *loop, rondo_socket *sock)
{
    int rc = rondo_descriptor_check_free(loop, *sock);
    if (rc < 0)
        *sock = RONDO_INVALID_SOCKET;
    return rc;
}

int rondo_descriptor_reserve(rondo_loop *loop, rondo_socket sock)
{
    size_t size = loop->owned_size ? loop->owned_size : LEAST_OWNED;
    while (size <= (size_t) sock / 8)
        size *= 2;
    if (size == loop->owned_size)
        return 0;
    unsigned char *owned = rondo_reallocate(&loop->allocator, loop->owned, size);
    if (!owned)
        return rondo_fail(RONDO_ENOMEM, NULL);
    memset(owned + loop->owned_size, 0, size - loop->owned_size);
    loop->owned = owned;
    loop->owned_size = size;
    return 0;
}

int rondo_descriptor_claim(rondo_loop *loop, rondo_socket *sock)
{
    int rc = rondo_descriptor_take(loop, sock);
    return rc < 0 ? rc : rondo_descriptor_reserve(loop, *sock);
}

static bool is_a_servers(rondo_loop *loop, rondo_socket sock)
{
    return is_owned(loop, sock) && !search(loop, sock);
}

void rondo_descriptor_own(rondo_loop *loop, rondo_socket sock)
{
    loop->owned[(size_t) sock / 8] |= (unsigned char) (1u << (size_t) sock % 8);
    rondo_descriptor_enter(loop, sock);
}

/* --- watching --------------------------------------------------------------------------------------------- */

struct rondo_side *rondo_descriptor_watched(rondo_loop *loop, rondo_socket sock,
                                            enum rondo_side_number number)
{
    struct rondo_descriptor *record = find(loop, sock);
    return record && record->sides[number].watch.type ? &record->sides[number] : NULL;
}

void rondo_side_clear(struct rondo_side *side)
{
    struct rondo_driver *driver = side->loop->core.driver;
    side->watch.type = NULL;
    driver->ops->cancel(driver, &side->op);
    assert(!rondo_op_is_active(&side->op));
}

static void end(struct rondo_side *side, int reason)
{
    struct rondo_watch watch = side->watch;
    if (!watch.type)
        return;
    rondo_side_clear(side);
    watch.type->ended(side, &watch, reason);
}

int rondo_descriptor_watch(rondo_loop *loop, rondo_socket sock, enum rondo_side_number number,
                           const struct rondo_watch *watch, struct rondo_side **ret_side)
{
    struct rondo_descriptor *record;
    int rc = make(loop, sock, &record);
    if (rc == 0 && record->is_closing)
        rc = RONDO_EBADF;
    if (rc < 0)
        return rondo_fail(rc, NULL);
    if (number == RONDO_SIDE_READ && is_a_servers(loop, sock))
        return rondo_fail(RONDO_EBUSY, "the descriptor is used by a server");
    struct rondo_side *side = &record->sides[number];
    struct rondo_watch old = side->watch;
    if (old.type)
        rondo_side_clear(side);
    rc = loop->core.driver->ops->submit(loop->core.driver, &side->op);
    if (rc == 0)
        side->watch = *watch;
    if (rc == 0 && ret_side)
        *ret_side = side;
    if (old.type) /* last: it may call back into here */
        old.type->ended(side, &old, RONDO_EBUSY);
    return rc;
}

/* --- the library's own descriptors ---------------------------------------------------------------------------- */

static void end_both(struct rondo_descriptor *record, int reason)
{
    end(&record->sides[RONDO_SIDE_READ], reason);
    end(&record->sides[RONDO_SIDE_WRITE], reason);
}

void rondo_descriptor_enter(rondo_loop *loop, rondo_socket sock)
{
    struct rondo_descriptor *record = find(loop, sock);
    if (record)
        end_both(record, RONDO_EBUSY);
}

void rondo_descriptor_leave(rondo_loop *loop, rondo_socket sock)
{
    if (is_owned(loop, sock))
        loop->owned[(size_t) sock / 8] &= (unsigned char) ~(1u << (size_t) sock % 8);
    struct rondo_descriptor *record = find(loop, sock);
    if (!record)
        return;
    record->is_closing = true; /* a destructor may want to watch it */
    end_both(record, RONDO_EBUSY);
    record->is_closing = false;
}

/* --- the end of the loop ----------------------------------------------------------------------------------------- */

void rondo_descriptors_close(rondo_loop *loop)
{
    for (size_t range = 0; range < loop->descriptor_ranges; range++)
        for (size_t i = 0; loop->descriptors[range] && i < RECORDS; i++)
            end_both(&loop->descriptors[range][i], RONDO_ECLOSED);
}

void rondo_descriptors_free(rondo_loop *loop)
{
    for (size_t range = 0; range < loop->descriptor_ranges; range++)
        rondo_release(&loop->allocator, loop->descriptors[range]);
    rondo_release(&loop->allocator, loop->descriptors);
    rondo_release(&loop->allocator, loop->owned);
    loop->descriptors = NULL;
    loop->descriptor_ranges = 0;
    loop->owned = NULL;
    loop->owned_size = 0;
}
