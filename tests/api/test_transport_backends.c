/* SPDX-License-Identifier: MIT */
/* What a selector and a proactor have to provide, as far as it shows through transports. Most of it holds for
 * both families and is tested on both. */
#define _POSIX_C_SOURCE 200809L
#include "peer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- order ---------------------------------------------------------------------------------- */

START_TEST(test_order_in_a_pass)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    trace_clear();
    peer_send_text(peer, "data");
    rondo_loop_call_later(loop, 0, NULL, trace_word, "timer");
    rondo_loop_call_soon(loop, NULL, trace_word, "older");
    support_pause(RONDO_MS(1));
    support_run_passes(loop, 1);
    /* PRX-01: after older calls, before timers */
    trace_is("older c.data:4 timer");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_nothing_inside_calls)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "127.0.0.1";
    options.port = port;
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    /* PRX-02: what may be done at submission still comes through the queue */
    ck_assert(!rondo_future_done(future));
    trace_is("");
    run_until(loop, rondo_future_done(future));
    trace_is("c.made");
    rondo_future_unref(future);
    rondo_socket peer = peer_accept(listener);
    peer_send_text(peer, "there already");
    rondo_transport_pause_reading(conn.transport);
    rondo_transport_resume_reading(conn.transport);
    rondo_transport_write(conn.transport, "out", 3);
    rondo_transport_write_eof(conn.transport);
    trace_is("");
    run_until(loop, conn.received == 13);
    peer_close(listener);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- waiting -------------------------------------------------------------------------------- */

static void stop(void *loop)
{
    rondo_loop_stop(loop);
}

START_TEST(test_wait_for_a_timer)
{
    rondo_loop *loop = support_loop();
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    rondo_ns begun = rondo_loop_time(loop);
    rondo_loop_call_later(loop, RONDO_US(5300), NULL, stop, loop);
    support_run(loop);
    /* SEL-02, PRX-09: with nothing to watch; rounded up, so that no timer is early and no pass spins */
    ck_assert_int_ge(rondo_loop_time(loop) - begun, RONDO_US(5300));
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &metrics), 0);
    ck_assert_uint_le(metrics.passes, 10);
    support_loop_end(loop);
}
END_TEST

/* A peer that has ended its own half and does not read: nothing turns until there is room. */
START_TEST(test_wait_for_room)
{
    static unsigned char bytes[8 << 20];
    rondo_loop *loop = support_loop();
    net_conn conn = { .keep_open = true };
    rondo_socket peer = _i ? net_open_tcp(loop, &conn) : net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    pattern_fill(bytes, sizeof bytes, 0);
    peer_shutdown(peer);
    run_until(loop, conn.eofs == 1);
    for (size_t i = 0; i < 8; i++) /* more than one piece is left */
        ck_assert_int_eq(rondo_transport_write(conn.transport, bytes + i * (1 << 20), 1 << 20), 0);
    support_run_passes(loop, 20);
    uint64_t before = support_passes(loop);
    rondo_loop_call_later(loop, RONDO_MS(20), NULL, stop, loop);
    support_run(loop);
    ck_assert_uint_le(support_passes(loop) - before, 10);
    run_until(loop, peer_drain(&sink) == sizeof bytes);
    ck_assert(!sink.corrupt);
    /* and once more, to be given up */
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(rondo_transport_write(conn.transport, bytes, 1 << 20), 0);
    support_run_passes(loop, 20);
    rondo_transport_abort(conn.transport);
    run_until(loop, conn.losts == 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void) number;
    alarms = alarms + 1;
}

static void signal_myself(void *thread)
{
    (void) thread;
    support_pause(RONDO_MS(5));
    kill(getpid(), SIGUSR1);
}

