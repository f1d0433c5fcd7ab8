/* SPDX-License-Identifier: MIT */
/* create_connection: resolving, several addresses, their errors, local addresses, happy eyeballs. */
#define _GNU_SOURCE
#include "peer.h"
#include "resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int connect_with(rondo_loop *loop, net_conn *conn, const rondo_connection_options *options)
{
    return net_finish(loop, rondo_create_connection(loop, net_factory, conn, options), NULL);
}

/* socket.gaierror is an OSError in Python. */
static bool is_os_error(int rc)
{
    return rondo_err_class(rc) == RONDO_CLASS_OS || rondo_err_class(rc) == RONDO_CLASS_RESOLVER;
}

static int peer_port_of(const net_conn *conn)
{
    rondo_address address;
    ck_assert_int_eq(rondo_transport_peername(conn->transport, &address), 0);
    return rondo_address_port(&address);
}

/* --- resolving ------------------------------------------------------------------------------ */

START_TEST(test_query)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = { .answers = { { .error = RONDO_EAI_NONAME } }, .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    net_conn conn = { 0 };
    rondo_connection_options options = net_to("example.test", 4711);
    options.family = AF_INET;
    options.proto = IPPROTO_TCP;
    options.flags = AI_ADDRCONFIG;
    /* CON-10: the resolver's errors pass through */
    ck_assert_int_eq(connect_with(loop, &conn, &options), RONDO_EAI_NONAME);
    /* CON-08, DNS-06: family, proto, flags and the type stream go to the loop's resolver */
    ck_assert_uint_eq(fake.asked, 1);
    ck_assert_str_eq(fake.lookups[0].host, "example.test");
    ck_assert_str_eq(fake.lookups[0].service, "4711");
    ck_assert_int_eq(fake.lookups[0].family, AF_INET);
    ck_assert_int_eq(fake.lookups[0].type, SOCK_STREAM);
    ck_assert_int_eq(fake.lookups[0].proto, IPPROTO_TCP);
    ck_assert_int_eq(fake.lookups[0].flags, AI_ADDRCONFIG);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_numbers_skip_the_resolver)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = { 0 };
    net_conn conn = { 0 }, second = { 0 };
    int port;
    char service[8];
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("127.0.0.1", port);
    /* CON-09: a number and a number */
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    /* CON-09: a number and a number as text */
    snprintf(service, sizeof service, "%d", port);
    options.port = RONDO_NO_PORT;
    options.service = service;
    ck_assert_int_eq(connect_with(loop, &second, &options), 0);
    /* CON-09: no port means 0, where nobody can listen */
    options = net_to("127.0.0.1", RONDO_NO_PORT);
    ck_assert_int_eq(rondo_err_class(connect_with(loop, &conn, &options)), RONDO_CLASS_OS);
    ck_assert_uint_eq(fake.asked, 0);
    peer_close(listener);
    net_done(loop, &conn);
    net_done(loop, &second);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_names_do_not_skip_it)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = { 0 };
    net_conn conn = { 0 };
    fake_resolver_install(loop, &fake);
    /* CON-09: a service name */
    rondo_connection_options options = net_to("127.0.0.1", RONDO_NO_PORT);
    options.service = "http";
    ck_assert_int_eq(connect_with(loop, &conn, &options), RONDO_EAI_NONAME);
    ck_assert_uint_eq(fake.asked, 1);
    ck_assert_str_eq(fake.lookups[0].service, "http");
    /* CON-09: a zone */
    options = net_to("fe80::1%lo", 80);
    ck_assert_int_eq(connect_with(loop, &conn, &options), RONDO_EAI_NONAME);
    ck_assert_uint_eq(fake.asked, 2);
    ck_assert_str_eq(fake.lookups[1].host, "fe80::1%lo");
    /* a number that is none */
    options = net_to("127.0.0.256", 80);
    ck_assert_int_eq(connect_with(loop, &conn, &options), RONDO_EAI_NONAME);
    ck_assert_uint_eq(fake.asked, 3);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_system_resolver)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_connection_options options = net_to("localhost", port);
    options.family = AF_INET;
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    /* CON-10: and its errors: AI_NUMERICHOST keeps it from asking anybody */
    options = net_to("no number", port);
    options.flags = AI_NUMERICHOST;
    int rc = connect_with(loop, &conn, &options);
    ck_assert_int_eq(rondo_err_class(rc), RONDO_CLASS_RESOLVER);
    ck_assert_int_eq(rc, RONDO_EAI_NONAME);
    peer_close(listener);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_empty_answer)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = {
        .answers = { { .count = 0 }, { .addresses = { { "127.0.0.1", 9, 0 } }, .count = 1 }, { .count = 0 } },
        .answer_count = 3
    };
    net_conn conn = { 0 };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("empty.test", 80);
    /* CON-10: an empty answer for the host */
    ck_assert(is_os_error(connect_with(loop, &conn, &options)));
    ck_assert_uint_eq(fake.asked, 1);
    /* CON-10: and for local_addr */
    options.local_host = "empty.test";
    options.local_port = 0;
    ck_assert(is_os_error(connect_with(loop, &conn, &options)));
    ck_assert_uint_eq(fake.asked, 3);
    ck_assert_int_eq(conn.made, 0);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_refusing_resolver)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = { .answers = { { .refuse = true } }, .answer_count = 1 };
    net_conn conn = { 0 };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", 80);
    /* CON-10: a resolver that cannot even begin */
    ck_assert_int_eq(connect_with(loop, &conn, &options), RONDO_EUSER);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

