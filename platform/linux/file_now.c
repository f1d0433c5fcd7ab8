/* SPDX-License-Identifier: MIT */
/* Reading and writing that never waits, and writing without SIGPIPE, by preadv2 and pwritev2.
 *
 * The happy path is one system call. Whether this kernel can be told to raise no SIGPIPE (RWF_NOSIGNAL, Linux 6.18) is asked
 * once, of a pipe made for it; older ones have the signal held back around the write. Failures: EOPNOTSUPP where the
 * descriptor does not know RWF_NOWAIT; devices that know no flags at all are written to without. */
#define _GNU_SOURCE
#include "../file_now.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "../posix/io.h"
#include "../posix/sigpipe.h"
#include "write_quietly.h"

#if !defined(RWF_NOSIGNAL)
#define RWF_NOSIGNAL 0x00000100 /* linux/fs.h of 6.18 */
#endif

enum { UNKNOWN, MISSING, THERE };

/* Not having a descriptor to ask with is no answer. */
static int ask_for_flag(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return UNKNOWN;
    char byte = 0;
    struct iovec vector = { &byte, 1 };
    int answer = pwritev2(ends[1], &vector, 1, -1, RWF_NOSIGNAL) == 1 ? THERE : MISSING;
    close(ends[0]);
    close(ends[1]);
    return answer;
}

static bool has_flag(void)
{
    static atomic_int known;
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == UNKNOWN) {
        answer = ask_for_flag();
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == THERE;
}

static ssize_t write_held(int file, const struct iovec *vectors, int count, int flags)
{
    struct rondo_sigpipe held;
    rondo_sigpipe_hold(&held);
    ssize_t n = flags ? pwritev2(file, vectors, count, -1, flags) : writev(file, vectors, count);
    rondo_sigpipe_release(&held, true);
    return n;
}

ssize_t rondo_write_quietly(int file, const struct iovec *vectors, int count, int flags)
{
    if (!has_flag())
        return write_held(file, vectors, count, flags);
    ssize_t n = pwritev2(file, vectors, count, -1, flags | RWF_NOSIGNAL);
    if (n < 0 && errno == EOPNOTSUPP && !flags)
        return write_held(file, vectors, count, 0);
    return n;
}

ptrdiff_t rondo_file_read_now(rondo_file file, void *buffer, size_t length)
{
    struct iovec vector = { buffer, length };
    return rondo_io_result(preadv2(file, &vector, 1, -1, RWF_NOWAIT));
}

ptrdiff_t rondo_file_write_now(rondo_file file, const rondo_bytes *pieces, size_t count)
{
    struct iovec vectors[16];
    int used = rondo_io_vectors(vectors, 16, pieces, count);
    return rondo_io_result(rondo_write_quietly(file, vectors, used, RWF_NOWAIT));
}
