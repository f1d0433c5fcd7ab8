/* SPDX-License-Identifier: MIT */
/* getaddrinfo and getnameinfo without blocking, and the resolver in front of them. */
#define _GNU_SOURCE
#include "peer.h"
#include "resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct lookup {
    rondo_future *future;
    rondo_addrinfo *info;
    rondo_nameinfo name;
};

static int wait_addrinfo(void *context)
{
    struct lookup *lookup = context;
    return rondo_await_addrinfo(lookup->future, &lookup->info);
}

static int wait_nameinfo(void *context)
{
    struct lookup *lookup = context;
    return rondo_await_nameinfo(lookup->future, &lookup->name);
}

static rondo_addrinfo_query query_of(const char *host, const char *service)
{
    rondo_addrinfo_query query = { .size = sizeof query, .host = host, .service = service };
    return query;
}

/* Our answer and the system's: the same list in the same order, or the same error. */
static void same_as_system(rondo_loop *loop, const rondo_addrinfo_query *query)
{
    struct addrinfo hints = { .ai_family = query->family,
                              .ai_socktype = query->type,
                              .ai_protocol = query->proto,
                              .ai_flags = query->flags };
    struct addrinfo *list = NULL;
    int expected = getaddrinfo(query->host, query->service, &hints, &list);
    struct lookup lookup = { .future = rondo_getaddrinfo(loop, query) };
    ck_assert_ptr_nonnull(lookup.future);
    int rc = net_finish(loop, rondo_create_task(loop, wait_addrinfo, &lookup), NULL);
    if (expected != 0) {
        ck_assert_int_eq(rondo_err_class(rc), RONDO_CLASS_RESOLVER);
        if (expected == EAI_NONAME)
            ck_assert_int_eq(rc, RONDO_EAI_NONAME);
        if (expected == EAI_SERVICE)
            ck_assert_int_eq(rc, RONDO_EAI_SERVICE);
        if (expected == EAI_SOCKTYPE)
            ck_assert_int_eq(rc, RONDO_EAI_SOCKTYPE);
        if (expected == EAI_FAMILY)
            ck_assert_int_eq(rc, RONDO_EAI_FAMILY);
        if (expected == EAI_BADFLAGS)
            ck_assert_int_eq(rc, RONDO_EAI_BADFLAGS);
        return;
    }
    ck_assert_int_eq(rc, 0);
    size_t i = 0;
    for (struct addrinfo *one = list; one; one = one->ai_next, i++) {
        rondo_address address;
        ck_assert_uint_lt(i, lookup.info->count);
        const rondo_addrinfo_entry *entry = &lookup.info->entries[i];
        ck_assert_int_eq(rondo_address_from_sockaddr(&address, one->ai_addr, one->ai_addrlen), 0);
        ck_assert(rondo_address_equal(&address, &entry->address));
        ck_assert_int_eq(entry->family, one->ai_family);
        ck_assert_int_eq(entry->type, one->ai_socktype);
        ck_assert_int_eq(entry->proto, one->ai_protocol);
    }
    ck_assert_uint_eq(i, lookup.info->count);
    if (list->ai_canonname)
        ck_assert_str_eq(lookup.info->canonical_name, list->ai_canonname);
    else
        ck_assert_ptr_null(lookup.info->canonical_name);
    rondo_addrinfo_free(lookup.info);
    freeaddrinfo(list);
}

START_TEST(test_getaddrinfo)
{
    rondo_loop *loop = support_loop();
    static const char *const hosts[] = { "127.0.0.1", "::1", "localhost", "", NULL };
    static const char *const services[] = { "80", "http", "0", NULL, "no-such-service" };
    static const int types[] = { 0, SOCK_STREAM, SOCK_DGRAM };
    /* DNS-01: the same as the system call; DNS-04: host absent or empty, port a number, a name or absent */
    for (size_t h = 0; h < 5; h++)
        for (size_t s = 0; s < 5; s++)
            for (size_t t = 0; t < 3; t++) {
                rondo_addrinfo_query query = query_of(hosts[h], services[s]);
                query.type = types[t];
                if (hosts[h] && !*hosts[h]) {
                    /* an empty host is none */
                    rondo_addrinfo_query none = query_of(NULL, services[s]);
                    none.type = types[t];
                    same_as_system(loop, &none);
                    continue;
                }
                same_as_system(loop, &query);
            }
    support_loop_end(loop);
}
END_TEST

