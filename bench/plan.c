/* SPDX-License-Identifier: MIT */
/* From the command line to the list of cases. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "micro.h"
#include "syscalls.h"

enum { MAX_CASES = 512 };

static const struct bench_numbers one_to_many = { 3, { 1, 64, 1000 } };
static const struct bench_numbers one_and_some = { 2, { 1, 64 } };
static const struct bench_numbers only_some = { 1, { 64 } };
static const struct bench_numbers small_and_large = { 2, { 64, 16384 } };
static const struct bench_numbers only_small = { 1, { 64 } };
static const struct bench_numbers one_and_sixteen = { 2, { 1, 16 } };
static const struct bench_numbers only_one = { 1, { 1 } };
static const struct bench_numbers bulk_connections = { 2, { 1, 16 } };
static const struct bench_numbers idle_connections = { 1, { 10000 } };

static const struct bench_numbers *pick(const struct bench_numbers *given,
                                        const struct bench_numbers *otherwise)
{
    return given->count > 0 ? given : otherwise;
}

static void format_size(char *text, size_t capacity, size_t size)
{
    if (size >= 1024 && size % 1024 == 0)
        snprintf(text, capacity, "%zu KiB", size / 1024);
    else
        snprintf(text, capacity, "%zu B", size);
}

static void name_case(struct bench_case *made)
{
    char size[32];
    format_size(size, sizeof size, made->size);
    const char *plural = made->connections == 1 ? "" : "s";
    if (made->kind == BENCH_ECHO || made->kind == BENCH_BULK)
        snprintf(made->title, sizeof made->title, "%u connection%s, %s, %u in flight", made->connections,
                 plural, size, made->pipeline);
    else if (made->kind == BENCH_CHURN)
        snprintf(made->title, sizeof made->title, "%u at a time, %s", made->connections, size);
    else if (made->kind == BENCH_IDLE)
        snprintf(made->title, sizeof made->title, "%u connection%s", made->connections, plural);
    else
        snprintf(made->title, sizeof made->title, "%s", made->test);
}

/* One more case with a series for each name that takes part. */
static bool add_case(struct bench_plan *plan, struct bench_case made)
{
    const struct bench_suite *suites;
    size_t suite_count = bench_suites(&suites);
    if (!plan->peers)
        suite_count = 1; /* rondo itself */
    size_t count = made.kind == BENCH_MICRO ? suite_count : plan->server_count;
    if (plan->count == MAX_CASES)
        return false;
    made.series = calloc(count, sizeof *made.series);
    if (!made.series)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = made.kind == BENCH_MICRO ? suites[i].name : plan->servers[i]->name;
        if (made.kind == BENCH_MICRO && !bench_micro_find(name, made.test))
            continue;
        made.series[made.series_count++].name = name;
    }
    name_case(&made);
    plan->cases[plan->count++] = made;
    return true;
}

static bool add_echo(struct bench_plan *plan, const struct bench_options *options, unsigned rounds)
{
    bool small = options->quick || options->demo;
    const struct bench_numbers *connections =
        pick(&options->connections, options->quick ? &one_and_some : &one_to_many);
    const struct bench_numbers *sizes = pick(&options->sizes, small ? &only_small : &small_and_large);
    const struct bench_numbers *pipelines = pick(&options->pipelines, small ? &only_one : &one_and_sixteen);
    bool done = true;
    for (size_t s = 0; s < sizes->count; s++) {
        for (size_t p = 0; p < pipelines->count; p++) {
            for (size_t c = 0; c < connections->count; c++) {
                struct bench_case made = { .kind = BENCH_ECHO, .rounds = rounds };
                made.connections = (unsigned) connections->values[c];
                made.size = sizes->values[s];
                made.pipeline = (unsigned) pipelines->values[p];
                done = done && add_case(plan, made);
            }
        }
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

/* Bulk, churn and idle: a row of connection counts with the rest fixed. */
static bool add_row(struct bench_plan *plan, struct bench_case made, const struct bench_numbers *connections)
{
    bool done = true;
    for (size_t c = 0; c < connections->count; c++) {
        made.connections = (unsigned) connections->values[c];
        done = done && add_case(plan, made);
    }
    return done;
}

static bool add_micro(struct bench_plan *plan, unsigned rounds)
{
    bool done = true;
    for (const struct bench_test *test = bench_tests; test->name; test++)
        done =
            done &&
            add_case(plan, (struct bench_case){ .kind = BENCH_MICRO, .test = test->name, .rounds = rounds });
    return done;
}

static bool add_cases(struct bench_plan *plan, const struct bench_options *options)
{
    unsigned rounds = options->rounds ? options->rounds : options->quick || options->demo ? 3 : 5;
    unsigned few = rounds < 3 ? rounds : 3;
    const struct bench_numbers *given = &options->connections;
    bool done = true;
    if (options->kinds[BENCH_ECHO])
        done = add_echo(plan, options, rounds);
    if (options->demo) {
        struct bench_case large = { .kind = BENCH_ECHO, .size = 16384, .pipeline = 16, .rounds = rounds };
        return done && add_row(plan, large, pick(given, &only_some));
    }
    if (options->kinds[BENCH_BULK]) {
        struct bench_case made = { .kind = BENCH_BULK, .size = 65536, .pipeline = 16, .rounds = rounds };
        done = done && add_row(plan, made, pick(given, options->quick ? &only_one : &bulk_connections));
    }
    if (options->kinds[BENCH_CHURN]) {
        struct bench_case made = { .kind = BENCH_CHURN, .size = 64, .pipeline = 1, .rounds = rounds };
        done = done && add_row(plan, made, pick(given, options->quick ? &only_one : &one_and_some));
    }
    if (options->kinds[BENCH_IDLE]) {
        struct bench_case made = { .kind = BENCH_IDLE, .size = 64, .pipeline = 1, .rounds = few };
        struct bench_numbers many = only_large(given);
        done = done && add_row(plan, made, pick(&many, &idle_connections));
    }
    if (options->kinds[BENCH_MICRO])
        done = done && add_micro(plan, rounds);
    return done;
}

/* Whether @name stands in the comma-separated @list. */
static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *text = list;; text++) {
        size_t span = strcspn(text, ",");
        if (span == length && strncmp(text, name, length) == 0)
            return true;
        text += span;
        if (*text == '\0')
            return false;
    }
}

