/* SPDX-License-Identifier: MIT */
/* Low-level socket operations: receiving and sending, at once or later, and one for each side. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

/* --- receiving -------------------------------------------------------------------------------------------- */

/* SOCK-08: what is there is given without giving way; SOCK-01: at most so much, and nothing at the end. */
static int receive_at_once(void *context)
{
    (void) context;
    peer_send_text(pair[1], "hello world");
    peer_shutdown(pair[1]);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "pass"), 0);
    ck_assert_int_eq(net_expect_received(rondo_sock_recv(loop, pair[0], 5), "hello"), 0);
    ck_assert_int_eq(net_expect_received(rondo_sock_recv(loop, pair[0], SIZE_MAX / 4), " world"), 0);
    ck_assert_int_eq(net_expect_received(rondo_sock_recv(loop, pair[0], 100), ""), 0);
    char bytes[4];
    ck_assert_int_eq(rondo_await(rondo_sock_recv_into(loop, pair[0], bytes, sizeof bytes), NULL), 0);
    trace_is("");
    return 0;
}

START_TEST(test_receives_at_once)
{
    begin();
    net_in_a_task(loop, receive_at_once, NULL);
    trace_clear();
    end();
}
END_TEST

static void say(void *text)
{
    trace("say");
    peer_send_text(pair[1], text);
}

static int receive_later(void *context)
{
    (void) context;
    char bytes[8] = "";
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, say, "one"), 0);
    ck_assert_int_eq(net_expect_received(rondo_sock_recv(loop, pair[0], 100), "one"), 0);
    trace("got");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, say, "two"), 0);
    ck_assert_int_eq(rondo_await(rondo_sock_recv_into(loop, pair[0], bytes, sizeof bytes), NULL), 3);
    ck_assert_str_eq(bytes, "two");
    trace("got");
    return 0;
}

START_TEST(test_receives_later)
{
    begin();
    net_in_a_task(loop, receive_later, NULL);
    trace_is("say got say got");
    end();
}
END_TEST

/* Outside of tasks; dropped while it waits; a value that nobody takes. */
START_TEST(test_receives_without_a_task)
{
    begin();
    rondo_future *future = rondo_sock_recv(loop, pair[0], 10);
    ck_assert_ptr_nonnull(future);
    ck_assert(!rondo_future_done(future));
    peer_send_text(pair[1], "abc");
    run_until(loop, rondo_future_done(future));
    void *value;
    ck_assert_int_eq(rondo_future_result(future, &value), 0);
    ck_assert_uint_eq(((rondo_received *) value)->length, 3);
    ck_assert_uint_eq(((rondo_received *) value)->sender.length, 0);
    rondo_future_unref(future);
    rondo_future_unref(rondo_sock_recv(loop, pair[0], 10)); /* nobody will know */
    peer_send_text(pair[1], "abc");
    support_run_passes(loop, 4);
    peer_send_text(pair[1], "def");
    future = rondo_sock_recv(loop, pair[0], 10);
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(rondo_future_take(future, &value), 0);
    rondo_future_unref(future);
    ck_assert_int_eq(memcmp(((rondo_received *) value)->data, "def", 3), 0);
    end();
    rondo_received_free(value); /* it may outlive the loop */
    rondo_received_free(NULL);
}
END_TEST

static rondo_socket datagrams(rondo_address *ret_name)
{
    rondo_socket sock = peer_datagram();
    peer_set_blocking(sock, false);
    rondo_address any;
    ck_assert_int_eq(rondo_address_from_numeric(&any, "127.0.0.1", 0), 0);
    ck_assert_int_eq(bind(sock, rondo_address_sockaddr(&any), any.length), 0);
    ck_assert_int_eq(rondo_address_from_numeric(ret_name, "127.0.0.1", peer_port(sock)), 0);
    return sock;
}