START_TEST(test_empty_host)
{
    rondo_loop *loop = support_loop();
    rondo_addrinfo_query query = query_of("", "80");
    query.type = SOCK_STREAM;
    query.flags = AI_PASSIVE;
    query.family = AF_INET;
    struct lookup lookup = { .future = rondo_getaddrinfo(loop, &query) };
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, wait_addrinfo, &lookup), NULL), 0);
    /* DNS-04: an empty host is none: with AI_PASSIVE, every interface */
    char text[64];
    ck_assert_uint_eq(lookup.info->count, 1);
    rondo_address_format(&lookup.info->entries[0].address, text, sizeof text);
    ck_assert_str_eq(text, "0.0.0.0:80");
    rondo_addrinfo_free(lookup.info);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_hints)
{
    rondo_loop *loop = support_loop();
    static const int families[] = { AF_INET, AF_INET6, 250 };
    static const int flags[] = { 0, AI_PASSIVE, AI_NUMERICHOST, AI_CANONNAME, AI_NUMERICSERV };
    /* DNS-01: family, type, proto and flags */
    for (size_t f = 0; f < 3; f++)
        for (size_t g = 0; g < 5; g++) {
            rondo_addrinfo_query query = query_of("127.0.0.1", "80");
            query.family = families[f];
            query.flags = flags[g];
            same_as_system(loop, &query);
            query.host = flags[g] & AI_NUMERICHOST ? "not a number" : "localhost";
            query.type = SOCK_STREAM;
            query.proto = IPPROTO_TCP;
            same_as_system(loop, &query);
        }
    support_loop_end(loop);
}
END_TEST

static void same_name(rondo_loop *loop, const char *host, int port, int flags)
{
    rondo_address address;
    char name[NI_MAXHOST], service[NI_MAXSERV];
    ck_assert_int_eq(rondo_address_from_numeric(&address, host, port), 0);
    int expected = getnameinfo(rondo_address_sockaddr(&address), address.length, name, sizeof name, service,
                               sizeof service, flags);
    struct lookup lookup = { .future = rondo_getnameinfo(loop, &address, flags) };
    ck_assert_ptr_nonnull(lookup.future);
    int rc = net_finish(loop, rondo_create_task(loop, wait_nameinfo, &lookup), NULL);
    if (expected == 0) {
        ck_assert_int_eq(rc, 0);
        ck_assert_str_eq(lookup.name.host, name);
        ck_assert_str_eq(lookup.name.service, service);
    } else {
        ck_assert_int_lt(rc, 0);
    }
}

START_TEST(test_getnameinfo)
{
    rondo_loop *loop = support_loop();
    /* DNS-02 */
    same_name(loop, "127.0.0.1", 80, 0);
    same_name(loop, "127.0.0.1", 80, NI_NUMERICHOST | NI_NUMERICSERV);
    same_name(loop, "127.0.0.1", 80, NI_NUMERICHOST);
    same_name(loop, "127.0.0.1", 53, NI_NUMERICHOST | NI_DGRAM);
    same_name(loop, "::1", 80, NI_NUMERICHOST);
    same_name(loop, "192.0.2.1", 80, NI_NUMERICHOST | NI_NAMEREQD);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_many)
{
    rondo_loop *loop = support_loop();
    enum { MANY = 50 };
    struct lookup lookups[MANY];
    rondo_addrinfo_query query = query_of("localhost", "80");
    query.type = SOCK_STREAM;
    for (int i = 0; i < MANY; i++) {
        lookups[i].info = NULL;
        lookups[i].future = rondo_getaddrinfo(loop, &query);
        ck_assert_ptr_nonnull(lookups[i].future);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, wait_addrinfo, &lookups[i]), NULL), 0);
        ck_assert_uint_ge(lookups[i].info->count, 1);
        rondo_addrinfo_free(lookups[i].info);
    }
    support_loop_end(loop);
}
END_TEST

