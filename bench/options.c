/* SPDX-License-Identifier: MIT */
/* Reading the command line: each option is a row of a table with the function that takes its value.
 * Whatever is not understood ends in one line that names the argument. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "pattern.h"

const char *const bench_kind_names[BENCH_KINDS] = { "echo", "bulk", "churn", "idle", "micro" };

struct option {
    const char *name;
    const char *value; /* how the help calls it; NULL: takes none */
    const char *help;
    int (*take)(struct bench_options *options, const char *value);
};

static int refuse(const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "rondo-bench: %s %s: expected %s\n", option, value, expected);
    return -1;
}

/* A whole number with an optional k or m (1024, 1024 * 1024) that ends at @end or a comma. */
static bool read_number(const char **text, size_t low, size_t high, size_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    if (end == *text || **text == '-' || errno != 0)
        return false;
    unsigned shift = *end == 'k' || *end == 'K' ? 10 : *end == 'm' || *end == 'M' ? 20 : 0;
    if (shift)
        end++;
    if (number > high >> shift || number << shift < low)
        return false;
    *text = end;
    *ret_number = (size_t) (number << shift);
    return true;
}

static bool read_list(const char *text, size_t low, size_t high, struct bench_numbers *ret_numbers)
{
    struct bench_numbers numbers = { .count = 0 };
    for (;; text++) {
        if (numbers.count == BENCH_MAX_LIST || !read_number(&text, low, high, &numbers.values[numbers.count]))
            return false;
        numbers.count++;
        if (*text == '\0')
            break;
        if (*text != ',')
            return false;
    }
    *ret_numbers = numbers;
    return true;
}

static int take_connections(struct bench_options *options, const char *value)
{
    if (read_list(value, 1, 100000, &options->connections))
        return 0;
    return refuse("--connections", value, "up to 16 numbers from 1 to 100000 with commas between them");
}

static int take_sizes(struct bench_options *options, const char *value)
{
    if (read_list(value, 1, BENCH_PATTERN_LONGEST, &options->sizes))
        return 0;
    return refuse("--sizes", value, "up to 16 sizes from 1 to 256k with commas between them");
}

static int take_pipeline(struct bench_options *options, const char *value)
{
    if (read_list(value, 1, BENCH_MAX_PIPELINE, &options->pipelines))
        return 0;
    return refuse("--pipeline", value, "up to 16 numbers from 1 to 1024 with commas between them");
}

static int take_rounds(struct bench_options *options, const char *value)
{
    struct bench_numbers numbers;
    if (!read_list(value, 1, BENCH_MAX_ROUNDS, &numbers) || numbers.count != 1)
        return refuse("--rounds", value, "a number from 1 to 99");
    options->rounds = (unsigned) numbers.values[0];
    return 0;
}

static int take_seconds(struct bench_options *options, const char *value)
{
    char *end;
    options->seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !(options->seconds >= 0.01 && options->seconds <= 60))
        return refuse("--seconds", value, "a number from 0.01 to 60");
    return 0;
}

static int take_port(struct bench_options *options, const char *value)
{
    struct bench_numbers numbers;
    if (!read_list(value, 0, 65535, &numbers) || numbers.count != 1)
        return refuse("--port", value, "a number from 0 to 65535");
    options->port = (unsigned) numbers.values[0];
    return 0;
}

static int take_only(struct bench_options *options, const char *value)
{
    memset(options->kinds, 0, sizeof options->kinds);
    for (const char *text = value;; text++) {
        size_t length = strcspn(text, ",");
        int kind = 0;
        while (kind < BENCH_KINDS && (strlen(bench_kind_names[kind]) != length ||
                                      strncmp(text, bench_kind_names[kind], length) != 0))
            kind++;
        if (kind == BENCH_KINDS)
            return refuse("--only", value, "some of echo, bulk, churn, idle, micro with commas between them");
        options->kinds[kind] = true;
        text += length;
        if (*text == '\0')
            return 0;
    }
}

static int take_demo(struct bench_options *options, const char *value)
{
    (void) value;
    options->demo = true;
    return 0;
}

