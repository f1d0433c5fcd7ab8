/* SPDX-License-Identifier: MIT */
/* rondo-bench: measures Rondo's backends side by side, and beside others.
 *
 * The program is also its own child: with --child-serve NAME it is one echo server on the socket that it
 * finds at descriptor 3, with --child-micro SUITE TEST CORE it prints one figure. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "child.h"
#include "json.h"
#include "micro.h"
#include "plan.h"
#include "report.h"
#include "svg.h"

static int serve(const char *name, int listener)
{
    const struct bench_server *server = bench_server_find(name);
    if (!server) {
        fprintf(stderr, "rondo-bench: there is no server called '%s'; --list shows them\n", name);
        return 2;
    }
    char reason[256] = "";
    if (!bench_server_available(server, reason, sizeof reason)) {
        fprintf(stderr, "rondo-bench: %s cannot run here: %s\n", name, reason);
        return 1;
    }
    bench_raise_file_limit();
    signal(SIGPIPE, SIG_IGN);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    server->serve(server, listener);
    return 1; /* it should have served until killed */
}

static int serve_in_front(const struct bench_options *options)
{
    struct sockaddr_in address;
    int listener = bench_listen(options->port, &address);
    if (listener < 0) {
        fprintf(stderr, "rondo-bench: cannot listen on 127.0.0.1:%u: %s\n", options->port, strerror(errno));
        return 1;
    }
    printf("listening on 127.0.0.1:%u server=%s\n", ntohs(address.sin_port), options->serve);
    fflush(stdout);
    return serve(options->serve, listener);
}

static int run_micro(const char *suite, const char *test, int other_core)
{
    const struct bench_micro *micro = bench_micro_find(suite, test);
    double ns = micro ? micro->run(other_core) : NAN;
    if (isnan(ns))
        return 1;
    printf("%.6f\n", ns);
    return 0;
}

static int run(const struct bench_options *options)
{
    struct bench_plan plan;
    int rc = bench_plan_make(&plan, options);
    if (rc != 0)
        return rc;
    FILE *first = options->svg ? fopen(options->svg, "a") : NULL; /* better to fail now than in ten minutes */
    if (options->svg && !first) {
        fprintf(stderr, "rondo-bench: cannot write %s: %s\n", options->svg, strerror(errno));
        bench_plan_free(&plan);
        return 1;
    }
    if (first)
        fclose(first);
    bool table = !options->json || strcmp(options->json, "-") != 0;
    if (table)
        bench_report_machine(&plan.host);
    fflush(stdout);
    rc = bench_plan_run(&plan) > 0 ? 1 : 0;
    if (table)
        bench_report_results(&plan);
    if (options->json && bench_json_write(&plan, options->json) < 0)
        rc = 1;
    if (options->svg && bench_svg_write(&plan, options->svg) < 0)
        rc = 1;
    bench_plan_free(&plan);
    return rc;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--child-serve") == 0)
        return serve(arguments[2], BENCH_CHILD_LISTENER);
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
        return 0;
    case BENCH_MODE_LIST:
        bench_report_list();
        return 0;
    case BENCH_MODE_PROBE:
        bench_report_probe(&host);
        return 0;
    case BENCH_MODE_SERVE:
        return serve_in_front(&options);
    case BENCH_MODE_RUN:
        break;
    }
    return run(&options);
}
