/* SPDX-License-Identifier: MIT */
/* create_datagram_endpoint: arguments, addresses and their pairs, options of sockets, Unix paths, failures. */
#define _GNU_SOURCE
#include "dgram.h"
#include "resolver.h"
#include "unix_peer.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static rondo_datagram_options local_port(int port)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_host = "127.0.0.1";
    options.local_port = port;
    return options;
}

static rondo_datagram_options path_pair(const char *local, const char *remote)
{
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_path = local;
    options.remote_path = remote;
    return options;
}

/* The error of the future; or of the call itself. */
static int error_of(rondo_loop *loop, const rondo_datagram_options *options)
{
    dgram self = { 0 };
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, options);
    int rc = future ? net_finish(loop, future, NULL) : rondo_last_error();
    if (rc == 0)
        dgram_done(loop, &self);
    return rc;
}

/* --- making -------------------------------------------------------------------------------------------- */

static void send_to_itself(dgram *self)
{
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self->transport, &address), 0);
    dgram_say(self, "x", &address);
}

static int make_in_task(void *context)
{
    dgram *self = context;
    rondo_datagram_options options = local_port(0);
    rondo_transport *transport = NULL;
    rondo_protocol *protocol = NULL;
    int rc = rondo_await_connection(
        rondo_create_datagram_endpoint(rondo_loop_running(), dgram_factory, self, &options), &transport,
        &protocol);
    trace("returned");
    ck_assert_ptr_eq(rondo_protocol_transport(protocol), transport);
    ck_assert_ptr_eq(transport, self->transport);
    ck_assert_ptr_eq(rondo_transport_loop(transport), rondo_loop_running());
    return rc;
}

START_TEST(test_order)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .name = "a", .on_made = send_to_itself };
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, make_in_task, &self), NULL), 0);
    run_until(loop, self.count == 1);
    /* DGE-01: connection_made, the return, the first datagram */
    trace_is("a.made returned a.got:x");
    dgram_done(loop, &self);
    trace_is("a.lost:0");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_not_here)
{
    rondo_loop *loop = support_loop();
    rondo_datagram_options options = local_port(0);
    dgram self = { 0 };
    bool can = (rondo_loop_capabilities(loop) & RONDO_CAN_DATAGRAMS) != 0;
    ck_assert_int_eq(can, !support_backend_is_proactor());
    size_t descriptors = peer_descriptors();
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
    if (can) {
        ck_assert_int_eq(net_finish(loop, future, NULL), 0);
        dgram_done(loop, &self);
    } else { /* DGE-12: a proactor has none, and says so at once */
        ck_assert_ptr_null(future);
        ck_assert_int_eq(rondo_last_error(), RONDO_ENOTSUP);
        ck_assert_uint_eq(peer_descriptors(), descriptors);
    }
    support_loop_end(loop);
    loop = dgram_loop(); /* but where it was asked to go beyond that */
    ck_assert((rondo_loop_capabilities(loop) & RONDO_CAN_DATAGRAMS) != 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_arguments)
{
    rondo_loop *loop = dgram_loop();
    rondo_datagram_options none = RONDO_DATAGRAM_OPTIONS;
    ck_assert_int_eq(error_of(loop, &none), RONDO_EINVAL); /* DGE-03: neither address nor family */
    ck_assert_int_eq(error_of(loop, NULL), RONDO_EINVAL);
    rondo_datagram_options options = local_port(0);
    options.size = 0;
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL);
    options = local_port(65536);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL);
    options = local_port(RONDO_NO_PORT); /* DGE-02: half an address */
    ck_assert_int_eq(error_of(loop, &options), RONDO_ETYPE);
    options = none;
    options.remote_host = "127.0.0.1";
    ck_assert_int_eq(error_of(loop, &options), RONDO_ETYPE);
    options = local_port(0);
    options.remote_path = "/tmp/nothing";
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL);
    options = local_port(0);
    options.family = AF_UNIX;
    ck_assert_int_eq(error_of(loop, &options), RONDO_ETYPE);
    options = path_pair("/tmp/nothing", NULL);
    options.family = AF_INET;
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL);
    options = path_pair("", NULL);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL);
    char path[300];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    options = path_pair(path, NULL);
    ck_assert_int_eq(error_of(loop, &options), RONDO_ENAMETOOLONG);
    options = local_port(0);
    ck_assert_ptr_null(rondo_create_datagram_endpoint(loop, NULL, NULL, &options));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_create_datagram_endpoint(NULL, dgram_factory, NULL, &options));
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    ck_assert_int_eq(error_of(loop, &options), RONDO_ECLOSED);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_family_alone)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.family = AF_INET;
    dgram_open(loop, &self, &options); /* DGE-03 */
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(self.transport, &address), 0);
    ck_assert_int_eq(rondo_address_port(&address), 0);
    ck_assert_int_eq(rondo_transport_peername(self.transport, &address), RONDO_ENOTCONN);
    address = dgram_address(port);
    dgram_say(&self, "unbound", &address);
    support_run_passes(loop, 2);
    udp_expect(peer, "unbound");
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

