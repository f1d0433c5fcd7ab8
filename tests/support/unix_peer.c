/* SPDX-License-Identifier: MIT */
/* Plain Unix stream sockets for the other end of a connection.
 *
 * The happy path: each function is one system call, or a few. Failures: what the system refuses fails the case, but where
 * the name says "try". */
#define _GNU_SOURCE
#include "unix_peer.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* Says nothing when all is well: not everybody who is here has a Check runner. */
#define must(condition)                                          \
    do {                                                         \
        if (!(condition))                                        \
            ck_abort_msg("%s: %s", #condition, strerror(errno)); \
    } while (0)

void unix_folder_make(unix_folder *folder)
{
    snprintf(folder->folder, sizeof folder->folder, "/tmp/rondo-test-XXXXXX");
    must(mkdtemp(folder->folder) != NULL);
    snprintf(folder->path, sizeof folder->path, "%s/socket", folder->folder);
}

void unix_folder_remove(const unix_folder *folder)
{
    must(unlink(folder->path) == 0 || errno == ENOENT);
    must(rmdir(folder->folder) == 0);
}

size_t unix_abstract_name(char ret_name[64], const char *rest, size_t length)
{
    int start = snprintf(ret_name, 64, "%crondo-test-%ld-", 0, (long) getpid());
    must((size_t) start + length <= 64);
    memcpy(ret_name + start, rest, length);
    return (size_t) start + length;
}

static socklen_t address_of(struct sockaddr_un *ret_address, const char *path, size_t length)
{
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    size_t used = length ? length : strlen(path);
    must(used <= sizeof ret_address->sun_path);
    memcpy(ret_address->sun_path, path, used);
    return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + used + (path[0] != 0));
}

static rondo_socket open_socket(void)
{
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(sock >= 0);
    return peer_patient(sock);
}

rondo_socket unix_listen(const char *path, size_t length, int backlog)
{
    struct sockaddr_un address;
    socklen_t size = address_of(&address, path, length);
    rondo_socket sock = open_socket();
    must(bind(sock, (struct sockaddr *) &address, size) == 0);
    must(listen(sock, backlog) == 0);
    return sock;
}

int unix_try_connect(const char *path, size_t length, rondo_socket *ret_socket)
{
    struct sockaddr_un address;
    socklen_t size = address_of(&address, path, length);
    rondo_socket sock = open_socket();
    if (connect(sock, (struct sockaddr *) &address, size) < 0) {
        int number = errno;
        close(sock);
        return number == ECONNREFUSED ? RONDO_ECONNREFUSED : number == ENOENT ? RONDO_ENOENT : RONDO_EOS;
    }
    *ret_socket = sock;
    return 0;
}

rondo_socket unix_connect(const char *path, size_t length)
{
    rondo_socket sock = RONDO_INVALID_SOCKET;
    must(unix_try_connect(path, length, &sock) == 0);
    return sock;
}

void unix_become_nobody(const unix_folder *folder)
{
    if (geteuid() != 0)
        return;
    must(chown(folder->folder, NOBODY, NOBODY) == 0);
    must(seteuid(NOBODY) == 0);
}

void unix_become_again(void)
{
    must(seteuid(getuid()) == 0);
}
