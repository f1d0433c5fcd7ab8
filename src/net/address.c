/* SPDX-License-Identifier: MIT */
/* Addresses as values: from text and to text. The system's structures come through platform/sockaddr.h. */
#include <rondo/address.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../platform/sockaddr.h"
#include "../../platform/unix_socket.h"
#include "../base/error.h"

int rondo_address_from_sockaddr(rondo_address *ret_address, const struct sockaddr *sockaddr, size_t length)
{
    if (!ret_address || (!sockaddr && length) || length > sizeof ret_address->storage.bytes)
        return rondo_fail(RONDO_EINVAL, "no address, or one that is too long");
    memset(ret_address, 0, sizeof *ret_address);
    if (length)
        memcpy(ret_address->storage.bytes, sockaddr, length);
    ret_address->length = (uint32_t) length;
    return 0;
}

/* The number of an interface after '%', by name or number; 0 for none. */
static bool read_scope(const char *text, uint32_t *ret_scope)
{
    if (!*text)
        return false;
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *ret_scope = *end ? rondo_interface_number(text) : (uint32_t) number;
    return *ret_scope != 0;
}

static int from_ipv6(rondo_address *ret_address, const char *host, int port)
{
    char digits[INET6_ADDRSTRLEN];
    const char *percent = strchr(host, '%');
    size_t length = percent ? (size_t) (percent - host) : strlen(host);
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t) port) };
    uint32_t scope = 0;
    if (length >= sizeof digits || (percent && !read_scope(percent + 1, &scope)))
        return RONDO_EINVAL;
    memcpy(digits, host, length);
    digits[length] = '\0';
    address.sin6_scope_id = scope;
    if (inet_pton(AF_INET6, digits, &address.sin6_addr) != 1)
        return RONDO_EINVAL;
    return rondo_address_from_sockaddr(ret_address, (struct sockaddr *) (void *) &address, sizeof address);
}

int rondo_address_from_numeric(rondo_address *ret_address, const char *host, int port)
{
    if (!ret_address || !host || port < 0 || port > 65535)
        return rondo_fail(RONDO_EINVAL, "no host given, or the port is not 0 to 65535");
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
    if (inet_pton(AF_INET, host, &address.sin_addr) == 1)
        return rondo_address_from_sockaddr(ret_address, (struct sockaddr *) (void *) &address,
                                           sizeof address);
    if (from_ipv6(ret_address, host, port) == 0)
        return 0;
    return rondo_fail(RONDO_EINVAL, "'%s' is no numeric address", host);
}

int rondo_address_from_path(rondo_address *ret_address, const char *path, size_t length)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!ret_address || !path || (!length && !*path))
        return rondo_fail(RONDO_EINVAL, "no path, or an empty one");
    if (!length)
        length = strlen(path);
    bool is_abstract = !path[0];
    if (is_abstract && !rondo_unix_has_abstract_names)
        return rondo_fail(RONDO_ENOTSUP, "this system has no abstract names for sockets");
    if (!is_abstract && memchr(path, '\0', length))
        return rondo_fail(RONDO_EINVAL, "there is a NUL inside the path");
    size_t room = sizeof address.sun_path - !is_abstract; /* a file's path is followed by a NUL */
    if (length > room)
        return rondo_fail(RONDO_ENAMETOOLONG,
                          "the path of a Unix socket has %zu bytes, where the system has room for %zu",
                          length, room);
    memcpy(address.sun_path, path, length);
    return rondo_address_from_sockaddr(ret_address, (struct sockaddr *) (void *) &address,
                                       RONDO_SOCKADDR_PATH_OFFSET + length + !is_abstract);
}

/* --- asking ---------------------------------------------------------------------------------------- */

int rondo_address_family(const rondo_address *address)
{
    if (!address || address->length < sizeof(((struct sockaddr *) 0)->sa_family))
        return 0;
    return rondo_address_sockaddr(address)->sa_family;
}

static const struct sockaddr_in *as_ipv4(const rondo_address *address)
{
    return (const struct sockaddr_in *) (const void *) address->storage.bytes;
}

static const struct sockaddr_in6 *as_ipv6(const rondo_address *address)
{
    return (const struct sockaddr_in6 *) (const void *) address->storage.bytes;
}

int rondo_address_port(const rondo_address *address)
{
    switch (rondo_address_family(address)) {
    case AF_INET:
        return ntohs(as_ipv4(address)->sin_port);
    case AF_INET6:
        return ntohs(as_ipv6(address)->sin6_port);
    default:
        return -1;
    }
}

