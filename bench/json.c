/* SPDX-License-Identifier: MIT */
/* The results as one JSON object: the machine, the backends, and for each case and server the median, the
 * extremes and the sample of every round of each metric, with the ratios of the table. */
#include "json.h"

#include <errno.h>
#include <math.h>
#include <rondo.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BACKENDS = 16 };

static void write_text(FILE *file, const char *text)
{
    if (!text) {
        fputs("null", file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        unsigned char byte = (unsigned char) *text;
        if (byte == '"' || byte == '\\')
            fprintf(file, "\\%c", byte);
        else if (byte < 0x20)
            fprintf(file, "\\u%04x", byte);
        else
            fputc(byte, file);
    }
    fputc('"', file);
}

static void write_number(FILE *file, double value)
{
    if (isfinite(value))
        fprintf(file, "%.6g", value);
    else
        fputs("null", file);
}

static void write_member(FILE *file, const char *name, const char *text)
{
    write_text(file, name);
    fputs(": ", file);
    write_text(file, text);
    fputs(", ", file);
}

static void write_backends(FILE *file)
{
    rondo_backend_info infos[BACKENDS];
    size_t count = rondo_backend_probe(infos, BACKENDS);
    fputs("  \"backends\": [\n", file);
    for (size_t i = 0; i < count && i < BACKENDS; i++) {
        fputs(i == 0 ? "    {" : ",\n    {", file);
        write_member(file, "name", infos[i].name);
        write_member(file, "details", infos[i].available ? infos[i].details : NULL);
        write_member(file, "reason", infos[i].available ? NULL : infos[i].reason);
        fprintf(file, "\"available\": %s}", infos[i].available ? "true" : "false");
    }
    fputs("\n  ],\n", file);
}

static void write_metric(FILE *file, const struct bench_series *series, enum bench_metric metric)
{
    struct bench_summary summary = bench_summarize(series, metric);
    fputs(",\n         ", file);
    write_text(file, bench_metric_names[metric]);
    fputs(": {\"median\": ", file);
    write_number(file, summary.median);
    fputs(", \"low\": ", file);
    write_number(file, summary.low);
    fputs(", \"high\": ", file);
    write_number(file, summary.high);
    fputs(", \"rounds\": [", file);
    for (size_t i = 0; i < series->count; i++) {
        fputs(i == 0 ? "" : ", ", file);
        write_number(file, series->samples[i].value[metric]);
    }
    fputs("]}", file);
}

static void write_ratio(FILE *file, const char *name, double ratio)
{
    if (isnan(ratio))
        return;
    fputs(",\n         ", file);
    write_text(file, name);
    fputs(": ", file);
    write_number(file, ratio);
}

/* The metric that a case is judged by. */
static enum bench_metric figure_of(const struct bench_case *of)
{
    enum bench_figures figures = bench_kinds[of->kind].figures;
    return figures == BENCH_PER_CONNECTION  ? BENCH_MEMORY
           : figures == BENCH_PER_OPERATION ? BENCH_TIME
           : figures == BENCH_PER_CROWD     ? BENCH_P99_RATIO
                                            : BENCH_CPU;
}

static void write_series(FILE *file, const struct bench_case *of, const struct bench_series *series)
{
    fputs("\n        {", file);
    write_member(file, "name", series->name);
    if (of->kind == BENCH_LOOPS)
        fprintf(file, "\"loops\": %u, ", series->loops);
    fputs("\"error\": ", file);
    write_text(file, series->error[0] ? series->error : NULL);
    for (int metric = 0; metric < BENCH_METRICS; metric++) {
        if (!isnan(bench_summarize(series, (enum bench_metric) metric).median))
            write_metric(file, series, (enum bench_metric) metric);
    }
    if (bench_kinds[of->kind].figures == BENCH_PER_LOOP) {
        const struct bench_series *alone = bench_plan_one_loop(of, series);
        write_ratio(file, "rate_to_one_loop", bench_ratio(series, alone, BENCH_RATE));
        write_ratio(file, "cpu_to_one_loop", bench_ratio(series, alone, BENCH_CPU));
    } else {
        enum bench_metric metric = figure_of(of);
        write_ratio(file, "to_selector", bench_ratio(series, bench_plan_selector(of), metric));
        write_ratio(file, "to_bare_epoll", bench_ratio(series, bench_plan_named(of, "bare-epoll"), metric));
        write_ratio(file, "to_bare_io_uring",
                    bench_ratio(series, bench_plan_named(of, "bare-io_uring"), metric));
        write_ratio(file, "rate_to_bare_epoll",
                    bench_ratio(series, bench_plan_named(of, "bare-epoll"), BENCH_RATE));
    }
    fputs("}", file);
}

static void write_case(FILE *file, const struct bench_case *of)
{
    fputs("    {", file);
    write_member(file, "kind", bench_kinds[of->kind].name);
    write_member(file, "title", of->title);
    if (of->kind == BENCH_MICRO)
        write_member(file, "test", of->test);
    else
        fprintf(file, "\"connections\": %u, \"size\": %zu, \"pipeline\": %u, ", of->connections, of->size,
                of->pipeline);
    if (of->kind == BENCH_LOOPS)
        fprintf(file, "\"work_us\": %zu, ", of->work_us);
    fprintf(file, "\"rounds\": %u,\n     \"series\": [", of->rounds);
    for (size_t i = 0; i < of->series_count; i++) {
        fputs(i == 0 ? "" : ",", file);
        write_series(file, of, &of->series[i]);
    }
    fputs("]}", file);
}

static void write_all(FILE *file, const struct bench_plan *plan)
{
    char date[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    fputs("{\n  ", file);
    write_member(file, "program", "rondo-bench");
    write_member(file, "date", date);
    fputs("\n  \"machine\": {", file);
    write_member(file, "cpu", plan->host.cpu);
    write_member(file, "kernel", plan->host.kernel);
    fprintf(file, "\"cores\": %d, \"server_core\": %d, \"load_core\": %d},\n", plan->host.cores,
            plan->host.server_core, plan->host.load_core);
    write_backends(file);
    const struct bench_tuning *tuning = &plan->tuning;
    fprintf(file,
            "  \"tuning\": {\"spin_ns\": %zu, \"receive_buffer_size\": %zu, \"receive_buffers\": %zu, "
            "\"ring_entries\": %zu},\n",
            tuning->spin_ns, tuning->receive_buffer, tuning->receive_buffers, tuning->ring_entries);
    fprintf(file, "  \"seconds\": %g,\n  \"cases\": [\n", plan->seconds);
    for (size_t i = 0; i < plan->count; i++) {
        fputs(i == 0 ? "" : ",\n", file);
        write_case(file, &plan->cases[i]);
    }
    fputs("\n  ]\n}\n", file);
}

int bench_json_write(const struct bench_plan *plan, const char *path)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdout : fopen(path, "w");
    if (!file) {
        fprintf(stderr, "rondo-bench: cannot write %s: %s\n", path, strerror(errno));
        return -1;
    }
    write_all(file, plan);
    int failed = ferror(file) | (standard ? fflush(file) : fclose(file));
    if (failed)
        fprintf(stderr, "rondo-bench: cannot write %s\n", path);
    return failed ? -1 : 0;
}
