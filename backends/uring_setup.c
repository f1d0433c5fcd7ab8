/* SPDX-License-Identifier: MIT */
/* The io_uring driver: opening and closing, and finding out what the kernel has.
 *
 * Happy path: the ring is created with the flags that pay (one issuer, task work run only when we
 * wait), the buffer ring is registered, and the driver is ready; the ring itself stays disabled until
 * the first wait.
 *
 * Failures, each with words that say what to do: switched off by RONDO_IO_URING; refused by a sysctl
 * or a sandbox (EPERM, EACCES, ENOSYS), be it one of the three calls alone; out of lockable memory
 * (ENOMEM, after a second try with small rings); a kernel before 6.0, which lacks repeating receives:
 * without them io_uring would be slower than epoll, so there is no leaner variant.
 *
 * Invariants: nothing that the kernel may write to is freed before the ring is closed; none of it is
 * inherited by a forked child. */
#define _GNU_SOURCE
#include "uring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../platform/socket.h"
#include "../src/base/error.h"
#include "../src/base/memory.h"

/* Newer than the oldest liburing: Linux 6.15. */
#define FEATURE_NO_IOWAIT (1u << 17)
#define ENTER_NO_IOWAIT (1u << 7)

enum {
    DEFAULT_ENTRIES = 256,
    SMALL_ENTRIES = 64, /* what is tried when memory is short */
    MOST_ENTRIES = 4096,
    COMPLETIONS_PER_ENTRY = 8,
    OPERATIONS = 256,    /* that a probe has room for */
    BUFFER_SIZE = 65536, /* of those in the ring, at most: what asyncio's proactor receives at a time */
    DEFAULT_RECEIVE_SIZE = 65536, /* a chunk of asyncio's proactor (TRN-17) */
    BUFFERS_PER_CALL =
        4, /* what a receive by a call takes: as much as a selector's; less is dearer, more is not cheaper */
    DEFAULT_BUFFERS = 64,
    MOST_BUFFERS = 32768,
    LEAST_RECEIVE_SIZE = 64,
    MOST_RECEIVE_SIZE = 1 << 24,
    CACHE_LINE = 64
};

/* What RONDO_IO_URING asks for: "0" none at all, "coop" no deferred task work. */
static const char *switch_of_environment(void)
{
    const char *value = getenv("RONDO_IO_URING");
    return value ? value : "";
}

/* --- reasons ---------------------------------------------------------------------------------------- */

static int read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    int number = -1;
    if (file) {
        if (fscanf(file, "%d", &number) != 1)
            number = -1;
        fclose(file);
    }
    return number;
}

static int explain_refusal(int number)
{
    int code = rondo_error_from_system(number);
    int disabled = read_number("/proc/sys/kernel/io_uring_disabled");
    if (disabled > 0)
        return rondo_fail(code,
                          "io_uring is switched off by the sysctl kernel.io_uring_disabled=%d: "
                          "set it to 0 (or, where it is 1, run with CAP_SYS_ADMIN or in io_uring_group)",
                          disabled);
    return rondo_fail(code,
                      "io_uring is refused here (errno %d), as sandboxes and containers do: "
                      "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile",
                      number);
}

static int explain_setup(int number)
{
    struct rlimit limit = { 0, 0 };
    switch (number) {
    case EPERM:
    case EACCES:
        return explain_refusal(number);
    case ENOSYS:
        return rondo_fail(RONDO_ENOSYS,
                          "no io_uring: the kernel is older than Linux 5.1 or built without it, "
                          "or a sandbox hides it");
    case ENOMEM:
        getrlimit(RLIMIT_MEMLOCK, &limit);
        return rondo_fail(RONDO_ENOMEM,
                          "no memory for an io_uring: lockable memory is limited to %llu KiB for each user; "
                          "raise it (ulimit -l, LimitMEMLOCK)",
                          (unsigned long long) limit.rlim_cur / 1024);
    case EINVAL:
        return rondo_fail(RONDO_ENOTSUP, "the io_uring of this kernel is too old: Linux 6.0 is needed");
    default:
        return rondo_fail_what(rondo_error_from_system(number), "io_uring_setup");
    }
}

/* --- the ring ----------------------------------------------------------------------------------------- */

static int try_ring(struct rondo_uring *uring, unsigned entries, unsigned flags)
{
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_TASKRUN_FLAG |
                       flags;
    parameters.cq_entries = entries * COMPLETIONS_PER_ENTRY;
    int rc = io_uring_queue_init_params(entries, &uring->ring, &parameters);
    if (rc < 0)
        uring->ring.ring_fd = -1; /* whatever is left there is not ours to close */
    return rc;
}

/* Deferred task work is Linux 6.1, cooperative 5.19; one issuer 6.0. */
static int open_ring_of(struct rondo_uring *uring, unsigned entries)
{
    int rc = -EINVAL;
    if (strcmp(switch_of_environment(), "coop") != 0)
        rc = try_ring(uring, entries, IORING_SETUP_DEFER_TASKRUN);
    if (rc == -EINVAL)
        rc = try_ring(uring, entries, IORING_SETUP_COOP_TASKRUN);
    return rc;
}

