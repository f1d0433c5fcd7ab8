/* SPDX-License-Identifier: MIT */
/* Files that travel over Unix stream sockets: sent, received, cut short, cancelled, dropped. */
#define _GNU_SOURCE
#include "peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 20 };

static rondo_loop *loop;
static rondo_socket pair[2];
static char memory[64];
static size_t descriptors; /* before anything was sent */

static void begin(void)
{
    loop = support_loop();
    peer_pair(pair);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(fcntl(pair[i], F_SETFL, O_NONBLOCK), 0);
    descriptors = peer_descriptors();
}

static void end(void)
{
    ck_assert_uint_eq(peer_descriptors(), descriptors); /* none has leaked */
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}

/* Send the reading ends of @count new pipes with "cargo"; the writing ends go to @ret_writers. */
static void send_pipes(int *ret_writers, size_t count)
{
    rondo_file readers[MANY];
    for (size_t i = 0; i < count; i++) {
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        readers[i] = ends[0];
        ret_writers[i] = ends[1];
    }
    int sent = net_finish(loop, rondo_sock_send_fds(loop, pair[1], "cargo", 5, readers, count), NULL);
    ck_assert_int_eq(sent, 5);
    for (size_t i = 0; i < count; i++)
        close(readers[i]); /* they stayed ours, and copies travel */
}

static void close_all(const int *writers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(writers[i]);
}

static rondo_received_fds *receive(size_t most)
{
    void *received = NULL;
    rondo_future *future = rondo_sock_recv_fds(loop, pair[0], memory, sizeof memory, most);
    ck_assert_ptr_nonnull(future);
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(rondo_future_take(future, &received), 0);
    rondo_future_unref(future);
    return received;
}

START_TEST(test_travels)
{
    int writers[3];
    char byte = 0;
    begin();
    send_pipes(writers, 3);
    rondo_received_fds *received = receive(8);
    ck_assert_uint_eq(received->length, 5);
    ck_assert_mem_eq(memory, "cargo", 5);
    ck_assert_uint_eq(received->count, 3);
    ck_assert(!received->is_cut);
    for (size_t i = 0; i < 3; i++) { /* in order, close-on-exec, and good for something */
        ck_assert_int_eq(fcntl(received->files[i], F_GETFD), FD_CLOEXEC);
        ck_assert_int_eq(write(writers[i], &"abc"[i], 1), 1);
        ck_assert_int_eq(read(received->files[i], &byte, 1), 1);
        ck_assert_int_eq(byte, "abc"[i]);
    }
    int kept = received->files[1];
    received->files[1] = RONDO_INVALID_FILE;
    rondo_received_fds_free(received);
    ck_assert(peer_is_open(kept));
    close(kept);
    close_all(writers, 3);
    end();
}
END_TEST

START_TEST(test_waits)
{
    int writers[1];
    begin();
    rondo_future *future = rondo_sock_recv_fds(loop, pair[0], memory, sizeof memory, 1);
    support_run_passes(loop, 3);
    ck_assert(!rondo_future_done(future));
    send_pipes(writers, 1);
    run_until(loop, rondo_future_done(future));
    void *value = NULL;
    ck_assert_int_eq(rondo_future_take(future, &value), 0);
    rondo_future_unref(future);
    ck_assert_uint_eq(((rondo_received_fds *) value)->count, 1);
    rondo_received_fds_free(value);
    close_all(writers, 1);
    /* bytes alone, and the end of the stream */
    ck_assert_int_eq(net_finish(loop, rondo_sock_send_fds(loop, pair[1], "x", 1, NULL, 0), NULL), 1);
    rondo_received_fds *received = receive(4);
    ck_assert(received->length == 1 && received->count == 0 && !received->is_cut);
    rondo_received_fds_free(received);
    peer_shutdown(pair[1]);
    received = receive(4);
    ck_assert(received->length == 0 && received->count == 0);
    rondo_received_fds_free(received);
    rondo_received_fds_free(NULL);
    end();
}
END_TEST

