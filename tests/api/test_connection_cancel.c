/* SPDX-License-Identifier: MIT */
/* create_connection: cancelled, abandoned, or cut short by the closing loop, at each step of its way. */
#include "peer.h"
#include "resolver.h"

#include <string.h>

enum { STEPS = 12 };

struct way {
    rondo_loop *loop;
    net_conn conn;
    fake_resolver fake;
    rondo_socket listener;
    rondo_socket pair[2];
    rondo_future *future;
    size_t descriptors;
    bool by_sock;
};

/* What is under way: a name that resolves to a refused address and to one that listens; or a socket. */
static void set_out(struct way *way, bool by_sock)
{
    int refused, good;
    memset(way, 0, sizeof *way);
    way->loop = support_loop();
    way->by_sock = by_sock;
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    way->descriptors = peer_descriptors();
    if (by_sock) {
        peer_pair(way->pair);
        options.sock = way->pair[0];
    } else {
        rondo_socket bound = peer_bound("127.0.0.1", &refused);
        way->listener = peer_listen("127.0.0.1", 5, &good);
        way->fake.answers[0] =
            (fake_answer){ .addresses = { { "127.0.0.1", refused, 0 }, { "127.0.0.1", good, 0 } },
                           .count = 2 };
        way->fake.answer_count = 1;
        fake_resolver_install(way->loop, &way->fake);
        peer_close(bound);
        options.host = "example.test";
        options.port = 80;
    }
    way->future = rondo_create_connection(way->loop, net_factory, &way->conn, &options);
    ck_assert_ptr_nonnull(way->future);
}

static void arrive(struct way *way)
{
    if (way->by_sock)
        peer_close(way->pair[1]);
    else
        peer_close(way->listener);
    fake_resolver_end(&way->fake);
    net_conn_end(&way->conn);
}

START_TEST(test_cancel_at_each_step)
{
    for (int by_sock = 0; by_sock < 2; by_sock++) {
        struct way way;
        set_out(&way, by_sock);
        support_run_passes(way.loop, _i);
        bool done = rondo_future_done(way.future);
        ck_assert(rondo_future_cancel(way.future) == !done);
        run_until(way.loop, rondo_future_done(way.future));
        /* CON-13, CON-18: cancelled means cancelled, and no further address is tried */
        ck_assert(rondo_future_cancelled(way.future) == !done);
        if (done)
            rondo_transport_abort(way.conn.transport);
        run_until(way.loop, way.conn.losts == way.conn.made);
        support_run_passes(way.loop, 3);
        /* CON-18: nothing stays open; CON-19: a given socket is closed, too */
        run_until(way.loop, peer_descriptors() == way.descriptors + 1);
        rondo_future_unref(way.future);
        arrive(&way);
        support_loop_end(way.loop);
        if (way.conn.made)
            ck_assert_uint_eq(way.conn.destroyed, 1);
    }
}
END_TEST

START_TEST(test_loop_closed_at_each_step)
{
    for (int by_sock = 0; by_sock < 2; by_sock++) {
        struct way way;
        set_out(&way, by_sock);
        support_run_passes(way.loop, _i);
        ck_assert_int_eq(rondo_loop_close(way.loop), 0);
        /* RUN-31, CON-18: nothing stays open, and a transport that was made hears of it */
        ck_assert_int_eq(way.conn.losts, way.conn.made);
        rondo_future_unref(way.future);
        arrive(&way);
        support_loop_end(way.loop);
        /* the io_uring or epoll descriptor and the wake-up channel were counted before, and are gone */
        ck_assert_uint_le(peer_descriptors(), way.descriptors);
    }
}
END_TEST

START_TEST(test_forgotten)
{
    struct way way;
    set_out(&way, false);
    /* nobody waits for it: it goes on, as a task in asyncio does, or it ends; in both cases cleanly */
    rondo_future_unref(way.future);
    support_run_passes(way.loop, STEPS);
    if (way.conn.made)
        rondo_transport_abort(way.conn.transport);
    run_until(way.loop, way.conn.losts == way.conn.made && peer_descriptors() == way.descriptors + 1);
    arrive(&way);
    support_loop_end(way.loop);
}
END_TEST

START_TEST(test_cancel_while_resolving)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    fake_resolver fake = {
        .answers = { { .addresses = { { "127.0.0.1", 9, 0 } }, .count = 1, .later = true } },
        .answer_count = 1
    };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "slow.test";
    options.port = 80;
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(fake.asked, 1);
    ck_assert(rondo_future_cancel(future));
    run_until(loop, rondo_future_done(future));
    /* CON-18, DNS-05: the wait is over; the lookup is cancelled or abandoned */
    ck_assert(rondo_future_cancelled(future));
    if (!rondo_future_done(fake.lookups[0].future))
        fake_resolver_answer(&fake, 0);
    support_run_passes(loop, 5);
    ck_assert_int_eq(conn.made, 0);
    rondo_future_unref(future);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

