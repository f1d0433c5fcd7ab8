/* SPDX-License-Identifier: MIT */
/* One descriptor for two transports: the second one is refused and closes nothing, also where neither has been made yet. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "dgram.h"
#include "peer.h"
#include "pipes.h"

typedef rondo_future *maker(rondo_loop *loop, rondo_socket sock, net_conn *conn);

static rondo_future *adopt(rondo_loop *loop, rondo_socket sock, net_conn *conn)
{
    return rondo_connect_accepted_socket(loop, net_factory, conn, sock);
}

static rondo_future *connect_with(rondo_loop *loop, rondo_socket sock, net_conn *conn)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = sock;
    return rondo_create_connection(loop, net_factory, conn, &options);
}

static rondo_future *read_from(rondo_loop *loop, rondo_socket sock, net_conn *conn)
{
    return rondo_connect_read_pipe(loop, net_factory, conn, sock);
}

static maker *const makers[] = { adopt, connect_with, read_from };

enum { MAKERS = sizeof makers / sizeof *makers };

static int outcome(rondo_loop *loop, rondo_future *future)
{
    run_until(loop, rondo_future_done(future));
    int rc = rondo_future_result(future, NULL);
    rondo_future_unref(future);
    return rc;
}

/* The first one works on, and is the only one to close. */
static void works(rondo_loop *loop, net_conn *conn, rondo_socket near, rondo_socket far)
{
    support_run_passes(loop, 3);
    ck_assert_int_eq(conn->losts, 0);
    peer_send_text(far, "still there");
    run_until(loop, conn->received == 11);
    ck_assert(peer_is_open(near));
    peer_close(far);
    run_until(loop, conn->losts == 1 && !peer_is_open(near));
    net_done(loop, conn);
}

/* A connection whose near end the program may give away. */
static void open_pair(rondo_socket ret_pair[2])
{
    peer_pair(ret_pair);
    ck_assert_int_eq(fcntl(ret_pair[0], F_SETFL, O_NONBLOCK), 0);
}

START_TEST(test_before_the_first_is_made)
{
    rondo_loop *loop = support_loop();
    for (int i = 0; i < MAKERS; i++) {
        rondo_socket pair[2];
        net_conn first = { 0 }, second = { 0 };
        open_pair(pair);
        rondo_future *one = makers[_i](loop, pair[0], &first);
        rondo_future *other = makers[i](loop, pair[0], &second);
        ck_assert(one && other);
        ck_assert_int_eq(outcome(loop, one), 0);
        ck_assert_int_eq(outcome(loop, other), RONDO_EBUSY);
        ck_assert_int_eq(second.made, 0);
        works(loop, &first, pair[0], pair[1]);
    }
    support_loop_end(loop);
}
END_TEST

START_TEST(test_afterwards)
{
    rondo_loop *loop = support_loop();
    for (int i = 0; i < MAKERS; i++) {
        rondo_socket pair[2];
        net_conn first = { 0 }, second = { 0 };
        open_pair(pair);
        rondo_future *one = makers[_i](loop, pair[0], &first);
        ck_assert_int_eq(outcome(loop, one), 0);
        rondo_future *other = makers[i](loop, pair[0], &second);
        ck_assert_ptr_null(other); /* known at once */
        ck_assert_int_eq(rondo_last_error(), RONDO_EBUSY);
        works(loop, &first, pair[0], pair[1]);
    }
    support_loop_end(loop);
}
END_TEST

START_TEST(test_datagrams)
{
    rondo_loop *loop = dgram_loop();
    dgram first = { 0 }, second = { 0 };
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = peer_datagram();
    rondo_future *one = rondo_create_datagram_endpoint(loop, dgram_factory, &first, &options);
    rondo_future *other = rondo_create_datagram_endpoint(loop, dgram_factory, &second, &options);
    ck_assert(one && other);
    ck_assert_int_eq(outcome(loop, one), 0);
    ck_assert_int_eq(outcome(loop, other), RONDO_EBUSY);
    support_run_passes(loop, 3);
    ck_assert(peer_is_open(options.sock));
    dgram_done(loop, &first);
    ck_assert(!peer_is_open(options.sock));
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "twice");
    tcase_add_loop_test(tcase, test_before_the_first_is_made, 0, MAKERS);
    tcase_add_loop_test(tcase, test_afterwards, 0, MAKERS);
    tcase_add_test(tcase, test_datagrams);
}

int main(void)
{
    return support_main("a descriptor given twice", add_cases);
}
