/* SPDX-License-Identifier: MIT */
/* The client's end of many echo connections, on one epoll. */
#ifndef BENCH_POOL_H
#define BENCH_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "load.h"

struct bench_connection {
    int fd;              /* where answers come from */
    int out;             /* where messages go: the same, or another pipe */
    unsigned number;     /* which part of the pattern it sends */
    bool wants_write;    /* watched for writing too */
    bool ended;          /* the server has closed it, as asked */
    uint64_t queued;     /* all counts are positions in the stream: asked to be sent */
    uint64_t sent;       /* taken by the kernel */
    uint64_t received;   /* back, and right */
    uint64_t answer_end; /* where the message that is awaited ends */
    unsigned in_flight;  /* messages asked for and not answered: at most pipeline */
    unsigned oldest;     /* index of its time in sent_at */
    int64_t *sent_at;    /* a ring of `pipeline` times */
};

struct bench_pool {
    struct bench_wire *wire;
    size_t size;
    unsigned pipeline;
    int epoll;
    unsigned count, capacity;
    unsigned first; /* the number of the first connection: others have those below it */
    struct bench_connection *connections;
    int64_t *times;
    unsigned char *scratch;
    bool feeding;                      /* each answer is followed by a new message */
    bool finishing;                    /* the end of a stream is what is waited for */
    unsigned ended;                    /* connections that have ended so */
    uint64_t messages;                 /* answered so far */
    int64_t last_news;                 /* when something came last */
    struct bench_histogram *histogram; /* of latencies; NULL: not measured now */
    char *error;
    size_t error_capacity;
};

/* All but the last return 0, or -1 with a text in the pool's @error. */
int bench_pool_init(struct bench_pool *pool, const struct bench_load *load, unsigned capacity, char *error,
                    size_t error_capacity);

/* Connect until there are @count and each new one has had one message answered. */
int bench_pool_grow(struct bench_pool *pool, unsigned count);

/* Fill each connection up to its pipeline and go on so with each answer. */
int bench_pool_feed(struct bench_pool *pool);

/* Serve the connections until the clock shows @deadline, and until there was an answer at all. */
int bench_pool_run(struct bench_pool *pool, int64_t deadline);

/* Ask nothing more, wait for every answer, shut down the sending halves and wait for the server to close. */
int bench_pool_finish(struct bench_pool *pool);

void bench_pool_destroy(struct bench_pool *pool);

#endif