static int open_ring(struct rondo_uring *uring, unsigned entries)
{
    int rc = open_ring_of(uring, entries);
    if (rc == -ENOMEM && entries > SMALL_ENTRIES)
        rc = open_ring_of(uring, SMALL_ENTRIES);
    if (rc < 0)
        return explain_setup(-rc);
    io_uring_ring_dontfork(&uring->ring);
    return 0;
}

/* A sandbox may refuse each call by itself. The ring is disabled still, so that entering it is an error in any case. */
static int check_enter(struct rondo_uring *uring)
{
    int rc = io_uring_enter((unsigned) uring->ring.ring_fd, 0, 0, 0, NULL);
    return rc == -EPERM || rc == -EACCES || rc == -ENOSYS ? explain_setup(-rc) : 0;
}

/* Repeating receives have no flag of their own; they came with zero-copy sends, which have. */
static int check_kernel(struct rondo_uring *uring)
{
    const unsigned needed =
        IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP | IORING_FEAT_FAST_POLL;
    uint64_t memory[(sizeof(struct io_uring_probe) + OPERATIONS * sizeof(struct io_uring_probe_op)) / 8] = {
        0
    };
    struct io_uring_probe *probe = (struct io_uring_probe *) memory;
    int rc = io_uring_register_probe(&uring->ring, probe, OPERATIONS);
    if (rc < 0)
        return explain_setup(-rc);
    if (!io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) || (uring->ring.features & needed) != needed)
        return explain_setup(EINVAL);
    uring->wait_flags = IORING_ENTER_GETEVENTS;
    if (uring->ring.features & FEATURE_NO_IOWAIT)
        uring->wait_flags |= ENTER_NO_IOWAIT;
    return 0;
}

/* --- buffers ------------------------------------------------------------------------------------------ */

static void *map_private(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_DONTFORK);
    return memory;
}

static unsigned round_to_power(unsigned number, unsigned most)
{
    unsigned power = 1;
    while (power < number && power < most)
        power *= 2;
    return power;
}

static void size_buffers(struct rondo_uring_buffers *buffers, const struct rondo_driver_config *config)
{
    size_t size = config->receive_buffer_size ? config->receive_buffer_size : DEFAULT_RECEIVE_SIZE;
    if (size < LEAST_RECEIVE_SIZE)
        size = LEAST_RECEIVE_SIZE;
    if (size > MOST_RECEIVE_SIZE)
        size = MOST_RECEIVE_SIZE;
    buffers->chunk_size = size / CACHE_LINE * CACHE_LINE;
    buffers->size =
        buffers->chunk_size < BUFFER_SIZE ? (unsigned) buffers->chunk_size : (unsigned) BUFFER_SIZE;
    size_t several = (size_t) buffers->size * BUFFERS_PER_CALL;
    buffers->scratch_size = buffers->chunk_size > several ? buffers->chunk_size : several;
    buffers->count =
        round_to_power(config->receive_buffers ? config->receive_buffers : DEFAULT_BUFFERS, MOST_BUFFERS);
    /* A line apart, so that the beginnings of the buffers do not all fall into the same set of the caches. */
    buffers->stride = (size_t) buffers->size + CACHE_LINE;
}

int rondo_uring_lend_buffers(struct rondo_uring *uring, struct rondo_uring_buffers *buffers, unsigned group)
{
    buffers->memory_size = buffers->stride * buffers->count + buffers->scratch_size;
    buffers->memory = map_private(buffers->memory_size);
    buffers->ring_size = buffers->count * sizeof(struct io_uring_buf);
    buffers->ring = map_private(buffers->ring_size);
    if (!buffers->memory || !buffers->ring)
        return -ENOMEM;
    buffers->scratch = buffers->memory + buffers->count * buffers->stride;

    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t) (uintptr_t) buffers->ring;
    registration.ring_entries = buffers->count;
    registration.bgid = (uint16_t) group;
    int rc = io_uring_register_buf_ring(&uring->ring, &registration, 0);
    if (rc < 0)
        return rc;
    io_uring_buf_ring_init(buffers->ring);
    for (unsigned index = 0; index < buffers->count; index++)
        rondo_uring_give_buffer(buffers, index);
    return 0;
}

static int open_buffers(struct rondo_uring *uring, const struct rondo_driver_config *config)
{
    size_buffers(&uring->buffers, config);
    int rc = rondo_uring_lend_buffers(uring, &uring->buffers, RONDO_URING_GROUP);
    if (!uring->buffers.memory || !uring->buffers.ring)
        return rondo_fail(RONDO_ENOMEM, NULL);
    return rc < 0 ? explain_setup(-rc) : 0;
}

