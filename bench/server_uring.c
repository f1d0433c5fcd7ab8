/* SPDX-License-Identifier: MIT */
/* The limit for proactors: a bare io_uring loop with everything in it that a current kernel offers and
 * that pays.
 *
 * Happy path: one io_uring_enter for each pass (SINGLE_ISSUER, DEFER_TASKRUN, registered ring); multishot
 * accept into the table of fixed files; multishot recv from a ring of large buffers that the kernel fills
 * piece by piece (incremental, 6.12; before it: one message for each smaller buffer); the answer is sent
 * from where it was received, all that one connection got in a pass in one send, which goes out with the
 * enter that waits. A buffer goes back to the kernel when it is full and everything in it was sent.
 * Failures: without buffers a recv ends with ENOBUFS and is armed again when one comes home (or one more
 * is made); a connection with an error drops what it had to send and is closed once its recv and send have
 * ended.
 * Invariants: at most one send in flight for each connection; a connection is closed when neither is. */
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "server.h"

enum {
    BUFFERS = 128, /* at most; a power of two */
    BUFFERS_AT_FIRST = 4,
    LARGE_BUFFER = 256 * 1024, /* filled piece by piece */
    SMALL_BUFFER = 32 * 1024,  /* one message each */
    PIECES = 64,               /* of one send */
    MESSAGES = 512,            /* sends of several pieces between two enters */
    MAX_FILES = 32768,
    ANSWERS = BUFFERS,    /* in place of a buffer: the row of fixed answers */
    RING_INCREMENTAL = 2, /* IOU_PBUF_RING_INC, in headers since 6.12 */
    BUFFER_MORE = 16      /* IORING_CQE_F_BUF_MORE, likewise */
};

enum kind { ACCEPT, RECV, SEND, CLOSE };

struct chunk {
    unsigned buffer;
    unsigned offset, length;
};

struct connection {
    unsigned file;
    unsigned char state; /* the answer's */
    bool receiving, sending, ended, failed, dirty, starved;
    unsigned first, count, capacity; /* of chunks, a ring; capacity is a power of two */
    struct chunk *chunks;
    struct chunk only; /* where chunks points at first */
    struct connection *next_dirty, *next_starved;
};

/* A vectored send; the kernel has read it when the enter returns. */
struct message {
    struct msghdr header;
    struct iovec pieces[PIECES];
};

struct buffer {
    unsigned filled; /* bytes given out */
    unsigned unsent; /* chunks that are still to be sent */
    bool lent;       /* the kernel may fill it */
};

static _Thread_local struct {
    struct io_uring ring;
    struct io_uring_buf_ring *buffer_ring;
    unsigned char *memory;
    struct buffer buffers[BUFFERS];
    unsigned made, lent, buffer_size;
    struct message messages[MESSAGES];
    unsigned messages_used;
    bool incremental;
    int listener;
    bench_answer *answer;
    struct connection **connections; /* by fixed file */
    struct connection *dirty, *starved;
} self;

static struct io_uring_sqe *next_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self.ring);
    while (!sqe) {
        io_uring_submit(&self.ring);
        sqe = io_uring_get_sqe(&self.ring);
    }
    return sqe;
}

static void mark(struct io_uring_sqe *sqe, enum kind kind, unsigned file)
{
    sqe->user_data = (uint64_t) kind << 32 | file;
}

static void lend(unsigned index)
{
    self.buffers[index].filled = 0;
    self.buffers[index].lent = true;
    self.lent++;
    io_uring_buf_ring_add(self.buffer_ring, self.memory + (size_t) index * self.buffer_size, self.buffer_size,
                          (unsigned short) index, BUFFERS - 1, 0);
    io_uring_buf_ring_advance(self.buffer_ring, 1);
}

/* The kernel fills it no more. */
static void take_back(unsigned index)
{
    self.buffers[index].lent = false;
    self.lent--;
}

static void arm_accept(void)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept_direct(sqe, self.listener, NULL, NULL, 0);
    mark(sqe, ACCEPT, 0);
}

