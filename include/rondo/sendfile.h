/* SPDX-License-Identifier: MIT */
/** Sending files (loop.sendfile, loop.sock_sendfile). Loop thread only. */
#ifndef RONDO_SENDFILE_H
#define RONDO_SENDFILE_H

#include <rondo/future.h>
#include <rondo/transport.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** As a count: all that there is to the end of the file. */
#define RONDO_TO_END INT64_MAX

/** Send @count bytes of @file from @offset on to @transport, a stream, or as many as there are (loop.sendfile): what was
 *  written before goes first. Where the system can the bytes take no way through the program (sendfile(2)); where it cannot,
 *  and @fallback holds, they are read and written in blocks. Reading from the disk may keep the loop waiting, as any read.
 *
 *  The place of @file is neither used nor moved; it stays the caller's, and is lent until the future is done. So is
 *  *ret_sent (may be NULL): how many bytes went out so far, also when it fails or is cancelled; in the fallback bytes count that
 *  the transport has taken. The future's number is that count, or INT_MAX where it is larger.
 *
 *  Meanwhile, until whoever waits for the future goes on, reading is paused, and writing is refused with RONDO_EBUSY. Closing
 *  the transport fails the future with RONDO_ECONNABORTED, losing the connection with its error; when the loop closes it is
 *  cancelled. Cancelling it is over at once and leaves the transport usable; reading goes on in the next pass. A file that has
 *  become shorter ends it early, with what there was.
 *
 *  NULL with RONDO_EINVAL (a negative offset, a count that is not positive), RONDO_ECLOSED (a closing transport, a closed loop),
 *  RONDO_EINVALIDSTATE after write_eof, RONDO_EBUSY while another file is being sent, RONDO_ENOTSUP (no stream transport; a pipe
 *  or a socket for a file; not a regular file, and no fallback), RONDO_EBADF, RONDO_ENOMEM. Without the fallback the future fails
 *  with RONDO_ENOTSUP where the system cannot do it. */
RONDO_API rondo_future *rondo_sendfile(rondo_transport *transport, rondo_file file, int64_t offset,
                                       int64_t count, bool fallback, int64_t *ret_sent);

/** The same to a connected stream socket of the program's (loop.sock_sendfile), as a low-level socket operation: what
 *  rondo/sock.h says of them holds, but that behind the last byte it waits for room once more, as asyncio does; the count here is
 *  what the kernel has taken. A socket that blocks (on a proactor's loop) gets the fallback. Nothing is done to the socket
 *  beyond that.
 *
 *  NULL as rondo_sendfile, and with RONDO_EINVAL for a socket that is no stream. */
RONDO_API rondo_future *rondo_sock_sendfile(rondo_loop *loop, rondo_socket sock, rondo_file file,
                                            int64_t offset, int64_t count, bool fallback, int64_t *ret_sent);

RONDO_END_DECLS

#endif
