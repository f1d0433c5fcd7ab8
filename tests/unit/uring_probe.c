/* SPDX-License-Identifier: MIT */
/* See uring_probe.h. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "src/base/container.h"
#include "src/base/memory.h"

struct rondo_core core;
struct rondo_driver *driver;

void start_with(size_t buffer_size, unsigned buffers, unsigned entries)
{
    struct rondo_driver_config config = { .allocator = &rondo_allocator_default,
                                          .receive_buffer_size = buffer_size,
                                          .receive_buffers = buffers,
                                          .ring_entries = entries };
    rondo_ready_list_init(&core.queue);
    int rc = rondo_driver_uring.open(&config, &core, &driver);
    ck_assert_msg(rc == 0, "%s", rondo_last_error_message());
    core.driver = driver;
}

void start(void)
{
    start_with(0, 0, 0);
}

/* One pass. Returns how many nodes ran. */
unsigned pass(rondo_ns timeout)
{
    struct rondo_ready_list batch;
    rondo_ready_list_init(&batch);
    int rc = driver->ops->wait(driver, rondo_ready_list_is_empty(&core.queue) ? timeout : 0, &core.queue);
    ck_assert_msg(rc == 0, "%s", rondo_last_error_message());
    rondo_ready_list_splice(&batch, &core.queue);
    unsigned count = 0;
    for (struct rondo_ready *node; (node = rondo_ready_list_pop(&batch)) != NULL; count++)
        node->run(node, &core);
    return count;
}

/* Passes until nothing is left to do. */
void settle(void)
{
    while (pass(RONDO_MS(20)) > 0)
        ;
}

void finish(void)
{
    while (driver->active > 0)
        pass(RONDO_S(5));
    driver->ops->close(driver);
    driver = NULL;
}

rondo_ns now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return RONDO_S(time.tv_sec) + time.tv_nsec;
}

static void on_complete(struct rondo_op *op)
{
    struct probe *probe = rondo_container(op, struct probe, op);
    probe->completions++;
    if (!op->more) {
        ck_assert_int_eq(op->state, RONDO_OP_IDLE);
        probe->ends++;
        probe->last = op->result;
        if (probe->free_inside) {
            *probe->freed = true;
            free(probe);
        }
        return;
    }
    ck_assert_int_ne(op->state, RONDO_OP_IDLE);
    if (op->kind == RONDO_OP_ACCEPT) {
        probe->accepted[probe->accepted_count++] = (rondo_socket) op->result;
    } else {
        ck_assert_int_gt(op->result, 0);
        if (probe->data) {
            ck_assert_uint_le(probe->received + (size_t) op->result, probe->length);
            memcpy(probe->data + probe->received, op->data, (size_t) op->result);
        }
        probe->received += (size_t) op->result;
        if ((size_t) op->result > probe->largest)
            probe->largest = (size_t) op->result;
    }
    if (probe->pause_inside)
        driver->ops->pause(driver, op);
    if (probe->cancel_inside)
        driver->ops->cancel(driver, op);
}

static size_t on_gather(struct rondo_op *op, rondo_bytes *pieces, size_t capacity)
{
    struct probe *probe = rondo_container(op, struct probe, op);
    size_t count = probe->cut ? probe->cut : 1;
    ck_assert_uint_le(count, capacity);
    size_t each = probe->length / count;
    for (size_t i = 0; i < count; i++) {
        pieces[i].data = probe->data + i * each;
        pieces[i].length = i + 1 < count ? each : probe->length - i * each;
    }
    return count;
}

struct probe *probe_new(enum rondo_op_kind kind, rondo_socket sock)
{
    struct probe *probe = calloc(1, sizeof *probe);
    probe->op.kind = (uint8_t) kind;
    probe->op.complete = on_complete;
    probe->op.socket = sock;
    if (kind == RONDO_OP_SEND)
        probe->op.gather = on_gather;
    return probe;
}

void submit(struct probe *probe)
{
    ck_assert_int_eq(driver->ops->submit(driver, &probe->op), 0);
}

struct probe *receive(rondo_socket sock)
{
    struct probe *probe = probe_new(RONDO_OP_RECV, sock);
    submit(probe);
    return probe;
}

struct probe *transmit(rondo_socket sock, void *data, size_t length)
{
    struct probe *probe = probe_new(RONDO_OP_SEND, sock);
    probe->data = data;
    probe->length = length;
    submit(probe);
    return probe;
}

void make_pair(int pair[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

int listen_on(int port, struct sockaddr_in *ret_address)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t) port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    ck_assert_int_ge(listener, 0);
    if (bind(listener, (struct sockaddr *) &address, length) < 0) {
        close(listener);
        return -1;
    }
    ck_assert_int_eq(listen(listener, 1024), 0);
    getsockname(listener, (struct sockaddr *) &address, &length);
    *ret_address = address;
    return listener;
}

int dial(const struct sockaddr_in *address)
{
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(sock, 0);
    ck_assert_int_eq(connect(sock, (const struct sockaddr *) address, sizeof *address), 0);
    return sock;
}

void make_tcp_pair(int pair[2])
{
    struct sockaddr_in address;
    int listener = listen_on(0, &address);
    pair[0] = dial(&address);
    pair[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(pair[1], 0);
    close(listener);
}

unsigned char *pattern(size_t length)
{
    unsigned char *data = malloc(length);
    uint32_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (unsigned char) (state >> 24);
    }
    return data;
}
