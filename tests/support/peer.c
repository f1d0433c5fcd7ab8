/* SPDX-License-Identifier: MIT */
/* Plain sockets for the other end of a connection, on Unix.
 *
 * The happy path: each function is one system call, or a loop of one. Failures: whatever the system refuses
 * fails the case, but where the name says "try" or "now". Invariant: no function blocks for ever, because
 * every socket made here gives up after ten seconds. */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Says nothing when all is well: the oracle's programs have no Check runner. */
#define must(condition)                                          \
    do {                                                         \
        if (!(condition))                                        \
            ck_abort_msg("%s: %s", #condition, strerror(errno)); \
    } while (0)

static int address_of(const char *host, int port, struct sockaddr_storage *ret_address, socklen_t *ret_length)
{
    struct sockaddr_in *four = (struct sockaddr_in *) ret_address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *) ret_address;
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t) port);
        *ret_length = sizeof *four;
        return AF_INET;
    }
    must(inet_pton(AF_INET6, host, &six->sin6_addr) == 1);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t) port);
    *ret_length = sizeof *six;
    return AF_INET6;
}

rondo_socket peer_patient(rondo_socket sock)
{
    struct timeval patience = { .tv_sec = 10 };
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return sock;
}

static rondo_socket open_socket(int family, int type)
{
    int sock = socket(family, type | SOCK_CLOEXEC, 0);
    must(sock >= 0);
    return peer_patient(sock);
}

rondo_socket peer_bound(const char *host, int *ret_port)
{
    struct sockaddr_storage address;
    socklen_t length;
    int sock = open_socket(address_of(host, 0, &address, &length), SOCK_STREAM);
    must(bind(sock, (struct sockaddr *) &address, length) == 0);
    *ret_port = peer_port(sock);
    return sock;
}

rondo_socket peer_listen(const char *host, int backlog, int *ret_port)
{
    int sock = peer_bound(host, ret_port);
    must(listen(sock, backlog) == 0);
    return sock;
}

/* A connect that a signal has interrupted, or the kernel's own work for an io_uring of this thread, goes on by itself. */
static int connect_patiently(int sock, const struct sockaddr *address, socklen_t length)
{
    if (connect(sock, address, length) == 0)
        return 0;
    if (errno != EINTR)
        return -1;
    struct pollfd writable = { .fd = sock, .events = POLLOUT };
    while (poll(&writable, 1, 10000) < 0 && errno == EINTR)
        ;
    int number = ETIMEDOUT;
    socklen_t size = sizeof number;
    getsockopt(sock, SOL_SOCKET, SO_ERROR, &number, &size);
    errno = number;
    return number ? -1 : 0;
}

int peer_try_connect(const char *host, int port, rondo_socket *ret_socket)
{
    struct sockaddr_storage address;
    socklen_t length;
    int sock = open_socket(address_of(host, port, &address, &length), SOCK_STREAM);
    int rc = connect_patiently(sock, (struct sockaddr *) &address, length);
    if (rc < 0) {
        int number = errno;
        close(sock);
        errno = number;
        return number == ECONNREFUSED ? RONDO_ECONNREFUSED : RONDO_EOS;
    }
    *ret_socket = sock;
    return 0;
}

rondo_socket peer_connect(const char *host, int port)
{
    rondo_socket sock = RONDO_INVALID_SOCKET;
    must(peer_try_connect(host, port, &sock) == 0);
    return sock;
}

rondo_socket peer_accept(rondo_socket listener)
{
    int sock;
    do
        sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (sock < 0 && errno == EINTR);
    must(sock >= 0);
    return peer_patient(sock);
}

bool peer_has_connection(rondo_socket listener)
{
    struct pollfd watched = { .fd = listener, .events = POLLIN };
    return poll(&watched, 1, 0) == 1;
}

void peer_pair(rondo_socket ret_pair[2])
{
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_pair) == 0);
    peer_patient(ret_pair[1]);
}

void peer_tcp_pair(rondo_socket ret_pair[2])
{
    int port;
    rondo_socket listener = peer_listen("127.0.0.1", 1, &port);
    ret_pair[1] = peer_connect("127.0.0.1", port);
    ret_pair[0] = peer_accept(listener);
    peer_close(listener);
}

rondo_socket peer_datagram(void)
{
    return open_socket(AF_INET, SOCK_DGRAM);
}

rondo_socket peer_unconnected(void)
{
    return open_socket(AF_INET, SOCK_STREAM);
}

