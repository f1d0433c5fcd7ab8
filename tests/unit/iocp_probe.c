/* SPDX-License-Identifier: MIT */
/* A loop in place of the core, and ops that remember. */
#include "iocp_probe.h"

#include <stdlib.h>
#include <string.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include "src/base/container.h"

struct rondo_core core;
struct rondo_driver *driver;

extern const struct rondo_driver_ops rondo_driver_iocp;

int driver_open(void)
{
    struct rondo_driver_config config = { .allocator = &support_allocator };
    rondo_ready_list_init(&core.queue);
    int code = rondo_driver_iocp.open(&config, &core, &driver);
    if (code == 0)
        core.driver = driver;
    return code;
}

void driver_close(void)
{
    ck_assert_uint_eq(driver->active, 0);
    ck_assert(rondo_ready_list_is_empty(&core.queue));
    driver->ops->close(driver);
    driver = NULL;
}

void pass(rondo_ns timeout)
{
    struct rondo_ready_list batch, completed;
    rondo_ready_list_init(&batch);
    rondo_ready_list_init(&completed);
    if (!rondo_ready_list_is_empty(&core.queue))
        timeout = 0;
    ck_assert_int_eq(driver->ops->wait(driver, timeout, &completed), 0);
    rondo_ready_list_splice(&core.queue, &completed);
    rondo_ready_list_splice(&batch, &core.queue);
    struct rondo_ready *node;
    while ((node = rondo_ready_list_pop(&batch)))
        node->run(node, &core);
}

static void check_bytes(struct probe *probe)
{
    const unsigned char *bytes = probe->op.data;
    for (ptrdiff_t i = 0; i < probe->op.result; i++)
        probe->in_order = probe->in_order && bytes[i] == probe->next++;
    probe->bytes += (size_t) probe->op.result;
}

void note(struct rondo_op *op)
{
    struct probe *probe = rondo_container(op, struct probe, op);
    ck_assert_uint_eq(op->state == RONDO_OP_IDLE, !op->more);
    probe->last = op->result;
    probe->endings += !op->more;
    if (op->kind == RONDO_OP_RECV && op->result > 0)
        check_bytes(probe);
    if (op->kind == RONDO_OP_ACCEPT && op->result >= 0) {
        ck_assert_uint_lt(probe->completions, 64);
        probe->sockets[probe->completions] = (rondo_socket) op->result;
        probe->peers[probe->completions] = *op->address;
    }
    probe->completions++;
    if (probe->pause_inside)
        driver->ops->pause(driver, op);
    if (probe->cancel_inside)
        driver->ops->cancel(driver, op);
}

void probe_init(struct probe *probe, enum rondo_op_kind kind, rondo_socket sock)
{
    memset(probe, 0, sizeof *probe);
    probe->in_order = true;
    probe->op.kind = (uint8_t) kind;
    probe->op.socket = sock;
    probe->op.complete = note;
}

void start(struct probe *probe, enum rondo_op_kind kind, rondo_socket sock)
{
    probe_init(probe, kind, sock);
    if (kind == RONDO_OP_ACCEPT)
        probe->op.limit = 4;
    ck_assert_int_eq(driver->ops->submit(driver, &probe->op), 0);
    ck_assert_int_eq(probe->op.state, RONDO_OP_ACTIVE);
    ck_assert_uint_eq(probe->completions, 0);
}

void cancel(struct probe *probe)
{
    unsigned before = probe->completions;
    driver->ops->cancel(driver, &probe->op);
    driver->ops->cancel(driver, &probe->op);
    ck_assert_uint_eq(probe->completions, before);
}

void cancel_and_see(struct probe *probe)
{
    unsigned endings = probe->endings;
    cancel(probe);
    pass_until(probe->endings > endings);
    ck_assert_int_eq((int) probe->last, RONDO_ECANCELLED);
}

static size_t gather_out(struct rondo_op *op, rondo_bytes *pieces, size_t capacity)
{
    struct probe *probe = rondo_container(op, struct probe, op);
    size_t part = probe->out_length / 3 + 1; /* in up to three pieces, the second of them empty */
    ck_assert_uint_ge(capacity, 3);
    if (probe->out_length < 3) {
        pieces[0] = (rondo_bytes){ probe->out, probe->out_length };
        return 1;
    }
    pieces[0] = (rondo_bytes){ probe->out, part };
    pieces[1] = (rondo_bytes){ probe->out, 0 };
    pieces[2] = (rondo_bytes){ probe->out + part, probe->out_length - part };
    return 3;
}

void send_start(struct probe *probe, rondo_socket sock, unsigned char *data, size_t length)
{
    probe_init(probe, RONDO_OP_SEND, sock);
    probe->op.gather = gather_out;
    probe->out = data;
    probe->out_length = length;
    ck_assert_int_eq(driver->ops->submit(driver, &probe->op), 0);
}

unsigned char *counting(size_t length)
{
    unsigned char *bytes = malloc(length);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char) i;
    return bytes;
}

void pair_open(rondo_socket pair[2])
{
    ck_assert_int_eq(rondo_socket_startup(), 0);
    ck_assert_int_eq(rondo_socket_pair(pair), 0);
}

void pair_close(const rondo_socket pair[2])
{
    driver->ops->close_socket(driver, pair[0]);
    driver->ops->close_socket(driver, pair[1]);
}

rondo_socket listen_somewhere(rondo_address *ret_address)
{
    struct sockaddr_in any = { .sin_family = AF_INET };
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rondo_address address = { .length = sizeof any };
    memcpy(address.storage.bytes, &any, sizeof any);
    rondo_socket sock;
    ck_assert_int_eq(rondo_socket_startup(), 0);
    ck_assert_int_eq(rondo_socket_open(AF_INET, SOCK_STREAM, 0, &sock), 0);
    ck_assert_int_eq(rondo_socket_bind(sock, &address), 0);
    ck_assert_int_eq(rondo_socket_listen(sock, 100), 0);
    ck_assert_int_eq(rondo_socket_name(sock, ret_address), 0);
    return sock;
}

rondo_socket connector(struct probe *probe, rondo_address *address)
{
    rondo_socket sock;
    ck_assert_int_eq(rondo_socket_open(AF_INET, SOCK_STREAM, 0, &sock), 0);
    probe_init(probe, RONDO_OP_CONNECT, sock);
    probe->op.address = address;
    ck_assert_int_eq(driver->ops->submit(driver, &probe->op), 0);
    return sock;
}