static void arm_recv(struct connection *connection)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_recv(sqe, (int) connection->file, NULL, 0, 0);
    sqe->ioprio = IORING_RECV_MULTISHOT | IORING_RECVSEND_POLL_FIRST;
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    mark(sqe, RECV, connection->file);
    connection->receiving = true;
}

static void make_dirty(struct connection *connection)
{
    if (connection->dirty)
        return;
    connection->dirty = true;
    connection->next_dirty = self.dirty;
    self.dirty = connection;
}

static void feed_starved(void)
{
    struct connection *connection = self.starved;
    self.starved = NULL;
    while (connection) {
        struct connection *next = connection->next_starved;
        connection->starved = false;
        if (!connection->failed && !connection->receiving)
            arm_recv(connection);
        connection = next;
    }
}

static void let_go(unsigned index)
{
    struct buffer *buffer = &self.buffers[index];
    if (buffer->lent || buffer->unsent > 0)
        return;
    lend(index);
    feed_starved();
}

static void starve(struct connection *connection)
{
    if (self.lent == 0 && self.made < BUFFERS)
        lend(self.made++);
    if (self.lent > 0) { /* or one has come home since the kernel found none */
        arm_recv(connection);
        return;
    }
    connection->starved = true;
    connection->next_starved = self.starved;
    self.starved = connection;
}

static bool grow_chunks(struct connection *connection)
{
    unsigned capacity = connection->capacity * 2;
    struct chunk *chunks = malloc(capacity * sizeof *chunks);
    if (!chunks)
        return false;
    for (unsigned i = 0; i < connection->count; i++)
        chunks[i] = connection->chunks[(connection->first + i) & (connection->capacity - 1)];
    if (connection->chunks != &connection->only)
        free(connection->chunks);
    connection->chunks = chunks;
    connection->capacity = capacity;
    connection->first = 0;
    return true;
}

static struct chunk *chunk_at(const struct connection *connection, unsigned index)
{
    return &connection->chunks[(connection->first + index) & (connection->capacity - 1)];
}

static bool append(struct connection *connection, const struct chunk *chunk)
{
    if (connection->count == connection->capacity && !grow_chunks(connection))
        return false;
    connection->count++;
    *chunk_at(connection, connection->count - 1) = *chunk;
    return true;
}

static void *bytes_of(const struct chunk *chunk)
{
    if (chunk->buffer == ANSWERS)
        return (void *) (uintptr_t) (bench_protocol_row() + chunk->offset);
    return self.memory + (size_t) chunk->buffer * self.buffer_size + chunk->offset;
}

/* Answers to @received. What points into the buffer (an echo after work) keeps it as any echo does. */
static bool keep_answers(struct connection *connection, const struct chunk *received)
{
    struct chunk rest = *received;
    while (rest.length > 0) {
        unsigned taken = rest.length < BENCH_ANSWER_CHUNK ? rest.length : BENCH_ANSWER_CHUNK;
        const unsigned char *data = bytes_of(&rest);
        size_t length = taken;
        const unsigned char *answer = self.answer(&connection->state, data, &length);
        struct chunk chunk = { ANSWERS, 0, (unsigned) length };
        if (answer == data)
            chunk = (struct chunk){ rest.buffer, rest.offset, taken };
        if (length > 0 && !append(connection, &chunk))
            return false;
        if (length > 0 && answer == data)
            self.buffers[rest.buffer].unsent++;
        rest.offset += taken;
        rest.length -= taken;
    }
    return true;
}

/* What was just received joins the last chunk where it follows it in memory and that is not being sent. */
static bool keep(struct connection *connection, unsigned index, unsigned length)
{
    struct buffer *buffer = &self.buffers[index];
    struct chunk chunk = { index, buffer->filled, length };
    buffer->filled += length;
    if (self.answer)
        return keep_answers(connection, &chunk);
    if (connection->count > 0 && !connection->sending) {
        struct chunk *last = chunk_at(connection, connection->count - 1);
        if (last->buffer == index && last->offset + last->length == chunk.offset) {
            last->length += length;
            return true;
        }
    }
    if (!append(connection, &chunk))
        return false;
    buffer->unsent++;
    return true;
}

