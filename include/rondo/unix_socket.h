/* SPDX-License-Identifier: MIT */
/** Stream sockets of the Unix family (18.5.1.6, 18.5.1.7). Where a loop has none (RONDO_CAN_UNIX_SOCKETS),
 *  the calls that make them return NULL with RONDO_ENOTSUP. */
#ifndef RONDO_UNIX_SOCKET_H
#define RONDO_UNIX_SOCKET_H

#include <rondo/connection.h>
#include <rondo/protocol.h>
#include <rondo/server.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** The arguments of create_unix_connection. Start from RONDO_UNIX_CONNECTION_OPTIONS. The path is borrowed
 *  for the call. */
typedef struct rondo_unix_connection_options {
    size_t size;
    const char *path;   /**< as rondo_address_from_path takes it */
    size_t path_length; /**< in bytes; 0: the path is text and ends with a NUL */
    rondo_socket sock;  /**< a connected stream socket of the Unix family instead of a path; owned by the
                             transport once the call has returned a future */
} rondo_unix_connection_options;

#define RONDO_UNIX_CONNECTION_OPTIONS_INIT                                   \
    {                                                                        \
        sizeof(rondo_unix_connection_options), NULL, 0, RONDO_INVALID_SOCKET \
    }
#if defined(__cplusplus)
#define RONDO_UNIX_CONNECTION_OPTIONS (rondo_unix_connection_options RONDO_UNIX_CONNECTION_OPTIONS_INIT)
#else
#define RONDO_UNIX_CONNECTION_OPTIONS ((rondo_unix_connection_options) RONDO_UNIX_CONNECTION_OPTIONS_INIT)
#endif

/** Connect a stream to the socket at a path (create_unix_connection, 18.5.1.6): rondo_create_connection for
 *  the Unix family. Where the listener's queue is full it waits for room. Loop thread only.
 *  NULL with RONDO_ENOTSUP, RONDO_EINVAL (neither or both of path and sock, a bad path, a sock that is not a
 *  connected Unix stream socket), RONDO_ENAMETOOLONG, RONDO_EBUSY (a transport or a server owns the sock), RONDO_ECLOSED,
 *  RONDO_ENOMEM; the sock is then still the caller's. The future's value is the rondo_transport
 *  (rondo_await_connection); it fails with the error of the connect: RONDO_ENOENT, RONDO_ECONNREFUSED where nobody
 *  listens, RONDO_EACCES without permission to write to the file. */
RONDO_API rondo_future *rondo_create_unix_connection(rondo_loop *loop, rondo_protocol_factory *factory,
                                                     void *context,
                                                     const rondo_unix_connection_options *options);

/** The arguments of create_unix_server. Start from RONDO_UNIX_SERVER_OPTIONS. The path is borrowed for
 *  the call. */
typedef struct rondo_unix_server_options {
    size_t size;
    const char *path;   /**< as rondo_address_from_path takes it; a socket file that is there is removed */
    size_t path_length; /**< in bytes; 0: the path is text and ends with a NUL */
    rondo_socket sock;  /**< a bound stream socket of the Unix family instead of a path; owned by the server
                             once a future was returned */
    int backlog;        /**< at most so many wait to be accepted */
    int mode;           /**< permission bits of the socket file, set before the first connection can be made;
                             -1: what the umask leaves */
    bool start_serving; /**< false: bind, but do not listen before start_serving */
    bool
        remove_file; /**< closing the server removes the socket file that it made, if that is still the one at
                             the path (cleanup_socket of 3.13); false: it stays, as in 3.11 */
} rondo_unix_server_options;

#define RONDO_UNIX_SERVER_OPTIONS_INIT                                                         \
    {                                                                                          \
        sizeof(rondo_unix_server_options), NULL, 0, RONDO_INVALID_SOCKET, 100, -1, true, false \
    }
