/* SPDX-License-Identifier: MIT */
/* Running one server, on one loop or on several.
 *
 * Happy path: a listening socket for each loop, made here or inherited; with several loops they share their port
 * (SO_REUSEPORT), the kernel spreads the connections, and each loop has a thread that stays on a core of its own.
 * Failures: whatever cannot be served ends the program with a line on stderr; so does a loop that returns. */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"

struct worker {
    const struct bench_server *server;
    struct bench_job job;
    int core; /* -1: wherever it is let run */
};

static void run_worker(const struct worker *worker)
{
    if (worker->core >= 0)
        bench_pin(worker->core);
    worker->server->serve(worker->server, &worker->job);
    exit(1); /* it should have served until killed */
}

static void *run_thread(void *context)
{
    run_worker(context);
    return NULL;
}

/* The calling thread is the first of them. */
static int run_workers(struct worker *workers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        pthread_t thread;
        int rc = pthread_create(&thread, NULL, run_thread, &workers[i]);
        if (rc != 0) {
            fprintf(stderr, "rondo-bench: cannot start a thread: %s\n", strerror(rc));
            return 1;
        }
        pthread_detach(thread);
    }
    run_worker(&workers[0]);
    return 1;
}

/* The listening sockets that the loops share; the first one settles the port. */
static int open_sockets(const struct bench_options *options, struct worker *workers, size_t count)
{
    unsigned port = (unsigned) options->port;
    for (size_t i = 0; i < count; i++) {
        struct bench_address address;
        workers[i].job.socket = bench_wire_listen(port, count > 1, &address);
        if (workers[i].job.socket < 0) {
            fprintf(stderr, "rondo-bench: cannot listen on 127.0.0.1:%u: %s\n", port, strerror(errno));
            return -1;
        }
        fcntl(workers[i].job.socket, F_SETFL, O_NONBLOCK);
        port = bench_address_port(&address);
    }
    printf("listening on 127.0.0.1:%u server=%s\n", port, options->serve);
    fflush(stdout);
    return 0;
}

static int find_sockets(struct worker *workers, size_t count)
{
    size_t pairs = workers[0].job.pairs;
    for (int i = 0; i < (int) (pairs > 0 ? 2 * pairs : count); i++) {
        if (fcntl(BENCH_CHILD_SOCKETS + i, F_SETFL, O_NONBLOCK) < 0) {
            fprintf(stderr, "rondo-bench: --inherit: no socket at descriptor %d\n", BENCH_CHILD_SOCKETS + i);
            return -1;
        }
    }
    for (size_t i = 0; i < count; i++)
        workers[i].job.socket = BENCH_CHILD_SOCKETS + (int) i;
    return 0;
}

static const struct bench_server *find_server(const struct bench_options *options, enum bench_service service)
{
    const struct bench_server *server = bench_server_find(options->serve, service);
    bool more = options->work_us.values[0] > 0 || options->loops > 1 ||
                (options->protocol && options->protocol->answer);
    if (!server)
        fprintf(stderr, "rondo-bench: there is no server called '%s'; --list shows them\n", options->serve);
    else if (more && server->only_echo)
        fprintf(stderr, "rondo-bench: --serve %s: it can do nothing but echo, on one loop\n", server->name);
    else
        return server;
    return NULL;
}

static struct bench_job describe_job(const struct bench_options *options, enum bench_service service)
{
    struct bench_job job = {
        .service = service,
        .pairs = options->pairs,
        .upstream = (unsigned) options->upstream,
        .tuning = options->tuning,
    };
    if (options->protocol)
        job.answer = options->protocol->answer;
    if (!job.answer && options->work_us.values[0] > 0)
        job.answer = bench_protocol_work((int64_t) options->work_us.values[0] * 1000);
    return job;
}

int bench_serve(const struct bench_options *options)
{
    enum bench_service service = options->inherited ? (enum bench_service) options->inherited : BENCH_TCP;
    const struct bench_server *server = find_server(options, service);
    if (!server)
        return 2;
    char reason[256] = "";
    if (!bench_server_available(server, reason, sizeof reason)) {
        fprintf(stderr, "rondo-bench: %s cannot run here: %s\n", server->name, reason);
        return 1;
    }
    static struct worker workers[BENCH_MAX_LOOPS];
    struct bench_host host;
    size_t loops = options->loops ? options->loops : 1;
    bench_host_read(&host);
    bench_raise_file_limit();
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < loops; i++) {
        workers[i].server = server;
        workers[i].job = describe_job(options, service);
        workers[i].core = loops > 1 ? host.core[i % (size_t) host.cores] : -1;
    }
    if ((options->inherited ? find_sockets(workers, loops) : open_sockets(options, workers, loops)) < 0)
        return 1;
    return run_workers(workers, loops);
}
