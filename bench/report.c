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

enum { BACKENDS = 16, NAME_WIDTH = 17, CAPABILITY_WIDTH = 18 };

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

static void print_tuning(const struct bench_tuning *tuning)
{
    const struct {
        const char *name;
        size_t value;
    } options[] = { { "spin_ns", tuning->spin_ns },
                    { "receive_buffer_size", tuning->receive_buffer },
                    { "receive_buffers", tuning->receive_buffers },
                    { "ring_entries", tuning->ring_entries } };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].value > 0)
            printf("Rondo's loops have %s = %zu\n", options[i].name, options[i].value);
    }
}

void bench_report_machine(const struct bench_plan *plan)
{
    const struct bench_host *host = &plan->host;
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
    print_tuning(&plan->tuning);
}

static unsigned capabilities_of(rondo_backend backend, bool extended)
{
    rondo_loop *loop = NULL;
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = backend;
    options.extended = extended;
    unsigned can = rondo_loop_new(&options, &loop) == 0 ? rondo_loop_capabilities(loop) : 0;
    rondo_loop_free(loop);
    return can;
}

/* What loops on those that can run here serve: a row for each capability. */
static void print_capabilities(const rondo_backend_info *infos, size_t count)
{
    unsigned plain[BACKENDS], extended[BACKENDS];
    printf("\n");
    print_heading("what their loops can do");
    printf("  %-*s", CAPABILITY_WIDTH, "");
    for (size_t i = 0; i < count; i++) {
        plain[i] = infos[i].available ? capabilities_of(infos[i].backend, false) : 0;
        extended[i] = infos[i].available ? capabilities_of(infos[i].backend, true) : 0;
        if (infos[i].available)
            printf(" %-9s", infos[i].name);
    }
    printf("\n");
    for (unsigned bit = 1; rondo_capability_name(bit); bit <<= 1) {
        printf("  %-*s", CAPABILITY_WIDTH, rondo_capability_name(bit) + strlen("RONDO_CAN_"));
        for (size_t i = 0; i < count; i++)
            if (infos[i].available)
                printf(" %-9s", plain[i] & bit ? "yes" : extended[i] & bit ? "extended" : "no");
        printf("\n");
    }
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
    print_capabilities(infos, count < BACKENDS ? count : BACKENDS);
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

static void print_services(unsigned services)
{
    static const char *const names[] = { "tcp", "unix", "udp", "pipe", "proxy" };
    const char *separator = "";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!(services & 1U << i))
            continue;
        printf("%s%s", separator, names[i]);
        separator = ", ";
    }
}

