/* SPDX-License-Identifier: MIT */
/* The IOCP driver: opening, waiting, waking, and the table of its functions.
 *
 * Happy path of a pass: one GetQueuedCompletionStatusEx waits and takes up to 128 packets; each leads to a
 * request, whose node is appended for the loop to run. What is over at once is queued by the submit itself,
 * without a packet.
 * Failures: a machine where the port or the extension functions cannot be had says so in open. A wait that
 * Windows ends before its time goes on until the time has come.
 * Invariants: everything but wake runs on the loop's thread; nothing completes inside submit, cancel or
 * wait. */
#include "iocp.h"

#include <assert.h>
#include <string.h>

#include "../platform/clock.h"
#include "../platform/socket.h"
#include "../src/base/container.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"

/* --- open and close ---------------------------------------------------------------------------------- */

static bool rondo_iocp_find_function(SOCKET sock, GUID name, void *ret_function, DWORD size)
{
    DWORD bytes = 0;
    return WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &name, sizeof name, ret_function, size, &bytes,
                    NULL, NULL) == 0;
}

/* What a socket of this machine can do. */
static int rondo_iocp_examine(struct rondo_iocp *iocp, SOCKET sock)
{
    const GUID accept_ex = WSAID_ACCEPTEX, connect_ex = WSAID_CONNECTEX;
    const GUID accept_addresses = WSAID_GETACCEPTEXSOCKADDRS;
    if (!rondo_iocp_find_function(sock, accept_ex, &iocp->accept_ex, sizeof iocp->accept_ex) ||
        !rondo_iocp_find_function(sock, connect_ex, &iocp->connect_ex, sizeof iocp->connect_ex) ||
        !rondo_iocp_find_function(sock, accept_addresses, &iocp->accept_addresses,
                                  sizeof iocp->accept_addresses))
        return rondo_fail(RONDO_EUNAVAILABLE, "no AcceptEx or ConnectEx (error %d)", WSAGetLastError());
    /* A socket that is not the system's own handle (a layered provider's) may post a packet anyway. */
    WSAPROTOCOL_INFOW info;
    int length = sizeof info;
    iocp->may_skip = getsockopt(sock, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *) &info, &length) == 0 &&
                     (info.dwServiceFlags1 & XP1_IFS_HANDLES);
    return 0;
}

static int rondo_iocp_set_up(struct rondo_iocp *iocp)
{
    int code = rondo_socket_startup();
    if (code < 0)
        return rondo_fail(code, "Winsock cannot be started");
    iocp->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (!iocp->port)
        return rondo_fail(rondo_error_from_system((int) GetLastError()), "no completion port (error %lu)",
                          (unsigned long) GetLastError());
    rondo_socket sock;
    code = rondo_socket_open(AF_INET, SOCK_STREAM, IPPROTO_TCP, &sock);
    if (code < 0)
        return rondo_fail(code, "no socket to look for AcceptEx with");
    code = rondo_iocp_examine(iocp, sock);
    rondo_socket_close(sock);
    return code;
}

static int rondo_iocp_allocate_buffer(struct rondo_iocp *iocp, size_t size)
{
    const size_t alignment = 64;
    iocp->buffer_size = size ? size : RONDO_IOCP_RECEIVE_SIZE;
    iocp->block = iocp->buffer_size < SIZE_MAX - alignment
                      ? rondo_allocate(iocp->allocator, iocp->buffer_size + alignment)
                      : NULL;
    if (!iocp->block)
        return rondo_fail(RONDO_ENOMEM, NULL);
    iocp->buffer =
        (unsigned char *) (((uintptr_t) iocp->block + alignment - 1) & ~(uintptr_t) (alignment - 1));
    return 0;
}

static void rondo_iocp_close(struct rondo_driver *driver)
{
    struct rondo_iocp *iocp = rondo_iocp_of(driver);
    assert(driver->active == 0);
    if (iocp->port)
        CloseHandle(iocp->port);
    rondo_iocp_release_requests(iocp);
    rondo_release(iocp->allocator, iocp->rows);
    rondo_release(iocp->allocator, iocp->block);
    rondo_release(iocp->allocator, iocp);
}

