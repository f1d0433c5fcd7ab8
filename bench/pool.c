/* SPDX-License-Identifier: MIT */
/* The client's end of many echo connections.
 *
 * Happy path: connect, send `pipeline` messages on each connection, and for each answer that is complete
 * and right send the next one; what the kernel does not take waits for EPOLLOUT.
 * Failures: a connection that ends, an answer with a wrong byte or with more bytes than were sent, and
 * five seconds without any answer each end the measurement with a text that names the connection and the
 * position.
 * Invariant: received <= sent <= queued; in_flight <= pipeline, and is 0 when received == queued. */
#include "pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "pattern.h"

enum { EVENTS = 256, GROW_STEP = 32 }; /* few at a time: a crowd would need memory of its own */

static const int64_t patience = INT64_C(5000000000);

static int fail(struct bench_pool *pool, const struct bench_connection *connection, const char *what)
{
    snprintf(pool->error, pool->error_capacity, "connection %u: %s after %llu bytes sent, %llu received",
             connection->number, what, (unsigned long long) connection->sent,
             (unsigned long long) connection->received);
    return -1;
}

int bench_pool_init(struct bench_pool *pool, const struct bench_load *load, unsigned capacity, char *error,
                    size_t error_capacity)
{
    memset(pool, 0, sizeof *pool);
    pool->wire = load->wire;
    pool->size = load->size;
    pool->pipeline = load->pipeline;
    pool->capacity = capacity;
    pool->error = error;
    pool->error_capacity = error_capacity;
    pool->epoll = epoll_create1(EPOLL_CLOEXEC);
    pool->connections = calloc(capacity, sizeof *pool->connections);
    pool->times = calloc((size_t) capacity * load->pipeline, sizeof *pool->times);
    pool->scratch = aligned_alloc(4096, BENCH_PATTERN_LONGEST);
    if (pool->epoll >= 0 && pool->connections && pool->times && pool->scratch)
        return 0;
    snprintf(error, error_capacity, "the load generator has no memory or descriptors left");
    bench_pool_destroy(pool);
    return -1;
}

void bench_pool_destroy(struct bench_pool *pool)
{
    bool pipes = pool->wire->client_count > 0; /* which are the wire's */
    for (unsigned i = 0; pool->connections && i < pool->count && !pipes; i++)
        close(pool->connections[i].fd);
    if (pool->epoll >= 0)
        close(pool->epoll);
    free(pool->connections);
    free(pool->times);
    free(pool->scratch);
    pool->epoll = -1;
    pool->connections = NULL;
    pool->times = NULL;
    pool->scratch = NULL;
    pool->count = 0;
}

static int watch(struct bench_pool *pool, struct bench_connection *connection, bool wanted)
{
    bool apart = connection->out != connection->fd; /* then it is watched only while it is waited for */
    struct epoll_event event = { .events =
                                     (apart ? 0 : (uint32_t) EPOLLIN) | (wanted ? (uint32_t) EPOLLOUT : 0),
                                 .data.ptr = connection };
    int operation = !apart ? EPOLL_CTL_MOD : wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;
    connection->wants_write = wanted;
    if (epoll_ctl(pool->epoll, operation, connection->out, &event) == 0)
        return 0;
    return fail(pool, connection, "epoll_ctl failed");
}

static int flush(struct bench_pool *pool, struct bench_connection *connection)
{
    while (connection->sent < connection->queued) {
        uint64_t left = connection->queued - connection->sent;
        size_t length = left < BENCH_PATTERN_LONGEST ? (size_t) left : BENCH_PATTERN_LONGEST;
        ssize_t sent = write(connection->out, bench_pattern_at(connection->number, connection->sent), length);
        if (sent < 0) {
            if (errno == EAGAIN)
                return connection->wants_write ? 0 : watch(pool, connection, true);
            return fail(pool, connection, strerror(errno));
        }
        connection->sent += (uint64_t) sent;
    }
    return connection->wants_write ? watch(pool, connection, false) : 0;
}

static int ask(struct bench_pool *pool, struct bench_connection *connection, unsigned messages, int64_t now)
{
    for (unsigned i = 0; i < messages; i++) {
        unsigned index = connection->oldest + connection->in_flight++;
        connection->sent_at[index < pool->pipeline ? index : index - pool->pipeline] = now;
    }
    connection->queued += (uint64_t) messages * pool->size;
    return flush(pool, connection);
}

/* Count the messages that are complete now; returns how many. */
static unsigned count_answers(struct bench_pool *pool, struct bench_connection *connection, int64_t now)
{
    unsigned answers = 0;
    while (connection->received >= connection->answer_end) {
        if (pool->histogram)
            bench_histogram_add(pool->histogram, now - connection->sent_at[connection->oldest]);
        connection->oldest = connection->oldest + 1 == pool->pipeline ? 0 : connection->oldest + 1;
        connection->answer_end += pool->size;
        connection->in_flight--;
        answers++;
    }
    pool->messages += answers;
    return answers;
}

