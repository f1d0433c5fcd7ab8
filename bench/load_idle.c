/* SPDX-License-Identifier: MIT */
/* What a connection costs that has echoed once and then does nothing.
 *
 * The server's memory is read with a tenth of the connections open, when its tables and pools exist, and
 * again with all of them; the difference is theirs. It is counted in pages that only the server holds. */
#include <math.h>
#include <stdio.h>

#include "host.h"
#include "pool.h"

int bench_load_idle(const struct bench_load *load, struct bench_sample *ret_sample, char *error,
                    size_t capacity)
{
    struct bench_pool pool;
    unsigned first = load->connections / 10 + 1;
    if (bench_pool_init(&pool, load, load->connections, error, capacity) < 0)
        return -1;
    int64_t before = -1, after = -1;
    int rc = bench_pool_grow(&pool, first);
    if (rc == 0) {
        before = bench_process_memory(load->server);
        rc = bench_pool_grow(&pool, load->connections);
    }
    if (rc == 0) {
        after = bench_process_memory(load->server);
        rc = bench_pool_finish(&pool);
    }
    bench_pool_destroy(&pool);
    if (rc < 0)
        return rc;
    bench_sample_clear(ret_sample);
    if (before >= 0 && after >= 0)
        ret_sample->value[BENCH_MEMORY] = (double) (after - before) / (double) (load->connections - first);
    return 0;
}
