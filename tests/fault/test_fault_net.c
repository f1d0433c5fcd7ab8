/* SPDX-License-Identifier: MIT */
/* Every allocation of servers, connections and streams fails once, and once with all later ones.
 *
 * Each walk is a small program that goes on whatever fails. It must not crash, leak or hang; every connection that
 * was made is lost once, every descriptor is closed, and what fails says RONDO_ENOMEM. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipes.h"
#include "unix_peer.h"

enum { LONGEST_WALK = 2000, CONNS = 4 };

static rondo_loop *loop;
static net_conn conns[CONNS];
static size_t conn_count;
static size_t protocols_made;
static char large[300000];

static bool good(int rc)
{
    if (rc >= 0)
        return true;
    ck_assert_msg(rc == RONDO_ENOMEM, "%s: %s", rondo_err_name(rc), rondo_last_error_message());
    ck_assert(support_has_failed());
    return false;
}

static bool begin(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    options.allocator = &support_allocator;
    memset(conns, 0, sizeof conns);
    conn_count = protocols_made = 0;
    loop = NULL;
    if (!good(rondo_loop_new(&options, &loop)))
        return false;
    rondo_loop_set_exception_handler(loop, support_record, NULL);
    return true;
}

/* The loop closes over whatever is open. */
static void end(void)
{
    size_t destroyed = 0;
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    for (size_t i = 0; i < CONNS; i++) {
        ck_assert_int_eq(conns[i].losts, conns[i].made);
        net_conn_end(&conns[i]);
    }
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    for (size_t i = 0; i < CONNS; i++)
        destroyed += conns[i].destroyed;
    ck_assert_uint_eq(destroyed, protocols_made);
}

static rondo_protocol *factory(void *context)
{
    net_conn *conn = context ? context : &conns[conn_count];
    ck_assert_uint_lt(conn_count, CONNS);
    conn_count++;
    rondo_protocol *protocol = net_factory(conn);
    protocols_made += protocol != NULL;
    return protocol;
}

static void turns(int count)
{
    for (int i = 0; i < count; i++) {
        rondo_loop_stop(loop);
        good(rondo_loop_run_forever(loop));
    }
}

/* --- walks ---------------------------------------------------------------------------------- */

static void walk_streams(void)
{
    rondo_socket pair[2];
    if (!begin())
        return;
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    conns[0].keep_open = true;
    rondo_future *future = rondo_create_connection(loop, factory, NULL, &options);
    if (!future) {
        good(rondo_last_error());
        ck_assert(peer_is_open(pair[0])); /* still ours */
        peer_close(pair[0]);
    } else if (good(rondo_loop_run_until_complete(loop, future, NULL))) {
        peer_sink sink = { .sock = pair[1] };
        rondo_transport *transport = conns[0].transport;
        pattern_fill(large, sizeof large, 0);
        bool queued = rondo_transport_write(transport, large, sizeof large) == 0;
        if (!queued)
            ck_assert_uint_eq(rondo_transport_get_write_buffer_size(transport), 0);
        rondo_transport_pause_reading(transport);
        peer_send_now(pair[1], "held back", 9); /* unless the transport is gone already */
        turns(2);
        peer_shutdown(pair[1]);
        turns(2);
        rondo_transport_resume_reading(transport);
        for (int i = 0; i < 30; i++) {
            peer_drain(&sink);
            turns(1);
        }
        ck_assert(!sink.corrupt);
        if (queued && !conns[0].losts)
            ck_assert_uint_eq(sink.received, sizeof large);
        if (!conns[0].losts)
            ck_assert_uint_eq(conns[0].received, 9);
        rondo_transport_close(transport);
        turns(3);
    }
    peer_close(pair[1]);
    end();
}

