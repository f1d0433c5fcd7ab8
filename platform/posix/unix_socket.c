/* SPDX-License-Identifier: MIT */
/* Sockets of the Unix family; see platform/unix_socket.h. A path in an address made by rondo_address_from_path always has
 * its NUL behind it. */
#define _GNU_SOURCE
#include "../unix_socket.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../socket.h"

#if defined(__linux__)
const bool rondo_unix_has_abstract_names = true;
#else
const bool rondo_unix_has_abstract_names = false;
#endif

/* The path of a socket file, NULL for an abstract name. */
static const char *path_of(const rondo_address *address)
{
    const char *path = (const char *) address->storage.bytes + offsetof(struct sockaddr_un, sun_path);
    return address->length > offsetof(struct sockaddr_un, sun_path) && *path ? path : NULL;
}

static int check(int rc)
{
    return rc < 0 ? rondo_error_from_system(errno) : 0;
}

int rondo_unix_file_remove_stale(const rondo_address *address)
{
    const char *path = path_of(address);
    struct stat status;
    if (!path)
        return 0;
    if (stat(path, &status) < 0)
        return errno == ENOENT ? 0 : rondo_error_from_system(errno);
    if (!S_ISSOCK(status.st_mode))
        return 0;
    return check(unlink(path) < 0 && errno != ENOENT ? -1 : 0);
}

int rondo_unix_file_set_mode(const rondo_address *address, unsigned mode)
{
    const char *path = path_of(address);
    return path ? check(chmod(path, (mode_t) mode)) : 0;
}

int rondo_unix_file_identify(const rondo_address *address, struct rondo_unix_file *ret_file)
{
    const char *path = path_of(address);
    struct stat status;
    if (!path)
        return RONDO_ENOENT;
    if (lstat(path, &status) < 0)
        return rondo_error_from_system(errno);
    *ret_file = (struct rondo_unix_file){ (uint64_t) status.st_dev, (uint64_t) status.st_ino };
    return 0;
}

int rondo_unix_file_remove(const rondo_address *address, const struct rondo_unix_file *file)
{
    struct rondo_unix_file now;
    int rc = rondo_unix_file_identify(address, &now);
    if (rc < 0)
        return rc == RONDO_ENOENT ? 0 : rc;
    if (now.device != file->device || now.number != file->number)
        return 0;
    return check(unlink(path_of(address)));
}

#if defined(SO_PEERCRED) && defined(__linux__)
int rondo_unix_credentials(rondo_socket sock, rondo_credentials *ret_credentials)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return rondo_error_from_system(errno);
    if (peer.uid == (uid_t) -1) /* TCP, and sockets that were never connected */
        return RONDO_ENOTCONN;
    *ret_credentials =
        (rondo_credentials){ .pid = peer.pid > 0 ? peer.pid : -1, .uid = peer.uid, .gid = peer.gid };
    return 0;
}
#else
int rondo_unix_credentials(rondo_socket sock, rondo_credentials *ret_credentials)
{
    uid_t uid;
    gid_t gid;
    if (getpeereid(sock, &uid, &gid) < 0)
        return rondo_error_from_system(errno);
    *ret_credentials = (rondo_credentials){ .pid = -1, .uid = uid, .gid = gid };
    return 0;
}
#endif
