/* SPDX-License-Identifier: MIT */
/* Several endpoints that have datagrams at the same time. */
#include "dgram.h"

enum { ENDPOINTS = 3, EACH = 40 };

static dgram endpoints[ENDPOINTS];
static size_t total, widest;

static void note_distance(dgram *self)
{
    size_t least = endpoints[0].count, most = endpoints[0].count;
    for (int i = 1; i < ENDPOINTS; i++) {
        least = endpoints[i].count < least ? endpoints[i].count : least;
        most = endpoints[i].count > most ? endpoints[i].count : most;
    }
    total++;
    if (most - least > widest)
        widest = most - least;
    if (total == ENDPOINTS * EACH)
        rondo_loop_stop(rondo_transport_loop(self->transport));
}

START_TEST(test_in_turn)
{
    total = widest = 0; /* where cases do not fork another backend has been here */
    rondo_loop *loop = dgram_loop();
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    int ports[ENDPOINTS];
    for (int i = 0; i < ENDPOINTS; i++) {
        endpoints[i] = (dgram){ .on_got = note_distance };
        ports[i] = dgram_bind(loop, &endpoints[i], "127.0.0.1");
    }
    for (int i = 0; i < ENDPOINTS * EACH; i++)
        udp_send_text(peer, ports[i % ENDPOINTS], "x");
    support_run(loop);
    ck_assert_uint_le(widest, 1); /* DGT-01: as in asyncio, one of each in a pass */
    for (int i = 0; i < ENDPOINTS; i++)
        dgram_done(loop, &endpoints[i]);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "share");
    tcase_add_test(tcase, test_in_turn);
}

int main(void)
{
    return support_main("datagram_share", add_cases);
}
