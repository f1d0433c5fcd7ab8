/* SPDX-License-Identifier: MIT */
/* Sockets of the Unix family on Windows: not served. */
#include "../unix_socket.h"

const bool rondo_unix_has_abstract_names = false;

int rondo_unix_file_remove_stale(const rondo_address *address)
{
    (void) address;
    return RONDO_ENOTSUP;
}

int rondo_unix_file_set_mode(const rondo_address *address, unsigned mode)
{
    (void) address;
    (void) mode;
    return RONDO_ENOTSUP;
}

int rondo_unix_file_identify(const rondo_address *address, struct rondo_unix_file *ret_file)
{
    (void) address;
    (void) ret_file;
    return RONDO_ENOTSUP;
}

int rondo_unix_file_remove(const rondo_address *address, const struct rondo_unix_file *file)
{
    (void) address;
    (void) file;
    return RONDO_ENOTSUP;
}

int rondo_unix_credentials(rondo_socket sock, rondo_credentials *ret_credentials)
{
    (void) sock;
    (void) ret_credentials;
    return RONDO_ENOTSUP;
}