START_TEST(test_cut)
{
    int writers[MANY];
    begin();
    for (size_t most = 0; most <= 2; most++) {
        size_t before = peer_descriptors();
        send_pipes(writers, MANY);
        rondo_received_fds *received = receive(most);
        ck_assert_uint_eq(received->count, most);
        ck_assert(received->is_cut);
        close_all(writers, MANY);
        ck_assert_uint_eq(peer_descriptors(), before + most); /* the surplus is closed */
        rondo_received_fds_free(received);
    }
    end();
}
END_TEST

START_TEST(test_no_descriptors_left)
{
    int writers[4];
    struct rlimit limit, low;
    begin();
    send_pipes(writers, 4);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    int next = dup(0); /* the lowest free number: one more file fits, and no second one */
    close(next);
    low.rlim_cur = (rlim_t) next + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    rondo_received_fds *received = receive(4);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(received->length, 5);
    ck_assert_uint_le(received->count, 1);
    ck_assert(received->is_cut);
    rondo_received_fds_free(received);
    close_all(writers, 4);
    end();
}
END_TEST

START_TEST(test_cancelled)
{
    int writers[2];
    begin();
    rondo_future *future = rondo_sock_recv_fds(loop, pair[0], memory, sizeof memory, 2);
    support_run_passes(loop, _i);
    ck_assert(rondo_future_cancel(future));
    rondo_future_unref(future);
    /* nothing was taken: the next one gets all */
    send_pipes(writers, 2);
    rondo_received_fds *received = receive(2);
    ck_assert(received->length == 5 && received->count == 2);
    rondo_received_fds_free(received);
    /* one that came and that nobody takes is closed */
    close_all(writers, 2);
    send_pipes(writers, 2);
    future = rondo_sock_recv_fds(loop, pair[0], memory, sizeof memory, 2);
    run_until(loop, rondo_future_done(future));
    rondo_future_unref(future);
    close_all(writers, 2);
    end();
}
END_TEST

START_TEST(test_loop_closes)
{
    begin();
    rondo_future *future = rondo_sock_recv_fds(loop, pair[0], memory, sizeof memory, 1);
    support_run_passes(loop, 2);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert(rondo_future_cancelled(future));
    rondo_future_unref(future);
    ck_assert_ptr_null(rondo_sock_recv_fds(loop, pair[0], memory, sizeof memory, 1));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    peer_close(pair[0]);
    peer_close(pair[1]);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

static char large[1 << 16];

START_TEST(test_full_socket)
{
    int ends[2];
    begin();
    ck_assert_int_eq(pipe(ends), 0);
    while (peer_send_now(pair[1], large, sizeof large))
        continue;
    rondo_future *future = rondo_sock_send_fds(loop, pair[1], "late", 4, &ends[0], 1);
    support_run_passes(loop, 3);
    ck_assert(!rondo_future_done(future));
    char byte[4096];
    rondo_received_fds *received = NULL;
    for (;;) { /* files mark a place in the stream: no receive goes beyond it */
        received = receive(1);
        if (received->count)
            break;
        rondo_received_fds_free(received);
        while (!rondo_future_done(future) && peer_recv_now(pair[0], byte, sizeof byte) > 0)
            support_run_passes(loop, 1);
    }
    ck_assert_int_eq(rondo_future_result(future, NULL), 4);
    rondo_future_unref(future);
    rondo_received_fds_free(received);
    close_all(ends, 2);
    end();
}
END_TEST

static int sends(void *context)
{
    (void) context;
    return rondo_await(rondo_sock_send_fds(loop, pair[1], "t", 1, &pair[0], 1), NULL);
}

static int receives(void *context)
{
    rondo_received_fds *received = NULL;
    int rc = rondo_await_received_fds(rondo_sock_recv_fds(loop, pair[0], memory, 1, 1), &received);
    if (rc < 0)
        return rc;
    *(size_t *) context = received->count;
    rondo_received_fds_free(received);
    rc = rondo_await(rondo_sock_send_fds(loop, pair[1], "t", 1, &pair[0], 1), NULL);
    return rc < 0 ? rc : rondo_await_received_fds(rondo_sock_recv_fds(loop, pair[0], memory, 1, 1), NULL);
}

START_TEST(test_in_tasks)
{
    size_t count = 0;
    begin();
    rondo_task *task = rondo_create_task(loop, receives, &count);
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, sends, NULL), NULL), 1);
    ck_assert_int_eq(net_finish(loop, task, NULL), 0);
    ck_assert_uint_eq(count, 1);
    end();
}
END_TEST

