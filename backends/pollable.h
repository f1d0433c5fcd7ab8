/* SPDX-License-Identifier: MIT */
/* What a poller may be asked to watch, for the systems whose poll or kqueue would take anything. */
#ifndef RONDO_BACKENDS_POLLABLE_H
#define RONDO_BACKENDS_POLLABLE_H

#include <rondo/types.h>

/* 0; RONDO_EPERM, with the words, for a descriptor that is always ready and so tells nothing: a regular file, a
 * folder, a disk; RONDO_EBADF and the like for one that is not open. */
int rondo_pollable_check(rondo_socket sock);

#endif
