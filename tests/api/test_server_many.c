/* SPDX-License-Identifier: MIT */
/* A thousand connections at a time, every byte checked. */
#define _POSIX_C_SOURCE 200809L
#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MANY = 1000, ROUNDS = 5, LARGEST = 6000 };

struct client {
    rondo_socket sock;
    size_t sent, received, target;
};

static net_conn *conns;
static size_t called;

static rondo_protocol *make(void *context)
{
    (void) context;
    ck_assert_uint_lt(called, MANY);
    conns[called].echo = conns[called].checked = true;
    return net_factory(&conns[called++]);
}

static void raise_limit(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * MANY + 100) {
        limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
}

/* Send and receive what goes without blocking. True when the client has had its echo. */
static bool play(struct client *client)
{
    static unsigned char data[LARGEST];
    if (client->sent < client->target) {
        pattern_fill(data, client->target - client->sent, client->sent);
        client->sent += peer_send_now(client->sock, data, client->target - client->sent);
    }
    for (;;) {
        ptrdiff_t count = peer_recv_now(client->sock, data, sizeof data);
        if (count == PEER_NOTHING)
            return client->received == client->target;
        ck_assert_int_gt(count, 0);
        ck_assert(pattern_check(data, (size_t) count, client->received));
        client->received += (size_t) count;
    }
}

START_TEST(test_thousand)
{
    static struct client clients[MANY];
    int port;
    raise_limit();
    memset(clients, 0, sizeof clients);
    conns = calloc(MANY, sizeof *conns);
    ck_assert_ptr_nonnull(conns);
    called = 0;
    rondo_loop *loop = support_loop();
    rondo_server *server = net_serve(loop, make, NULL, &port);
    for (size_t i = 0; i < MANY; i++) {
        clients[i].sock = peer_connect("127.0.0.1", port);
        if (i % 50 == 49)
            run_until(loop, called == i + 1);
    }
    run_until(loop, rondo_server_connections(server) == MANY);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MANY; i++)
            clients[i].target += 1 + (i * 131 + round * 977) % LARGEST;
        size_t ready = 0;
        for (unsigned turn = 0; ready < MANY; turn++) {
            ck_assert_msg(net_turn(loop, turn), "%zu of %d clients have their echo", ready, MANY);
            ready = 0;
            for (size_t i = 0; i < MANY; i++)
                ready += play(&clients[i]);
        }
    }
    /* a third half-closes, a third closes, the last resets */
    for (size_t i = 0; i < MANY; i++) {
        if (i % 3 == 0)
            peer_shutdown(clients[i].sock);
        else if (i % 3 == 1)
            peer_close(clients[i].sock);
        else
            peer_reset(clients[i].sock);
    }
    run_until(loop, rondo_server_connections(server) == 0);
    for (size_t i = 0; i < MANY; i++) {
        ck_assert(!conns[i].corrupt);
        ck_assert_int_eq(conns[i].losts, 1);
        if (i % 3 == 0) {
            peer_expect_eof(clients[i].sock);
            peer_close(clients[i].sock);
        }
        net_conn_end(&conns[i]);
    }
    support_loop_end(loop);
    free(conns);
}
END_TEST

static void add_cases(Suite *suite)
{
    tcase_add_test(support_case(suite, "a thousand"), test_thousand);
}

int main(void)
{
    return support_main("server many", add_cases);
}
