/* SPDX-License-Identifier: MIT */
/* Watches and receives at random, against a model: who is on a side, and nobody else, is told; nobody who should be is forgotten;
 * each context is released once. Callbacks act at random, too. The seeds are always the same; RONDO_TEST_SEED takes another. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

enum { SLOTS = 12, STEPS = 6000, SEEDS = 4 };

/* One registration, from the adding to the release of its context. */
struct watch {
    struct watch **place; /* where the model has it; NULL: it is off */
    int calls;
};

struct slot {
    rondo_socket sock, peer;
    struct watch *watches[2];
    rondo_future *receives; /* has the reading side, or is done */
    int copy;               /* keeps the file open after a close; -1 */
};

static rondo_loop *loop;
static struct slot slots[SLOTS];
static size_t alive;
static unsigned long long state;
static int depth;

static unsigned chance(unsigned limit)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned) (state >> 33) % limit;
}

static void act(void);

static void on_ready(void *context)
{
    struct watch *watch = context;
    ck_assert_ptr_nonnull(watch->place);
    watch->calls++;
    if (depth == 0 && chance(3) == 0) {
        depth++;
        act();
        depth--;
    }
}

static void destroy(void *context)
{
    struct watch *watch = context;
    ck_assert_ptr_null(watch->place);
    free(watch);
    alive--;
}

static void take_off(struct watch **place)
{
    if (*place)
        (*place)->place = NULL;
    *place = NULL;
}

static void open_slot(struct slot *slot)
{
    rondo_socket pair[2];
    peer_pair(pair);
    slot->sock = pair[0];
    slot->peer = pair[1];
    ck_assert_int_eq(fcntl(slot->sock, F_SETFL, O_NONBLOCK), 0);
}

static bool is_readable(const struct slot *slot)
{
    char byte;
    return recv(slot->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

/* Whatever waits there: its place is about to be taken, or it is replaced. */
static void settle_receive(struct slot *slot, bool is_replaced)
{
    if (!slot->receives)
        return;
    if (!rondo_future_done(slot->receives)) {
        ck_assert(!is_replaced);
        ck_assert(rondo_future_cancel(slot->receives));
    }
    int rc = rondo_future_result(slot->receives, NULL);
    ck_assert(rc == 0 || rc == RONDO_ECANCELLED || rc == RONDO_EBUSY);
    rondo_future_unref(slot->receives);
    slot->receives = NULL;
}

static void add(struct slot *slot, int side)
{
    struct watch *watch = calloc(1, sizeof *watch);
    struct watch *old = slot->watches[side];
    rondo_call call = { sizeof call, on_ready, watch, destroy, "watch", 0 };
    if (old)
        old->place = NULL;
    alive++;
    watch->place = &slot->watches[side];
    slot->watches[side] = watch;
    ck_assert_int_eq(side ? rondo_loop_add_writer_call(loop, slot->sock, &call)
                          : rondo_loop_add_reader_call(loop, slot->sock, &call),
                     0);
    if (side == 0)
        settle_receive(slot, true);
}

static void drop(struct slot *slot, int side)
{
    bool was_there = slot->watches[side];
    take_off(&slot->watches[side]);
    ck_assert_int_eq(side ? rondo_loop_remove_writer(loop, slot->sock)
                          : rondo_loop_remove_reader(loop, slot->sock),
                     was_there);
}

static void start_receive(struct slot *slot)
{
    settle_receive(slot, false);
    bool waits = !is_readable(slot);
    if (waits)
        take_off(&slot->watches[0]);
    slot->receives = rondo_sock_recv(loop, slot->sock, 1 + chance(8));
    ck_assert_ptr_nonnull(slot->receives);
    ck_assert_int_eq(rondo_future_done(slot->receives), !waits);
}

/* In order, or, seldom, under a copy that goes on being ready. */
static void reopen(struct slot *slot)
{
    drop(slot, 0);
    drop(slot, 1);
    settle_receive(slot, false);
    if (slot->copy >= 0)
        peer_close(slot->copy);
    slot->copy = chance(4) ? -1 : fcntl(slot->sock, F_DUPFD_CLOEXEC, 200);
    peer_close(slot->sock);
    peer_close(slot->peer);
    open_slot(slot);
}

static void act(void)
{
    struct slot *slot = &slots[chance(SLOTS)];
    char bytes[64];
    switch (chance(10)) {
    case 0:
    case 1:
        add(slot, 0);
        break;
    case 2:
        add(slot, 1);
        break;
    case 3:
        drop(slot, 0);
        break;
    case 4:
        drop(slot, 1);
        break;
    case 5:
        start_receive(slot);
        break;
    case 6:
        settle_receive(slot, false);
        break;
    case 7:
        reopen(slot);
        break;
    case 8:
        peer_recv_now(slot->sock, bytes, sizeof bytes);
        break;
    default:
        peer_send_now(slot->peer, "bytes", 5);
        break;
    }
}

/* Everybody who has a reason is told within a few passes that do nothing else. */
static void check_liveness(void)
{
    int before[SLOTS][2] = { { 0 } };
    depth = 1; /* callbacks keep still */
    support_run_passes(loop, 2);
    for (int i = 0; i < SLOTS; i++)
        for (int side = 0; side < 2; side++)
            if (slots[i].watches[side])
                before[i][side] = slots[i].watches[side]->calls;
    support_run_passes(loop, 3);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &slots[i];
        if (slot->watches[0])
            ck_assert_int_eq(slot->watches[0]->calls - before[i][0], is_readable(slot) ? 3 : 0);
        if (slot->watches[1])
            ck_assert_int_eq(slot->watches[1]->calls - before[i][1], 3);
        if (slot->receives && !rondo_future_done(slot->receives))
            ck_assert(!is_readable(slot));
    }
    depth = 0;
}

START_TEST(test_at_random)
{
    loop = support_extended_loop();
    const char *seed = getenv("RONDO_TEST_SEED");
    state = seed ? strtoull(seed, NULL, 10) + (unsigned) _i : 1 + (unsigned) _i;
    alive = 0;
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = (struct slot){ .copy = -1 };
        open_slot(&slots[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        act();
        if (chance(3) == 0)
            support_run_passes(loop, 1);
        if (chance(50) == 0)
            check_liveness();
    }
    for (int i = 0; i < SLOTS; i++) {
        if (i % 2)
            reopen(&slots[i]);
        settle_receive(&slots[i], false);
        take_off(&slots[i].watches[0]);
        take_off(&slots[i].watches[1]);
    }
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_uint_eq(alive, 0);
    for (int i = 0; i < SLOTS; i++) {
        peer_close(slots[i].sock);
        peer_close(slots[i].peer);
        if (slots[i].copy >= 0)
            peer_close(slots[i].copy);
    }
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "at random");
    tcase_add_loop_test(tcase, test_at_random, 0, SEEDS);
}

int main(void)
{
    return support_main("watches at random", add_cases);
}
