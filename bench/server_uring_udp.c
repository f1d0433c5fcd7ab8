/* SPDX-License-Identifier: MIT */
/* Datagrams on a bare io_uring loop: one multishot recvmsg into a ring of small buffers, each answer sent from
 * its buffer with the enter that waits. A buffer goes back to the kernel when its answer has left. */
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "server.h"

enum {
    BUFFERS = 512,         /* a power of two */
    BUFFER = 2048 + 64 * 3 /* the kernel's header and the address precede the bytes */
};

static const uint64_t receiving = UINT64_MAX; /* as user data; a buffer's number: its answer */

static struct io_uring ring;
static struct io_uring_buf_ring *buffer_ring;
static unsigned char *memory;
static struct msghdr shape; /* of what is received: room for an address */
static struct msghdr answers[BUFFERS];
static struct iovec pieces[BUFFERS];

static struct io_uring_sqe *next_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    while (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    return sqe;
}

static void arm(int sock)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_recvmsg_multishot(sqe, sock, &shape, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    sqe->user_data = receiving;
}

static void lend(unsigned index)
{
    io_uring_buf_ring_add(buffer_ring, memory + (size_t) index * BUFFER, BUFFER, (unsigned short) index,
                          BUFFERS - 1, 0);
    io_uring_buf_ring_advance(buffer_ring, 1);
}

static void answer(int sock, unsigned index, int length)
{
    struct io_uring_recvmsg_out *out =
        io_uring_recvmsg_validate(memory + (size_t) index * BUFFER, length, &shape);
    if (!out) {
        lend(index);
        return;
    }
    pieces[index].iov_base = io_uring_recvmsg_payload(out, &shape);
    pieces[index].iov_len = io_uring_recvmsg_payload_length(out, length, &shape);
    answers[index] = (struct msghdr){ .msg_name = io_uring_recvmsg_name(out),
                                      .msg_namelen = out->namelen,
                                      .msg_iov = &pieces[index],
                                      .msg_iovlen = 1 };
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_sendmsg(sqe, sock, &answers[index], 0);
    sqe->user_data = index;
}

static void dispatch(const struct io_uring_cqe *cqe, int sock)
{
    if (cqe->user_data != receiving) {
        lend((unsigned) cqe->user_data);
        return;
    }
    if (cqe->flags & IORING_CQE_F_BUFFER)
        answer(sock, cqe->flags >> IORING_CQE_BUFFER_SHIFT, cqe->res);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm(sock);
}

static int open_ring(void)
{
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    parameters.cq_entries = 4096;
    int rc = io_uring_queue_init_params(1024, &ring, &parameters);
    if (rc == -EINVAL) { /* before 6.1 */
        parameters.flags = IORING_SETUP_CQSIZE;
        rc = io_uring_queue_init_params(1024, &ring, &parameters);
    }
    return rc;
}

static int open_buffers(void)
{
    size_t ring_size = BUFFERS * sizeof(struct io_uring_buf);
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    memory = mmap(NULL, (size_t) BUFFERS * BUFFER, protection, flags, -1, 0);
    buffer_ring = mmap(NULL, ring_size, protection, flags, -1, 0);
    if (memory == MAP_FAILED || (void *) buffer_ring == MAP_FAILED)
        return -ENOMEM;
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t) (uintptr_t) buffer_ring;
    registration.ring_entries = BUFFERS;
    int rc = io_uring_register_buf_ring(&ring, &registration, 0);
    if (rc < 0)
        return rc;
    io_uring_buf_ring_init(buffer_ring);
    for (unsigned i = 0; i < BUFFERS; i++)
        lend(i);
    return 0;
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    int rc = open_ring();
    if (rc == 0)
        rc = open_buffers();
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", server->name, strerror(-rc));
        return -1;
    }
    io_uring_register_ring_fd(&ring); /* refused: slower by a lookup */
    shape.msg_namelen = sizeof(struct sockaddr_storage);
    arm(job->socket);
    for (;;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            dispatch(cqe, job->socket);
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
    }
}

static bool available(const struct bench_server *server, char *reason, size_t capacity)
{
    (void) server;
    int rc = open_ring();
    if (rc < 0) {
        snprintf(reason, capacity, "io_uring_setup: %s", strerror(-rc));
        return false;
    }
    io_uring_queue_exit(&ring);
    return true;
}

extern const struct bench_server bench_uring_udp_servers[];

const struct bench_server bench_uring_udp_servers[] = {
    { .name = "bare-io_uring",
      .about = "hand-written io_uring loop: multishot recvmsg, sends in the one enter",
      .family = BENCH_BARE,
      .services = BENCH_DATAGRAMS,
      .available = available,
      .serve = serve },
    { .name = NULL },
};
