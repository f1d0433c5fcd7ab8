/* SPDX-License-Identifier: MIT */
/* create_unix_connection: paths and names, arguments that are refused, listeners that are full. */
#define _GNU_SOURCE
#include "unix_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_error(rondo_loop *loop, net_conn *conn, const rondo_unix_connection_options *options)
{
    return net_finish(loop, rondo_create_unix_connection(loop, net_factory, conn, options), NULL);
}

/* Connected over @options to a listener of the test's; the accepted end is returned. */
static rondo_socket connect_to(rondo_loop *loop, net_conn *conn, rondo_socket listener,
                               const rondo_unix_connection_options *options)
{
    void *transport = NULL;
    int rc = net_finish(loop, rondo_create_unix_connection(loop, net_factory, conn, options), &transport);
    ck_assert_msg(rc == 0, "create_unix_connection: %s", rondo_last_error_message());
    ck_assert_ptr_eq(transport, conn->transport);
    return peer_accept(listener);
}

START_TEST(test_path)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_socket listener = unix_listen(folder.path, 0, 5);
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = folder.path;
    /* UXC-01: create_connection over the other family */
    rondo_socket peer = connect_to(loop, &conn, listener, &options);
    rondo_address address;
    char text[200];
    ck_assert_int_eq(rondo_transport_peername(conn.transport, &address), 0);
    rondo_address_host(&address, text, sizeof text);
    ck_assert_str_eq(text, folder.path);
    ck_assert_int_eq(rondo_address_family(&address), AF_UNIX);
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &address), 0);
    ck_assert_uint_eq(rondo_address_host(&address, text, sizeof text), 0); /* nobody has named it */
    net_talk(loop, &conn, peer);
    peer_close(listener);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_bytes)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_socket listener = unix_listen(folder.path, 0, 5);
    char bytes[200]; /* not ended by a NUL */
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, folder.path, strlen(folder.path));
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = bytes;
    options.path_length = strlen(folder.path);
    /* UXC-03: a path as bytes */
    net_talk(loop, &conn, connect_to(loop, &conn, listener, &options));
    peer_close(listener);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abstract)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    char name[64];
    size_t length = unix_abstract_name(name, "with\0nul", 8);
    rondo_socket listener = unix_listen(name, length, 5);
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = name;
    options.path_length = length;
    /* UXC-03: names that are no files, NULs and all */
    rondo_socket peer = connect_to(loop, &conn, listener, &options);
    rondo_address address;
    char text[200];
    ck_assert_int_eq(rondo_transport_peername(conn.transport, &address), 0);
    ck_assert_uint_eq(rondo_address_host(&address, text, sizeof text), length);
    ck_assert_int_eq(text[0], '@');
    net_talk(loop, &conn, peer);
    options.path_length = length - 1; /* another name */
    ck_assert_int_eq(connect_error(loop, &conn, &options), RONDO_ECONNREFUSED);
    peer_close(listener);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_sock)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket pair[2];
    peer_pair(pair);
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.sock = pair[0];
    /* UXC-02 */
    void *transport;
    ck_assert_int_eq(
        net_finish(loop, rondo_create_unix_connection(loop, net_factory, &conn, &options), &transport), 0);
    ck_assert_int_eq(rondo_transport_socket(transport), pair[0]);
    ck_assert(peer_is_nonblocking(pair[0]));
    net_talk(loop, &conn, pair[1]);
    support_loop_end(loop);
}
END_TEST

static void refused(rondo_loop *loop, const rondo_unix_connection_options *options, int code)
{
    ck_assert_ptr_null(rondo_create_unix_connection(loop, net_factory, NULL, options));
    ck_assert_msg(rondo_last_error() == code, "%s instead of %s", rondo_err_name(rondo_last_error()),
                  rondo_err_name(code));
}

