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

ptrdiff_t rondo_unix_send_files(rondo_socket sock, const void *data, size_t length, const rondo_file *files,
                                size_t count)
{
    (void) sock;
    (void) data;
    (void) length;
    (void) files;
    (void) count;
    return RONDO_ENOTSUP;
}

ptrdiff_t rondo_unix_recv_files(rondo_socket sock, void *memory, size_t length, rondo_file *ret_files,
                                size_t capacity, size_t *ret_count, bool *ret_is_cut)
{
    (void) sock;
    (void) memory;
    (void) length;
    (void) ret_files;
    (void) capacity;
    (void) ret_count;
    (void) ret_is_cut;
    return RONDO_ENOTSUP;
}

void rondo_unix_close_file(rondo_file file)
{
    (void) file;
}
