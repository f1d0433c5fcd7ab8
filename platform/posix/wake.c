/* SPDX-License-Identifier: MIT */
/* The wake channel by pipe(2), for the systems without an eventfd: one byte for each wake.
 *
 * Both ends are non-blocking, so that a full pipe, which is readable already, never holds a waker up. Failures: no
 * descriptors left. */
#include "../wake.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../socket.h"

static int prepare(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

int rondo_wake_open(struct rondo_wake *ret_wake)
{
    int ends[2];
    if (pipe(ends) < 0)
        return rondo_error_from_system(errno);
    if (prepare(ends[0]) < 0 || prepare(ends[1]) < 0) {
        int rc = rondo_error_from_system(errno);
        close(ends[0]);
        close(ends[1]);
        return rc;
    }
    ret_wake->reader = ends[0];
    ret_wake->writer = ends[1];
    return 0;
}

void rondo_wake_close(struct rondo_wake *wake)
{
    close(wake->reader);
    close(wake->writer);
    wake->reader = wake->writer = RONDO_INVALID_SOCKET;
}

void rondo_wake_signal(const struct rondo_wake *wake)
{
    int saved = errno;
    ssize_t n;
    do
        n = write(wake->writer, "", 1);
    while (n < 0 && errno == EINTR);
    errno = saved;
}

void rondo_wake_drain(const struct rondo_wake *wake)
{
    char bytes[512];
    ssize_t n;
    do
        n = read(wake->reader, bytes, sizeof bytes);
    while (n == (ssize_t) sizeof bytes || (n < 0 && errno == EINTR));
}
