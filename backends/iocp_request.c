/* SPDX-License-Identifier: MIT */
/* Requests of the IOCP driver, and the table of the sockets that the port has.
 *
 * Happy path: an op takes a request from the pool, starts it, and gets it back through the queue with the
 * result filled in: from the packet, or at once where the socket posts none for that.
 * Failures: memory, and sockets that some other port has already (RONDO_EBUSY).
 * Invariants: after ERROR_IO_PENDING, or a success on a socket that does not skip, exactly one packet
 * comes; after any other error none does. A request is not given back while it is KERNEL. */
#include <assert.h>
#include <string.h>

#include "../platform/socket.h"
#include "../src/base/container.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"
#include "iocp.h"

/* --- the pool -------------------------------------------------------------------------------------- */

static int rondo_iocp_grow(struct rondo_iocp *iocp)
{
    uint32_t count = iocp->request_count ? iocp->request_count * 2 : 64;
    size_t size = count * sizeof iocp->requests[0];
    struct rondo_iocp_request **requests = rondo_reallocate(iocp->allocator, iocp->requests, size);
    if (!requests)
        return RONDO_ENOMEM;
    iocp->requests = requests;
    memset(requests + iocp->request_count, 0, (count - iocp->request_count) * sizeof requests[0]);
    while (iocp->request_count < count) {
        struct rondo_iocp_request *request = rondo_allocate_zeroed(iocp->allocator, sizeof *request);
        if (!request)
            return iocp->free_request == RONDO_IOCP_NONE ? RONDO_ENOMEM : 0;
        request->iocp = iocp;
        request->slot = iocp->request_count;
        request->next_free = iocp->free_request;
        iocp->free_request = request->slot;
        requests[iocp->request_count++] = request;
    }
    return 0;
}

struct rondo_iocp_request *rondo_iocp_take(struct rondo_iocp *iocp, struct rondo_op *op, rondo_run_fn *run)
{
    if (iocp->free_request == RONDO_IOCP_NONE && rondo_iocp_grow(iocp) < 0)
        return NULL;
    struct rondo_iocp_request *request = iocp->requests[iocp->free_request];
    iocp->free_request = request->next_free;
    request->op = op;
    request->accept = NULL;
    request->ready.run = run;
    return request;
}

void rondo_iocp_give(struct rondo_iocp_request *request)
{
    assert(request->place != RONDO_IOCP_KERNEL && request->place != RONDO_IOCP_QUEUED);
    request->place = RONDO_IOCP_FREE;
    request->op = NULL;
    request->next_free = request->iocp->free_request;
    request->iocp->free_request = request->slot;
}

void rondo_iocp_release_requests(struct rondo_iocp *iocp)
{
    for (uint32_t i = 0; i < iocp->request_count; i++)
        rondo_release(iocp->allocator, iocp->requests[i]);
    rondo_release(iocp->allocator, iocp->requests);
}

/* --- the way of a request ---------------------------------------------------------------------------- */

void rondo_iocp_begin(struct rondo_iocp_request *request)
{
    memset(&request->overlapped, 0, sizeof request->overlapped);
}

void rondo_iocp_queue(struct rondo_iocp_request *request, ptrdiff_t result)
{
    request->place = RONDO_IOCP_QUEUED;
    request->result = result;
    rondo_ready_list_append(&request->iocp->driver.core->queue, &request->ready);
}

void rondo_iocp_started(struct rondo_iocp_request *request, bool ok, DWORD bytes)
{
    if (ok && rondo_iocp_skips(request->iocp, request->op->socket)) {
        rondo_iocp_queue(request, (ptrdiff_t) bytes);
        return;
    }
    int number = ok ? WSA_IO_PENDING : WSAGetLastError();
    if (number == WSA_IO_PENDING)
        request->place = RONDO_IOCP_KERNEL;
    else
        rondo_iocp_queue(request, rondo_error_from_system(number));
}

void rondo_iocp_finish(struct rondo_iocp_request *request, ptrdiff_t result)
{
    struct rondo_op *op = request->op;
    struct rondo_driver *driver = &request->iocp->driver;
    driver->active--;
    driver->is_quiet = driver->active == 0;
    request->place = RONDO_IOCP_CALLED;
    rondo_iocp_give(request);
    op->state = RONDO_OP_IDLE;
    op->more = false;
    op->result = result;
    op->complete(op);
}

/* The socket of an op that was cancelled may be closed, and its number another's: it is not asked. */
static ptrdiff_t rondo_iocp_outcome(const struct rondo_iocp_request *request, DWORD bytes)
{
    if (request->overlapped.Internal == 0) /* STATUS_SUCCESS */
        return (ptrdiff_t) bytes;
    if (request->op->state != RONDO_OP_ACTIVE)
        return RONDO_ECANCELLED;
    DWORD count = 0, flags = 0;
    OVERLAPPED overlapped = request->overlapped;
    if (WSAGetOverlappedResult(request->op->socket, &overlapped, &count, FALSE, &flags))
        return (ptrdiff_t) bytes;
    return rondo_error_from_system(WSAGetLastError());
}

