/* SPDX-License-Identifier: MIT */
/* Stream transports: writing, extra information, bad arguments. */
#include "peer.h"

#include <string.h>

/* --- get_extra_info ------------------------------------------------------------------------- */

START_TEST(test_extra_info)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    rondo_address address, named;
    /* TRN-01: socket, sockname, peername */
    ck_assert_int_eq(rondo_transport_peername(conn.transport, &address), 0);
    ck_assert_int_eq(rondo_address_port(&address), peer_port(peer));
    named = *(const rondo_address *) rondo_transport_get_extra_info(conn.transport, "peername", NULL);
    ck_assert(rondo_address_equal(&address, &named));
    rondo_socket sock = rondo_transport_socket(conn.transport);
    ck_assert(peer_is_open(sock));
    ck_assert_int_eq(*(const rondo_socket *) rondo_transport_get_extra_info(conn.transport, "socket", NULL),
                     sock);
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &address), 0);
    ck_assert_int_eq(rondo_address_port(&address), peer_port(sock));
    named = *(const rondo_address *) rondo_transport_get_extra_info(conn.transport, "sockname", NULL);
    ck_assert(rondo_address_equal(&address, &named));
    /* TRN-01: the default for what is not there */
    ck_assert_str_eq(rondo_transport_get_extra_info(conn.transport, "cipher", "none"), "none");
    ck_assert_ptr_null(rondo_transport_get_extra_info(conn.transport, "", NULL));
    ck_assert_ptr_null(rondo_transport_get_extra_info(conn.transport, NULL, NULL));
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_extra_info_after_lost)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    rondo_socket sock = rondo_transport_socket(conn.transport);
    rondo_address before, after, name;
    ck_assert_int_eq(rondo_transport_peername(conn.transport, &before), 0);
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &name), 0);
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1 && !peer_is_open(sock));
    /* TRN-01: the names outlive the connection, the socket does not */
    ck_assert_int_eq(rondo_transport_peername(conn.transport, &after), 0);
    ck_assert(rondo_address_equal(&before, &after));
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &after), 0);
    ck_assert(rondo_address_equal(&name, &after));
    ck_assert_ptr_nonnull(rondo_transport_get_extra_info(conn.transport, "sockname", NULL));
    ck_assert_int_eq(rondo_transport_socket(conn.transport), RONDO_INVALID_SOCKET);
    ck_assert_ptr_eq(rondo_transport_loop(conn.transport), loop);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_extra_info_unix)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_address address;
    /* TRN-01: an unnamed Unix address is an address all the same */
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &address), 0);
    ck_assert_int_eq(rondo_address_family(&address), peer_family(peer));
    ck_assert_int_eq(rondo_address_port(&address), -1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- write ---------------------------------------------------------------------------------- */

START_TEST(test_write_buffer_reuse)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    char text[] = "hello";
    /* TRN-08: the caller's memory is free again on return */
    ck_assert_int_eq(rondo_transport_write(conn.transport, text, 5), 0);
    memset(text, 'x', 5);
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_expect(peer, "hello");
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_never_blocks)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .checked = true };
    rondo_socket peer = net_open(loop, &conn);
    static unsigned char data[1 << 20];
    peer_sink sink = { .sock = peer };
    pattern_fill(data, sizeof data, 0);
    /* TRN-08: more than the kernel takes is no reason to wait */
    ck_assert_int_eq(rondo_transport_write(conn.transport, data, sizeof data), 0);
    memset(data, 0, sizeof data);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(conn.transport), 0);
    /* TRN-09: the rest is sent in order */
    run_until(loop, peer_drain(&sink) == sizeof data);
    ck_assert(!sink.corrupt);
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_at_once)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "now", 3), 0);
    if (!support_backend_is_proactor()) {
        /* TRN-09: a selector sends inside write() where nothing is buffered */
        ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
        peer_expect(peer, "now");
    } else {
        run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
        peer_expect(peer, "now");
    }
    /* TRN-09: empty data is ignored */
    ck_assert_int_eq(rondo_transport_write(conn.transport, "", 0), 0);
    ck_assert_int_eq(rondo_transport_write(conn.transport, NULL, 0), 0);
    support_run_passes(loop, 3);
    peer_expect_nothing(peer);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_in_pieces)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    unsigned char data[5000];
    peer_sink sink = { .sock = peer };
    size_t total = 0;
    pattern_fill(data, sizeof data, 0);
    /* TRN-09: a flood of tiny writes between passes arrives whole and in order */
    for (size_t length = 1; total + length <= sizeof data; length++) {
        ck_assert_int_eq(rondo_transport_write(conn.transport, data + total, length), 0);
        total += length;
    }
    run_until(loop, peer_drain(&sink) == total);
    ck_assert(!sink.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_flood)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    peer_sink sink = { .sock = peer };
    size_t total = 0;
    /* TRN-09: single bytes while the peer reads now and then */
    for (; total < 50000; total++) {
        unsigned char byte;
        pattern_fill(&byte, 1, total);
        ck_assert_int_eq(rondo_transport_write(conn.transport, &byte, 1), 0);
        if (total % 5000 == 4999) {
            peer_drain(&sink);
            support_run_passes(loop, 1);
        }
    }
    run_until(loop, peer_drain(&sink) == total);
    ck_assert(!sink.corrupt);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_writelines)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    const rondo_bytes pieces[] = { { "one ", 4 }, { "", 0 }, { NULL, 0 }, { "two ", 4 }, { "three", 5 } };
    /* TRN-13: one write of all of it */
    ck_assert_int_eq(rondo_transport_writelines(conn.transport, pieces, 5), 0);
    ck_assert_int_eq(rondo_transport_writelines(conn.transport, NULL, 0), 0);
    run_until(loop, rondo_transport_get_write_buffer_size(conn.transport) == 0);
    peer_expect(peer, "one two three");
    peer_expect_nothing(peer);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_writelines_many)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    enum { COUNT = 3000, SIZE = 301 };
    static unsigned char data[COUNT * SIZE];
    static rondo_bytes pieces[COUNT];
    peer_sink sink = { .sock = peer };
    pattern_fill(data, sizeof data, 0);
    for (size_t i = 0; i < COUNT; i++)
        pieces[i] = (rondo_bytes){ data + i * SIZE, SIZE };
    /* TRN-13: more pieces than a system call takes, more bytes than the kernel takes */
    ck_assert_int_eq(rondo_transport_writelines(conn.transport, pieces, COUNT), 0);
    memset(data, 0, sizeof data);
    run_until(loop, peer_drain(&sink) == sizeof data);
    ck_assert(!sink.corrupt);
    /* FLW-03: the pause counts writelines as well */
    ck_assert_int_eq(conn.stalls, 1);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_fails)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .name = "c" };
    rondo_socket peer = net_open(loop, &conn);
    rondo_transport_pause_reading(conn.transport);
    peer_close(peer);
    trace_clear();
    /* TRN-08, TRN-10: no error of write(), connection_lost with the error, from the queue */
    ck_assert_int_eq(rondo_transport_write(conn.transport, "lost", 4), 0);
    trace_is("");
    run_until(loop, conn.losts == 1);
    trace_is("c.lost:RONDO_EPIPE");
    ck_assert(rondo_transport_is_closing(conn.transport));
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    /* TRN-05, TRN-20: an error of the system is not reported */
    ck_assert_uint_eq(support_reports(), 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_fails_with_buffer)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    static char data[1 << 20];
    ck_assert_int_eq(rondo_transport_write(conn.transport, data, sizeof data), 0);
    support_run_passes(loop, 2);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(conn.transport), 0);
    peer_close(peer);
    run_until(loop, conn.losts == 1);
    /* TRN-10: the buffer is dropped, and the error says why */
    ck_assert(conn.error == RONDO_EPIPE || conn.error == RONDO_ECONNRESET);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    /* FLW-09 */
    ck_assert_int_eq(conn.flows, 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_after_lost)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_transport_abort(conn.transport);
    run_until(loop, conn.losts == 1);
    /* TRN-11: ignored, and from the fifth time on it is logged */
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(rondo_transport_write(conn.transport, "x", 1), 0);
    ck_assert_uint_eq(support_log_lines(NULL), 0);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "x", 1), 0);
    ck_assert_uint_eq(support_log_lines(NULL), 1);
    ck_assert_int_eq(rondo_transport_write(conn.transport, "x", 1), 0);
    ck_assert_uint_eq(support_log_lines(NULL), 2);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    peer_expect_eof(peer);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_while_flushing)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    static unsigned char data[1 << 20];
    peer_sink sink = { .sock = peer };
    pattern_fill(data, sizeof data, 0);
    ck_assert_int_eq(rondo_transport_write(conn.transport, data, sizeof data), 0);
    rondo_transport_close(conn.transport);
    unsigned char more[10];
    pattern_fill(more, sizeof more, sizeof data);
    /* TRN-12: sent or dropped, but whole, and without harm to what came before */
    ck_assert_int_eq(rondo_transport_write(conn.transport, more, sizeof more), 0);
    run_until(loop, (peer_drain(&sink), sink.ended || sink.reset));
    ck_assert(sink.ended);
    ck_assert(!sink.corrupt);
    ck_assert(sink.received == sizeof data || sink.received == sizeof data + sizeof more);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(conn.error, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- write_eof ------------------------------------------------------------------------------ */

START_TEST(test_write_eof)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { .keep_open = true };
    rondo_socket peer = net_open_tcp(loop, &conn);
    /* TRN-14: true for sockets */
    ck_assert(rondo_transport_can_write_eof(conn.transport));
    ck_assert_int_eq(rondo_transport_write(conn.transport, "bye", 3), 0);
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    /* TRN-14: a later write fails */
    ck_assert_int_eq(rondo_transport_write(conn.transport, "x", 1), RONDO_EINVALIDSTATE);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVALIDSTATE);
    const rondo_bytes piece = { "x", 1 };
    ck_assert_int_eq(rondo_transport_writelines(conn.transport, &piece, 1), RONDO_EINVALIDSTATE);
    support_run_passes(loop, 3);
    peer_expect(peer, "bye");
    peer_expect_eof(peer);
    /* TRN-14: receiving goes on */
    peer_send_text(peer, "still here");
    run_until(loop, conn.received == 10);
    ck_assert_str_eq(conn.text, "still here");
    ck_assert(!rondo_transport_is_closing(conn.transport));
    peer_close(peer);
    run_until(loop, conn.eofs == 1);
    rondo_transport_close(conn.transport);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(conn.error, 0);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_eof_after_flush)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    static unsigned char data[1 << 20];
    peer_sink sink = { .sock = peer };
    pattern_fill(data, sizeof data, 0);
    ck_assert_int_eq(rondo_transport_write(conn.transport, data, sizeof data), 0);
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    /* TRN-14: not before the buffer is empty */
    support_run_passes(loop, 2);
    ck_assert_uint_gt(rondo_transport_get_write_buffer_size(conn.transport), 0);
    run_until(loop, (peer_drain(&sink), sink.ended || sink.reset));
    ck_assert_uint_eq(sink.received, sizeof data);
    ck_assert(sink.ended && !sink.corrupt);
    ck_assert_int_eq(conn.losts, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_eof_while_closing)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_transport_close(conn.transport);
    /* TRN-14: nothing while closing */
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    peer_expect_eof(peer);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_write_eof_to_reset_peer)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open_tcp(loop, &conn);
    rondo_transport_pause_reading(conn.transport);
    peer_reset(peer);
    /* TRN-14: no socket to shut down any more is no error of the call */
    ck_assert_int_eq(rondo_transport_write_eof(conn.transport), 0);
    support_run_passes(loop, 2);
    rondo_transport_resume_reading(conn.transport);
    run_until(loop, conn.losts == 1);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

