/* SPDX-License-Identifier: MIT */
/* See pipes.h. */
#define _GNU_SOURCE
#include "pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static void open_fifo(rondo_file ret_ends[2])
{
    char folder[] = "/tmp/rondo-test-XXXXXX";
    char path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ret_ends[PIPES_READ] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ret_ends[PIPES_WRITE] = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(ret_ends[PIPES_READ], 0);
    ck_assert_int_ge(ret_ends[PIPES_WRITE], 0);
    pipes_set_blocking(ret_ends[PIPES_READ], true);
    unlink(path);
    rmdir(folder);
}

void pipes_open(pipes_kind kind, rondo_file ret_ends[2])
{
    if (kind == PIPES_FIFO)
        open_fifo(ret_ends);
    else if (kind == PIPES_SOCKET)
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_ends), 0);
    else
        ck_assert_int_eq(pipe2(ret_ends, O_CLOEXEC), 0);
}

void pipes_open_terminal(rondo_file *ret_master, rondo_file *ret_terminal)
{
    char name[64];
    *ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(*ret_master, 0);
    ck_assert_int_eq(grantpt(*ret_master), 0);
    ck_assert_int_eq(unlockpt(*ret_master), 0);
    ck_assert_int_eq(ptsname_r(*ret_master, name, sizeof name), 0);
    *ret_terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(*ret_terminal, 0);
    struct termios mode;
    ck_assert_int_eq(tcgetattr(*ret_terminal, &mode), 0);
    cfmakeraw(&mode);
    ck_assert_int_eq(tcsetattr(*ret_terminal, TCSANOW, &mode), 0);
}

rondo_file pipes_open_file(size_t length)
{
    char path[] = "/tmp/rondo-test-XXXXXX";
    rondo_file file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    unlink(path);
    static char block[65536];
    for (size_t at = 0; at < length; at += sizeof block) {
        size_t n = length - at < sizeof block ? length - at : sizeof block;
        pattern_fill(block, n, at);
        pipes_write(file, block, n);
    }
    ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
    return file;
}

rondo_file pipes_open_zeros(void)
{
    rondo_file file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    return file;
}

void pipes_set_blocking(rondo_file file, bool blocks)
{
    int flags = fcntl(file, F_GETFL);
    ck_assert_int_ge(flags, 0);
    ck_assert_int_eq(fcntl(file, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK), 0);
}

void pipes_prepare(rondo_file file)
{
    pipes_set_blocking(file, support_backend_is_proactor());
}

void pipes_close(rondo_file file)
{
    ck_assert_int_eq(close(file), 0);
}

bool pipes_is_open(rondo_file file)
{
    return fcntl(file, F_GETFD) >= 0;
}

void pipes_write(rondo_file file, const void *data, size_t length)
{
    const char *bytes = data;
    while (length) {
        ssize_t n = write(file, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        ck_assert_int_gt(n, 0);
        bytes += n;
        length -= (size_t) n;
    }
}

void pipes_write_text(rondo_file file, const char *text)
{
    pipes_write(file, text, strlen(text));
}

static bool is_ready(rondo_file file, short events)
{
    struct pollfd slot = { .fd = file, .events = events };
    return poll(&slot, 1, 0) == 1;
}

ptrdiff_t pipes_read_now(rondo_file file, void *data, size_t capacity)
{
    if (!is_ready(file, POLLIN))
        return PEER_NOTHING;
    ssize_t n = read(file, data, capacity);
    return n < 0 && errno == EIO ? 0 : n; /* a terminal's end */
}

size_t pipes_fill(rondo_file file)
{
    static const char zeros[4096];
    size_t total = 0;
    while (is_ready(file, POLLOUT)) {
        ssize_t n = write(file, zeros, sizeof zeros);
        ck_assert_int_gt(n, 0);
        total += (size_t) n;
    }
    return total;
}

static void finish(rondo_loop *loop, const net_conn *conn, rondo_future *future)
{
    void *transport = NULL;
    int rc = net_finish(loop, future, &transport);
    ck_assert_msg(rc == 0, "connecting a pipe: %s", rondo_last_error_message());
    ck_assert_ptr_eq(transport, conn->transport);
}

void pipes_connect_read(rondo_loop *loop, net_conn *conn, rondo_file file)
{
    pipes_prepare(file);
    finish(loop, conn, rondo_connect_read_pipe(loop, net_factory, conn, file));
}

void pipes_connect_write(rondo_loop *loop, net_conn *conn, rondo_file file)
{
    pipes_prepare(file);
    finish(loop, conn, rondo_connect_write_pipe(loop, net_factory, conn, file));
}