static int exchange_datagrams(void *context)
{
    (void) context;
    rondo_address names[2], sender = { 0 };
    rondo_socket socks[2] = { datagrams(&names[0]), datagrams(&names[1]) };
    char bytes[16] = "";
    rondo_future *waits = rondo_sock_recvfrom(loop, socks[1], 100);
    ck_assert(!rondo_future_done(waits));
    ck_assert_int_eq(rondo_await(rondo_sock_sendto(loop, socks[0], "one", 3, &names[1]), NULL), 3);
    ck_assert_int_eq(rondo_await(rondo_sock_sendto(loop, socks[0], "", 0, &names[1]), NULL), 0);
    ck_assert_int_eq(rondo_await(rondo_sock_sendto(loop, socks[0], "three", 5, &names[1]), NULL), 5);
    rondo_received *received;
    ck_assert_int_eq(rondo_await_received(waits, &received), 0);
    ck_assert_uint_eq(received->length, 3);
    ck_assert_int_eq(rondo_address_port(&received->sender), rondo_address_port(&names[0]));
    rondo_received_free(received);
    ck_assert_int_eq(net_expect_received(rondo_sock_recvfrom(loop, socks[1], 100), ""), 0);
    ck_assert_int_eq(
        rondo_await(rondo_sock_recvfrom_into(loop, socks[1], bytes, sizeof bytes, &sender), NULL), 5);
    ck_assert_str_eq(bytes, "three");
    ck_assert_int_eq(rondo_address_port(&sender), rondo_address_port(&names[0]));
    ck_assert_int_eq(rondo_await(rondo_sock_connect(loop, socks[0], &names[1]), NULL), 0);
    ck_assert_int_eq(rondo_await(rondo_sock_sendto(loop, socks[0], "four", 4, NULL), NULL), 4);
    ck_assert_int_eq(net_expect_received(rondo_sock_recvfrom(loop, socks[1], 2), "fo"),
                     0); /* the rest is lost */
    static char large[100000];
    ck_assert_int_eq(rondo_await(rondo_sock_sendto(loop, socks[0], large, sizeof large, NULL), NULL),
                     RONDO_EMSGSIZE);
    peer_close(socks[1]);
    rondo_await(rondo_sock_sendto(loop, socks[0], "x", 1, NULL), NULL);
    ck_assert_int_eq(rondo_await(rondo_sock_recvfrom(loop, socks[0], 10), NULL), RONDO_ECONNREFUSED);
    peer_close(socks[0]);
    return 0;
}

START_TEST(test_datagrams)
{
    begin();
    net_in_a_task(loop, exchange_datagrams, NULL);
    end();
}
END_TEST

/* --- sending ------------------------------------------------------------------------------------------------ */

static int send_at_once(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "pass"), 0);
    ck_assert_int_eq(rondo_await(rondo_sock_sendall(loop, pair[0], "hello", 5), NULL), 0);
    ck_assert_int_eq(rondo_await(rondo_sock_sendall(loop, pair[0], NULL, 0), NULL), 0); /* SOCK-02 */
    trace_is("");                                                                       /* SOCK-08 */
    peer_expect(pair[1], "hello");
    peer_expect_nothing(pair[1]);
    return 0;
}

START_TEST(test_sends_at_once)
{
    begin();
    net_in_a_task(loop, send_at_once, NULL);
    trace_clear();
    end();
}
END_TEST

/* SOCK-02: all of it, in order, however little the peer takes at a time. */
START_TEST(test_sends_all)
{
    begin();
    peer_set_send_buffer(pair[0], 8192);
    char *data = malloc(HUGE);
    pattern_fill(data, HUGE, 0);
    rondo_future *future = rondo_sock_sendall(loop, pair[0], data, HUGE);
    ck_assert(!rondo_future_done(future));
    peer_sink sink = { .sock = pair[1] };
    run_until(loop, peer_drain(&sink) == HUGE && rondo_future_done(future));
    ck_assert(!sink.corrupt);
    ck_assert_int_eq(net_outcome(future), 0);
    free(data);
    end();
}
END_TEST

/* SOCK-02: an error in the middle. */
START_TEST(test_send_fails)
{
    begin();
    char *data = calloc(1, HUGE);
    rondo_future *future = rondo_sock_sendall(loop, pair[0], data, HUGE);
    support_run_passes(loop, 2);
    ck_assert(!rondo_future_done(future));
    peer_close(pair[1]);
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(net_outcome(future), RONDO_EPIPE);
    ck_assert_int_eq(net_outcome(rondo_sock_sendall(loop, pair[0], "x", 1)), RONDO_EPIPE);
    pair[1] = peer_unconnected();
    peer_set_blocking(pair[1], false);
    int rc = net_outcome(rondo_sock_sendall(loop, pair[1], "x", 1)); /* it must be connected */
    ck_assert(rc == RONDO_EPIPE || rc == RONDO_ENOTCONN);
    free(data);
    end();
}
END_TEST

/* --- blocking sockets ----------------------------------------------------------------------------------------- */

