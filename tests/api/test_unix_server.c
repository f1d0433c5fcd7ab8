/* SPDX-License-Identifier: MIT */
/* create_unix_server: paths, what is in the way at them, permissions, what stays behind. */
#define _GNU_SOURCE
#include "unix_peer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static rondo_unix_server_options at(const unix_folder *folder)
{
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.path = folder->path;
    return options;
}

static rondo_server *serve(rondo_loop *loop, net_conn *conn, const rondo_unix_server_options *options)
{
    void *server = NULL;
    int rc = net_finish(loop, rondo_create_unix_server(loop, net_factory, conn, options), &server);
    ck_assert_msg(rc == 0, "create_unix_server: %s", rondo_last_error_message());
    return server;
}

static int serve_error(rondo_loop *loop, const rondo_unix_server_options *options)
{
    return net_finish(loop, rondo_create_unix_server(loop, net_factory, NULL, options), NULL);
}

static bool is_there(const unix_folder *folder)
{
    return access(folder->path, F_OK) == 0;
}

START_TEST(test_serves)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_unix_server_options options = at(&folder);
    ck_assert_int_eq(options.backlog, 100); /* UXS-01 */
    /* UXS-01: create_server over the other family */
    rondo_server *server = serve(loop, &conn, &options);
    ck_assert(rondo_server_is_serving(server));
    ck_assert_uint_eq(rondo_server_sockets(server, NULL, 0), 1);
    rondo_address address;
    char text[128];
    ck_assert_int_eq(rondo_server_address(server, 0, &address), 0);
    rondo_address_format(&address, text, sizeof text);
    ck_assert_str_eq(text, folder.path);
    rondo_socket peer = unix_connect(folder.path, 0);
    run_until(loop, conn.made == 1);
    ck_assert_uint_eq(rondo_server_connections(server), 1);
    ck_assert_uint_eq(rondo_address_host(&address, NULL, 0), strlen(folder.path));
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &address), 0);
    rondo_address_format(&address, text, sizeof text);
    ck_assert_str_eq(text, folder.path);
    net_talk(loop, &conn, peer);
    rondo_server_close(server);
    /* UXS-04: the file stays, and nobody listens */
    ck_assert(is_there(&folder));
    ck_assert_int_eq(unix_try_connect(folder.path, 0, &peer), RONDO_ECONNREFUSED);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abstract)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    char name[64];
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.path_length = unix_abstract_name(name, "se\0rver", 7);
    options.path = name;
    options.remove_file = true; /* there is none */
    options.mode = 0600;
    rondo_server *server = serve(loop, &conn, &options);
    rondo_socket peer = unix_connect(name, options.path_length);
    run_until(loop, conn.made == 1);
    /* UXS-03: a name that is taken is not touched */
    ck_assert_int_eq(serve_error(loop, &options), RONDO_EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "@rondo-test"));
    net_talk(loop, &conn, peer);
    rondo_server_close(server);
    ck_assert_int_eq(unix_try_connect(name, options.path_length, &peer), RONDO_ECONNREFUSED);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_stale_file)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    peer_close(unix_listen(folder.path, 0, 1));
    ck_assert(is_there(&folder));
    rondo_unix_server_options options = at(&folder);
    /* UXS-03: what an earlier server has left behind is no obstacle */
    rondo_server *server = serve(loop, &conn, &options);
    rondo_socket peer = unix_connect(folder.path, 0);
    run_until(loop, conn.made == 1);
    net_talk(loop, &conn, peer);
    rondo_server_close(server);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_other_file)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    int file = open(folder.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(file, "precious", 8), 8);
    size_t descriptors = peer_descriptors();
    rondo_unix_server_options options = at(&folder);
    options.remove_file = true;
    /* UXS-03: any other file is left, and the error names it; UXS-04: the socket is closed */
    ck_assert_int_eq(serve_error(loop, &options), RONDO_EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), folder.path));
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    char bytes[8];
    ck_assert_int_eq(pread(file, bytes, 8, 0), 8);
    ck_assert(is_there(&folder));
    close(file);
    unix_folder_remove(&folder);
    /* a folder that is not there */
    ck_assert_int_eq(serve_error(loop, &options), RONDO_ENOENT);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), folder.path));
    support_loop_end(loop);
}
END_TEST