static int receive(struct bench_pool *pool, struct bench_connection *connection)
{
    ssize_t got = read(connection->fd, pool->scratch, BENCH_PATTERN_LONGEST);
    if (got < 0)
        return errno == EAGAIN ? 0 : fail(pool, connection, strerror(errno));
    if (got == 0) {
        if (!pool->finishing || connection->received != connection->queued)
            return fail(pool, connection, "closed by the server");
        connection->ended = true;
        pool->ended++;
        epoll_ctl(pool->epoll, EPOLL_CTL_DEL, connection->fd, NULL);
        return 0;
    }
    int64_t now = bench_now();
    pool->last_news = now;
    if (connection->received + (uint64_t) got > connection->sent)
        return fail(pool, connection, "more bytes came back than were sent");
    size_t good = bench_pattern_check(connection->number, connection->received, pool->scratch, (size_t) got);
    connection->received += good;
    if (good != (size_t) got)
        return fail(pool, connection, "a wrong byte came back");
    unsigned answers = count_answers(pool, connection, now);
    if (answers == 0 || !pool->feeding)
        return 0;
    return ask(pool, connection, answers, now);
}

/* Wait for events once and serve them. */
static int turn(struct bench_pool *pool, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(pool->epoll, events, EVENTS, timeout_ms);
    if (count == 0 && bench_now() - pool->last_news > patience) {
        snprintf(pool->error, pool->error_capacity, "%s for 5 seconds after %llu messages",
                 pool->finishing ? "no end of stream" : "no answer", (unsigned long long) pool->messages);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        struct bench_connection *connection = events[i].data.ptr;
        if ((events[i].events & EPOLLOUT) && flush(pool, connection) < 0)
            return -1;
        if ((events[i].events & ~(uint32_t) EPOLLOUT) && receive(pool, connection) < 0)
            return -1;
    }
    return 0;
}

static int connect_socket(const struct bench_address *address)
{
    const struct sockaddr *name = (const struct sockaddr *) &address->socket;
    int fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd >= 0 && name->sa_family == AF_INET)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd >= 0 && connect(fd, name, address->length) < 0) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

static int connect_one(struct bench_pool *pool)
{
    const struct bench_wire *wire = pool->wire;
    struct bench_connection *connection = &pool->connections[pool->count];
    connection->number = pool->first + pool->count;
    connection->sent_at = pool->times + (size_t) pool->count * pool->pipeline;
    connection->answer_end = pool->size;
    if (wire->client_count > 0) {
        connection->fd = wire->client_ends[(size_t) pool->count * 2];
        connection->out = wire->client_ends[(size_t) pool->count * 2 + 1];
    } else {
        connection->fd = connection->out = connect_socket(&wire->address);
    }
    if (connection->fd < 0)
        return fail(pool, connection, strerror(errno));
    pool->count++;
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    fcntl(connection->out, F_SETFL, O_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    if (epoll_ctl(pool->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0)
        return fail(pool, connection, strerror(errno));
    return 0;
}

/* No more messages will come. */
static void shut_down(struct bench_pool *pool, unsigned index)
{
    if (pool->wire->client_count == 0) {
        shutdown(pool->connections[index].fd, SHUT_WR);
        return;
    }
    close(pool->connections[index].out);
    pool->wire->client_ends[(size_t) index * 2 + 1] = -1;
}

int bench_pool_grow(struct bench_pool *pool, unsigned count)
{
    pool->last_news = bench_now();
    while (pool->count < count) {
        uint64_t wanted = pool->messages;
        for (unsigned i = 0; i < GROW_STEP && pool->count < count; i++, wanted++) {
            if (connect_one(pool) < 0 || ask(pool, &pool->connections[pool->count - 1], 1, bench_now()) < 0)
                return -1;
        }
        while (pool->messages < wanted) {
            if (turn(pool, 100) < 0)
                return -1;
        }
    }
    return 0;
}

int bench_pool_feed(struct bench_pool *pool)
{
    pool->feeding = true;
    pool->last_news = bench_now();
    for (unsigned i = 0; i < pool->count; i++) {
        if (ask(pool, &pool->connections[i], pool->pipeline, bench_now()) < 0)
            return -1;
    }
    return 0;
}

int bench_pool_run(struct bench_pool *pool, int64_t deadline)
{
    uint64_t messages = pool->messages;
    for (;;) {
        int64_t left = deadline - bench_now();
        if (left <= 0 && pool->messages > messages)
            return 0;
        if (turn(pool, left > 0 && left < 100000000 ? (int) (left / 1000000) : 100) < 0)
            return -1;
    }
}

static bool all_answered(const struct bench_pool *pool)
{
    for (unsigned i = 0; i < pool->count; i++) {
        if (pool->connections[i].received != pool->connections[i].queued)
            return false;
    }
    return true;
}

int bench_pool_finish(struct bench_pool *pool)
{
    pool->feeding = false;
    pool->histogram = NULL;
    while (!all_answered(pool)) {
        if (turn(pool, 100) < 0)
            return -1;
    }
    pool->finishing = true;
    pool->last_news = bench_now();
    for (unsigned i = 0; i < pool->count; i++)
        shut_down(pool, i);
    while (pool->ended < pool->count) {
        if (turn(pool, 100) < 0)
            return -1;
    }
    return 0;
}
