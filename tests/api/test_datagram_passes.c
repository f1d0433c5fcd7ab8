/* SPDX-License-Identifier: MIT */
/* Datagram transports: one datagram a pass, unless nobody can tell. */
#include "dgram.h"

static rondo_loop *loop_of(dgram *self)
{
    return rondo_transport_loop(self->transport);
}

static void queue_word(dgram *self)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop_of(self), NULL, trace_word, "soon"), 0);
}

START_TEST(test_calls_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = queue_word };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    dgram_fill(loop, &self, peer);
    run_until(loop, self.count == 5);
    support_run_passes(loop, 1);
    trace_is("a.got:1 soon a.got:2 soon a.got:3 soon a.got:4 soon a.got:5 soon");
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void start_timer(dgram *self)
{
    if (self->count == 1)
        ck_assert_int_eq(rondo_loop_call_later(loop_of(self), 0, NULL, trace_word, "timer"), 0);
}

START_TEST(test_timer_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = start_timer };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    dgram_fill(loop, &self, peer);
    run_until(loop, self.count == 5);
    trace_is("a.got:1 a.got:2 timer a.got:3 a.got:4 a.got:5");
    dgram_done(loop, &self);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void stop_loop(dgram *self)
{
    rondo_loop_stop(loop_of(self));
}

START_TEST(test_stop_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = stop_loop };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    dgram_fill(loop, &self, peer);
    support_run(loop);
    trace_is("a.got:1");
    support_run(loop);
    trace_is("a.got:2");
    dgram_done(loop, &self); /* the rest goes with it */
    ck_assert_uint_eq(self.count, 2);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void pause_at_two(dgram *self)
{
    if (self->count == 2)
        rondo_transport_pause_reading(self->transport);
}

START_TEST(test_pause_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_got = pause_at_two }, other = { .name = "b" };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    dgram_fill(loop, &self, peer);
    run_until(loop, self.count == 2);
    support_run_passes(loop, 5);
    ck_assert(!rondo_transport_is_reading(self.transport));
    trace_is("a.got:1 a.got:2");
    dgram_fill(loop, &other, peer); /* another one is not in its way */
    run_until(loop, other.count == 5);
    trace_is("b.got:1 b.got:2 b.got:3 b.got:4 b.got:5");
    rondo_transport_resume_reading(self.transport);
    run_until(loop, self.count == 5);
    trace_is("a.got:3 a.got:4 a.got:5");
    dgram_done(loop, &self);
    dgram_done(loop, &other);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_close_between)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .echo = true, .on_got = dgram_close };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    dgram_fill(loop, &self, peer);
    run_until(loop, self.losts == 1);
    trace_is("a.got:1 a.lost:0");
    udp_expect(peer, "1"); /* DGT-06: it was sent before */
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void stop_at_last(dgram *self)
{
    if (self->count == 64)
        rondo_loop_stop(loop_of(self));
}

START_TEST(test_batch)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .echo = true, .on_got = stop_at_last };
    int own;
    rondo_socket peer = udp_open("127.0.0.1", &own);
    int port = dgram_bind(loop, &self, "127.0.0.1");
    for (int i = 0; i < 64; i++)
        udp_send(peer, port, (char[]){ (char) ('0' + i) }, 1);
    uint64_t before = support_passes(loop);
    support_run(loop);
    support_run_passes(loop, 2);
    ck_assert_uint_eq(self.count, 64);
    for (int i = 0; i < 64; i++)
        udp_expect(peer, (char[]){ (char) ('0' + i), 0 });
    ck_assert_uint_lt(support_passes(loop) - before, 40); /* nobody could tell, so it was quick */
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(self.transport), 0);
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "passes");
    tcase_add_test(tcase, test_calls_between);
    tcase_add_test(tcase, test_timer_between);
    tcase_add_test(tcase, test_stop_between);
    tcase_add_test(tcase, test_pause_between);
    tcase_add_test(tcase, test_close_between);
    tcase_add_test(tcase, test_batch);
}

int main(void)
{
    return support_main("datagram_passes", add_cases);
}