static rondo_protocol *failing_factory(void *context)
{
    (void) context;
    rondo_raise(RONDO_EUSER, "no protocol today");
    return NULL;
}

static rondo_protocol *empty_factory(void *context)
{
    (void) context;
    return NULL;
}

START_TEST(test_factory_fails)
{
    rondo_loop *loop = dgram_loop();
    rondo_datagram_options options = local_port(0);
    size_t descriptors = peer_descriptors();
    ck_assert_int_eq(
        net_finish(loop, rondo_create_datagram_endpoint(loop, failing_factory, NULL, &options), NULL),
        RONDO_EUSER);
    ck_assert_int_eq(
        net_finish(loop, rondo_create_datagram_endpoint(loop, empty_factory, NULL, &options), NULL),
        RONDO_ETYPE);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    support_loop_end(loop);
}
END_TEST

/* --- addresses ------------------------------------------------------------------------------------------ */

START_TEST(test_query)
{
    rondo_loop *loop = dgram_loop();
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", 0, 0 } }, .count = 1 },
                                        { .error = RONDO_EAI_NONAME } },
                           .answer_count = 2 };
    fake_resolver_install(loop, &fake);
    rondo_datagram_options options = local_port(0);
    options.local_host = "here.test";
    options.remote_host = "there.test";
    options.remote_port = 4711;
    options.proto = IPPROTO_UDP;
    options.flags = AI_ADDRCONFIG;
    ck_assert_int_eq(error_of(loop, &options), RONDO_EAI_NONAME);
    /* DGE-02: local, then remote, with the type datagram and what was given */
    trace_is("resolve:here.test resolve:there.test");
    ck_assert_uint_eq(fake.asked, 2);
    ck_assert_str_eq(fake.lookups[1].service, "4711");
    ck_assert_int_eq(fake.lookups[1].type, SOCK_DGRAM);
    ck_assert_int_eq(fake.lookups[1].proto, IPPROTO_UDP);
    ck_assert_int_eq(fake.lookups[1].flags, AI_ADDRCONFIG);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EAI_NONAME); /* of the local one now */
    trace_is("resolve:here.test");
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_no_answer)
{
    rondo_loop *loop = dgram_loop();
    fake_resolver fake = { .answers = { { .count = 0 } }, .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    rondo_datagram_options options = local_port(0);
    options.local_host = "nowhere.test";
    /* DGE-02: an empty answer is an OSError */
    ck_assert_int_eq(rondo_err_class(error_of(loop, &options)), RONDO_CLASS_OS);
    fake_resolver_end(&fake);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

START_TEST(test_pairs)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    fake_resolver fake = {
        .answers = { { .addresses = { { "::1", 0, 0 }, { "127.0.0.2", 0, 0 }, { "127.0.0.1", 0, 0 } },
                       .count = 3 },
                     { .addresses = { { "127.0.0.1", port, 0 } }, .count = 1 },
                     { .addresses = { { "::1", 0, 0 } }, .count = 1 },
                     { .addresses = { { "127.0.0.1", port, 0 } }, .count = 1 } },
        .answer_count = 4
    };
    fake_resolver_install(loop, &fake);
    rondo_datagram_options options = local_port(0);
    options.local_host = "here.test";
    options.remote_host = "there.test";
    options.remote_port = port;
    dgram self = { 0 };
    /* DGE-04: what lacks a side is dropped; a later answer of the same kind replaces an earlier one */
    dgram_open(loop, &self, &options);
    rondo_address address;
    char host[64];
    ck_assert_int_eq(rondo_transport_sockname(self.transport, &address), 0);
    rondo_address_host(&address, host, sizeof host);
    ck_assert_str_eq(host, "127.0.0.1");
    ck_assert_int_eq(rondo_transport_peername(self.transport, &address), 0);
    ck_assert_int_eq(rondo_address_port(&address), port);
    dgram_done(loop, &self);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL); /* DGE-04: nothing fits */
    fake_resolver_end(&fake);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_number_and_name)
{
    rondo_loop *loop = dgram_loop();
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    for (int i = 0; i < 2; i++) {
        rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
        options.local_host = i ? "127.0.0.1" : "localhost";
        options.local_port = 0;
        options.remote_host = i ? "localhost" : "127.0.0.1";
        options.remote_port = port;
        options.family = AF_INET;
        dgram self = { 0 };
        /* DGE-04: an address that needs no lookup has the protocol that a lookup gives */
        dgram_open(loop, &self, &options);
        dgram_say(&self, "here", NULL);
        run_until(loop, rondo_transport_get_write_buffer_size(self.transport) == 0);
        support_run_passes(loop, 2);
        udp_expect(peer, "here");
        dgram_done(loop, &self);
    }
    rondo_datagram_options options = local_port(0);
    options.proto = IPPROTO_TCP; /* as in asyncio the type decides */
    ck_assert_int_eq(error_of(loop, &options), 0);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_next_pair)
{
    rondo_loop *loop = dgram_loop();
    int taken;
    rondo_socket peer = udp_open("127.0.0.1", &taken);
    fake_address busy = { "127.0.0.1", taken, 0 };
    fake_address wrong = { "127.0.0.1", 0, AF_INET6 }; /* cannot be bound: the family is a lie */
    fake_resolver fake = { .answers = { { .addresses = { wrong, { "127.0.0.1", 0, 0 } }, .count = 2 },
                                        { .addresses = { busy, wrong }, .count = 2 } },
                           .answer_count = 2 };
    fake_resolver_install(loop, &fake);
    rondo_datagram_options options = local_port(0);
    options.local_host = "here.test";
    size_t descriptors = peer_descriptors();
    dgram self = { 0 };
    dgram_open(loop, &self, &options); /* DGE-05: the second one */
    ck_assert_uint_eq(peer_descriptors(), descriptors + 1);
    dgram_done(loop, &self);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EADDRINUSE); /* DGE-05: the first error */
    ck_assert_uint_eq(peer_descriptors(), descriptors);
    fake_resolver_end(&fake);
    trace_clear();
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_ipv6)
{
    if (!peer_has_ipv6())
        return;
    rondo_loop *loop = dgram_loop();
    dgram self = { .echo = true };
    int own, port = dgram_bind(loop, &self, "::1");
    rondo_socket peer = udp_open("::1", &own);
    rondo_address to;
    ck_assert_int_eq(rondo_address_from_numeric(&to, "::1", port), 0);
    ck_assert_int_eq(sendto(peer, "six", 3, 0, rondo_address_sockaddr(&to), to.length), 3);
    run_until(loop, self.count == 1);
    support_run_passes(loop, 2);
    udp_expect(peer, "six");
    ck_assert_int_eq(rondo_address_port(&self.sender), own);
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* --- options of the socket --------------------------------------------------------------------------------- */

START_TEST(test_no_options)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port = dgram_bind(loop, &self, "127.0.0.1");
    rondo_socket sock = rondo_transport_socket(self.transport);
    /* DGE-09, DGE-10: nothing that was not asked for */
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_REUSEADDR), 0);
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_REUSEPORT), 0);
    ck_assert_int_eq(peer_option(sock, SOL_SOCKET, SO_BROADCAST), 0);
    ck_assert(peer_is_nonblocking(sock));
    ck_assert_ptr_nonnull(rondo_transport_get_extra_info(self.transport, "socket", NULL));
    ck_assert_ptr_nonnull(rondo_transport_get_extra_info(self.transport, "sockname", NULL));
    ck_assert_ptr_null(rondo_transport_get_extra_info(self.transport, "peername", NULL));
    rondo_datagram_options options = local_port(port);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EADDRINUSE);
    dgram_done(loop, &self);
    ck_assert_int_eq(error_of(loop, &options), 0); /* the port is free as soon as connection_lost has come */
    options.reuse_address = true;
    ck_assert_int_eq(error_of(loop, &options), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_reuse)
{
    rondo_loop *loop = dgram_loop();
    dgram first = { 0 }, second = { 0 };
    rondo_datagram_options options = local_port(0);
    options.reuse_port = true;
    dgram_open(loop, &first, &options); /* DGE-08 */
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(first.transport, &address), 0);
    options.local_port = rondo_address_port(&address);
    dgram_open(loop, &second, &options);
    ck_assert_int_eq(peer_option(rondo_transport_socket(first.transport), SOL_SOCKET, SO_REUSEPORT), 1);
    ck_assert_int_eq(peer_option(rondo_transport_socket(first.transport), SOL_SOCKET, SO_REUSEADDR), 0);
    dgram_done(loop, &second);
    dgram_done(loop, &first);
    options = local_port(0);
    options.reuse_address = true; /* DGE-09: when asked */
    dgram third = { 0 };
    dgram_open(loop, &third, &options);
    ck_assert_int_eq(peer_option(rondo_transport_socket(third.transport), SOL_SOCKET, SO_REUSEADDR), 1);
    dgram_done(loop, &third);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_broadcast)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    int port;
    rondo_socket peer = udp_open("127.0.0.1", &port);
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.remote_host = "127.0.0.1";
    options.remote_port = port;
    options.allow_broadcast = true;
    dgram_open(loop, &self, &options);
    rondo_address address = dgram_address(port);
    /* DGE-07: not connected, the default target */
    ck_assert_int_eq(peer_option(rondo_transport_socket(self.transport), SOL_SOCKET, SO_BROADCAST), 1);
    ck_assert_int_eq(rondo_transport_peername(self.transport, &(rondo_address){ 0 }), RONDO_ENOTCONN);
    dgram_say(&self, "default", NULL);
    dgram_say(&self, "named", &address);
    support_run_passes(loop, 2);
    udp_expect(peer, "default");
    udp_expect(peer, "named");
    address = dgram_address(port == 1 ? 2 : 1);
    ck_assert_int_eq(rondo_datagram_sendto(self.transport, "x", 1, &address), RONDO_EINVAL);
    dgram_done(loop, &self);
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* --- sockets of the program ----------------------------------------------------------------------------------- */

