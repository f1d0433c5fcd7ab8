/* SPDX-License-Identifier: MIT */
/* What the low-level socket operations share: the call that is a future. */
#ifndef RONDO_NET_SOCK_H
#define RONDO_NET_SOCK_H

#include <rondo/sock.h>
#include <rondo/unix_socket.h>

#include "../async/future.h"
#include "descriptor.h"

struct rondo_sock_call;

#define RONDO_SOCK_WAIT PTRDIFF_MIN

/* The outcome of a call for which RONDO_EAGAIN means: not yet. */
static inline ptrdiff_t rondo_sock_outcome(ptrdiff_t result)
{
    return result == RONDO_EAGAIN ? RONDO_SOCK_WAIT : result;
}

/* One kind of operation. */
struct rondo_sock_kind {
    enum rondo_side_number side; /* where it waits */
    /* One try: what it came to, or RONDO_SOCK_WAIT: when the side is ready, again. */
    ptrdiff_t (*attempt)(struct rondo_sock_call *call);
    /* It came to @result: complete the future. */
    void (*succeed)(struct rondo_sock_call *call, ptrdiff_t result);
    void (*fail)(struct rondo_sock_call *call, int code); /* NULL: with the code and its text */
};

/* What sock_sendfile has still to send. */
struct rondo_sock_file {
    rondo_file file;
    int64_t offset;
    int64_t left;
    int64_t sent;
    int64_t *ret_sent; /* may be NULL */
    bool is_native;
    bool may_fall_back;
};

struct rondo_sock_call {
    rondo_future future; /* first: the call is one */
    const struct rondo_sock_kind *kind;
    struct rondo_side *side; /* where it waits, holding a reference to itself; NULL: it does not */
    rondo_socket sock;
    bool is_blocking;
    bool has_begun; /* connect: it goes on */
    unsigned char *memory;
    size_t length;
    size_t done; /* sendall */
    rondo_address address;
    rondo_address *sender;            /* recvfrom: where the sender goes; may be NULL */
    rondo_received *received;         /* recv, recvfrom: until the future has it */
    rondo_accepted *accepted;         /* accept: the same */
    rondo_received_fds *received_fds; /* recv_fds: the same */
    const rondo_file *cargo;          /* send_fds */
    size_t cargo_count;               /* send_fds; recv_fds: at most */
    struct rondo_sock_file file;      /* sendfile */
};

/* Whether the program may use @sock so: 0, or the error of a misuse. */
int rondo_sock_check(rondo_loop *loop, rondo_socket sock, bool *ret_is_blocking);
/* A call that is ready to be filled in; NULL with the error of a misuse or of memory. */
struct rondo_sock_call *rondo_sock_call_new(rondo_loop *loop, rondo_socket sock,
                                            const struct rondo_sock_kind *kind);
/* Try it, and have it wait where need be. The call is the future's from now on, which has failed where it cannot wait. */
rondo_future *rondo_sock_call_start(struct rondo_sock_call *call);

/* Memory for a value that a future hands out; NULL with an error. */
void *rondo_handout_new(rondo_loop *loop, size_t size);
void rondo_handout_free(void *value);

#endif
