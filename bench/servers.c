/* SPDX-License-Identifier: MIT */
/* The list of all servers that were built in. */
#include <string.h>

#include "parts.h"
#include "server.h"

enum { CAPACITY = 64 };

static struct bench_server servers[CAPACITY];
static size_t count;

static void add(const struct bench_server *list)
{
    for (; list->name && count < CAPACITY; list++)
        servers[count++] = *list;
}

#define DECLARE(part) extern const struct bench_server bench_##part##_servers[];
BENCH_SERVER_PARTS(DECLARE)
#undef DECLARE

size_t bench_servers(const struct bench_server **ret_servers)
{
    if (count == 0) {
        count = bench_rondo_servers(servers, CAPACITY);
#define ADD(part) add(bench_##part##_servers);
        BENCH_SERVER_PARTS(ADD)
#undef ADD
    }
    *ret_servers = servers;
    return count;
}

const struct bench_server *bench_server_find(const char *name, enum bench_service service)
{
    const struct bench_server *list;
    size_t length = bench_servers(&list);
    for (size_t i = 0; i < length; i++) {
        if ((list[i].services & service) && strcmp(list[i].name, name) == 0)
            return &list[i];
    }
    return NULL;
}

bool bench_server_available(const struct bench_server *server, char *reason, size_t capacity)
{
    return !server->available || server->available(server, reason, capacity);
}
