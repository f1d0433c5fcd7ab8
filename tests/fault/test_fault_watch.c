/* SPDX-License-Identifier: MIT */
/* Every allocation of watches and low-level socket operations fails once, and once with all later ones.
 *
 * Each walk is a small program that goes on whatever fails. It must not crash, leak or hang; every context is released
 * once, and what fails says RONDO_ENOMEM. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "peer.h"

enum { LONGEST_WALK = 500 };

static rondo_loop *loop;
static rondo_socket pair[2];

static bool good(int rc)
{
    if (rc >= 0)
        return true;
    ck_assert_msg(rc == RONDO_ENOMEM || rc == RONDO_EAI_MEMORY, "%s: %s", rondo_err_name(rc),
                  rondo_last_error_message());
    ck_assert(support_has_failed());
    return false;
}

static bool begin(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    options.allocator = &support_allocator;
    options.extended = true;
    if (!good(rondo_loop_new(&options, &loop)))
        return false;
    rondo_loop_set_exception_handler(loop, support_record, NULL);
    peer_pair(pair);
    peer_set_blocking(pair[0], false);
    return true;
}

static void end(void)
{
    ck_assert_int_eq(rondo_loop_free(loop), 0);
    peer_close(pair[0]);
    peer_close(pair[1]);
}

static void turns(int count)
{
    while (count-- > 0) {
        rondo_loop_stop(loop);
        good(rondo_loop_run_forever(loop));
    }
}

/* --- walks ------------------------------------------------------------------------------------------------ */

static int contexts;

static void on_ready(void *context)
{
    (void) context;
}

static void destroy(void *context)
{
    --*(int *) context;
}

/* A watch, or none: the context tells. */
static void add(rondo_socket sock, bool writer)
{
    rondo_call call = { sizeof call, on_ready, &contexts, destroy, "w", 0 };
    int rc = writer ? rondo_loop_add_writer_call(loop, sock, &call)
                    : rondo_loop_add_reader_call(loop, sock, &call);
    contexts += good(rc);
}

static void walk_watches(void)
{
    if (!begin())
        return;
    contexts = 0;
    add(pair[0], false);
    add(pair[0], true);
    turns(2);
    add(pair[0], false); /* in place of the first */
    int high = fcntl(pair[1], F_DUPFD_CLOEXEC, 700);
    ck_assert_int_ge(high, 0);
    add(high, true);
    turns(2);
    ck_assert_int_ge(rondo_loop_remove_writer(loop, high), 0);
    peer_close(high);
    net_conn conn = { 0 };
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = fcntl(pair[1], F_DUPFD_CLOEXEC, 300);
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    if (future && good(rondo_loop_run_until_complete(loop, future, NULL)))
        ck_assert_int_eq(rondo_loop_remove_reader(loop, options.sock), RONDO_EBUSY); /* memory or not */
    else if (!future)
        peer_close(options.sock);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(contexts, 0);
    net_conn_end(&conn);
    end();
}

/* An operation that is begun, or none. */
static void finish(rondo_future *future)
{
    if (future)
        good(rondo_loop_run_until_complete(loop, future, NULL));
    else
        good(rondo_last_error());
}

static void walk_operations(void)
{
    static char large[600000];
    if (!begin())
        return;
    rondo_future *future = rondo_sock_recv(loop, pair[0], 100);
    peer_send_text(pair[1], "abc");
    finish(future);
    peer_send_text(pair[1], "abc");
    finish(rondo_sock_recvfrom(loop, pair[0], 100));
    future = rondo_sock_sendall(loop, pair[0], large, sizeof large);
    turns(1);
    rondo_future_cancel(future);
    if (future)
        rondo_future_unref(future);
    else
        good(rondo_last_error());
    end();
}

static void walk_connections(void)
{
    if (!begin())
        return;
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    peer_set_blocking(listener, false);
    rondo_future *accepts = rondo_sock_accept(loop, listener);
    if (!accepts)
        good(rondo_last_error());
    rondo_socket client = peer_unconnected();
    peer_set_blocking(client, false);
    finish(rondo_sock_connect_host(loop, client, "127.0.0.1", port));
    turns(2);
    rondo_future_cancel(accepts);
    rondo_future_unref(accepts); /* with its connection, or without one */
    peer_close(client);
    peer_close(listener);
    end();
}

/* --- failing ------------------------------------------------------------------------------------------------ */

static void (*const walks[])(void) = { walk_watches, walk_operations, walk_connections };

static void fail_everywhere(void (*walk)(void), void (*plan)(size_t nth))
{
    size_t nth = 0, descriptors = peer_descriptors();
    do {
        ck_assert_uint_lt(nth, LONGEST_WALK);
        plan(++nth);
        walk();
        ck_assert_uint_eq(support_blocks(), 0);
        ck_assert_uint_eq(peer_descriptors(), descriptors);
        support_reports_clear();
        support_deadline(support_default_deadline());
    } while (support_has_failed());
    support_fail_nth(0);
    (void) support_reports();
    ck_assert_uint_gt(nth, 1);
}

START_TEST(test_one_failure)
{
    fail_everywhere(walks[_i], support_fail_nth);
}
END_TEST

START_TEST(test_all_later_failures)
{
    fail_everywhere(walks[_i], support_fail_from);
}
END_TEST

/* Without a future nothing was done: where a part was sent before the memory for waiting failed, there is one. */
START_TEST(test_null_is_nothing_done)
{
    static char large[600000], byte;
    size_t nth = 0;
    bool has_failed;
    do {
        ck_assert_uint_lt(nth, LONGEST_WALK);
        ck_assert(begin());
        int high = fcntl(pair[0], F_DUPFD_CLOEXEC, 700);
        ck_assert_int_ge(high, 0);
        support_fail_nth(++nth);
        rondo_future *future = rondo_sock_sendall(loop, high, large, sizeof large);
        has_failed = support_has_failed();
        support_fail_nth(0);
        if (!future)
            ck_assert_int_eq(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
        else if (has_failed)
            ck_assert_int_eq(rondo_future_result(future, NULL), RONDO_ENOMEM);
        rondo_future_cancel(future);
        rondo_future_unref(future);
        peer_close(high);
        end();
    } while (has_failed);
    ck_assert_uint_gt(nth, 2);
}
END_TEST

static void add_cases(Suite *suite)
{
    int count = (int) (sizeof walks / sizeof walks[0]);
    TCase *tcase = support_case(suite, "allocation failures");
    tcase_add_loop_test(tcase, test_one_failure, 0, count);
    tcase_add_loop_test(tcase, test_all_later_failures, 0, count);
    tcase_add_test(tcase, test_null_is_nothing_done);
}

int main(void)
{
    return support_main("fault in watches", add_cases);
}