void peer_send(rondo_socket sock, const void *data, size_t length)
{
    const char *bytes = data;
    while (length) {
        ssize_t count = send(sock, bytes, length, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        must(count > 0);
        bytes += count;
        length -= (size_t) count;
    }
}

size_t peer_send_now(rondo_socket sock, const void *data, size_t length)
{
    ssize_t count = send(sock, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    return count < 0 ? 0 : (size_t) count;
}

void peer_send_text(rondo_socket sock, const char *text)
{
    peer_send(sock, text, strlen(text));
}

void peer_recv(rondo_socket sock, void *data, size_t length)
{
    char *bytes = data;
    while (length) {
        ssize_t count = recv(sock, bytes, length, 0);
        if (count < 0 && errno == EINTR)
            continue;
        must(count > 0);
        bytes += count;
        length -= (size_t) count;
    }
}

ptrdiff_t peer_recv_now(rondo_socket sock, void *data, size_t capacity)
{
    ssize_t count = recv(sock, data, capacity, MSG_DONTWAIT);
    if (count >= 0)
        return count;
    if (errno == ECONNRESET)
        return PEER_RESET;
    must(errno == EAGAIN);
    return PEER_NOTHING;
}

void peer_expect(rondo_socket sock, const char *text)
{
    char data[256];
    size_t length = strlen(text);
    ck_assert_uint_lt(length, sizeof data);
    peer_recv(sock, data, length);
    data[length] = 0;
    ck_assert_str_eq(data, text);
}

void peer_expect_eof(rondo_socket sock)
{
    char byte;
    ssize_t count;
    do
        count = recv(sock, &byte, 1, 0);
    while (count < 0 && errno == EINTR);
    ck_assert_msg(count == 0, "no end of stream but %s", count > 0 ? "a byte" : strerror(errno));
}

void peer_expect_nothing(rondo_socket sock)
{
    char byte;
    ck_assert_int_eq(peer_recv_now(sock, &byte, 1), PEER_NOTHING);
}

void peer_shutdown(rondo_socket sock)
{
    must(shutdown(sock, SHUT_WR) == 0);
}

void peer_close(rondo_socket sock)
{
    must(close(sock) == 0);
}

void peer_reset(rondo_socket sock)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    must(setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    must(close(sock) == 0);
}

void peer_set_send_buffer(rondo_socket sock, int size)
{
    must(setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
}

bool peer_is_open(rondo_socket sock)
{
    return fcntl(sock, F_GETFD) >= 0;
}

size_t peer_descriptors(void)
{
    struct rlimit limit;
    size_t open = 0;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    int end = limit.rlim_cur < 65536 ? (int) limit.rlim_cur : 65536;
    for (int fd = 0; fd < end; fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

int peer_family(rondo_socket sock)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    must(getsockname(sock, (struct sockaddr *) &address, &length) == 0);
    return address.ss_family;
}

int peer_option(rondo_socket sock, int level, int option)
{
    int value = 0;
    socklen_t length = sizeof value;
    must(getsockopt(sock, level, option, &value, &length) == 0);
    return value;
}

int peer_port(rondo_socket sock)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    must(getsockname(sock, (struct sockaddr *) &address, &length) == 0);
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *) &address)->sin_port
                                              : ((struct sockaddr_in6 *) &address)->sin6_port);
}

bool peer_is_nonblocking(rondo_socket sock)
{
    int flags = fcntl(sock, F_GETFL);
    must(flags >= 0);
    return (flags & O_NONBLOCK) != 0;
}

void peer_set_blocking(rondo_socket sock, bool blocks)
{
    int flags = fcntl(sock, F_GETFL);
    must(flags >= 0);
    must(fcntl(sock, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == 0);
}

bool peer_has_ipv6(void)
{
    struct sockaddr_storage address;
    socklen_t length;
    int sock = socket(address_of("::1", 0, &address, &length), SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = sock >= 0 && bind(sock, (struct sockaddr *) &address, length) == 0;
    if (sock >= 0)
        close(sock);
    return has;
}

size_t peer_fill_backlog(const char *host, int port, rondo_socket *ret_sockets, size_t capacity)
{
    struct sockaddr_storage address;
    socklen_t length;
    int family = address_of(host, port, &address, &length);
    for (size_t i = 0; i < capacity; i++) {
        struct pollfd watched = { .events = POLLOUT };
        watched.fd = ret_sockets[i] = open_socket(family, SOCK_STREAM | SOCK_NONBLOCK);
        must(connect(watched.fd, (struct sockaddr *) &address, length) == 0 || errno == EINPROGRESS);
        int ready;
        while ((ready = poll(&watched, 1, 100)) < 0)
            must(errno == EINTR);
        if (ready == 0)
            return i + 1;
    }
    ck_abort_msg("the backlog does not fill");
    return capacity;
}

void pattern_fill(void *data, size_t length, size_t start)
{
    unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char) ((start + i) * 7 + ((start + i) >> 8));
}

bool pattern_check(const void *data, size_t length, size_t start)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != (unsigned char) ((start + i) * 7 + ((start + i) >> 8)))
            return false;
    return true;
}

size_t peer_drain(peer_sink *sink)
{
    static unsigned char data[65536];
    ptrdiff_t count = 0;
    while (!sink->ended && !sink->reset && (count = peer_recv_now(sink->sock, data, sizeof data)) > 0) {
        if (!pattern_check(data, (size_t) count, sink->received))
            sink->corrupt = true;
        sink->received += (size_t) count;
    }
    if (!sink->ended && !sink->reset) {
        sink->ended = count == 0;
        sink->reset = count == PEER_RESET;
    }
    return sink->received;
}
