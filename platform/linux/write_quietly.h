/* SPDX-License-Identifier: MIT */
/* Writing without SIGPIPE, on Linux. */
#ifndef RONDO_PLATFORM_LINUX_WRITE_QUIETLY_H
#define RONDO_PLATFORM_LINUX_WRITE_QUIETLY_H

#include <sys/types.h>
#include <sys/uio.h>

/* pwritev2 at the current place with @flags (RWF_NOWAIT or 0), errno and all. */
ssize_t rondo_write_quietly(int file, const struct iovec *vectors, int count, int flags);

#endif