static void cancel_hanging(bool eyeballs)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    enum { MANY = 64 };
    rondo_socket fillers[MANY];
    int hanging;
    rondo_socket full = peer_listen("127.0.0.1", 0, &hanging);
    size_t count = peer_fill_backlog("127.0.0.1", hanging, fillers, MANY);
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", hanging, 0 },
                                                         { "127.0.0.1", hanging, 0 },
                                                         { "127.0.0.1", hanging, 0 } },
                                          .count = 3 } },
                           .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    size_t descriptors = peer_descriptors();
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "example.test";
    options.port = 80;
    options.happy_eyeballs_delay = eyeballs ? RONDO_MS(1) : 0;
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    size_t expected = eyeballs ? 3 : 1;
    run_until(loop, peer_descriptors() == descriptors + expected);
    ck_assert(rondo_future_cancel(future));
    run_until(loop, rondo_future_done(future));
    ck_assert(rondo_future_cancelled(future));
    /* CON-13, CON-18, CON-22: every attempt is cancelled and closed, none begins */
    run_until(loop, peer_descriptors() == descriptors);
    support_run_passes(loop, 5);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    rondo_future_unref(future);
    for (size_t i = 0; i < count; i++)
        peer_close(fillers[i]);
    peer_close(full);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}

START_TEST(test_cancel_while_connecting)
{
    cancel_hanging(_i == 1);
}
END_TEST

static int wait_for_connection(void *context)
{
    struct way *way = context;
    return rondo_await_connection(way->future, NULL, NULL);
}

START_TEST(test_cancel_by_task)
{
    struct way way;
    set_out(&way, false);
    rondo_task *task = rondo_create_task(way.loop, wait_for_connection, &way);
    support_run_passes(way.loop, 1);
    ck_assert(rondo_future_cancel(task));
    /* CON-18: the cancellation of the task that waits goes through to the connection */
    ck_assert_int_eq(net_finish(way.loop, task, NULL), RONDO_ECANCELLED);
    run_until(way.loop, way.conn.losts == way.conn.made && peer_descriptors() == way.descriptors + 1);
    arrive(&way);
    support_loop_end(way.loop);
}
END_TEST

START_TEST(test_timeout)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    enum { MANY = 64 };
    rondo_socket fillers[MANY];
    int hanging;
    rondo_socket full = peer_listen("127.0.0.1", 0, &hanging);
    size_t count = peer_fill_backlog("127.0.0.1", hanging, fillers, MANY);
    size_t descriptors = peer_descriptors();
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "127.0.0.1";
    options.port = hanging;
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    /* CON-13: a time limit from outside */
    ck_assert_int_eq(net_finish(loop, rondo_wait_for(future, RONDO_MS(20)), NULL), RONDO_ETIMEDOUT);
    run_until(loop, peer_descriptors() == descriptors);
    for (size_t i = 0; i < count; i++)
        peer_close(fillers[i]);
    peer_close(full);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_number_is_closed_once)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket pair[2], again[2];
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    ck_assert(rondo_future_cancel(future));
    run_until(loop, rondo_future_done(future) && !peer_is_open(pair[0]));
    peer_close(pair[1]);
    /* CON-19: the number belongs to somebody else now, and stays his */
    peer_pair(again);
    ck_assert(again[0] == pair[0] || again[1] == pair[0]);
    support_run_passes(loop, 10);
    rondo_future_unref(future);
    run_until(loop, conn.losts == conn.made);
    net_conn_end(&conn);
    support_loop_end(loop);
    ck_assert(peer_is_open(again[0]));
    ck_assert(peer_is_open(again[1]));
    peer_send_text(again[0], "mine");
    peer_expect(again[1], "mine");
    peer_close(again[0]);
    peer_close(again[1]);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *steps = support_case(suite, "each step");
    tcase_add_loop_test(steps, test_cancel_at_each_step, 0, STEPS);
    tcase_add_loop_test(steps, test_loop_closed_at_each_step, 0, STEPS);
    tcase_add_test(steps, test_forgotten);

    TCase *states = support_case(suite, "states");
    tcase_add_test(states, test_cancel_while_resolving);
    tcase_add_loop_test(states, test_cancel_while_connecting, 0, 2);
    tcase_add_test(states, test_cancel_by_task);
    tcase_add_test(states, test_timeout);
    tcase_add_test(states, test_number_is_closed_once);
}

int main(void)
{
    return support_main("connection cancel", add_cases);
}
