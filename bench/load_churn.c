/* SPDX-License-Identifier: MIT */
/* Connect, one message there and back, close: again and again.
 *
 * Each of the slots connects (at loopback that does not sleep), sends, waits for its answer on the common
 * epoll, checks it, closes in the ordinary way and connects anew. The client closes first, so the ports
 * that linger in TIME_WAIT are its own; when the system has no port left the next source address of
 * 127.0.0.0/8 is taken.
 * Failures: as for the pool. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "histogram.h"
#include "host.h"
#include "load.h"
#include "meter.h"
#include "pattern.h"
#include "syscalls.h"

enum { EVENTS = 256 };

struct slot {
    int fd;
    size_t received;
    int64_t begin;
};

struct churn {
    const struct bench_load *load;
    int epoll;
    struct slot *slots;
    unsigned char *scratch;
    uint32_t source; /* host part of the source address; 0: the system's choice */
    uint64_t cycles;
    struct bench_histogram histogram;
    char *error;
    size_t capacity;
};

static int fail(struct churn *churn, const char *what)
{
    snprintf(churn->error, churn->capacity, "%s after %llu cycles", what, (unsigned long long) churn->cycles);
    return -1;
}

static int try_connect(struct churn *churn, struct slot *slot)
{
    slot->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (slot->fd < 0)
        return -1;
    int on = 1;
    setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (churn->source) {
        struct sockaddr_in source = { .sin_family = AF_INET };
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + churn->source);
        setsockopt(slot->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(slot->fd, (struct sockaddr *) &source, sizeof source) < 0)
            return -1;
    }
    const struct bench_address *address = &churn->load->wire->address;
    return connect(slot->fd, (const struct sockaddr *) &address->socket, address->length);
}

/* Connect and send the message. */
static int begin(struct churn *churn, struct slot *slot)
{
    slot->begin = bench_now();
    slot->received = 0;
    for (int tries = 0; try_connect(churn, slot) < 0; tries++) {
        if (errno != EADDRNOTAVAIL || tries == 16)
            return fail(churn, strerror(errno));
        close(slot->fd);
        slot->fd = -1;
        churn->source = (churn->source + 1) % 128;
    }
    size_t size = churn->load->size;
    unsigned number = (unsigned) (slot - churn->slots);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = slot };
    if (epoll_ctl(churn->epoll, EPOLL_CTL_ADD, slot->fd, &event) < 0)
        return fail(churn, strerror(errno));
    if (send(slot->fd, bench_pattern_at(number, 0), size, MSG_NOSIGNAL) != (ssize_t) size)
        return fail(churn, "cannot send");
    return 0;
}

static int serve(struct churn *churn, struct slot *slot)
{
    ssize_t got = recv(slot->fd, churn->scratch, BENCH_PATTERN_LONGEST, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN ? 0 : fail(churn, strerror(errno));
    unsigned number = (unsigned) (slot - churn->slots);
    if (got == 0)
        return fail(churn, "closed by the server");
    if (slot->received + (size_t) got > churn->load->size ||
        bench_pattern_check(number, slot->received, churn->scratch, (size_t) got) != (size_t) got)
        return fail(churn, "a wrong byte came back");
    slot->received += (size_t) got;
    if (slot->received < churn->load->size)
        return 0;
    bench_histogram_add(&churn->histogram, bench_now() - slot->begin);
    churn->cycles++;
    close(slot->fd);
    slot->fd = -1;
    return begin(churn, slot);
}

/* Go on until the clock shows @deadline and at least @cycles are done. */
static int run_until(struct churn *churn, int64_t deadline, uint64_t cycles)
{
    int64_t last_news = bench_now();
    for (int64_t now = last_news; now < deadline || churn->cycles < cycles; now = bench_now()) {
        struct epoll_event events[EVENTS];
        int64_t left = now < deadline ? (deadline - now) / 1000000 : 100;
        int count = epoll_wait(churn->epoll, events, EVENTS, left < 100 ? (int) left : 100);
        if (count > 0)
            last_news = now;
        else if (now - last_news > INT64_C(5000000000))
            return fail(churn, "no answer for 5 seconds");
        for (int i = 0; i < count; i++) {
            if (serve(churn, events[i].data.ptr) < 0)
                return -1;
        }
    }
    return 0;
}

static int run_timed(struct churn *churn, struct bench_sample *sample)
{
    const struct bench_load *load = churn->load;
    bench_histogram_clear(&churn->histogram);
    uint64_t cycles = churn->cycles;
    struct bench_meter meter;
    bench_meter_begin(&meter, load);
    if (run_until(churn, meter.begin + load->duration, cycles + 1) < 0)
        return -1;
    bench_meter_end(&meter, churn->cycles - cycles, &churn->histogram, sample);
    return 0;
}

static int run_counted(struct churn *churn, struct bench_sample *sample)
{
    int counter = bench_syscalls_begin(churn->load->server);
    if (counter < 0)
        return 0;
    uint64_t cycles = churn->cycles;
    int rc = run_until(churn, bench_now() + churn->load->duration / 5, cycles + 1);
    int64_t calls = bench_syscalls_end(counter);
    if (calls >= 0 && churn->cycles > cycles)
        sample->value[BENCH_SYSCALLS] = (double) calls / (double) (churn->cycles - cycles);
    return rc;
}

static int run(struct churn *churn, struct bench_sample *sample)
{
    for (unsigned i = 0; i < churn->load->connections; i++) {
        if (begin(churn, &churn->slots[i]) < 0)
            return -1;
    }
    /* An interpreter may still be starting: it is warm only once each slot was served. */
    if (run_until(churn, 0, churn->load->connections) < 0 ||
        run_until(churn, bench_now() + churn->load->warmup, 0) < 0 || run_timed(churn, sample) < 0)
        return -1;
    return churn->load->count_syscalls ? run_counted(churn, sample) : 0;
}

int bench_load_churn(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                     size_t capacity)
{
    struct bench_sample sample;
    bench_sample_clear(&sample);
    struct churn *churn = calloc(1, sizeof *churn);
    struct slot *slots = calloc(load->connections, sizeof *slots);
    unsigned char *scratch = malloc(BENCH_PATTERN_LONGEST);
    int rc = -1;
    snprintf(error, capacity, "out of memory");
    if (churn && slots && scratch) {
        *churn = (struct churn){ .load = load, .slots = slots, .scratch = scratch };
        churn->epoll = epoll_create1(EPOLL_CLOEXEC);
        churn->error = error;
        churn->capacity = capacity;
        for (unsigned i = 0; i < load->connections; i++)
            slots[i].fd = -1;
        rc = run(churn, &sample);
        for (unsigned i = 0; i < load->connections; i++) {
            if (slots[i].fd >= 0)
                close(slots[i].fd);
        }
        close(churn->epoll);
    }
    free(churn);
    free(slots);
    free(scratch);
    if (rc == 0)
        *ret_sample = sample;
    return rc;
}