void rondo_iocp_reap(struct rondo_iocp_request *request, DWORD bytes, struct rondo_ready_list *completed)
{
    assert(request->place == RONDO_IOCP_KERNEL);
    request->place = RONDO_IOCP_QUEUED;
    request->result = rondo_iocp_outcome(request, bytes);
    rondo_ready_list_append(completed, &request->ready);
}

/* --- the table of sockets ---------------------------------------------------------------------------- */

/* Socket numbers are multiples of four. */
static size_t rondo_iocp_home(const struct rondo_iocp *iocp, rondo_socket sock)
{
    return (size_t) ((uint64_t) (sock >> 2) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (iocp->row_count - 1);
}

/* The row of @sock, or the empty one where it would be. The table always has an empty row. */
static struct rondo_iocp_row *rondo_iocp_find(const struct rondo_iocp *iocp, rondo_socket sock)
{
    size_t index = rondo_iocp_home(iocp, sock);
    while (iocp->rows[index].socket != sock && iocp->rows[index].socket != RONDO_INVALID_SOCKET)
        index = (index + 1) & (iocp->row_count - 1);
    return &iocp->rows[index];
}

static int rondo_iocp_reserve_row(struct rondo_iocp *iocp)
{
    if (iocp->row_used * 2 < iocp->row_count)
        return 0;
    struct rondo_iocp_row *old = iocp->rows;
    size_t old_count = iocp->row_count;
    size_t count = old_count ? old_count * 2 : 64;
    struct rondo_iocp_row *rows = rondo_allocate(iocp->allocator, count * sizeof *rows);
    if (!rows)
        return RONDO_ENOMEM;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct rondo_iocp_row){ .socket = RONDO_INVALID_SOCKET };
    iocp->rows = rows;
    iocp->row_count = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].socket != RONDO_INVALID_SOCKET)
            *rondo_iocp_find(iocp, old[i].socket) = old[i];
    rondo_release(iocp->allocator, old);
    return 0;
}

int rondo_iocp_adopt(struct rondo_iocp *iocp, rondo_socket sock)
{
    if (sock == RONDO_INVALID_SOCKET)
        return rondo_fail(RONDO_EBADF, NULL);
    if (rondo_iocp_reserve_row(iocp) < 0)
        return rondo_fail(RONDO_ENOMEM, NULL);
    struct rondo_iocp_row *row = rondo_iocp_find(iocp, sock);
    if (row->socket == sock)
        return 0;
    if (!CreateIoCompletionPort((HANDLE) sock, iocp->port, RONDO_IOCP_KEY_SOCKET, 0)) {
        DWORD number = GetLastError();
        if (number == ERROR_INVALID_PARAMETER)
            return rondo_fail(RONDO_EBUSY,
                              "the socket belongs to another completion port, perhaps another loop's");
        return rondo_fail(
            number == ERROR_INVALID_HANDLE ? RONDO_ENOTSOCK : rondo_error_from_system((int) number),
            "the socket cannot be given to the completion port (error %lu)", (unsigned long) number);
    }
    UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    row->socket = sock;
    row->skips = iocp->may_skip && SetFileCompletionNotificationModes((HANDLE) sock, modes);
    iocp->row_used++;
    return 0;
}

bool rondo_iocp_skips(const struct rondo_iocp *iocp, rondo_socket sock)
{
    return rondo_iocp_find(iocp, sock)->skips;
}

/* Whether a row that belongs at @home may lie at @index once @hole, on its way, is empty. */
static bool rondo_iocp_stays(size_t home, size_t hole, size_t index)
{
    return hole <= index ? hole < home && home <= index : hole < home || home <= index;
}

void rondo_iocp_forget(struct rondo_iocp *iocp, rondo_socket sock)
{
    if (!iocp->row_count)
        return;
    struct rondo_iocp_row *row = rondo_iocp_find(iocp, sock);
    if (row->socket != sock)
        return;
    iocp->row_used--;
    size_t hole = (size_t) (row - iocp->rows);
    for (size_t index = hole;;) {
        index = (index + 1) & (iocp->row_count - 1);
        if (iocp->rows[index].socket == RONDO_INVALID_SOCKET)
            break;
        if (rondo_iocp_stays(rondo_iocp_home(iocp, iocp->rows[index].socket), hole, index))
            continue;
        iocp->rows[hole] = iocp->rows[index];
        hole = index;
    }
    iocp->rows[hole] = (struct rondo_iocp_row){ .socket = RONDO_INVALID_SOCKET };
}
