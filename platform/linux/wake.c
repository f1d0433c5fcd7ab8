/* SPDX-License-Identifier: MIT */
/* The wake channel by eventfd(2): one descriptor, whose counter merges any number of wakes. */
#define _GNU_SOURCE
#include "../wake.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../socket.h"

int rondo_wake_open(struct rondo_wake *ret_wake)
{
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0)
        return rondo_error_from_system(errno);
    ret_wake->reader = ret_wake->writer = descriptor;
    return 0;
}

void rondo_wake_close(struct rondo_wake *wake)
{
    close(wake->reader);
    wake->reader = wake->writer = -1;
}

void rondo_wake_signal(const struct rondo_wake *wake)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t n = write(wake->writer, &one, sizeof one); /* a full counter is readable already */
    (void) n;
    errno = saved;
}

void rondo_wake_drain(const struct rondo_wake *wake)
{
    uint64_t count;
    ssize_t n = read(wake->reader, &count, sizeof count);
    (void) n;
}
