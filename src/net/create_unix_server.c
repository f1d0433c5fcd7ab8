/* SPDX-License-Identifier: MIT */
/* create_unix_server (18.5.1.7): create_server for the Unix family, as a coroutine of the library.
 *
 * The happy path: a socket file that is left over at the path is removed, the socket is bound, its file gets its mode, and
 * then the server is made as any other: nobody can connect before it listens. Failures: bad arguments, an over-long path
 * included (refused at once); a bind that fails: the socket is closed, the text names the path; a mode that
 * cannot be set: the file goes as well. Trouble with the left-over file is logged, and the bind says the rest. */
#include <rondo/unix_socket.h>

#include "../../platform/sockaddr.h"
#include "../../platform/unix_socket.h"
#include "../base/options.h"
#include "descriptor.h"
#include "setup.h"
#include "unix_socket.h"

enum { MODE_BITS = 07777, TEXT = 128 };

struct request {
    struct rondo_setup setup;
    rondo_unix_server_options options; /* its path is not looked at any more */
    rondo_address address;             /* of the path */
};

static int check_options(const rondo_unix_server_options *options, rondo_address *ret_address)
{
    if (options->backlog < 0)
        return rondo_fail(RONDO_EINVAL, "backlog is negative");
    if (options->mode < -1 || options->mode > MODE_BITS)
        return rondo_fail(RONDO_EINVAL, "mode is neither -1 nor permission bits");
    if (options->sock != RONDO_INVALID_SOCKET && (options->mode != -1 || options->remove_file))
        return rondo_fail(RONDO_EINVAL,
                          "mode and remove_file speak of the path's file, and sock comes without");
    return rondo_unix_target(options->path, options->path_length, options->sock, ret_address);
}

/* --- binding ------------------------------------------------------------------------------------------------------ */

static int bind_failed(int rc, const rondo_address *address)
{
    char path[TEXT];
    rondo_address_format(address, path, sizeof path);
    if (rc == RONDO_EADDRINUSE)
        return rondo_fail(rc, "Address '%s' is already in use", path);
    return rondo_fail(rc, "error while attempting to bind on '%s': %s", path, rondo_strerror(rc));
}

static void remove_stale(const rondo_address *address)
{
    char path[TEXT];
    int rc = rondo_unix_file_remove_stale(address);
    if (rc == 0)
        return;
    rondo_address_format(address, path, sizeof path);
    rondo_log(RONDO_LOG_ERROR, "Unable to check or remove stale UNIX socket '%s': %s", path,
              rondo_strerror(rc));
}

static int bind_socket(struct request *request)
{
    const rondo_address *address = &request->address;
    int rc = rondo_socket_open(AF_UNIX, SOCK_STREAM, 0, &request->setup.sock);
    if (rc < 0)
        return rondo_fail(rc, NULL);
    remove_stale(address);
    rc = rondo_socket_bind(request->setup.sock, address);
    return rc < 0 ? bind_failed(rc, address) : 0;
}

/* The file is there, and ours. */
static int mark_file(const struct request *request, struct rondo_unix_file *ret_file)
{
    int rc = rondo_unix_file_identify(&request->address, ret_file);
    if (rc == 0 && request->options.mode != -1) {
        rc = rondo_unix_file_set_mode(&request->address, (unsigned) request->options.mode);
        if (rc < 0)
            rondo_unix_file_remove(&request->address, ret_file);
    }
    return rc < 0 ? bind_failed(rc, &request->address) : 0;
}

/* A file that no server is there for: as when one closes. */
static void drop_file(const struct request *request, const struct rondo_unix_file *file)
{
    if (file && request->options.remove_file)
        rondo_unix_file_remove(&request->address, file);
}

/* --- the coroutine -------------------------------------------------------------------------------------------------- */

static int make_server(struct request *request, const struct rondo_unix_file *file)
{
    const rondo_unix_server_options *options = &request->options;
    struct rondo_setup *setup = &request->setup;
    int rc = rondo_descriptor_claim(setup->loop, &setup->sock);
    rondo_server *server =
        rc == 0 ? rondo_server_make(setup->loop, setup->factory, setup->context, options->backlog, 1) : NULL;
    if (!server) {
        drop_file(request, file);
        return rc < 0 ? rc : RONDO_ENOMEM;
    }
    rondo_server_add(server, setup->sock);
    setup->sock = RONDO_INVALID_SOCKET; /* the server's now */
    rc = file && options->remove_file ? rondo_server_own_file(server, &request->address, file) : 0;
    if (rc < 0) {
        drop_file(request, file);
        rondo_server_free(server);
        return rc;
    }
    return rondo_setup_server(server, options->start_serving);
}

static int run_create_unix_server(void *context)
{
    struct request *request = context;
    struct rondo_unix_file file;
    if (request->setup.sock != RONDO_INVALID_SOCKET)
        return make_server(request, NULL);
    int rc = bind_socket(request);
    bool is_abstract = rc == 0 && !request->address.storage.bytes[RONDO_SOCKADDR_PATH_OFFSET];
    if (rc == 0 && !is_abstract)
        rc = mark_file(request, &file);
    return rc < 0 ? rc : make_server(request, is_abstract ? NULL : &file);
}

rondo_future *rondo_create_unix_server(rondo_loop *loop, rondo_protocol_factory *factory, void *context,
                                       const rondo_unix_server_options *given)
{
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    rondo_address address = { 0 };
    if (rondo_setup_check(loop, factory, RONDO_CAN_UNIX_SOCKETS, "Unix sockets") < 0 ||
        rondo_options_read(&options, sizeof options, given, offsetof(rondo_unix_server_options, path_length),
                           "RONDO_UNIX_SERVER_OPTIONS") < 0 ||
        check_options(&options, &address) < 0)
        return NULL;
    struct request *request = rondo_setup_new(loop, factory, context, sizeof(*request));
    if (!request)
        return NULL;
    request->options = options;
    request->address = address;
    return rondo_setup_spawn(&request->setup, run_create_unix_server, rondo_setup_drop, options.sock);
}
