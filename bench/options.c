/* SPDX-License-Identifier: MIT */
/* Reading the command line: each option is a row of a table that says where its value goes and what it may
 * be. Whatever is not understood ends in one line that names the argument. */
#include "options.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "pattern.h"

struct option {
    const char *name;
    const char *value; /* how the help calls it; NULL: takes none */
    const char *help;  /* NULL: the program says it to itself */
    int (*take)(const struct option *option, struct bench_options *options, const char *value);
    size_t place;     /* of its member in the options */
    size_t low, high; /* a number's limits */
    const char *expected;
};

static int refuse(const struct option *option, const char *value)
{
    fprintf(stderr, "rondo-bench: %s %s: expected %s\n", option->name, value, option->expected);
    return -1;
}

/* --- values ----------------------------------------------------------------------------------- */

/* A whole number with an optional k or m (1024, 1024 * 1024) that ends at a comma or the end. */
static bool read_number(const char **text, const struct option *option, size_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    if (end == *text || **text < '0' || **text > '9' || errno != 0)
        return false;
    unsigned shift = *end == 'k' || *end == 'K' ? 10 : *end == 'm' || *end == 'M' ? 20 : 0;
    if (shift)
        end++;
    if (number > option->high >> shift || number << shift < option->low || (*end != '\0' && *end != ','))
        return false;
    *text = end;
    *ret_number = (size_t) (number << shift);
    return true;
}

static int take_number(const struct option *option, struct bench_options *options, const char *value)
{
    const char *text = value;
    size_t *number = (size_t *) (void *) ((char *) options + option->place);
    return read_number(&text, option, number) && *text == '\0' ? 0 : refuse(option, value);
}

static int take_list(const struct option *option, struct bench_options *options, const char *value)
{
    struct bench_numbers *numbers = (void *) ((char *) options + option->place);
    numbers->count = 0;
    for (const char *text = value;; text++) {
        if (numbers->count == BENCH_MAX_LIST || !read_number(&text, option, &numbers->values[numbers->count]))
            return refuse(option, value);
        numbers->count++;
        if (*text == '\0')
            return 0;
    }
}

static int take_flag(const struct option *option, struct bench_options *options, const char *value)
{
    (void) value;
    *(bool *) ((char *) options + option->place) = true;
    return 0;
}

static int take_text(const struct option *option, struct bench_options *options, const char *value)
{
    if (*value == '\0')
        return refuse(option, "''");
    *(const char **) (void *) ((char *) options + option->place) = value;
    return 0;
}

/* The mode is what the row has as `low`. */
static int take_mode(const struct option *option, struct bench_options *options, const char *value)
{
    options->mode = (enum bench_mode) option->low;
    return value ? take_text(option, options, value) : 0;
}

static int take_seconds(const struct option *option, struct bench_options *options, const char *value)
{
    char *end;
    options->seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !(options->seconds >= 0.01 && options->seconds <= 60))
        return refuse(option, value);
    return 0;
}

static int take_only(const struct option *option, struct bench_options *options, const char *value)
{
    memset(options->kinds, 0, sizeof options->kinds);
    for (const char *text = value;; text++) {
        size_t length = strcspn(text, ",");
        enum bench_kind kind = bench_kind_find(text, length);
        if (kind == BENCH_KINDS)
            return refuse(option, value);
        options->kinds[kind] = true;
        text += length;
        if (*text == '\0')
            return 0;
    }
}

static int take_protocol(const struct option *option, struct bench_options *options, const char *value)
{
    options->protocol = bench_protocol_find(value);
    return options->protocol ? 0 : refuse(option, value);
}

