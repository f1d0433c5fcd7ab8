/* SPDX-License-Identifier: MIT */
/* Watches that are refused: of descriptors that are in use, that are none, that cannot be polled; by loops that cannot watch,
 * and on the wrong thread. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

static rondo_loop *loop;
static rondo_socket pair[2];

static void begin(void)
{
    loop = support_extended_loop();
    peer_pair(pair);
}

static void end(void)
{
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}

static void refused(rondo_socket sock, int code)
{
    watch_act act = { .name = "never", .sock = sock };
    ck_assert_int_eq(watch_add_reader(loop, &act), code);
    ck_assert_int_eq(rondo_last_error(), code);
    ck_assert_int_eq(watch_add_writer(loop, &act), code);
    ck_assert_int_eq(act.calls + act.destroyed, 0);
}

/* FDW-11 */
START_TEST(test_transports)
{
    begin();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_socket sock = rondo_transport_socket(conn.transport);
    refused(sock, RONDO_EBUSY);
    ck_assert_int_eq(rondo_err_class(RONDO_EBUSY), RONDO_CLASS_RUNTIME);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, sock), RONDO_EBUSY);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, sock), RONDO_EBUSY);
    rondo_transport_close(conn.transport);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, sock), 0); /* it is closing */
    watch_act act = { .name = "w", .sock = sock, .insists = true };
    ck_assert_int_eq(watch_add_writer(loop, &act), 0);
    run_until(loop, !peer_is_open(sock));
    ck_assert_int_eq(act.destroyed, 1); /* the watch went before the descriptor */
    ck_assert_int_eq(act.refusal, RONDO_EBADF);
    refused(sock, RONDO_EBADF);
    net_done(loop, &conn);
    trace_clear();
    peer_close(peer);
    end();
}
END_TEST

/* FDW-11: one made after the table of descriptors has seen its number, and one before. */
START_TEST(test_transports_come_and_go)
{
    begin();
    for (int i = 0; i < 3; i++) {
        net_conn conns[2] = { { 0 }, { 0 } };
        rondo_socket peers[2] = { net_open(loop, &conns[0]), net_open(loop, &conns[1]) };
        for (int c = 0; c < 2; c++)
            refused(rondo_transport_socket(conns[c].transport), RONDO_EBUSY);
        rondo_socket sock = rondo_transport_socket(conns[0].transport);
        net_done(loop, &conns[0]);
        ck_assert(!peer_is_open(sock));
        refused(sock, RONDO_EBADF);
        refused(rondo_transport_socket(conns[1].transport), RONDO_EBUSY);
        net_done(loop, &conns[1]);
        peer_close(peers[0]);
        peer_close(peers[1]);
    }
    end();
}
END_TEST

/* The socket of a server is used, too, on the side that accepts. */
START_TEST(test_servers)
{
    begin();
    net_conn conn = { 0 };
    rondo_server *server = net_serve(loop, net_factory, &conn, NULL);
    rondo_socket sock;
    ck_assert_uint_eq(rondo_server_sockets(server, &sock, 1), 1);
    watch_act act = { .name = "s", .sock = sock };
    support_run_passes(loop, 2);
    ck_assert_int_eq(watch_add_reader(loop, &act), RONDO_EBUSY);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, sock), 0);
    ck_assert_int_eq(watch_add_writer(loop, &act), 0);
    rondo_server_close(server);
    support_run_passes(loop, 3);
    ck_assert(!peer_is_open(sock));
    ck_assert_int_eq(act.destroyed, 1);
    trace_clear();
    net_conn_end(&conn);
    end();
}
END_TEST

/* FDW-12 */
START_TEST(test_closed_loop)
{
    begin();
    watch_act act = { .name = "r", .sock = pair[0] };
    watch_act queued = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    ck_assert_int_eq(watch_add_writer(loop, &queued), 0);
    support_run_passes(loop, 2);
    trace_clear();
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    trace_is("~r ~w"); /* the contexts are released, once, and uncalled */
    refused(pair[0], RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 0);
    ck_assert(peer_is_open(pair[0])); /* the descriptor is the program's */
    end();
}
END_TEST

/* FDW-13 */
START_TEST(test_not_pollable)
{
    begin();
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    refused(fileno(file), RONDO_EPERM);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "file"));
    fclose(file);
    int folder = open("/", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(folder, 0);
    refused(folder, RONDO_EPERM);
    close(folder);
    refused(folder, RONDO_EBADF);
    refused(RONDO_INVALID_SOCKET, RONDO_EBADF);
    refused(-7, RONDO_EBADF);
    refused(0x7fffffff, RONDO_EBADF);
    refused(99999, RONDO_EBADF);
    support_run_passes(loop, 1);
    trace_is("");
    end();
}
END_TEST

START_TEST(test_misuse)
{
    begin();
    rondo_call call = { .size = 0, .callback = watch_on_ready };
    ck_assert_int_eq(rondo_loop_add_reader(NULL, pair[0], watch_on_ready, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_add_writer(loop, pair[0], NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_add_reader_call(loop, pair[0], NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_add_writer_call(loop, pair[0], &call), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_remove_reader(NULL, pair[0]), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_remove_writer(NULL, pair[0]), RONDO_EINVAL);
    watch_act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &act), 0);
    ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(act.destroyed, 0); /* nothing has changed */
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

static void call_from_outside(void *context)
{
    watch_act act = { .name = "never", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &act), RONDO_ETHREAD);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), RONDO_ETHREAD);
    (void) context;
}

static void ask_a_thread(void *context)
{
    support_thread_join(support_thread_start(call_from_outside, context));
}

START_TEST(test_wrong_thread)
{
    begin();
    rondo_loop_set_debug(loop, true);
    rondo_loop_set_slow_callback_duration(loop, RONDO_S(60));
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, ask_a_thread, NULL), 0);
    support_run_passes(loop, 2);
    end();
}
END_TEST

/* FDW-15: as the page says, unless the loop is an extended one. */
START_TEST(test_proactor)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    loop = support_loop_with(&options);
    peer_pair(pair);
    bool can = !support_backend_is_proactor();
    ck_assert_int_eq((rondo_loop_capabilities(loop) & RONDO_CAN_WATCH_DESCRIPTORS) != 0, can);
    watch_act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(watch_add_reader(loop, &act), can ? 0 : RONDO_ENOTSUP);
    ck_assert_int_eq(watch_add_writer(loop, &act), can ? 0 : RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), can ? 1 : RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), can ? 1 : RONDO_ENOTSUP);
    ck_assert_int_eq(act.destroyed, can ? 2 : 0);
    trace_clear();
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "refused");
    tcase_add_test(tcase, test_transports);
    tcase_add_test(tcase, test_transports_come_and_go);
    tcase_add_test(tcase, test_servers);
    tcase_add_test(tcase, test_closed_loop);
    tcase_add_test(tcase, test_not_pollable);
    tcase_add_test(tcase, test_misuse);
    tcase_add_test(tcase, test_wrong_thread);
    tcase_add_test(tcase, test_proactor);
}

int main(void)
{
    return support_main("refused watches", add_cases);
}
