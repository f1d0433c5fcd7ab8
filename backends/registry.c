/* SPDX-License-Identifier: MIT */
/* What is built in, in the order of `auto` on this system: on Windows the proactor; on Unix the system's own
 * selector, then the one that every system has, then the proactor. */
#include "driver.h"

#if defined(RONDO_HAVE_IOCP)
extern const struct rondo_driver_ops rondo_driver_iocp;
#endif
#if defined(RONDO_HAVE_EPOLL)
extern const struct rondo_driver_ops rondo_driver_epoll;
#endif
#if defined(RONDO_HAVE_KQUEUE)
extern const struct rondo_driver_ops rondo_driver_kqueue;
#endif
#if defined(RONDO_HAVE_POLL)
extern const struct rondo_driver_ops rondo_driver_poll;
#endif
#if defined(RONDO_HAVE_IO_URING)
extern const struct rondo_driver_ops rondo_driver_uring;
#endif

const struct rondo_driver_ops *const rondo_driver_registry[] = {
#if defined(RONDO_HAVE_IOCP)
    &rondo_driver_iocp,
#endif
#if defined(RONDO_HAVE_EPOLL)
    &rondo_driver_epoll,
#endif
#if defined(RONDO_HAVE_KQUEUE)
    &rondo_driver_kqueue,
#endif
#if defined(RONDO_HAVE_POLL)
    &rondo_driver_poll,
#endif
#if defined(RONDO_HAVE_IO_URING)
    &rondo_driver_uring,
#endif
    NULL,
};