START_TEST(test_query_is_copied)
{
    rondo_loop *loop = support_loop();
    char host[] = "localhost", service[] = "80";
    rondo_addrinfo_query query = query_of(host, service);
    query.type = SOCK_STREAM;
    struct lookup lookup = { .future = rondo_getaddrinfo(loop, &query) };
    memset(host, 'x', sizeof host - 1);
    memset(service, 'x', sizeof service - 1);
    memset(&query, 0, sizeof query);
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, wait_addrinfo, &lookup), NULL), 0);
    rondo_addrinfo_free(lookup.info);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_abandoned)
{
    rondo_loop *loop = support_loop();
    rondo_addrinfo_query query = query_of("localhost", "http");
    for (int i = 0; i < 20; i++) {
        rondo_future *future = rondo_getaddrinfo(loop, &query);
        if (i % 2)
            ck_assert(rondo_future_cancel(future));
        if (i % 4 == 1) {
            run_until(loop, rondo_future_done(future));
            /* DNS-05: the wait is over, the lookup runs on */
            ck_assert(rondo_future_cancelled(future));
        }
        rondo_future_unref(future);
    }
    /* DNS-05: the loop may be closed meanwhile */
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_closed_with_pending)
{
    rondo_loop *loop = support_loop();
    rondo_addrinfo_query query = query_of("localhost", "http");
    rondo_future *futures[20];
    for (int i = 0; i < 20; i++)
        futures[i] = rondo_getaddrinfo(loop, &query);
    support_run_passes(loop, _i);
    /* DNS-05 */
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    for (int i = 0; i < 20; i++)
        rondo_future_unref(futures[i]);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_value_is_owned)
{
    rondo_loop *loop = support_loop();
    rondo_addrinfo_query query = query_of("127.0.0.1", "80");
    rondo_future *future = rondo_getaddrinfo(loop, &query);
    run_until(loop, rondo_future_done(future));
    void *info = NULL;
    ck_assert_int_eq(rondo_future_result(future, &info), 0);
    ck_assert_uint_ge(((rondo_addrinfo *) info)->count, 1);
    /* not taken: the future releases it; the memory count of the case shows a leak */
    rondo_future_unref(future);
    future = rondo_getaddrinfo(loop, &query);
    run_until(loop, rondo_future_done(future));
    ck_assert_int_eq(rondo_future_take(future, &info), 0);
    rondo_future_unref(future);
    rondo_addrinfo_free(info);
    rondo_addrinfo_free(NULL);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_fake)
{
    rondo_loop *loop = support_loop();
    fake_resolver fake = { .answers = { { .addresses = { { "192.0.2.7", 80, 0 } }, .count = 1 },
                                        { .refuse = true } },
                           .answer_count = 2 };
    fake_resolver_install(loop, &fake);
    rondo_addrinfo_query query = query_of("example.test", "http");
    struct lookup lookup = { .future = rondo_getaddrinfo(loop, &query) };
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, wait_addrinfo, &lookup), NULL), 0);
    /* DNS-06: every lookup goes to the one that was installed */
    ck_assert_uint_eq(fake.asked, 1);
    ck_assert_uint_eq(lookup.info->count, 1);
    rondo_addrinfo_free(lookup.info);
    ck_assert_int_eq(net_finish(loop, rondo_getaddrinfo(loop, &query), NULL), RONDO_EUSER);
    /* NULL brings the system's back */
    ck_assert_int_eq(rondo_loop_set_resolver(loop, NULL, NULL), 0);
    query = query_of("localhost", "80");
    lookup.future = rondo_getaddrinfo(loop, &query);
    ck_assert_int_eq(net_finish(loop, rondo_create_task(loop, wait_addrinfo, &lookup), NULL), 0);
    ck_assert_uint_eq(fake.asked, 2);
    rondo_addrinfo_free(lookup.info);
    fake_resolver_end(&fake);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_misuse)
{
    rondo_loop *loop = support_loop();
    rondo_addrinfo_query query = query_of(NULL, "80"), broken = query_of("localhost", "80");
    rondo_address address, none = { 0 };
    struct lookup lookup = { 0 };
    broken.size = 0;
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", 80), 0);
    ck_assert_ptr_null(rondo_getaddrinfo(NULL, &query));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_getaddrinfo(loop, NULL));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_getaddrinfo(loop, &broken));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_getnameinfo(NULL, &address, 0));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_getnameinfo(loop, NULL, 0));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_ptr_null(rondo_getnameinfo(loop, &none, 0));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    none.length = sizeof none.storage + 1;
    ck_assert_ptr_null(rondo_getnameinfo(loop, &none, 0));
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_set_resolver(NULL, NULL, NULL), RONDO_EINVAL);
    ck_assert_int_lt(rondo_await_addrinfo(NULL, &lookup.info), 0);
    ck_assert_int_lt(rondo_await_nameinfo(NULL, &lookup.name), 0);
    ck_assert_ptr_null(lookup.info);
    /* outside of a task there is nothing to wait in; the reference is consumed all the same */
    query = query_of("127.0.0.1", "80");
    ck_assert_int_eq(rondo_await_addrinfo(rondo_getaddrinfo(loop, &query), &lookup.info), RONDO_ENOTASK);
    ck_assert_ptr_null(lookup.info);
    ck_assert_int_eq(rondo_await_nameinfo(rondo_getnameinfo(loop, &address, 0), &lookup.name), RONDO_ENOTASK);
    /* neither host nor service */
    query = query_of(NULL, NULL);
    lookup.future = rondo_getaddrinfo(loop, &query);
    if (lookup.future)
        ck_assert_int_eq(net_finish(loop, lookup.future, NULL), RONDO_EAI_NONAME);
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    /* DNS-03: not on a loop that has ended */
    query = query_of("localhost", "80");
    ck_assert_ptr_null(rondo_getaddrinfo(loop, &query));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    ck_assert_ptr_null(rondo_getnameinfo(loop, &address, 0));
    ck_assert_int_eq(rondo_last_error(), RONDO_ECLOSED);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *system = support_case(suite, "system");
    tcase_add_test(system, test_getaddrinfo);
    tcase_add_test(system, test_empty_host);
    tcase_add_test(system, test_hints);
    tcase_add_test(system, test_getnameinfo);
    tcase_add_test(system, test_many);
    tcase_add_test(system, test_query_is_copied);
    tcase_add_test(system, test_value_is_owned);

    TCase *abandoned = support_case(suite, "abandoned");
    tcase_add_test(abandoned, test_abandoned);
    tcase_add_loop_test(abandoned, test_closed_with_pending, 0, 3);

    TCase *front = support_case(suite, "in front");
    tcase_add_test(front, test_fake);
    tcase_add_test(front, test_misuse);
}

int main(void)
{
    return support_main("resolve", add_cases);
}
