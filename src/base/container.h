/* SPDX-License-Identifier: MIT */
/* From a member to the structure that embeds it. */
#ifndef RONDO_BASE_CONTAINER_H
#define RONDO_BASE_CONTAINER_H

#include <stddef.h>

#define rondo_container(pointer, type, member)                                                     \
    ((type *) (void *) ((char *) (pointer) - offsetof(type, member)))

#endif