/* --- bad arguments -------------------------------------------------------------------------- */

START_TEST(test_null)
{
    rondo_address address = { .length = 77 };
    const rondo_bytes piece = { "x", 1 };
    size_t low = 1, high = 2;
    ck_assert_int_eq(rondo_transport_write(NULL, "x", 1), RONDO_EINVAL);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_writelines(NULL, &piece, 1), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_write_eof(NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(NULL, 2, 1), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_set_protocol(NULL, NULL), RONDO_EINVAL);
    ck_assert_int_lt(rondo_transport_peername(NULL, &address), 0);
    ck_assert_int_lt(rondo_transport_sockname(NULL, &address), 0);
    ck_assert_uint_eq(address.length, 77);
    rondo_transport_close(NULL);
    rondo_transport_abort(NULL);
    rondo_transport_pause_reading(NULL);
    rondo_transport_resume_reading(NULL);
    rondo_transport_unref(NULL);
    ck_assert_ptr_null(rondo_transport_ref(NULL));
    rondo_transport_get_write_buffer_limits(NULL, &low, &high);
    ck_assert(!rondo_transport_can_write_eof(NULL));
    ck_assert(!rondo_transport_is_reading(NULL));
    rondo_transport_is_closing(NULL);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(NULL), 0);
    ck_assert_ptr_null(rondo_transport_get_protocol(NULL));
    ck_assert_ptr_null(rondo_transport_loop(NULL));
    ck_assert_int_eq(rondo_transport_socket(NULL), RONDO_INVALID_SOCKET);
    ck_assert_str_eq(rondo_transport_get_extra_info(NULL, "socket", "none"), "none");
}
END_TEST

