/* SPDX-License-Identifier: MIT */
/* The IOCP driver, second part: bytes, cancelling, closing. */
#include <stdlib.h>
#include <string.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include "iocp_probe.h"
#include "src/base/container.h"

/* --- bytes ---------------------------------------------------------------------------------------- */

START_TEST(bytes_arrive_in_order)
{
    enum { LENGTH = 3000000 };
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    unsigned char *data = counting(LENGTH);
    struct probe recv, send;
    start(&recv, RONDO_OP_RECV, pair[1]);
    size_t sent = 0;
    while (sent < LENGTH) {
        send_start(&send, pair[0], data + sent, LENGTH - sent);
        pass_until(send.endings == 1);
        ck_assert_int_gt((int) send.last, 0);
        sent += (size_t) send.last;
    }
    ck_assert_int_eq(rondo_socket_shutdown_write(pair[0]), 0);
    pass_until(recv.endings == 1);
    ck_assert_int_eq((int) recv.last, 0);
    ck_assert_uint_eq(recv.bytes, LENGTH);
    ck_assert(recv.in_order);
    pair_close(pair);
    free(data);
    driver_close();
}
END_TEST

static void *own_buffer(struct rondo_op *op, size_t *ret_length)
{
    struct probe *probe = rondo_container(op, struct probe, op);
    *ret_length = OWN_SIZE;
    if (!probe->refuses)
        return probe->own;
    driver->ops->pause(driver, op);
    return NULL;
}

START_TEST(owner_gives_the_buffer)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    unsigned char *data = counting(5000);
    struct probe recv;
    probe_init(&recv, RONDO_OP_RECV, pair[1]);
    recv.op.buffer = own_buffer;
    recv.refuses = true;
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), 0);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], data, 5000), 5000);
    pass_until(recv.op.paused);
    ck_assert_uint_eq(recv.completions, 0);
    recv.refuses = false;
    driver->ops->resume(driver, &recv.op);
    pass_until(recv.bytes == 5000);
    ck_assert_uint_ge(recv.completions, 5);
    ck_assert(recv.in_order);
    ck_assert_ptr_eq(recv.op.data, recv.own);
    cancel_and_see(&recv);
    pair_close(pair);
    free(data);
    driver_close();
}
END_TEST

START_TEST(pause_loses_nothing)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    unsigned char *data = counting(300);
    struct probe recv;
    start(&recv, RONDO_OP_RECV, pair[1]);
    driver->ops->pause(driver, &recv.op);
    driver->ops->pause(driver, &recv.op);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], data, 100), 100);
    pass(RONDO_MS(10));
    pass(0);
    ck_assert_uint_eq(recv.completions, 0);
    driver->ops->resume(driver, &recv.op);
    driver->ops->resume(driver, &recv.op);
    recv.pause_inside = true;
    pass_until(recv.bytes == 100);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], data + 100, 200), 200);
    ck_assert_int_eq(rondo_socket_shutdown_write(pair[0]), 0);
    pass(RONDO_MS(10));
    ck_assert_uint_eq(recv.bytes, 100);
    recv.pause_inside = false;
    driver->ops->resume(driver, &recv.op);
    pass_until(recv.endings == 1);
    ck_assert_uint_eq(recv.bytes, 300);
    ck_assert(recv.in_order);
    ck_assert_int_eq((int) recv.last, 0);
    pair_close(pair);
    free(data);
    driver_close();
}
END_TEST

START_TEST(reset_is_an_error)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    struct probe recv;
    start(&recv, RONDO_OP_RECV, pair[1]);
    pass(0);
    ck_assert_int_eq(rondo_socket_set_linger_reset(pair[0]), 0);
    driver->ops->close_socket(driver, pair[0]);
    pass_until(recv.endings == 1);
    ck_assert_int_eq((int) recv.last, RONDO_ECONNRESET);
    driver->ops->close_socket(driver, pair[1]);
    driver_close();
}
END_TEST

/* --- cancelling and closing ----------------------------------------------------------------------- */

