/* SPDX-License-Identifier: MIT */
/* The io_uring driver: fewer buffers, entries and places than there is to do, and much at once. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- shortages ----------------------------------------------------------------------------------------- */

/* Two buffers for many connections that all have data: all of it arrives, and nobody waits for a timer. */
START_TEST(test_more_connections_than_buffers)
{
    enum { CONNECTIONS = 100, ROUNDS = 5, LENGTH = 1000 };
    static int pairs[CONNECTIONS][2];
    static struct probe *in[CONNECTIONS];
    unsigned char *data = pattern(LENGTH * ROUNDS);
    start_with(256, 2, 0);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        make_pair(pairs[i]);
        in[i] = receive(pairs[i][0]);
        in[i]->data = malloc(in[i]->length = LENGTH * ROUNDS);
    }
    pass(0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < CONNECTIONS; i++)
            ck_assert_int_eq(write(pairs[i][1], data + round * LENGTH, LENGTH), LENGTH);
        for (unsigned i = 0; i < CONNECTIONS; i++)
            UNTIL(in[i]->received == LENGTH * (round + 1));
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        ck_assert_mem_eq(in[i]->data, data, LENGTH * ROUNDS);
        close(pairs[i][1]);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        UNTIL(in[i]->ends == 1);
        ck_assert_int_eq(in[i]->last, 0);
        driver->ops->close_socket(driver, pairs[i][0]);
        free(in[i]->data);
        free(in[i]);
    }
    ck_assert_uint_eq(pass(0), 0);
    finish();
    free(data);
}
END_TEST

/* More completions than both queues hold, and more entries than the submission queue. */
START_TEST(test_more_completions_than_room)
{
    enum { CONNECTIONS = 100 }; /* the completion queue of 4 entries has room for 32 */
    static int pairs[CONNECTIONS][2];
    static struct probe *in[CONNECTIONS];
    static struct probe *out[CONNECTIONS];
    start_with(64, 512, 4);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        make_pair(pairs[i]);
        in[i] = receive(pairs[i][0]);
    }
    pass(0);
    for (unsigned round = 1; round <= 3; round++) {
        for (unsigned i = 0; i < CONNECTIONS; i++)
            out[i] = transmit(pairs[i][1], (void *) (uintptr_t) "0123456789", 10);
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            UNTIL(out[i]->ends == 1 && in[i]->received == 10 * round);
            ck_assert_int_eq(out[i]->last, 10);
            free(out[i]);
        }
    }
    for (unsigned i = 0; i < CONNECTIONS; i++)
        driver->ops->cancel(driver, &in[i]->op);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        UNTIL(in[i]->ends == 1);
        ck_assert_uint_eq(in[i]->completions - 1, in[i]->received / 10);
        close(pairs[i][0]);
        close(pairs[i][1]);
        free(in[i]);
    }
    finish();
}
END_TEST

/* So many pieces in one pass that the arena has to be handed over several times. */
START_TEST(test_more_pieces_than_room)
{
    enum { SENDS = 300, LENGTH = 640 };
    static int pairs[SENDS][2];
    static struct probe *out[SENDS];
    unsigned char *data = pattern(LENGTH), back[LENGTH];
    start();
    for (unsigned i = 0; i < SENDS; i++) {
        make_pair(pairs[i]);
        out[i] = probe_new(RONDO_OP_SEND, pairs[i][0]);
        out[i]->data = data;
        out[i]->length = LENGTH;
        out[i]->cut = 1 + i % 64;
        submit(out[i]);
    }
    for (unsigned i = 0; i < SENDS; i++) {
        UNTIL(out[i]->ends == 1);
        ck_assert_int_eq(out[i]->last, LENGTH);
        ck_assert_int_eq(recv(pairs[i][1], back, LENGTH, 0), LENGTH);
        ck_assert_mem_eq(back, data, LENGTH);
        close(pairs[i][0]);
        close(pairs[i][1]);
        free(out[i]);
    }
    finish();
    free(data);
}
END_TEST

/* --- many things at once ------------------------------------------------------------------------ */

/* Connections that come, talk, pause, are cancelled and closed in every order: each op ends exactly once. */
START_TEST(test_churn)
{
    enum { CONNECTIONS = 24, STEPS = 20000 };
    struct {
        int peer;
        struct probe *in;
    } live[CONNECTIONS];
    uint32_t state = 7;
    start_with(128, 8, 8);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        live[i].in = NULL;
    for (unsigned step = 0; step < STEPS; step++) {
        state = state * 1664525u + 1013904223u;
        unsigned at = (state >> 8) % CONNECTIONS, action = (state >> 20) % 8;
        struct probe *in = live[at].in;
        if (!in) {
            int pair[2];
            make_pair(pair);
            live[at].peer = pair[1];
            live[at].in = receive(pair[0]);
        } else if (action == 0) {
            driver->ops->cancel(driver, &in->op);
            driver->ops->close_socket(driver, in->op.socket);
            UNTIL(in->ends == 1);
            close(live[at].peer);
            free(in);
            live[at].in = NULL;
        } else if (action == 1) {
            driver->ops->pause(driver, &in->op);
        } else if (action == 2) {
            driver->ops->resume(driver, &in->op);
        } else if (action == 3) {
            pass(0);
        } else {
            char bytes[300] = { 0 };
            ck_assert_int_ne(send(live[at].peer, bytes, sizeof bytes, MSG_DONTWAIT), 0);
        }
        if (live[at].in)
            ck_assert_uint_eq(live[at].in->ends, 0);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (!live[i].in)
            continue;
        driver->ops->cancel(driver, &live[i].in->op);
        UNTIL(live[i].in->ends == 1);
        driver->ops->close_socket(driver, live[i].in->op.socket);
        close(live[i].peer);
        free(live[i].in);
    }
    ck_assert_uint_eq(driver->active, 0);
    finish();
}
END_TEST

void add_shortage_cases(Suite *suite)
{
    TCase *group = tcase_create("shortage");
    tcase_set_timeout(group, 60);
    tcase_add_test(group, test_more_connections_than_buffers);
    tcase_add_test(group, test_more_completions_than_room);
    tcase_add_test(group, test_more_pieces_than_room);
    tcase_add_test(group, test_churn);
    suite_add_tcase(suite, group);
}
