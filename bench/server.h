/* SPDX-License-Identifier: MIT */
/* Servers: the same protocol on everything that is compared. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol.h"

enum bench_family {
    BENCH_SELECTOR, /* rondo on a selector */
    BENCH_PROACTOR, /* rondo on a proactor */
    BENCH_BARE,     /* hand-written loops: the limit */
    BENCH_PEER      /* other libraries */
};

/* What a server does. */
enum bench_service {
    BENCH_NO_SERVICE = 0,
    BENCH_TCP = 1 << 0,       /* answers on the connections to a listening socket */
    BENCH_UNIX = 1 << 1,      /* the same on a Unix socket */
    BENCH_DATAGRAMS = 1 << 2, /* sends each datagram back to where it came from */
    BENCH_PIPES = 1 << 3,     /* what comes from one pipe goes into another */
    BENCH_PROXY = 1 << 4,     /* connects each connection to a server behind it, and copies both ways */
    BENCH_ANY_SERVICE = 0xffff
};

/* Options of Rondo's loops; 0: the default. Others do not know them. */
struct bench_tuning {
    size_t spin_ns, receive_buffer, receive_buffers, ring_entries;
};

enum { BENCH_MAX_LOOPS = 256 }; /* of one server */

/* What one loop is to do. */
struct bench_job {
    enum bench_service service;
    int socket; /* non-blocking; it listens already, or is a bound datagram socket. Pipes: the first of them,
                   the others have the numbers behind it: for each pair one to read from, one to write to */
    size_t pairs;         /* of pipes */
    unsigned upstream;    /* proxy: the port of 127.0.0.1 of the server behind it */
    bench_answer *answer; /* NULL: echo */
    struct bench_tuning tuning;
};

struct bench_server {
    const char *name;  /* for the command line and the tables */
    const char *about; /* one line */
    enum bench_family family;
    unsigned services;    /* an or of enum bench_service */
    bool only_echo;       /* it has no other protocol and no second loop */
    const char *argument; /* the server's own: a backend, a module */

    /* Whether it can run here; else writes why not. NULL: always. */
    bool (*available)(const struct bench_server *server, char *reason, size_t capacity);

    /* Do @job on the calling thread until killed. Other threads may do the same with other jobs. Returns only
     * when it fails, after a line on stderr. */
    int (*serve)(const struct bench_server *server, const struct bench_job *job);
};

/* All of them, rondo's first, in the order of the tables; returns how many. */
size_t bench_servers(const struct bench_server **ret_servers);

/* The one called @name that does @service, or NULL. */
const struct bench_server *bench_server_find(const char *name, enum bench_service service);

bool bench_server_available(const struct bench_server *server, char *reason, size_t capacity);

/* Rondo on each backend that is built in; returns how many. The other parts each have a list
 * bench_NAME_servers that ends with an entry without a name. */
size_t bench_rondo_servers(struct bench_server *ret_servers, size_t capacity);

#endif
