/* SPDX-License-Identifier: MIT */
/* platform/file.h on Unix: kinds, reading and writing pipes, files at a place, sending files; and no SIGPIPE from any of it. */
#define _GNU_SOURCE
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/posix/sigpipe.h"
#include "platform/socket.h"

static int make_file(const char *text)
{
    char path[] = "/tmp/rondo-test-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    unlink(path);
    ck_assert_int_eq(write(file, text, strlen(text)), (ssize_t) strlen(text));
    return file;
}

START_TEST(test_kinds)
{
    enum rondo_file_kind kind;
    int pair[2];
    int file = make_file("x"), folder = open("/", O_RDONLY), device = open("/dev/null", O_RDWR);
    ck_assert_int_eq(rondo_file_kind(file, &kind), 0);
    ck_assert_int_eq(kind, RONDO_FILE_REGULAR);
    ck_assert_int_eq(rondo_file_kind(folder, &kind), 0);
    ck_assert_int_eq(kind, RONDO_FILE_OTHER);
    ck_assert_int_eq(rondo_file_kind(device, &kind), 0);
    ck_assert_int_eq(kind, RONDO_FILE_DEVICE);
    close(file);
    close(folder);
    close(device);
    ck_assert_int_eq(pipe(pair), 0);
    ck_assert_int_eq(rondo_file_kind(pair[0], &kind), 0);
    ck_assert_int_eq(kind, RONDO_FILE_PIPE);
    ck_assert_int_eq(rondo_file_is_nonblocking(pair[0]), 0);
    close(pair[0]);
    close(pair[1]);
    ck_assert_int_eq(rondo_file_kind(pair[1], &kind), RONDO_EBADF);
    ck_assert_int_eq(rondo_socket_pair(pair), 0);
    ck_assert_int_eq(rondo_file_kind(pair[0], &kind), 0);
    ck_assert_int_eq(kind, RONDO_FILE_SOCKET);
    ck_assert_int_eq(rondo_file_is_nonblocking(pair[0]), 1);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void) number;
    signals++;
}

static void set_disposition(void (*handler)(int number))
{
    struct sigaction action = { .sa_handler = handler };
    ck_assert_int_eq(sigaction(SIGPIPE, &action, NULL), 0);
}

static bool is_pending(void)
{
    sigset_t pending;
    ck_assert_int_eq(sigpending(&pending), 0);
    return sigismember(&pending, SIGPIPE);
}

static bool is_blocked(void)
{
    sigset_t mask;
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    return sigismember(&mask, SIGPIPE);
}

static void block(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    ck_assert_int_eq(pthread_sigmask(how, &set, NULL), 0);
}

static void broken_pipe(int ret_pair[2])
{
    ck_assert_int_eq(pipe(ret_pair), 0);
    close(ret_pair[0]);
}

/* Whatever the program does with the signal: it does not come, and nothing of the program's is changed. */
START_TEST(test_no_signal)
{
    void (*const handlers[])(int number) = { count_signal, SIG_IGN, SIG_DFL };
    rondo_bytes pieces[2] = { { "a", 1 }, { "bc", 2 } };
    int pair[2];
    signals = 0;
    set_disposition(handlers[_i % 3]);
    if (_i >= 3)
        block(SIG_BLOCK);
    broken_pipe(pair);
    ck_assert_int_eq(rondo_file_write(pair[1], pieces, 2), RONDO_EPIPE);
    ck_assert_int_eq(rondo_file_write(pair[1], pieces, 1), RONDO_EPIPE);
    ck_assert(!is_pending());
    ck_assert_int_eq(is_blocked(), _i >= 3);
    block(SIG_UNBLOCK);
    ck_assert_int_eq(signals, 0);
    close(pair[1]);
    ck_assert_int_eq(rondo_socket_pair(pair), 0);
    int file = make_file("text");
    close(pair[1]);
    ck_assert_int_eq(rondo_file_send(pair[0], file, 0, 4), RONDO_EPIPE);
    ck_assert(!is_pending());
    ck_assert_int_eq(signals, 0);
    close(file);
    close(pair[0]);
}
END_TEST