START_TEST(test_bad_arguments)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    const rondo_bytes pieces[] = { { "good", 4 }, { NULL, 3 } };
    const rondo_bytes endless[] = { { "a", SIZE_MAX }, { "b", 2 } };
    ck_assert_int_eq(rondo_transport_write(conn.transport, NULL, 5), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_writelines(conn.transport, NULL, 1), RONDO_EINVAL);
    /* TRN-13: one write: either all of it or nothing */
    ck_assert_int_eq(rondo_transport_writelines(conn.transport, pieces, 2), RONDO_EINVAL);
    ck_assert_int_lt(rondo_transport_writelines(conn.transport, endless, 2), 0);
    ck_assert_int_eq(rondo_transport_set_protocol(conn.transport, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_peername(conn.transport, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, NULL), RONDO_EINVAL);
    rondo_transport_get_write_buffer_limits(conn.transport, NULL, NULL);
    support_run_passes(loop, 3);
    peer_expect_nothing(peer);
    ck_assert_ptr_eq(rondo_transport_get_protocol(conn.transport), conn.protocol);
    ck_assert_int_eq(conn.losts, 0);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_everything_after_lost)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_protocol *other = net_factory(&conn);
    rondo_transport_abort(conn.transport);
    run_until(loop, conn.losts == 1);
    support_run_passes(loop, 3);
    /* on a transport that is closed every call is harmless */
    rondo_transport_close(conn.transport);
    rondo_transport_abort(conn.transport);
    rondo_transport_pause_reading(conn.transport);
    rondo_transport_resume_reading(conn.transport);
    ck_assert(!rondo_transport_is_reading(conn.transport));
    ck_assert(rondo_transport_is_closing(conn.transport));
    ck_assert_int_eq(rondo_transport_set_protocol(conn.transport, other), RONDO_ECLOSED);
    ck_assert_int_eq(rondo_transport_set_write_buffer_limits(conn.transport, 10, 5), 0);
    ck_assert_uint_eq(rondo_transport_get_write_buffer_size(conn.transport), 0);
    support_run_passes(loop, 3);
    rondo_protocol_unref(other);
    peer_close(peer);
    net_done(loop, &conn);
    support_loop_end(loop);
    ck_assert_uint_eq(conn.destroyed, 2);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *info = support_case(suite, "extra info");
    tcase_add_test(info, test_extra_info);
    tcase_add_test(info, test_extra_info_after_lost);
    tcase_add_test(info, test_extra_info_unix);

    TCase *write = support_case(suite, "write");
    tcase_add_test(write, test_write_buffer_reuse);
    tcase_add_test(write, test_write_never_blocks);
    tcase_add_test(write, test_write_at_once);
    tcase_add_test(write, test_write_in_pieces);
    tcase_add_test(write, test_write_flood);
    tcase_add_test(write, test_writelines);
    tcase_add_test(write, test_writelines_many);
    tcase_add_test(write, test_write_fails);
    tcase_add_test(write, test_write_fails_with_buffer);
    tcase_add_test(write, test_write_after_lost);
    tcase_add_test(write, test_write_while_flushing);

    TCase *eof = support_case(suite, "write_eof");
    tcase_add_test(eof, test_write_eof);
    tcase_add_test(eof, test_write_eof_after_flush);
    tcase_add_test(eof, test_write_eof_while_closing);
    tcase_add_test(eof, test_write_eof_to_reset_peer);

    TCase *misuse = support_case(suite, "bad arguments");
    tcase_add_test(misuse, test_null);
    tcase_add_test(misuse, test_bad_arguments);
    tcase_add_test(misuse, test_everything_after_lost);
}

int main(void)
{
    return support_main("transport", add_cases);
}