static void walk_server(void)
{
    if (!begin())
        return;
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    static const char *const hosts[] = { "127.0.0.1", "127.0.0.2" };
    options.hosts = hosts;
    options.host_count = 2;
    options.port = 0;
    void *made = NULL;
    rondo_future *future = rondo_create_server(loop, factory, NULL, &options);
    if (good(rondo_loop_run_until_complete(loop, future, &made))) {
        rondo_server *server = made;
        rondo_address address;
        ck_assert_int_eq(rondo_server_address(server, 0, &address), 0);
        rondo_socket peer = peer_connect("127.0.0.1", rondo_address_port(&address));
        turns(5);
        peer_send_now(peer, "hello", 5);
        turns(5);
        rondo_future *waiter = rondo_server_wait_closed(server);
        rondo_future *drain = rondo_server_drain(server, RONDO_S(1));
        if (!drain)
            good(rondo_last_error());
        turns(10);
        rondo_future_unref(waiter);
        rondo_future_unref(drain);
        peer_close(peer);
        rondo_server_free(server);
        turns(3);
    }
    end();
}

static void walk_unix(void)
{
    static unix_folder folder;
    if (!begin())
        return;
    unix_folder_make(&folder);
    rondo_unix_server_options serving = RONDO_UNIX_SERVER_OPTIONS;
    rondo_unix_connection_options connecting = RONDO_UNIX_CONNECTION_OPTIONS;
    serving.path = connecting.path = folder.path;
    serving.remove_file = true;
    void *server = NULL;
    if (good(rondo_loop_run_until_complete(loop, rondo_create_unix_server(loop, factory, NULL, &serving),
                                           &server))) {
        good(rondo_loop_run_until_complete(
            loop, rondo_create_unix_connection(loop, factory, NULL, &connecting), NULL));
        turns(3);
        rondo_server_close(server);
    }
    ck_assert_int_eq(access(folder.path, F_OK), -1); /* whatever failed */
    turns(3);
    end();
    unix_folder_remove(&folder);
}

/* More than a pipe holds goes through one, from one transport to another. */
static void walk_pipes(void)
{
    rondo_file ends[2];
    if (!begin())
        return;
    pipes_open(PIPES_FIFO, ends); /* on a proactor the kind that needs its workers */
    for (int i = 0; i < 2; i++) {
        pipes_prepare(ends[i]);
        rondo_future *future = i ? rondo_connect_write_pipe(loop, factory, &conns[1], ends[i])
                                 : rondo_connect_read_pipe(loop, factory, &conns[0], ends[i]);
        if (future) {
            good(rondo_loop_run_until_complete(loop, future, NULL));
        } else {
            good(rondo_last_error());
            pipes_close(ends[i]); /* still ours */
        }
    }
    conns[0].checked = true;
    pattern_fill(large, sizeof large, 0);
    bool is_whole =
        conns[0].made && conns[1].made && rondo_transport_write(conns[1].transport, large, sizeof large) == 0;
    if (conns[1].made)
        rondo_transport_write_eof(conns[1].transport);
    if (conns[0].made && conns[1].made)
        while (!conns[0].losts || !conns[1].losts) /* the case has a deadline */
            turns(1);
    turns(5);
    ck_assert(!conns[0].corrupt);
    if (is_whole && !conns[1].error && !conns[0].error)
        ck_assert_uint_eq(conns[0].received, sizeof large);
    end();
}

static void send_file(rondo_transport *transport, rondo_file file, int64_t count)
{
    rondo_future *future = rondo_sendfile(transport, file, 0, count, true, NULL);
    if (!future) {
        good(rondo_last_error());
        return;
    }
    turns(5);
    if (rondo_future_done(future))
        good(rondo_future_result(future, NULL));
    rondo_future_unref(future);
}

/* One file natively, one by the fallback; the loop closes over what is left. */
static void walk_files(void)
{
    rondo_socket pair[2];
    if (!begin())
        return;
    peer_pair(pair);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = pair[0];
    rondo_file file = pipes_open_file(1000), device = pipes_open_zeros();
    rondo_future *future = rondo_create_connection(loop, factory, NULL, &options);
    if (!future) {
        good(rondo_last_error());
        peer_close(pair[0]);
    } else if (good(rondo_loop_run_until_complete(loop, future, NULL))) {
        if (!rondo_transport_is_closing(conns[0].transport))
            send_file(conns[0].transport, file, 1000);
        if (!rondo_transport_is_closing(conns[0].transport))
            send_file(conns[0].transport, device, 1000000);
        turns(3);
    }
    end();
    pipes_close(file);
    pipes_close(device);
    peer_close(pair[1]);
}

