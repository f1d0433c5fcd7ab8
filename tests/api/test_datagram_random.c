/* SPDX-License-Identifier: MIT */
/* Datagrams at random, against a model. While something is queued in every pass, each endpoint that was readable when the pass
 * began, and is not paused or closed since, is told one datagram in it, and no other is told any. In between, where nobody can
 * tell, only the order counts. The seeds are always the same; RONDO_TEST_SEED takes another. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dgram.h"

enum { ENDPOINTS = 5, ROUNDS = 40, PASSES = 60, SEEDS = 6, MOST_QUEUED = 200 };

struct model {
    dgram dgram;
    rondo_socket peer; /* of a Unix pair; else RONDO_INVALID_SOCKET */
    int port;
    unsigned sent, told; /* the numbers that are between them are queued */
    bool is_paused, is_closed, has_switched /* its pause, in this pass */;
    unsigned expected, got; /* in this pass */
};

static rondo_loop *loop;
static struct model models[ENDPOINTS];
static rondo_socket sender;
static unsigned long long state;
static bool is_strict;
static int passes;

static unsigned chance(unsigned limit)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned) (state >> 33) % limit;
}

static void hold_back(struct model *model)
{
    model->is_paused = model->has_switched = true;
    rondo_transport_pause_reading(model->dgram.transport);
}

static void finish(struct model *model)
{
    model->is_closed = true;
    if (chance(2))
        rondo_transport_close(model->dgram.transport);
    else
        rondo_transport_abort(model->dgram.transport);
}

static void on_got(dgram *self)
{
    struct model *model = self->context;
    unsigned number;
    ck_assert_uint_eq(self->length, sizeof number);
    memcpy(&number, self->data, sizeof number);
    ck_assert_uint_eq(number, model->told);
    ck_assert(!model->is_paused && !model->is_closed);
    model->told++;
    model->got++;
    if (chance(12) == 0)
        hold_back(model);
    else if (chance(60) == 0)
        finish(model);
}

static void send_some(struct model *model, unsigned count)
{
    while (count-- && model->sent - model->told < MOST_QUEUED) {
        if (model->peer == RONDO_INVALID_SOCKET)
            udp_send(sender, model->port, &model->sent, sizeof model->sent);
        else if (send(model->peer, &model->sent, sizeof model->sent, MSG_DONTWAIT) < 0)
            return; /* its queue is full */
        model->sent++;
    }
}

static void act(void)
{
    struct model *model = &models[chance(ENDPOINTS)];
    if (model->is_closed)
        return;
    switch (chance(8)) {
    case 0:
        if (!model->is_paused)
            hold_back(model);
        break;
    case 1:
    case 2:
        if (!model->is_paused || model->has_switched)
            break;
        model->is_paused = false;
        model->has_switched = true;
        rondo_transport_resume_reading(model->dgram.transport);
        break;
    case 3:
        send_some(model, 1 + chance(40));
        break;
    default:
        send_some(model, 1 + chance(3));
    }
}

/* What the wait of this pass has found. */
static void look(struct model *model)
{
    if (is_strict)
        ck_assert_msg(model->got == model->expected, "endpoint %d: told %u in pass %d, expected %u",
                      (int) (model - models), model->got, passes, model->expected);
    model->got = 0;
    model->expected = !model->is_closed && !model->is_paused && model->sent != model->told;
    model->has_switched = false;
}

static void tick(void *context)
{
    (void) context;
    for (int i = 0; i < ENDPOINTS; i++)
        look(&models[i]);
    is_strict = true;
    if (passes == 0) {
        rondo_loop_stop(loop);
        return;
    }
    for (unsigned count = chance(4); count; count--)
        act();
    for (int i = 0; i < ENDPOINTS; i++)
        if (models[i].has_switched || models[i].is_closed)
            models[i].expected = 0;
    passes--;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, tick, NULL), 0);
}

static void open_model(struct model *model, bool is_unix)
{
    *model = (struct model){ .peer = RONDO_INVALID_SOCKET, .dgram = { .on_got = on_got, .context = model } };
    if (is_unix)
        model->peer = dgram_pair(loop, &model->dgram);
    else
        model->port = dgram_bind(loop, &model->dgram, "127.0.0.1");
}

static void end_model(struct model *model)
{
    model->is_closed = true;
    dgram_done(loop, &model->dgram);
    if (model->peer != RONDO_INVALID_SOCKET)
        peer_close(model->peer);
}

static void play_round(void)
{
    is_strict = false;
    passes = PASSES;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, tick, NULL), 0);
    support_run(loop);
    is_strict = false;
    for (int i = 0; i < ENDPOINTS; i++)
        if (models[i].is_closed || chance(8) == 0) {
            end_model(&models[i]);
            open_model(&models[i], i == 0);
        }
}

/* Nothing is forgotten. */
static void drain(void)
{
    for (int i = 0; i < ENDPOINTS; i++) {
        struct model *model = &models[i];
        while (!model->is_closed && model->told != model->sent) {
            if (model->is_paused)
                rondo_transport_resume_reading(model->dgram.transport);
            model->is_paused = false;
            run_until(loop, model->told == model->sent || model->is_paused || model->is_closed);
        }
    }
}

START_TEST(test_random)
{
    const char *seed = getenv("RONDO_TEST_SEED");
    state = seed ? strtoull(seed, NULL, 0) : (unsigned long long) _i + 1;
    loop = dgram_loop();
    sender = udp_open("127.0.0.1", NULL);
    for (int i = 0; i < ENDPOINTS; i++)
        open_model(&models[i], i == 0);
    for (int round = 0; round < ROUNDS; round++)
        play_round();
    drain();
    for (int i = 0; i < ENDPOINTS; i++)
        end_model(&models[i]);
    peer_close(sender);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    tcase_add_loop_test(support_case(suite, "random"), test_random, 0, SEEDS);
}

int main(void)
{
    return support_main("datagrams at random", add_cases);
}