/* --- several addresses ---------------------------------------------------------------------- */

START_TEST(test_one_after_another)
{
    size_t descriptors = peer_descriptors();
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int refused, good, never;
    rondo_socket bound = peer_bound("127.0.0.1", &refused);
    rondo_socket listener = peer_listen("127.0.0.1", 5, &good), other = peer_listen("127.0.0.1", 5, &never);
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", refused, 0 },
                                                         { "127.0.0.2", refused, 0 },
                                                         { "127.0.0.1", good, 0 },
                                                         { "127.0.0.1", never, 0 } },
                                          .count = 4 } },
                           .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", 80);
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    /* CON-11: in the order of the resolver until one connects */
    ck_assert_int_eq(peer_port_of(&conn), good);
    ck_assert(!peer_has_connection(other));
    /* CON-11: the sockets of the failed attempts are closed */
    support_run_passes(loop, 3);
    rondo_transport_abort(conn.transport);
    run_until(loop, conn.losts == 1);
    peer_close(bound);
    peer_close(listener);
    peer_close(other);
    net_done(loop, &conn);
    fake_resolver_end(&fake);
    support_loop_end(loop);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
}
END_TEST

START_TEST(test_all_fail_alike)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int refused;
    rondo_socket bound = peer_bound("127.0.0.1", &refused);
    fake_resolver fake = {
        .answers = { { .addresses = { { "127.0.0.1", refused, 0 }, { "127.0.0.1", refused, 0 } },
                       .count = 2 } },
        .answer_count = 1
    };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", 80);
    /* CON-12: several with equal text: the first */
    ck_assert_int_eq(connect_with(loop, &conn, &options), RONDO_ECONNREFUSED);
    peer_close(bound);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_all_fail_differently)
{
    size_t descriptors = peer_descriptors();
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int refused;
    rondo_socket bound = peer_bound("127.0.0.1", &refused);
    /* a refused connect, a family that no kernel has, and a connect to an address that is nobody's */
    fake_resolver fake = {
        .answers = { { .addresses = { { "127.0.0.1", refused, 0 }, { "127.0.0.1", 9, 250 } }, .count = 2 } },
        .answer_count = 1
    };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", 80);
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    const char *text = NULL;
    run_until(loop, rondo_future_done(future));
    /* CON-12: several different: one error whose text lists all of them in order */
    ck_assert_int_eq(rondo_future_error(future, &text), RONDO_EOS);
    const char *first = strstr(text, rondo_strerror(RONDO_ECONNREFUSED));
    const char *second = strstr(text, rondo_strerror(RONDO_EAFNOSUPPORT));
    ck_assert_msg(first && second && first < second, "the text is: %s", text);
    ck_assert_int_eq(conn.made, 0);
    rondo_future_unref(future);
    peer_close(bound);
    fake_resolver_end(&fake);
    support_loop_end(loop);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
}
END_TEST

/* --- local addresses ------------------------------------------------------------------------ */