START_TEST(test_sock)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { .echo = true };
    int port, own;
    rondo_socket peer = udp_open("127.0.0.1", &own);
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = udp_open("127.0.0.1", &port);
    rondo_socket sock = options.sock;
    dgram_open(loop, &self, &options); /* DGE-06 */
    ck_assert_int_eq(rondo_transport_socket(self.transport), sock);
    ck_assert(peer_is_nonblocking(sock));
    udp_send_text(peer, port, "hello");
    run_until(loop, self.count == 1);
    support_run_passes(loop, 2);
    udp_expect(peer, "hello");
    dgram_done(loop, &self);
    ck_assert(!peer_is_open(sock));
    peer_close(peer);
    support_loop_end(loop);
}
END_TEST

/* DGE-06: it has one owner. */
START_TEST(test_owned_sock)
{
    rondo_loop *loop = dgram_loop();
    dgram self = { 0 };
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = udp_open("127.0.0.1", NULL);
    dgram_open(loop, &self, &options);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EBUSY);
    support_run_passes(loop, 3);
    ck_assert(peer_is_open(options.sock));
    dgram_done(loop, &self);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_wrong_sock)
{
    rondo_loop *loop = dgram_loop();
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.sock = peer_unconnected(); /* DGE-06: a stream */
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL);
    ck_assert(peer_is_open(options.sock));
    peer_close(options.sock);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL); /* closed */
    options.sock = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EINVAL);
    peer_close(options.sock);
    options.sock = udp_open("127.0.0.1", NULL);
    rondo_datagram_options given[8];
    for (size_t i = 0; i < 8; i++)
        given[i] = options;
    given[0].local_port = 0;
    given[1].remote_port = 1;
    given[2].family = AF_INET;
    given[3].proto = IPPROTO_UDP;
    given[4].flags = AI_PASSIVE;
    given[5].reuse_port = true;
    given[6].allow_broadcast = true;
    given[7].local_path = "/tmp/nothing";
    for (size_t i = 0; i < 8; i++) /* DGE-06: nothing beside it */
        ck_assert_int_eq(error_of(loop, &given[i]), RONDO_EINVAL);
    ck_assert(peer_is_open(options.sock));
    peer_close(options.sock);
    support_loop_end(loop);
}
END_TEST

