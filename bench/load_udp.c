/* SPDX-License-Identifier: MIT */
/* Echo of datagrams.
 *
 * Each sender is a connected socket that keeps `pipeline` datagrams in flight; what has come back is received in
 * one batch, and as many are sent in another. Number n of a sender carries bytes from n * size on of its part of the
 * pattern, so that a datagram that is lost, doubled, cut or swapped with another shows as a wrong byte.
 * Failures: that, and five seconds without an answer. On loopback nothing is lost as long as all that is in flight
 * fits into the server's socket. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "meter.h"
#include "pattern.h"
#include "syscalls.h"

enum { EVENTS = 64, BATCH = 64, PATIENCE_MS = 5000 };

struct sender {
    int fd;
    uint64_t sent, received; /* datagrams; sent - received are in flight */
};

struct field {
    const struct bench_load *load;
    int epoll;
    struct sender *senders;
    int64_t *sent_at; /* for each sender a ring of `pipeline` times */
    unsigned char *scratch;
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    uint64_t answers;
    struct bench_histogram histogram;
    char *error;
    size_t capacity;
};

static int fail(struct field *field, const struct sender *sender, const char *what)
{
    snprintf(field->error, field->capacity, "sender %d: %s after %llu datagrams sent, %llu received",
             (int) (sender - field->senders), what, (unsigned long long) sender->sent,
             (unsigned long long) sender->received);
    return -1;
}

static int64_t *time_of(struct field *field, const struct sender *sender, uint64_t number)
{
    size_t pipeline = field->load->pipeline;
    return field->sent_at + (size_t) (sender - field->senders) * pipeline + number % pipeline;
}

static const unsigned char *bytes_of(const struct field *field, const struct sender *sender, uint64_t number)
{
    return bench_pattern_at((unsigned) (sender - field->senders), number * field->load->size);
}

/* Send until the pipeline is full. */
static int fill(struct field *field, struct sender *sender)
{
    int64_t now = bench_now();
    while (sender->sent - sender->received < field->load->pipeline) {
        unsigned count = (unsigned) (field->load->pipeline - (sender->sent - sender->received));
        count = count < BATCH ? count : BATCH;
        for (unsigned i = 0; i < count; i++) {
            const unsigned char *bytes = bytes_of(field, sender, sender->sent + i);
            field->pieces[i] = (struct iovec){ (void *) (uintptr_t) bytes, field->load->size };
            *time_of(field, sender, sender->sent + i) = now;
        }
        int done = sendmmsg(sender->fd, field->messages, count, MSG_DONTWAIT);
        struct pollfd wanted = { .fd = sender->fd, .events = POLLOUT };
        if (done > 0)
            sender->sent += (unsigned) done;
        else if (errno != EAGAIN || poll(&wanted, 1, PATIENCE_MS) != 1)
            return fail(field, sender, strerror(errno));
    }
    return 0;
}

static int check_answer(struct field *field, struct sender *sender, unsigned index, int64_t now)
{
    const unsigned char *expected = bytes_of(field, sender, sender->received);
    if (field->messages[index].msg_len != field->load->size ||
        memcmp(field->pieces[index].iov_base, expected, field->load->size) != 0)
        return fail(field, sender, "lost for want of room (net.core.rmem_max), or a wrong byte came back");
    bench_histogram_add(&field->histogram, now - *time_of(field, sender, sender->received));
    sender->received++;
    field->answers++;
    return 0;
}

static int receive(struct field *field, struct sender *sender)
{
    size_t room = field->load->size + 1; /* one more, to see what is too long */
    for (unsigned i = 0; i < BATCH; i++)
        field->pieces[i] = (struct iovec){ field->scratch + i * room, room };
    int count = recvmmsg(sender->fd, field->messages, BATCH, MSG_DONTWAIT, NULL);
    if (count < 0)
        return errno == EAGAIN ? 0 : fail(field, sender, strerror(errno));
    int64_t now = bench_now();
    for (unsigned i = 0; i < (unsigned) count; i++) {
        if (check_answer(field, sender, i, now) < 0)
            return -1;
    }
    return fill(field, sender);
}

