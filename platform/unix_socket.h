/* SPDX-License-Identifier: MIT */
/* Contract: what only sockets of the Unix family have: names that are files, and credentials. Where a system has none of it
 * each call is RONDO_ENOTSUP. An @address is one of rondo_address_from_path. Results as in platform/socket.h. */
#ifndef RONDO_PLATFORM_UNIX_SOCKET_H
#define RONDO_PLATFORM_UNIX_SOCKET_H

#include <rondo/address.h>
#include <rondo/error.h>
#include <rondo/unix_socket.h>

/* Whether there are names that are no files: they begin with a NUL. */
extern const bool rondo_unix_has_abstract_names;

/* Which file it is, whatever its name. */
struct rondo_unix_file {
    uint64_t device;
    uint64_t number;
};

/* Remove the socket file at @address. 0 also where there is nothing, or something else, which stays. */
int rondo_unix_file_remove_stale(const rondo_address *address);
/* The permission bits of the file. */
int rondo_unix_file_set_mode(const rondo_address *address, unsigned mode);
int rondo_unix_file_identify(const rondo_address *address, struct rondo_unix_file *ret_file);
/* Remove the file at @address if it is @file still. */
int rondo_unix_file_remove(const rondo_address *address, const struct rondo_unix_file *file);

/* Who is at the other end of @sock. RONDO_ENOTCONN for a socket that has no such end. */
int rondo_unix_credentials(rondo_socket sock, rondo_credentials *ret_credentials);

/* The most descriptors that one message can carry. */
enum { RONDO_UNIX_MOST_FILES = 253 };

/* One send of @data together with @files: how many bytes went, the files with the first of them. Does not block on a blocking
 * socket either. */
ptrdiff_t rondo_unix_send_files(rondo_socket sock, const void *data, size_t length, const rondo_file *files,
                                size_t count);
/* One receive: how many bytes came; *@ret_count files with them, at most @capacity, all of them close-on-exec; those beyond it were
 * closed, and *@ret_is_cut says so. Does not block either. */
ptrdiff_t rondo_unix_recv_files(rondo_socket sock, void *memory, size_t length, rondo_file *ret_files,
                                size_t capacity, size_t *ret_count, bool *ret_is_cut);
/* Close a file that was received. */
void rondo_unix_close_file(rondo_file file);

#endif
