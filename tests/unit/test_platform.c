/* SPDX-License-Identifier: MIT */
/* The platform's contracts but for contexts: clock, threads, wake channels, Ctrl+C and sockets must behave
 * the same on every system. */
#define _DEFAULT_SOURCE /* NI_NUMERICHOST */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/interrupt.h"
#include "platform/sockaddr.h"
#include "platform/socket.h"
#include "platform/thread.h"
#include "platform/wake.h"
#include "support.h"

/* --- clock ---------------------------------------------------------------------------------------- */

START_TEST(clock_goes_forward)
{
    rondo_ns began = support_now();
    rondo_ns first = rondo_clock_now(), last = first;
    for (int i = 0; i < 100000; i++) {
        rondo_ns now = rondo_clock_now();
        ck_assert_int_ge(now, last);
        last = now;
    }
    ck_assert_int_gt(last, first);
    support_pause(RONDO_MS(5));
    rondo_ns ours = rondo_clock_now() - first, theirs = support_now() - began;
    ck_assert_int_ge(ours, RONDO_MS(5) - RONDO_US(100)); /* the two may tick differently */
    ck_assert_int_le(ours, theirs + RONDO_US(100));
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------- */

struct shared {
    rondo_mutex mutex;
    rondo_condition changed;
    unsigned number;
    unsigned waiting;
    bool open;
    uintptr_t self;
    bool is_main;
};

static void shared_init(struct shared *shared)
{
    memset(shared, 0, sizeof *shared);
    ck_assert_int_eq(rondo_mutex_init(&shared->mutex), 0);
    ck_assert_int_eq(rondo_condition_init(&shared->changed), 0);
}

static void shared_free(struct shared *shared)
{
    rondo_condition_destroy(&shared->changed);
    rondo_mutex_destroy(&shared->mutex);
}

static void introduce(void *context)
{
    struct shared *shared = context;
    shared->self = rondo_thread_self();
    shared->is_main = rondo_thread_is_main();
}

START_TEST(threads_have_names)
{
    struct shared shared;
    rondo_thread thread;
    shared_init(&shared);
    shared.is_main = true;
    ck_assert_int_eq(rondo_thread_start(&thread, introduce, &shared), 0);
    rondo_thread_join(&thread);
    ck_assert_uint_ne(shared.self, 0);
    ck_assert_uint_ne(rondo_thread_self(), 0);
    ck_assert_uint_ne(shared.self, rondo_thread_self());
    ck_assert_uint_eq(rondo_thread_self(), rondo_thread_self());
    ck_assert(rondo_thread_is_main());
    ck_assert(!shared.is_main);
    ck_assert_uint_ne(rondo_process_self(), 0);
    shared_free(&shared);
}
END_TEST

static void count_up(void *context)
{
    struct shared *shared = context;
    for (int i = 0; i < 20000; i++) {
        rondo_mutex_lock(&shared->mutex);
        shared->number++;
        rondo_mutex_unlock(&shared->mutex);
    }
}

START_TEST(mutex_keeps_others_out)
{
    struct shared shared;
    rondo_thread threads[4];
    shared_init(&shared);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(rondo_thread_start(&threads[i], count_up, &shared), 0);
    for (int i = 0; i < 4; i++)
        rondo_thread_join(&threads[i]);
    ck_assert_uint_eq(shared.number, 80000);
    shared_free(&shared);
}
END_TEST

static void wait_for_open(void *context)
{
    struct shared *shared = context;
    rondo_mutex_lock(&shared->mutex);
    shared->waiting++;
    rondo_condition_broadcast(&shared->changed);
    while (!shared->open)
        rondo_condition_wait(&shared->changed, &shared->mutex);
    shared->waiting--;
    rondo_condition_broadcast(&shared->changed);
    rondo_mutex_unlock(&shared->mutex);
}

START_TEST(condition_wakes_all)
{
    struct shared shared;
    rondo_thread threads[3];
    shared_init(&shared);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(rondo_thread_start(&threads[i], wait_for_open, &shared), 0);
    rondo_thread_detach(&threads[2]);
    rondo_mutex_lock(&shared.mutex);
    while (shared.waiting < 3)
        rondo_condition_wait_for(&shared.changed, &shared.mutex, RONDO_S(20));
    shared.open = true;
    rondo_condition_broadcast(&shared.changed);
    while (shared.waiting > 0)
        rondo_condition_wait(&shared.changed, &shared.mutex);
    rondo_mutex_unlock(&shared.mutex);
    for (int i = 0; i < 2; i++)
        rondo_thread_join(&threads[i]);
    rondo_mutex_lock(&shared.mutex); /* the detached one is out of it, too */
    rondo_mutex_unlock(&shared.mutex);
    shared_free(&shared);
}
END_TEST

START_TEST(condition_times_out_in_time)
{
    struct shared shared;
    shared_init(&shared);
    static const rondo_ns spans[] = { -1, 0, 1, RONDO_MS(3), RONDO_US(12345) };
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        rondo_mutex_lock(&shared.mutex);
        rondo_ns end = rondo_clock_now() + spans[i], left;
        while ((left = end - rondo_clock_now()) > 0)
            if (!rondo_condition_wait_for(&shared.changed, &shared.mutex, left))
                break;
        ck_assert_int_ge(rondo_clock_now(), end);
        rondo_mutex_unlock(&shared.mutex);
    }
    rondo_mutex_lock(&shared.mutex);
    ck_assert(!rondo_condition_wait_for(&shared.changed, &shared.mutex, -5));
    rondo_mutex_unlock(&shared.mutex);
    shared_free(&shared);
}
END_TEST

