/* SPDX-License-Identifier: MIT */
/** Backends: what a loop stands on, what can run here, what a loop can do. */
#ifndef RONDO_BACKEND_H
#define RONDO_BACKEND_H

#include <rondo/types.h>

RONDO_BEGIN_DECLS

typedef enum rondo_backend {
    RONDO_BACKEND_AUTO,     /**< the system's default: a selector on Unix, the proactor on Windows */
    RONDO_BACKEND_SELECTOR, /**< the best selector that can run here */
    RONDO_BACKEND_PROACTOR, /**< the best proactor that can run here */
    RONDO_BACKEND_EPOLL,
    RONDO_BACKEND_KQUEUE,
    RONDO_BACKEND_POLL,
    RONDO_BACKEND_IO_URING,
    RONDO_BACKEND_IOCP
} rondo_backend;

/** One backend, as rondo_backend_probe found it. The texts are static or borrowed until the
 *  next probe of the same thread. */
typedef struct rondo_backend_info {
    rondo_backend backend;
    const char *name; /**< "epoll", "io_uring" ...: what RONDO_BACKEND and --backend take */
    bool is_proactor;
    bool available;      /**< a loop on it can be created here and now */
    int error;           /**< why not: RONDO_ENOTSUP where it is not built in, or the system's */
    const char *reason;  /**< why not, in words; with what to do about it */
    const char *details; /**< what it found: kernel features in use */
} rondo_backend_info;

/** Find out which backends can run on this machine by opening each of them once.
 *  Writes up to @capacity entries to @ret_infos (may be NULL with capacity 0) and returns how many
 *  backends there are in all, those that are not available included. Any thread. */
RONDO_API size_t rondo_backend_probe(rondo_backend_info *ret_infos, size_t capacity);

/** The backend called @name ("auto", "selector", "proactor", "epoll" ...) into @ret_backend.
 *  Returns 0; RONDO_EINVAL for a name that is none. Any thread. */
RONDO_API int rondo_backend_from_name(const char *name, rondo_backend *ret_backend);

/** The name of @backend; "unknown" for a number that is none. Any thread. */
RONDO_API const char *rondo_backend_name(rondo_backend backend);

/** The backend that @loop stands on: never AUTO, SELECTOR or PROACTOR. */
RONDO_API rondo_backend rondo_loop_backend(const rondo_loop *loop);
RONDO_API const char *rondo_loop_backend_name(const rondo_loop *loop);

/** Where `fallback` made the loop take another backend than the one asked for: why. Else NULL. */
RONDO_API const char *rondo_loop_fallback_reason(const rondo_loop *loop);

/** What a loop can do: the rows of the capability table (docs/backends.md) that are true. */
enum rondo_capability {
    RONDO_CAN_WATCH_DESCRIPTORS = 1 << 0, /**< add_reader, add_writer and their removal */
    RONDO_CAN_DATAGRAMS = 1 << 1,         /**< create_datagram_endpoint */
    RONDO_CAN_PIPES = 1 << 2,             /**< connect_read_pipe, connect_write_pipe */
    RONDO_CAN_SUBPROCESSES = 1 << 3,
    RONDO_CAN_BLOCKING_SOCKETS = 1 << 4, /**< sock_*: sockets need not be non-blocking */
    RONDO_CAN_STREAMS = 1 << 5,          /**< create_connection, create_server, accepted ones */
    RONDO_CAN_UNIX_SOCKETS = 1 << 6,
    RONDO_CAN_SIGNALS = 1 << 7,
    RONDO_CAN_REUSE_PORT = 1 << 8,
    RONDO_CAN_PROACT = 1 << 9,       /**< the loop is a proactor's */
    RONDO_CAN_SOCKET_CALLS = 1 << 10 /**< sock_recv, sock_sendall and their kin */
};

/** The capabilities of @loop, as an or of enum rondo_capability. A call that needs one that is
 *  missing fails at once with RONDO_ENOTSUP and changes nothing. */
RONDO_API unsigned rondo_loop_capabilities(const rondo_loop *loop);

/** The name of one capability as it stands above ("RONDO_CAN_STREAMS"); NULL for what is none. The capabilities are the
 *  bits from 1 up to the first one without a name. Static. Any thread. */
RONDO_API const char *rondo_capability_name(unsigned capability);

RONDO_END_DECLS

#endif
