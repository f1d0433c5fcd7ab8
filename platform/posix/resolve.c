/* SPDX-License-Identifier: MIT */
/* Blocking name resolution by getaddrinfo(3) and getnameinfo(3), with the library's own codes. */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../sockaddr.h"
#include "../socket.h"

/* clang-format off */
static int code_of(int number)
{
    switch (number) {
    case 0:
        return 0;
#define MAP(name) \
    case name:    \
        return RONDO_##name;
        MAP(EAI_AGAIN) MAP(EAI_BADFLAGS) MAP(EAI_FAIL) MAP(EAI_FAMILY) MAP(EAI_MEMORY) MAP(EAI_NONAME)
        MAP(EAI_SERVICE) MAP(EAI_SOCKTYPE) MAP(EAI_OVERFLOW)
#if defined(EAI_ADDRFAMILY)
        MAP(EAI_ADDRFAMILY)
#endif
#if defined(EAI_NODATA) && EAI_NODATA != EAI_NONAME
        MAP(EAI_NODATA)
#endif
#undef MAP
    case EAI_SYSTEM:
        return errno ? rondo_error_from_system(errno) : RONDO_EAI_SYSTEM;
    default:
        return RONDO_EAI_FAIL;
    }
}
/* clang-format on */

static int copy_answers(const struct addrinfo *answers, rondo_addrinfo **ret_info)
{
    size_t count = 0;
    for (const struct addrinfo *answer = answers; answer; answer = answer->ai_next)
        count++;
    rondo_addrinfo *info = rondo_addrinfo_new(count);
    if (!info)
        return RONDO_ENOMEM;
    size_t kept = 0;
    for (const struct addrinfo *answer = answers; answer; answer = answer->ai_next) {
        rondo_addrinfo_entry *entry = &info->entries[kept];
        entry->family = answer->ai_family;
        entry->type = answer->ai_socktype;
        entry->proto = answer->ai_protocol;
        if (rondo_address_from_sockaddr(&entry->address, answer->ai_addr, answer->ai_addrlen) == 0)
            kept++;
    }
    info->count = kept;
    if (answers && answers->ai_canonname)
        info->canonical_name = strdup(answers->ai_canonname);
    *ret_info = info;
    return 0;
}

int rondo_socket_resolve(const rondo_addrinfo_query *query, rondo_addrinfo **ret_info)
{
    struct addrinfo hints = { .ai_family = query->family,
                              .ai_socktype = query->type,
                              .ai_protocol = query->proto,
                              .ai_flags = query->flags };
    const char *host = query->host && *query->host ? query->host : NULL;
    struct addrinfo *answers = NULL;
    errno = 0;
    int rc = code_of(getaddrinfo(host, query->service, &hints, &answers));
    if (rc < 0)
        return rc;
    rc = copy_answers(answers, ret_info);
    freeaddrinfo(answers);
    return rc;
}

int rondo_socket_reverse(const rondo_address *address, int flags, rondo_nameinfo *ret_info)
{
    rondo_nameinfo info;
    errno = 0;
    int rc = getnameinfo(rondo_address_sockaddr(address), (socklen_t) address->length, info.host,
                         sizeof info.host, info.service, sizeof info.service, flags);
    if (rc == 0)
        *ret_info = info;
    return code_of(rc);
}

uint32_t rondo_interface_number(const char *name)
{
    return if_nametoindex(name);
}
