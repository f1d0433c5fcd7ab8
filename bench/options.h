/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "kind.h"
#include "protocol.h"
#include "server.h"

enum { BENCH_MAX_LIST = 16 };

/* Numbers that were given as a list; count 0: not given. */
struct bench_numbers {
    size_t count;
    size_t values[BENCH_MAX_LIST];
};

enum bench_mode { BENCH_MODE_RUN, BENCH_MODE_PROBE, BENCH_MODE_LIST, BENCH_MODE_HELP, BENCH_MODE_SERVE };

/* Numbers are 0 where they were not given, texts NULL. */
struct bench_options {
    enum bench_mode mode;
    bool demo, quick, peers;
    bool kinds[BENCH_KINDS];
    struct bench_numbers connections, sizes, pipelines;
    struct bench_numbers work_us; /* that a server computes for each answer */
    size_t rounds;
    double seconds;
    size_t loops;        /* on one port */
    const char *servers; /* names with commas between them; NULL: all */
    struct bench_tuning tuning;
    const char *json, *svg;
    const char *serve; /* a server to run for others to measure */
    const struct bench_protocol *protocol;
    size_t port;
    size_t pairs, upstream; /* of a child; see child.h */
    size_t inherited;       /* the service that a child does on the sockets that it finds open; see child.h */
};

/* Returns 0; -1 after a line on stderr that says what is wrong. The texts are those of @arguments. */
int bench_options_parse(struct bench_options *ret_options, int count, char **arguments);

void bench_options_help(void);

#endif
