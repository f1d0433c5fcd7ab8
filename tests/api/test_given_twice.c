/* SPDX-License-Identifier: MIT */
/* One descriptor for two transports, or servers: the second one is refused and closes nothing, also where neither has been made
 * yet. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "dgram.h"
#include "peer.h"
#include "pipes.h"
#include "unix_peer.h"

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

/* --- servers ------------------------------------------------------------------------------------------------- */

static rondo_future *serve(rondo_loop *loop, rondo_socket sock, net_conn *conn)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.sock = sock;
    options.start_serving = false;
    return rondo_create_server(loop, net_factory, conn, &options);
}

static maker *const all_makers[] = { adopt, read_from, serve };

enum { ALL_MAKERS = sizeof all_makers / sizeof *all_makers };

/* The first one has @listener, is the only one that closes it, and serves. */
static void serves(rondo_loop *loop, net_conn *conn, rondo_future *first, rondo_socket listener, int port)
{
    void *server = NULL;
    ck_assert_int_eq(net_finish(loop, first, &server), 0);
    support_run_passes(loop, 3);
    ck_assert(peer_is_open(listener));
    ck_assert_int_eq(rondo_server_start_serving(server), 0);
    rondo_socket peer = peer_connect("127.0.0.1", port);
    run_until(loop, conn->made == 1);
    rondo_server_close(server);
    support_run_passes(loop, 2);
    ck_assert(!peer_is_open(listener));
    peer_close(peer);
    net_done(loop, conn);
}

static rondo_socket bound(int *ret_port)
{
    rondo_socket sock = peer_bound("127.0.0.1", ret_port);
    peer_set_blocking(sock, false);
    return sock;
}

START_TEST(test_servers)
{
    rondo_loop *loop = support_loop();
    int port;
    net_conn conn = { 0 }, other = { 0 };
    rondo_socket sock = bound(&port);
    rondo_future *first = serve(loop, sock, &conn);
    rondo_future *second = all_makers[_i](loop, sock, &other);
    ck_assert(first && second);
    ck_assert_int_eq(outcome(loop, second), RONDO_EBUSY);
    ck_assert_int_eq(other.made, 0);
    serves(loop, &conn, first, sock, port);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_servers_afterwards)
{
    rondo_loop *loop = support_loop();
    int port;
    net_conn conn = { 0 }, other = { 0 };
    rondo_socket sock = bound(&port);
    rondo_future *first = serve(loop, sock, &conn);
    run_until(loop, rondo_future_done(first));
    net_refused(all_makers[_i](loop, sock, &other), RONDO_EBUSY);
    serves(loop, &conn, first, sock, port);
    support_loop_end(loop);
}
END_TEST

/* The transport comes first, and closes the socket. */
START_TEST(test_server_of_a_transport)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    net_conn conn = { 0 };
    open_pair(pair);
    rondo_future *first = adopt(loop, pair[0], &conn);
    rondo_future *second = serve(loop, pair[0], &conn);
    ck_assert(first && second);
    ck_assert_int_eq(outcome(loop, first), 0);
    ck_assert_int_eq(outcome(loop, second), RONDO_EBUSY);
    works(loop, &conn, pair[0], pair[1]);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_unix_servers)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    net_conn conn = { 0 };
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.sock = unix_listen(folder.path, 0, 5);
    rondo_future *first = rondo_create_unix_server(loop, net_factory, &conn, &options);
    rondo_future *second = rondo_create_unix_server(loop, net_factory, &conn, &options);
    ck_assert(first && second);
    ck_assert_int_eq(outcome(loop, first), 0);
    ck_assert_int_eq(outcome(loop, second), RONDO_EBUSY);
    net_refused(rondo_create_unix_server(loop, net_factory, &conn, &options), RONDO_EBUSY);
    ck_assert(peer_is_open(options.sock));
    support_loop_end(loop);
    ck_assert(!peer_is_open(options.sock));
    unix_folder_remove(&folder);
}
END_TEST

/* A transport's socket was closed behind its back, and what is opened next gets its number: that is still the transport's, which
 * closes it in the end. */
START_TEST(test_number_that_came_back)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 }, other = { 0 };
    unix_folder folder;
    rondo_socket pair[2];
    unix_folder_make(&folder);
    open_pair(pair);
    ck_assert_int_eq(outcome(loop, adopt(loop, pair[0], &conn)), 0);
    close(pair[0]);
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    rondo_unix_server_options unix_options = RONDO_UNIX_SERVER_OPTIONS;
    unix_options.path = folder.path;
    rondo_future *future = _i ? rondo_create_unix_server(loop, net_factory, &other, &unix_options)
                              : rondo_create_server(loop, net_factory, &other, &options);
    ck_assert_int_eq(outcome(loop, future), RONDO_EBUSY);
    ck_assert(peer_is_open(pair[0]));
    peer_close(pair[1]);
    net_done(loop, &conn);
    run_until(loop, !peer_is_open(pair[0]));
    support_loop_end(loop);
    unix_folder_remove(&folder);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "twice");
    tcase_add_loop_test(tcase, test_before_the_first_is_made, 0, MAKERS);
    tcase_add_loop_test(tcase, test_afterwards, 0, MAKERS);
    tcase_add_test(tcase, test_datagrams);
    tcase = support_case(suite, "servers");
    tcase_add_loop_test(tcase, test_servers, 0, ALL_MAKERS);
    tcase_add_loop_test(tcase, test_servers_afterwards, 0, ALL_MAKERS);
    tcase_add_test(tcase, test_server_of_a_transport);
    tcase_add_test(tcase, test_unix_servers);
    tcase_add_loop_test(tcase, test_number_that_came_back, 0, 2);
}

int main(void)
{
    return support_main("a descriptor given twice", add_cases);
}
