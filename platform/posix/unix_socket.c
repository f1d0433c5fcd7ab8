/* SPDX-License-Identifier: MIT */
/* Sockets of the Unix family; see platform/unix_socket.h. A path in an address made by rondo_address_from_path always has
 * its NUL behind it. */
#define _GNU_SOURCE
#include "../unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
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
    struct rondo_unix_file now = { 0, 0 };
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

/* --- files as cargo ------------------------------------------------------------------------------------------ */

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE is set on each socket there */
#endif
#if defined(MSG_CMSG_CLOEXEC)
#define RECEIVE_FLAGS (MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
#else
#define RECEIVE_FLAGS MSG_DONTWAIT
#endif

/* Room for the most that the kernel puts into one message: what does not fit is lost on some systems, and leaks on others. */
union cargo {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(RONDO_UNIX_MOST_FILES * sizeof(int))];
};

static ptrdiff_t outcome(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EINTR ? RONDO_EAGAIN : rondo_error_from_system(errno);
}

ptrdiff_t rondo_unix_send_files(rondo_socket sock, const void *data, size_t length, const rondo_file *files,
                                size_t count)
{
    struct iovec piece = { .iov_base = (void *) (uintptr_t) data, .iov_len = length };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
    union cargo cargo;
    if (count) {
        memset(&cargo, 0, sizeof cargo);
        message.msg_control = &cargo;
        message.msg_controllen = (__typeof__(message.msg_controllen)) CMSG_SPACE(count * sizeof *files);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = (__typeof__(header->cmsg_len)) CMSG_LEN(count * sizeof *files);
        memcpy(CMSG_DATA(header), files, count * sizeof *files);
    }
    return outcome(sendmsg(sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

/* Take over the files of one control message. */
static void unload(const struct cmsghdr *header, rondo_file *ret_files, size_t capacity, size_t *count,
                   bool *ret_is_cut)
{
    size_t size = (size_t) header->cmsg_len - CMSG_LEN(0);
    for (size_t i = 0; i < size / sizeof(int); i++) {
        int file;
        memcpy(&file, CMSG_DATA(header) + i * sizeof file, sizeof file);
#if !defined(MSG_CMSG_CLOEXEC)
        fcntl(file, F_SETFD, FD_CLOEXEC);
#endif
        if (*count < capacity) {
            ret_files[(*count)++] = file;
            continue;
        }
        close(file);
        *ret_is_cut = true;
    }
}

ptrdiff_t rondo_unix_recv_files(rondo_socket sock, void *memory, size_t length, rondo_file *ret_files,
                                size_t capacity, size_t *ret_count, bool *ret_is_cut)
{
    union cargo cargo;
    struct iovec piece = { .iov_base = memory, .iov_len = length };
    struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &cargo };
    message.msg_controllen = (__typeof__(message.msg_controllen)) sizeof cargo;
    ssize_t n = recvmsg(sock, &message, RECEIVE_FLAGS);
    if (n < 0)
        return outcome(n);
    *ret_count = 0;
    *ret_is_cut = (message.msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            unload(header, ret_files, capacity, ret_count, ret_is_cut);
    return n;
}

void rondo_unix_close_file(rondo_file file)
{
    close(file);
}
