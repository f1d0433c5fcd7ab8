/* SPDX-License-Identifier: MIT */
/* Which descriptors can be watched, and which is which: by fstat(2), one call for each descriptor that is added.
 *
 * epoll refuses those for which ready means nothing, poll and kqueue do not: this makes them alike. The inodes of sockets on Linux
 * are numbered as they are made, and cannot be opened once more, so they name what is open; those of files, devices and
 * pipes, of which both ends have one, do not. Failures: those of fstat. */
#define _GNU_SOURCE
#include "pollable.h"

#include <errno.h>
#include <sys/stat.h>

#include "../platform/socket.h"
#include "../src/base/error.h"

int rondo_pollable_check(rondo_socket sock)
{
    struct stat status;
    if (fstat(sock, &status) < 0)
        return rondo_fail(rondo_error_from_system(errno), NULL);
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        return rondo_fail(RONDO_EPERM, "files and folders cannot be watched: they are always ready");
    return 0;
}

#if defined(__linux__)
uint32_t rondo_pollable_identity(rondo_socket sock)
{
    struct stat status;
    if (fstat(sock, &status) < 0 || !S_ISSOCK(status.st_mode))
        return 0;
    return (uint32_t) status.st_ino | RONDO_IDENTITY_KNOWN;
}
#else
uint32_t rondo_pollable_identity(rondo_socket sock)
{
    (void) sock;
    return 0;
}
#endif
