/* SPDX-License-Identifier: MIT */
/* The other end of Unix stream sockets: a folder to put their files into, and plain blocking sockets. */
#ifndef RONDO_TESTS_UNIX_PEER_H
#define RONDO_TESTS_UNIX_PEER_H

#include "peer.h"

/* A new folder, and a path in it where nothing is yet. */
typedef struct unix_folder {
    char folder[64];
    char path[80];
} unix_folder;
void unix_folder_make(unix_folder *folder);
/* With the file at the path, if there is one. */
void unix_folder_remove(const unix_folder *folder);

/* A name that is no file: a NUL, something that no other process has, then @length bytes of @rest. Returns its length. */
size_t unix_abstract_name(char ret_name[64], const char *rest, size_t length);

/* Listen at @path, and connect to it; @length 0: a text. */
rondo_socket unix_listen(const char *path, size_t length, int backlog);
rondo_socket unix_connect(const char *path, size_t length);
/* The same; the code where it fails. */
int unix_try_connect(const char *path, size_t length, rondo_socket *ret_socket);

/* The superuser may do everything: be somebody else until unix_become_again. The folder is that one's then. */
void unix_become_nobody(const unix_folder *folder);
void unix_become_again(void);

#endif