START_TEST(test_local_address)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port;
    char host[64];
    rondo_address address;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_connection_options options = net_to("127.0.0.1", port);
    options.local_host = "127.0.0.3";
    options.local_port = 0;
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    /* CON-14 */
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &address), 0);
    rondo_address_host(&address, host, sizeof host);
    ck_assert_str_eq(host, "127.0.0.3");
    peer_close(listener);
    net_done(loop, &conn);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_local_address_resolved)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port, used;
    char host[64];
    rondo_address address;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_socket bound = peer_bound("127.0.0.1", &used);
    fake_resolver fake = {
        .answers = { { .addresses = { { "127.0.0.1", port, 0 } }, .count = 1 },
                     { .addresses = { { "::1", 0, 0 }, { "127.0.0.1", used, 0 }, { "127.0.0.4", 0, 0 } },
                       .count = 3 } },
        .answer_count = 2
    };
    fake_resolver_install(loop, &fake);
    trace_clear();
    rondo_connection_options options = net_to("far.test", port);
    options.local_host = "near.test";
    options.local_port = 0;
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    /* CON-14: resolved like the host; those of the other family are passed over, then each is tried */
    trace_is("resolve:far.test resolve:near.test");
    ck_assert_int_eq(rondo_transport_sockname(conn.transport, &address), 0);
    rondo_address_host(&address, host, sizeof host);
    ck_assert_str_eq(host, "127.0.0.4");
    peer_close(bound);
    peer_close(listener);
    net_done(loop, &conn);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_local_address_in_use)
{
    size_t descriptors = peer_descriptors();
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port, used;
    const char *text = NULL;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_socket bound = peer_bound("127.0.0.1", &used);
    rondo_connection_options options = net_to("127.0.0.1", port);
    options.local_host = "127.0.0.1";
    options.local_port = used;
    rondo_future *future = rondo_create_connection(loop, net_factory, &conn, &options);
    run_until(loop, rondo_future_done(future));
    /* CON-14: keeps its error and names the address */
    ck_assert_int_eq(rondo_future_error(future, &text), RONDO_EADDRINUSE);
    ck_assert_msg(strstr(text, "127.0.0.1") != NULL, "the text is: %s", text);
    rondo_future_unref(future);
    peer_close(bound);
    peer_close(listener);
    support_loop_end(loop);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
}
END_TEST

START_TEST(test_local_address_of_other_family)
{
    size_t descriptors = peer_descriptors();
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 5, &port);
    rondo_connection_options options = net_to("127.0.0.1", port);
    options.local_host = "::1";
    options.local_port = 0;
    /* CON-14: no local address of that family is an error of the system's class */
    ck_assert_int_eq(rondo_err_class(connect_with(loop, &conn, &options)), RONDO_CLASS_OS);
    ck_assert(!peer_has_connection(listener));
    peer_close(listener);
    support_loop_end(loop);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
}
END_TEST

/* --- happy eyeballs ------------------------------------------------------------------------- */

START_TEST(test_eyeballs_hanging)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    enum { MANY = 64 };
    rondo_socket fillers[MANY];
    int hanging, good;
    rondo_socket full = peer_listen("127.0.0.1", 0, &hanging);
    rondo_socket listener = peer_listen("127.0.0.1", 5, &good);
    size_t count = peer_fill_backlog("127.0.0.1", hanging, fillers, MANY);
    fake_resolver fake = {
        .answers = { { .addresses = { { "127.0.0.1", hanging, 0 }, { "127.0.0.1", good, 0 } }, .count = 2 } },
        .answer_count = 1
    };
    fake_resolver_install(loop, &fake);
    size_t descriptors = peer_descriptors();
    rondo_connection_options options = net_to("example.test", 80);
    options.happy_eyeballs_delay = RONDO_MS(30);
    rondo_ns begun = rondo_loop_time(loop);
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    /* CON-22: the next one starts when the delay has passed, not before */
    ck_assert_int_eq(peer_port_of(&conn), good);
    ck_assert_int_ge(rondo_loop_time(loop) - begun, RONDO_MS(30));
    /* CON-22: the first success cancels and closes the others */
    run_until(loop, peer_descriptors() == descriptors + 1);
    for (size_t i = 0; i < count; i++)
        peer_close(fillers[i]);
    peer_close(full);
    peer_close(listener);
    net_done(loop, &conn);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_eyeballs_failing)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int refused, good;
    rondo_socket bound = peer_bound("127.0.0.1", &refused);
    rondo_socket listener = peer_listen("127.0.0.1", 5, &good);
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", refused, 0 },
                                                         { "127.0.0.2", refused, 0 },
                                                         { "127.0.0.1", good, 0 } },
                                          .count = 3 } },
                           .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", 80);
    options.happy_eyeballs_delay = RONDO_S(3600);
    /* CON-22: a failure starts the next one at once */
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    ck_assert_int_eq(peer_port_of(&conn), good);
    peer_close(bound);
    peer_close(listener);
    net_done(loop, &conn);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_eyeballs_all_fail)
{
    size_t descriptors = peer_descriptors();
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int refused;
    rondo_socket bound = peer_bound("127.0.0.1", &refused);
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", refused, 0 },
                                                         { "127.0.0.1", refused, 0 },
                                                         { "127.0.0.1", refused, 0 } },
                                          .count = 3 } },
                           .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", 80);
    options.happy_eyeballs_delay = RONDO_MS(1);
    /* CON-22, CON-12 */
    ck_assert_int_eq(connect_with(loop, &conn, &options), RONDO_ECONNREFUSED);
    peer_close(bound);
    fake_resolver_end(&fake);
    support_loop_end(loop);
    ck_assert_uint_eq(peer_descriptors(), descriptors);
}
END_TEST