START_TEST(every_kind_is_cancelled)
{
    enum { LENGTH = 32 << 20 }; /* more than the kernel buffers */
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    rondo_address address;
    pair_open(pair);
    rondo_socket listener = listen_somewhere(&address);
    unsigned char *data = counting(LENGTH);
    struct probe recv, send, connect;
    struct probe *accept = malloc(sizeof *accept);
    for (int passes = 0; passes < 3; passes++) {
        start(&recv, RONDO_OP_RECV, pair[0]);
        start(accept, RONDO_OP_ACCEPT, listener);
        rondo_socket sock = connector(&connect, &address);
        for (int i = 0; i < passes; i++)
            pass(RONDO_MS(2));
        cancel(&recv);
        cancel(accept);
        cancel(&connect);
        pass_until(recv.endings && accept->endings && connect.endings);
        ck_assert_int_eq((int) recv.last, RONDO_ECANCELLED);
        ck_assert_int_eq((int) accept->last, RONDO_ECANCELLED);
        ck_assert(connect.last == RONDO_ECANCELLED || (passes > 0 && connect.last == 0));
        for (unsigned i = 0; i + 1 < accept->completions; i++)
            driver->ops->close_socket(driver, accept->sockets[i]);
        driver->ops->close_socket(driver, sock);
    }
    send_start(&send, pair[0], data, LENGTH);
    for (int i = 0; i < 3; i++)
        pass(RONDO_MS(2));
    ck_assert_uint_eq(send.completions, 0); /* nobody reads */
    cancel_and_see(&send);
    start(&recv, RONDO_OP_RECV, pair[1]);
    driver->ops->pause(driver, &recv.op);
    pass(RONDO_MS(2));
    cancel_and_see(&recv); /* while it holds something back */
    ck_assert_uint_eq(recv.completions, 1);
    driver->ops->cancel(driver, &recv.op);
    ck_assert_int_eq(recv.op.state, RONDO_OP_IDLE);
    pair_close(pair);
    driver->ops->close_socket(driver, listener);
    free(accept);
    free(data);
    driver_close();
}
END_TEST

/* A socket closed right after its op was cancelled; the number is soon another's, whose op must not hear of
 * it. */
START_TEST(closing_leaves_nothing_behind)
{
    ck_assert_int_eq(driver_open(), 0);
    struct probe old, new;
    for (int turn = 0; turn < 200; turn++) {
        rondo_socket pair[2], again[2];
        pair_open(pair);
        start(&old, RONDO_OP_RECV, pair[1]);
        if (turn % 2)
            pass(0);
        cancel(&old);
        pair_close(pair);
        pair_open(again);
        start(&new, RONDO_OP_RECV, again[1]);
        ck_assert_int_eq((int) rondo_socket_send(again[0], "\0\1\2", 3), 3);
        pass_until(new.bytes == 3 && old.endings == 1);
        ck_assert_int_eq((int) old.last, RONDO_ECANCELLED);
        ck_assert_uint_eq(new.endings, 0);
        ck_assert(new.in_order);
        cancel(&new);
        pair_close(again);
        pass_until(new.endings == 1);
    }
    driver_close();
}
END_TEST

START_TEST(peer_sees_an_orderly_end)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    struct probe recv, other;
    start(&recv, RONDO_OP_RECV, pair[0]);
    start(&other, RONDO_OP_RECV, pair[1]);
    pass(0);
    cancel(&recv);
    driver->ops->close_socket(driver, pair[0]);
    pass_until(other.endings && recv.endings);
    ck_assert_int_eq((int) other.last, 0);
    driver->ops->close_socket(driver, pair[1]);
    driver_close();
}
END_TEST

void add_stream_cases(TCase *tcase)
{
    tcase_add_test(tcase, bytes_arrive_in_order);
    tcase_add_test(tcase, owner_gives_the_buffer);
    tcase_add_test(tcase, pause_loses_nothing);
    tcase_add_test(tcase, reset_is_an_error);
    tcase_add_test(tcase, every_kind_is_cancelled);
    tcase_add_test(tcase, closing_leaves_nothing_behind);
    tcase_add_test(tcase, peer_sees_an_orderly_end);
}
