/* SPDX-License-Identifier: MIT */
/* The io_uring driver without a loop: its functions are called as the loop calls them.
 *
 * Each case has a driver of its own and turns it by pass(): one wait, then the batch that stands in
 * the queue. A probe is an op that keeps count of what became of it. */
#ifndef RONDO_TESTS_UNIT_URING_PROBE_H
#define RONDO_TESTS_UNIT_URING_PROBE_H

#include <check.h>
#include <netinet/in.h>

#include "backends/driver.h"

extern const struct rondo_driver_ops rondo_driver_uring;

extern struct rondo_core core;
extern struct rondo_driver *driver;

#define TOTAL 4096

/* An op and everything that it came to. */
struct probe {
    struct rondo_op op;
    unsigned completions; /* all of them */
    unsigned ends;        /* those with more clear */
    ptrdiff_t last;       /* result of the end */
    size_t received;
    size_t largest;      /* of the receives */
    size_t length;       /* of data */
    unsigned char *data; /* what was received, or what is to be sent */
    size_t cut;          /* a send in so many pieces; 0: one */
    rondo_socket accepted[TOTAL];
    unsigned accepted_count;
    bool cancel_inside;
    bool pause_inside;
    bool free_inside;
    bool *freed;
    rondo_address target;
};

void start_with(size_t buffer_size, unsigned buffers, unsigned entries);
void start(void);
unsigned pass(rondo_ns timeout);
void settle(void);
void finish(void);
rondo_ns now(void);
struct probe *probe_new(enum rondo_op_kind kind, rondo_socket sock);
void submit(struct probe *probe);
struct probe *receive(rondo_socket sock);
struct probe *transmit(rondo_socket sock, void *data, size_t length);
void make_pair(int pair[2]);
int listen_on(int port, struct sockaddr_in *ret_address);
int dial(const struct sockaddr_in *address);
void make_tcp_pair(int pair[2]);
unsigned char *pattern(size_t length);

/* Pass until @condition holds; a wait that brings nothing for 5 s fails. */
#define UNTIL(condition)                                                   \
    do {                                                                   \
        rondo_ns until_ = now() + RONDO_S(5);                              \
        while (!(condition)) {                                             \
            ck_assert_msg(now() < until_, "did not come: %s", #condition); \
            pass(RONDO_S(1));                                              \
        }                                                                  \
    } while (0)

void add_bulk_cases(Suite *suite);
void add_cancel_cases(Suite *suite);
void add_stream_cases(Suite *suite);
void add_socket_cases(Suite *suite);
void add_shortage_cases(Suite *suite);

#endif
