/* SPDX-License-Identifier: MIT */
/* Moving accepted sockets to other loops, in other threads: sock_accept in one, a call to the other, connect_accepted_socket
 * there.
 *
 * The happy path: one loop accepts and hands each socket to the next of two others, which serve it. Failures: a loop that is
 * gone does not take it, one that ends before the call runs lets go of it: in both cases the socket is closed once.
 * Callbacks of Check are for the main thread alone, so the other threads count. */
#define _GNU_SOURCE
#include "unix_peer.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOPS = 2, CLIENTS = 40, ROUNDS = 5 };

struct worker {
    support_thread *thread;
    support_gate *running;
    rondo_loop *loop;
    int error;
    atomic_size_t made, lost, failed;
};

/* A socket on its way; closed with it unless somebody has taken it. */
struct parcel {
    struct worker *worker;
    rondo_socket sock;
};

static atomic_size_t parcels; /* that are on their way */

/* --- the other threads ------------------------------------------------------------------------ */

static struct worker *worker_of(rondo_protocol *protocol)
{
    return *(struct worker **) rondo_protocol_data(protocol);
}

static void on_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct worker *worker = worker_of(protocol);
    if (rondo_transport_loop(transport) != worker->loop || rondo_loop_running() != worker->loop)
        worker->failed++;
    worker->made++;
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    rondo_transport_write(rondo_protocol_transport(protocol), data, length);
}

static void on_lost(rondo_protocol *protocol, int error)
{
    worker_of(protocol)->failed += error != 0;
    worker_of(protocol)->lost++;
}

static const rondo_protocol_ops ops = {
    .size = sizeof ops,
    .data_size = sizeof(struct worker *),
    .connection_made = on_made,
    .data_received = on_data,
    .connection_lost = on_lost,
};

static rondo_protocol *make(void *worker)
{
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) &ops);
    if (protocol)
        *(void **) rondo_protocol_data(protocol) = worker;
    return protocol;
}

static void adopt(void *context)
{
    struct parcel *parcel = context;
    struct worker *worker = parcel->worker;
    rondo_future *future = rondo_connect_accepted_socket(worker->loop, make, worker, parcel->sock);
    if (future)
        parcel->sock = RONDO_INVALID_SOCKET; /* the loop's now */
    else
        worker->failed++;
    rondo_future_unref(future);
}

static void drop(void *context)
{
    struct parcel *parcel = context;
    if (parcel->sock != RONDO_INVALID_SOCKET)
        peer_close(parcel->sock);
    free(parcel);
    parcels--;
}

static void open_gate(void *gate)
{
    support_gate_open(gate);
}

static void stop(void *loop)
{
    rondo_loop_stop(loop);
}

static void run_worker(void *context)
{
    struct worker *worker = context;
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    worker->error = rondo_loop_new(&options, &worker->loop);
    if (worker->error == 0)
        worker->error = rondo_loop_call_soon(worker->loop, NULL, open_gate, worker->running);
    if (worker->error == 0)
        worker->error = rondo_loop_run_forever(worker->loop);
    else
        support_gate_open(worker->running);
    if (worker->error == 0)
        worker->error = rondo_loop_close(worker->loop);
}

static void start_worker(struct worker *worker)
{
    memset(worker, 0, sizeof *worker);
    worker->running = support_gate_new();
    worker->thread = support_thread_start(run_worker, worker);
    support_gate_wait(worker->running);
    ck_assert_int_eq(worker->error, 0);
}

/* Wait until its loop has ended; it is closed then, but not freed. */
static void join_worker(struct worker *worker)
{
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(worker->loop, NULL, stop, worker->loop), 0);
    support_thread_join(worker->thread);
    support_gate_free(worker->running);
    ck_assert_int_eq(worker->error, 0);
    ck_assert_uint_eq(worker->failed, 0);
}

/* --- the accepting loop ----------------------------------------------------------------------- */

static int hand_over(struct worker *worker, rondo_socket sock)
{
    struct parcel *parcel = malloc(sizeof *parcel);
    *parcel = (struct parcel){ worker, sock };
    parcels++;
    rondo_call call = { .size = sizeof call, .callback = adopt, .context = parcel, .destroy = drop };
    int rc = rondo_loop_call_threadsafe(worker->loop, &call, NULL);
    if (rc < 0)
        drop(parcel); /* it is still ours */
    return rc;
}

