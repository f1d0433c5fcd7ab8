/* SPDX-License-Identifier: MIT */
/** Transports: the connection that a protocol talks through (asyncio.Transport).
 *
 *  A transport belongs to the loop. A pointer to it is borrowed until one pass after connection_lost has
 *  returned; who keeps it longer takes a reference. On a transport that is closed every call is harmless.
 *  All functions: loop thread only. */
#ifndef RONDO_TRANSPORT_H
#define RONDO_TRANSPORT_H

#include <rondo/address.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

RONDO_API rondo_transport *rondo_transport_ref(rondo_transport *transport);
RONDO_API void rondo_transport_unref(rondo_transport *transport);

/** A piece of memory for writelines. */
typedef struct rondo_bytes {
    const void *data;
    size_t length;
} rondo_bytes;

/** Send @length bytes of @data after what was written before (transport.write). Copies what the
 *  kernel does not take at once: @data may be reused on return. May call pause_writing.
 *  Returns 0; RONDO_EINVAL; RONDO_EINVALIDSTATE after write_eof; RONDO_ENOMEM: nothing was queued.
 *  On a transport that is lost the data is dropped and 0 returned, as asyncio does; I/O errors
 *  arrive by connection_lost. */
RONDO_API int rondo_transport_write(rondo_transport *transport, const void *data, size_t length);

/** One write of all @count pieces in order (transport.writelines). */
RONDO_API int rondo_transport_writelines(rondo_transport *transport, const rondo_bytes *pieces, size_t count);

/** Shut the sending half down once everything written is sent (transport.write_eof). A second
 *  call, or one while closing, does nothing. Returns 0; RONDO_ENOTSUP where can_write_eof is false. */
RONDO_API int rondo_transport_write_eof(rondo_transport *transport);
RONDO_API bool rondo_transport_can_write_eof(const rondo_transport *transport);

/** Send what is buffered, deliver nothing more, then connection_lost(0). Never calls back inside. */
RONDO_API void rondo_transport_close(rondo_transport *transport);

/** The same at once: what is buffered is dropped. */
RONDO_API void rondo_transport_abort(rondo_transport *transport);

/** True from close, abort or a fatal error on. */
RONDO_API bool rondo_transport_is_closing(const rondo_transport *transport);

/** Hold data and end of stream back until resume_reading. Both may be repeated and do nothing on
 *  a closing transport. */
RONDO_API void rondo_transport_pause_reading(rondo_transport *transport);
RONDO_API void rondo_transport_resume_reading(rondo_transport *transport);
RONDO_API bool rondo_transport_is_reading(const rondo_transport *transport);

/** The marks of the write buffer in bytes. pause_writing is called when the buffered size goes above
 *  @high, resume_writing when it has fallen to @low or below. RONDO_DEFAULT_MARK for one derives it
 *  from the other (high = 4 * low), for both gives 64 KiB and 16 KiB.
 *  Returns 0; RONDO_EINVAL unless high >= low: nothing changed. */
#define RONDO_DEFAULT_MARK SIZE_MAX
RONDO_API int rondo_transport_set_write_buffer_limits(rondo_transport *transport, size_t high, size_t low);
RONDO_API void rondo_transport_get_write_buffer_limits(const rondo_transport *transport, size_t *ret_low,
                                                       size_t *ret_high);

/** Bytes that the kernel has not taken yet (on a proactor: not confirmed yet). */
RONDO_API size_t rondo_transport_get_write_buffer_size(const rondo_transport *transport);

RONDO_API rondo_protocol *rondo_transport_get_protocol(const rondo_transport *transport);

/** Later callbacks go to @protocol (a reference is taken); no connection_made is sent. The old one may be used until the
 *  callback that runs now has returned.
 *  Returns 0; RONDO_EINVAL; RONDO_ECLOSED after connection_lost; RONDO_ENOMEM: the old one stays. */
RONDO_API int rondo_transport_set_protocol(rondo_transport *transport, rondo_protocol *protocol);

RONDO_API rondo_loop *rondo_transport_loop(const rondo_transport *transport);

/* --- get_extra_info ------------------------------------------------------------------------- */

/** get_extra_info('peername'), get_extra_info('sockname'). Both outlive the connection, the second for those who held a
 *  reference to the transport when connection_lost returned. Return 0; RONDO_ENOTCONN and the like when there is none:
 *  *@ret_address is untouched. */
RONDO_API int rondo_transport_peername(const rondo_transport *transport, rondo_address *ret_address);
RONDO_API int rondo_transport_sockname(const rondo_transport *transport, rondo_address *ret_address);

/** get_extra_info('socket'): for setting options, not for I/O; borrowed until connection_lost has
 *  returned, RONDO_INVALID_SOCKET after that. */
RONDO_API rondo_socket rondo_transport_socket(const rondo_transport *transport);

/** By Python's name: "peername" and "sockname" give a const rondo_address *, "socket" a const
 *  rondo_socket *, borrowed until the next such call on the loop's thread; @fallback where there is none. */
RONDO_API const void *rondo_transport_get_extra_info(const rondo_transport *transport, const char *name,
                                                     const void *fallback);

RONDO_END_DECLS

#endif
