/* SPDX-License-Identifier: MIT */
/* backends/iocp*.c alone: a loop of a few lines stands in for the core, so that what the driver promises at
 * its seam is seen without anything above it. Windows only. */
#include <stdlib.h>
#include <string.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include "backends/driver.h"
#include "platform/socket.h"
#include "src/base/container.h"
#include "support.h"

extern const struct rondo_driver_ops rondo_driver_iocp;

static struct rondo_core core;
static struct rondo_driver *driver;

static int driver_open(void)
{
    struct rondo_driver_config config = { .allocator = &support_allocator };
    rondo_ready_list_init(&core.queue);
    int code = rondo_driver_iocp.open(&config, &core, &driver);
    if (code == 0)
        core.driver = driver;
    return code;
}

static void driver_close(void)
{
    ck_assert_uint_eq(driver->active, 0);
    ck_assert(rondo_ready_list_is_empty(&core.queue));
    driver->ops->close(driver);
    driver = NULL;
}

/* What a pass of the loop does. */
static void pass(rondo_ns timeout)
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

/* Passes until it is so; a case that waits in vain is ended by its deadline. */
#define pass_until(condition) \
    do {                      \
        while (!(condition))  \
            pass(-1);         \
    } while (0)

/* --- ops that remember ---------------------------------------------------------------------------- */

enum { OWN_SIZE = 1000 };

struct probe {
    struct rondo_op op;
    unsigned completions; /* all of them */
    unsigned endings;     /* those without `more` */
    ptrdiff_t last;
    size_t bytes;
    unsigned char next; /* what the next byte received must be */
    bool in_order;
    bool pause_inside; /* at the next completion */
    bool cancel_inside;
    unsigned char *out; /* SEND: what is left */
    size_t out_length;
    unsigned char own[OWN_SIZE];
    bool refuses; /* own: hand out nothing, and pause */
    rondo_socket sockets[64];
    rondo_address peers[64];
};

static void check_bytes(struct probe *probe)
{
    const unsigned char *bytes = probe->op.data;
    for (ptrdiff_t i = 0; i < probe->op.result; i++)
        probe->in_order = probe->in_order && bytes[i] == probe->next++;
    probe->bytes += (size_t) probe->op.result;
}

static void note(struct rondo_op *op)
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

static void probe_init(struct probe *probe, enum rondo_op_kind kind, rondo_socket sock)
{
    memset(probe, 0, sizeof *probe);
    probe->in_order = true;
    probe->op.kind = (uint8_t) kind;
    probe->op.socket = sock;
    probe->op.complete = note;
}

static void start(struct probe *probe, enum rondo_op_kind kind, rondo_socket sock)
{
    probe_init(probe, kind, sock);
    if (kind == RONDO_OP_ACCEPT)
        probe->op.limit = 4;
    ck_assert_int_eq(driver->ops->submit(driver, &probe->op), 0);
    ck_assert_int_eq(probe->op.state, RONDO_OP_ACTIVE);
    ck_assert_uint_eq(probe->completions, 0);
}

static void cancel(struct probe *probe)
{
    unsigned before = probe->completions;
    driver->ops->cancel(driver, &probe->op);
    driver->ops->cancel(driver, &probe->op);
    ck_assert_uint_eq(probe->completions, before);
}

static void cancel_and_see(struct probe *probe)
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

static void send_start(struct probe *probe, rondo_socket sock, unsigned char *data, size_t length)
{
    probe_init(probe, RONDO_OP_SEND, sock);
    probe->op.gather = gather_out;
    probe->out = data;
    probe->out_length = length;
    ck_assert_int_eq(driver->ops->submit(driver, &probe->op), 0);
}

/* @length bytes that count up from 0. */
static unsigned char *counting(size_t length)
{
    unsigned char *bytes = malloc(length);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char) i;
    return bytes;
}

static void pair_open(rondo_socket pair[2])
{
    ck_assert_int_eq(rondo_socket_startup(), 0);
    ck_assert_int_eq(rondo_socket_pair(pair), 0);
}

static void pair_close(const rondo_socket pair[2])
{
    driver->ops->close_socket(driver, pair[0]);
    driver->ops->close_socket(driver, pair[1]);
}