static void close_buffers(struct rondo_uring_buffers *buffers)
{
    if (buffers->ring)
        munmap(buffers->ring, buffers->ring_size);
    if (buffers->memory)
        munmap(buffers->memory, buffers->memory_size);
}

/* --- the rest ----------------------------------------------------------------------------------------- */

static int open_tables(struct rondo_uring *uring)
{
    uring->node_count = uring->ring.cq.ring_entries;
    uring->nodes = rondo_allocate(uring->allocator, uring->node_count * sizeof *uring->nodes);
    uring->pieces = rondo_allocate(uring->allocator, RONDO_URING_PIECES * sizeof *uring->pieces);
    uring->messages = rondo_allocate(uring->allocator, RONDO_URING_MESSAGES * sizeof *uring->messages);
    if (!uring->nodes || !uring->pieces || !uring->messages)
        return rondo_fail(RONDO_ENOMEM, NULL);
    return 0;
}

static int open_wake(struct rondo_uring *uring)
{
    uring->wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return uring->wake_descriptor < 0 ? rondo_fail(rondo_error_from_system(errno), NULL) : 0;
}

/* From Linux 6.6.1 to 6.7 a repeating accept on a ring with deferred task work may hand out
 * descriptors that are none. */
static void look_at_release(struct rondo_uring *uring)
{
    struct utsname name;
    int major = 0, minor = 0, patch = 0;
    if (uname(&name) < 0)
        return;
    if (sscanf(name.release, "%d.%d.%d", &major, &minor, &patch) >= 2)
        uring->accept_once = major == 6 && ((minor == 6 && patch > 0) || minor == 7);
    snprintf(uring->description, sizeof uring->description,
             "Linux %.40s, %s task work, %s accept, %u entries, %u receive buffers of %u bytes%s",
             name.release, uring->ring.flags & IORING_SETUP_DEFER_TASKRUN ? "deferred" : "cooperative",
             uring->accept_once ? "single" : "repeating", uring->ring.sq.ring_entries, uring->buffers.count,
             uring->buffers.size,
             uring->wait_flags & ENTER_NO_IOWAIT ? ", idle time not counted as I/O" : "");
}

static int open_parts(struct rondo_uring *uring, const struct rondo_driver_config *config)
{
    unsigned entries =
        round_to_power(config->ring_entries ? config->ring_entries : DEFAULT_ENTRIES, MOST_ENTRIES);
    int rc = open_ring(uring, entries);
    if (rc < 0)
        return rc;
    if ((rc = check_enter(uring)) < 0 || (rc = check_kernel(uring)) < 0 ||
        (rc = open_buffers(uring, config)) < 0 || (rc = open_tables(uring)) < 0 ||
        (rc = open_wake(uring)) < 0)
        return rc;
    look_at_release(uring);
    return 0;
}

extern const struct rondo_driver_ops rondo_driver_uring;

int rondo_uring_open(const struct rondo_driver_config *config, struct rondo_core *core,
                     struct rondo_driver **ret_driver)
{
    if (strcmp(switch_of_environment(), "0") == 0)
        return rondo_fail(RONDO_EUNAVAILABLE,
                          "io_uring is switched off by RONDO_IO_URING=0 in the environment");
    struct rondo_uring *uring = rondo_allocate_zeroed(config->allocator, sizeof *uring);
    if (!uring)
        return rondo_fail(RONDO_ENOMEM, NULL);
    uring->driver.ops = &rondo_driver_uring;
    uring->driver.core = core;
    uring->allocator = config->allocator;
    uring->datagrams.allocator = config->allocator;
    uring->ring.ring_fd = -1;
    uring->wake_descriptor = -1;
    uring->nobody.kind = RONDO_OP_WATCH_READ;
    uring->free_slot = RONDO_URING_NONE;
    uring->cancel_list = RONDO_URING_NONE;
    rondo_ready_list_init(&uring->pending);
    int rc = open_parts(uring, config);
    if (rc < 0) {
        rondo_uring_close(&uring->driver);
        return rc;
    }
    *ret_driver = &uring->driver;
    return 0;
}

/* Closing the ring makes the kernel drop what is left: the poll on the eventfd, cancels that nobody
 * waits for. */
void rondo_uring_close(struct rondo_driver *driver)
{
    struct rondo_uring *uring = rondo_uring_of(driver);
    if (uring->ring.ring_fd >= 0)
        io_uring_queue_exit(&uring->ring);
    if (uring->wake_descriptor >= 0)
        close(uring->wake_descriptor);
    close_buffers(&uring->buffers);
    close_buffers(&uring->letters.buffers);
    rondo_datagram_pool_free(&uring->datagrams);
    rondo_release(uring->allocator, uring->nodes);
    rondo_release(uring->allocator, uring->pieces);
    rondo_release(uring->allocator, uring->messages);
    rondo_release(uring->allocator, uring->slots);
    rondo_release(uring->allocator, uring->rows);
    rondo_release(uring->allocator, uring);
}