/* Copy @length bytes of @text, cut and ended; returns the length it would have. */
static size_t give_text(const char *text, size_t length, char *ret_text, size_t capacity)
{
    if (ret_text && capacity) {
        size_t kept = length < capacity ? length : capacity - 1;
        memcpy(ret_text, text, kept);
        ret_text[kept] = '\0';
    }
    return length;
}

/* Of a path without what lies behind its NUL, of an abstract name with all that it has; 0 for no name. */
static size_t path_length(const rondo_address *address)
{
    if (address->length <= RONDO_SOCKADDR_PATH_OFFSET)
        return 0;
    size_t length = address->length - RONDO_SOCKADDR_PATH_OFFSET;
    const unsigned char *path = address->storage.bytes + RONDO_SOCKADDR_PATH_OFFSET;
    const unsigned char *end = *path ? memchr(path, '\0', length) : NULL;
    return end ? (size_t) (end - path) : length;
}

/* A path, or an abstract name with '@' for each NUL. */
static size_t give_path(const rondo_address *address, char *ret_text, size_t capacity)
{
    char path[sizeof address->storage.bytes];
    size_t length = path_length(address);
    memcpy(path, address->storage.bytes + RONDO_SOCKADDR_PATH_OFFSET, length);
    for (size_t i = 0; i < length; i++)
        if (!path[i])
            path[i] = '@';
    return give_text(path, length, ret_text, capacity);
}

size_t rondo_address_host(const rondo_address *address, char *ret_text, size_t capacity)
{
    char text[INET6_ADDRSTRLEN + 16] = "";
    switch (rondo_address_family(address)) {
    case AF_INET:
        inet_ntop(AF_INET, &as_ipv4(address)->sin_addr, text, sizeof text);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &as_ipv6(address)->sin6_addr, text, INET6_ADDRSTRLEN);
        if (as_ipv6(address)->sin6_scope_id)
            snprintf(text + strlen(text), 16, "%%%lu", (unsigned long) as_ipv6(address)->sin6_scope_id);
        break;
    case AF_UNIX:
        return give_path(address, ret_text, capacity);
    default:
        break;
    }
    return give_text(text, strlen(text), ret_text, capacity);
}

size_t rondo_address_format(const rondo_address *address, char *ret_text, size_t capacity)
{
    char host[sizeof(rondo_address)];
    rondo_address_host(address, host, sizeof host);
    char text[sizeof host + 16];
    int family = rondo_address_family(address);
    if (family == AF_INET6)
        snprintf(text, sizeof text, "[%s]:%d", host, rondo_address_port(address));
    else if (family == AF_INET)
        snprintf(text, sizeof text, "%s:%d", host, rondo_address_port(address));
    else
        snprintf(text, sizeof text, "%s", host);
    return give_text(text, strlen(text), ret_text, capacity);
}

static bool equal_ipv4(const struct sockaddr_in *left, const struct sockaddr_in *right)
{
    return left->sin_port == right->sin_port && left->sin_addr.s_addr == right->sin_addr.s_addr;
}

static bool equal_ipv6(const struct sockaddr_in6 *left, const struct sockaddr_in6 *right)
{
    return left->sin6_port == right->sin6_port && left->sin6_scope_id == right->sin6_scope_id &&
           left->sin6_flowinfo == right->sin6_flowinfo &&
           memcmp(&left->sin6_addr, &right->sin6_addr, sizeof left->sin6_addr) == 0;
}

static bool equal_paths(const rondo_address *left, const rondo_address *right)
{
    size_t length = path_length(left);
    const unsigned char *path = left->storage.bytes + RONDO_SOCKADDR_PATH_OFFSET;
    return length == path_length(right) &&
           memcmp(path, right->storage.bytes + RONDO_SOCKADDR_PATH_OFFSET, length) == 0;
}

static bool equal_bytes(const rondo_address *left, const rondo_address *right)
{
    return left->length == right->length &&
           memcmp(left->storage.bytes, right->storage.bytes, left->length) == 0;
}

/* By what the bytes mean: padding, BSD's length byte and what lies behind a path differ by who has filled them in. */
bool rondo_address_equal(const rondo_address *left, const rondo_address *right)
{
    if (!left || !right || rondo_address_family(left) != rondo_address_family(right))
        return false;
    size_t least = left->length < right->length ? left->length : right->length;
    int family = rondo_address_family(left);
    if (family == AF_INET && least >= sizeof(struct sockaddr_in))
        return equal_ipv4(as_ipv4(left), as_ipv4(right));
    if (family == AF_INET6 && least >= sizeof(struct sockaddr_in6))
        return equal_ipv6(as_ipv6(left), as_ipv6(right));
    return family == AF_UNIX ? equal_paths(left, right) : equal_bytes(left, right);
}