#if defined(__cplusplus)
#define RONDO_UNIX_SERVER_OPTIONS (rondo_unix_server_options RONDO_UNIX_SERVER_OPTIONS_INIT)
#else
#define RONDO_UNIX_SERVER_OPTIONS ((rondo_unix_server_options) RONDO_UNIX_SERVER_OPTIONS_INIT)
#endif

/** Listen on a Unix stream socket (create_unix_server, 18.5.1.7): rondo_create_server for the Unix family.
 *  A socket file at the path is removed first, whoever made it; anything else there stays, and the bind fails.
 *  Loop thread only. The future's value is the rondo_server (rondo_await_server).
 *  NULL with RONDO_ENOTSUP, RONDO_EINVAL (neither or both of path and sock, a bad path, no Unix stream socket, a
 *  bad mode or backlog), RONDO_ENAMETOOLONG, RONDO_EBUSY (as for rondo_create_server), RONDO_ECLOSED, RONDO_ENOMEM; the sock is
 *  then still the caller's.
 *  The future fails with the error of the bind, its text naming the path (RONDO_EADDRINUSE, RONDO_EACCES, RONDO_ENOENT
 *  ...), after closing the socket. */
RONDO_API rondo_future *rondo_create_unix_server(rondo_loop *loop, rondo_protocol_factory *factory,
                                                 void *context, const rondo_unix_server_options *options);

/** Who is at the other end of a Unix connection, as the kernel noted it when that was made. */
typedef struct rondo_credentials {
    int64_t pid; /**< -1 where the system does not tell */
    uint32_t uid;
    uint32_t gid;
} rondo_credentials;

/** The credentials of the peer of @transport (beyond the page). Loop thread only. Returns 0; RONDO_ENOTCONN for a
 *  connection that has none, and one that is gone; RONDO_ENOTSUP; RONDO_EINVAL: *@ret_credentials is untouched. */
RONDO_API int rondo_transport_peer_credentials(const rondo_transport *transport,
                                               rondo_credentials *ret_credentials);

/* --- files that travel (beyond the page): low-level operations as those of rondo/sock.h ---------------------- */

/** Send @data, at least one byte, and with its first byte copies of @count @files (at most 253): what socket.send_fds of Python does,
 *  on the loop. @sock is a connected Unix stream socket of the program's. Data, @files and the files themselves are lent until
 *  the future is done; they stay the caller's. The future's number is how many bytes went, maybe fewer than @length.
 *  NULL as the calls of rondo/sock.h, and with RONDO_EINVAL for another kind of socket. */
RONDO_API rondo_future *rondo_sock_send_fds(rondo_loop *loop, rondo_socket sock, const void *data,
                                            size_t length, const rondo_file *files, size_t count);

/** What came, owned by whoever has it: rondo_received_fds_free closes the files that are not set to
 *  RONDO_INVALID_FILE by then. */
typedef struct rondo_received_fds {
    size_t length;     /**< bytes in the memory that was given; 0: the end of the stream */
    size_t count;      /**< files that came with them */
    rondo_file *files; /**< close-on-exec; released with this structure */
    bool is_cut;       /**< there were more than asked for, or than the process may open: those were closed */
} rondo_received_fds;

RONDO_API void rondo_received_fds_free(rondo_received_fds *received);

/** Receive at most @length bytes, at least one, into @memory, which is lent until the future is done, and at most @most files that
 *  travel with them (socket.recv_fds of Python). The future's value is a rondo_received_fds that it owns: nobody takes it, the
 *  files are closed. A receive that is cancelled has taken neither bytes nor files. Errors as of rondo_sock_send_fds. */
RONDO_API rondo_future *rondo_sock_recv_fds(rondo_loop *loop, rondo_socket sock, void *memory, size_t length,
                                            size_t most);

/** rondo_await for it: *ret_received (may be NULL) is owned. */
RONDO_API int rondo_await_received_fds(rondo_future *future, rondo_received_fds **ret_received);

RONDO_END_DECLS

#endif