START_TEST(test_refused)
{
    rondo_file file = 0, closed = 999;
    rondo_socket tcp[2];
    begin();
    peer_tcp_pair(tcp);
    fcntl(tcp[0], F_SETFL, O_NONBLOCK);
    net_refused(rondo_sock_send_fds(loop, tcp[0], "x", 1, &file, 1), RONDO_EINVAL);
    net_refused(rondo_sock_recv_fds(loop, tcp[0], memory, 1, 1), RONDO_EINVAL);
    net_refused(rondo_sock_send_fds(loop, pair[0], "x", 1, NULL, 1), RONDO_EINVAL);
    net_refused(rondo_sock_send_fds(loop, pair[0], "x", 1, &file, 254), RONDO_EINVAL);
    net_refused(rondo_sock_send_fds(loop, pair[0], "", 0, &file, 1), RONDO_EINVAL);
    net_refused(rondo_sock_send_fds(loop, pair[0], NULL, 1, &file, 1), RONDO_EINVAL);
    net_refused(rondo_sock_recv_fds(loop, pair[0], memory, 0, 1), RONDO_EINVAL);
    net_refused(rondo_sock_recv_fds(loop, pair[0], NULL, 1, 1), RONDO_EINVAL);
    net_refused(rondo_sock_send_fds(loop, RONDO_INVALID_SOCKET, "x", 1, &file, 1), RONDO_EBADF);
    net_refused(rondo_sock_send_fds(NULL, pair[0], "x", 1, &file, 1), RONDO_EINVAL);
    net_refused(rondo_sock_recv_fds(NULL, pair[0], memory, 1, 1), RONDO_EINVAL);
    /* the kernel looks at the files */
    ck_assert_int_eq(net_finish(loop, rondo_sock_send_fds(loop, pair[0], "x", 1, &closed, 1), NULL),
                     RONDO_EBADF);
    peer_close(tcp[0]);
    peer_close(tcp[1]);
    end();
}
END_TEST

/* A peer that sends more than anybody asked for, and goes. */
START_TEST(test_hostile_peer)
{
    int writers[MANY];
    begin();
    send_pipes(writers, MANY);
    close_all(writers, MANY);
    peer_shutdown(pair[1]);
    /* who only reads bytes gets no files */
    ck_assert_int_eq(peer_recv_now(pair[0], memory, sizeof memory), 5);
    rondo_received_fds *received = receive(1);
    ck_assert_uint_eq(received->count, 0);
    rondo_received_fds_free(received);
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "files that travel");
    tcase_add_test(tcase, test_travels);
    tcase_add_test(tcase, test_waits);
    tcase_add_test(tcase, test_cut);
    if (support_has_own_limits())
        fprintf(stderr, "SKIP no descriptors left: valgrind has limits of its own\n");
    else
        tcase_add_test(tcase, test_no_descriptors_left);
    tcase_add_loop_test(tcase, test_cancelled, 0, 3);
    tcase_add_test(tcase, test_loop_closes);
    tcase_add_test(tcase, test_full_socket);
    tcase_add_test(tcase, test_in_tasks);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_hostile_peer);
}

int main(void)
{
    return support_main("files that travel", add_cases);
}