/* The way of systems that cannot be told with each write. */
START_TEST(test_held)
{
    int pair[2];
    struct rondo_sigpipe held;
    signals = 0;
    set_disposition(count_signal);
    broken_pipe(pair);
    for (int i = 0; i < 3; i++) {
        rondo_sigpipe_hold(&held);
        ck_assert_int_eq(write(pair[1], "x", 1), -1);
        ck_assert(is_pending());
        rondo_sigpipe_release(&held, true);
        ck_assert(!is_pending());
        ck_assert(!is_blocked());
    }
    ck_assert_int_eq(signals, 0);
    /* one that was pending before is the program's */
    block(SIG_BLOCK);
    raise(SIGPIPE);
    rondo_sigpipe_hold(&held);
    ck_assert_int_eq(write(pair[1], "x", 1), -1);
    rondo_sigpipe_release(&held, true);
    ck_assert(is_pending());
    block(SIG_UNBLOCK);
    ck_assert_int_eq(signals, 1);
    close(pair[1]);
}
END_TEST

START_TEST(test_pipes)
{
    int pair[2];
    char text[16] = "";
    rondo_bytes pieces[20];
    ck_assert_int_eq(pipe2(pair, O_NONBLOCK), 0);
    ck_assert_int_eq(rondo_file_read(pair[0], text, sizeof text), RONDO_EAGAIN);
    for (int i = 0; i < 20; i++)
        pieces[i] = (rondo_bytes){ "x", 1 };
    ptrdiff_t n = rondo_file_write(pair[1], pieces, 20);
    ck_assert_int_gt(n, 0); /* as many as it takes */
    ck_assert_int_le(n, 20);
    ck_assert_int_eq(rondo_file_read(pair[0], text, sizeof text), n < 16 ? n : 16);
    while ((n = rondo_file_read(pair[0], text, sizeof text)) > 0)
        continue;
    ck_assert_int_eq(n, RONDO_EAGAIN);
    close(pair[1]);
    ck_assert_int_eq(rondo_file_read(pair[0], text, sizeof text), 0);
    close(pair[0]);
}
END_TEST

START_TEST(test_places)
{
    int file = make_file("0123456789");
    char text[16] = "";
    ck_assert_int_eq(rondo_file_read_at(file, 4, text, 3), 3);
    ck_assert_str_eq(text, "456");
    ck_assert_int_eq(rondo_file_read_at(file, 8, text, sizeof text), 2);
    ck_assert_int_eq(rondo_file_read_at(file, 10, text, sizeof text), 0);
    ck_assert_int_eq(rondo_file_read_at(file, 1000, text, sizeof text), 0);
    ck_assert_int_eq(lseek(file, 0, SEEK_CUR), 10);
    close(file);
    ck_assert_int_eq(rondo_file_read_at(file, 0, text, 1), RONDO_EBADF);
}
END_TEST

START_TEST(test_sending)
{
    int file = make_file("0123456789"), pair[2], ends[2];
    char text[16] = "";
    ck_assert_int_eq(rondo_socket_pair(pair), 0);
    ptrdiff_t n = rondo_file_send(pair[0], file, 3, 5);
    if (n != RONDO_ENOTSUP) { /* a system without */
        ck_assert_int_eq(n, 5);
        ck_assert_int_eq(read(pair[1], text, sizeof text), 5);
        ck_assert_str_eq(text, "34567");
        ck_assert_int_eq(rondo_file_send(pair[0], file, 10, 5), 0);
        while ((n = rondo_file_send(pair[0], file, 0, 10)) > 0)
            continue;
        ck_assert_int_eq(n, RONDO_EAGAIN);
        ck_assert_int_eq(lseek(file, 0, SEEK_CUR), 10);
    }
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(rondo_file_send(pair[0], ends[0], 0, 1), RONDO_ENOTSUP);
    close(file);
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(ends[i]);
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *files = support_case(suite, "files");
    tcase_add_test(files, test_kinds);
    tcase_add_loop_test(files, test_no_signal, 0, 6);
    tcase_add_test(files, test_held);
    tcase_add_test(files, test_pipes);
    tcase_add_test(files, test_places);
    tcase_add_test(files, test_sending);
}

int main(void)
{
    return support_main_once("file", add_cases);
}