static rondo_socket listen_somewhere(rondo_address *ret_address)
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

static rondo_socket connector(struct probe *probe, rondo_address *address)
{
    rondo_socket sock;
    ck_assert_int_eq(rondo_socket_open(AF_INET, SOCK_STREAM, 0, &sock), 0);
    probe_init(probe, RONDO_OP_CONNECT, sock);
    probe->op.address = address;
    ck_assert_int_eq(driver->ops->submit(driver, &probe->op), 0);
    return sock;
}

/* --- waiting and waking --------------------------------------------------------------------------- */

START_TEST(wait_is_never_early)
{
    ck_assert_int_eq(driver_open(), 0);
    static const rondo_ns spans[] = { 1, RONDO_US(300), RONDO_MS(1), RONDO_US(3500), RONDO_MS(21) };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        rondo_ns began = support_now();
        pass(spans[i]);
        ck_assert_int_ge(support_now() - began, spans[i]);
    }
    pass(0);
    driver_close();
}
END_TEST

static void wake_often(void *context)
{
    (void) context;
    for (int i = 0; i < 1000; i++)
        driver->ops->wake(driver);
}

START_TEST(wakes_are_coalesced)
{
    ck_assert_int_eq(driver_open(), 0);
    for (int turn = 0; turn < 20; turn++) {
        support_thread *threads[2];
        for (int i = 0; i < 2; i++)
            threads[i] = support_thread_start(wake_often, NULL);
        pass(-1);
        for (int i = 0; i < 2; i++)
            support_thread_join(threads[i]);
        pass(0); /* one wake may have come after the wait: no more than that */
        rondo_ns began = support_now();
        pass(RONDO_MS(5));
        ck_assert_int_ge(support_now() - began, RONDO_MS(5));
    }
    driver->ops->wake(driver);
    pass(-1); /* a wake that comes before the wait ends it */
    driver_close();
}
END_TEST

/* --- connections ---------------------------------------------------------------------------------- */

START_TEST(connections_are_made)
{
    enum { COUNT = 20 };
    ck_assert_int_eq(driver_open(), 0);
    rondo_address address;
    rondo_socket listener = listen_somewhere(&address);
    struct probe *accept = malloc(sizeof *accept), *connects = calloc(COUNT, sizeof *connects);
    start(accept, RONDO_OP_ACCEPT, listener);
    rondo_socket sockets[COUNT];
    for (int i = 0; i < COUNT; i++)
        sockets[i] = connector(&connects[i], &address);
    pass_until(accept->completions == COUNT);
    for (int i = 0; i < COUNT; i++)
        pass_until(connects[i].endings == 1);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq((int) connects[i].last, 0);
        rondo_address name, peer, told;
        ck_assert_int_eq(rondo_socket_peer(sockets[i], &peer), 0); /* the context was updated */
        ck_assert_int_eq(rondo_socket_name(accept->sockets[i], &name), 0);
        ck_assert_int_eq(rondo_socket_peer(accept->sockets[i], &told), 0);
        ck_assert_int_eq(memcmp(&name, &peer, sizeof name), 0);
        ck_assert_uint_eq(told.length, accept->peers[i].length);
        ck_assert_int_eq(memcmp(told.storage.bytes, accept->peers[i].storage.bytes, 8), 0);
        char byte;
        ck_assert_int_eq((int) rondo_socket_recv(accept->sockets[i], &byte, 1), RONDO_EAGAIN);
        ck_assert_int_eq(rondo_socket_shutdown_write(sockets[i]), 0);
    }
    cancel_and_see(accept);
    ck_assert_uint_eq(accept->completions, COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        driver->ops->close_socket(driver, sockets[i]);
        driver->ops->close_socket(driver, accept->sockets[i]);
    }
    driver->ops->close_socket(driver, listener);
    free(accept);
    free(connects);
    driver_close();
}
END_TEST

START_TEST(connect_is_refused)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_address address;
    rondo_socket listener = listen_somewhere(&address);
    rondo_socket_close(listener);
    struct probe connect;
    rondo_socket sock = connector(&connect, &address);
    pass_until(connect.endings == 1);
    ck_assert_int_eq((int) connect.last, RONDO_ECONNREFUSED);
    driver->ops->close_socket(driver, sock);
    driver_close();
}
END_TEST

