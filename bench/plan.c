/* SPDX-License-Identifier: MIT */
/* From the command line to what is to be measured: which servers take part; the cases are made in cases.c. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "syscalls.h"

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
        if (!bench_server_find(name, BENCH_ANY_SERVICE)) {
            fprintf(stderr, "rondo-bench: --servers: there is no server called '%s'; --list shows them\n",
                    name);
            return -1;
        }
        text += span;
        if (*text == '\0')
            return 0;
    }
}

/* What the servers of the chosen kinds have to do. */
static unsigned needed_services(const struct bench_options *options)
{
    unsigned services = 0;
    for (int kind = 0; kind < BENCH_KINDS; kind++) {
        if (options->kinds[kind])
            services |= bench_kinds[kind].service;
    }
    return services;
}

static int choose_servers(struct bench_plan *plan, const struct bench_options *options)
{
    if (options->servers && check_names(options->servers) < 0)
        return 2;
    unsigned needed = needed_services(options);
    const struct bench_server *servers;
    size_t count = needed ? bench_servers(&servers) : 0;
    for (size_t i = 0; i < count && plan->server_count < BENCH_MAX_SERIES; i++) {
        char reason[256] = "";
        bool ours = servers[i].family == BENCH_SELECTOR || servers[i].family == BENCH_PROACTOR;
        if (!(servers[i].services & needed) ||
            (options->servers ? !is_listed(options->servers, servers[i].name) : !ours && !options->peers))
            continue;
        if (bench_server_available(&servers[i], reason, sizeof reason))
            plan->servers[plan->server_count++] = &servers[i];
        else
            fprintf(stderr, "%s cannot run here: %s\n", servers[i].name, reason);
    }
    if (plan->server_count > 0 || !needed)
        return 0;
    fprintf(stderr, "rondo-bench: none of the servers can run here\n");
    return 1;
}

static int check_limits(const struct bench_plan *plan)
{
    if (plan->count == 0) {
        fprintf(
            stderr,
            "rondo-bench: nothing is left to be measured: none of the servers can, or a datagram would have "
            "more than %d bytes\n",
            BENCH_LONGEST_DATAGRAM);
        return 2;
    }
    size_t limit = bench_raise_file_limit();
    for (size_t i = 0; i < plan->count; i++) {
        size_t each = plan->cases[i].kind == BENCH_PIPE ? 4 : 1;
        if (plan->cases[i].connections * each + 64 <= limit)
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
    struct bench_plan plan = { .peers = options->peers, .tuning = options->tuning };
    char reason[256];
    plan.seconds = options->seconds > 0 ? options->seconds : options->quick ? 0.2 : options->demo ? 0.5 : 1.0;
    bench_host_read(&plan.host);
    plan.syscalls = bench_syscalls_available(reason, sizeof reason);
    int rc = choose_servers(&plan, options);
    if (rc != 0)
        return rc;
    if (!bench_cases_add(&plan, options)) {
        fprintf(stderr, "rondo-bench: more than %d cases, or out of memory\n", BENCH_MAX_CASES);
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

const struct bench_series *bench_plan_selector(const struct bench_case *of)
{
    if (of->kind == BENCH_MICRO)
        return bench_plan_named(of, "rondo");
    for (size_t i = 0; i < of->series_count; i++) {
        if (of->series[i].server->family == BENCH_SELECTOR)
            return &of->series[i];
    }
    return NULL;
}

const struct bench_series *bench_plan_one_loop(const struct bench_case *of, const struct bench_series *series)
{
    for (size_t i = 0; i < of->series_count; i++) {
        if (of->series[i].server == series->server && of->series[i].loops == 1)
            return &of->series[i];
    }
    return NULL;
}