static int take_quick(struct bench_options *options, const char *value)
{
    (void) value;
    options->quick = true;
    return 0;
}

static int take_peers(struct bench_options *options, const char *value)
{
    (void) value;
    options->peers = true;
    return 0;
}

static int take_servers(struct bench_options *options, const char *value)
{
    options->servers = value;
    return 0;
}

static int take_json(struct bench_options *options, const char *value)
{
    options->json = value;
    return 0;
}

static int take_svg(struct bench_options *options, const char *value)
{
    options->svg = value;
    return 0;
}

static int take_serve(struct bench_options *options, const char *value)
{
    options->mode = BENCH_MODE_SERVE;
    options->serve = value;
    return 0;
}

static int take_probe(struct bench_options *options, const char *value)
{
    (void) value;
    options->mode = BENCH_MODE_PROBE;
    return 0;
}

static int take_show_list(struct bench_options *options, const char *value)
{
    (void) value;
    options->mode = BENCH_MODE_LIST;
    return 0;
}

static int take_help(struct bench_options *options, const char *value)
{
    (void) value;
    options->mode = BENCH_MODE_HELP;
    return 0;
}

static const struct option table[] = {
    { "--demo", NULL, "selector against proactor on this machine, in well under a minute", take_demo },
    { "--peers", NULL, "beside them: bare loops (the limit), libuv, libevent, libev, uvloop, asyncio",
      take_peers },
    { "--quick", NULL, "fewer cases, short rounds", take_quick },
    { "--only", "LIST", "of echo, bulk, churn, idle, micro; all of them otherwise", take_only },
    { "--servers", "LIST", "only these servers; --list shows their names", take_servers },
    { "--connections", "LIST", "for echo, bulk, churn and idle", take_connections },
    { "--sizes", "LIST", "bytes of a message for echo: 64,4k,16k", take_sizes },
    { "--pipeline", "LIST", "messages in flight on each connection, for echo", take_pipeline },
    { "--rounds", "N", "how often everything is measured; the table shows medians", take_rounds },
    { "--seconds", "S", "length of one measurement", take_seconds },
    { "--json", "FILE", "write every sample as JSON; - for standard output", take_json },
    { "--svg", "FILE", "write a chart", take_svg },
    { "--serve", "NAME", "only run one echo server, for other load generators; with --port", take_serve },
    { "--port", "P", "of 127.0.0.1, for --serve; 0: a free one", take_port },
    { "--probe", NULL, "what can run here, and why not", take_probe },
    { "--list", NULL, "all servers and micro benchmarks", take_show_list },
    { "--help", NULL, "this", take_help },
};

enum { OPTIONS = sizeof table / sizeof table[0] };

void bench_options_help(void)
{
    printf("Usage: rondo-bench [OPTION ...]\n\n"
           "Measures Rondo's backends side by side: each server alone on one core, the load generator on "
           "another,\n"
           "in rounds that take turns. Every byte of every answer is checked.\n\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", table[i].name, table[i].value ? table[i].value : "");
        printf("  %-20s %s\n", left, table[i].help);
    }
    printf(
        "\nThe exit code is 0 when all went well, 1 when a measurement failed, 2 for a bad command line.\n");
}

static const struct option *find(const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(table[i].name, name) == 0 || (strcmp(name, "-h") == 0 && table[i].take == take_help))
            return &table[i];
    }
    return NULL;
}

int bench_options_parse(struct bench_options *ret_options, int count, char **arguments)
{
    struct bench_options options = { .mode = BENCH_MODE_RUN };
    for (int kind = 0; kind < BENCH_KINDS; kind++)
        options.kinds[kind] = true;
    for (int i = 1; i < count; i++) {
        const struct option *option = find(arguments[i]);
        if (!option) {
            fprintf(stderr, "rondo-bench: unknown option %s; --help shows them all\n", arguments[i]);
            return -1;
        }
        if (option->value && i + 1 == count) {
            fprintf(stderr, "rondo-bench: %s needs a value (%s)\n", option->name, option->value);
            return -1;
        }
        if (option->take(&options, option->value ? arguments[++i] : NULL) < 0)
            return -1;
    }
    *ret_options = options;
    return 0;
}