static void drop_first(struct connection *connection)
{
    unsigned index = chunk_at(connection, 0)->buffer;
    connection->first++;
    connection->count--;
    if (index == ANSWERS)
        return;
    self.buffers[index].unsent--;
    let_go(index);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_accept();
    if (cqe->res < 0)
        return;
    unsigned file = (unsigned) cqe->res;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        fprintf(stderr, "bare-io_uring: out of memory\n");
        exit(1);
    }
    connection->file = file;
    connection->chunks = &connection->only;
    connection->capacity = 1;
    self.connections[file] = connection;
    arm_recv(connection);
}

static void on_recv(struct connection *connection, const struct io_uring_cqe *cqe)
{
    if (!(cqe->flags & IORING_CQE_F_MORE))
        connection->receiving = false;
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        unsigned index = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        if (!self.incremental || !(cqe->flags & BUFFER_MORE))
            take_back(index);
        if (cqe->res > 0 && !keep(connection, index, (unsigned) cqe->res))
            connection->failed = true;
        let_go(index);
    }
    if (cqe->res == -ENOBUFS)
        starve(connection);
    else if (cqe->res == 0)
        connection->ended = true;
    else if (cqe->res < 0)
        connection->failed = true;
    else if (!connection->receiving)
        arm_recv(connection);
    make_dirty(connection);
}

static void on_send(struct connection *connection, const struct io_uring_cqe *cqe)
{
    connection->sending = false;
    if (cqe->res < 0)
        connection->failed = true;
    unsigned sent = cqe->res > 0 ? (unsigned) cqe->res : 0;
    while (sent > 0) {
        struct chunk *chunk = chunk_at(connection, 0);
        if (sent < chunk->length) {
            chunk->offset += sent;
            chunk->length -= sent;
            break;
        }
        sent -= chunk->length;
        drop_first(connection);
    }
    if (connection->count > 0 || connection->ended || connection->failed)
        make_dirty(connection);
}

static void prepare_vectored(struct io_uring_sqe *sqe, const struct connection *connection)
{
    struct message *message = &self.messages[self.messages_used++];
    unsigned count = connection->count < PIECES ? connection->count : PIECES;
    for (unsigned i = 0; i < count; i++) {
        const struct chunk *chunk = chunk_at(connection, i);
        message->pieces[i] = (struct iovec){ bytes_of(chunk), chunk->length };
    }
    message->header.msg_iov = message->pieces;
    message->header.msg_iovlen = count;
    io_uring_prep_sendmsg(sqe, (int) connection->file, &message->header, MSG_NOSIGNAL | MSG_WAITALL);
}

static void send_chunks(struct connection *connection)
{
    if (self.messages_used == MESSAGES) {
        io_uring_submit(&self.ring);
        self.messages_used = 0;
    }
    struct io_uring_sqe *sqe = next_sqe();
    const struct chunk *first = chunk_at(connection, 0);
    if (connection->count == 1)
        io_uring_prep_send(sqe, (int) connection->file, bytes_of(first), first->length,
                           MSG_NOSIGNAL | MSG_WAITALL);
    else
        prepare_vectored(sqe, connection);
    sqe->flags |= IOSQE_FIXED_FILE;
    mark(sqe, SEND, connection->file);
    connection->sending = true;
}

static void finish(struct connection *connection)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_close_direct(sqe, connection->file);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    mark(sqe, CLOSE, connection->file);
    self.connections[connection->file] = NULL;
    if (connection->chunks != &connection->only)
        free(connection->chunks);
    free(connection);
}

/* Send or close what the completions of this pass have changed. */
static void settle(void)
{
    while (self.dirty) {
        struct connection *connection = self.dirty;
        self.dirty = connection->next_dirty;
        connection->dirty = false;
        if (connection->sending)
            continue;
        while (connection->failed && connection->count > 0)
            drop_first(connection);
        if (connection->count > 0)
            send_chunks(connection);
        else if ((connection->failed || connection->ended) && !connection->receiving && !connection->starved)
            finish(connection);
    }
}

