/* SPDX-License-Identifier: MIT */
/* backends/iocp*.c alone: a loop of a few lines stands in for the core, so that what the driver promises at
 * its seam is seen without anything above it. Windows only. */
#include <stdlib.h>
#include <string.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include "iocp_probe.h"

/* --- waiting and waking --------------------------------------------------------------------------- */

START_TEST(wait_is_never_early)
{
    ck_assert_int_eq(driver_open(), 0);
    static const rondo_ns spans[] = { 1, RONDO_US(300), RONDO_MS(1), RONDO_US(3500), RONDO_MS(21) };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        rondo_ns began = support_now();
        pass(spans[i]);
        ck_assert_int_ge(support_now() - began, spans[i]);
    }
    pass(0);
    driver_close();
}
END_TEST

static void wake_often(void *context)
{
    (void) context;
    for (int i = 0; i < 1000; i++)
        driver->ops->wake(driver);
}

START_TEST(wakes_are_coalesced)
{
    ck_assert_int_eq(driver_open(), 0);
    for (int turn = 0; turn < 20; turn++) {
        support_thread *threads[2];
        for (int i = 0; i < 2; i++)
            threads[i] = support_thread_start(wake_often, NULL);
        pass(-1);
        for (int i = 0; i < 2; i++)
            support_thread_join(threads[i]);
        pass(0); /* one wake may have come after the wait: no more than that */
        rondo_ns began = support_now();
        pass(RONDO_MS(5));
        ck_assert_int_ge(support_now() - began, RONDO_MS(5));
    }
    driver->ops->wake(driver);
    pass(-1); /* a wake that comes before the wait ends it */
    driver_close();
}
END_TEST

/* --- connections ---------------------------------------------------------------------------------- */

START_TEST(connections_are_made)
{
    enum { COUNT = 20 };
    ck_assert_int_eq(driver_open(), 0);
    rondo_address address;
    rondo_socket listener = listen_somewhere(&address);
    struct probe *accept = malloc(sizeof *accept), *connects = calloc(COUNT, sizeof *connects);
    start(accept, RONDO_OP_ACCEPT, listener);
    rondo_socket sockets[COUNT];
    for (int i = 0; i < COUNT; i++)
        sockets[i] = connector(&connects[i], &address);
    pass_until(accept->completions == COUNT);
    for (int i = 0; i < COUNT; i++)
        pass_until(connects[i].endings == 1);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq((int) connects[i].last, 0);
        rondo_address name, peer, told;
        ck_assert_int_eq(rondo_socket_peer(sockets[i], &peer), 0); /* the context was updated */
        ck_assert_int_eq(rondo_socket_name(accept->sockets[i], &name), 0);
        ck_assert_int_eq(rondo_socket_peer(accept->sockets[i], &told), 0);
        ck_assert_int_eq(memcmp(&name, &peer, sizeof name), 0);
        ck_assert_uint_eq(told.length, accept->peers[i].length);
        ck_assert_int_eq(memcmp(told.storage.bytes, accept->peers[i].storage.bytes, 8), 0);
        char byte;
        ck_assert_int_eq((int) rondo_socket_recv(accept->sockets[i], &byte, 1), RONDO_EAGAIN);
        ck_assert_int_eq(rondo_socket_shutdown_write(sockets[i]), 0);
    }
    cancel_and_see(accept);
    ck_assert_uint_eq(accept->completions, COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        driver->ops->close_socket(driver, sockets[i]);
        driver->ops->close_socket(driver, accept->sockets[i]);
    }
    driver->ops->close_socket(driver, listener);
    free(accept);
    free(connects);
    driver_close();
}
END_TEST

START_TEST(connect_is_refused)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_address address;
    rondo_socket listener = listen_somewhere(&address);
    rondo_socket_close(listener);
    struct probe connect;
    rondo_socket sock = connector(&connect, &address);
    pass_until(connect.endings == 1);
    ck_assert_int_eq((int) connect.last, RONDO_ECONNREFUSED);
    driver->ops->close_socket(driver, sock);
    driver_close();
}
END_TEST