START_TEST(test_refused)
{
    rondo_loop *loop = support_loop();
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    size_t descriptors = peer_descriptors();
    refused(loop, NULL, RONDO_EINVAL);
    refused(loop, &options, RONDO_EINVAL); /* UXC-02: neither */
    rondo_socket pair[2], tcp[2];
    peer_pair(pair);
    options.path = "/nowhere/socket";
    options.sock = pair[0];
    refused(loop, &options, RONDO_EINVAL); /* UXC-02: both */
    options.path = NULL;
    peer_tcp_pair(tcp);
    options.sock = tcp[0];
    refused(loop, &options, RONDO_EINVAL); /* UXC-02: of another family */
    options.sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    refused(loop, &options, RONDO_EINVAL); /* not connected */
    peer_close(options.sock);
    options.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    refused(loop, &options, RONDO_EINVAL); /* no stream */
    peer_close(options.sock);
    refused(loop, &options, RONDO_EINVAL); /* not open */
    options.sock = pair[0];
    options.size = 0;
    refused(loop, &options, RONDO_EINVAL);
    options.size = sizeof options;
    ck_assert_ptr_null(rondo_create_unix_connection(loop, NULL, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_unix_connection(NULL, net_factory, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert(peer_is_open(pair[0])); /* all of them stayed the caller's */
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    refused(loop, &options, RONDO_ECLOSED);
    for (int i = 0; i < 2; i++) {
        peer_close(pair[i]);
        peer_close(tcp[i]);
    }
    ck_assert_uint_lt(peer_descriptors(), descriptors);
    ck_assert_int_eq(rondo_loop_free(loop), 0);
}
END_TEST

START_TEST(test_bad_paths)
{
    rondo_loop *loop = support_loop();
    char path[256];
    size_t room = sizeof(((struct sockaddr_un *) 0)->sun_path), descriptors = peer_descriptors();
    memset(path, 'p', sizeof path);
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = path;
    options.path_length = room; /* no place for the NUL */
    refused(loop, &options, RONDO_ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "108"));
    options.path_length = 200;
    refused(loop, &options, RONDO_ENAMETOOLONG);
    path[0] = 0;
    options.path_length = room + 1;
    refused(loop, &options, RONDO_ENAMETOOLONG);
    path[0] = 'p';
    path[7] = 0;
    options.path_length = 20;
    refused(loop, &options, RONDO_EINVAL); /* a NUL in the middle */
    options.path = "";
    options.path_length = 0;
    refused(loop, &options, RONDO_EINVAL);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    /* what just fits is tried */
    memset(path, 'p', sizeof path);
    options.path = path;
    options.path_length = room - 1;
    ck_assert_int_eq(connect_error(loop, NULL, &options), RONDO_ENOENT);
    path[0] = 0;
    options.path_length = room;
    ck_assert_int_eq(connect_error(loop, NULL, &options), RONDO_ECONNREFUSED);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_nobody)
{
    rondo_loop *loop = support_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    size_t descriptors = peer_descriptors();
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = folder.path;
    ck_assert_int_eq(connect_error(loop, NULL, &options), RONDO_ENOENT);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), folder.path));
    peer_close(unix_listen(folder.path, 0, 5)); /* the file stays */
    ck_assert_int_eq(connect_error(loop, NULL, &options), RONDO_ECONNREFUSED);
    ck_assert_int_eq(unlink(folder.path), 0);
    int file = open(folder.path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_eq(connect_error(loop, NULL, &options), RONDO_ECONNREFUSED); /* no socket at all */
    close(file);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_no_permission)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_socket listener = unix_listen(folder.path, 0, 5);
    ck_assert_int_eq(chmod(folder.path, 0), 0);
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = folder.path;
    unix_become_nobody(&folder);
    int rc = connect_error(loop, &conn, &options);
    unix_become_again();
    ck_assert_int_eq(rc, RONDO_EACCES);
    peer_close(listener);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

/* A listener whose queue is full: the sockets of @ret_waiting wait in it. */
static rondo_socket full_listener(const unix_folder *folder, rondo_socket ret_waiting[2])
{
    rondo_socket listener = unix_listen(folder->path, 0, 0);
    ret_waiting[0] = unix_connect(folder->path, 0);
    ret_waiting[1] = RONDO_INVALID_SOCKET;
    return listener;
}

