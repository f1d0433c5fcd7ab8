/* SPDX-License-Identifier: MIT */
/** Sockets that whoever started this process has opened for it (socket activation, beyond the page). */
#ifndef RONDO_INHERITED_H
#define RONDO_INHERITED_H

#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** One of them, as it was handed down. */
typedef struct rondo_inherited_socket {
    rondo_socket sock; /**< the caller's to close, or to give to create_server or create_unix_server */
    int family, type;  /**< AF_INET, AF_UNIX ...; SOCK_STREAM ... */
    char name[256];    /**< of LISTEN_FDNAMES; "" where it has none */
} rondo_inherited_socket;

/** The sockets that systemd, or whoever works like it, has passed by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES: the descriptors from
 *  3 on. Up to @capacity of them go to @ret_sockets (may be NULL with 0); returns how many there are, 0 also when the variables are not
 *  there or meant for another process. All of them are close-on-exec from then on. May be repeated: it tells the same.
 *  RONDO_EINVAL for variables that make no sense, RONDO_EBADF or RONDO_ENOTSOCK for a descriptor that is not open, or no socket:
 *  then nothing was changed. Any thread, as long as none changes the environment. */
RONDO_API int rondo_inherited_sockets(rondo_inherited_socket *ret_sockets, size_t capacity);

RONDO_END_DECLS

#endif