extern const struct rondo_driver_ops rondo_driver_iocp;

static int rondo_iocp_open(const struct rondo_driver_config *config, struct rondo_core *core,
                           struct rondo_driver **ret_driver)
{
    struct rondo_iocp *iocp = rondo_allocate_zeroed(config->allocator, sizeof *iocp);
    if (!iocp)
        return rondo_fail(RONDO_ENOMEM, NULL);
    iocp->driver = (struct rondo_driver){ .ops = &rondo_driver_iocp, .core = core };
    iocp->allocator = config->allocator;
    iocp->free_request = RONDO_IOCP_NONE;
    atomic_init(&iocp->woken, false);
    int code = rondo_iocp_set_up(iocp);
    if (code == 0)
        code = rondo_iocp_allocate_buffer(iocp, config->receive_buffer_size);
    if (code < 0) {
        rondo_iocp_close(&iocp->driver);
        return code;
    }
    *ret_driver = &iocp->driver;
    return 0;
}

/* --- ops ------------------------------------------------------------------------------------------------ */

static int rondo_iocp_start(struct rondo_iocp *iocp, struct rondo_op *op)
{
    switch (op->kind) {
    case RONDO_OP_RECV:
        return rondo_iocp_recv(iocp, op);
    case RONDO_OP_SEND:
        return rondo_iocp_send(iocp, op);
    case RONDO_OP_ACCEPT:
        return rondo_iocp_accept(iocp, op);
    case RONDO_OP_CONNECT:
        return rondo_iocp_connect(iocp, op);
    default:
        return rondo_fail(RONDO_ENOTSUP, NULL);
    }
}

static int rondo_iocp_submit(struct rondo_driver *driver, struct rondo_op *op)
{
    assert(op->state == RONDO_OP_IDLE);
    struct rondo_iocp *iocp = rondo_iocp_of(driver);
    op->paused = false;
    op->more = false;
    int code = rondo_iocp_adopt(iocp, op->socket);
    if (code == 0)
        code = rondo_iocp_start(iocp, op);
    if (code < 0)
        return code;
    op->state = RONDO_OP_ACTIVE;
    driver->active++;
    driver->is_quiet = false;
    return 0;
}

static void rondo_iocp_cancel(struct rondo_driver *driver, struct rondo_op *op)
{
    if (op->state != RONDO_OP_ACTIVE)
        return;
    op->state = RONDO_OP_CANCELLING;
    struct rondo_iocp_request *request = rondo_iocp_of(driver)->requests[op->slot];
    if (request->accept)
        rondo_iocp_accept_cancel(request->accept);
    else if (request->place == RONDO_IOCP_KERNEL)
        CancelIoEx((HANDLE) op->socket, &request->overlapped); /* or its packet is queued already */
    else if (request->place == RONDO_IOCP_HELD)
        rondo_iocp_queue(request, RONDO_ECANCELLED);
}

/* A receive that waits in the kernel goes on waiting: it takes no bytes. */
static void rondo_iocp_pause(struct rondo_driver *driver, struct rondo_op *op)
{
    (void) driver;
    op->paused = true;
}

static void rondo_iocp_resume(struct rondo_driver *driver, struct rondo_op *op)
{
    op->paused = false;
    if (op->state != RONDO_OP_ACTIVE)
        return;
    struct rondo_iocp_request *request = rondo_iocp_of(driver)->requests[op->slot];
    if (request->place == RONDO_IOCP_HELD)
        rondo_iocp_queue(request, request->result);
}

/* Never at once: an overlapped send takes as many system calls, and never blocks,
 * whatever the mode of the socket. */
static ptrdiff_t rondo_iocp_try_send(struct rondo_driver *driver, rondo_socket sock,
                                     const rondo_bytes *pieces, size_t count)
{
    (void) driver;
    (void) sock;
    (void) pieces;
    (void) count;
    return RONDO_EAGAIN;
}

