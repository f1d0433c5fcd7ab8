/* SPDX-License-Identifier: MIT */
/* Whether a few busy connections are served while a crowd is there.
 *
 * Happy path: the busy ones are measured alone and then beside the crowd, in the same process of the server; the ratio of the two
 * p99 is the figure. Between two turns of the busy ones the crowd has a step, which is short, as its time on this
 * side counts against the server too. Failures: as for the pool; a wrong byte on a connection of the crowd.
 * Invariant: the byte at a position of a crowd's stream is the position's remainder by 251. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "meter.h"
#include "pool.h"

enum { NOISY = 4, IDLE = 10000, PERIOD = 251, LONGEST = 16384 };

struct noisy {
    int fd;
    uint64_t sent, received;
};

struct crowd {
    const struct habits *habits;
    struct bench_pool idle;
    struct noisy noisy[NOISY];
    size_t count; /* of the noisy ones that are there */
    size_t turn;
    char *error;
    size_t capacity;
};

/* What each kind of crowd does in a step. */
static const struct habits {
    unsigned idle;  /* connections that do nothing */
    size_t noisy;   /* and others, which take turns */
    unsigned sends; /* in a step */
    size_t length;  /* of each */
    size_t reads;   /* bytes in a step at most */
    uint64_t ahead; /* bytes in flight at most */
} habits[] = {
    [BENCH_CROWD_SLOW] = { .noisy = NOISY,
                           .sends = 1,
                           .length = LONGEST,
                           .reads = 1024,
                           .ahead = UINT64_MAX },
    [BENCH_CROWD_IDLE] = { .idle = IDLE },
    [BENCH_CROWD_FLOOD] = { .noisy = NOISY, .sends = 8, .length = 1, .reads = LONGEST, .ahead = 16384 },
};

static unsigned char pattern[LONGEST + PERIOD];

static int fail(struct crowd *crowd, const char *what)
{
    snprintf(crowd->error, crowd->capacity, "a connection of the crowd: %s", what);
    return -1;
}

static int connect_noisy(struct crowd *crowd, const struct bench_address *address)
{
    struct noisy *noisy = &crowd->noisy[crowd->count];
    int on = 1;
    noisy->fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (noisy->fd < 0)
        return fail(crowd, strerror(errno));
    crowd->count++;
    setsockopt(noisy->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(noisy->fd, (const struct sockaddr *) &address->socket, address->length) < 0)
        return fail(crowd, strerror(errno));
    fcntl(noisy->fd, F_SETFL, O_NONBLOCK);
    return 0;
}

static int send_some(struct crowd *crowd, struct noisy *noisy)
{
    const struct habits *habit = crowd->habits;
    for (unsigned i = 0; i < habit->sends && noisy->sent - noisy->received < habit->ahead; i++) {
        ssize_t sent = send(noisy->fd, pattern + noisy->sent % PERIOD, habit->length, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN ? 0 : fail(crowd, strerror(errno));
        noisy->sent += (uint64_t) sent;
    }
    return 0;
}

static int receive_some(struct crowd *crowd, struct noisy *noisy)
{
    unsigned char bytes[LONGEST];
    ssize_t got = recv(noisy->fd, bytes, crowd->habits->reads, 0);
    if (got < 0)
        return errno == EAGAIN ? 0 : fail(crowd, strerror(errno));
    if (got == 0)
        return fail(crowd, "closed by the server");
    if (memcmp(bytes, pattern + noisy->received % PERIOD, (size_t) got) != 0)
        return fail(crowd, "a wrong byte came back");
    noisy->received += (uint64_t) got;
    return 0;
}

static int step(struct crowd *crowd)
{
    if (crowd->count == 0)
        return 0;
    struct noisy *noisy = &crowd->noisy[crowd->turn++ % crowd->count];
    return send_some(crowd, noisy) < 0 ? -1 : receive_some(crowd, noisy);
}

static int gather(struct crowd *crowd, const struct bench_load *load)
{
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char) (i % PERIOD);
    unsigned idle = crowd->habits->idle;
    if (idle > 0 && bench_pool_init(&crowd->idle, load, idle, crowd->error, crowd->capacity) < 0)
        return -1;
    crowd->idle.first = load->connections;
    if (idle > 0 && bench_pool_grow(&crowd->idle, idle) < 0)
        return -1;
    while (crowd->count < crowd->habits->noisy) {
        if (connect_noisy(crowd, &load->wire->address) < 0)
            return -1;
    }
    return 0;
}

static void disperse(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++)
        close(crowd->noisy[i].fd);
    if (crowd->idle.connections)
        bench_pool_destroy(&crowd->idle);
}

/* Until the clock shows @deadline: a turn of the busy ones that brings an answer, a step of the crowd. */
static int run_until(struct bench_pool *busy, struct crowd *crowd, int64_t deadline)
{
    while (bench_now() < deadline) {
        if (bench_pool_run(busy, bench_now()) < 0 || step(crowd) < 0)
            return -1;
    }
    return 0;
}

static int run_timed(const struct bench_load *load, struct bench_pool *busy, struct crowd *crowd,
                     struct bench_sample *sample)
{
    struct bench_histogram histogram;
    if (run_until(busy, crowd, bench_now() + load->warmup) < 0)
        return -1;
    bench_histogram_clear(&histogram);
    busy->histogram = &histogram;
    uint64_t messages = busy->messages;
    struct bench_meter meter;
    bench_meter_begin(&meter, load);
    int rc = run_until(busy, crowd, meter.begin + load->duration / 2);
    if (rc == 0)
        bench_meter_end(&meter, busy->messages - messages, &histogram, sample);
    busy->histogram = NULL;
    return rc;
}

static int run(const struct bench_load *load, struct bench_pool *busy, struct crowd *crowd,
               struct bench_sample *sample)
{
    struct bench_sample alone;
    bench_sample_clear(&alone);
    if (bench_pool_grow(busy, load->connections) < 0 || bench_pool_feed(busy) < 0 ||
        run_timed(load, busy, crowd, &alone) < 0 || gather(crowd, load) < 0 ||
        run_timed(load, busy, crowd, sample) < 0)
        return -1;
    sample->value[BENCH_P99_ALONE] = alone.value[BENCH_P99];
    sample->value[BENCH_P99_RATIO] = sample->value[BENCH_P99] / alone.value[BENCH_P99];
    sample->value[BENCH_CPU] = NAN; /* most of it is the crowd's */
    return bench_pool_finish(busy);
}

int bench_load_fairness(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                        size_t capacity)
{
    struct crowd crowd = { .habits = &habits[load->crowd], .error = error, .capacity = capacity };
    struct bench_pool busy;
    struct bench_sample sample;
    bench_sample_clear(&sample);
    crowd.idle.epoll = -1;
    if (bench_pool_init(&busy, load, load->connections, error, capacity) < 0)
        return -1;
    int rc = run(load, &busy, &crowd, &sample);
    disperse(&crowd);
    bench_pool_destroy(&busy);
    if (rc == 0)
        *ret_sample = sample;
    return rc;
}
