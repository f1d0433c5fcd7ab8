/* SPDX-License-Identifier: MIT */
/* create_datagram_endpoint: what is looked up, pairs of addresses, IPv6, and the Unix family. */
#define _GNU_SOURCE
#include "dgram.h"
#include "resolver.h"
#include "unix_peer.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(test_query)
{
    rondo_loop *loop = dgram_loop();
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", 0, 0 } }, .count = 1 },
                                        { .error = RONDO_EAI_NONAME } },
                           .answer_count = 2 };
    fake_resolver_install(loop, &fake);
    rondo_datagram_options options = dgram_local(0);
    options.local_host = "here.test";
    options.remote_host = "there.test";
    options.remote_port = 4711;
    options.proto = IPPROTO_UDP;
    options.flags = AI_ADDRCONFIG;
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EAI_NONAME);
    /* DGE-02: local, then remote, with the type datagram and what was given */
    trace_is("resolve:here.test resolve:there.test");
    ck_assert_uint_eq(fake.asked, 2);
    ck_assert_str_eq(fake.lookups[1].service, "4711");
    ck_assert_int_eq(fake.lookups[1].type, SOCK_DGRAM);
    ck_assert_int_eq(fake.lookups[1].proto, IPPROTO_UDP);
    ck_assert_int_eq(fake.lookups[1].flags, AI_ADDRCONFIG);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EAI_NONAME); /* of the local one now */
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
    rondo_datagram_options options = dgram_local(0);
    options.local_host = "nowhere.test";
    /* DGE-02: an empty answer is an OSError */
    ck_assert_int_eq(rondo_err_class(dgram_error(loop, &options)), RONDO_CLASS_OS);
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
    rondo_datagram_options options = dgram_local(0);
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
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EINVAL); /* DGE-04: nothing fits */
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
    rondo_datagram_options options = dgram_local(0);
    options.proto = IPPROTO_TCP; /* as in asyncio the type decides */
    ck_assert_int_eq(dgram_error(loop, &options), 0);
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
    rondo_datagram_options options = dgram_local(0);
    options.local_host = "here.test";
    size_t descriptors = peer_descriptors();
    dgram self = { 0 };
    dgram_open(loop, &self, &options); /* DGE-05: the second one */
    ck_assert_uint_eq(peer_descriptors(), descriptors + 1);
    dgram_done(loop, &self);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EADDRINUSE); /* DGE-05: the first error */
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

/* --- the Unix family --------------------------------------------------------------------------------------------- */

static void talk_over(rondo_loop *loop, const char *server_path, const char *client_path)
{
    dgram server = { .echo = true }, client = { 0 };
    rondo_datagram_options options = dgram_paths(server_path, NULL);
    dgram_open(loop, &server, &options);
    options = dgram_paths(client_path, server_path);
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
    rondo_datagram_options options = dgram_paths(folder.path, NULL);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_EADDRINUSE); /* DGE-11: what is no socket stays */
    struct stat status;
    ck_assert_int_eq(stat(folder.path, &status), 0);
    unix_folder_remove(&folder);
    options = dgram_paths(NULL, folder.path);
    ck_assert_int_eq(dgram_error(loop, &options), RONDO_ENOENT);
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
    options = dgram_paths(NULL, NULL);
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

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "addresses");
    tcase_add_test(tcase, test_query);
    tcase_add_test(tcase, test_no_answer);
    tcase_add_test(tcase, test_pairs);
    tcase_add_test(tcase, test_number_and_name);
    tcase_add_test(tcase, test_next_pair);
    tcase_add_test(tcase, test_ipv6);

    tcase = support_case(suite, "unix");
    tcase_add_test(tcase, test_paths);
    tcase_add_test(tcase, test_path_in_use);
    tcase_add_test(tcase, test_abstract);
}

int main(void)
{
    return support_main("datagram_addresses", add_cases);
}
