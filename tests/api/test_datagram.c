/* SPDX-License-Identifier: MIT */
/* create_datagram_endpoint: the order of its steps, arguments, failures, cancelling and the end of the loop. */
#include "dgram.h"
#include "resolver.h"

#include <string.h>
#include <sys/socket.h>

static void send_to_itself(dgram *self)
{
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self->transport, &address), 0);
    dgram_say(self, "x", &address);
}

static int make_in_task(void *context)
{
    dgram *self = context;
    rondo_datagram_options options = dgram_local(0);
    rondo_transport *transport = NULL;
    rondo_protocol *protocol = NULL;
    int rc = rondo_await_connection(
        rondo_create_datagram_endpoint(rondo_loop_running(), dgram_factory, self, &options), &transport,
        &protocol);
    trace("returned");
    ck_assert_ptr_eq(rondo_protocol_transport(protocol), transport);
    ck_assert_ptr_eq(transport, self->transport);
    ck_assert_ptr_eq(rondo_transport_loop(transport), rondo_loop_running());
    return rc;
}

START_TEST(test_order)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_made = send_to_itself };
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, make_in_task, &self), NULL), 0);
    run_until(loop, self.count == 1);
    /* DGE-01: connection_made, the return, the first datagram */
    trace_is("a.made returned a.got:x");
    dgram_done(loop, &self);
    trace_is("a.lost:0");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_not_here)
{
    rondo_loop *loop = support_loop();
    rondo_datagram_options options = dgram_local(0);
    dgram self = { 0 };
    bool can = (rondo_loop_capabilities(loop) & RONDO_CAN_DATAGRAMS) != 0;
    ck_assert_int_eq(can, !support_backend_is_proactor());
    size_t descriptors = peer_descriptors();
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
    if (can) {
        ck_assert_int_eq(net_finish(loop, future, NULL), 0);
        dgram_done(loop, &self);
    } else { /* DGE-12: a proactor has none, and says so at once */
        ck_assert_ptr_null(future);
        ck_assert_int_eq(rondo_last_error(), RONDO_ENOTSUP);
        ck_assert_uint_eq(peer_descriptors(), descriptors);
    }
    support_loop_end(loop);
    loop = dgram_loop(); /* but where it was asked to go beyond that */
    ck_assert((rondo_loop_capabilities(loop) & RONDO_CAN_DATAGRAMS) != 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_arguments)
{
    rondo_loop *loop = dgram_loop();
    rondo_datagram_options none = RONDO_DATAGRAM_OPTIONS;
    ck_assert_int_eq(dgram_error(loop, &none), RONDO_EINVAL); /* DGE-03: neither address nor family */
    ck_assert_int_eq(dgram_error(loop, NULL), RONDO_EINVAL);
    rondo_datagram_options options = dgram_local(0);
    options.size = 0;
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL);
    options = dgram_local(65536);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL);
    options = dgram_local(RONDO_NO_PORT); /* DGE-02: half an address */
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_ETYPE);
    options = none;
    options.remote_host = "127.0.0.1";
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_ETYPE);
    options = dgram_local(0);
    options.remote_path = "/tmp/nothing";
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL);
    options = dgram_local(0);
    options.family = AF_UNIX;
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_ETYPE);
    options = dgram_paths("/tmp/nothing", NULL);
    options.family = AF_INET;
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL);
    options = dgram_paths("", NULL);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL);
    char path[300];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    options = dgram_paths(path, NULL);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_ENAMETOOLONG);
    options = dgram_local(0);
    ck_assert_ptr_null(rondo_create_datagram_endpoint(loop, NULL, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_datagram_endpoint(NULL, dgram_factory, NULL, &options));
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_ECLOSED);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_family_alone)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.family = AF_INET;
    dgram_open(loop, &self, &options); /* DGE-03 */
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self.transport, &address), 0);
    ck_assert_int_eq(rondo_address_port(&address), 0);
    ck_assert_int_eq(rondo_transport_peername(self.transport, &address), RONDO_ENOTCONN);
    address = dgram_address(port);
    dgram_say(&self, "unbound", &address);
    support_run_passes(loop, 2);
    udp_expect(peer, "unbound");
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static rondo_protocol *failing_factory(void *context)
{
    (void) context;
    rondo_raise(RONDO_EUSER, "no protocol today");
    return NULL;
}

static rondo_protocol *empty_factory(void *context)
{
    (void) context;
    return NULL;
}

START_TEST(test_factory_fails)
{
    rondo_loop *loop = dgram_loop();
    rondo_datagram_options options = dgram_local(0);
    size_t descriptors = peer_descriptors();
    ck_assert_int_eq(
        net_finish(loop, rondo_create_datagram_endpoint(loop, failing_factory, NULL, &options), NULL),
        RONDO_EUSER);
    ck_assert_int_eq(
        net_finish(loop, rondo_create_datagram_endpoint(loop, empty_factory, NULL, &options), NULL),
        RONDO_ETYPE);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    support_loop_end(loop);
}
END_TEST

/* --- before it is there ------------------------------------------------------------------------------------------ */

START_TEST(test_cancel)
{
    rondo_loop *loop = dgram_loop();
    size_t descriptors = peer_descriptors();
    fake_resolver fake = { .answers = { { .later = true } }, .answer_count = 1 };
    rondo_datagram_options options = dgram_local(0);
    for (int passes = 0; passes < 4;
         passes++) { /* before it runs, behind the socket, while connection_made waits */
        dgram self = { 0 };
        rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
        for (int i = 0; i < passes; i++)
            support_run_passes(loop, 1);
        bool was_done = rondo_future_done(future);
        ck_assert_int_eq(rondo_future_cancel(future), !was_done);
        int rc = net_finish(loop, future, NULL);
        ck_assert_int_eq(rc, was_done ? 0 : RONDO_ECANCELLED);
        support_run_passes(loop, 6);
        if (was_done)
            dgram_done(loop, &self);
        else
            dgram_end(&self);
        ck_assert_uint_eq(peer_descriptors(), descriptors);
    }
    fake_resolver_install(loop, &fake);
    options.local_host = "later.test"; /* while it looks up */
    dgram self = { 0 };
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
    support_run_passes(loop, 3);
    ck_assert(rondo_future_cancel(future));
    ck_assert_int_eq(net_finish(loop, future, NULL), RONDO_ECANCELLED);
    fake_resolver_end(&fake);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

/* The loop is closed at each step of the making, and after it with a datagram that waits. */
START_TEST(test_loop_close)
{
    for (int passes = 0; passes < 6; passes++) {
        rondo_loop *loop = dgram_loop();
        dgram self = { .name = "a" };
        rondo_datagram_options options = dgram_local(0);
        rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
        for (int i = 0; i < passes; i++)
            support_run_passes(loop, 1);
        if (self.made)
            send_to_itself(&self);
        ck_assert_int_eq(rondo_loop_close(loop), 0);
        ck_assert_int_eq(self.losts, self.made);
        if (self.made)
            ck_assert_int_eq(self.lost, RONDO_ECLOSED);
        rondo_future_unref(future);
        rondo_transport_unref(self.transport);
        trace_clear();
        support_loop_end(loop);
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "making");
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_not_here);
    tcase_add_test(tcase, test_arguments);
    tcase_add_test(tcase, test_family_alone);
    tcase_add_test(tcase, test_factory_fails);
    tcase_add_test(tcase, test_cancel);
    tcase_add_test(tcase, test_loop_close);
}

int main(void)
{
    return support_main("datagram", add_cases);
}