START_TEST(accept_ends_itself)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_address address;
    rondo_socket listener = listen_somewhere(&address);
    struct probe accept, connects[3];
    start(&accept, RONDO_OP_ACCEPT, listener);
    accept.cancel_inside = true;
    rondo_socket sockets[3];
    for (int i = 0; i < 3; i++)
        sockets[i] = connector(&connects[i], &address);
    pass_until(accept.endings == 1);
    ck_assert_uint_eq(accept.completions, 2); /* the one that cancelled, and the end: the rest is closed */
    ck_assert_int_eq((int) accept.last, RONDO_ECANCELLED);
    for (int i = 0; i < 3; i++) {
        pass_until(connects[i].endings == 1);
        driver->ops->close_socket(driver, sockets[i]);
    }
    start(&accept, RONDO_OP_ACCEPT, listener); /* and can begin again */
    sockets[0] = connector(&connects[0], &address);
    pass_until(accept.completions > 0);
    cancel_and_see(&accept);
    pass_until(connects[0].endings == 1);
    driver->ops->close_socket(driver, sockets[0]);
    driver->ops->close_socket(driver, listener);
    driver_close();
}
END_TEST

/* --- misuse and shortage -------------------------------------------------------------------------- */

START_TEST(bad_sockets_are_refused)
{
    ck_assert_int_eq(driver_open(), 0);
    struct rondo_driver *first = driver;
    rondo_socket pair[2];
    pair_open(pair);
    struct probe recv;
    start(&recv, RONDO_OP_RECV, pair[0]);
    cancel_and_see(&recv);
    ck_assert_int_eq(driver_open(), 0); /* a second loop: the socket is the first one's */
    probe_init(&recv, RONDO_OP_RECV, pair[0]);
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), RONDO_EBUSY);
    ck_assert_int_eq(recv.op.state, RONDO_OP_IDLE);
    recv.op.socket = RONDO_INVALID_SOCKET;
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), RONDO_EBADF);
    recv.op.socket = (rondo_socket) 0x7ffffff0;
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), RONDO_ENOTSOCK);
    driver_close();
    driver = first;
    core.driver = first;
    rondo_address address = { .length = 2 };
    struct probe connect;
    probe_init(&connect, RONDO_OP_CONNECT, pair[1]);
    connect.op.address = &address;
    ck_assert_int_eq(driver->ops->submit(driver, &connect.op), RONDO_EAFNOSUPPORT);
    pair_close(pair);
    driver_close();
}
END_TEST

START_TEST(out_of_memory_changes_nothing)
{
    rondo_address address;
    rondo_socket pair[2];
    pair_open(pair);
    rondo_socket listener = listen_somewhere(&address);
    for (size_t nth = 1;; nth++) {
        support_fail_nth(nth);
        size_t blocks = support_blocks();
        int code = driver_open();
        struct probe recv, accept;
        probe_init(&recv, RONDO_OP_RECV, pair[0]);
        probe_init(&accept, RONDO_OP_ACCEPT, listener);
        if (code == 0 && (code = driver->ops->submit(driver, &recv.op)) == 0)
            code = driver->ops->submit(driver, &accept.op);
        if (!support_has_failed()) {
            ck_assert_int_eq(code, 0);
            cancel_and_see(&accept);
            cancel_and_see(&recv);
            pair_close(pair);
            driver->ops->close_socket(driver, listener);
            driver_close();
            break;
        }
        ck_assert(code == RONDO_ENOMEM || code == 0);
        support_fail_nth(0);
        if (driver) {
            if (rondo_op_is_active(&recv.op))
                cancel_and_see(&recv);
            if (rondo_op_is_active(&accept.op))
                cancel_and_see(&accept);
            pair_close(pair);
            driver->ops->close_socket(driver, listener);
            pair_open(pair);
            listener = listen_somewhere(&address);
            driver_close();
        }
        ck_assert_uint_eq(support_blocks(), blocks);
    }
    support_fail_nth(0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "iocp");
    tcase_add_test(tcase, wait_is_never_early);
    tcase_add_test(tcase, wakes_are_coalesced);
    tcase_add_test(tcase, connections_are_made);
    tcase_add_test(tcase, connect_is_refused);
    tcase_add_test(tcase, accept_ends_itself);
    tcase_add_test(tcase, bad_sockets_are_refused);
    tcase_add_test(tcase, out_of_memory_changes_nothing);
    add_stream_cases(tcase);
}

int main(void)
{
    return support_main_once("iocp driver", add_cases);
}