START_TEST(test_full_queue)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_socket waiting[2], listener = full_listener(&folder, waiting);
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = folder.path;
    rondo_future *future = rondo_create_unix_connection(loop, net_factory, &conn, &options);
    for (unsigned i = 0; i < 80; i++)
        ck_assert(net_turn(loop, i));
    /* UXC-01: not taken for connected, and no error: it waits */
    ck_assert(!rondo_future_done(future));
    rondo_socket first = peer_accept(listener);
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(rondo_future_result(future, NULL), 0);
    rondo_future_unref(future);
    net_talk(loop, &conn, peer_accept(listener));
    peer_close(first);
    peer_close(waiting[0]);
    peer_close(listener);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_full_queue_cancelled)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_socket waiting[2], listener = full_listener(&folder, waiting);
    size_t descriptors = peer_descriptors();
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = folder.path;
    rondo_future *future = rondo_create_unix_connection(loop, net_factory, &conn, &options);
    support_run_passes(loop, _i + 1);
    ck_assert(rondo_future_cancel(future));
    run_until(loop, rondo_future_done(future));
    ck_assert(rondo_future_cancelled(future));
    rondo_future_unref(future);
    run_until(loop, peer_descriptors() == descriptors);
    ck_assert_int_eq(conn.made, 0);
    /* the loop closes over one that waits */
    future = rondo_create_unix_connection(loop, net_factory, &conn, &options);
    support_run_passes(loop, _i + 1);
    rondo_future_unref(future);
    support_loop_end(loop);
    ck_assert_uint_lt(peer_descriptors(), descriptors); /* the loop's own are gone, and the socket */
    peer_close(waiting[0]);
    peer_close(listener);
    unix_folder_remove(&folder);
}
END_TEST

START_TEST(test_cancelled)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    unix_folder folder;
    unix_folder_make(&folder);
    rondo_socket listener = unix_listen(folder.path, 0, 5);
    size_t descriptors = peer_descriptors();
    rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
    options.path = folder.path;
    rondo_future *future = rondo_create_unix_connection(loop, net_factory, &conn, &options);
    support_run_passes(loop, _i);
    bool done = rondo_future_done(future);
    ck_assert(rondo_future_cancel(future) == !done);
    run_until(loop, rondo_future_done(future));
    if (done)
        rondo_transport_abort(conn.transport);
    run_until(loop, peer_descriptors() == descriptors && conn.made == conn.losts);
    rondo_future_unref(future);
    peer_close(listener);
    net_conn_end(&conn);
    unix_folder_remove(&folder);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_credentials)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 }, other = { 0 };
    rondo_credentials peer = { .pid = 77, .uid = 77, .gid = 77 };
    rondo_socket sock = net_open_tcp(loop, &other);
    ck_assert_int_eq(rondo_transport_peer_credentials(other.transport, &peer), RONDO_ENOTCONN);
    ck_assert_int_eq(rondo_transport_peer_credentials(NULL, &peer), RONDO_EINVAL);
    ck_assert_int_eq(rondo_transport_peer_credentials(other.transport, NULL), RONDO_EINVAL);
    ck_assert(peer.pid == 77 && peer.uid == 77 && peer.gid == 77);
    peer_close(sock);
    net_done(loop, &other);
    sock = net_open(loop, &conn);
    ck_assert_int_eq(rondo_transport_peer_credentials(conn.transport, &peer), 0);
    ck_assert(peer.pid == (int64_t) getpid() || peer.pid == -1);
    ck_assert_uint_eq(peer.uid, geteuid());
    ck_assert_uint_eq(peer.gid, getegid());
    peer_close(sock);
    run_until(loop, conn.losts == 1);
    ck_assert_int_eq(rondo_transport_peer_credentials(conn.transport, &peer), RONDO_ENOTCONN);
    net_conn_end(&conn);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "create_unix_connection");
    tcase_add_test(tcase, test_path);
    tcase_add_test(tcase, test_bytes);
    tcase_add_test(tcase, test_abstract);
    tcase_add_test(tcase, test_sock);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_bad_paths);
    tcase_add_test(tcase, test_nobody);
    tcase_add_test(tcase, test_no_permission);
    tcase_add_test(tcase, test_full_queue);
    tcase_add_loop_test(tcase, test_full_queue_cancelled, 0, 4);
    tcase_add_loop_test(tcase, test_cancelled, 0, 5);
    tcase_add_test(tcase, test_credentials);
}

int main(void)
{
    return support_main("create_unix_connection", add_cases);
}
