/* SPDX-License-Identifier: MIT */
/* The table on stdout: one block for each kind, one part for each case, one line for each server. Figures
 * are medians of the rounds; what was not measured is a dash. */
#include "report.h"

#include <math.h>
#include <rondo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "micro.h"
#include "parts.h"
#include "syscalls.h"

enum { BACKENDS = 16, NAME_WIDTH = 16 };

/* --- cells ------------------------------------------------------------------------------------ */

static void print_number(double value, int width, int decimals)
{
    if (isnan(value))
        printf(" %*s", width, "-");
    else
        printf(" %*.*f", width, decimals, value);
}

/* Three or four digits that matter: 6.35, 81.2, 1250. */
static void print_short(double value, int width)
{
    print_number(value, width, value < 10 ? 2 : value < 100 ? 1 : 0);
}

static void print_thousands(double value, int width)
{
    char text[32];
    if (isnan(value)) {
        printf(" %*s", width, "-");
        return;
    }
    snprintf(text, sizeof text, value < 9999.5 ? "%.2fk" : value < 99999.5 ? "%.1fk" : "%.0fk", value / 1000);
    printf(" %*s", width, text);
}

static void print_spread(const struct bench_summary *summary)
{
    double spread = bench_spread(summary);
    if (isnan(spread))
        printf(" %5s", "");
    else
        printf(" %4.0f%%", spread * 100);
}

static void print_heading(const char *text)
{
    bool terminal = isatty(STDOUT_FILENO) == 1;
    printf("%s%s%s\n", terminal ? "\033[1m" : "", text, terminal ? "\033[0m" : "");
}

/* --- the machine ------------------------------------------------------------------------------ */

void bench_report_machine(const struct bench_host *host)
{
    rondo_backend_info infos[BACKENDS];
    size_t count = rondo_backend_probe(infos, BACKENDS);
    printf("machine   %s, %d core%s, %s\n", host->cpu, host->cores, host->cores == 1 ? "" : "s",
           host->kernel);
    for (size_t i = 0; i < count && i < BACKENDS; i++) {
        if (infos[i].available)
            printf("%-9s %s\n", infos[i].name, infos[i].details ? infos[i].details : "");
    }
    printf("servers run on core %d, the load generator on core %d%s\n", host->server_core, host->load_core,
           host->cores == 1 ? ": they share it, so only CPU times mean anything" : "");
}

