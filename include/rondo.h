/* SPDX-License-Identifier: MIT */
/** Rondo: an event loop in the shape of Python's asyncio, over selectors and proactors.
 *  This header brings in the whole public interface. */
#ifndef RONDO_H
#define RONDO_H

#include <rondo/address.h>
#include <rondo/backend.h>
#include <rondo/connection.h>
#include <rondo/datagram.h>
#include <rondo/error.h>
#include <rondo/export.h>
#include <rondo/future.h>
#include <rondo/handle.h>
#include <rondo/inherited.h>
#include <rondo/loop.h>
#include <rondo/pipe.h>
#include <rondo/protocol.h>
#include <rondo/resolve.h>
#include <rondo/sendfile.h>
#include <rondo/server.h>
#include <rondo/sock.h>
#include <rondo/task.h>
#include <rondo/transport.h>
#include <rondo/types.h>
#include <rondo/unix_socket.h>
#include <rondo/wait.h>
#include <rondo/watch.h>

#endif
