/* SPDX-License-Identifier: MIT */
/** Pipes (18.5.1.11): one end of a pipe, a named pipe, a stream socket or a character device (a terminal), as a transport
 *  of one direction. Loop thread only. */
#ifndef RONDO_PIPE_H
#define RONDO_PIPE_H

#include <rondo/protocol.h>
#include <rondo/transport.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** Read from @pipe (connect_read_pipe): call @factory, connection_made, data_received. At the end of the pipe eof_received
 *  (whatever it returns) and connection_lost(0) follow; an error ends it with that, which the exception
 *  handler hears of, too, but for the RONDO_EIO of a terminal whose other end was closed. A data_received that fails is reported
 *  and ends nothing. Writing is RONDO_ENOTSUP.
 *
 *  On a selector @pipe must be non-blocking. On a proactor it may be either; a blocking one never blocks the
 *  loop. Nobody else should read from it meanwhile.
 *
 *  The future's value is the rondo_transport, as rondo_create_connection's (rondo_await_connection gives
 *  both). Once a future was returned @pipe is owned: the transport closes it after connection_lost; a failing factory
 *  and a cancelled future close it, too.
 *  NULL with RONDO_EINVAL (no factory; no pipe, socket or character device; a blocking one on a selector), RONDO_EBADF,
 *  RONDO_EBUSY (another transport, or a server, owns it: hand over a duplicate), RONDO_ENOTSUP where the loop lacks RONDO_CAN_PIPES,
 *  RONDO_ECLOSED, RONDO_ENOMEM: nothing was called, and @pipe is open and the caller's. */
RONDO_API rondo_future *rondo_connect_read_pipe(rondo_loop *loop, rondo_protocol_factory *factory,
                                                void *context, rondo_file pipe);

/** Write to @pipe (connect_write_pipe). Its protocol gets connection_made, pause_writing, resume_writing and
 *  connection_lost. rondo_transport_write_eof is the same as rondo_transport_close: what is buffered goes out first.
 *  resume_writing comes when nothing is buffered any more, whatever the low mark.
 *  When the reader goes away, connection_lost(0) comes if nothing is buffered, connection_lost(RONDO_EPIPE) else; on a
 *  socket anything that arrives counts as that, also while one that was closed is flushed. A terminal is not watched. SIGPIPE
 *  never reaches the program. Pausing does nothing. Everything else is as for rondo_connect_read_pipe. */
RONDO_API rondo_future *rondo_connect_write_pipe(rondo_loop *loop, rondo_protocol_factory *factory,
                                                 void *context, rondo_file pipe);

/** get_extra_info('pipe'): borrowed until connection_lost has returned; RONDO_INVALID_FILE after that, and for
 *  what is no pipe. rondo_transport_get_extra_info(transport, "pipe", ...) gives a const rondo_file *. */
RONDO_API rondo_file rondo_transport_pipe(const rondo_transport *transport);

RONDO_END_DECLS

#endif