/* Cancel first: a send that is stuck would keep the connection until the peer reads. */
static void rondo_iocp_close_socket(struct rondo_driver *driver, rondo_socket sock)
{
    rondo_iocp_forget(rondo_iocp_of(driver), sock);
    CancelIoEx((HANDLE) sock, NULL);
    rondo_socket_close(sock);
}

/* --- waiting -------------------------------------------------------------------------------------------- */

/* Windows counts milliseconds. */
static DWORD rondo_iocp_round_up(rondo_ns span)
{
    const rondo_ns longest = RONDO_S(86400);
    if (span <= 0)
        return 0;
    return (DWORD) (((span < longest ? span : longest) + RONDO_MS(1) - 1) / RONDO_MS(1));
}

static int rondo_iocp_explain(DWORD number)
{
    return rondo_fail(rondo_error_from_system((int) number), "GetQueuedCompletionStatusEx failed (error %lu)",
                      (unsigned long) number);
}

static void rondo_iocp_take_packets(struct rondo_iocp *iocp, const OVERLAPPED_ENTRY *packets, ULONG count,
                                    struct rondo_ready_list *completed)
{
    for (ULONG i = 0; i < count; i++) {
        if (packets[i].lpCompletionKey == RONDO_IOCP_KEY_WAKE) {
            atomic_store(&iocp->woken, false);
            continue;
        }
        iocp->driver.completions++;
        rondo_iocp_reap(rondo_container(packets[i].lpOverlapped, struct rondo_iocp_request, overlapped),
                        packets[i].dwNumberOfBytesTransferred, completed);
    }
}

static int rondo_iocp_wait(struct rondo_driver *driver, rondo_ns timeout, struct rondo_ready_list *completed)
{
    struct rondo_iocp *iocp = rondo_iocp_of(driver);
    OVERLAPPED_ENTRY packets[RONDO_IOCP_PACKETS];
    rondo_ns deadline = timeout > 0 ? rondo_clock_now() + timeout : 0;
    for (;;) {
        ULONG count = 0;
        DWORD wait = timeout < 0 ? INFINITE : rondo_iocp_round_up(timeout);
        if (GetQueuedCompletionStatusEx(iocp->port, packets, RONDO_IOCP_PACKETS, &count, wait, FALSE)) {
            rondo_iocp_take_packets(iocp, packets, count, completed);
            return 0;
        }
        DWORD number = GetLastError();
        if (number != WAIT_TIMEOUT)
            return rondo_iocp_explain(number);
        if (deadline == 0)
            return 0;
        timeout = deadline - rondo_clock_now(); /* its clock ticks slowly: it may have been early */
        if (timeout <= 0)
            return 0;
    }
}

static void rondo_iocp_wake(struct rondo_driver *driver)
{
    struct rondo_iocp *iocp = rondo_iocp_of(driver);
    if (!atomic_exchange(&iocp->woken, true) &&
        !PostQueuedCompletionStatus(iocp->port, 0, RONDO_IOCP_KEY_WAKE, NULL))
        atomic_store(&iocp->woken, false); /* short of memory: the next one may get through */
}

static const char *rondo_iocp_describe(struct rondo_driver *driver)
{
    return rondo_iocp_of(driver)->may_skip ? "AcceptEx, ConnectEx, no packet for what succeeds at once"
                                           : "AcceptEx, ConnectEx";
}

const struct rondo_driver_ops rondo_driver_iocp = {
    .name = "iocp",
    .backend = RONDO_BACKEND_IOCP,
    .is_proactor = true,
    .capabilities = RONDO_CAN_STREAMS | RONDO_CAN_PROACT,
    .extended_capabilities = 0,
    .open = rondo_iocp_open,
    .close = rondo_iocp_close,
    .submit = rondo_iocp_submit,
    .cancel = rondo_iocp_cancel,
    .pause = rondo_iocp_pause,
    .resume = rondo_iocp_resume,
    .try_send = rondo_iocp_try_send,
    .close_socket = rondo_iocp_close_socket,
    .wait = rondo_iocp_wait,
    .wake = rondo_iocp_wake,
    .describe = rondo_iocp_describe,
};
