/* SPDX-License-Identifier: MIT */
/* sock_sendfile: a file to a socket of the program's, as a low-level socket operation (sock.c).
 *
 * The happy path: each try sends as much as the socket takes, at most a budget, by sendfile(2); the next one comes when the
 * socket is ready again. Where the system cannot do it, and for a socket that would block, blocks are read and sent.
 * Failures: those of the calls. Invariant: what was read and not sent is read again, so nothing is kept in between. */
#include <limits.h>

#include <rondo/sendfile.h>

#include "../../platform/file.h"
#include "../../platform/sockaddr.h" /* SOCK_STREAM */
#include "sock.h"

#define BUDGET ((size_t) 1024 * 1024) /* bytes in a try */
#define BLOCK ((size_t) 8 * 1024)     /* of the fallback: on the stack, which may be a task's */

static void note(struct rondo_sock_call *call, ptrdiff_t n)
{
    struct rondo_sock_file *file = &call->file;
    file->offset += n;
    file->left -= n;
    file->sent += n;
    if (file->ret_sent)
        *file->ret_sent = file->sent;
}

static size_t cut(const struct rondo_sock_file *file, size_t most)
{
    return file->left < (int64_t) most ? (size_t) file->left : most;
}

static ptrdiff_t send_block(struct rondo_sock_call *call)
{
    unsigned char block[BLOCK];
    struct rondo_sock_file *file = &call->file;
    ptrdiff_t n = rondo_file_read_at(file->file, file->offset, block, cut(file, BLOCK));
    return n > 0 ? rondo_socket_sendto(call->sock, block, (size_t) n, NULL) : n;
}

/* Until the budget is used up, or it is over. */
static ptrdiff_t send_blocks(struct rondo_sock_call *call)
{
    for (size_t i = 0; i < BUDGET / BLOCK; i++) {
        ptrdiff_t n = send_block(call);
        if (n <= 0)
            return n;
        note(call, n);
        if (!call->file.left)
            return 0;
    }
    return RONDO_EAGAIN;
}

static ptrdiff_t send_natively(struct rondo_sock_call *call)
{
    if (!call->file.left)
        return 0;
    ptrdiff_t n = rondo_file_send(call->sock, call->file.file, call->file.offset, cut(&call->file, BUDGET));
    if (n <= 0)
        return n;
    note(call, n);
    return RONDO_EAGAIN; /* behind the last byte it hears of room once more, as in asyncio */
}

static ptrdiff_t try_sendfile(struct rondo_sock_call *call)
{
    struct rondo_sock_file *file = &call->file;
    ptrdiff_t rc = file->is_native ? send_natively(call) : RONDO_ENOTSUP;
    if (rc == RONDO_ENOTSUP && file->may_fall_back) {
        file->is_native = false;
        rc = send_blocks(call);
    }
    if (rc < 0)
        return rondo_sock_outcome(rc);
    return file->sent < INT_MAX ? (ptrdiff_t) file->sent : INT_MAX;
}

static void give_count(struct rondo_sock_call *call, ptrdiff_t result)
{
    rondo_future_finish(&call->future, (int) result, NULL, NULL);
}

static int check_stream(rondo_socket sock)
{
    int type;
    int rc = rondo_socket_kind(sock, NULL, &type, NULL);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    return type == SOCK_STREAM ? 0 : rondo_fail(RONDO_EINVAL, "only SOCK_STREAM type sockets are supported");
}

rondo_future *rondo_sock_sendfile(rondo_loop *loop, rondo_socket sock, rondo_file file, int64_t offset,
                                  int64_t count, bool fallback, int64_t *ret_sent)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_WRITE, try_sendfile, give_count, NULL };
    bool is_native;
    struct rondo_sock_call *call = rondo_sock_call_new(loop, sock, &kind);
    if (!call)
        return NULL;
    if (check_stream(sock) < 0 || rondo_sendfile_check(file, offset, count, fallback, &is_native) < 0) {
        rondo_future_unref(&call->future);
        return NULL;
    }
    call->file = (struct rondo_sock_file){
        .file = file,
        .offset = offset,
        .left = count,
        .ret_sent = ret_sent,
        .is_native = is_native && !call->is_blocking, /* sendfile(2) would wait there */
        .may_fall_back = fallback,
    };
    if (ret_sent)
        *ret_sent = 0;
    return rondo_sock_call_start(call);
}
