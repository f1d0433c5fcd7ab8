/* SPDX-License-Identifier: MIT */
/** Error codes: 0 is success, a failure is a negative number, the same on every system.
 *  Each code belongs to a class, which is the Python exception that asyncio raises there. */
#ifndef RONDO_ERROR_H
#define RONDO_ERROR_H

#include <stdarg.h>

#include <rondo/export.h>

RONDO_BEGIN_DECLS

/** The exception of Python that a code stands for. */
typedef enum rondo_error_class {
    RONDO_CLASS_NONE,            /**< no error */
    RONDO_CLASS_VALUE,           /**< ValueError */
    RONDO_CLASS_TYPE,            /**< TypeError */
    RONDO_CLASS_RUNTIME,         /**< RuntimeError */
    RONDO_CLASS_MEMORY,          /**< MemoryError */
    RONDO_CLASS_NOT_IMPLEMENTED, /**< NotImplementedError */
    RONDO_CLASS_CANCELLED,       /**< CancelledError: not an ordinary error */
    RONDO_CLASS_TIMEOUT,         /**< TimeoutError */
    RONDO_CLASS_INVALID_STATE,   /**< InvalidStateError */
    RONDO_CLASS_EOF,             /**< EOFError, IncompleteReadError */
    RONDO_CLASS_INTERRUPT,       /**< KeyboardInterrupt, SystemExit */
    RONDO_CLASS_OS,              /**< OSError and its subclasses */
    RONDO_CLASS_RESOLVER,        /**< socket.gaierror */
    RONDO_CLASS_APPLICATION      /**< a code of the program's own */
} rondo_error_class;

/** X(name, value, class, text): the one table of codes. */
#define RONDO_ERRORS(X)                                                           \
    X(EINVAL, -1, VALUE, "invalid argument")                                      \
    X(ETYPE, -2, TYPE, "argument of the wrong type")                              \
    X(ENOMEM, -3, MEMORY, "out of memory")                                        \
    X(ENOTSUP, -4, NOT_IMPLEMENTED, "not supported by this loop")                 \
    X(ECANCELLED, -5, CANCELLED, "cancelled")                                     \
    X(ETIMEDOUT, -6, TIMEOUT, "timed out")                                        \
    X(EINVALIDSTATE, -7, INVALID_STATE, "not allowed in this state")              \
    X(ECLOSED, -8, RUNTIME, "closed already")                                     \
    X(ERUNNING, -9, RUNTIME, "a loop is running already")                         \
    X(ENOTRUNNING, -10, RUNTIME, "no running loop")                               \
    X(ESTOPPED, -11, RUNTIME, "the loop stopped before the future was done")      \
    X(ETHREAD, -12, RUNTIME, "not the thread of this loop")                       \
    X(EOTHERLOOP, -13, VALUE, "the future belongs to another loop")               \
    X(EINTERRUPTED, -14, INTERRUPT, "interrupted")                                \
    X(EOF, -15, EOF, "end of stream")                                             \
    X(ENOTASK, -16, RUNTIME, "not inside a task")                                 \
    X(EBUSY, -17, RUNTIME, "in use by something else")                            \
    X(EFORKED, -18, RUNTIME, "the loop belongs to the parent process")            \
    X(ESELF, -19, RUNTIME, "a task cannot wait for itself")                       \
    X(EUNAVAILABLE, -20, RUNTIME, "the backend cannot run here")                  \
    X(EFAILED, -21, RUNTIME, "failed")                                            \
    X(EFOREIGN, -22, RUNTIME, "waiting for a future of another loop")             \
    X(EACCES, -100, OS, "permission denied")                                      \
    X(EADDRINUSE, -101, OS, "address in use")                                     \
    X(EADDRNOTAVAIL, -102, OS, "address not available")                           \
    X(EAFNOSUPPORT, -103, OS, "address family not supported")                     \
    X(EAGAIN, -104, OS, "would block")                                            \
    X(EALREADY, -105, OS, "already in progress")                                  \
    X(EBADF, -106, OS, "bad descriptor")                                          \
    X(ECONNABORTED, -107, OS, "connection aborted")                               \
    X(ECONNREFUSED, -108, OS, "connection refused")                               \
    X(ECONNRESET, -109, OS, "connection reset by peer")                           \
    X(EDESTADDRREQ, -110, OS, "destination address required")                     \
    X(EEXIST, -111, OS, "exists already")                                         \
    X(EHOSTUNREACH, -112, OS, "no route to host")                                 \
    X(EINPROGRESS, -113, OS, "in progress")                                       \
    X(EINTR, -114, OS, "interrupted system call")                                 \
    X(EIO, -115, OS, "input/output error")                                        \
    X(EISCONN, -116, OS, "connected already")                                     \
    X(EISDIR, -117, OS, "is a directory")                                         \
    X(EMFILE, -118, OS, "too many open descriptors in the process")               \
    X(EMSGSIZE, -119, OS, "message too long")                                     \
    X(ENAMETOOLONG, -120, OS, "name too long")                                    \
    X(ENETDOWN, -121, OS, "network is down")                                      \
    X(ENETUNREACH, -122, OS, "network unreachable")                               \
    X(ENFILE, -123, OS, "too many open descriptors in the system")                \
    X(ENOBUFS, -124, OS, "no buffer space")                                       \
    X(ENODEV, -125, OS, "no such device")                                         \
    X(ENOENT, -126, OS, "no such file or directory")                              \
    X(ENOPROTOOPT, -127, OS, "option not supported by the protocol")              \
    X(ENOSPC, -128, OS, "no space left")                                          \
    X(ENOSYS, -129, OS, "system call not there")                                  \
    X(ENOTCONN, -130, OS, "not connected")                                        \
    X(ENOTDIR, -131, OS, "not a directory")                                       \
    X(ENOTSOCK, -132, OS, "not a socket")                                         \
    X(EPERM, -133, OS, "operation not permitted")                                 \
    X(EPIPE, -134, OS, "broken pipe")                                             \
    X(EPROTO, -135, OS, "protocol error")                                         \
    X(EPROTONOSUPPORT, -136, OS, "protocol not supported")                        \
    X(EPROTOTYPE, -137, OS, "protocol of the wrong type for the socket")          \
    X(ESRCH, -138, OS, "no such process")                                         \
    X(EOPNOTSUPP, -139, OS, "operation not supported by the socket")              \
    X(ECHILD, -140, OS, "no such child")                                          \
    X(EFAULT, -141, OS, "bad address")                                            \
    X(ELOOP, -142, OS, "too many symbolic links")                                 \
    X(ESHUTDOWN, -143, OS, "socket is shut down")                                 \
    X(EOSINVAL, -144, OS, "the system refuses the argument")                      \
    X(EOS, -199, OS, "system error without a code of its own")                    \
    X(EAI_ADDRFAMILY, -200, RESOLVER, "host has no address of this family")       \
    X(EAI_AGAIN, -201, RESOLVER, "name resolution failed for now")                \
    X(EAI_BADFLAGS, -202, RESOLVER, "bad flags for name resolution")              \
    X(EAI_FAIL, -203, RESOLVER, "name resolution failed for good")                \
    X(EAI_FAMILY, -204, RESOLVER, "address family not supported by the resolver") \
    X(EAI_MEMORY, -205, RESOLVER, "the resolver ran out of memory")               \
    X(EAI_NODATA, -206, RESOLVER, "host has no address")                          \
    X(EAI_NONAME, -207, RESOLVER, "host or service not known")                    \
    X(EAI_SERVICE, -208, RESOLVER, "service not supported for the socket type")   \
    X(EAI_SOCKTYPE, -209, RESOLVER, "socket type not supported by the resolver")  \
    X(EAI_OVERFLOW, -210, RESOLVER, "name too long for the resolver")             \
    X(EAI_SYSTEM, -211, RESOLVER, "system error in the resolver")

