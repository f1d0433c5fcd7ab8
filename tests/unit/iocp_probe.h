/* SPDX-License-Identifier: MIT */
/* What the tests of the IOCP driver share: a loop of a few lines in place of the core, and ops that remember
 * what happened to them. */
#ifndef RONDO_TESTS_IOCP_PROBE_H
#define RONDO_TESTS_IOCP_PROBE_H

#include "backends/driver.h"
#include "platform/socket.h"
#include "support.h"

extern struct rondo_core core;
extern struct rondo_driver *driver; /* that the functions below work on */

/* Open the driver with counted memory; the code that open gives. */
int driver_open(void);
/* Nothing may be active or queued. */
void driver_close(void);

/* What a pass of the loop does. */
void pass(rondo_ns timeout);

/* Passes until it is so; a case that waits in vain is ended by its deadline. */
#define pass_until(condition) \
    do {                      \
        while (!(condition))  \
            pass(-1);         \
    } while (0)

enum { OWN_SIZE = 1000 };

struct probe {
    struct rondo_op op;
    unsigned completions; /* all of them */
    unsigned endings;     /* those without `more` */
    ptrdiff_t last;
    size_t bytes;
    unsigned char next; /* what the next byte received must be */
    bool in_order;
    bool pause_inside; /* at the next completion */
    bool cancel_inside;
    unsigned char *out; /* SEND: what is left */
    size_t out_length;
    unsigned char own[OWN_SIZE];
    bool refuses; /* own: hand out nothing, and pause */
    rondo_socket sockets[64];
    rondo_address peers[64];
};

/* The op's complete: counts, and checks what can be checked of any completion. */
void note(struct rondo_op *op);

void probe_init(struct probe *probe, enum rondo_op_kind kind, rondo_socket sock);
/* Submit an op, which must be taken. */
void start(struct probe *probe, enum rondo_op_kind kind, rondo_socket sock);
void send_start(struct probe *probe, rondo_socket sock, unsigned char *data, size_t length);
/* Submit a connect to @address, borrowed until it completes, on a new socket, which is returned. */
rondo_socket connector(struct probe *probe, rondo_address *address);

/* Cancel twice: nothing completes inside. The second form waits for the end. */
void cancel(struct probe *probe);
void cancel_and_see(struct probe *probe);

/* @length bytes that count up from 0; owned. */
unsigned char *counting(size_t length);

void pair_open(rondo_socket pair[2]);
void pair_close(const rondo_socket pair[2]);
rondo_socket listen_somewhere(rondo_address *ret_address);

/* The cases of test_iocp_stream.c. */
void add_stream_cases(TCase *tcase);

#endif
