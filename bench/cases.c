/* SPDX-License-Identifier: MIT */
/* Which cases each kind has, by default and with lists of the command line in their place. */
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>

#include "micro.h"

static const struct bench_numbers one_to_many = { 3, { 1, 64, 1000 } };
static const struct bench_numbers one_and_some = { 2, { 1, 64 } };
static const struct bench_numbers only_some = { 1, { 64 } };
static const struct bench_numbers only_ten = { 1, { 10 } };
static const struct bench_numbers small_and_large = { 2, { 64, 16384 } };
static const struct bench_numbers only_small = { 1, { 64 } };
static const struct bench_numbers one_and_sixteen = { 2, { 1, 16 } };
static const struct bench_numbers only_one = { 1, { 1 } };
static const struct bench_numbers bulk_connections = { 2, { 1, 16 } };
static const struct bench_numbers idle_connections = { 1, { 10000 } };
static const struct bench_numbers none_and_some = { 2, { 0, 50 } };

static const struct bench_numbers *pick(const struct bench_numbers *given,
                                        const struct bench_numbers *otherwise)
{
    return given->count > 0 ? given : otherwise;
}

/* --- one case --------------------------------------------------------------------------------- */

static void format_size(char *text, size_t capacity, size_t size)
{
    if (size >= 1024 && size % 1024 == 0)
        snprintf(text, capacity, "%zu KiB", size / 1024);
    else
        snprintf(text, capacity, "%zu B", size);
}

static const char *const crowds[] = {
    [BENCH_CROWD_SLOW] = "4 that read slowly",
    [BENCH_CROWD_IDLE] = "10000 that are idle",
    [BENCH_CROWD_FLOOD] = "4 that send single bytes",
};

static void name_case(struct bench_case *made)
{
    char size[32];
    format_size(size, sizeof size, made->size);
    const char *what = made->kind == BENCH_UDP ? "sender" : made->kind == BENCH_PIPE ? "pair" : "connection";
    const char *plural = made->connections == 1 ? "" : "s";
    if (made->kind == BENCH_MICRO)
        snprintf(made->title, sizeof made->title, "%s", made->test);
    else if (made->kind == BENCH_CHURN)
        snprintf(made->title, sizeof made->title, "%u at a time, %s", made->connections, size);
    else if (made->kind == BENCH_IDLE)
        snprintf(made->title, sizeof made->title, "%u %s%s", made->connections, what, plural);
    else if (made->kind == BENCH_FAIRNESS)
        snprintf(made->title, sizeof made->title, "%u %s%s, %s, beside %s", made->connections, what, plural,
                 size, crowds[made->crowd]);
    else if (made->kind == BENCH_LOOPS)
        snprintf(made->title, sizeof made->title, "%u %s%s, %s, %zu us of work for each", made->connections,
                 what, plural, size, made->work_us);
    else
        snprintf(made->title, sizeof made->title, "%u %s%s, %s, %u in flight", made->connections, what,
                 plural, size, made->pipeline);
}

static void add_series(struct bench_case *made, const struct bench_server *server, unsigned loops)
{
    struct bench_series *series = &made->series[made->series_count++];
    series->server = server;
    series->loops = loops;
    snprintf(series->name, sizeof series->name, made->kind == BENCH_LOOPS ? "%s x%u" : "%s", server->name,
             loops);
}

/* The servers that can do what the case asks for; for loops each on one and on many of them. */
static void add_servers(const struct bench_plan *plan, struct bench_case *made, unsigned many)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        const struct bench_server *server = plan->servers[i];
        if (!(server->services & bench_kinds[made->kind].service) ||
            (made->kind == BENCH_LOOPS && server->only_echo))
            continue;
        add_series(made, server, 1);
        if (many > 1)
            add_series(made, server, many);
    }
}

