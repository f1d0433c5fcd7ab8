/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum bench_kind { BENCH_ECHO, BENCH_BULK, BENCH_CHURN, BENCH_IDLE, BENCH_MICRO, BENCH_KINDS };

/* "echo", "bulk" ... */
extern const char *const bench_kind_names[BENCH_KINDS];

enum { BENCH_MAX_LIST = 16 };

/* Numbers that were given as a list; count 0: not given. */
struct bench_numbers {
    size_t count;
    size_t values[BENCH_MAX_LIST];
};

enum bench_mode { BENCH_MODE_RUN, BENCH_MODE_PROBE, BENCH_MODE_LIST, BENCH_MODE_HELP, BENCH_MODE_SERVE };

struct bench_options {
    enum bench_mode mode;
    bool demo, quick, peers;
    bool kinds[BENCH_KINDS];
    struct bench_numbers connections, sizes, pipelines;
    unsigned rounds;     /* 0: not given */
    double seconds;      /* 0: not given */
    const char *servers; /* names with commas between them; NULL: all */
    const char *json, *svg;
    const char *serve; /* a server to run for others to measure */
    unsigned port;
};

/* Returns 0; -1 after a line on stderr that says what is wrong. The texts are those of @arguments. */
int bench_options_parse(struct bench_options *ret_options, int count, char **arguments);

void bench_options_help(void);

#endif
