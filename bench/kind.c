/* SPDX-License-Identifier: MIT */
/* The table of the kinds of measurement. */
#include "kind.h"

#include <string.h>

const struct bench_kind_info bench_kinds[BENCH_KINDS] = {
    [BENCH_ECHO] = { "echo", "TCP echo, every byte checked", "req/s", BENCH_PER_REQUEST, BENCH_TCP,
                     bench_load_echo },
    [BENCH_BULK] = { "bulk", "Bulk: TCP echo of large messages", "MiB/s", BENCH_PER_MIB, BENCH_TCP,
                     bench_load_echo },
    [BENCH_CHURN] = { "churn", "Churn: connect, one echo, close", "conn/s", BENCH_PER_REQUEST, BENCH_TCP,
                      bench_load_churn },
    [BENCH_IDLE] = { "idle", "Idle: memory of the server for each connection that has echoed once", NULL,
                     BENCH_PER_CONNECTION, BENCH_TCP, bench_load_idle },
    [BENCH_LOOPS] = { "loops", "Loops: several on one port, each on a core of its own", "req/s",
                      BENCH_PER_LOOP, BENCH_TCP, bench_load_loops },
    [BENCH_FAIRNESS] = { "fairness", "Fairness: busy connections beside others", "req/s", BENCH_PER_CROWD,
                         BENCH_TCP, bench_load_fairness },
    [BENCH_UNIX_ECHO] = { "unix", "Unix sockets: echo", "req/s", BENCH_PER_REQUEST, BENCH_UNIX,
                          bench_load_echo },
    [BENCH_UDP] = { "udp", "UDP: echo of datagrams", "msg/s", BENCH_PER_REQUEST, BENCH_DATAGRAMS,
                    bench_load_udp },
    [BENCH_PIPE] = { "pipe", "Pipes: echo from one into another", "req/s", BENCH_PER_REQUEST, BENCH_PIPES,
                     bench_load_echo },
    [BENCH_PROXYING] = { "proxy", "Proxy: TCP echo by a server behind it", "req/s", BENCH_PER_REQUEST,
                         BENCH_PROXY, bench_load_echo },
    [BENCH_MICRO] = { "micro", "Micro: one operation", NULL, BENCH_PER_OPERATION, BENCH_NO_SERVICE, NULL },
};

enum bench_kind bench_kind_find(const char *name, size_t length)
{
    int kind = 0;
    while (kind < BENCH_KINDS &&
           (strlen(bench_kinds[kind].name) != length || strncmp(name, bench_kinds[kind].name, length) != 0))
        kind++;
    return (enum bench_kind) kind;
}
