/* SPDX-License-Identifier: MIT */
/** Socket addresses as values. */
#ifndef RONDO_ADDRESS_H
#define RONDO_ADDRESS_H

#include <rondo/types.h>

RONDO_BEGIN_DECLS

struct sockaddr;

/** Room for any address, in the system's own form: `bytes` is a struct sockaddr of `length` bytes. */
typedef struct rondo_address {
    uint32_t length; /**< 0: no address */
    uint32_t reserved;
    union {
        unsigned char bytes[128];
        uint64_t alignment;
    } storage;
} rondo_address;

/** The system's view of @address; borrowed from it. */
static inline const struct sockaddr *rondo_address_sockaddr(const rondo_address *address)
{
    return (const struct sockaddr *) (const void *) address->storage.bytes;
}

/** Copy a system address. Returns 0; RONDO_EINVAL if it is longer than 128 bytes. Any thread. */
RONDO_API int rondo_address_from_sockaddr(rondo_address *ret_address, const struct sockaddr *sockaddr,
                                          size_t length);

/** An address from a numeric IPv4 or IPv6 @host ("127.0.0.1", "::1", "fe80::1%eth0") and @port.
 *  Returns 0; RONDO_EINVAL if @host is no number or @port is not 0 to 65535. Any thread. */
RONDO_API int rondo_address_from_numeric(rondo_address *ret_address, const char *host, int port);

/** An address of the Unix family: @length bytes of @path, or, with 0, its text up to the NUL. A path that begins
 *  with a NUL is an abstract name, which is no file and may hold NULs (Linux).
 *  Returns 0; RONDO_EINVAL for an empty path, or a NUL inside one that is a file; RONDO_ENAMETOOLONG for what the
 *  system's addresses have no room for; RONDO_ENOTSUP for an abstract name elsewhere. Any thread. */
RONDO_API int rondo_address_from_path(rondo_address *ret_address, const char *path, size_t length);

/** The address family (AF_INET ...), or 0 for no address. Any thread. */
RONDO_API int rondo_address_family(const rondo_address *address);

/** The port of an IP address, -1 for others. Any thread. */
RONDO_API int rondo_address_port(const rondo_address *address);

/** The host of an IP address, or the path of a Unix one (an abstract name with '@' for its NUL), as
 *  text, cut to @capacity. Returns the length it would have. Any thread. */
RONDO_API size_t rondo_address_host(const rondo_address *address, char *ret_text, size_t capacity);

/** "1.2.3.4:80", "[::1]:80" or a path, cut to @capacity. Returns the length it would have. Any thread. */
RONDO_API size_t rondo_address_format(const rondo_address *address, char *ret_text, size_t capacity);

/** Whether both are the same place: family, host, port, scope and flow, or path. Bytes that mean nothing (padding, what lies
 *  behind the NUL of a path) do not count; two that are no address are equal. NULL equals nothing. Any thread. */
RONDO_API bool rondo_address_equal(const rondo_address *left, const rondo_address *right);

RONDO_END_DECLS

#endif
