/* SPDX-License-Identifier: MIT */
/* Every allocation of datagram endpoints fails once, and once with all later ones. As test_fault_net.c: nothing may
 * crash, leak or hang, and what fails says RONDO_ENOMEM. */
#include "dgram.h"

#include <string.h>

enum { LONGEST_WALK = 500 };

static rondo_loop *loop;
static dgram ends[3];

static bool good(int rc)
{
    if (rc >= 0)
        return true;
    ck_assert_msg(rc == RONDO_ENOMEM, "%s: %s", rondo_err_name(rc), rondo_last_error_message());
    ck_assert(support_has_failed());
    return false;
}

static void turns(int count)
{
    for (int i = 0; i < count; i++) {
        rondo_loop_stop(loop);
        good(rondo_loop_run_forever(loop));
    }
}

/* An endpoint of @options; its sock is still ours where that fails at once. */
static bool make(dgram *self, const rondo_datagram_options *options)
{
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, self, options);
    if (future)
        return good(rondo_loop_run_until_complete(loop, future, NULL));
    if (options->sock != RONDO_INVALID_SOCKET)
        peer_close(options->sock);
    return good(rondo_last_error());
}

static int port_of(const dgram *self)
{
    rondo_address address;
    return rondo_transport_sockname(self->transport, &address) == 0 ? rondo_address_port(&address) : 1;
}

static void talk(void)
{
    static char large[5000];
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS, other = RONDO_DATAGRAM_OPTIONS;
    options.local_host = "127.0.0.1";
    options.local_port = 0;
    ends[0].echo = true;
    if (!make(&ends[0], &options))
        return;
    other.remote_host = "127.0.0.1";
    other.remote_port = port_of(&ends[0]);
    if (make(&ends[1], &other))
        for (size_t i = 0; i < 20; i++)
            good(rondo_datagram_sendto(ends[1].transport, large, 250 * i, NULL));
    turns(30);
    if (!ends[0].losts && ends[1].made && !support_has_failed())
        ck_assert_uint_eq(ends[0].count, 20);
}

/* More than the other end takes: it has to be queued. */
static void talk_to_nobody(void)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    options.sock = udp_open("127.0.0.1", NULL);
    rondo_address to = dgram_address(port);
    if (make(&ends[2], &options))
        for (int i = 0; i < 5; i++) {
            good(rondo_datagram_sendto(ends[2].transport, "x", 1, &to));
            turns(1);
        }
    peer_close(peer);
}

static void walk(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    options.allocator = &support_allocator;
    options.extended = true;
    memset(ends, 0, sizeof ends);
    loop = NULL;
    if (!good(rondo_loop_new(&options, &loop)))
        return;
    rondo_loop_set_exception_handler(loop, support_record, NULL);
    talk();
    talk_to_nobody();
    ck_assert_int_eq(rondo_loop_close(loop), 0); /* over what is open */
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(ends[i].losts, ends[i].made);
        dgram_end(&ends[i]);
    }
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}

static void walk_with(void (*plan)(size_t nth), const char *how)
{
    size_t descriptors = peer_descriptors();
    for (size_t nth = 1;; nth++) {
        ck_assert_uint_lt(nth, LONGEST_WALK);
        plan(nth);
        walk();
        bool failed = support_has_failed();
        support_fail_nth(0);
        ck_assert_msg(support_blocks() == 0, "%zu blocks are left when allocation %zu %s", support_blocks(),
                      nth, how);
        ck_assert_msg(peer_descriptors() <= descriptors, "a descriptor too many when allocation %zu %s", nth,
                      how);
        support_reports();
        support_reports_clear();
        support_log_lines(NULL);
        support_log_clear();
        if (!failed)
            return;
    }
}

START_TEST(test_each)
{
    walk_with(support_fail_nth, "fails");
}
END_TEST

START_TEST(test_from)
{
    walk_with(support_fail_from, "and all later ones fail");
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "datagrams");
    tcase_add_test(tcase, test_each);
    tcase_add_test(tcase, test_from);
}

int main(void)
{
    return support_main("faults of datagrams", add_cases);
}
