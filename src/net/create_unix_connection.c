/* SPDX-License-Identifier: MIT */
/* create_unix_connection (18.5.1.6): create_connection for the Unix family, as a coroutine of the library.
 *
 * The happy path: connect to the one address that there is, then as create_connection. Failures: bad arguments, an over-long
 * path included (refused at once, a socket stays the caller's); the connect's error; a failing factory. Cancelled: nothing is
 * left. */
#include <rondo/unix_socket.h>

#include "../../platform/sockaddr.h" /* AF_UNIX */
#include "../base/options.h"
#include "connect.h"
#include "setup.h"
#include "unix_socket.h"

struct request {
    struct rondo_setup setup;
    rondo_addrinfo_entry target; /* if there is no sock */
};

static int run_create_unix_connection(void *context)
{
    struct request *request = context;
    struct rondo_setup *setup = &request->setup;
    int rc = 0;
    if (setup->sock == RONDO_INVALID_SOCKET)
        rc = rondo_connect_address(setup->loop, &request->target, NULL, &setup->sock);
    return rc < 0 ? rc : rondo_setup_connection(setup);
}

static int check_options(const rondo_unix_connection_options *options, rondo_address *ret_address)
{
    int rc = rondo_unix_target(options->path, options->path_length, options->sock, ret_address);
    if (rc == 0 && options->sock != RONDO_INVALID_SOCKET)
        rc = rondo_setup_check_connected(options->sock);
    return rc;
}

rondo_future *rondo_create_unix_connection(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                           const rondo_unix_connection_options *given)
{
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    rondo_address address = { 0 };
    if (rondo_setup_check(loop, factory, RONDO_CAN_UNIX_SOCKETS, "Unix sockets") < 0 ||
        rondo_options_read(&options, sizeof options, given,
                           offsetof(rondo_unix_connection_options, path_length),
                           "RONDO_UNIX_CONNECTION_OPTIONS") < 0 ||
        check_options(&options, &address) < 0)
        return NULL;
    struct request *request = rondo_setup_new(loop, factory, context, sizeof(*request));
    if (!request)
        return NULL;
    request->target = (rondo_addrinfo_entry){ .family = AF_UNIX, .address = address };
    return rondo_setup_spawn(&request->setup, run_create_unix_connection, rondo_setup_drop, options.sock);
}
