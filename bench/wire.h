/* SPDX-License-Identifier: MIT */
/* What lies between a server and the load generator: sockets and pipes, made before the server starts. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "server.h"

struct bench_address {
    struct sockaddr_storage socket;
    socklen_t length;
};

struct bench_wire {
    struct bench_address address; /* where the server is reached; none for pipes */
    size_t server_count, client_count;
    int *server_ends; /* a listening or datagram socket for each loop; for each pair of pipes the end to read
                         from and the end to write to */
    int *client_ends; /* pipes only: likewise */
};

/* @count loops, or pairs of pipes. Returns 0; -1 with errno. */
int bench_wire_open(struct bench_wire *ret_wire, enum bench_service service, size_t count);

/* The server has its ends now: close them here. */
void bench_wire_hand_over(struct bench_wire *wire);

void bench_wire_close(struct bench_wire *wire);

/* A listening socket at 127.0.0.1:@port (0: any), with TCP_NODELAY on, which accepted sockets inherit; @shared: with
 * others (SO_REUSEPORT). Returns the descriptor, its address in *@ret_address; -1 with errno. */
int bench_wire_listen(unsigned port, bool shared, struct bench_address *ret_address);

/* Have a datagram socket keep much, as far as the system allows: what finds no room is lost, and so is the measurement. */
void bench_wire_widen(int sock);

/* The port of an address of TCP or UDP. */
unsigned bench_address_port(const struct bench_address *address);

#endif
