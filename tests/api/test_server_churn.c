/* SPDX-License-Identifier: MIT */
/* Ten thousand connections opened and closed one after another: memory and descriptors stay the same. */
#define _POSIX_C_SOURCE 200809L
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 10000, SETTLED = 2000, CHECK_EVERY = 500, SLACK_KIB = 2048 };

static net_conn client, served;

/* Resident memory in KiB; 0 where the system does not tell, or where it says nothing of the library. */
static long resident(void)
{
    long pages = 0, ignored = 0;
    if (getenv("RONDO_TEST_SANITIZED"))
        return 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &ignored, &pages) != 2)
        pages = 0;
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void one_connection(rondo_loop *loop, int port, int round)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    char local[32];
    memset(&client, 0, sizeof client);
    memset(&served, 0, sizeof served);
    served.echo = true;
    options.host = "127.0.0.1";
    options.port = port;
    /* many local addresses, so that the ports that rest after a close do not run out */
    snprintf(local, sizeof local, "127.0.%d.%d", round / 250 % 200, 1 + round % 250);
    options.local_host = local;
    options.local_port = 0;
    int rc = net_finish(loop, rondo_create_connection(loop, net_factory, &client, &options), NULL);
    ck_assert_msg(rc == 0, "round %d: %s", round, rondo_last_error_message());
    ck_assert_int_eq(rondo_transport_write(client.transport, "churn", 5), 0);
    run_until(loop, client.received == 5);
    ck_assert_str_eq(client.text, "churn");
    switch (round % 4) {
    case 0:
        rondo_transport_close(client.transport);
        break;
    case 1:
        rondo_transport_close(served.transport);
        break;
    case 2:
        rondo_transport_abort(client.transport);
        break;
    default:
        rondo_transport_write_eof(client.transport);
        break;
    }
    run_until(loop, client.losts == 1 && served.losts == 1);
    net_conn_end(&client);
    net_conn_end(&served);
}

START_TEST(test_churn)
{
    rondo_loop *loop = support_loop();
    size_t descriptors = 0, bytes = 0, blocks = 0;
    long memory = 0;
    int port;
    rondo_server *server = net_serve(loop, net_factory, &served, &port);
    for (int round = 0; round < ROUNDS; round++) {
        one_connection(loop, port, round);
        if (round == SETTLED) {
            support_run_passes(loop, 5);
            descriptors = peer_descriptors();
            bytes = support_bytes();
            blocks = support_blocks();
            memory = resident();
        }
        if (round > SETTLED && round % CHECK_EVERY == 0) {
            support_run_passes(loop, 5);
            ck_assert_uint_eq(rondo_server_connections(server), 0);
            ck_assert_uint_eq(peer_descriptors(), descriptors);
            ck_assert_uint_le(support_blocks(), blocks);
            ck_assert_uint_le(support_bytes(), bytes);
        }
        if (round % CHECK_EVERY == 0)
            support_deadline(support_default_deadline()); /* each five hundred have the time of a case */
    }
    if (memory)
        ck_assert_msg(resident() <= memory + SLACK_KIB, "grew from %ld to %ld KiB", memory, resident());
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *churn = support_case(suite, "ten thousand");
    tcase_set_timeout(churn, 600);
    tcase_add_test(churn, test_churn);
}

int main(void)
{
    return support_main("server churn", add_cases);
}