void bench_report_list(void)
{
    const struct bench_server *servers;
    const struct bench_suite *suites;
    size_t server_count = bench_servers(&servers);
    size_t suite_count = bench_suites(&suites);
    print_heading("servers");
    for (size_t i = 0; i < server_count; i++) {
        printf("  %-*s %s (", NAME_WIDTH, servers[i].name, servers[i].about);
        print_services(servers[i].services);
        printf(")\n");
    }
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

static void print_ratio(const struct bench_series *series, const struct bench_series *base,
                        enum bench_metric metric)
{
    print_number(bench_ratio(series, base, metric), 6, 2);
}

static void print_latencies(const struct bench_series *series)
{
    print_short(bench_summarize(series, BENCH_P50).median, 7);
    print_short(bench_summarize(series, BENCH_P99).median, 7);
    print_short(bench_summarize(series, BENCH_WORST).median, 7);
}

static void print_loaded(const struct bench_case *of, const struct bench_series *series,
                         const struct bases *bases)
{
    struct bench_summary rate = bench_summarize(series, BENCH_RATE);
    struct bench_summary cpu = bench_summarize(series, BENCH_CPU);
    bool by_mib = bench_kinds[of->kind].figures == BENCH_PER_MIB;
    if (by_mib)
        print_number(rate.median * (double) of->size / 1048576, 8, 0);
    else
        print_thousands(rate.median, 8);
    print_spread(&rate);
    print_short(by_mib ? cpu.median * 1048576 / (double) of->size : cpu.median, 7);
    print_spread(&cpu);
    print_ratio(series, bases->selector, BENCH_CPU);
    print_ratio(series, bases->bare_epoll, BENCH_CPU);
    print_ratio(series, bases->bare_uring, BENCH_CPU);
    print_latencies(series);
    print_number(bench_summarize(series, BENCH_SYSCALLS).median, 6, 2);
}

/* How the rate grows, and how many cores' time it took on either side. */
static void print_loops(const struct bench_case *of, const struct bench_series *series)
{
    struct bench_summary rate = bench_summarize(series, BENCH_RATE);
    struct bench_summary cpu = bench_summarize(series, BENCH_CPU);
    const struct bench_series *alone = bench_plan_one_loop(of, series);
    print_thousands(rate.median, 8);
    print_spread(&rate);
    print_short(cpu.median, 7);
    print_spread(&cpu);
    print_ratio(series, alone, BENCH_RATE);
    print_ratio(series, alone, BENCH_CPU);
    print_number(rate.median * cpu.median / 1e6, 6, 2);
    print_number(rate.median * bench_summarize(series, BENCH_LOAD_CPU).median / 1e6, 6, 2);
    print_latencies(series);
}

static void print_crowd(const struct bench_series *series)
{
    struct bench_summary ratio = bench_summarize(series, BENCH_P99_RATIO);
    print_number(ratio.median, 10, 2);
    print_spread(&ratio);
    print_short(bench_summarize(series, BENCH_P99_ALONE).median, 7);
    print_latencies(series);
    print_thousands(bench_summarize(series, BENCH_RATE).median, 8);
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
    print_ratio(series, bases->selector, metric);
}

static void print_columns(const struct bench_kind_info *kind)
{
    switch (kind->figures) {
    case BENCH_PER_CONNECTION:
    case BENCH_PER_OPERATION:
        printf("  %-*s %10s %5s %6s\n", NAME_WIDTH, "", kind->figures == BENCH_PER_OPERATION ? "ns" : "bytes",
               "+-", kind->figures == BENCH_PER_OPERATION ? "/rondo" : "/sel");
        break;
    case BENCH_PER_LOOP:
        printf("  %-*s %8s %5s %7s %5s %6s %6s %6s %6s %7s %7s %7s\n", NAME_WIDTH, "", kind->unit, "+-",
               "CPU us", "+-", "rate/1", "CPU/1", "cores", "load", "p50 us", "p99 us", "max us");
        break;
    case BENCH_PER_CROWD:
        printf("  %-*s %10s %5s %7s %7s %7s %7s %8s\n", NAME_WIDTH, "", "p99/alone", "+-", "alone", "p50 us",
               "p99 us", "max us", kind->unit);
        break;
    case BENCH_PER_REQUEST:
    case BENCH_PER_MIB:
        printf("  %-*s %8s %5s %7s %5s %6s %6s %6s %7s %7s %7s %6s\n", NAME_WIDTH, "", kind->unit, "+-",
               kind->figures == BENCH_PER_MIB ? "us/MiB" : "CPU us", "+-", "/sel", "/epoll", "/ring",
               "p50 us", "p99 us", "max us", "calls");
        break;
    }
}

static void print_series(const struct bench_case *of, const struct bench_series *series,
                         const struct bases *bases)
{
    printf("  %-*s", NAME_WIDTH, series->name);
    switch (bench_kinds[of->kind].figures) {
    case BENCH_PER_CONNECTION:
        print_single(series, bases, BENCH_MEMORY);
        break;
    case BENCH_PER_OPERATION:
        print_single(series, bases, BENCH_TIME);
        break;
    case BENCH_PER_LOOP:
        print_loops(of, series);
        break;
    case BENCH_PER_CROWD:
        print_crowd(series);
        break;
    case BENCH_PER_REQUEST:
    case BENCH_PER_MIB:
        print_loaded(of, series, bases);
        break;
    }
    printf("\n");
    if (series->error[0])
        printf("    failed: %s\n", series->error);
}

/* Say so when other programs, or the host of a virtual machine, had the cores for much of the time. */
static void print_disturbance(const struct bench_plan *plan, const struct bench_case *of)
{
    static const double much = 0.05;
    size_t count = 0, waited = 0, stolen = 0;
    for (size_t i = 0; i < of->series_count; i++) {
        for (size_t round = 0; round < of->series[i].count; round++) {
            const struct bench_sample *sample = &of->series[i].samples[round];
            count++;
            waited += sample->value[BENCH_DELAY] > much;
            stolen += sample->value[BENCH_STOLEN] > much;
        }
    }
    if (waited > 0 && plan->host.cores > 1)
        printf("  disturbed: in %zu of %zu measurements other programs had the server's core for more than "
               "%.0f %% of the time\n",
               waited, count, much * 100);
    if (stolen > 0)
        printf("  disturbed: in %zu of %zu measurements the host took more than %.0f %% of the machine's "
               "time\n",
               stolen, count, much * 100);
}

static void print_case(const struct bench_plan *plan, const struct bench_case *of)
{
    struct bases bases = { bench_plan_selector(of), bench_plan_named(of, "bare-epoll"),
                           bench_plan_named(of, "bare-io_uring") };
    printf(" %s\n", of->title);
    for (size_t i = 0; i < of->series_count; i++)
        print_series(of, &of->series[i], &bases);
    print_disturbance(plan, of);
}

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

/* What can be concluded, which depends on the cores that are left for the load generator. */
static void print_loops_legend(const struct bench_plan *plan, const struct bench_case *of)
{
    unsigned most = 1;
    for (size_t i = 0; i < of->series_count; i++)
        most = of->series[i].loops > most ? of->series[i].loops : most;
    printf(
        "\nrate/1, CPU/1: against one loop of the same server in the same round. cores, load: how many cores "
        "the server\n"
        "and the load generator kept busy. ");
    if ((unsigned) plan->host.cores > most)
        printf("The load generator has cores of its own.\n");
    else
        printf(
            "The load generator shares the loops' cores: what it uses is missing to the\n"
            "server, so that the rate can grow to (cores - load) / cores of one loop. That the loops do not "
            "hinder one another\n"
            "shows in CPU/1 near 1: each second of CPU time brings as many requests as with one loop.\n");
}

void bench_report_results(const struct bench_plan *plan)
{
    bool loaded = false;
    const struct bench_case *loops = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        const struct bench_case *of = &plan->cases[i];
        const struct bench_kind_info *kind = &bench_kinds[of->kind];
        if (i == 0 || plan->cases[i - 1].kind != of->kind) {
            printf("\n");
            print_heading(kind->heading);
            print_columns(kind);
        }
        print_case(plan, of);
        loaded = loaded || kind->figures == BENCH_PER_REQUEST || kind->figures == BENCH_PER_MIB;
        if (kind->figures == BENCH_PER_LOOP)
            loops = of;
    }
    if (loaded)
        print_legend(plan);
    if (loops)
        print_loops_legend(plan, loops);
}