START_TEST(test_interrupted)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    alarms = 0;
    struct sigaction action = { .sa_handler = on_alarm }, before;
    rondo_socket peer = net_open(loop, &conn);
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, &before);
    support_thread *thread = support_thread_start(signal_myself, NULL);
    rondo_ns begun = rondo_loop_time(loop);
    rondo_loop_call_later(loop, RONDO_MS(30), NULL, stop, loop);
    support_run(loop);
    support_thread_join(thread);
    /* SEL-03: an interrupted wait is an empty result, and the time it still has to wait is not lost */
    ck_assert_int_eq(alarms, 1);
    ck_assert_int_ge(rondo_loop_time(loop) - begun, RONDO_MS(30));
    ck_assert_int_eq(conn.losts, 0);
    sigaction(SIGUSR1, &before, NULL);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

static size_t total_received(const net_conn *conns, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += conns[i].received;
    return total;
}

START_TEST(test_all_ready_in_one_wait)
{
    enum { MANY = 300 };
    rondo_loop *loop = support_loop();
    static net_conn conns[MANY];
    rondo_socket peers[MANY];
    memset(conns, 0, sizeof conns);
    for (int i = 0; i < MANY; i++)
        peers[i] = net_open(loop, &conns[i]);
    support_run_passes(loop, 3);
    unsigned passes = 0;
    for (size_t round = 1; round <= 2; round++) {
        for (int i = 0; i < MANY; i++)
            peer_send_text(peers[i], "x");
        for (passes = 0; total_received(conns, MANY) < MANY * round; passes++) {
            ck_assert_uint_lt(passes, MANY);
            support_run_passes(loop, 1);
        }
    }
    /* SEL-04: one wait tells all that is ready; the array has grown when it was too small the first time.
     * PRX-09: what is complete is taken. But an io_uring's kernel completes 20 operations in a wait, not one less. */
    ck_assert_uint_le(passes, support_backend_is_proactor() ? 1 + MANY / 20 : 1);
    for (int i = 0; i < MANY; i++) {
        peer_close(peers[i]);
        net_done(loop, &conns[i]);
    }
    support_loop_end(loop);
}
END_TEST

static void wake(void *loop)
{
    rondo_loop_call_soon_threadsafe(loop, NULL, stop, loop);
}

START_TEST(test_restarts)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    /* PRX-08: the wake-up channel works over runs, and a restart says nothing */
    for (int i = 0; i < 20; i++) {
        support_thread *thread = support_thread_start(wake, loop);
        support_run(loop);
        support_thread_join(thread);
        peer_send_text(peer, "x");
        run_until(loop, conn.received == (size_t) i + 1);
    }
    ck_assert_uint_eq(support_reports(), 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_selector_by_name)
{
    rondo_backend_info infos[16];
    size_t count = rondo_backend_probe(infos, 16);
    ck_assert_uint_le(count, 16);
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = RONDO_BACKEND_SELECTOR;
    rondo_loop *loop = support_loop_with(&options);
    /* SEL-05: the best selector is one that could be opened here */
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        if (!infos[i].available || infos[i].is_proactor)
            continue;
        ck_assert_int_eq(rondo_loop_backend(loop), infos[i].backend);
        found = true;
    }
    ck_assert(found);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_closed_behind_our_back)
{
    if (support_backend_is_proactor())
        return;
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    peer_close(rondo_transport_socket(conn.transport));
    /* SEL-01: taking a descriptor off that somebody has closed is no error */
    rondo_transport_pause_reading(conn.transport);
    support_run_passes(loop, 3);
    rondo_transport_abort(conn.transport);
    run_until(loop, conn.losts == 1);
    ck_assert_uint_eq(support_reports(), 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- buffers in flight ---------------------------------------------------------------------- */

static rondo_socket feeding_peer;

static void feed_inside(net_conn *conn, const void *data, size_t length)
{
    unsigned char before[64], more[64];
    size_t kept = length < sizeof before ? length : sizeof before;
    memcpy(before, data, kept);
    if (conn->received < 2000) {
        memset(more, 0xee, sizeof more);
        peer_send_now(feeding_peer, more, sizeof more);
    }
    rondo_transport_write(conn->transport, data, length);
    rondo_transport_pause_reading(conn->transport);
    rondo_transport_resume_reading(conn->transport);
    /* PRX-06: what is lent stays as it is until the callback returns */
    ck_assert_mem_eq(before, data, kept);
}

START_TEST(test_lent_buffer)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .on_data = feed_inside };
    rondo_socket peer = net_open(loop, &conn);
    feeding_peer = peer;
    peer_send_text(peer, "begin");
    run_until(loop, conn.received >= 2000);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abort_with_everything_in_flight)
{
    rondo_loop *loop = support_loop();
    enum { MANY = 20 };
    static net_conn conns[MANY];
    rondo_socket peers[MANY];
    memset(conns, 0, sizeof conns);
    for (int i = 0; i < MANY; i++)
        peers[i] = i % 2 ? net_open(loop, &conns[i]) : net_open_tcp(loop, &conns[i]);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            char *data = malloc(300000);
            ck_assert_ptr_nonnull(data);
            memset(data, 'a', 300000);
            rondo_transport_write(conns[i].transport, data, 300000);
            free(data);
            peer_send_now(peers[i], "input", 5);
        }
        support_run_passes(loop, round);
    }
    /* PRX-03, TRN-24: op, buffers and socket live until the kernel is done, cancelled or not */
    for (int i = 0; i < MANY; i++)
        rondo_transport_abort(conns[i].transport);
    for (int i = 0; i < MANY; i++) {
        run_until(loop, conns[i].losts == 1);
        peer_close(peers[i]);
        net_done(loop, &conns[i]);
    }
    support_loop_end(loop);
}
END_TEST

