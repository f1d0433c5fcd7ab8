/* SPDX-License-Identifier: MIT */
/* Datagrams in tests: a protocol that counts, loops that have them, and plain sockets for the other end. */
#ifndef RONDO_TESTS_DGRAM_H
#define RONDO_TESTS_DGRAM_H

#include "peer.h"

/* One endpoint as its protocol saw it. Zeroed at first; hooks and settings are the test's. With a name every event is
 * appended to the trace: "NAME.made", "NAME.got:TEXT", "NAME.error:RONDO_X", "NAME.stall", "NAME.flow", "NAME.lost:0". */
typedef struct dgram dgram;
struct dgram {
    const char *name;
    bool echo; /* send back what comes */
    void *context;
    void (*on_made)(dgram *self);
    void (*on_got)(dgram *self);
    void (*on_error)(dgram *self, int error);
    void (*on_lost)(dgram *self, int error);
    void (*on_stall)(dgram *self);
    void (*on_flow)(dgram *self);

    rondo_transport *transport; /* a reference of its own until dgram_end */
    int made, losts, errors, stalls, flows, destroyed;
    int error; /* the last of error_received */
    int lost;  /* of connection_lost */
    size_t count, bytes;
    size_t length;        /* of the last datagram */
    unsigned char *data;  /* the last one, borrowed in on_got */
    rondo_address sender; /* of the last one */
    bool late;            /* a callback came before connection_made or after connection_lost */
};

/* The factory; @self is a dgram. */
rondo_protocol *dgram_factory(void *self);

/* A loop on the current backend that has datagrams: extended, for a proactor. */
rondo_loop *dgram_loop(void);

/* Options of an endpoint on 127.0.0.1 and @port, and of one that has these paths; NULL: without. */
rondo_datagram_options dgram_local(int port);
rondo_datagram_options dgram_paths(const char *local, const char *remote);

/* What making an endpoint from @options ends with, the call itself included; what is made is ended again. */
int dgram_error(rondo_loop *loop, const rondo_datagram_options *options);
/* Make an endpoint from @options; it must succeed. */
void dgram_open(rondo_loop *loop, dgram *self, const rondo_datagram_options *options);
/* One that is bound to @host (a number) and a free port, which is returned. */
int dgram_bind(rondo_loop *loop, dgram *self, const char *host);
/* One that is connected to 127.0.0.1 and @port. */
void dgram_connect(rondo_loop *loop, dgram *self, int port);
/* One over an end of a Unix pair of datagram sockets, whose queues are short; the other end is returned. */
rondo_socket dgram_pair(rondo_loop *loop, dgram *self);

/* dgram_bind, and five datagrams "1" ... "5" of @peer that wait for it; the trace is empty then. */
int dgram_fill(rondo_loop *loop, dgram *self, rondo_socket peer);

/* A hook that closes its transport. */
void dgram_close(dgram *self);

/* Let go of it; fails the case if its events came in a wrong order. dgram_done: abort it first. */
void dgram_end(dgram *self);
void dgram_done(rondo_loop *loop, dgram *self);

/* Send a text: must return 0. */
void dgram_say(dgram *self, const char *text, const rondo_address *to);
/* 127.0.0.1 and @port. */
rondo_address dgram_address(int port);

/* A plain UDP socket on @host and a free port. */
rondo_socket udp_open(const char *host, int *ret_port);
/* Send @length bytes to 127.0.0.1 and @port. */
void udp_send(rondo_socket sock, int port, const void *data, size_t length);
void udp_send_text(rondo_socket sock, int port, const char *text);
/* The next datagram is @text; blocking. There is none. */
void udp_expect(rondo_socket sock, const char *text);
void udp_expect_nothing(rondo_socket sock);

#endif