struct acceptor {
    rondo_socket listener;
    struct worker *workers;
    size_t count;
};

/* A task: accept so many, and give each to the next worker. */
static int accept_all(void *context)
{
    struct acceptor *acceptor = context;
    for (size_t i = 0; i < acceptor->count; i++) {
        rondo_socket sock;
        int rc =
            rondo_await_accepted(rondo_sock_accept(rondo_loop_running(), acceptor->listener), &sock, NULL);
        if (rc == 0)
            rc = hand_over(&acceptor->workers[i % LOOPS], sock);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void talk(rondo_socket *peers, size_t count)
{
    char text[64];
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            snprintf(text, sizeof text, "client %zu round %d", i, round);
            peer_send_text(peers[i], text);
        }
        for (size_t i = 0; i < count; i++) {
            snprintf(text, sizeof text, "client %zu round %d", i, round);
            peer_expect(peers[i], text);
        }
    }
}

static void play(rondo_socket listener, rondo_socket (*dial)(void))
{
    struct worker workers[LOOPS];
    rondo_socket peers[CLIENTS];
    rondo_loop *loop = support_loop();
    for (size_t i = 0; i < LOOPS; i++)
        start_worker(&workers[i]);
    ck_assert_int_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    struct acceptor acceptor = { listener, workers, CLIENTS };
    for (size_t i = 0; i < CLIENTS; i++)
        peers[i] = dial();
    int rc = net_finish(loop, rondo_create_task(loop, accept_all, &acceptor), NULL);
    ck_assert_msg(rc == 0, "%s", rondo_last_error_message());
    talk(peers, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        peer_shutdown(peers[i]);
        peer_expect_eof(peers[i]);
        peer_close(peers[i]);
    }
    for (size_t i = 0; i < LOOPS; i++) {
        join_worker(&workers[i]);
        ck_assert_uint_eq(workers[i].made, CLIENTS / LOOPS); /* ACC-01: each where it was brought */
        ck_assert_uint_eq(workers[i].lost, CLIENTS / LOOPS);
        ck_assert_int_eq(rondo_loop_free(workers[i].loop), 0);
    }
    ck_assert_uint_eq(parcels, 0);
    peer_close(listener);
    support_loop_end(loop);
}

static int port;
static unix_folder folder;

static rondo_socket dial_port(void)
{
    return peer_connect("127.0.0.1", port);
}

static rondo_socket dial_path(void)
{
    return unix_connect(folder.path, 0);
}

START_TEST(test_tcp)
{
    play(peer_listen("127.0.0.1", CLIENTS, &port), dial_port);
}
END_TEST

START_TEST(test_unix)
{
    unix_folder_make(&folder);
    play(unix_listen(folder.path, 0, CLIENTS), dial_path);
    unix_folder_remove(&folder);
}
END_TEST

START_TEST(test_nobody_takes_it)
{
    struct worker worker;
    rondo_socket pair[2], late[2];
    start_worker(&worker);
    join_worker(&worker);
    peer_pair(pair);
    /* a loop that is closed says so at once, and the socket is still the caller's */
    ck_assert_int_eq(hand_over(&worker, pair[0]), RONDO_ECLOSED);
    peer_expect_eof(pair[1]);
    peer_close(pair[1]);
    ck_assert_int_eq(rondo_loop_free(worker.loop), 0);
    /* one that closes before the call has run lets go of what it carries */
    rondo_loop *loop = support_loop();
    worker.loop = loop;
    peer_pair(late);
    ck_assert_int_eq(hand_over(&worker, late[0]), 0);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    peer_expect_eof(late[1]);
    peer_close(late[1]);
    ck_assert_uint_eq(parcels, 0);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "handing over");
    tcase_add_test(tcase, test_tcp);
    tcase_add_test(tcase, test_unix);
    tcase_add_test(tcase, test_nobody_takes_it);
}

int main(void)
{
    return support_main("handing over", add_cases);
}