START_TEST(test_loop_closed_with_everything_in_flight)
{
    rondo_loop *loop = support_loop();
    enum { MANY = 64 };
    net_conn conns[4] = { { 0 } }, server_conn = { 0 }, hanging_conn = { 0 };
    rondo_socket peers[4], fillers[MANY];
    static char data[1 << 20];
    int port, hanging;
    for (int i = 0; i < 4; i++)
        peers[i] = net_open(loop, &conns[i]);
    net_serve(loop, net_factory, &server_conn, &port);
    rondo_socket full = peer_listen("127.0.0.1", 0, &hanging);
    size_t count = peer_fill_backlog("127.0.0.1", hanging, fillers, MANY);
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = "127.0.0.1";
    options.port = hanging;
    rondo_future *future = rondo_create_connection(loop, net_factory, &hanging_conn, &options);
    rondo_transport_write(conns[0].transport, data, sizeof data);
    rondo_transport_write(conns[1].transport, data, sizeof data);
    support_run_passes(loop, 3);
    rondo_transport_abort(conns[1].transport);
    rondo_transport_pause_reading(conns[2].transport);
    peer_send_text(peers[3], "x");
    /* PRX-10, RUN-31: receives, sends, an accept and a connect in flight do not hold close up */
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(conns[i].losts, 1);
        peer_close(peers[i]);
        net_conn_end(&conns[i]);
    }
    rondo_future_unref(future);
    for (size_t i = 0; i < count; i++)
        peer_close(fillers[i]);
    peer_close(full);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_short_sends)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket pair[2];
    static unsigned char data[3000000];
    peer_tcp_pair(pair);
    peer_set_send_buffer(pair[0], 4096);
    net_adopt(loop, &conn, pair[0]);
    peer_sink sink = { .sock = pair[1] };
    pattern_fill(data, sizeof data, 0);
    /* PRX-04: the kernel takes little at a time; all of it arrives, in order */
    rondo_transport_write(conn.transport, data, 2000000);
    rondo_transport_write(conn.transport, data + 2000000, 1000000);
    run_until(loop, peer_drain(&sink) == sizeof data);
    ck_assert(!sink.corrupt);
    peer_close(pair[1]);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_both_directions)
{
    rondo_loop *loop = support_loop();
    net_conn left = { .checked = true }, right = { .checked = true };
    rondo_socket pair[2];
    static unsigned char data[4 << 20];
    peer_tcp_pair(pair);
    net_adopt(loop, &left, pair[0]);
    net_adopt(loop, &right, pair[1]);
    pattern_fill(data, sizeof data, 0);
    /* PRX-06: a receive and a send in flight on one stream do not disturb each other */
    rondo_transport_write(left.transport, data, sizeof data);
    rondo_transport_write(right.transport, data, sizeof data);
    run_until(loop, left.received == sizeof data && right.received == sizeof data);
    rondo_transport_close(right.transport);
    run_until(loop, left.losts == 1 && right.losts == 1);
    /* PRX-11, PRX-05: the closing end gives the other a clean end of stream */
    ck_assert(!left.corrupt && !right.corrupt);
    ck_assert_int_eq(left.eofs, 1);
    net_done(loop, &left);
    net_done(loop, &right);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_clean_end)
{
    rondo_loop *loop = support_loop();
    net_conn left = { .name = "l" }, right = { .name = "r" };
    rondo_socket pair[2];
    peer_tcp_pair(pair);
    net_adopt(loop, &left, pair[0]);
    net_adopt(loop, &right, pair[1]);
    trace_clear();
    rondo_transport_close(left.transport);
    run_until(loop, right.losts == 1);
    /* PRX-11, PRX-05 */
    trace_is("l.lost:0 r.eof r.lost:0");
    net_done(loop, &left);
    net_done(loop, &right);
    support_loop_end(loop);
}
END_TEST

