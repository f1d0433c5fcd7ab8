/* SPDX-License-Identifier: MIT */
/* Datagram transports: errors of the system, of callbacks, and fatal ones. */
#define _GNU_SOURCE
#include "dgram.h"

#include <stdlib.h>
#include <sys/socket.h>

/* Each refusal that a send meets is told, also where several datagrams leave in one pass. */
START_TEST(test_several_refused)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket gone = udp_open("127.0.0.1", &port);
    peer_close(gone);
    dgram self = { 0 };
    dgram_connect(loop, &self, port);
    for (int i = 0; i < 8; i++)
        dgram_say(&self, "anybody?", NULL);
    support_run_passes(loop, 12);
    ck_assert_int_ge(self.errors, 4); /* the refusal of one is heard by the next one, which is lost by it */
    ck_assert_int_eq(self.error, RONDO_ECONNREFUSED);
    dgram_done(loop, &self);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_refused)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket gone = udp_open("127.0.0.1", &port);
    peer_close(gone);
    dgram self = { 0 };
    dgram_connect(loop, &self, port);
    /* DGT-03: again and again, and it is not deaf */
    for (int i = 1; i <= 5; i++) {
        dgram_say(&self, "anybody?", NULL);
        run_until(loop, self.errors == i);
        ck_assert_int_eq(self.error, RONDO_ECONNREFUSED);
        ck_assert(!rondo_transport_is_closing(self.transport));
    }
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self.transport, &address), 0);
    rondo_socket back = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    rondo_address here = dgram_address(port);
    ck_assert_int_eq(bind(back, rondo_address_sockaddr(&here), here.length), 0);
    udp_send_text(peer_patient(back), rondo_address_port(&address), "I am back");
    run_until(loop, self.count == 1);
    dgram_say(&self, "welcome", NULL);
    support_run_passes(loop, 2);
    udp_expect(back, "welcome");
    ck_assert_int_eq(self.errors, 5);
    dgram_done(loop, &self);
    peer_close(back);
    support_loop_end(loop);
}
END_TEST

static void fail_it(dgram *self)
{
    rondo_raise(RONDO_EUSER, "failed at %zu", self->count);
}

START_TEST(test_received_fails)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_got = fail_it };
    rondo_socket peer = udp_open("127.0.0.1", NULL);
    dgram_fill(loop, &self, peer);
    run_until(loop, self.count == 5);
    /* As from any callback: reported, and the endpoint stays open. */
    ck_assert_uint_eq(support_reports(), 5);
    ck_assert_int_eq(support_report_at(4)->context.error, RONDO_EUSER);
    ck_assert_str_eq(support_report_at(4)->error_message, "failed at 5");
    ck_assert_int_eq(self.losts, 0);
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void raise_error(dgram *self, int error)
{
    (void) error;
    fail_it(self);
}

START_TEST(test_error_fails)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_error = raise_error };
    dgram_connect(loop, &self, 9); /* nobody is there */
    char *bytes = calloc(1, 70000);
    int rc = rondo_datagram_sendto(self.transport, bytes, 70000, NULL);
    run_until(loop, self.errors == 1);
    if (support_backend_is_proactor()) { /* nobody else is there to hear of it */
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(support_reports(), 1);
    } else {
        ck_assert_int_eq(rc, RONDO_EUSER);
        ck_assert_str_eq(rondo_last_error_message(), "failed at 0");
        ck_assert_uint_eq(support_reports(), 0);
    }
    ck_assert_int_eq(self.losts, 0);
    free(bytes);
    dgram_done(loop, &self);
    support_loop_end(loop);
}
END_TEST

static void send_again(dgram *self, int error)
{
    (void) error;
    static const char bytes[70000];
    if (self->errors < 100)
        ck_assert_int_eq(rondo_datagram_sendto(self->transport, bytes, sizeof bytes, NULL), 0);
}

START_TEST(test_error_sends)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_error = send_again };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    dgram_connect(loop, &self, port);
    send_again(&self, 0);
    run_until(loop, self.errors == 100);
    dgram_say(&self, "in the end", NULL);
    support_run_passes(loop, 2);
    udp_expect(peer, "in the end");
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void close_at_error(dgram *self, int error)
{
    (void) error;
    rondo_transport_close(self->transport);
    dgram_say(self, "too late", NULL);
}

START_TEST(test_error_closes)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .on_error = close_at_error };
    dgram_connect(loop, &self, 9);
    char *bytes = calloc(1, 70000);
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, bytes, 70000, NULL), 0);
    run_until(loop, self.losts == 1);
    ck_assert_int_eq(self.lost, 0);
    free(bytes);
    dgram_end(&self);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_fatal)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_socket peer = dgram_pair(loop, &self);
    ck_assert_int_eq(send(peer, "no memory", 9, 0), 9); /* to receive it */
    support_fail_nth(1);
    support_run_passes(loop, 4);
    ck_assert(support_has_failed());
    /* DGT-04: no OSError, so the exception handler hears of it */
    ck_assert_int_eq(self.losts, 1);
    ck_assert_int_eq(self.lost, RONDO_ENOMEM);
    ck_assert_int_eq(self.errors, 0);
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_int_eq(support_report_at(0)->context.error, RONDO_ENOMEM);
    ck_assert_ptr_eq(support_report_at(0)->context.transport, self.transport);
    dgram_end(&self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "errors");
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_several_refused);
    tcase_add_test(tcase, test_received_fails);
    tcase_add_test(tcase, test_error_fails);
    tcase_add_test(tcase, test_error_sends);
    tcase_add_test(tcase, test_error_closes);
    tcase_add_test(tcase, test_fatal);
}

int main(void)
{
    return support_main("datagram_errors", add_cases);
}
