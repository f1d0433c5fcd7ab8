/* SPDX-License-Identifier: MIT */
/* Watched descriptors on Linux: everything that its kernel can poll, and how often epoll is told.
 *
 * The calls of epoll_ctl are counted by a function of that name in this program, which stands before libc's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "peer.h"

static rondo_loop *loop;
static int told; /* how often epoll was */

int epoll_ctl(int set, int verb, int descriptor, struct epoll_event *event)
{
    told++;
    return (int) syscall(SYS_epoll_ctl, set, verb, descriptor, event);
}

static void begin(void)
{
    loop = support_extended_loop();
}

static void count_call(void *context)
{
    ++*(int *) context;
}

static int number, calls;

/* It is told of nothing, then made ready, then told of it. */
static void readable_after(int descriptor, void (*make_ready)(int descriptor))
{
    calls = 0;
    number = descriptor;
    ck_assert_msg(rondo_loop_add_reader(loop, descriptor, count_call, &calls) == 0, "%s",
                  rondo_last_error_message());
    support_run_passes(loop, 3);
    ck_assert_int_eq(calls, 0);
    make_ready(descriptor);
    run_until(loop, calls >= 2);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, descriptor), 1);
    int before = calls;
    support_run_passes(loop, 2);
    ck_assert_int_eq(calls, before);
}

static void write_number(int descriptor)
{
    uint64_t one = 1;
    ck_assert_int_eq((int) write(descriptor, &one, sizeof one), sizeof one);
}

START_TEST(test_eventfd)
{
    begin();
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    calls = 0;
    ck_assert_int_eq(rondo_loop_add_writer(loop, descriptor, count_call, &calls), 0);
    run_until(loop, calls == 2);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, descriptor), 1);
    readable_after(descriptor, write_number);
    peer_close(descriptor);
    /* another one with this number, which no inode tells from it */
    ck_assert_int_eq(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), descriptor);
    readable_after(descriptor, write_number);
    peer_close(descriptor);
    support_loop_end(loop);
}
END_TEST

static void set_timer(int descriptor)
{
    struct itimerspec span = { .it_value.tv_nsec = 1 };
    ck_assert_int_eq(timerfd_settime(descriptor, 0, &span, NULL), 0);
}

static void raise_signal(int descriptor)
{
    (void) descriptor;
    ck_assert_int_eq(kill(getpid(), SIGUSR2), 0);
}

START_TEST(test_timerfd_and_signalfd)
{
    begin();
    int descriptor = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    readable_after(descriptor, set_timer);
    peer_close(descriptor);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, &old), 0);
    descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    readable_after(descriptor, raise_signal);
    struct signalfd_siginfo info;
    ck_assert_int_eq((int) read(descriptor, &info, sizeof info), sizeof info);
    peer_close(descriptor);
    ck_assert_int_eq(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    support_loop_end(loop);
}
END_TEST

static char folder[] = "/tmp/rondo-watch-XXXXXX";

static void touch(int descriptor)
{
    (void) descriptor;
    char path[sizeof folder + 4];
    snprintf(path, sizeof path, "%s/it", folder);
    peer_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ck_assert_int_eq(unlink(path), 0);
}

START_TEST(test_inotify)
{
    begin();
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    ck_assert_int_ge(inotify_add_watch(descriptor, folder, IN_CREATE), 0);
    readable_after(descriptor, touch);
    peer_close(descriptor);
    ck_assert_int_eq(rmdir(folder), 0);
    support_loop_end(loop);
}
END_TEST

static int inner;

static void make_inner_ready(int descriptor)
{
    (void) descriptor;
    write_number(inner);
}

START_TEST(test_epoll)
{
    begin();
    int descriptor = epoll_create1(EPOLL_CLOEXEC);
    inner = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN };
    ck_assert_int_eq(epoll_ctl(descriptor, EPOLL_CTL_ADD, inner, &event), 0);
    readable_after(descriptor, make_inner_ready);
    peer_close(inner);
    peer_close(descriptor);
    support_loop_end(loop);
}
END_TEST

static int keyboard;

static void type_a_line(int descriptor)
{
    (void) descriptor;
    ck_assert_int_eq((int) write(keyboard, "line\n", 5), 5);
}

START_TEST(test_terminal)
{
    begin();
    keyboard = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(keyboard, 0);
    ck_assert_int_eq(grantpt(keyboard) | unlockpt(keyboard), 0);
    int descriptor = open(ptsname(keyboard), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(descriptor, 0);
    readable_after(descriptor, type_a_line);
    peer_close(descriptor);
    peer_close(keyboard);
    support_loop_end(loop);
}
END_TEST

static void destroyed(void *context)
{
    ++*(int *) context;
}

/* A device that epoll and kqueue cannot watch: they say so, late, but then nobody waits in vain. */
START_TEST(test_null_device)
{
    begin();
    int descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
    calls = 0;
    rondo_call call = { sizeof call, count_call, &calls, destroyed, "null", 0 };
    int rc = rondo_loop_add_reader_call(loop, descriptor, &call);
    if (rc == 0)
        run_until(loop, calls >= 1);
    if (support_backend() == RONDO_BACKEND_EPOLL || support_backend() == RONDO_BACKEND_KQUEUE) {
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(support_reports(), 1);
        ck_assert_int_lt(support_report_at(0)->context.error, 0);
        ck_assert_int_eq(support_report_at(0)->context.socket, descriptor);
        ck_assert_int_eq(calls, 1); /* released, and not called */
        ck_assert_int_eq(rondo_loop_remove_reader(loop, descriptor), 0);
        support_reports_clear();
    } else if (rc == 0) {
        ck_assert_int_eq(rondo_loop_remove_reader(loop, descriptor), 1);
    }
    peer_close(descriptor);
    support_loop_end(loop);
}
END_TEST

/* At most one call of epoll_ctl for a watch; none for one that is removed and added again, or the other way round. */
START_TEST(test_epoll_is_told_once)
{
    if (support_backend() != RONDO_BACKEND_EPOLL)
        return;
    begin();
    enum { COUNT = 1000 };
    rondo_socket pair[2];
    calls = 0;
    peer_pair(pair);
    support_run_passes(loop, 1);
    told = 0;
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], count_call, &calls), 0);
        ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    }
    support_run_passes(loop, 1);
    ck_assert_int_eq(told, 0);
    ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], count_call, &calls), 0);
    support_run_passes(loop, 1);
    ck_assert_int_eq(told, 1);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
        ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], count_call, &calls), 0);
        ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], count_call, &calls), 0); /* replaced */
        support_run_passes(loop, i % 2);
    }
    ck_assert_int_eq(told, 1);
    ck_assert_int_eq(rondo_loop_add_writer(loop, pair[0], count_call, &calls), 0);
    run_until(loop, calls == 2);
    ck_assert_int_eq(told, 2); /* the other side */
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
    support_run_passes(loop, 1);
    ck_assert_int_eq(told, 3);
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "kinds");
    tcase_add_test(tcase, test_eventfd);
    tcase_add_test(tcase, test_timerfd_and_signalfd);
    tcase_add_test(tcase, test_inotify);
    tcase_add_test(tcase, test_epoll);
    tcase_add_test(tcase, test_terminal);
    tcase_add_test(tcase, test_null_device);
    tcase = support_case(suite, "calls");
    tcase_add_test(tcase, test_epoll_is_told_once);
}

int main(void)
{
    return support_main("watch on Linux", add_cases);
}
