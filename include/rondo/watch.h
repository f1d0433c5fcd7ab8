/* SPDX-License-Identifier: MIT */
/** Watching descriptors (18.5.1.8): a callback when one is readable or writable.
 *
 *  What can be watched is what the system can poll: sockets, pipes, terminals and other devices, eventfds and their
 *  kin; not regular files, which are always ready. The descriptor stays the program's: it may be closed as soon as it
 *  is not watched any more, and no event of it reaches another one that gets its number. One that is closed while it is
 *  watched tells nothing that can be relied on; take it off first.
 *
 *  Selectors have these calls (RONDO_CAN_WATCH_DESCRIPTORS). As asyncio documents it, a proactor has not, unless its loop was
 *  made with options.extended. All functions: loop thread only. */
#ifndef RONDO_WATCH_H
#define RONDO_WATCH_H

#include <rondo/loop.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** Call @callback once a pass as long as @descriptor is readable (loop.add_reader, 18.5.1.8), never inside this call.
 *  Hang-up and errors count as readable. There is one reader for each descriptor: adding another replaces it, and the one
 *  before is not called any more, even if its turn was due in this pass. What the callback raises goes to the exception
 *  handler; the watch stays.
 *  Returns 0; RONDO_EINVAL; RONDO_ECLOSED, RONDO_ETHREAD; RONDO_ENOTSUP (a proactor's loop); RONDO_EBUSY where a transport that
 *  is not closing uses the descriptor, or a server (the reader's side), or, on a selector, a closing one still sends (the
 *  writer's); RONDO_EPERM for one that cannot be watched (a regular file, a folder, a disk); RONDO_EBADF; RONDO_ENOMEM. After the
 *  last three a reader that was there before is gone, else nothing has changed.
 *  A descriptor that the kernel refuses only later is reported to the exception handler, and the watch is over. */
RONDO_API int rondo_loop_add_reader(rondo_loop *loop, rondo_socket descriptor, rondo_callback *callback,
                                    void *context);

/** The same for a descriptor that is writable (loop.add_writer, 18.5.1.8). Both may be on one descriptor; where both sides are
 *  ready the reader is called first. */
RONDO_API int rondo_loop_add_writer(rondo_loop *loop, rondo_socket descriptor, rondo_callback *callback,
                                    void *context);

/** The two with a destructor and a name: @call is copied, its `when` is not looked at. The destructor is called once, when the
 *  watch is over: removed, replaced, or the loop closed; if that is in the callback itself, when it has returned. When
 *  these fail it is not called: the context is still the caller's. */
RONDO_API int rondo_loop_add_reader_call(rondo_loop *loop, rondo_socket descriptor, const rondo_call *call);
RONDO_API int rondo_loop_add_writer_call(rondo_loop *loop, rondo_socket descriptor, const rondo_call *call);

/** Call the reader no more (loop.remove_reader, 18.5.1.8), even if its turn was due in this pass.
 *  Returns 1 if there was one, 0 if not (also on a closed loop); RONDO_EBUSY where a transport that is not closing
 *  uses the descriptor; RONDO_EINVAL, RONDO_ETHREAD, RONDO_ENOTSUP. */
RONDO_API int rondo_loop_remove_reader(rondo_loop *loop, rondo_socket descriptor);
RONDO_API int rondo_loop_remove_writer(rondo_loop *loop, rondo_socket descriptor);

RONDO_END_DECLS

#endif
