/* SPDX-License-Identifier: MIT */
/* Files that travel over Unix stream sockets: low-level socket operations that send and receive descriptors.
 *
 * The happy path is that of src/net/sock.c: one try, and more when the socket is ready. Failures: misuse at once, the
 * system's errors by the future. Invariant: a file that was received is in the structure that the future hands out, or closed:
 * whoever does not take it closes it by that. */
#include <rondo/task.h>
#include <rondo/unix_socket.h>

#include "../../platform/unix_socket.h"
#include "sock.h"
#include "unix_socket.h"

static struct rondo_sock_call *new_call(rondo_loop *loop, rondo_socket sock, const void *memory,
                                        size_t length, const struct rondo_sock_kind *kind)
{
    struct rondo_sock_call *call = rondo_sock_call_new(loop, sock, kind);
    if (!call)
        return NULL;
    int rc = rondo_unix_check_stream(sock);
    if (rc == 0 && (!memory || !length))
        rc = rondo_fail(RONDO_EINVAL, "files travel with at least one byte, and no memory for it is given");
    if (rc < 0) {
        rondo_future_unref(&call->future);
        return NULL;
    }
    call->memory = (unsigned char *) (uintptr_t) memory; /* of a send: only read from */
    call->length = length;
    return call;
}

/* --- sending --------------------------------------------------------------------------------------------------- */

static ptrdiff_t try_send(struct rondo_sock_call *call)
{
    return rondo_sock_outcome(
        rondo_unix_send_files(call->sock, call->memory, call->length, call->cargo, call->cargo_count));
}

static void give_number(struct rondo_sock_call *call, ptrdiff_t result)
{
    rondo_future_finish(&call->future, (int) result, NULL, NULL);
}

rondo_future *rondo_sock_send_fds(rondo_loop *loop, rondo_socket sock, const void *data, size_t length,
                                  const rondo_file *files, size_t count)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_WRITE, try_send, give_number, NULL };
    if ((!files && count) || count > RONDO_UNIX_MOST_FILES) {
        rondo_fail(RONDO_EINVAL, "no files given, or more than %d", RONDO_UNIX_MOST_FILES);
        return NULL;
    }
    struct rondo_sock_call *call = new_call(loop, sock, data, length, &kind);
    if (!call)
        return NULL;
    call->cargo = files;
    call->cargo_count = count;
    return rondo_sock_call_start(call);
}

/* --- receiving ------------------------------------------------------------------------------------------------- */

static ptrdiff_t try_receive(struct rondo_sock_call *call)
{
    rondo_received_fds *received = call->received_fds;
    return rondo_sock_outcome(rondo_unix_recv_files(call->sock, call->memory, call->length, received->files,
                                                    call->cargo_count, &received->count, &received->is_cut));
}

void rondo_received_fds_free(rondo_received_fds *received)
{
    if (!received)
        return;
    for (size_t i = 0; i < received->count; i++)
        if (received->files[i] != RONDO_INVALID_FILE)
            rondo_unix_close_file(received->files[i]);
    rondo_handout_free(received);
}

static void destroy_received(void *received)
{
    rondo_received_fds_free(received);
}

static void give_received(struct rondo_sock_call *call, ptrdiff_t result)
{
    rondo_received_fds *received = call->received_fds;
    call->received_fds = NULL;
    received->length = (size_t) result;
    rondo_future_finish(&call->future, 0, received, destroy_received);
}

rondo_future *rondo_sock_recv_fds(rondo_loop *loop, rondo_socket sock, void *memory, size_t length,
                                  size_t most)
{
    static const struct rondo_sock_kind kind = { RONDO_SIDE_READ, try_receive, give_received, NULL };
    struct rondo_sock_call *call = new_call(loop, sock, memory, length, &kind);
    if (!call)
        return NULL;
    call->cargo_count = most < RONDO_UNIX_MOST_FILES ? most : RONDO_UNIX_MOST_FILES;
    rondo_received_fds *received =
        rondo_handout_new(loop, sizeof *received + call->cargo_count * sizeof *received->files);
    if (!received) {
        rondo_future_unref(&call->future);
        return NULL;
    }
    *received = (rondo_received_fds){ .files = (rondo_file *) (void *) (received + 1) };
    call->received_fds = received;
    return rondo_sock_call_start(call);
}

int rondo_await_received_fds(rondo_future *future, rondo_received_fds **ret_received)
{
    void *received = NULL;
    int rc = rondo_await(future, &received);
    if (rc < 0)
        return rc;
    if (ret_received)
        *ret_received = received;
    else
        rondo_received_fds_free(received);
    return 0;
}