/* --- the Unix family ---------------------------------------------------------------------------------------------- */

static void talk_over(rondo_loop *loop, const char *server_path, const char *client_path)
{
    dgram server = { .echo = true }, client = { 0 };
    rondo_datagram_options options = path_pair(server_path, NULL);
    dgram_open(loop, &server, &options);
    options = path_pair(client_path, server_path);
    dgram_open(loop, &client, &options);
    dgram_say(&client, "over a path", NULL);
    run_until(loop, client.count == 1);
    ck_assert_uint_eq(client.length, 11);
    char text[100];
    rondo_address_host(&server.sender, text, sizeof text);
    ck_assert_str_eq(text, client_path);
    dgram_done(loop, &client);
    dgram_done(loop, &server);
}

START_TEST(test_paths)
{
    rondo_loop *loop = dgram_loop();
    unix_folder here, there;
    unix_folder_make(&here);
    unix_folder_make(&there);
    talk_over(loop, here.path, there.path);
    struct stat status;
    ck_assert_int_eq(stat(here.path, &status), 0); /* what is left is stale now */
    talk_over(loop, here.path, there.path);        /* DGE-11 */
    unix_folder_remove(&here);
    unix_folder_remove(&there);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_path_in_use)
{
    rondo_loop *loop = dgram_loop();
    unix_folder folder;
    unix_folder_make(&folder);
    int file = open(folder.path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(file, 0);
    close(file);
    rondo_datagram_options options = path_pair(folder.path, NULL);
    ck_assert_int_eq(error_of(loop, &options), RONDO_EADDRINUSE); /* DGE-11: what is no socket stays */
    struct stat status;
    ck_assert_int_eq(stat(folder.path, &status), 0);
    unix_folder_remove(&folder);
    options = path_pair(NULL, folder.path);
    ck_assert_int_eq(error_of(loop, &options), RONDO_ENOENT);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abstract)
{
    rondo_loop *loop = dgram_loop();
    char name[64];
    rondo_datagram_options options = RONDO_DATAGRAM_OPTIONS;
    options.local_path = name;
    options.local_path_length = unix_abstract_name(name, "a\0b", 3);
    dgram server = { 0 }, client = { 0 };
    dgram_open(loop, &server, &options); /* DGE-11: a name that is no file */
    rondo_address address;
    ck_assert_int_eq(rondo_transport_sockname(server.transport, &address), 0);
    options = path_pair(NULL, NULL);
    options.family = AF_UNIX;
    dgram_open(loop, &client, &options);
    dgram_say(&client, "to a name", &address);
    run_until(loop, server.count == 1);
    ck_assert_uint_eq(server.sender.length, 0); /* DGT-08: the client has none */
    dgram_done(loop, &client);
    dgram_done(loop, &server);
    support_loop_end(loop);
}
END_TEST

/* --- cancelling ------------------------------------------------------------------------------------------------------ */

START_TEST(test_cancel)
{
    rondo_loop *loop = dgram_loop();
    size_t descriptors = peer_descriptors();
    fake_resolver fake = { .answers = { { .later = true } }, .answer_count = 1 };
    rondo_datagram_options options = local_port(0);
    for (int passes = 0; passes < 4;
         passes++) { /* before it runs, behind the socket, while connection_made waits */
        dgram self = { 0 };
        rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
        for (int i = 0; i < passes; i++)
            support_run_passes(loop, 1);
        bool was_done = rondo_future_done(future);
        ck_assert_int_eq(rondo_future_cancel(future), !was_done);
        int rc = net_finish(loop, future, NULL);
        ck_assert_int_eq(rc, was_done ? 0 : RONDO_ECANCELLED);
        support_run_passes(loop, 6);
        if (was_done)
            dgram_done(loop, &self);
        else
            dgram_end(&self);
        ck_assert_uint_eq(peer_descriptors(), descriptors);
    }
    fake_resolver_install(loop, &fake);
    options.local_host = "later.test"; /* while it looks up */
    dgram self = { 0 };
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
    support_run_passes(loop, 3);
    ck_assert(rondo_future_cancel(future));
    ck_assert_int_eq(net_finish(loop, future, NULL), RONDO_ECANCELLED);
    fake_resolver_end(&fake);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

/* The loop is closed at each step of the making, and after it with a datagram that waits. */
START_TEST(test_loop_close)
{
    for (int passes = 0; passes < 6; passes++) {
        rondo_loop *loop = dgram_loop();
        dgram self = { .name = "a" };
        rondo_datagram_options options = local_port(0);
        rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &self, &options);
        for (int i = 0; i < passes; i++)
            support_run_passes(loop, 1);
        if (self.made)
            send_to_itself(&self);
        ck_assert_int_eq(rondo_loop_close(loop), 0);
        ck_assert_int_eq(self.losts, self.made);
        if (self.made)
            ck_assert_int_eq(self.lost, RONDO_ECLOSED);
        rondo_future_unref(future);
        rondo_transport_unref(self.transport);
        trace_clear();
        support_loop_end(loop);
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "making");
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_not_here);
    tcase_add_test(tcase, test_arguments);
    tcase_add_test(tcase, test_family_alone);
    tcase_add_test(tcase, test_factory_fails);
    tcase_add_test(tcase, test_cancel);
    tcase_add_test(tcase, test_loop_close);

    tcase = support_case(suite, "addresses");
    tcase_add_test(tcase, test_query);
    tcase_add_test(tcase, test_no_answer);
    tcase_add_test(tcase, test_pairs);
    tcase_add_test(tcase, test_number_and_name);
    tcase_add_test(tcase, test_next_pair);
    tcase_add_test(tcase, test_ipv6);

    tcase = support_case(suite, "options");
    tcase_add_test(tcase, test_no_options);
    tcase_add_test(tcase, test_reuse);
    tcase_add_test(tcase, test_broadcast);
    tcase_add_test(tcase, test_sock);
    tcase_add_test(tcase, test_owned_sock);
    tcase_add_test(tcase, test_wrong_sock);

    tcase = support_case(suite, "unix");
    tcase_add_test(tcase, test_paths);
    tcase_add_test(tcase, test_path_in_use);
    tcase_add_test(tcase, test_abstract);
}

int main(void)
{
    return support_main("datagram", add_cases);
}