START_TEST(accept_ends_itself)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_address address;
    rondo_socket listener = listen_somewhere(&address);
    struct probe accept, connects[3];
    start(&accept, RONDO_OP_ACCEPT, listener);
    accept.cancel_inside = true;
    rondo_socket sockets[3];
    for (int i = 0; i < 3; i++)
        sockets[i] = connector(&connects[i], &address);
    pass_until(accept.endings == 1);
    ck_assert_uint_eq(accept.completions, 2); /* the one that cancelled, and the end: the rest is closed */
    ck_assert_int_eq((int) accept.last, RONDO_ECANCELLED);
    for (int i = 0; i < 3; i++) {
        pass_until(connects[i].endings == 1);
        driver->ops->close_socket(driver, sockets[i]);
    }
    start(&accept, RONDO_OP_ACCEPT, listener); /* and can begin again */
    sockets[0] = connector(&connects[0], &address);
    pass_until(accept.completions > 0);
    cancel_and_see(&accept);
    pass_until(connects[0].endings == 1);
    driver->ops->close_socket(driver, sockets[0]);
    driver->ops->close_socket(driver, listener);
    driver_close();
}
END_TEST

/* --- bytes ---------------------------------------------------------------------------------------- */

START_TEST(bytes_arrive_in_order)
{
    enum { LENGTH = 3000000 };
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    unsigned char *data = counting(LENGTH);
    struct probe recv, send;
    start(&recv, RONDO_OP_RECV, pair[1]);
    size_t sent = 0;
    while (sent < LENGTH) {
        send_start(&send, pair[0], data + sent, LENGTH - sent);
        pass_until(send.endings == 1);
        ck_assert_int_gt((int) send.last, 0);
        sent += (size_t) send.last;
    }
    ck_assert_int_eq(rondo_socket_shutdown_write(pair[0]), 0);
    pass_until(recv.endings == 1);
    ck_assert_int_eq((int) recv.last, 0);
    ck_assert_uint_eq(recv.bytes, LENGTH);
    ck_assert(recv.in_order);
    pair_close(pair);
    free(data);
    driver_close();
}
END_TEST

static void *own_buffer(struct rondo_op *op, size_t *ret_length)
{
    struct probe *probe = rondo_container(op, struct probe, op);
    *ret_length = OWN_SIZE;
    if (!probe->refuses)
        return probe->own;
    driver->ops->pause(driver, op);
    return NULL;
}

START_TEST(owner_gives_the_buffer)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    unsigned char *data = counting(5000);
    struct probe recv;
    probe_init(&recv, RONDO_OP_RECV, pair[1]);
    recv.op.buffer = own_buffer;
    recv.refuses = true;
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), 0);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], data, 5000), 5000);
    pass_until(recv.op.paused);
    ck_assert_uint_eq(recv.completions, 0);
    recv.refuses = false;
    driver->ops->resume(driver, &recv.op);
    pass_until(recv.bytes == 5000);
    ck_assert_uint_ge(recv.completions, 5);
    ck_assert(recv.in_order);
    ck_assert_ptr_eq(recv.op.data, recv.own);
    cancel_and_see(&recv);
    pair_close(pair);
    free(data);
    driver_close();
}
END_TEST

START_TEST(pause_loses_nothing)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    unsigned char *data = counting(300);
    struct probe recv;
    start(&recv, RONDO_OP_RECV, pair[1]);
    driver->ops->pause(driver, &recv.op);
    driver->ops->pause(driver, &recv.op);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], data, 100), 100);
    pass(RONDO_MS(10));
    pass(0);
    ck_assert_uint_eq(recv.completions, 0);
    driver->ops->resume(driver, &recv.op);
    driver->ops->resume(driver, &recv.op);
    recv.pause_inside = true;
    pass_until(recv.bytes == 100);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], data + 100, 200), 200);
    ck_assert_int_eq(rondo_socket_shutdown_write(pair[0]), 0);
    pass(RONDO_MS(10));
    ck_assert_uint_eq(recv.bytes, 100);
    recv.pause_inside = false;
    driver->ops->resume(driver, &recv.op);
    pass_until(recv.endings == 1);
    ck_assert_uint_eq(recv.bytes, 300);
    ck_assert(recv.in_order);
    ck_assert_int_eq((int) recv.last, 0);
    pair_close(pair);
    free(data);
    driver_close();
}
END_TEST