/* --- wake, interrupt ------------------------------------------------------------------------------ */

START_TEST(wake_never_blocks)
{
    struct rondo_wake wake;
    ck_assert_int_eq(rondo_wake_open(&wake), 0);
    rondo_wake_drain(&wake);
    rondo_ns end = support_now() + RONDO_S(2); /* where a system call takes long, a channel is small */
    for (int i = 0; i < 70000 && support_now() < end; i++)
        rondo_wake_signal(&wake);
    rondo_wake_drain(&wake);
    rondo_wake_signal(&wake);
    rondo_wake_drain(&wake);
    rondo_wake_close(&wake);
}
END_TEST

static void ignore(void *context)
{
    (void) context;
}

START_TEST(one_watches_for_interrupts)
{
    void (*before)(int) = signal(SIGINT, SIG_DFL); /* Check's own, which would have to be left alone */
    for (int turn = 0; turn < 3; turn++) {
        ck_assert_int_eq(rondo_interrupt_watch(ignore, NULL), 0);
        ck_assert_int_eq(rondo_interrupt_watch(ignore, NULL), RONDO_EBUSY);
        rondo_interrupt_unwatch();
    }
    rondo_interrupt_unwatch();
    signal(SIGINT, before);
}
END_TEST

/* --- sockets -------------------------------------------------------------------------------------- */

static void sockets_begin(void)
{
    ck_assert_int_eq(rondo_socket_startup(), 0);
    ck_assert_int_eq(rondo_socket_startup(), 0);
}

/* Receive exactly @length bytes; both ends are in this process, so a would-block is only a matter of time. */
static void receive_all(rondo_socket sock, unsigned char *bytes, size_t length)
{
    for (size_t got = 0; got < length;) {
        ptrdiff_t n = rondo_socket_recv(sock, bytes + got, length - got);
        ck_assert(n > 0 || n == RONDO_EAGAIN);
        got += n > 0 ? (size_t) n : 0;
    }
}

START_TEST(pair_carries_bytes)
{
    sockets_begin();
    rondo_socket pair[2];
    unsigned char bytes[64];
    ck_assert_int_eq(rondo_socket_pair(pair), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(rondo_socket_is_nonblocking(pair[i]), 1);
        ck_assert_int_eq((int) rondo_socket_recv(pair[i], bytes, 1), RONDO_EAGAIN);
        ck_assert_int_eq((int) rondo_socket_send(pair[i], "abc", 3), 3);
        receive_all(pair[1 - i], bytes, 3);
        ck_assert_int_eq(memcmp(bytes, "abc", 3), 0);
        ck_assert_int_eq(rondo_socket_pending_error(pair[i]), 0);
    }
    rondo_bytes pieces[5] = { { "one", 3 }, { "", 0 }, { "two", 3 }, { NULL, 0 }, { "three", 5 } };
    ck_assert_int_eq((int) rondo_socket_sendv(pair[0], pieces, 5), 11);
    receive_all(pair[1], bytes, 11);
    ck_assert_int_eq(memcmp(bytes, "onetwothree", 11), 0);
    ck_assert_int_eq(rondo_socket_shutdown_write(pair[0]), 0);
    ptrdiff_t end;
    while ((end = rondo_socket_recv(pair[1], bytes, 1)) == RONDO_EAGAIN)
        continue;
    ck_assert_int_eq((int) end, 0);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], "x", 1), RONDO_EPIPE);
    ck_assert_int_eq((int) rondo_socket_send(pair[1], "y", 1), 1); /* the other half is open */
    receive_all(pair[0], bytes, 1);
    ck_assert_int_eq(rondo_socket_shutdown(pair[1]), 0);
    ck_assert_int_eq(rondo_socket_close(pair[0]), 0);
    ck_assert_int_eq(rondo_socket_close(pair[1]), 0);
}
END_TEST

