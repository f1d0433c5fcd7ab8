/* SPDX-License-Identifier: MIT */
/* Addresses as values. */
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char *format_of(const rondo_address *address)
{
    static char text[256];
    size_t length = rondo_address_format(address, text, sizeof text);
    ck_assert_uint_eq(length, strlen(text));
    return text;
}

START_TEST(test_numeric)
{
    static const struct {
        const char *host;
        int port, family;
        const char *text;
    } good[] = {
        { "127.0.0.1", 80, AF_INET, "127.0.0.1:80" },
        { "0.0.0.0", 0, AF_INET, "0.0.0.0:0" },
        { "255.255.255.255", 65535, AF_INET, "255.255.255.255:65535" },
        { "::1", 80, AF_INET6, "[::1]:80" },
        { "::", 1, AF_INET6, "[::]:1" },
        { "2001:db8:0:0:0:0:0:7", 443, AF_INET6, "[2001:db8::7]:443" },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        rondo_address address;
        ck_assert_int_eq(rondo_address_from_numeric(&address, good[i].host, good[i].port), 0);
        ck_assert_int_eq(rondo_address_family(&address), good[i].family);
        ck_assert_int_eq(rondo_address_port(&address), good[i].port);
        ck_assert_str_eq(format_of(&address), good[i].text);
    }
}
END_TEST

START_TEST(test_not_numeric)
{
    static const char *const hosts[] = {
        "",         "localhost", "127.0.0", "127.0.0.1.1", "256.0.0.1",
        " 1.2.3.4", "1.2.3.4 ",  ":::1",    "[::1]",       "::1%no-such-interface"
    };
    rondo_address address = { .length = 5 };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        ck_assert_int_eq(rondo_address_from_numeric(&address, hosts[i], 80), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", -1), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", 65536), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_numeric(&address, NULL, 80), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_numeric(NULL, "127.0.0.1", 80), RONDO_EINVAL);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_uint_eq(address.length, 5);
}
END_TEST

START_TEST(test_sockaddr)
{
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(4711) };
    rondo_address address, same, none = { 0 };
    char huge[200] = { 0 };
    inet_pton(AF_INET, "192.0.2.1", &four.sin_addr);
    ck_assert_int_eq(rondo_address_from_sockaddr(&address, (const struct sockaddr *) &four, sizeof four), 0);
    ck_assert_str_eq(format_of(&address), "192.0.2.1:4711");
    ck_assert_mem_eq(rondo_address_sockaddr(&address), &four, sizeof four);
    ck_assert_int_eq(rondo_address_from_numeric(&same, "192.0.2.1", 4711), 0);
    ck_assert(rondo_address_equal(&address, &same));
    ck_assert_int_eq(rondo_address_from_numeric(&same, "192.0.2.1", 4712), 0);
    ck_assert(!rondo_address_equal(&address, &same));
    ck_assert(!rondo_address_equal(&address, &none));
    ck_assert(rondo_address_equal(&none, &none));
    ck_assert_int_eq(rondo_address_from_sockaddr(&same, (const struct sockaddr *) (void *) huge, sizeof huge),
                     RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_sockaddr(&same, NULL, sizeof four), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_sockaddr(NULL, (const struct sockaddr *) &four, sizeof four),
                     RONDO_EINVAL);
}
END_TEST

START_TEST(test_unix)
{
    struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/tmp/a socket" };
    rondo_address address;
    char text[64];
    ck_assert_int_eq(rondo_address_from_sockaddr(&address, (const struct sockaddr *) &path, sizeof path), 0);
    ck_assert_int_eq(rondo_address_family(&address), AF_UNIX);
    ck_assert_int_eq(rondo_address_port(&address), -1);
    ck_assert_str_eq(format_of(&address), "/tmp/a socket");
    rondo_address_host(&address, text, sizeof text);
    ck_assert_str_eq(text, "/tmp/a socket");
    /* an abstract name has '@' for its NUL */
    memcpy(path.sun_path, "\0hidden", 7);
    ck_assert_int_eq(rondo_address_from_sockaddr(&address, (const struct sockaddr *) &path,
                                                 offsetof(struct sockaddr_un, sun_path) + 7),
                     0);
    ck_assert_str_eq(format_of(&address), "@hidden");
}
END_TEST

