/* SPDX-License-Identifier: MIT */
/* Sockets at 127.0.0.1, Unix sockets with a name that the kernel picks, pipes. Failures: whatever was opened
 * before one is closed again. */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static struct bench_address loopback(unsigned port)
{
    struct bench_address address;
    memset(&address, 0, sizeof address);
    struct sockaddr_in *inet = (struct sockaddr_in *) &address.socket;
    inet->sin_family = AF_INET;
    inet->sin_port = htons((uint16_t) port);
    inet->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.length = sizeof *inet;
    return address;
}

unsigned bench_address_port(const struct bench_address *address)
{
    return ntohs(((const struct sockaddr_in *) &address->socket)->sin_port);
}

/* Bind @sock to *address, which becomes the one that it got, and listen unless @backlog is 0. On failure it is
 * closed. */
static int settle(int sock, struct bench_address *address, int backlog)
{
    struct sockaddr *name = (struct sockaddr *) &address->socket;
    socklen_t capacity = sizeof address->socket;
    if (bind(sock, name, address->length) == 0 && (backlog == 0 || listen(sock, backlog) == 0) &&
        getsockname(sock, name, &capacity) == 0) {
        address->length = capacity;
        return sock;
    }
    int number = errno;
    close(sock);
    errno = number;
    return -1;
}

int bench_wire_listen(unsigned port, bool shared, struct bench_address *ret_address)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -1;
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (shared)
        setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    struct bench_address address = loopback(port);
    listener = settle(listener, &address, BACKLOG);
    if (listener >= 0)
        *ret_address = address;
    return listener;
}

/* A name of the family alone: the kernel finds an abstract one. */
static int listen_unix(struct bench_address *address)
{
    memset(address, 0, sizeof *address);
    address->socket.ss_family = AF_UNIX;
    address->length = sizeof address->socket.ss_family;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return listener < 0 ? -1 : settle(listener, address, BACKLOG);
}

void bench_wire_widen(int sock)
{
    const int size = 4 * 1024 * 1024;
    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof size); /* what the system allows */
}

static int bind_datagrams(struct bench_address *address)
{
    *address = loopback(0);
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return -1;
    bench_wire_widen(sock);
    return settle(sock, address, 0);
}

static int open_pair(struct bench_wire *wire)
{
    int there[2], back[2];
    if (pipe2(there, O_CLOEXEC) < 0)
        return -1;
    if (pipe2(back, O_CLOEXEC) < 0) {
        int number = errno;
        close(there[0]);
        close(there[1]);
        errno = number;
        return -1;
    }
    wire->server_ends[wire->server_count++] = there[0];
    wire->server_ends[wire->server_count++] = back[1];
    wire->client_ends[wire->client_count++] = back[0];
    wire->client_ends[wire->client_count++] = there[1];
    return 0;
}

static int open_one(struct bench_wire *wire, enum bench_service service, bool shared)
{
    if (service == BENCH_PIPES)
        return open_pair(wire);
    int sock = service == BENCH_UNIX ? listen_unix(&wire->address)
               : service == BENCH_DATAGRAMS
                   ? bind_datagrams(&wire->address)
                   : bench_wire_listen(bench_address_port(&wire->address), shared, &wire->address);
    if (sock < 0)
        return -1;
    wire->server_ends[wire->server_count++] = sock;
    return 0;
}

int bench_wire_open(struct bench_wire *ret_wire, enum bench_service service, size_t count)
{
    struct bench_wire wire;
    memset(&wire, 0, sizeof wire);
    wire.server_ends = calloc(2 * count, sizeof *wire.server_ends);
    wire.client_ends = calloc(2 * count, sizeof *wire.client_ends);
    int rc = wire.server_ends && wire.client_ends ? 0 : -1;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = open_one(&wire, service, count > 1);
    if (rc < 0) {
        int number = errno;
        bench_wire_close(&wire);
        errno = number;
        return -1;
    }
    *ret_wire = wire;
    return 0;
}

void bench_wire_hand_over(struct bench_wire *wire)
{
    for (size_t i = 0; i < wire->server_count; i++)
        close(wire->server_ends[i]);
    wire->server_count = 0;
}

void bench_wire_close(struct bench_wire *wire)
{
    bench_wire_hand_over(wire);
    for (size_t i = 0; i < wire->client_count; i++)
        close(wire->client_ends[i]);
    wire->client_count = 0;
    free(wire->server_ends);
    free(wire->client_ends);
    wire->server_ends = NULL;
    wire->client_ends = NULL;
}
