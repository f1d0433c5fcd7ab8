/* SPDX-License-Identifier: MIT */
/* Low-level socket operations that are cancelled, or that the loop is closed over. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum { HUGE = 3000000 };

static rondo_loop *loop;
static rondo_socket pair[2]; /* the first is non-blocking */

static void begin(void)
{
    loop = support_loop();
    peer_pair(pair);
    peer_set_blocking(pair[0], false);
}

static void end(void)
{
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}

/* --- cancelling ------------------------------------------------------------------------------------------------- */

/* SOCK-09, SOCK-10, SOCK-14: the bytes go to the next one, and the memory is not touched any more. */
START_TEST(test_cancelled_receive)
{
    begin();
    for (int ready = 0; ready < 3; ready++) {
        char lent[8] = "before", bytes[8] = "";
        rondo_future *future = rondo_sock_recv_into(loop, pair[0], lent, sizeof lent);
        if (ready < 2)
            support_run_passes(loop, 2);
        if (ready >= 1)
            peer_send_text(pair[1], "data");
        ck_assert(rondo_future_cancel(future));
        ck_assert(rondo_future_cancelled(future));
        ck_assert_int_eq(net_outcome(future), RONDO_ECANCELLED);
        future = rondo_sock_recv_into(loop, pair[0], bytes, sizeof bytes);
        if (ready == 0)
            peer_send_text(pair[1], "data");
        run_until(loop, rondo_future_done(future));
        ck_assert_int_eq(net_outcome(future), 4);
        ck_assert_str_eq(bytes, "data");
        support_run_passes(loop, 3);
        ck_assert_str_eq(lent, "before");
    }
    end();
}
END_TEST

static void cancel_future(void *future)
{
    ck_assert(rondo_future_cancel(future));
}

/* SOCK-09: the data is there and its turn is due, and before that it is cancelled. */
START_TEST(test_cancelled_while_queued)
{
    begin();
    rondo_future *future = rondo_sock_recv(loop, pair[0], 10);
    support_run_passes(loop, 2);
    peer_send_text(pair[1], "data");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, cancel_future, future), 0);
    support_run_passes(loop, 3);
    ck_assert_int_eq(net_outcome(future), RONDO_ECANCELLED);
    future = rondo_sock_recv(loop, pair[0], 10);
    ck_assert_int_eq(net_outcome(future), 0); /* nothing was lost */
    end();
}
END_TEST

/* What was sent is a beginning of it, and the next one goes behind. */
START_TEST(test_cancelled_send)
{
    begin();
    char *data = malloc(HUGE);
    pattern_fill(data, HUGE, 0);
    rondo_future *future = rondo_sock_sendall(loop, pair[0], data, HUGE);
    support_run_passes(loop, 2);
    ck_assert(rondo_future_cancel(future));
    ck_assert_int_eq(net_outcome(future), RONDO_ECANCELLED);
    memset(data, 'x', HUGE); /* SOCK-14: it is ours again */
    peer_sink sink = { .sock = pair[1] };
    size_t sent = peer_drain(&sink);
    ck_assert(!sink.corrupt);
    ck_assert_uint_lt(sent, HUGE);
    support_run_passes(loop, 3);
    peer_expect_nothing(pair[1]); /* nothing more went out */
    ck_assert_int_eq(net_outcome(rondo_sock_sendall(loop, pair[0], "next", 4)), 0);
    peer_expect(pair[1], "next");
    free(data);
    end();
}
END_TEST

static int receive_patiently(void *context)
{
    (void) context;
    trace("begin");
    int rc = rondo_await(rondo_sock_recv(loop, pair[0], 10), NULL);
    trace("%s", rc == RONDO_ECANCELLED ? "cancelled" : "otherwise");
    if (rc == RONDO_ECANCELLED) /* again, right away */
        rc = net_expect_received(rondo_sock_recv(loop, pair[0], 10), "data");
    trace("end");
    return rc;
}

START_TEST(test_cancelled_task)
{
    begin();
    rondo_task *task = rondo_create_task(loop, receive_patiently, NULL);
    support_run_passes(loop, 2);
    ck_assert(rondo_future_cancel(task));
    peer_send_text(pair[1], "data");
    run_until(loop, rondo_future_done(task));
    ck_assert_int_eq(net_outcome(task), 0);
    trace_is("begin cancelled end");
    end();
}
END_TEST

/* --- closing the loop -------------------------------------------------------------------------------------------- */

START_TEST(test_closed_loop)
{
    begin();
    char *data = calloc(1, HUGE);
    rondo_future *receives = rondo_sock_recv(loop, pair[0], 10);
    rondo_future *sends = rondo_sock_sendall(loop, pair[0], data, HUGE);
    support_run_passes(loop, 1);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(net_outcome(receives), RONDO_ECANCELLED);
    ck_assert_int_eq(net_outcome(sends), RONDO_ECANCELLED);
    net_refused(rondo_sock_recv(loop, pair[0], 10), RONDO_ECLOSED);
    net_refused(rondo_sock_connect_host(loop, pair[0], "localhost", 1), RONDO_ECLOSED);
    ck_assert(peer_is_open(pair[0]));
    free(data);
    end();
}
END_TEST

static int wait_for_ever(void *context)
{
    (void) context;
    return rondo_await(rondo_sock_recv(loop, pair[0], 10), NULL);
}

START_TEST(test_closed_over_a_task)
{
    begin();
    rondo_task *task = rondo_create_task(loop, wait_for_ever, NULL);
    support_run_passes(loop, 2);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(net_outcome(task), RONDO_ECANCELLED);
    ck_assert_uint_eq(support_reports(), 1); /* destroyed while it was pending */
    support_reports_clear();
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "cancelling");
    tcase_add_test(tcase, test_cancelled_receive);
    tcase_add_test(tcase, test_cancelled_while_queued);
    tcase_add_test(tcase, test_cancelled_send);
    tcase_add_test(tcase, test_cancelled_task);
    tcase = support_case(suite, "closing");
    tcase_add_test(tcase, test_closed_loop);
    tcase_add_test(tcase, test_closed_over_a_task);
}

int main(void)
{
    return support_main("cancelled sock operations", add_cases);
}
