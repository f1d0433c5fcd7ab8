/* SPDX-License-Identifier: MIT */
/* Names on Windows: GetAddrInfoW and GetNameInfoW, with texts as UTF-8 on our side.
 *
 * Happy path: widen the query, ask, copy the answers into a list of ours.
 * Failures: RONDO_EAI_ codes; RONDO_EAI_NONAME also for a text that is not UTF-8; RONDO_ENOMEM.
 * Invariants: answers that a rondo_address cannot hold are left out. */
#include <stdlib.h>
#include <string.h>

#include <rondo/error.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>
#include <ws2tcpip.h>

#include <iphlpapi.h>

#include "../../src/base/memory.h"
#include "../sockaddr.h"
#include "../socket.h"

static int rondo_resolver_error(int number)
{
    switch (number) {
    case WSATRY_AGAIN:
        return RONDO_EAI_AGAIN;
    case WSAEINVAL:
        return RONDO_EAI_BADFLAGS;
    case WSANO_RECOVERY:
        return RONDO_EAI_FAIL;
    case WSAEAFNOSUPPORT:
        return RONDO_EAI_FAMILY;
    case WSA_NOT_ENOUGH_MEMORY:
        return RONDO_EAI_MEMORY;
    case WSANO_DATA:
        return RONDO_EAI_NODATA;
    case WSAHOST_NOT_FOUND:
        return RONDO_EAI_NONAME;
    case WSATYPE_NOT_FOUND:
        return RONDO_EAI_SERVICE;
    case WSAESOCKTNOSUPPORT:
        return RONDO_EAI_SOCKTYPE;
    default:
        return rondo_error_from_system(number);
    }
}

/* @text as UTF-16, owned; NULL with *@ret_code 0 for no text. */
static wchar_t *rondo_widen(const char *text, int *ret_code)
{
    *ret_code = 0;
    if (!text || !*text)
        return NULL;
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t) length * sizeof *wide) : NULL;
    if (!wide) {
        *ret_code = length > 0 ? RONDO_ENOMEM : RONDO_EAI_NONAME;
        return NULL;
    }
    MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, length);
    return wide;
}

/* The same back, from the library's allocator, as rondo_addrinfo_free expects; NULL: out of memory. */
static char *rondo_narrow(const wchar_t *wide)
{
    int length = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = length > 0 ? rondo_allocate(&rondo_allocator_default, (size_t) length) : NULL;
    if (text)
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, length, NULL, NULL);
    return text;
}

static bool rondo_answer_fits(const ADDRINFOW *answer)
{
    return answer->ai_addr && answer->ai_addrlen <= sizeof(((rondo_address *) 0)->storage);
}

static int rondo_copy_answers(const ADDRINFOW *answers, rondo_addrinfo **ret_info)
{
    size_t count = 0;
    for (const ADDRINFOW *answer = answers; answer; answer = answer->ai_next)
        count += rondo_answer_fits(answer);
    rondo_addrinfo *info = rondo_addrinfo_new(count);
    if (!info)
        return RONDO_ENOMEM;
    rondo_addrinfo_entry *entry = info->entries;
    for (const ADDRINFOW *answer = answers; answer; answer = answer->ai_next) {
        if (!rondo_answer_fits(answer))
            continue;
        entry->family = answer->ai_family;
        entry->type = answer->ai_socktype;
        entry->proto = answer->ai_protocol;
        entry->address.length = (uint32_t) answer->ai_addrlen;
        memcpy(entry->address.storage.bytes, answer->ai_addr, answer->ai_addrlen);
        entry++;
    }
    if (answers && answers->ai_canonname) {
        info->canonical_name = rondo_narrow(answers->ai_canonname);
        if (!info->canonical_name) {
            rondo_addrinfo_free(info);
            return RONDO_ENOMEM;
        }
    }
    *ret_info = info;
    return 0;
}

int rondo_socket_resolve(const rondo_addrinfo_query *query, rondo_addrinfo **ret_info)
{
    int code = rondo_socket_startup();
    if (code < 0)
        return code;
    wchar_t *host = rondo_widen(query->host, &code);
    wchar_t *service = code == 0 ? rondo_widen(query->service, &code) : NULL;
    if (code == 0) {
        ADDRINFOW hints = {
            .ai_flags = query->flags,
            .ai_family = query->family,
            .ai_socktype = query->type,
            .ai_protocol = query->proto,
        };
        ADDRINFOW *answers = NULL;
        code = rondo_resolver_error(GetAddrInfoW(host, service, &hints, &answers));
        if (code == 0)
            code = rondo_copy_answers(answers, ret_info);
        if (answers)
            FreeAddrInfoW(answers);
    }
    free(service);
    free(host);
    return code;
}

int rondo_socket_reverse(const rondo_address *address, int flags, rondo_nameinfo *ret_info)
{
    int code = rondo_socket_startup();
    if (code < 0)
        return code;
    wchar_t host[NI_MAXHOST], service[NI_MAXSERV];
    int number = GetNameInfoW(rondo_address_sockaddr(address), (socklen_t) address->length, host, NI_MAXHOST,
                              service, NI_MAXSERV, flags);
    if (number != 0)
        return rondo_resolver_error(number);
    rondo_nameinfo info;
    if (!WideCharToMultiByte(CP_UTF8, 0, host, -1, info.host, sizeof info.host, NULL, NULL) ||
        !WideCharToMultiByte(CP_UTF8, 0, service, -1, info.service, sizeof info.service, NULL, NULL))
        return RONDO_EAI_OVERFLOW;
    *ret_info = info;
    return 0;
}

uint32_t rondo_interface_number(const char *name)
{
    return if_nametoindex(name);
}