static int check_names(const char *list)
{
    for (const char *text = list;; text++) {
        char name[64];
        size_t span = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", span < 63 ? (int) span : 63, text);
        if (!bench_server_find(name)) {
            fprintf(stderr, "rondo-bench: --servers: there is no server called '%s'; --list shows them\n",
                    name);
            return -1;
        }
        text += span;
        if (*text == '\0')
            return 0;
    }
}

static bool needs_servers(const struct bench_options *options)
{
    for (int kind = 0; kind < BENCH_KINDS; kind++) {
        if (options->kinds[kind] && kind != BENCH_MICRO)
            return true;
    }
    return false;
}

static int choose_servers(struct bench_plan *plan, const struct bench_options *options)
{
    if (options->servers && check_names(options->servers) < 0)
        return 2;
    const struct bench_server *servers;
    size_t count = needs_servers(options) ? bench_servers(&servers) : 0;
    for (size_t i = 0; i < count && plan->server_count < BENCH_MAX_SERIES; i++) {
        char reason[256] = "";
        bool ours = servers[i].family == BENCH_SELECTOR || servers[i].family == BENCH_PROACTOR;
        if (options->servers ? !is_listed(options->servers, servers[i].name) : !ours && !options->peers)
            continue;
        if (bench_server_available(&servers[i], reason, sizeof reason))
            plan->servers[plan->server_count++] = &servers[i];
        else
            fprintf(stderr, "%s cannot run here: %s\n", servers[i].name, reason);
    }
    if (plan->server_count > 0 || !needs_servers(options))
        return 0;
    fprintf(stderr, "rondo-bench: none of the servers can run here\n");
    return 1;
}

static int check_limits(const struct bench_plan *plan)
{
    size_t limit = bench_raise_file_limit();
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->cases[i].connections + 64 <= limit)
            continue;
        fprintf(
            stderr,
            "rondo-bench: %u connections need more than the %zu open files that are allowed (ulimit -n)\n",
            plan->cases[i].connections, limit);
        return 1;
    }
    return 0;
}

int bench_plan_make(struct bench_plan *ret_plan, const struct bench_options *options)
{
    struct bench_plan plan = { .peers = options->peers };
    char reason[256];
    plan.seconds = options->seconds > 0 ? options->seconds : options->quick ? 0.2 : options->demo ? 0.5 : 1.0;
    bench_host_read(&plan.host);
    plan.syscalls = bench_syscalls_available(reason, sizeof reason);
    int rc = choose_servers(&plan, options);
    if (rc != 0)
        return rc;
    plan.cases = calloc(MAX_CASES, sizeof *plan.cases);
    if (!plan.cases || !add_cases(&plan, options)) {
        fprintf(stderr, "rondo-bench: more than %d cases, or out of memory\n", MAX_CASES);
        rc = 1;
    } else {
        rc = check_limits(&plan);
    }
    if (rc != 0)
        bench_plan_free(&plan);
    else
        *ret_plan = plan;
    return rc;
}

void bench_plan_free(struct bench_plan *plan)
{
    for (size_t i = 0; plan->cases && i < plan->count; i++)
        free(plan->cases[i].series);
    free(plan->cases);
    plan->cases = NULL;
    plan->count = 0;
}

const struct bench_series *bench_plan_named(const struct bench_case *of, const char *name)
{
    for (size_t i = 0; i < of->series_count; i++) {
        if (strcmp(of->series[i].name, name) == 0)
            return &of->series[i];
    }
    return NULL;
}

const struct bench_series *bench_plan_selector(const struct bench_plan *plan, const struct bench_case *of)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        if (plan->servers[i]->family == BENCH_SELECTOR)
            return bench_plan_named(of, plan->servers[i]->name);
    }
    return of->kind == BENCH_MICRO ? bench_plan_named(of, "rondo") : NULL;
}
