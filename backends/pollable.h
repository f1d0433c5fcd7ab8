/* SPDX-License-Identifier: MIT */
/* What a poller may be asked to watch, and whether a number still stands for the same descriptor. */
#ifndef RONDO_BACKENDS_POLLABLE_H
#define RONDO_BACKENDS_POLLABLE_H

#include <rondo/types.h>

/* 0; RONDO_EPERM, with the words, for a descriptor that is always ready and so tells nothing: a regular file, a
 * folder, a disk; RONDO_EBADF and the like for one that is not open. */
int rondo_pollable_check(rondo_socket sock);

/* A number that tells what @sock stands for from what another descriptor under the same number stood for before: 31 bits
 * behind RONDO_IDENTITY_KNOWN. 0 where there is no telling. */
uint32_t rondo_pollable_identity(rondo_socket sock);

#define RONDO_IDENTITY_KNOWN 0x80000000u

#endif
