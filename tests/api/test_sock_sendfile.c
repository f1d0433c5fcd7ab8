/* SPDX-License-Identifier: MIT */
/* sock_sendfile: files to sockets that have no transport. */
#include "pipes.h"

enum { LARGE = 8 << 20 };

START_TEST(test_socket)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    rondo_file file = pipes_open_file(LARGE);
    int64_t sent = -1;
    peer_tcp_pair(pair);
    pipes_set_blocking(pair[0], _i && support_backend_is_proactor());
    peer_sink sink = { .sock = pair[1] };
    rondo_future *future = rondo_sock_sendfile(loop, pair[0], file, 0, RONDO_TO_END, true, &sent);
    ck_assert_ptr_nonnull(future);
    support_run_passes(loop, 5);
    ck_assert(!rondo_future_done(future)); /* nobody reads, and nothing stands still */
    run_until(loop, (peer_drain(&sink), rondo_future_done(future)));
    ck_assert_int_eq(rondo_future_result(future, NULL), LARGE);
    ck_assert_int_eq(sent, LARGE);
    rondo_future_unref(future);
    net_drain(loop, &sink, LARGE);
    /* cancelled it is over at once, and the socket may be closed */
    future = rondo_sock_sendfile(loop, pair[0], file, 0, RONDO_TO_END, true, NULL);
    support_run_passes(loop, 3);
    ck_assert(rondo_future_cancel(future));
    rondo_future_unref(future);
    peer_close(pair[0]);
    peer_close(pair[1]);
    pipes_close(file);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_socket_fallback)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2];
    rondo_file zeros = pipes_open_zeros();
    char bytes[3000];
    peer_pair(pair);
    pipes_set_blocking(pair[0], false);
    ck_assert_int_eq(
        net_finish(loop, rondo_sock_sendfile(loop, pair[0], zeros, 0, sizeof bytes, true, NULL), NULL),
        sizeof bytes);
    peer_recv(pair[1], bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        ck_assert_int_eq(bytes[i], 0);
    ck_assert_ptr_null(rondo_sock_sendfile(loop, pair[0], zeros, 0, 1, false, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_ENOTSUP);
    peer_close(pair[1]);
    int rc = net_finish(loop, rondo_sock_sendfile(loop, pair[0], zeros, 0, 100, true, NULL), NULL);
    ck_assert(rc == RONDO_EPIPE || rc == RONDO_ECONNRESET);
    peer_close(pair[0]);
    pipes_close(zeros);
    support_loop_end(loop);
}
END_TEST

static void refuse_socket(rondo_loop *loop, rondo_socket sock, rondo_file file, int64_t offset, int64_t count,
                          int code)
{
    ck_assert_ptr_null(rondo_sock_sendfile(loop, sock, file, offset, count, true, NULL));
    ck_assert_int_eq(rondo_last_error(), code);
}

START_TEST(test_socket_misuse)
{
    rondo_loop *loop = support_loop();
    rondo_socket pair[2], datagram = peer_datagram();
    rondo_file file = pipes_open_file(10);
    peer_pair(pair);
    pipes_set_blocking(pair[0], false);
    pipes_set_blocking(datagram, false);
    refuse_socket(NULL, pair[0], file, 0, 1, RONDO_EINVAL);
    refuse_socket(loop, RONDO_INVALID_SOCKET, file, 0, 1, RONDO_EBADF);
    refuse_socket(loop, pair[0], RONDO_INVALID_FILE, 0, 1, RONDO_EBADF);
    refuse_socket(loop, pair[0], file, -1, 1, RONDO_EINVAL);
    refuse_socket(loop, pair[0], file, 0, 0, RONDO_EINVAL);
    refuse_socket(loop, pair[0], pair[1], 0, 1, RONDO_ENOTSUP);
    refuse_socket(loop, datagram, file, 0, 1, RONDO_EINVAL);
    if (!support_backend_is_proactor()) {
        pipes_set_blocking(pair[0], true);
        refuse_socket(loop, pair[0], file, 0, 1, RONDO_EINVAL);
    }
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    refuse_socket(loop, pair[0], file, 0, 1, RONDO_ECLOSED);
    peer_close(datagram);
    peer_close(pair[0]);
    peer_close(pair[1]);
    pipes_close(file);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "sock_sendfile");
    tcase_add_loop_test(tcase, test_socket, 0, 2);
    tcase_add_test(tcase, test_socket_fallback);
    tcase_add_test(tcase, test_socket_misuse);
}

int main(void)
{
    return support_main("sock_sendfile", add_cases);
}