static void add_libraries(const struct bench_plan *plan, struct bench_case *made)
{
    const struct bench_suite *suites;
    size_t count = bench_suites(&suites);
    for (size_t i = 0; i < count && (i == 0 || plan->peers); i++) { /* the first is rondo itself */
        if (bench_micro_find(suites[i].name, made->test))
            snprintf(made->series[made->series_count++].name, sizeof made->series->name, "%s",
                     suites[i].name);
    }
}

/* One more case with a series for each that takes part. */
static bool add_case(struct bench_plan *plan, struct bench_case made, unsigned many)
{
    if (plan->count == BENCH_MAX_CASES)
        return false;
    made.series = calloc(2 * (plan->server_count + 1) + BENCH_MAX_SERIES, sizeof *made.series);
    if (!made.series)
        return false;
    if (made.kind == BENCH_MICRO)
        add_libraries(plan, &made);
    else
        add_servers(plan, &made, many);
    if (made.series_count == 0) { /* nobody can */
        free(made.series);
        return true;
    }
    name_case(&made);
    plan->cases[plan->count++] = made;
    return true;
}

/* --- the kinds -------------------------------------------------------------------------------- */

/* What the three lists of a kind that echoes are without those of the command line. */
struct lists {
    const struct bench_numbers *connections, *sizes, *pipelines;
};

static bool add_lists(struct bench_plan *plan, const struct bench_options *options, struct bench_case made,
                      const struct lists *lists)
{
    const struct bench_numbers *connections = pick(&options->connections, lists->connections);
    const struct bench_numbers *sizes = pick(&options->sizes, lists->sizes);
    const struct bench_numbers *pipelines = pick(&options->pipelines, lists->pipelines);
    bool done = true;
    for (size_t s = 0; s < sizes->count; s++) {
        for (size_t p = 0; p < pipelines->count; p++) {
            for (size_t c = 0; c < connections->count; c++) {
                made.connections = (unsigned) connections->values[c];
                made.size = sizes->values[s];
                made.pipeline = (unsigned) pipelines->values[p];
                if (made.kind != BENCH_UDP || made.size <= BENCH_LONGEST_DATAGRAM)
                    done = done && add_case(plan, made, 1);
            }
        }
    }
    return done;
}

static bool add_echo(struct bench_plan *plan, const struct bench_options *options, unsigned rounds)
{
    bool small = options->quick || options->demo;
    struct bench_case made = { .kind = BENCH_ECHO, .rounds = rounds };
    struct lists lists = { options->quick ? &one_and_some : &one_to_many,
                           small ? &only_small : &small_and_large, small ? &only_one : &one_and_sixteen };
    return add_lists(plan, options, made, &lists);
}

static bool add_others(struct bench_plan *plan, const struct bench_options *options, unsigned rounds)
{
    static const struct {
        enum bench_kind kind;
        struct lists lists;
    } others[] = {
        { BENCH_UNIX_ECHO, { &only_some, &small_and_large, &only_one } },
        { BENCH_UDP, { &only_one, &only_small, &one_and_sixteen } },
        { BENCH_PIPE, { &one_and_some, &only_small, &only_one } },
        { BENCH_PROXYING, { &only_some, &small_and_large, &only_one } },
    };
    bool done = true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct bench_case made = { .kind = others[i].kind, .rounds = rounds };
        if (options->kinds[others[i].kind])
            done = done && add_lists(plan, options, made, &others[i].lists);
    }
    return done;
}

/* Memory is counted in pages: it takes a thousand connections to tell what one of them needs. */
static struct bench_numbers only_large(const struct bench_numbers *numbers)
{
    struct bench_numbers large = { .count = 0 };
    for (size_t i = 0; i < numbers->count; i++) {
        if (numbers->values[i] >= 1000)
            large.values[large.count++] = numbers->values[i];
    }
    return large;
}

/* A row of connection counts with the rest fixed. */
static bool add_row(struct bench_plan *plan, struct bench_case made, const struct bench_numbers *connections,
                    unsigned many)
{
    bool done = true;
    for (size_t c = 0; c < connections->count; c++) {
        made.connections = (unsigned) connections->values[c];
        done = done && add_case(plan, made, many);
    }
    return done;
}