START_TEST(reset_is_an_error)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    struct probe recv;
    start(&recv, RONDO_OP_RECV, pair[1]);
    pass(0);
    ck_assert_int_eq(rondo_socket_set_linger_reset(pair[0]), 0);
    driver->ops->close_socket(driver, pair[0]);
    pass_until(recv.endings == 1);
    ck_assert_int_eq((int) recv.last, RONDO_ECONNRESET);
    driver->ops->close_socket(driver, pair[1]);
    driver_close();
}
END_TEST

/* --- cancelling and closing ----------------------------------------------------------------------- */

START_TEST(every_kind_is_cancelled)
{
    enum { LENGTH = 32 << 20 }; /* more than the kernel buffers */
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    rondo_address address;
    pair_open(pair);
    rondo_socket listener = listen_somewhere(&address);
    unsigned char *data = counting(LENGTH);
    struct probe recv, send, connect;
    struct probe *accept = malloc(sizeof *accept);
    for (int passes = 0; passes < 3; passes++) {
        start(&recv, RONDO_OP_RECV, pair[0]);
        start(accept, RONDO_OP_ACCEPT, listener);
        rondo_socket sock = connector(&connect, &address);
        for (int i = 0; i < passes; i++)
            pass(RONDO_MS(2));
        cancel(&recv);
        cancel(accept);
        cancel(&connect);
        pass_until(recv.endings && accept->endings && connect.endings);
        ck_assert_int_eq((int) recv.last, RONDO_ECANCELLED);
        ck_assert_int_eq((int) accept->last, RONDO_ECANCELLED);
        ck_assert(connect.last == RONDO_ECANCELLED || (passes > 0 && connect.last == 0));
        for (unsigned i = 0; i + 1 < accept->completions; i++)
            driver->ops->close_socket(driver, accept->sockets[i]);
        driver->ops->close_socket(driver, sock);
    }
    send_start(&send, pair[0], data, LENGTH);
    for (int i = 0; i < 3; i++)
        pass(RONDO_MS(2));
    ck_assert_uint_eq(send.completions, 0); /* nobody reads */
    cancel_and_see(&send);
    start(&recv, RONDO_OP_RECV, pair[1]);
    driver->ops->pause(driver, &recv.op);
    pass(RONDO_MS(2));
    cancel_and_see(&recv); /* while it holds something back */
    ck_assert_uint_eq(recv.completions, 1);
    driver->ops->cancel(driver, &recv.op);
    ck_assert_int_eq(recv.op.state, RONDO_OP_IDLE);
    pair_close(pair);
    driver->ops->close_socket(driver, listener);
    free(accept);
    free(data);
    driver_close();
}
END_TEST

/* A socket closed right after its op was cancelled; the number is soon another's, whose op must not hear of
 * it. */
START_TEST(closing_leaves_nothing_behind)
{
    ck_assert_int_eq(driver_open(), 0);
    struct probe old, new;
    for (int turn = 0; turn < 200; turn++) {
        rondo_socket pair[2], again[2];
        pair_open(pair);
        start(&old, RONDO_OP_RECV, pair[1]);
        if (turn % 2)
            pass(0);
        cancel(&old);
        pair_close(pair);
        pair_open(again);
        start(&new, RONDO_OP_RECV, again[1]);
        ck_assert_int_eq((int) rondo_socket_send(again[0], "\0\1\2", 3), 3);
        pass_until(new.bytes == 3 && old.endings == 1);
        ck_assert_int_eq((int) old.last, RONDO_ECANCELLED);
        ck_assert_uint_eq(new.endings, 0);
        ck_assert(new.in_order);
        cancel(&new);
        pair_close(again);
        pass_until(new.endings == 1);
    }
    driver_close();
}
END_TEST

