/* SPDX-License-Identifier: MIT */
/* A server that runs out of descriptors, or whose listener fails, goes on. */
#define _GNU_SOURCE
#include "unix_peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 3, ROOM = 64 };

static struct rlimit old_limit;
static int hogs[ROOM + 1]; /* one more than there can be, to see the limit */
static size_t hog_count;

static void limit_descriptors(void)
{
    struct rlimit limit;
    int lowest = dup(0);
    ck_assert_int_ge(lowest, 0);
    close(lowest);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old_limit), 0);
    limit = old_limit;
    limit.rlim_cur = (rlim_t) lowest + ROOM;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Take every descriptor that is left. */
static void hog_descriptors(void)
{
    for (hog_count = 0; hog_count <= ROOM; hog_count++) {
        hogs[hog_count] = dup(0);
        if (hogs[hog_count] < 0)
            return;
    }
    ck_abort_msg("the limit does not hold");
}

static void release_descriptors(void)
{
    while (hog_count)
        close(hogs[--hog_count]);
}

struct crowd {
    net_conn conns[8];
    size_t called;
};

static struct crowd crowd;

static rondo_protocol *crowd_factory(void *context)
{
    (void) context;
    ck_assert_uint_lt(crowd.called, 8);
    return net_factory(&crowd.conns[crowd.called++]);
}

static int port;
static unix_folder folder;

/* The cases are played over TCP (0) and over a Unix socket (1). */
static rondo_server *serve(rondo_loop *loop, int is_unix)
{
    memset(&crowd, 0, sizeof crowd);
    if (!is_unix)
        return net_serve(loop, crowd_factory, NULL, &port);
    unix_folder_make(&folder);
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.path = folder.path;
    void *server = NULL;
    ck_assert_int_eq(net_finish(loop, rondo_create_unix_server(loop, crowd_factory, NULL, &options), &server),
                     0);
    return server;
}

static rondo_socket dial(int is_unix)
{
    return is_unix ? unix_connect(folder.path, 0) : peer_connect("127.0.0.1", port);
}

static void end_loop(rondo_loop *loop, int is_unix)
{
    support_loop_end(loop);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old_limit), 0);
    if (is_unix)
        unix_folder_remove(&folder);
}

static void stop(void *loop)
{
    rondo_loop_stop(loop);
}

static void run_for(rondo_loop *loop, rondo_ns span)
{
    rondo_loop_call_later(loop, span, NULL, stop, loop);
    support_run(loop);
}

START_TEST(test_out_of_descriptors)
{
    limit_descriptors();
    rondo_loop *loop = support_loop();
    rondo_server *server = serve(loop, _i);
    rondo_socket listener, clients[CLIENTS];
    rondo_server_sockets(server, &listener, 1);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = dial(_i);
    hog_descriptors();
    run_until(loop, support_reports() > 0);
    /* SRV-13: message, exception, socket */
    const support_report *report = support_report_at(0);
    ck_assert_int_eq(report->context.error, RONDO_EMFILE);
    ck_assert_int_eq(report->context.socket, listener);
    ck_assert_str_ne(report->message, "");
    ck_assert_uint_eq(crowd.called, 0);
    /* SRV-13: it rests, and does not spin: one report, hardly any passes */
    rondo_loop_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    rondo_loop_get_metrics(loop, &before);
    run_for(loop, RONDO_MS(200));
    rondo_loop_get_metrics(loop, &after);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_uint_le(after.passes - before.passes, 20);
    /* SRV-13: then it goes on; it stayed open */
    ck_assert(rondo_server_is_serving(server));
    release_descriptors();
    rondo_ns begun = rondo_loop_time(loop);
    run_until(loop, crowd.called == CLIENTS && crowd.conns[CLIENTS - 1].made);
    ck_assert_int_le(rondo_loop_time(loop) - begun, RONDO_S(5));
    rondo_socket late = dial(_i);
    run_until(loop, crowd.called == CLIENTS + 1);
    peer_close(late);
    for (int i = 0; i < CLIENTS; i++)
        peer_close(clients[i]);
    for (size_t i = 0; i < crowd.called; i++)
        net_done(loop, &crowd.conns[i]);
    end_loop(loop, _i);
    support_reports();
}
END_TEST

START_TEST(test_resumes_when_one_closes)
{
    limit_descriptors();
    rondo_loop *loop = support_loop();
    serve(loop, _i);
    rondo_socket first = dial(_i);
    run_until(loop, crowd.conns[0].made == 1);
    rondo_socket second = dial(_i);
    hog_descriptors();
    run_until(loop, support_reports() > 0);
    ck_assert_uint_eq(crowd.called, 1);
    /* a connection that ends makes room for the one that waits */
    rondo_transport_abort(crowd.conns[0].transport);
    run_until(loop, crowd.called == 2 && crowd.conns[1].made == 1);
    release_descriptors();
    peer_close(first);
    peer_close(second);
    for (size_t i = 0; i < crowd.called; i++)
        net_done(loop, &crowd.conns[i]);
    end_loop(loop, _i);
    support_reports();
}
END_TEST