void bench_report_probe(const struct bench_host *host)
{
    rondo_backend_info infos[BACKENDS];
    size_t count = rondo_backend_probe(infos, BACKENDS);
    printf("%s, %d core%s, %s\n\n", host->cpu, host->cores, host->cores == 1 ? "" : "s", host->kernel);
    print_heading("backends of Rondo");
    for (size_t i = 0; i < count && i < BACKENDS; i++) {
        const char *text = infos[i].available ? infos[i].details : infos[i].reason;
        printf("  %-*s %-4s %s\n", NAME_WIDTH, infos[i].name, infos[i].available ? "yes" : "no",
               text ? text : "");
    }
    printf("\n");
    print_heading("servers to compare with (--peers)");
    const struct bench_server *servers;
    size_t server_count = bench_servers(&servers);
    for (size_t i = 0; i < server_count; i++) {
        char reason[256] = "";
        if (servers[i].family == BENCH_SELECTOR || servers[i].family == BENCH_PROACTOR)
            continue;
        bool yes = bench_server_available(&servers[i], reason, sizeof reason);
        printf("  %-*s %-4s %s\n", NAME_WIDTH, servers[i].name, yes ? "yes" : "no",
               yes ? servers[i].about : reason);
    }
#define MISSING(part, package) \
    printf("  %-*s %-4s not built in: install %s and configure again\n", NAME_WIDTH, #part, "no", package);
    BENCH_MISSING_PARTS(MISSING)
#undef MISSING
    char reason[256] = "through perf events";
    bool counts = bench_syscalls_available(reason, sizeof reason);
    printf("\n");
    print_heading("counters");
    printf("  %-*s %-4s %s\n", NAME_WIDTH, "system calls", counts ? "yes" : "no", reason);
}

void bench_report_list(void)
{
    const struct bench_server *servers;
    const struct bench_suite *suites;
    size_t server_count = bench_servers(&servers);
    size_t suite_count = bench_suites(&suites);
    print_heading("servers");
    for (size_t i = 0; i < server_count; i++)
        printf("  %-*s %s\n", NAME_WIDTH, servers[i].name, servers[i].about);
    printf("\n");
    print_heading("micro benchmarks");
    for (const struct bench_test *test = bench_tests; test->name; test++) {
        printf("  %-*s %s (", NAME_WIDTH, test->name, test->about);
        const char *separator = "";
        for (size_t i = 0; i < suite_count; i++) {
            if (!bench_micro_find(suites[i].name, test->name))
                continue;
            printf("%s%s", separator, suites[i].name);
            separator = ", ";
        }
        printf(")\n");
    }
}

/* --- results ---------------------------------------------------------------------------------- */

/* The three that others are compared to, in one case; NULL for those that were not measured. */
struct bases {
    const struct bench_series *selector, *bare_epoll, *bare_uring;
};

static struct bases find_bases(const struct bench_plan *plan, const struct bench_case *of)
{
    struct bases bases = { bench_plan_selector(plan, of), bench_plan_named(of, "bare-epoll"),
                           bench_plan_named(of, "bare-io_uring") };
    return bases;
}

static void print_ratio(const struct bench_series *series, const struct bench_series *base,
                        enum bench_metric metric)
{
    print_number(bench_ratio(series, base, metric), 6, 2);
}

static void print_loaded(const struct bench_case *of, const struct bench_series *series,
                         const struct bases *bases)
{
    struct bench_summary rate = bench_summarize(series, BENCH_RATE);
    struct bench_summary cpu = bench_summarize(series, BENCH_CPU);
    if (of->kind == BENCH_BULK)
        print_number(rate.median * (double) of->size / 1048576, 8, 0);
    else
        print_thousands(rate.median, 8);
    print_spread(&rate);
    print_short(of->kind == BENCH_BULK ? cpu.median * 1048576 / (double) of->size : cpu.median, 7);
    print_spread(&cpu);
    print_ratio(series, bases->selector, BENCH_CPU);
    print_ratio(series, bases->bare_epoll, BENCH_CPU);
    print_ratio(series, bases->bare_uring, BENCH_CPU);
    print_short(bench_summarize(series, BENCH_P50).median, 7);
    print_short(bench_summarize(series, BENCH_P99).median, 7);
    print_short(bench_summarize(series, BENCH_WORST).median, 7);
    print_number(bench_summarize(series, BENCH_SYSCALLS).median, 6, 2);
}

static void print_single(const struct bench_series *series, const struct bases *bases,
                         enum bench_metric metric)
{
    struct bench_summary summary = bench_summarize(series, metric);
    if (metric == BENCH_TIME)
        print_number(summary.median, 10, summary.median < 100 ? 1 : 0);
    else
        print_number(summary.median, 10, 0);
    print_spread(&summary);
    if (metric == BENCH_MEMORY)
        print_ratio(series, bases->selector, metric);
}

static void print_columns(enum bench_kind kind)
{
    if (kind == BENCH_IDLE)
        printf("  %-*s %10s %5s %6s\n", NAME_WIDTH, "", "bytes", "+-", "/sel");
    else if (kind == BENCH_MICRO)
        printf("  %-*s %10s %5s\n", NAME_WIDTH, "", "ns", "+-");
    else
        printf("  %-*s %8s %5s %7s %5s %6s %6s %6s %7s %7s %7s %6s\n", NAME_WIDTH, "",
               kind == BENCH_BULK    ? "MiB/s"
               : kind == BENCH_CHURN ? "conn/s"
                                     : "req/s",
               "+-", kind == BENCH_BULK ? "us/MiB" : "CPU us", "+-", "/sel", "/epoll", "/ring", "p50 us",
               "p99 us", "max us", "calls");
}

/* Say so when other programs had the server's core for much of the time. */
static void print_disturbance(const struct bench_plan *plan, const struct bench_case *of)
{
    double worst = 0;
    for (size_t i = 0; i < of->series_count; i++) {
        double delay = bench_summarize(&of->series[i], BENCH_DELAY).median;
        if (delay > worst)
            worst = delay;
    }
    if (worst > 0.05 && plan->host.cores > 1)
        printf("  disturbed: other programs kept a server from its core for %.0f %% of the time\n",
               worst * 100);
}

static void print_case(const struct bench_plan *plan, const struct bench_case *of)
{
    struct bases bases = find_bases(plan, of);
    printf(" %s\n", of->title);
    for (size_t i = 0; i < of->series_count; i++) {
        const struct bench_series *series = &of->series[i];
        printf("  %-*s", NAME_WIDTH, series->name);
        if (of->kind == BENCH_IDLE)
            print_single(series, &bases, BENCH_MEMORY);
        else if (of->kind == BENCH_MICRO)
            print_single(series, &bases, BENCH_TIME);
        else
            print_loaded(of, series, &bases);
        printf("\n");
        if (series->error[0])
            printf("    failed: %s\n", series->error);
    }
    print_disturbance(plan, of);
}

static const char *const headings[BENCH_KINDS] = {
    [BENCH_ECHO] = "TCP echo, every byte checked",
    [BENCH_BULK] = "Bulk: TCP echo of large messages",
    [BENCH_CHURN] = "Churn: connect, one echo, close",
    [BENCH_IDLE] = "Idle: memory of the server for each connection that has echoed once",
    [BENCH_MICRO] = "Micro: one operation",
};

static void print_legend(const struct bench_plan *plan)
{
    printf("\nMedians of the rounds; +- is half the range. CPU: time of the server's process for each "
           "request (for bulk\n"
           "MiB/s and us/MiB count one direction). /sel, /epoll, /ring: that CPU time against our selector, "
           "the bare\n"
           "epoll loop and the bare io_uring loop in the same round. calls: system calls for each request");
    char reason[256];
    if (plan->syscalls || bench_syscalls_available(reason, sizeof reason))
        printf(".\n");
    else
        printf(";\nnot counted here: %s.\n", reason);
}

void bench_report_results(const struct bench_plan *plan)
{
    bool loaded = false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct bench_case *of = &plan->cases[i];
        if (i == 0 || plan->cases[i - 1].kind != of->kind) {
            printf("\n");
            print_heading(headings[of->kind]);
            print_columns(of->kind);
        }
        print_case(plan, of);
        loaded = loaded || of->kind == BENCH_ECHO || of->kind == BENCH_BULK || of->kind == BENCH_CHURN;
    }
    if (loaded)
        print_legend(plan);
}