#define RONDO_ERROR_ENUM(name, value, class_name, text) RONDO_##name = (value),
enum rondo_error { RONDO_OK = 0, RONDO_ERRORS(RONDO_ERROR_ENUM) RONDO_ERROR_LAST = -9999 };
#undef RONDO_ERROR_ENUM

/** Codes from here down belong to the program (RONDO_EUSER, RONDO_EUSER - 1 ...). */
#define RONDO_EUSER (-10000)

/** The text of @code in English; never NULL, static. Any thread. */
RONDO_API const char *rondo_strerror(int code);

/** The name of @code ("RONDO_EINVAL"); never NULL, static. Any thread. */
RONDO_API const char *rondo_err_name(int code);

/** The Python exception that @code stands for. Any thread. */
RONDO_API rondo_error_class rondo_err_class(int code);

/** The code of the last call that failed on this thread, and, with rondo_last_error_message,
 *  what it had to say: more than rondo_strerror where there is more to say. A call that
 *  succeeds leaves both alone. The text is borrowed until the next failing call of the thread.
 *  This is how a call that returns a pointer tells why it returned NULL. */
RONDO_API int rondo_last_error(void);
RONDO_API const char *rondo_last_error_message(void);

/** Fail the callback that is running now (what `raise` is in asyncio): when it returns, its
 *  failure is reported as the page says (the exception handler; a protocol's callback also
 *  ends its connection, but for data_received on a proactor). In a task it names the message of the error that the task is about
 *  to return. With RONDO_EINTERRUPTED it is what KeyboardInterrupt is: run_forever ends at once
 *  with that code and the exception handler is not asked.
 *  @format may be NULL: the message is then rondo_strerror(@code).
 *  Loop thread only. Returns @code, so that a task can say `return rondo_raise(...)`. */
RONDO_API int rondo_raise(int code, const char *format, ...) RONDO_PRINTF(2, 3);

RONDO_END_DECLS

#endif
