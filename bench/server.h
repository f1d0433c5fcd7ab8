/* SPDX-License-Identifier: MIT */
/* Echo servers: the same protocol on everything that is compared. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stddef.h>

enum bench_family {
    BENCH_SELECTOR, /* rondo on a selector */
    BENCH_PROACTOR, /* rondo on a proactor */
    BENCH_BARE,     /* hand-written loops: the limit */
    BENCH_PEER      /* other libraries */
};

struct bench_server {
    const char *name;  /* for the command line and the tables */
    const char *about; /* one line */
    enum bench_family family;
    const char *argument; /* the server's own: a backend, a module */

    /* Whether it can run here; else writes why not. NULL: always. */
    bool (*available)(const struct bench_server *server, char *reason, size_t capacity);

    /* Echo what arrives on connections to @listener, a non-blocking socket that listens already, on the
     * calling thread, until killed. Returns only when it fails, after a line on stderr. */
    int (*serve)(const struct bench_server *server, int listener);
};

/* All of them, rondo's first, in the order of the tables; returns how many. */
size_t bench_servers(const struct bench_server **ret_servers);

/* The one called @name, or NULL. */
const struct bench_server *bench_server_find(const char *name);

bool bench_server_available(const struct bench_server *server, char *reason, size_t capacity);

/* Rondo on each backend that is built in; returns how many. The other parts each have a list
 * bench_NAME_servers that ends with an entry without a name. */
size_t bench_rondo_servers(struct bench_server *ret_servers, size_t capacity);

#endif
