/* SPDX-License-Identifier: MIT */
/* The reactor: makes a driver of any poller. */
#ifndef RONDO_BACKENDS_REACTOR_H
#define RONDO_BACKENDS_REACTOR_H

#include "driver.h"
#include "poller.h"

/* What a selector can do. */
#define RONDO_REACTOR_CAPABILITIES                                                         \
    (RONDO_CAN_STREAMS | RONDO_CAN_UNIX_SOCKETS | RONDO_CAN_REUSE_PORT | RONDO_CAN_PIPES | \
     RONDO_CAN_WATCH_DESCRIPTORS | RONDO_CAN_SOCKET_CALLS | RONDO_CAN_DATAGRAMS)

/* Open a driver with the verbs @ops on the poller @poller_ops. */
int rondo_reactor_open(const struct rondo_driver_ops *ops, const struct rondo_poller_ops *poller_ops,
                       const struct rondo_driver_config *config, struct rondo_core *core,
                       struct rondo_driver **ret_driver);

/* The other verbs, for a backend's table. */
void rondo_reactor_close(struct rondo_driver *driver);
int rondo_reactor_submit(struct rondo_driver *driver, struct rondo_op *op);
void rondo_reactor_cancel(struct rondo_driver *driver, struct rondo_op *op);
void rondo_reactor_pause(struct rondo_driver *driver, struct rondo_op *op);
void rondo_reactor_resume(struct rondo_driver *driver, struct rondo_op *op);
ptrdiff_t rondo_reactor_try_send(struct rondo_driver *driver, rondo_socket sock, const rondo_bytes *pieces,
                                 size_t count);
ptrdiff_t rondo_reactor_try_write(struct rondo_driver *driver, rondo_socket sock, bool blocking,
                                  const rondo_bytes *pieces, size_t count);
void rondo_reactor_close_socket(struct rondo_driver *driver, rondo_socket sock);
int rondo_reactor_wait(struct rondo_driver *driver, rondo_ns timeout, struct rondo_ready_list *completed);
void rondo_reactor_wake(struct rondo_driver *driver);
const char *rondo_reactor_describe(struct rondo_driver *driver);

#define RONDO_REACTOR_VERBS                                                                           \
    .close = rondo_reactor_close, .submit = rondo_reactor_submit, .cancel = rondo_reactor_cancel,     \
    .pause = rondo_reactor_pause, .resume = rondo_reactor_resume, .try_send = rondo_reactor_try_send, \
    .try_write = rondo_reactor_try_write, .close_socket = rondo_reactor_close_socket,                 \
    .wait = rondo_reactor_wait, .wake = rondo_reactor_wake, .describe = rondo_reactor_describe

#endif
