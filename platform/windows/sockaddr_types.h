/* SPDX-License-Identifier: MIT */
/* The system's address structures on Windows. */
#ifndef RONDO_PLATFORM_SOCKADDR_TYPES_H
#define RONDO_PLATFORM_SOCKADDR_TYPES_H

#include <stddef.h>

#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include <afunix.h>
#include <ws2tcpip.h>

#define RONDO_SOCKADDR_PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

#endif