START_TEST(peer_sees_an_orderly_end)
{
    ck_assert_int_eq(driver_open(), 0);
    rondo_socket pair[2];
    pair_open(pair);
    struct probe recv, other;
    start(&recv, RONDO_OP_RECV, pair[0]);
    start(&other, RONDO_OP_RECV, pair[1]);
    pass(0);
    cancel(&recv);
    driver->ops->close_socket(driver, pair[0]);
    pass_until(other.endings && recv.endings);
    ck_assert_int_eq((int) other.last, 0);
    driver->ops->close_socket(driver, pair[1]);
    driver_close();
}
END_TEST

/* --- misuse and shortage -------------------------------------------------------------------------- */

START_TEST(bad_sockets_are_refused)
{
    ck_assert_int_eq(driver_open(), 0);
    struct rondo_driver *first = driver;
    rondo_socket pair[2];
    pair_open(pair);
    struct probe recv;
    start(&recv, RONDO_OP_RECV, pair[0]);
    cancel_and_see(&recv);
    ck_assert_int_eq(driver_open(), 0); /* a second loop: the socket is the first one's */
    probe_init(&recv, RONDO_OP_RECV, pair[0]);
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), RONDO_EBUSY);
    ck_assert_int_eq(recv.op.state, RONDO_OP_IDLE);
    recv.op.socket = RONDO_INVALID_SOCKET;
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), RONDO_EBADF);
    recv.op.socket = (rondo_socket) 0x7ffffff0;
    ck_assert_int_eq(driver->ops->submit(driver, &recv.op), RONDO_ENOTSOCK);
    driver_close();
    driver = first;
    core.driver = first;
    rondo_address address = { .length = 2 };
    struct probe connect;
    probe_init(&connect, RONDO_OP_CONNECT, pair[1]);
    connect.op.address = &address;
    ck_assert_int_eq(driver->ops->submit(driver, &connect.op), RONDO_EAFNOSUPPORT);
    pair_close(pair);
    driver_close();
}
END_TEST

START_TEST(out_of_memory_changes_nothing)
{
    rondo_address address;
    rondo_socket pair[2];
    pair_open(pair);
    rondo_socket listener = listen_somewhere(&address);
    for (size_t nth = 1;; nth++) {
        support_fail_nth(nth);
        size_t blocks = support_blocks();
        int code = driver_open();
        struct probe recv, accept;
        probe_init(&recv, RONDO_OP_RECV, pair[0]);
        probe_init(&accept, RONDO_OP_ACCEPT, listener);
        if (code == 0 && (code = driver->ops->submit(driver, &recv.op)) == 0)
            code = driver->ops->submit(driver, &accept.op);
        if (!support_has_failed()) {
            ck_assert_int_eq(code, 0);
            cancel_and_see(&accept);
            cancel_and_see(&recv);
            pair_close(pair);
            driver->ops->close_socket(driver, listener);
            driver_close();
            break;
        }
        ck_assert(code == RONDO_ENOMEM || code == 0);
        support_fail_nth(0);
        if (driver) {
            if (rondo_op_is_active(&recv.op))
                cancel_and_see(&recv);
            if (rondo_op_is_active(&accept.op))
                cancel_and_see(&accept);
            pair_close(pair);
            driver->ops->close_socket(driver, listener);
            pair_open(pair);
            listener = listen_somewhere(&address);
            driver_close();
        }
        ck_assert_uint_eq(support_blocks(), blocks);
    }
    support_fail_nth(0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "iocp");
    tcase_add_test(tcase, wait_is_never_early);
    tcase_add_test(tcase, wakes_are_coalesced);
    tcase_add_test(tcase, connections_are_made);
    tcase_add_test(tcase, connect_is_refused);
    tcase_add_test(tcase, accept_ends_itself);
    tcase_add_test(tcase, bytes_arrive_in_order);
    tcase_add_test(tcase, owner_gives_the_buffer);
    tcase_add_test(tcase, pause_loses_nothing);
    tcase_add_test(tcase, reset_is_an_error);
    tcase_add_test(tcase, every_kind_is_cancelled);
    tcase_add_test(tcase, closing_leaves_nothing_behind);
    tcase_add_test(tcase, peer_sees_an_orderly_end);
    tcase_add_test(tcase, bad_sockets_are_refused);
    tcase_add_test(tcase, out_of_memory_changes_nothing);
}

int main(void)
{
    return support_main_once("iocp driver", add_cases);
}