/* Two IPv4 addresses and one IPv6 address: where do the attempts go first? */
static int first_of_two_families(rondo_ns delay, int interleave)
{
    rondo_loop *loop = support_loop();
    net_conn conn = { 0 };
    int refused, four, six;
    rondo_socket bound = peer_bound("127.0.0.1", &refused);
    rondo_socket listener4 = peer_listen("127.0.0.1", 5, &four), listener6 = peer_listen("::1", 5, &six);
    fake_resolver fake = { .answers = { { .addresses = { { "127.0.0.1", refused, 0 },
                                                         { "127.0.0.1", four, 0 },
                                                         { "::1", six, 0 } },
                                          .count = 3 } },
                           .answer_count = 1 };
    fake_resolver_install(loop, &fake);
    rondo_connection_options options = net_to("example.test", 80);
    options.happy_eyeballs_delay = delay;
    options.interleave = interleave;
    ck_assert_int_eq(connect_with(loop, &conn, &options), 0);
    rondo_address address;
    ck_assert_int_eq(rondo_transport_peername(conn.transport, &address), 0);
    int family = rondo_address_family(&address);
    peer_close(bound);
    peer_close(listener4);
    peer_close(listener6);
    net_done(loop, &conn);
    fake_resolver_end(&fake);
    support_loop_end(loop);
    return family;
}

START_TEST(test_interleave)
{
    if (!peer_has_ipv6())
        return;
    /* CON-22: not given: strictly as resolved */
    ck_assert_int_eq(first_of_two_families(0, 0), AF_INET);
    /* CON-22: with a delay the families take turns */
    ck_assert_int_eq(first_of_two_families(RONDO_S(3600), 0), AF_INET6);
    /* CON-22: two of the first family, then the other */
    ck_assert_int_eq(first_of_two_families(RONDO_S(3600), 2), AF_INET);
    /* CON-22: interleave alone orders the addresses, too */
    ck_assert_int_eq(first_of_two_families(0, 1), AF_INET6);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *resolving = support_case(suite, "resolving");
    tcase_add_test(resolving, test_query);
    tcase_add_test(resolving, test_numbers_skip_the_resolver);
    tcase_add_test(resolving, test_names_do_not_skip_it);
    tcase_add_test(resolving, test_system_resolver);
    tcase_add_test(resolving, test_empty_answer);
    tcase_add_test(resolving, test_refusing_resolver);

    TCase *several = support_case(suite, "several addresses");
    tcase_add_test(several, test_one_after_another);
    tcase_add_test(several, test_all_fail_alike);
    tcase_add_test(several, test_all_fail_differently);

    TCase *local = support_case(suite, "local addresses");
    tcase_add_test(local, test_local_address);
    tcase_add_test(local, test_local_address_resolved);
    tcase_add_test(local, test_local_address_in_use);
    tcase_add_test(local, test_local_address_of_other_family);

    TCase *eyeballs = support_case(suite, "happy eyeballs");
    tcase_add_test(eyeballs, test_eyeballs_hanging);
    tcase_add_test(eyeballs, test_eyeballs_failing);
    tcase_add_test(eyeballs, test_eyeballs_all_fail);
    tcase_add_test(eyeballs, test_interleave);
}

int main(void)
{
    return support_main("connection addresses", add_cases);
}
