/* SPDX-License-Identifier: MIT */
/* rondo-bench: measures Rondo's backends side by side, and beside others.
 *
 * The program is also its own child: with --serve NAME --inherit it is a server on the sockets that it
 * finds open, with --child-micro SUITE TEST CORE it prints one figure. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "micro.h"
#include "plan.h"
#include "report.h"
#include "serve.h"
#include "svg.h"

static int run_micro(const char *suite, const char *test, int other_core)
{
    const struct bench_micro *micro = bench_micro_find(suite, test);
    double ns = micro ? micro->run(other_core) : NAN;
    if (isnan(ns))
        return 1;
    printf("%.6f\n", ns);
    return 0;
}

/* Better to fail now than in half an hour. */
static bool can_write(const char *path)
{
    FILE *file = path ? fopen(path, "a") : NULL;
    if (path && !file)
        fprintf(stderr, "rondo-bench: cannot write %s: %s\n", path, strerror(errno));
    if (file)
        fclose(file);
    return file || !path;
}

static int run(const struct bench_options *options)
{
    struct bench_plan plan;
    int rc = bench_plan_make(&plan, options);
    if (rc != 0)
        return rc;
    bool table = !options->json || strcmp(options->json, "-") != 0;
    if (!can_write(options->svg) || !can_write(table ? options->json : NULL)) {
        bench_plan_free(&plan);
        return 1;
    }
    if (table)
        bench_report_machine(&plan);
    fflush(stdout);
    rc = bench_plan_run(&plan) > 0 ? 1 : 0;
    if (table)
        bench_report_results(&plan);
    if (options->json && bench_json_write(&plan, options->json) < 0)
        rc = 1;
    if (options->svg && bench_svg_write(&plan, options->svg) < 0)
        rc = 1;
    else if (options->svg && table)
        printf("chart: %s\n", options->svg);
    bench_plan_free(&plan);
    return rc;
}

/* What went to the standard output has arrived there. */
static int finish(int rc)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return rc;
    fputs("rondo-bench: cannot write to the standard output\n", stderr);
    return 1;
}

int main(int count, char **arguments)
{
    if (count == 5 && strcmp(arguments[1], "--child-micro") == 0)
        return run_micro(arguments[2], arguments[3], atoi(arguments[4]));

    struct bench_options options;
    struct bench_host host;
    if (bench_options_parse(&options, count, arguments) < 0)
        return 2;
    bench_host_read(&host);
    switch (options.mode) {
    case BENCH_MODE_HELP:
        bench_options_help();
        return finish(0);
    case BENCH_MODE_LIST:
        bench_report_list();
        return finish(0);
    case BENCH_MODE_PROBE:
        bench_report_probe(&host);
        return finish(0);
    case BENCH_MODE_SERVE:
        return bench_serve(&options);
    case BENCH_MODE_RUN:
        break;
    }
    return finish(run(&options));
}