/* SOCK-06, SOCK-07: in debug mode (1) or not (0) */
START_TEST(test_blocking_socket)
{
    begin();
    rondo_loop_set_debug(loop, _i == 1);
    rondo_loop_set_slow_callback_duration(loop, RONDO_S(60));
    peer_set_blocking(pair[0], true);
    char bytes[8] = "";
    if (!support_backend_is_proactor()) {
        net_refused(rondo_sock_recv(loop, pair[0], 10), RONDO_EINVAL);
        ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "non-blocking"));
        ck_assert_int_eq(rondo_err_class(RONDO_EINVAL), RONDO_CLASS_VALUE);
        net_refused(rondo_sock_recv_into(loop, pair[0], bytes, 1), RONDO_EINVAL);
        net_refused(rondo_sock_sendall(loop, pair[0], "x", 1), RONDO_EINVAL);
        net_refused(rondo_sock_sendto(loop, pair[0], "x", 1, NULL), RONDO_EINVAL);
        net_refused(rondo_sock_accept(loop, pair[0]), RONDO_EINVAL);
        net_refused(rondo_sock_connect_host(loop, pair[0], "localhost", 1), RONDO_EINVAL);
        peer_expect_nothing(pair[1]);
        end();
        return;
    }
    rondo_future *future = rondo_sock_recv_into(loop, pair[0], bytes, sizeof bytes);
    support_run_passes(loop, 3); /* which do not stand still */
    peer_send_text(pair[1], "abc");
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(net_outcome(future), 3);
    char *data = malloc(HUGE);
    pattern_fill(data, HUGE, 0);
    future = rondo_sock_sendall(loop, pair[0], data, HUGE);
    peer_sink sink = { .sock = pair[1] };
    run_until(loop, peer_drain(&sink) == HUGE && rondo_future_done(future));
    ck_assert(!sink.corrupt);
    ck_assert_int_eq(net_outcome(future), 0);
    ck_assert(!peer_is_nonblocking(pair[0])); /* it is left as it was */
    free(data);
    end();
}
END_TEST

/* --- one for each side -------------------------------------------------------------------------------------------- */

/* SOCK-12 */
START_TEST(test_replaced)
{
    begin();
    char bytes[8] = "";
    rondo_future *first = rondo_sock_recv(loop, pair[0], 10);
    rondo_future *second = rondo_sock_recv_into(loop, pair[0], bytes, sizeof bytes);
    ck_assert_int_eq(net_outcome(first), RONDO_EBUSY);
    ck_assert(!rondo_future_done(second));
    peer_send_text(pair[1], "abc");
    run_until(loop, rondo_future_done(second));
    ck_assert_int_eq(net_outcome(second), 3);
    ck_assert_str_eq(bytes, "abc");
    end();
}
END_TEST

/* Sending and receiving do not stand in each other's way. */
START_TEST(test_both_sides)
{
    begin();
    char *data = calloc(1, HUGE);
    rondo_future *receives = rondo_sock_recv(loop, pair[0], 10);
    rondo_future *sends = rondo_sock_sendall(loop, pair[0], data, HUGE);
    peer_send_text(pair[1], "abc");
    run_until(loop, rondo_future_done(receives));
    ck_assert(!rondo_future_done(sends));
    ck_assert_int_eq(net_outcome(receives), 0);
    peer_sink sink = { .sock = pair[1] };
    run_until(loop, peer_drain(&sink) == HUGE && rondo_future_done(sends));
    ck_assert_int_eq(net_outcome(sends), 0);
    free(data);
    end();
}
END_TEST

static void on_ready(void *context)
{
    trace("%s", (const char *) context);
    rondo_loop_remove_reader(loop, pair[0]);
}

/* A reader and a receive take each other's place. */
START_TEST(test_readers)
{
    loop = support_extended_loop();
    peer_pair(pair);
    peer_set_blocking(pair[0], false);
    rondo_future *future = rondo_sock_recv(loop, pair[0], 10);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0); /* it is no reader */
    ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], on_ready, "r"), 0);
    ck_assert_int_eq(net_outcome(future), RONDO_EBUSY);
    future = rondo_sock_recv(loop, pair[0], 10);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0);
    peer_send_text(pair[1], "abc");
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(net_outcome(future), 0);
    trace_is("");
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "receiving");
    tcase_add_test(tcase, test_receives_at_once);
    tcase_add_test(tcase, test_receives_later);
    tcase_add_test(tcase, test_receives_without_a_task);
    tcase_add_test(tcase, test_datagrams);
    tcase = support_case(suite, "sending");
    tcase_add_test(tcase, test_sends_at_once);
    tcase_add_test(tcase, test_sends_all);
    tcase_add_test(tcase, test_send_fails);
    tcase = support_case(suite, "blocking sockets");
    tcase_add_loop_test(tcase, test_blocking_socket, 0, 2);
    tcase = support_case(suite, "one for each side");
    tcase_add_test(tcase, test_replaced);
    tcase_add_test(tcase, test_both_sides);
    tcase_add_test(tcase, test_readers);
}

int main(void)
{
    return support_main("sock", add_cases);
}
