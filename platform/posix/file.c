/* SPDX-License-Identifier: MIT */
/* Files and pipes by the POSIX calls; see platform/file.h.
 *
 * SIGPIPE, the cheapest way that there is: Linux 6.18 and newer can be told with each write, macOS and NetBSD with each
 * descriptor; elsewhere the signal is held back around the write. Failures: those of the calls. */
#define _GNU_SOURCE
#include "../file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/sendfile.h>

#include "../linux/write_quietly.h"
#elif defined(__FreeBSD__) || defined(__APPLE__)
#include <sys/socket.h>
#endif

#include "io.h"
#include "sigpipe.h"

static int check(int rc)
{
    return rc < 0 ? rondo_error_from_system(errno) : 0;
}

int rondo_file_kind(rondo_file file, enum rondo_file_kind *ret_kind)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return rondo_error_from_system(errno);
    *ret_kind = S_ISREG(status.st_mode)    ? RONDO_FILE_REGULAR
                : S_ISFIFO(status.st_mode) ? RONDO_FILE_PIPE
                : S_ISSOCK(status.st_mode) ? RONDO_FILE_SOCKET
                : S_ISCHR(status.st_mode)  ? RONDO_FILE_DEVICE
                                           : RONDO_FILE_OTHER;
    return 0;
}

int rondo_file_is_nonblocking(rondo_file file)
{
    return rondo_socket_is_nonblocking(file);
}

int rondo_file_silence(rondo_file file)
{
#if defined(F_SETNOSIGPIPE)
    return check(fcntl(file, F_SETNOSIGPIPE, 1));
#else
    (void) file;
    return check(0);
#endif
}

ptrdiff_t rondo_file_read(rondo_file file, void *buffer, size_t length)
{
    return rondo_io_result(read(file, buffer, length));
}

#if defined(__linux__)

static ssize_t write_pieces(int file, const struct iovec *vectors, int count)
{
    return rondo_write_quietly(file, vectors, count, 0);
}

#elif defined(F_SETNOSIGPIPE)

static ssize_t write_pieces(int file, const struct iovec *vectors, int count)
{
    return writev(file, vectors, count);
}

#else

static ssize_t write_pieces(int file, const struct iovec *vectors, int count)
{
    struct rondo_sigpipe held;
    rondo_sigpipe_hold(&held);
    ssize_t n = writev(file, vectors, count);
    rondo_sigpipe_release(&held, true);
    return n;
}

#endif

ptrdiff_t rondo_file_write(rondo_file file, const rondo_bytes *pieces, size_t count)
{
    struct iovec vectors[16];
    return rondo_io_result(write_pieces(file, vectors, rondo_io_vectors(vectors, 16, pieces, count)));
}

ptrdiff_t rondo_file_read_at(rondo_file file, int64_t offset, void *buffer, size_t length)
{
    return rondo_io_result(pread(file, buffer, length, (off_t) offset));
}

/* --- sending files --------------------------------------------------------------------------------- */

#if defined(__linux__)

static ssize_t send_file(int sock, int file, off_t offset, size_t length)
{
    return sendfile(sock, file, &offset, length);
}

#elif defined(__FreeBSD__)

static ssize_t send_file(int sock, int file, off_t offset, size_t length)
{
    off_t sent = 0;
    int rc = sendfile(file, sock, offset, length, NULL, &sent, 0);
    return rc < 0 && sent == 0 ? -1 : (ssize_t) sent; /* what was sent before the error counts first */
}

#elif defined(__APPLE__)

static ssize_t send_file(int sock, int file, off_t offset, size_t length)
{
    off_t sent = (off_t) length;
    int rc = sendfile(file, sock, offset, &sent, NULL, 0);
    return rc < 0 && sent == 0 ? -1 : (ssize_t) sent;
}

#else

static ssize_t send_file(int sock, int file, off_t offset, size_t length)
{
    (void) sock;
    (void) file;
    (void) offset;
    (void) length;
    errno = ENOSYS;
    return -1;
}

#endif

/* What says that these two cannot be had, rather than that the connection has failed. */
static bool is_refusal(int number)
{
#if EOPNOTSUPP != ENOTSUP
    if (number == ENOTSUP)
        return true;
#endif
    return number == EINVAL || number == ENOSYS || number == EOPNOTSUPP || number == ENOTSOCK ||
           number == EOVERFLOW || number == ESPIPE;
}

ptrdiff_t rondo_file_send(rondo_socket sock, rondo_file file, int64_t offset, size_t length)
{
    struct rondo_sigpipe held;
    rondo_sigpipe_hold(&held); /* this call knows no MSG_NOSIGNAL */
    ssize_t n = send_file(sock, file, (off_t) offset, length);
    rondo_sigpipe_release(&held, n < 0 || (size_t) n < length);
    if (n < 0 && is_refusal(errno))
        return RONDO_ENOTSUP;
    return rondo_io_result(n);
}