/* Many busy transports with a tiny pool of receive buffers: the pool runs dry, nothing is lost. */
START_TEST(test_few_buffers)
{
    enum { MANY = 30, SIZE = 100000 };
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.receive_buffers = 4;
    options.receive_buffer_size = 2048;
    options.ring_entries = 8;
    rondo_loop *loop = support_loop_with(&options);
    static net_conn conns[MANY];
    static unsigned char data[SIZE];
    rondo_socket peers[MANY];
    size_t sent[MANY] = { 0 };
    memset(conns, 0, sizeof conns);
    pattern_fill(data, sizeof data, 0);
    for (int i = 0; i < MANY; i++) {
        conns[i].checked = true;
        peers[i] = net_open(loop, &conns[i]);
    }
    bool more = true;
    for (unsigned turn = 0; more; turn++) {
        more = false;
        for (int i = 0; i < MANY; i++) {
            sent[i] += peer_send_now(peers[i], data + sent[i], SIZE - sent[i]);
            more = more || conns[i].received < SIZE;
        }
        ck_assert_msg(net_turn(loop, turn), "some data never came");
    }
    for (int i = 0; i < MANY; i++) {
        /* PRX-06 */
        ck_assert(!conns[i].corrupt);
        peer_close(peers[i]);
        net_done(loop, &conns[i]);
    }
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *order = support_case(suite, "order");
    tcase_add_test(order, test_order_in_a_pass);
    tcase_add_test(order, test_nothing_inside_calls);

    TCase *waiting = support_case(suite, "waiting");
    tcase_add_test(waiting, test_wait_for_a_timer);
    tcase_add_loop_test(waiting, test_wait_for_room, 0, 2);
    tcase_add_test(waiting, test_interrupted);
    tcase_add_test(waiting, test_all_ready_in_one_wait);
    tcase_add_test(waiting, test_restarts);
    tcase_add_test(waiting, test_selector_by_name);
    tcase_add_test(waiting, test_closed_behind_our_back);

    TCase *flight = support_case(suite, "in flight");
    tcase_add_test(flight, test_lent_buffer);
    tcase_add_test(flight, test_abort_with_everything_in_flight);
    tcase_add_test(flight, test_loop_closed_with_everything_in_flight);
    tcase_add_test(flight, test_short_sends);
    tcase_add_test(flight, test_both_directions);
    tcase_add_test(flight, test_clean_end);
    tcase_add_test(flight, test_few_buffers);
}

int main(void)
{
    return support_main("transport backends", add_cases);
}