/* Serve the senders until the clock shows @deadline and there was an answer at all. */
static int run_until(struct field *field, int64_t deadline)
{
    uint64_t answers = field->answers;
    for (;;) {
        int64_t left = deadline - bench_now();
        if (left <= 0 && field->answers > answers)
            return 0;
        struct epoll_event events[EVENTS];
        int count = epoll_wait(field->epoll, events, EVENTS, PATIENCE_MS);
        if (count == 0)
            return fail(field, field->senders, "no answer for 5 seconds");
        /* Below 0 it was interrupted: also by the end of a ring that was only opened to see whether it can be. */
        for (int i = 0; i < count; i++) {
            if (receive(field, events[i].data.ptr) < 0)
                return -1;
        }
    }
}

static int open_sender(struct field *field, struct sender *sender)
{
    const struct bench_address *address = &field->load->wire->address;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = sender };
    sender->fd = socket(address->socket.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sender->fd >= 0)
        bench_wire_widen(sender->fd);
    if (sender->fd < 0 ||
        connect(sender->fd, (const struct sockaddr *) &address->socket, address->length) < 0 ||
        epoll_ctl(field->epoll, EPOLL_CTL_ADD, sender->fd, &event) < 0)
        return fail(field, sender, strerror(errno));
    return fill(field, sender);
}

static int run_timed(struct field *field, struct bench_sample *sample)
{
    struct bench_meter meter;
    bench_histogram_clear(&field->histogram);
    uint64_t answers = field->answers;
    bench_meter_begin(&meter, field->load);
    if (run_until(field, meter.begin + field->load->duration) < 0)
        return -1;
    bench_meter_end(&meter, field->answers - answers, &field->histogram, sample);
    return 0;
}

static int run_counted(struct field *field, struct bench_sample *sample)
{
    int counter = field->load->count_syscalls ? bench_syscalls_begin(field->load->server) : -1;
    if (counter < 0)
        return 0;
    uint64_t answers = field->answers;
    int rc = run_until(field, bench_now() + field->load->duration / 5);
    int64_t calls = bench_syscalls_end(counter);
    if (calls >= 0 && field->answers > answers)
        sample->value[BENCH_SYSCALLS] = (double) calls / (double) (field->answers - answers);
    return rc;
}

static int run(struct field *field, struct bench_sample *sample)
{
    for (unsigned i = 0; i < BATCH; i++)
        field->messages[i].msg_hdr = (struct msghdr){ .msg_iov = &field->pieces[i], .msg_iovlen = 1 };
    for (unsigned i = 0; i < field->load->connections; i++) {
        if (open_sender(field, &field->senders[i]) < 0)
            return -1;
    }
    if (run_until(field, bench_now() + field->load->warmup) < 0 || run_timed(field, sample) < 0)
        return -1;
    return run_counted(field, sample);
}

static void close_field(struct field *field)
{
    for (unsigned i = 0; field->senders && i < field->load->connections; i++) {
        if (field->senders[i].fd > 0)
            close(field->senders[i].fd);
    }
    close(field->epoll);
    free(field->senders);
    free(field->sent_at);
    free(field->scratch);
    free(field);
}

int bench_load_udp(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                   size_t capacity)
{
    struct bench_sample sample;
    bench_sample_clear(&sample);
    struct field *field = calloc(1, sizeof *field);
    snprintf(error, capacity, "out of memory");
    if (!field)
        return -1;
    field->load = load;
    field->error = error;
    field->capacity = capacity;
    field->epoll = epoll_create1(EPOLL_CLOEXEC);
    field->senders = calloc(load->connections, sizeof *field->senders);
    field->sent_at = calloc((size_t) load->connections * load->pipeline, sizeof *field->sent_at);
    field->scratch = malloc(BATCH * (load->size + 1));
    int rc = field->senders && field->sent_at && field->scratch ? run(field, &sample) : -1;
    close_field(field);
    if (rc == 0)
        *ret_sample = sample;
    return rc;
}