START_TEST(full_socket_would_block)
{
    sockets_begin();
    enum { PIECE = 100000, COUNT = 200 };
    rondo_socket pair[2];
    ck_assert_int_eq(rondo_socket_pair(pair), 0);
    unsigned char *bytes = calloc(1, PIECE);
    rondo_bytes *pieces = calloc(COUNT, sizeof *pieces);
    for (int i = 0; i < COUNT; i++)
        pieces[i] = (rondo_bytes){ bytes, PIECE };
    ptrdiff_t n;
    size_t total = 0;
    while ((n = rondo_socket_sendv(pair[0], pieces, COUNT)) > 0)
        total += (size_t) n;
    ck_assert_int_eq((int) n, RONDO_EAGAIN);
    ck_assert_int_eq((int) rondo_socket_send(pair[0], bytes, PIECE), RONDO_EAGAIN);
    size_t drained = 0;
    while (drained < total) {
        n = rondo_socket_recv(pair[1], bytes, PIECE);
        ck_assert(n > 0 || n == RONDO_EAGAIN);
        drained += n > 0 ? (size_t) n : 0;
    }
    free(pieces);
    free(bytes);
    rondo_socket_close(pair[0]);
    rondo_socket_close(pair[1]);
}
END_TEST

static rondo_socket datagram_socket(rondo_address *ret_address)
{
    rondo_address address;
    rondo_socket sock;
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", 0), 0);
    ck_assert_int_eq(rondo_socket_open(rondo_address_family(&address), SOCK_DGRAM, 0, &sock), 0);
    ck_assert_int_eq(rondo_socket_bind(sock, &address), 0);
    ck_assert_int_eq(rondo_socket_name(sock, ret_address), 0);
    return sock;
}

/* The next datagram; loopback may take a moment. */
static ptrdiff_t receive_datagram(rondo_socket sock, void *buffer, size_t length, rondo_address *ret_sender)
{
    ptrdiff_t n;
    while ((n = rondo_socket_recvfrom(sock, buffer, length, ret_sender)) == RONDO_EAGAIN)
        continue;
    return n;
}

START_TEST(datagrams_keep_boundaries)
{
    sockets_begin();
    rondo_address addresses[2], sender = { 0 };
    rondo_socket socks[2] = { datagram_socket(&addresses[0]), datagram_socket(&addresses[1]) };
    char bytes[8] = "";
    ck_assert_int_eq((int) rondo_socket_recvfrom(socks[1], bytes, sizeof bytes, &sender), RONDO_EAGAIN);
    ck_assert_uint_eq(sender.length, 0);
    ck_assert_int_eq((int) rondo_socket_sendto(socks[0], "abc", 3, &addresses[1]), 3);
    ck_assert_int_eq((int) rondo_socket_sendto(socks[0], "", 0, &addresses[1]), 0);
    ck_assert_int_eq((int) rondo_socket_sendto(socks[0], "too long", 8, &addresses[1]), 8);
    ck_assert_int_eq((int) receive_datagram(socks[1], bytes, sizeof bytes, &sender), 3);
    ck_assert_int_eq(memcmp(bytes, "abc", 3), 0);
    ck_assert(rondo_address_equal(&sender, &addresses[0]));
    ck_assert_int_eq((int) receive_datagram(socks[1], bytes, sizeof bytes, NULL), 0);
    ck_assert_int_eq((int) receive_datagram(socks[1], bytes, 4, &sender), 4); /* the rest is lost */
    ptrdiff_t n =
        rondo_socket_sendto(socks[0], "x", 1, NULL); /* to whom? Unix, Windows, wine: each in its words */
    ck_assert(n == RONDO_EDESTADDRREQ || n == RONDO_ENOTCONN || n == RONDO_EOSINVAL);
    ck_assert_int_eq(rondo_socket_connect(socks[0], &addresses[1]), 0);
    ck_assert_int_eq((int) rondo_socket_sendto(socks[0], "x", 1, NULL), 1);
    ck_assert_int_eq((int) receive_datagram(socks[1], bytes, sizeof bytes, &sender), 1);
    rondo_socket_close(socks[0]);
    rondo_socket_close(socks[1]);
}
END_TEST