START_TEST(test_closed_while_resting)
{
    limit_descriptors();
    rondo_loop *loop = support_loop();
    rondo_server *server = serve(loop, _i);
    rondo_socket client = dial(_i), listener;
    rondo_server_sockets(server, &listener, 1);
    hog_descriptors();
    run_until(loop, support_reports() > 0);
    rondo_server_close(server);
    release_descriptors();
    run_until(loop, !peer_is_open(listener));
    /* SRV-13, SVO-03: the retry does not come back to a listener that is closed */
    run_for(loop, RONDO_MS(1200));
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_uint_eq(crowd.called, 0);
    peer_close(client);
    end_loop(loop, _i);
}
END_TEST

START_TEST(test_connect_out_of_descriptors)
{
    limit_descriptors();
    rondo_loop *loop = support_loop();
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    rondo_server_options serving = RONDO_SERVER_OPTIONS;
    options.host = serving.host = "127.0.0.1";
    options.port = port;
    serving.port = 0;
    hog_descriptors();
    /* CON-12, SRV-11: no descriptor left is an error of the call */
    ck_assert_int_eq(net_finish(loop, rondo_create_connection(loop, net_factory, NULL, &options), NULL),
                     RONDO_EMFILE);
    int rc = net_finish(loop, rondo_create_server(loop, net_factory, NULL, &serving), NULL);
    ck_assert_int_lt(rc, 0);
    release_descriptors();
    net_conn conn = { 0 };
    ck_assert_int_eq(net_finish(loop, rondo_create_connection(loop, net_factory, &conn, &options), NULL), 0);
    peer_close(listener);
    net_done(loop, &conn);
    support_loop_end(loop);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old_limit), 0);
}
END_TEST

START_TEST(test_failing_listener)
{
    rondo_loop *loop = support_loop();
    memset(&crowd, 0, sizeof crowd);
    rondo_server *server = net_serve(loop, crowd_factory, NULL, &port);
    rondo_socket listener;
    rondo_server_sockets(server, &listener, 1);
    support_run_passes(loop, 2);
    /* somebody shuts the listening socket down: accept fails with something unheard of */
    ck_assert_int_eq(shutdown(listener, SHUT_RDWR), 0);
    run_until(loop, support_reports() > 0);
    /* SRV-14: reported, with the socket; the server stays */
    ck_assert_int_lt(support_report_at(0)->context.error, 0);
    ck_assert_int_eq(support_report_at(0)->context.socket, listener);
    ck_assert(rondo_server_is_serving(server));
    run_for(loop, RONDO_MS(100));
    ck_assert_uint_le(support_reports(), 10);
    /* SRV-14: and when the trouble is over it goes on */
    ck_assert_int_eq(listen(listener, 5), 0);
    rondo_socket peer = peer_connect("127.0.0.1", peer_port(listener)); /* the shutdown took its port */
    run_until(loop, crowd.called == 1 && crowd.conns[0].made == 1);
    peer_close(peer);
    net_done(loop, &crowd.conns[0]);
    support_reports();
    support_loop_end(loop);
}
END_TEST

/* A loop that cannot be made for want of descriptors says so, whichever call it was. */
START_TEST(test_loop)
{
    limit_descriptors();
    hog_descriptors();
    int rc = RONDO_EMFILE;
    for (int room = 0; rc < 0; room++) {
        ck_assert_int_lt(room, ROOM);
        rondo_loop_options options = RONDO_LOOP_OPTIONS;
        options.backend = support_backend();
        rondo_loop *loop = NULL;
        rc = rondo_loop_new(&options, &loop);
        ck_assert(rc == 0 || rc == RONDO_EMFILE);
        if (rc < 0)
            ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), rondo_strerror(RONDO_EMFILE)));
        rondo_loop_free(loop);
        close(hogs[--hog_count]);
    }
    release_descriptors();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old_limit), 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    if (support_has_own_limits()) {
        fprintf(stderr, "SKIP descriptors: valgrind has limits of its own\n");
        tcase_add_test(support_case(suite, "listener"), test_failing_listener);
        return;
    }
    TCase *limits = support_case(suite, "descriptors");
    tcase_add_loop_test(limits, test_out_of_descriptors, 0, 2);
    tcase_add_loop_test(limits, test_resumes_when_one_closes, 0, 2);
    tcase_add_loop_test(limits, test_closed_while_resting, 0, 2);
    tcase_add_test(limits, test_connect_out_of_descriptors);
    tcase_add_test(limits, test_loop);

    TCase *listener = support_case(suite, "listener");
    tcase_add_test(listener, test_failing_listener);
}

int main(void)
{
    return support_main("server limits", add_cases);
}
