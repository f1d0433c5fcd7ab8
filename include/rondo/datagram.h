/* SPDX-License-Identifier: MIT */
/** Datagrams: UDP, and datagram sockets of the Unix family (18.5.1.6).
 *
 *  A datagram endpoint is a transport (rondo/transport.h) without a stream: rondo_datagram_sendto takes the place of
 *  write, and datagram_received and error_received of the protocol the place of data_received and eof_received.
 *  close, abort, pause_reading, the marks of the write buffer and get_extra_info are those of every transport. Where a
 *  loop has none (RONDO_CAN_DATAGRAMS: a proactor that was not made with `extended`) the endpoint cannot be made. */
#ifndef RONDO_DATAGRAM_H
#define RONDO_DATAGRAM_H

#include <rondo/address.h>
#include <rondo/connection.h>
#include <rondo/protocol.h>
#include <rondo/transport.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** The arguments of create_datagram_endpoint. Start from RONDO_DATAGRAM_OPTIONS. Texts are borrowed for the
 *  call. An address is given by its port (the host may be NULL) or, in the Unix family, by its path. */
typedef struct rondo_datagram_options {
    size_t size;
    const char *local_host;   /**< bind to this address */
    int local_port;           /**< RONDO_NO_PORT: no local address */
    const char *remote_host;  /**< connect to this address: only what comes from there is received */
    int remote_port;          /**< RONDO_NO_PORT: no remote address */
    const char *local_path;   /**< bind to it; a socket file that is there is removed first */
    size_t local_path_length; /**< as rondo_address_from_path takes it; 0: the path is text */
    const char *remote_path;
    size_t remote_path_length;
    int family, proto,
        flags;          /**< handed to getaddrinfo and socket; AF_UNIX needs not be said beside a path */
    bool reuse_address; /**< SO_REUSEADDR: on most systems others can then take over the port */
    bool reuse_port;    /**< SO_REUSEPORT; RONDO_EINVAL where there is none */
    bool
        allow_broadcast; /**< SO_BROADCAST; the remote address is then not connected to, but the default target */
    rondo_socket sock; /**< a datagram socket; excludes all of the above; owned by the transport once the call
                               has returned a future */
} rondo_datagram_options;

#define RONDO_DATAGRAM_OPTIONS_INIT                                                                          \
    {                                                                                                        \
        sizeof(rondo_datagram_options), NULL, RONDO_NO_PORT, NULL, RONDO_NO_PORT, NULL, 0, NULL, 0, 0, 0, 0, \
            false, false, false, RONDO_INVALID_SOCKET                                                        \
    }
#if defined(__cplusplus)
#define RONDO_DATAGRAM_OPTIONS (rondo_datagram_options RONDO_DATAGRAM_OPTIONS_INIT)
#else
#define RONDO_DATAGRAM_OPTIONS ((rondo_datagram_options) RONDO_DATAGRAM_OPTIONS_INIT)
#endif

/** Make a datagram endpoint (create_datagram_endpoint, 18.5.1.6): look the addresses up, bind, connect, call @factory,
 *  connection_made. The future's value is the rondo_transport; rondo_await_connection takes out the pair. Loop thread only.
 *  NULL with RONDO_ENOTSUP, RONDO_EINVAL (neither an address nor a family, addresses of different kinds, a sock that is
 *  no datagram socket or stands beside other options, a bad port or path), RONDO_ETYPE (a host without a port),
 *  RONDO_ENAMETOOLONG, RONDO_EBUSY (another transport owns the sock), RONDO_ECLOSED, RONDO_ENOMEM; the sock is then
 *  still the caller's. The future fails with a RONDO_EAI_ code, RONDO_EINVAL where local and remote address have no
 *  family in common, or the first error of the sockets that were tried. Cancelling it closes what it has opened. */
RONDO_API rondo_future *rondo_create_datagram_endpoint(rondo_loop *loop, rondo_protocol_factory *factory,
                                                       void *context, const rondo_datagram_options *options);

/** Send one datagram of @length bytes, which may be 0, to @to (DatagramTransport.sendto). @to NULL is the default: the remote
 *  address, or whom the sock is connected to; such an endpoint takes no other one. @data and @to are copied where they
 *  cannot be sent at once. May call pause_writing. A selector tries at once, a proactor in the next pass. An error of the system
 *  (RONDO_EMSGSIZE for what is too long, RONDO_ECONNREFUSED for a peer that is gone) goes to error_received, on a selector
 *  inside this call; the datagram is lost then, and the endpoint stays open. A closing endpoint drops it. Loop thread only.
 *  Returns 0; RONDO_EINVAL, also for another address than the default one; RONDO_EDESTADDRREQ where there is no default;
 *  RONDO_ENOTSUP for a transport that is a stream; RONDO_ENOMEM: it was not queued; or what error_received
 *  has raised. */
RONDO_API int rondo_datagram_sendto(rondo_transport *transport, const void *data, size_t length,
                                    const rondo_address *to);

RONDO_END_DECLS

#endif