static void dispatch(const struct io_uring_cqe *cqe)
{
    enum kind kind = (enum kind)(cqe->user_data >> 32);
    unsigned file = (unsigned) cqe->user_data;
    if (kind == ACCEPT)
        on_accept(cqe);
    else if (kind == RECV)
        on_recv(self.connections[file], cqe);
    else if (kind == SEND)
        on_send(self.connections[file], cqe);
}

static int open_ring(void)
{
    static const unsigned tries[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int rc = -EINVAL;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0] && rc == -EINVAL; i++) {
        struct io_uring_params parameters;
        memset(&parameters, 0, sizeof parameters);
        parameters.flags = tries[i] | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP;
        parameters.cq_entries = 16384;
        rc = io_uring_queue_init_params(1024, &self.ring, &parameters);
    }
    return rc;
}

static int open_buffers(void)
{
    size_t ring_size = BUFFERS * sizeof(struct io_uring_buf);
    self.memory = mmap(NULL, (size_t) BUFFERS * LARGE_BUFFER, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    self.buffer_ring = mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (self.memory == MAP_FAILED || (void *) self.buffer_ring == MAP_FAILED)
        return -ENOMEM;
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t) (uintptr_t) self.buffer_ring;
    registration.ring_entries = BUFFERS;
    registration.pad = RING_INCREMENTAL; /* called flags in later headers */
    self.incremental = true;
    self.buffer_size = LARGE_BUFFER;
    int rc = io_uring_register_buf_ring(&self.ring, &registration, 0);
    if (rc == -EINVAL) {
        registration.pad = 0;
        self.incremental = false;
        self.buffer_size = SMALL_BUFFER;
        rc = io_uring_register_buf_ring(&self.ring, &registration, 0);
    }
    if (rc < 0)
        return rc;
    io_uring_buf_ring_init(self.buffer_ring);
    unsigned at_first = self.incremental ? BUFFERS_AT_FIRST : BUFFERS;
    while (self.made < at_first)
        lend(self.made++);
    return 0;
}

static int open_files(void)
{
    struct rlimit limit = { 0, 0 };
    getrlimit(RLIMIT_NOFILE, &limit);
    unsigned files = limit.rlim_cur < MAX_FILES ? (unsigned) limit.rlim_cur : MAX_FILES;
    self.connections = calloc(files, sizeof *self.connections);
    return self.connections ? io_uring_register_files_sparse(&self.ring, files) : -ENOMEM;
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    self.listener = job->socket;
    self.answer = job->answer;
    int rc = open_ring();
    if (rc == 0)
        rc = open_buffers();
    if (rc == 0)
        rc = open_files();
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", server->name, strerror(-rc));
        return -1;
    }
    io_uring_register_ring_fd(&self.ring); /* refused: slower by a lookup */
    arm_accept();
    for (;;) {
        io_uring_submit_and_wait(&self.ring, 1);
        self.messages_used = 0;
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&self.ring, head, cqe)
        {
            dispatch(cqe);
            seen++;
        }
        io_uring_cq_advance(&self.ring, seen);
        settle();
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
    struct io_uring_probe *probe = io_uring_get_probe_ring(&self.ring);
    bool multishot = probe && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC); /* 6.0 brought both */
    io_uring_free_probe(probe);
    io_uring_queue_exit(&self.ring);
    if (!multishot)
        snprintf(reason, capacity, "the kernel's io_uring has no multishot recv (6.0)");
    return multishot;
}

extern const struct bench_server bench_uring_servers[];

const struct bench_server bench_uring_servers[] = {
    { .name = "bare-io_uring",
      .about = "hand-written io_uring loop: multishot, sends in the one enter",
      .family = BENCH_BARE,
      .services = BENCH_TCP | BENCH_UNIX,
      .available = available,
      .serve = serve },
    { .name = NULL },
};
