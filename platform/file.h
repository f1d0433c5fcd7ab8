/* SPDX-License-Identifier: MIT */
/* Contract: files and pipes. Each call is one system call or a fixed few. None raises SIGPIPE. Results are 0 or a count, or
 * a negative RONDO_ code. */
#ifndef RONDO_PLATFORM_FILE_H
#define RONDO_PLATFORM_FILE_H

#include <rondo/error.h>
#include <rondo/transport.h>
#include <rondo/types.h>

enum rondo_file_kind {
    RONDO_FILE_REGULAR,
    RONDO_FILE_PIPE, /* a named one, too */
    RONDO_FILE_SOCKET,
    RONDO_FILE_DEVICE, /* of characters: a terminal */
    RONDO_FILE_OTHER
};

/* Operations name their descriptors as sockets. */
static inline rondo_socket rondo_file_descriptor(rondo_file file)
{
    return (rondo_socket) (intptr_t) file;
}

static inline rondo_file rondo_file_of_descriptor(rondo_socket descriptor)
{
    return (rondo_file) (intptr_t) descriptor;
}

/* RONDO_EBADF for what is not open. */
int rondo_file_kind(rondo_file file, enum rondo_file_kind *ret_kind);
/* 1, 0, or an error. */
int rondo_file_is_nonblocking(rondo_file file);
/* Prepare it for writing: where a write cannot be told to raise no SIGPIPE, the file is, if it can. */
int rondo_file_silence(rondo_file file);

/* Bytes read or written, 0 for the end, RONDO_EAGAIN: not now, or interrupted. */
ptrdiff_t rondo_file_read(rondo_file file, void *buffer, size_t length);
ptrdiff_t rondo_file_write(rondo_file file, const rondo_bytes *pieces, size_t count);

/* At a place of a file that has places: its own is neither used nor moved. 0 behind its end. May wait for the disk. */
ptrdiff_t rondo_file_read_at(rondo_file file, int64_t offset, void *buffer, size_t length);
/* From the file to a non-blocking stream socket, without a way through the program: bytes sent, 0 at the end of the file,
 * RONDO_EAGAIN; RONDO_ENOTSUP where the system cannot do it with these two. */
ptrdiff_t rondo_file_send(rondo_socket sock, rondo_file file, int64_t offset, size_t length);

#endif
