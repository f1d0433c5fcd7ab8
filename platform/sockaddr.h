/* SPDX-License-Identifier: MIT */
/* Contract: the system's address structures and constants (sockaddr_in, AF_INET, AI_PASSIVE, inet_pton ...), from the
 * platform's own sockaddr_types.h, which also defines RONDO_SOCKADDR_PATH_OFFSET: where the path of an AF_UNIX
 * address begins. */
#ifndef RONDO_PLATFORM_SOCKADDR_H
#define RONDO_PLATFORM_SOCKADDR_H

#include <stdint.h>

#include "sockaddr_types.h"

/* The number of the network interface called @name; 0 for none. */
uint32_t rondo_interface_number(const char *name);

#endif
