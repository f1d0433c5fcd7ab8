/* SPDX-License-Identifier: MIT */
/* Rondo on each backend that is built in. */
#include "server_rondo.h"

#include <stdio.h>

enum { BACKENDS = 16 };

static int start(rondo_loop *loop, const struct bench_job *job)
{
    if (job->service == BENCH_DATAGRAMS)
        return bench_rondo_datagrams(loop, job);
    if (job->service == BENCH_PIPES)
        return bench_rondo_pipes(loop, job);
    if (job->service == BENCH_PROXY)
        return bench_rondo_proxy(loop, job);
    return bench_rondo_stream(loop, job);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.extended = job->service == BENCH_DATAGRAMS; /* for those of a proactor */
    options.spin_ns = (rondo_ns) job->tuning.spin_ns;
    options.receive_buffer_size = job->tuning.receive_buffer;
    options.receive_buffers = (unsigned) job->tuning.receive_buffers;
    options.ring_entries = (unsigned) job->tuning.ring_entries;
    rondo_loop *loop = NULL;
    int rc = rondo_backend_from_name(server->argument, &options.backend);
    if (rc == 0)
        rc = rondo_loop_new(&options, &loop);
    if (rc == 0)
        rc = start(loop, job);
    if (rc == 0)
        rc = rondo_loop_run_forever(loop);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", server->name, rondo_last_error_message());
    rondo_loop_free(loop);
    return rc;
}

static bool available(const struct bench_server *server, char *reason, size_t capacity)
{
    rondo_backend_info infos[BACKENDS];
    size_t count = rondo_backend_probe(infos, BACKENDS);
    rondo_backend wanted = RONDO_BACKEND_AUTO;
    rondo_backend_from_name(server->argument, &wanted);
    for (size_t i = 0; i < count && i < BACKENDS; i++) {
        if (infos[i].backend != wanted)
            continue;
        if (!infos[i].available)
            snprintf(reason, capacity, "%s",
                     infos[i].reason ? infos[i].reason : rondo_strerror(infos[i].error));
        return infos[i].available;
    }
    snprintf(reason, capacity, "not built in");
    return false;
}

size_t bench_rondo_servers(struct bench_server *ret_servers, size_t capacity)
{
    static char names[BACKENDS][32];
    rondo_backend_info infos[BACKENDS];
    size_t count = rondo_backend_probe(infos, BACKENDS);
    size_t made = 0;
    for (size_t i = 0; i < count && i < BACKENDS && made < capacity; i++) {
        if (infos[i].error == RONDO_ENOTSUP)
            continue; /* not built in, as --probe says; nothing to compare */
        snprintf(names[i], sizeof names[i], "rondo-%s", infos[i].name);
        ret_servers[made++] = (struct bench_server){
            .name = names[i],
            .about = infos[i].is_proactor ? "rondo on a proactor" : "rondo on a selector",
            .family = infos[i].is_proactor ? BENCH_PROACTOR : BENCH_SELECTOR,
            .services = BENCH_TCP | BENCH_UNIX | BENCH_DATAGRAMS | BENCH_PIPES | BENCH_PROXY,
            .argument = rondo_backend_name(infos[i].backend),
            .available = available,
            .serve = serve,
        };
    }
    return made;
}
