/* SPDX-License-Identifier: MIT */
#ifndef RONDO_PLATFORM_SOCKADDR_TYPES_H
#define RONDO_PLATFORM_SOCKADDR_TYPES_H

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define RONDO_SOCKADDR_PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

#endif