/* --- the table -------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct bench_options, member)
#define KINDS "echo, bulk, churn, idle, fairness, loops, unix, udp, pipe, proxy, micro"

static const struct option table[] = {
    { "--demo", NULL, "selector against proactor on this machine, in well under a minute", take_flag,
      AT(demo), 0, 0, NULL },
    { "--peers", NULL, "beside them: bare loops (the limit), libuv, libevent, libev, uvloop, asyncio",
      take_flag, AT(peers), 0, 0, NULL },
    { "--quick", NULL, "fewer cases, short rounds", take_flag, AT(quick), 0, 0, NULL },
    { "--only", "LIST", "of " KINDS "; all of them otherwise", take_only, 0, 0, 0,
      "some of " KINDS " with commas between them" },
    { "--servers", "LIST", "only these servers; --list shows their names", take_text, AT(servers), 0, 0,
      "names with commas between them" },
    { "--connections", "LIST", "for all but micro", take_list, AT(connections), 1, 100000,
      "up to 16 numbers from 1 to 100000 with commas between them" },
    { "--sizes", "LIST", "bytes of a message for echo: 64,4k,16k", take_list, AT(sizes), 1,
      BENCH_PATTERN_LONGEST, "up to 16 sizes from 1 to 256k with commas between them" },
    { "--pipeline", "LIST", "messages in flight on each connection, for echo", take_list, AT(pipelines), 1,
      BENCH_MAX_PIPELINE, "up to 16 numbers from 1 to 1024 with commas between them" },
    { "--rounds", "N", "how often everything is measured; the table shows medians", take_number, AT(rounds),
      1, BENCH_MAX_ROUNDS, "a number from 1 to 99" },
    { "--seconds", "S", "length of one measurement", take_seconds, 0, 0, 0, "a number from 0.01 to 60" },
    { "--loops", "N", "measure 1 and N loops on one port, each on a core of its own; of --serve: so many",
      take_number, AT(loops), 1, BENCH_MAX_LOOPS, "a number from 1 to 256" },
    { "--work", "LIST", "microseconds to compute before each answer, for loops and --serve", take_list,
      AT(work_us), 0, 1000000, "up to 16 numbers from 0 to 1000000 with commas between them" },
    { "--json", "FILE", "write every sample as JSON; - for standard output", take_text, AT(json), 0, 0,
      "a file" },
    { "--svg", "FILE", "write a chart", take_text, AT(svg), 0, 0, "a file" },
    { "--spin", "NS", "Rondo: spin so long before sleeping (spin_ns)", take_number, AT(tuning.spin_ns), 0,
      1000000000, "nanoseconds from 0 to 1000000000" },
    { "--receive-buffer", "BYTES", "Rondo: the largest piece that is received (receive_buffer_size)",
      take_number, AT(tuning.receive_buffer), 1, 1U << 30, "a size from 1 to 1024m" },
    { "--receive-buffers", "N", "Rondo on io_uring: how many of them (receive_buffers)", take_number,
      AT(tuning.receive_buffers), 1, 32768, "a number from 1 to 32768" },
    { "--ring-entries", "N", "Rondo on io_uring: length of the queue of operations (ring_entries)",
      take_number, AT(tuning.ring_entries), 1, 32768, "a number from 1 to 32768" },
    { "--serve", "NAME", "only run one server, for other load generators", take_mode, AT(serve),
      BENCH_MODE_SERVE, 0, "the name of a server" },
    { "--protocol", "NAME", "of --serve: echo, http (one fixed answer), ping (Redis's inline PING)",
      take_protocol, 0, 0, 0, "echo, http or ping" },
    { "--port", "P", "of 127.0.0.1, for --serve; 0: a free one", take_number, AT(port), 0, 65535,
      "a number from 0 to 65535" },
    { "--probe", NULL, "what can run here, and why not", take_mode, 0, BENCH_MODE_PROBE, 0, NULL },
    { "--list", NULL, "all servers and micro benchmarks", take_mode, 0, BENCH_MODE_LIST, 0, NULL },
    { "--help", NULL, "this", take_mode, 0, BENCH_MODE_HELP, 0, NULL },
    { "--pairs", "N", NULL, take_number, AT(pairs), 1, 100000, "a number" },
    { "--upstream", "P", NULL, take_number, AT(upstream), 1, 65535, "a port" },
    { "--inherit", "SERVICE", NULL, take_number, AT(inherited), 1, SIZE_MAX, "a service" },
};

enum { OPTIONS = sizeof table / sizeof table[0] };

void bench_options_help(void)
{
    printf("Usage: rondo-bench [OPTION ...]\n\n"
           "Measures Rondo's backends side by side: each server alone on one core, the load generator on "
           "another,\n"
           "in rounds that take turns. Every byte of every answer is checked.\n\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        if (!table[i].help)
            continue;
        char left[64];
        snprintf(left, sizeof left, "%s %s", table[i].name, table[i].value ? table[i].value : "");
        printf("  %-24s %s\n", left, table[i].help);
    }
    printf(
        "\nThe exit code is 0 when all went well, 1 when a measurement failed, 2 for a bad command line.\n");
}

static const struct option *find(const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(table[i].name, strcmp(name, "-h") == 0 ? "--help" : name) == 0)
            return &table[i];
    }
    return NULL;
}

/* What is given without --serve and means nothing without it. */
static int check(const struct bench_options *options)
{
    if (options->mode == BENCH_MODE_SERVE || !options->protocol)
        return 0;
    fprintf(stderr, "rondo-bench: --protocol is for --serve\n");
    return -1;
}

int bench_options_parse(struct bench_options *ret_options, int count, char **arguments)
{
    struct bench_options options = { .mode = BENCH_MODE_RUN };
    for (int kind = 0; kind < BENCH_KINDS; kind++)
        options.kinds[kind] = true;
    bool only = false;
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
        only = only || option->take == take_only;
        if (option->take(option, &options, option->value ? arguments[++i] : NULL) < 0)
            return -1;
    }
    if (options.loops && !only) {
        memset(options.kinds, 0, sizeof options.kinds);
        options.kinds[BENCH_LOOPS] = true;
    }
    if (check(&options) < 0)
        return -1;
    *ret_options = options;
    return 0;
}
