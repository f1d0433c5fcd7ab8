/* SPDX-License-Identifier: MIT */
/** Protocols: what a program does with a connection (asyncio.Protocol, BufferedProtocol, DatagramProtocol).
 *
 *  A protocol is an object of the library with a table of functions and, behind it, memory of the
 *  program's own. Order for a stream: connection_made, data_received any number of times,
 *  eof_received at most once, connection_lost. All run on the loop's thread and none inside
 *  another, but pause_writing, which is called inside the write that caused it,
 *  resume_writing, and error_received, which a sendto may call. A callback fails by rondo_raise. */
#ifndef RONDO_PROTOCOL_H
#define RONDO_PROTOCOL_H

#include <rondo/address.h>
#include <rondo/types.h>

RONDO_BEGIN_DECLS

/** The functions of a protocol; NULL ones do nothing. The table must outlive its protocols. */
typedef struct rondo_protocol_ops {
    size_t size;      /**< sizeof(rondo_protocol_ops) */
    size_t data_size; /**< bytes of rondo_protocol_data, zeroed at first */

    void (*connection_made)(rondo_protocol *protocol, rondo_transport *transport);
    /** @data is borrowed for the call; @length is never 0. */
    void (*data_received)(rondo_protocol *protocol, const void *data, size_t length);
    /** The peer has finished writing. true: the transport stays open for writing; false (or no
     *  function): it closes itself. */
    bool (*eof_received)(rondo_protocol *protocol);
    /** The last call for a connection: @error is 0 after end of stream, close and abort. */
    void (*connection_lost)(rondo_protocol *protocol, int error);
    void (*pause_writing)(rondo_protocol *protocol);
    void (*resume_writing)(rondo_protocol *protocol);

    /** A BufferedProtocol has these two and no data_received: memory for the next bytes (at least
     *  one byte; @hint 0: any size), and how many arrived in it. Nothing arrives where get_buffer itself closes or pauses
     *  the transport, or gives it another protocol: there asyncio goes on with the memory that it was given. */
    void *(*get_buffer)(rondo_protocol *protocol, size_t hint, size_t *ret_length);
    void (*buffer_updated)(rondo_protocol *protocol, size_t length);

    /** Release what rondo_protocol_data holds; after it the protocol is gone. */
    void (*destroy)(rondo_protocol *protocol);

    /** A DatagramProtocol has these two in place of data_received and eof_received. A datagram of @length bytes, which may
     *  be 0, has come from @sender (length 0: from a socket without a name); both are borrowed for the call. */
    void (*datagram_received)(rondo_protocol *protocol, const void *data, size_t length,
                              const rondo_address *sender);
    /** The system could not send or receive a datagram; the endpoint stays open. */
    void (*error_received)(rondo_protocol *protocol, int error);
} rondo_protocol_ops;

/** A new protocol with the functions @ops (a const rondo_protocol_ops *); one reference.
 *  Fits as a factory: rondo_create_server(loop, rondo_protocol_new, (void *) &ops, &options).
 *  NULL with RONDO_ENOMEM or RONDO_EINVAL. Loop thread. */
RONDO_API rondo_protocol *rondo_protocol_new(void *ops);

RONDO_API rondo_protocol *rondo_protocol_ref(rondo_protocol *protocol);
RONDO_API void rondo_protocol_unref(rondo_protocol *protocol);

/** The memory of the program in @protocol: ops->data_size bytes. */
RONDO_API void *rondo_protocol_data(rondo_protocol *protocol);

/** The transport it was connected to last, from connection_made until connection_lost has returned;
 *  NULL otherwise. */
RONDO_API rondo_transport *rondo_protocol_transport(const rondo_protocol *protocol);

RONDO_API const rondo_protocol_ops *rondo_protocol_get_ops(const rondo_protocol *protocol);

/** Makes the protocol of each connection (protocol_factory, 18.5.1.6). Returns a reference that the
 *  transport takes over; it may be a further reference to one that exists (rondo_protocol_ref).
 *  NULL fails the connection. */
typedef rondo_protocol *rondo_protocol_factory(void *context);

RONDO_END_DECLS

#endif