START_TEST(test_no_permission)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    peer_close(unix_listen(folder.path, 0, 1));
    size_t descriptors = peer_descriptors();
    ck_assert_int_eq(chmod(folder.folder, 0500), 0);
    rondo_unix_server_options options = at(&folder);
    unix_become_nobody(&folder);
    int rc = serve_error(loop, &options);
    unix_become_again();
    /* UXS-03: trouble with the stale file is logged, the bind has the last word */
    ck_assert_int_eq(rc, RONDO_EADDRINUSE);
    ck_assert_uint_eq(support_log_lines("Unable to check or remove stale UNIX socket"), 1);
    ck_assert_int_eq(unlink(folder.path), 0);
    unix_become_nobody(&folder);
    rc = serve_error(loop, &options);
    unix_become_again();
    ck_assert_int_eq(rc, RONDO_EACCES);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

static mode_t mode_of(const unix_folder *folder)
{
    struct stat status;
    ck_assert_int_eq(stat(folder->path, &status), 0);
    ck_assert(S_ISSOCK(status.st_mode));
    return status.st_mode & 07777;
}

START_TEST(test_mode)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_unix_server_options options = at(&folder);
    mode_t mask = umask(027);
    rondo_server_close(serve(loop, NULL, &options));
    ck_assert_uint_eq(mode_of(&folder), 0750); /* what the umask leaves */
    options.mode = 0606;
    rondo_server *server = serve(loop, NULL, &options);
    ck_assert_uint_eq(mode_of(&folder), 0606);
    umask(mask);
    options.mode = 010000;
    ck_assert_ptr_null(rondo_create_unix_server(loop, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    options.mode = -2;
    ck_assert_ptr_null(rondo_create_unix_server(loop, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    rondo_server_close(server);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_file_removed)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_unix_server_options options = at(&folder);
    options.remove_file = true;
    /* UXS-04: 3.13's way */
    rondo_server_close(serve(loop, NULL, &options));
    ck_assert(!is_there(&folder));
    /* one that has been gone for long */
    rondo_server *server = serve(loop, NULL, &options);
    ck_assert_int_eq(unlink(folder.path), 0);
    rondo_server_close(server);
    /* a successor has taken the place: its file is its own */
    server = serve(loop, NULL, &options);
    options.remove_file = false;
    rondo_server *successor = serve(loop, NULL, &options);
    rondo_server_close(server);
    ck_assert(is_there(&folder));
    peer_close(unix_connect(folder.path, 0));
    rondo_server_close(successor);
    /* the loop closes the server */
    options.remove_file = true;
    server = serve(loop, NULL, &options);
    ck_assert(is_there(&folder));
    support_loop_end(loop);
    ck_assert(!is_there(&folder));
    unix_folder_remove(&folder);
}
END_TEST

START_TEST(test_sock)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.sock = unix_listen(folder.path, 0, 5);
    /* UXS-02: used as it is */
    rondo_socket given = options.sock, used;
    rondo_server *server = serve(loop, &conn, &options);
    ck_assert_uint_eq(rondo_server_sockets(server, &used, 1), 1);
    ck_assert_int_eq(used, given);
    ck_assert(peer_is_nonblocking(given));
    rondo_socket peer = unix_connect(folder.path, 0);
    run_until(loop, conn.made == 1);
    net_talk(loop, &conn, peer);
    rondo_server_close(server);
    ck_assert(!peer_is_open(given));
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

static void refused(rondo_loop *loop, const rondo_unix_server_options *options, int code)
{
    ck_assert_ptr_null(rondo_create_unix_server(loop, net_factory, NULL, options));
    ck_assert_msg(rondo_last_error() == code, "%s instead of %s", rondo_err_name(rondo_last_error()),
                  rondo_err_name(code));
}

START_TEST(test_refused)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    refused(loop, NULL, RONDO_EINVAL);
    refused(loop, &options, RONDO_EINVAL); /* UXS-02: neither */
    int port;
    rondo_socket listener = unix_listen(folder.path, 0, 1), tcp = peer_listen("127.0.0.1", 1, &port);
    options.path = folder.path;
    options.sock = listener;
    refused(loop, &options, RONDO_EINVAL); /* UXS-02: both */
    options.path = NULL;
    options.sock = tcp;
    refused(loop, &options, RONDO_EINVAL); /* UXS-02: of another family */
    options.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    refused(loop, &options, RONDO_EINVAL); /* UXS-02: no stream */
    peer_close(options.sock);
    refused(loop, &options, RONDO_EINVAL); /* not open */
    options.sock = listener;
    options.mode = 0600;
    refused(loop, &options, RONDO_EINVAL); /* the file of a sock is not ours */
    options.mode = -1;
    options.remove_file = true;
    refused(loop, &options, RONDO_EINVAL);
    options.remove_file = false;
    options.backlog = -1;
    refused(loop, &options, RONDO_EINVAL);
    options.backlog = 1;
    options.size = 3;
    refused(loop, &options, RONDO_EINVAL);
    options.size = sizeof options;
    ck_assert_ptr_null(rondo_create_unix_server(loop, NULL, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    options.sock = RONDO_INVALID_SOCKET;
    char path[200];
    memset(path, 'p', sizeof path);
    options.path = path;
    options.path_length = sizeof(((struct sockaddr_un *) 0)->sun_path);
    refused(loop, &options, RONDO_ENAMETOOLONG);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    refused(loop, &options, RONDO_ECLOSED);
    ck_assert(peer_is_open(listener) && peer_is_open(tcp));
    peer_close(listener);
    peer_close(tcp);
    unix_folder_remove(&folder);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

START_TEST(test_start_later)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    rondo_socket peer;
    unix_folder_make(&folder);
    rondo_unix_server_options options = at(&folder);
    options.start_serving = false;
    rondo_server *server = serve(loop, &conn, &options);
    ck_assert(!rondo_server_is_serving(server));
    ck_assert(is_there(&folder));
    ck_assert_int_eq(unix_try_connect(folder.path, 0, &peer), RONDO_ECONNREFUSED);
    ck_assert_int_eq(rondo_server_start_serving(server), 0);
    peer = unix_connect(folder.path, 0);
    run_until(loop, conn.made == 1);
    net_talk(loop, &conn, peer);
    rondo_server_close(server);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancelled)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    rondo_socket peer;
    unix_folder_make(&folder);
    size_t descriptors = peer_descriptors();
    rondo_unix_server_options options = at(&folder);
    options.remove_file = true;
    rondo_future *future = rondo_create_unix_server(loop, net_factory, NULL, &options);
    support_run_passes(loop, _i);
    bool done = rondo_future_done(future);
    ck_assert(rondo_future_cancel(future) == !done);
    run_until(loop, rondo_future_done(future));
    if (!done) {
        run_until(loop, peer_descriptors() == descriptors);
        ck_assert(!is_there(&folder));
        ck_assert_int_ne(unix_try_connect(folder.path, 0, &peer), 0);
    }
    rondo_future_unref(future);
    support_loop_end(loop);
    ck_assert(!is_there(&folder));
    unix_folder_remove(&folder);
}
END_TEST

/* Lessons 14: a server that closes does not hang on clients that say nothing. */
START_TEST(test_drain)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_unix_server_options options = at(&folder);
    rondo_server *server = serve(loop, &conn, &options);
    rondo_socket peer = unix_connect(folder.path, 0);
    run_until(loop, conn.made == 1);
    static char large[4 << 20]; /* more than the peer, who does not read, has room for */
    ck_assert_int_eq(rondo_transport_write(conn.transport, large, sizeof large), 0);
    rondo_future *drain = rondo_server_drain(server, RONDO_MS(20));
    run_until(loop, rondo_future_done(drain));
    ck_assert_int_eq(rondo_future_result(drain, NULL), 1); /* had to be aborted */
    ck_assert_int_eq(conn.losts, 1);
    rondo_future_unref(drain);
    peer_close(peer);
    net_conn_end(&conn);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "create_unix_server");
    tcase_add_test(tcase, test_serves);
    tcase_add_test(tcase, test_abstract);
    tcase_add_test(tcase, test_stale_file);
    tcase_add_test(tcase, test_other_file);
    tcase_add_test(tcase, test_no_permission);
    tcase_add_test(tcase, test_mode);
    tcase_add_test(tcase, test_file_removed);
    tcase_add_test(tcase, test_sock);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_start_later);
    tcase_add_loop_test(tcase, test_cancelled, 0, 4);
    tcase_add_test(tcase, test_drain);
}

int main(void)
{
    return support_main("create_unix_server", add_cases);
}