static rondo_socket listener_on(const char *host, rondo_address *ret_address)
{
    rondo_address address;
    rondo_socket sock;
    ck_assert_int_eq(rondo_address_from_numeric(&address, host, 0), 0);
    ck_assert_int_eq(rondo_socket_open(rondo_address_family(&address), SOCK_STREAM, 0, &sock), 0);
    ck_assert_int_eq(rondo_socket_set_reuse_address(sock, rondo_socket_reuse_address_default), 0);
    ck_assert_int_eq(rondo_socket_bind(sock, &address), 0);
    ck_assert_int_eq(rondo_socket_listen(sock, 10), 0);
    ck_assert_int_eq(rondo_socket_name(sock, ret_address), 0);
    return sock;
}

START_TEST(listener_accepts)
{
    sockets_begin();
    rondo_address address, name, peer, asked;
    rondo_socket listener = listener_on("127.0.0.1", &address), client, accepted = RONDO_INVALID_SOCKET;
    ck_assert_int_gt(rondo_address_port(&address), 0);
    ck_assert_int_eq(rondo_socket_accept(listener, &accepted, &peer), RONDO_EAGAIN);
    ck_assert(accepted == RONDO_INVALID_SOCKET);
    ck_assert_int_eq(rondo_socket_open(AF_INET, SOCK_STREAM, 0, &client), 0);
    int code = rondo_socket_connect(client, &address);
    ck_assert(code == 0 || code == RONDO_EINPROGRESS);
    while ((code = rondo_socket_accept(listener, &accepted, &peer)) == RONDO_EAGAIN)
        continue;
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(rondo_socket_peer(accepted, &asked), 0);
    ck_assert(rondo_address_equal(&peer, &asked));
    ck_assert_int_eq(rondo_socket_name(client, &name), 0);
    ck_assert(rondo_address_equal(&peer, &name));
    ck_assert_int_eq(rondo_socket_is_nonblocking(accepted), 1);
    char byte;
    ck_assert_int_eq((int) rondo_socket_recv(accepted, &byte, 1), RONDO_EAGAIN);
    ck_assert_int_eq(rondo_socket_set_nodelay(accepted), 0);
    ck_assert_int_eq(rondo_socket_set_linger_reset(accepted), 0);
    rondo_socket_close(client);
    rondo_socket_close(accepted);
    rondo_socket_close(listener);
}
END_TEST

START_TEST(kinds_are_told)
{
    sockets_begin();
    static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
    for (int i = 0; i < 2; i++) {
        rondo_socket sock;
        int family = -1, type = -1, proto = -1;
        ck_assert_int_eq(rondo_socket_open(AF_INET, types[i], 0, &sock), 0);
        ck_assert_int_eq(rondo_socket_kind(sock, &family, &type, &proto), 0);
        ck_assert_int_eq(family, AF_INET);
        ck_assert_int_eq(type, types[i]);
        ck_assert_int_eq(proto, i == 0 ? IPPROTO_TCP : IPPROTO_UDP);
        ck_assert_int_eq(rondo_socket_kind(sock, NULL, NULL, NULL), 0);
        ck_assert_int_eq(rondo_socket_set_nodelay(sock), 0); /* nothing to do for datagrams */
        rondo_address peer = { .length = 7 };
        ck_assert_int_eq(rondo_socket_peer(sock, &peer), RONDO_ENOTCONN);
        ck_assert_uint_eq(peer.length, 7);
        ck_assert_int_eq(rondo_socket_close(sock), 0);
        int code = rondo_socket_kind(sock, &family, &type, &proto);
        ck_assert(code == RONDO_EBADF || code == RONDO_ENOTSOCK);
    }
    int code = rondo_socket_close(RONDO_INVALID_SOCKET);
    ck_assert(code == RONDO_EBADF || code == RONDO_ENOTSOCK);
    rondo_socket none = 5;
    ck_assert_int_lt(rondo_socket_open(12345, SOCK_STREAM, 0, &none), 0);
    ck_assert(none == 5);
}
END_TEST