/* With nothing to compute the load generator is as dear as the servers; with some work they are all that counts. */
static bool add_loops(struct bench_plan *plan, const struct bench_options *options, unsigned rounds)
{
    struct bench_case made = { .kind = BENCH_LOOPS, .size = 64, .pipeline = 1, .rounds = rounds };
    unsigned many = options->loops ? (unsigned) options->loops : (unsigned) plan->host.cores;
    const struct bench_numbers *connections = pick(&options->connections, &only_some);
    const struct bench_numbers *work = pick(&options->work_us, &none_and_some);
    bool done = true;
    for (size_t w = 0; w < work->count; w++) {
        made.work_us = work->values[w];
        done = done && add_row(plan, made, connections, many);
    }
    return done;
}

static bool add_fairness(struct bench_plan *plan, const struct bench_options *options, unsigned rounds)
{
    struct bench_case made = { .kind = BENCH_FAIRNESS, .size = 64, .pipeline = 1, .rounds = rounds };
    const struct bench_numbers *connections = pick(&options->connections, &only_ten);
    bool done = true;
    for (unsigned crowd = BENCH_CROWD_SLOW; crowd <= BENCH_CROWD_FLOOD; crowd++) {
        made.crowd = (enum bench_crowd) crowd;
        done = done && add_row(plan, made, connections, 1);
    }
    return done;
}

static bool add_micro(struct bench_plan *plan, unsigned rounds)
{
    bool done = true;
    for (const struct bench_test *test = bench_tests; test->name; test++) {
        struct bench_case made = { .kind = BENCH_MICRO, .test = test->name, .rounds = rounds };
        done = done && add_case(plan, made, 1);
    }
    return done;
}

bool bench_cases_add(struct bench_plan *plan, const struct bench_options *options)
{
    unsigned otherwise = options->quick || options->demo ? 3 : 5;
    unsigned rounds = options->rounds ? (unsigned) options->rounds : otherwise;
    unsigned few = rounds < 3 ? rounds : 3;
    const struct bench_numbers *given = &options->connections;
    plan->cases = calloc(BENCH_MAX_CASES, sizeof *plan->cases);
    bool done = plan->cases != NULL;
    if (options->kinds[BENCH_ECHO])
        done = done && add_echo(plan, options, rounds);
    if (options->demo) {
        struct bench_case large = { .kind = BENCH_ECHO, .size = 16384, .pipeline = 16, .rounds = rounds };
        return done && add_row(plan, large, pick(given, &only_some), 1);
    }
    if (options->kinds[BENCH_BULK]) {
        struct bench_case made = { .kind = BENCH_BULK, .size = 65536, .pipeline = 16, .rounds = rounds };
        done = done && add_row(plan, made, pick(given, options->quick ? &only_one : &bulk_connections), 1);
    }
    if (options->kinds[BENCH_CHURN]) {
        struct bench_case made = { .kind = BENCH_CHURN, .size = 64, .pipeline = 1, .rounds = rounds };
        done = done && add_row(plan, made, pick(given, options->quick ? &only_one : &one_and_some), 1);
    }
    if (options->kinds[BENCH_IDLE]) {
        struct bench_case made = { .kind = BENCH_IDLE, .size = 64, .pipeline = 1, .rounds = few };
        struct bench_numbers many = only_large(given);
        done = done && add_row(plan, made, pick(&many, &idle_connections), 1);
    }
    if (options->kinds[BENCH_FAIRNESS])
        done = done && add_fairness(plan, options, few);
    if (options->kinds[BENCH_LOOPS])
        done = done && add_loops(plan, options, rounds);
    done = done && add_others(plan, options, rounds);
    if (options->kinds[BENCH_MICRO])
        done = done && add_micro(plan, rounds);
    return done;
}
