/* SPDX-License-Identifier: MIT */
/* Sockets that the process was started with.
 *
 * The happy path: the variables name this process and a count, each descriptor is looked at, and then each is made
 * close-on-exec. Failures: variables that make no sense, a descriptor that is no socket: nothing is changed before all have
 * been looked at. */
#include <rondo/inherited.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../../platform/socket.h"
#include "../../platform/thread.h"
#include "../base/error.h"

enum { FIRST = 3, MOST = 4096 };

/* The whole of @text is a number from 0 to @most. */
static bool read_number(const char *text, unsigned long long most, unsigned long long *ret_number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    *ret_number = strtoull(text, &end, 10);
    return !*end && *ret_number <= most;
}

/* How many were passed to this process. */
static int count_passed(void)
{
    const char *process = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    unsigned long long number;
    if (!process || !count)
        return 0;
    if (!read_number(process, ULLONG_MAX - 1, &number))
        return rondo_fail(RONDO_EINVAL, "LISTEN_PID is no number: %s", process);
    if (number != rondo_process_self())
        return 0;
    if (!read_number(count, MOST, &number))
        return rondo_fail(RONDO_EINVAL, "LISTEN_FDS is not 0 to %d: %s", MOST, count);
    return (int) number;
}

/* Copy the name that @names has for the next one; returns where the one after it begins, NULL if there is none. */
static const char *take_name(const char *names, char *ret_name, size_t capacity)
{
    size_t length = names ? strcspn(names, ":") : 0;
    size_t kept = length < capacity ? length : capacity - 1;
    if (kept)
        memcpy(ret_name, names, kept);
    ret_name[kept] = '\0';
    return names && names[length] ? names + length + 1 : NULL;
}

static int check_socket(rondo_socket sock, int *ret_family, int *ret_type)
{
    int rc = rondo_socket_kind(sock, ret_family, ret_type, NULL);
    return rc < 0 ? rondo_fail(rc, "inherited descriptor %lld: %s", (long long) sock, rondo_strerror(rc)) : 0;
}

int rondo_inherited_sockets(rondo_inherited_socket *ret_sockets, size_t capacity)
{
    if (!ret_sockets && capacity)
        return rondo_fail(RONDO_EINVAL, "no place for the sockets given");
    int count = count_passed();
    int family, type;
    for (int i = 0; i < count; i++) {
        int rc = check_socket((rondo_socket) (FIRST + i), &family, &type);
        if (rc < 0)
            return rc;
    }
    const char *names = getenv("LISTEN_FDNAMES");
    for (int i = 0; i < count; i++) {
        rondo_socket sock = (rondo_socket) (FIRST + i);
        int rc = rondo_socket_close_on_exec(sock);
        if (rc < 0)
            return rondo_fail(rc, NULL);
        if ((size_t) i >= capacity)
            continue;
        ret_sockets[i].sock = sock;
        check_socket(sock, &ret_sockets[i].family, &ret_sockets[i].type);
        names = take_name(names, ret_sockets[i].name, sizeof ret_sockets[i].name);
    }
    return count;
}