START_TEST(addresses_are_refused)
{
    sockets_begin();
    rondo_address address, foreign;
    rondo_socket listener = listener_on("127.0.0.1", &address), other;
    ck_assert_int_eq(rondo_socket_open(AF_INET, SOCK_STREAM, 0, &other), 0);
    int code = rondo_socket_bind(other, &address);
    if (code == 0)
        code = rondo_socket_listen(other, 1);
    ck_assert_int_eq(code, RONDO_EADDRINUSE);
    rondo_socket_close(other);
    ck_assert_int_eq(rondo_socket_open(AF_INET, SOCK_STREAM, 0, &other), 0);
    ck_assert_int_eq(rondo_address_from_numeric(&foreign, "192.0.2.1", 0), 0); /* for documents only */
    ck_assert_int_eq(rondo_socket_bind(other, &foreign), RONDO_EADDRNOTAVAIL);
    code = rondo_socket_set_reuse_port(other);
    ck_assert(code == 0 || code == RONDO_EINVAL);
    rondo_socket_close(other);
    rondo_socket_close(listener);
    ck_assert_int_eq(rondo_error_from_system(0), 0);
    ck_assert_int_eq(rondo_error_from_system(987654), RONDO_EOS);
}
END_TEST

/* --- names ---------------------------------------------------------------------------------------- */

START_TEST(names_are_resolved)
{
    rondo_addrinfo_query query = {
        .size = sizeof query, .host = "127.0.0.1", .service = "80", .type = SOCK_STREAM
    };
    rondo_addrinfo *info = NULL;
    ck_assert_int_eq(rondo_socket_resolve(&query, &info), 0);
    ck_assert_uint_eq(info->count, 1);
    ck_assert_int_eq(info->entries[0].family, AF_INET);
    ck_assert_int_eq(info->entries[0].type, SOCK_STREAM);
    ck_assert_int_eq(rondo_address_port(&info->entries[0].address), 80);
    rondo_nameinfo name;
    ck_assert_int_eq(rondo_socket_reverse(&info->entries[0].address, NI_NUMERICHOST | NI_NUMERICSERV, &name),
                     0);
    ck_assert_str_eq(name.host, "127.0.0.1");
    ck_assert_str_eq(name.service, "80");
    rondo_addrinfo_free(info);
    query.host = NULL;
    query.family = AF_INET;
    query.flags = rondo_resolve_passive;
    ck_assert_int_eq(rondo_socket_resolve(&query, &info), 0);
    char host[32];
    rondo_address_host(&info->entries[0].address, host, sizeof host);
    ck_assert_str_eq(host, "0.0.0.0");
    rondo_addrinfo_free(info);
    info = NULL;
    query.host = "not.a.number";
    query.flags = rondo_resolve_numeric_host;
    ck_assert_int_eq(rondo_socket_resolve(&query, &info), RONDO_EAI_NONAME);
    ck_assert_ptr_null(info);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "platform");
    tcase_add_test(tcase, clock_goes_forward);
    tcase_add_test(tcase, threads_have_names);
    tcase_add_test(tcase, mutex_keeps_others_out);
    tcase_add_test(tcase, condition_wakes_all);
    tcase_add_test(tcase, condition_times_out_in_time);
    tcase_add_test(tcase, wake_never_blocks);
    tcase_add_test(tcase, one_watches_for_interrupts);
    tcase_add_test(tcase, pair_carries_bytes);
    tcase_add_test(tcase, full_socket_would_block);
    tcase_add_test(tcase, datagrams_keep_boundaries);
    tcase_add_test(tcase, listener_accepts);
    tcase_add_test(tcase, kinds_are_told);
    tcase_add_test(tcase, addresses_are_refused);
    tcase_add_test(tcase, names_are_resolved);
}

int main(void)
{
    return support_main_once("platform", add_cases);
}
