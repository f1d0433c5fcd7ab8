/* SPDX-License-Identifier: MIT */
/* What calls that read and write have in common on Unix. */
#ifndef RONDO_PLATFORM_POSIX_IO_H
#define RONDO_PLATFORM_POSIX_IO_H

#include <errno.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "../socket.h"

/* @n, or the code of errno; interrupted is as good as not now. */
static inline ptrdiff_t rondo_io_result(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EINTR ? RONDO_EAGAIN : rondo_error_from_system(errno);
}

/* As many of the pieces as there is room for: how many. */
static inline int rondo_io_vectors(struct iovec *vectors, size_t capacity, const rondo_bytes *pieces,
                                   size_t count)
{
    if (count > capacity)
        count = capacity;
    for (size_t i = 0; i < count; i++)
        vectors[i] =
            (struct iovec){ .iov_base = (void *) (uintptr_t) pieces[i].data, .iov_len = pieces[i].length };
    return (int) count;
}

#endif
