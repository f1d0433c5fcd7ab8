/* SPDX-License-Identifier: MIT */
/* What connections and servers of the Unix family have in common. */
#ifndef RONDO_NET_UNIX_SOCKET_H
#define RONDO_NET_UNIX_SOCKET_H

#include "net.h"

/* Exactly one of @path and @sock has to be given: the path's address into @ret_address, or the sock is checked to be a stream of the
 * family. Errors as of the public calls. */
int rondo_unix_target(const char *path, size_t length, rondo_socket sock, rondo_address *ret_address);

/* RONDO_EINVAL unless @sock is a stream of the family. */
int rondo_unix_check_stream(rondo_socket sock);

#endif