/* Files travel, and wait before they do: the watch may fail, too. */
static void walk_fds(void)
{
    rondo_socket pair[2];
    char byte;
    if (!begin())
        return;
    peer_pair(pair);
    ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    rondo_future *waiting = rondo_sock_recv_fds(loop, pair[1], &byte, 1, 1);
    if (!waiting)
        good(rondo_last_error());
    turns(1);
    int rc = rondo_loop_run_until_complete(loop, rondo_sock_send_fds(loop, pair[0], "x", 1, pair, 2), NULL);
    if (good(rc) && waiting)
        good(rondo_loop_run_until_complete(loop, waiting, NULL));
    else
        rondo_future_unref(waiting);
    peer_close(pair[0]);
    if (rc >= 0 || !waiting)
        peer_close(pair[1]);
    end();
    if (rc < 0 && waiting)
        peer_close(pair[1]); /* something waited on it until now */
}

static void walk_connect(void)
{
    int refused, port;
    if (!begin())
        return;
    rondo_socket bound = peer_bound("127.0.0.1", &refused), listener = peer_listen("127.0.0.1", 5, &port);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "127.0.0.1";
    options.local_host = "127.0.0.1";
    options.local_port = 0;
    for (int i = 0; i < 2; i++) {
        options.port = i ? port : refused;
        options.happy_eyeballs_delay = i ? RONDO_S(1) : 0;
        rondo_future *future = rondo_create_connection(loop, factory, NULL, &options);
        int rc = rondo_loop_run_until_complete(loop, future, NULL);
        if (rc != RONDO_ECONNREFUSED)
            good(rc);
    }
    turns(3);
    peer_close(bound);
    peer_close(listener);
    end();
}

static void walk_resolve(void)
{
    if (!begin())
        return;
    rondo_addrinfo_query query = { .size = sizeof query, .host = "127.0.0.1", .service = "80" };
    good(rondo_loop_run_until_complete(loop, rondo_getaddrinfo(loop, &query), NULL));
    query.host = "localhost";
    good(rondo_loop_run_until_complete(loop, rondo_getaddrinfo(loop, &query), NULL));
    rondo_address address;
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", 80), 0);
    good(rondo_loop_run_until_complete(loop, rondo_getnameinfo(loop, &address, 0), NULL));
    end();
}

/* --- the driver ----------------------------------------------------------------------------- */

static void walk_with(void (*walk)(void), void (*plan)(size_t nth), const char *how)
{
    size_t descriptors = peer_descriptors();
    for (size_t nth = 1;; nth++) {
        ck_assert_uint_lt(nth, LONGEST_WALK);
        plan(nth);
        walk();
        bool failed = support_has_failed();
        support_fail_nth(0);
        ck_assert_msg(support_blocks() == 0, "%zu blocks are left when allocation %zu %s", support_blocks(),
                      nth, how);
        ck_assert_msg(peer_descriptors() <= descriptors, "%zu descriptors too many when allocation %zu %s",
                      peer_descriptors() - descriptors, nth, how);
        support_reports();
        support_reports_clear();
        support_log_lines(NULL);
        support_log_clear();
        if (!failed)
            return;
    }
}

#define WALK(name)                                                            \
    START_TEST(test_##name)                                                   \
    {                                                                         \
        walk_with(walk_##name, support_fail_nth, "fails");                    \
    }                                                                         \
    END_TEST                                                                  \
    START_TEST(test_##name##_from)                                            \
    {                                                                         \
        walk_with(walk_##name, support_fail_from, "and all later ones fail"); \
    }                                                                         \
    END_TEST

#define WALKS(X) X(streams) X(server) X(unix) X(fds) X(connect) X(files) X(pipes)
WALKS(WALK)

START_TEST(test_resolve)
{
    walk_with(walk_resolve, support_fail_nth, "fails");
}
END_TEST

#define ADD(name)                       \
    tcase_add_test(tcase, test_##name); \
    tcase_add_test(tcase, test_##name##_from);

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "no memory");
    WALKS(ADD)
    tcase_add_test(tcase, test_resolve);
}

int main(void)
{
    return support_main("faults in the network", add_cases);
}