START_TEST(test_path)
{
    char bytes[256];
    rondo_address address = { .length = 5 };
    size_t room = sizeof(((struct sockaddr_un *) 0)->sun_path);
    memset(bytes, 'p', sizeof bytes);
    ck_assert_int_eq(rondo_address_from_path(&address, NULL, 0), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_path(&address, "", 0), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_path(NULL, "/tmp/x", 0), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_path(&address, "/tmp/x\0y", 8), RONDO_EINVAL);
    ck_assert_int_eq(rondo_address_from_path(&address, bytes, room), RONDO_ENAMETOOLONG);
    ck_assert_uint_eq(address.length, 5);
    ck_assert_int_eq(rondo_address_from_path(&address, "/tmp/x", 0), 0);
    ck_assert_int_eq(rondo_address_family(&address), AF_UNIX);
    ck_assert_str_eq(format_of(&address), "/tmp/x");
    ck_assert_uint_eq(address.length, offsetof(struct sockaddr_un, sun_path) + 7); /* its NUL with it */
    ck_assert_int_eq(rondo_address_from_path(&address, bytes, 3), 0);
    ck_assert_str_eq(format_of(&address), "ppp");
    ck_assert_int_eq(rondo_address_from_path(&address, bytes, room - 1), 0);
    ck_assert_uint_eq(rondo_address_host(&address, NULL, 0), room - 1);
    bytes[0] = bytes[3] = '\0';
    int rc = rondo_address_from_path(&address, bytes, 5);
    if (rc == RONDO_ENOTSUP) /* abstract names are Linux's own */
        return;
    ck_assert_int_eq(rc, 0);
    ck_assert_str_eq(format_of(&address), "@pp@p");
    ck_assert_uint_eq(address.length, offsetof(struct sockaddr_un, sun_path) + 5); /* and no more */
    ck_assert_int_eq(rondo_address_from_path(&address, bytes, room), 0);
    ck_assert_int_eq(rondo_address_from_path(&address, bytes, room + 1), RONDO_ENAMETOOLONG);
}
END_TEST

/* What the program has built in its own way is the same place as what the kernel says. */
START_TEST(test_equal)
{
    rondo_address address, same;
    struct sockaddr_in plain;
    memset(&plain, 0xff, sizeof plain); /* as on a stack: some bytes mean nothing */
    plain.sin_family = AF_INET;
    plain.sin_port = htons(80);
    plain.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    rondo_address_from_sockaddr(&same, (struct sockaddr *) &plain, sizeof plain);
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", 80), 0);
    ck_assert(rondo_address_equal(&address, &same));
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.1", 81), 0);
    ck_assert(!rondo_address_equal(&address, &same));
    ck_assert_int_eq(rondo_address_from_numeric(&address, "127.0.0.2", 80), 0);
    ck_assert(!rondo_address_equal(&address, &same));

    ck_assert_int_eq(rondo_address_from_numeric(&address, "fe80::1%1", 80), 0);
    ck_assert_int_eq(rondo_address_from_numeric(&same, "fe80::1%1", 80), 0);
    ck_assert(rondo_address_equal(&address, &same));
    ck_assert_int_eq(rondo_address_from_numeric(&same, "fe80::1%2", 80), 0);
    ck_assert(!rondo_address_equal(&address, &same));
    ck_assert_int_eq(rondo_address_from_numeric(&same, "fe80::2%1", 80), 0);
    ck_assert(!rondo_address_equal(&address, &same));

    struct sockaddr_un local = { .sun_family = AF_UNIX };
    strcpy(local.sun_path, "/run/a");
    rondo_address_from_sockaddr(&same, (struct sockaddr *) &local, sizeof local);
    ck_assert_int_eq(rondo_address_from_path(&address, "/run/a", 0), 0);
    ck_assert(rondo_address_equal(&address, &same));
    rondo_address_from_sockaddr(&same, (struct sockaddr *) &local,
                                offsetof(struct sockaddr_un, sun_path) + strlen(local.sun_path));
    ck_assert(rondo_address_equal(&address, &same));
    ck_assert_int_eq(rondo_address_from_path(&address, "/run/ab", 0), 0);
    ck_assert(!rondo_address_equal(&address, &same));
}
END_TEST

START_TEST(test_cut)
{
    rondo_address address;
    char text[8];
    ck_assert_int_eq(rondo_address_from_numeric(&address, "192.0.2.100", 80), 0);
    /* cut to the capacity, always ended, and the whole length is told */
    ck_assert_uint_eq(rondo_address_format(&address, text, sizeof text), strlen("192.0.2.100:80"));
    ck_assert_str_eq(text, "192.0.2");
    ck_assert_uint_eq(rondo_address_host(&address, text, 1), strlen("192.0.2.100"));
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(rondo_address_host(&address, NULL, 0), strlen("192.0.2.100"));
}
END_TEST

START_TEST(test_none)
{
    rondo_address none = { 0 };
    char text[8] = "x";
    ck_assert_int_eq(rondo_address_family(&none), 0);
    ck_assert_int_eq(rondo_address_port(&none), -1);
    rondo_address_host(&none, text, sizeof text);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(rondo_address_family(NULL), 0);
    ck_assert_int_eq(rondo_address_port(NULL), -1);
    ck_assert(!rondo_address_equal(NULL, &none));
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *addresses = support_case(suite, "addresses");
    tcase_add_test(addresses, test_numeric);
    tcase_add_test(addresses, test_not_numeric);
    tcase_add_test(addresses, test_sockaddr);
    tcase_add_test(addresses, test_unix);
    tcase_add_test(addresses, test_path);
    tcase_add_test(addresses, test_equal);
    tcase_add_test(addresses, test_cut);
    tcase_add_test(addresses, test_none);
}

int main(void)
{
    return support_main_once("address", add_cases);
}
