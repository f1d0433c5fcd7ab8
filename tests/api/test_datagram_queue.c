/* SPDX-License-Identifier: MIT */
/* Datagram transports: what cannot be sent at once, the marks, and what the end does with it. */
#include "dgram.h"
#include "unix_peer.h"

#include <stdio.h>
#include <sys/socket.h>

static void say_number(dgram *self, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    dgram_say(self, text, NULL);
}

/* Send numbers until the receiver, who does not read, has no room: how many went. */
static int stuff(rondo_loop *loop, dgram *self)
{
    int count = 0;
    while (rondo_transport_get_write_buffer_size(self->transport) < 4) {
        say_number(self, count++);
        ck_assert_int_lt(count, 5000);
        support_run_passes(loop, 2);
    }
    return count;
}

static void expect_numbers(rondo_loop *loop, rondo_socket peer, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        udp_expect(peer, text);
        support_run_passes(loop, 3);
    }
}

START_TEST(test_close_sends)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_socket peer = dgram_pair(loop, &self);
    int count = stuff(loop, &self);
    rondo_transport_close(self.transport); /* DGT-06: what is queued is sent */
    ck_assert(rondo_transport_is_closing(self.transport));
    dgram_say(&self, "not any more", NULL);
    support_run_passes(loop, 5);
    ck_assert_int_eq(self.losts, 0);
    expect_numbers(loop, peer, 0, count);
    run_until(loop, self.losts == 1);
    ck_assert_int_eq(self.lost, 0);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abort_drops)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_socket peer = dgram_pair(loop, &self);
    int count = stuff(loop, &self);
    rondo_transport_abort(self.transport); /* DGT-06: dropped */
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    run_until(loop, self.losts == 1);
    ck_assert_int_eq(self.lost, 0);
    char text[16];
    int got = 0;
    while (recv(peer, text, sizeof text, MSG_DONTWAIT) > 0)
        got++;
    ck_assert_int_lt(got, count);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_send_after_close)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram_connect(loop, &self, port);
    rondo_transport_close(self.transport);
    for (int i = 0; i < 4; i++)
        dgram_say(&self, "nobody sends this", NULL);
    ck_assert_uint_eq(support_log_lines("raised exception."), 0);
    run_until(loop, self.losts == 1);
    dgram_say(&self, "nor this", NULL); /* DGT-06: ignored, and said from the fifth on */
    ck_assert_uint_eq(support_log_lines("raised exception."), 1);
    udp_expect_nothing(peer);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_marks)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a" };
    rondo_socket peer = dgram_pair(loop, &self);
    trace_clear();
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(self.transport, 8, 2), 0);
    int count = stuff(loop, &self);
    ck_assert_int_eq(self.stalls, 0);
    while (!self.stalls) { /* DGT-07: the bytes that are queued */
        say_number(&self, count++);
        ck_assert_uint_lt(rondo_transport_get_write_buffer_size(self.transport), 20);
    }
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(self.transport), 8);
    expect_numbers(loop, peer, 0, count);
    run_until(loop, self.flows == 1);
    trace_is("a.stall a.flow");
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_proactor_queues)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a" };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram_connect(loop, &self, port);
    trace_clear();
    dgram_say(&self, "one", NULL);
    size_t first = rondo_transport_get_write_buffer_size(self.transport);
    dgram_say(&self, "three", NULL);
    size_t second = rondo_transport_get_write_buffer_size(self.transport);
    /* DGT-09: it is queued, but the one in flight; DGT-01: a selector tries at once */
    ck_assert_uint_eq(first, 0);
    ck_assert_uint_eq(second, support_backend_is_proactor() ? 5 : 0);
    if (support_backend_is_proactor())
        udp_expect_nothing(peer);
    support_run_passes(loop, 3);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    udp_expect(peer, "one");
    udp_expect(peer, "three");
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_unconnected_receiver_full)
{
    rondo_loop *loop = dgram_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    dgram server = { 0 }, client = { 0 };
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS, unnamed = RONDO_DATAGRAM_OPTIONS;
    options.local_path = folder.path;
    dgram_open(loop, &server, &options);
    rondo_transport_pause_reading(server.transport);
    unnamed.family = AF_UNIX;
    dgram_open(loop, &client, &unnamed);
    rondo_address to;
    ck_assert_int_eq(rondo_transport_sockname(server.transport, &to), 0);
    for (int i = 0; i < 100; i++)
        dgram_say(&client, "many", &to);
    support_run_passes(loop, 20);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(client.transport), 0);
    /* nothing tells when there is room, and it does not spin meanwhile */
    uint64_t before = support_passes(loop);
    rondo_handle handle;
    ck_assert_int_eq(
        rondo_loop_call_later(loop, RONDO_MS(40), &handle, (rondo_callback *) rondo_loop_stop, loop), 0);
    support_run(loop);
    ck_assert_uint_lt(support_passes(loop) - before, 120);
    rondo_transport_resume_reading(server.transport);
    run_until(loop, server.count + (size_t) client.errors == 100);
    dgram_done(loop, &client);
    dgram_done(loop, &server);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "queue");
    tcase_add_test(tcase, test_close_sends);
    tcase_add_test(tcase, test_abort_drops);
    tcase_add_test(tcase, test_send_after_close);
    tcase_add_test(tcase, test_marks);
    tcase_add_test(tcase, test_proactor_queues);
    tcase_add_test(tcase, test_unconnected_receiver_full);
}

int main(void)
{
    return support_main("datagram_queue", add_cases);
}
