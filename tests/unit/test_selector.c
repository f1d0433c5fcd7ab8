/* SPDX-License-Identifier: MIT */
/* The selectors' drivers by themselves, without a loop: each of those that can run here gets every case.
 *
 * A case has a driver of its own and turns it by pass(): one wait, then the batch that stands in the queue. A watch is
 * an op that keeps count of what became of it. Failures: an op that never completes ends the case by its deadline. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/driver.h"
#include "src/base/container.h"
#include "support.h"

enum { MANY = 300 };

static const struct rondo_driver_ops *selector; /* whose turn it is */
static struct rondo_core core;
static struct rondo_driver *driver;

struct watch {
    struct rondo_op op;
    unsigned completions;
    ptrdiff_t last;   /* result of the last one */
    unsigned ordinal; /* which completion of its pass it was, from 1 */
    char text[64];
};

static unsigned ordinals;

/* --- driving ----------------------------------------------------------------------------------------- */

static int open_driver(void)
{
    struct rondo_driver_config config = { .allocator = &support_allocator };
    rondo_ready_list_init(&core.queue);
    int rc = selector->open(&config, &core, &driver);
    if (rc == 0)
        core.driver = driver;
    return rc;
}

static void start(void)
{
    ck_assert_msg(open_driver() == 0, "%s", rondo_last_error_message());
}

static void run_batch(void)
{
    struct rondo_ready_list batch;
    rondo_ready_list_init(&batch);
    rondo_ready_list_splice(&batch, &core.queue);
    ordinals = 0;
    for (struct rondo_ready *node; (node = rondo_ready_list_pop(&batch)) != NULL;)
        node->run(node, &core);
}

/* One pass. Returns how many ops the wait found. */
static unsigned pass(rondo_ns timeout)
{
    struct rondo_ready_list found;
    rondo_ready_list_init(&found);
    int rc = driver->ops->wait(driver, rondo_ready_list_is_empty(&core.queue) ? timeout : 0, &found);
    ck_assert_msg(rc == 0, "%s", rondo_last_error_message());
    unsigned count = 0;
    for (struct rondo_ready *node = found.head; node; node = node->next)
        count++;
    rondo_ready_list_splice(&core.queue, &found);
    run_batch();
    return count;
}

static void finish(void)
{
    while (driver->active > 0)
        pass(RONDO_S(5));
    driver->ops->close(driver);
    driver = NULL;
}

static void on_complete(struct rondo_op *op)
{
    struct watch *watch = rondo_container(op, struct watch, op);
    watch->completions++;
    watch->last = op->result;
    watch->ordinal = ++ordinals;
    if (op->kind == RONDO_OP_RECV && op->result > 0 && (size_t) op->result < sizeof watch->text)
        memcpy(watch->text, op->data, (size_t) op->result);
}

static size_t gather_one(struct rondo_op *op, rondo_bytes *pieces, size_t capacity)
{
    (void) op;
    (void) capacity;
    pieces[0] = (rondo_bytes){ .data = "x", .length = 1 };
    return 1;
}

static void submit(struct watch *watch, enum rondo_op_kind kind, int sock)
{
    *watch = (struct watch){ .op = { .complete = on_complete, .kind = (uint8_t) kind, .socket = sock } };
    if (kind == RONDO_OP_SEND)
        watch->op.gather = gather_one;
    ck_assert_msg(driver->ops->submit(driver, &watch->op) == 0, "%s", rondo_last_error_message());
}

static void cancel(struct watch *watch)
{
    driver->ops->cancel(driver, &watch->op);
}

static void make_pair(int pair[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
    driver->ops->close_socket(driver, pair[0]);
    close(pair[1]);
}

/* --- interest ---------------------------------------------------------------------------------------- */

/* SEL-01: one entry with two sides; they come and go by themselves. */
START_TEST(test_sides)
{
    struct watch reading, writing;
    int pair[2];
    start();
    make_pair(pair);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    ck_assert_uint_eq(pass(0), 0);
    submit(&writing, RONDO_OP_SEND, pair[0]);
    ck_assert_uint_eq(pass(0), 1);
    ck_assert_int_eq(writing.last, 1);
    ck_assert_uint_eq(pass(0), 0); /* the writing side is gone */
    ck_assert_int_eq(send(pair[1], "hello", 5, 0), 5);
    ck_assert_uint_eq(pass(RONDO_S(5)), 1);
    ck_assert_str_eq(reading.text, "hello");
    cancel(&reading);
    pass(0);
    ck_assert_int_eq(reading.last, RONDO_ECANCELLED);
    close_pair(pair);
    finish();
}
END_TEST

/* FDW-07: the reader goes before the writer when both sides are ready at once. */
START_TEST(test_reader_first)
{
    struct watch reading, writing;
    int pair[2];
    start();
    make_pair(pair);
    ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
    submit(&writing, RONDO_OP_SEND, pair[0]);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    ck_assert_uint_eq(pass(RONDO_S(5)), 2);
    ck_assert_uint_eq(reading.ordinal, 1);
    ck_assert_uint_eq(writing.ordinal, 2);
    cancel(&reading);
    pass(0);
    close_pair(pair);
    finish();
}
END_TEST

/* SEL-01: closed behind the selector's back. Taking the interest away is no error, and what has the number next is
 * watched as well as any other. */
START_TEST(test_closed_behind_our_back)
{
    struct watch reading, writing;
    int pair[2], other[2];
    start();
    make_pair(pair);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    submit(&writing, RONDO_OP_SEND, pair[0]);
    pass(0);
    close(pair[0]);
    close(pair[1]);
    cancel(&reading);
    pass(0);
    make_pair(other);
    ck_assert_int_eq(other[0], pair[0]);
    submit(&writing, RONDO_OP_SEND, other[0]);
    pass(0);
    submit(&reading, RONDO_OP_RECV, other[0]);
    pass(0);
    cancel(&reading);
    pass(0);
    close_pair(other);
    make_pair(other);
    submit(&reading, RONDO_OP_RECV, other[0]);
    pass(0);
    ck_assert_int_eq(send(other[1], "again", 5, 0), 5);
    pass(RONDO_S(5));
    ck_assert_str_eq(reading.text, "again");
    cancel(&reading);
    pass(0);
    close_pair(other);
    finish();
}
END_TEST

/* FDW-09: no event of a descriptor reaches the next one with its number, though a copy keeps the file alive. */
START_TEST(test_number_used_again)
{
    struct watch reading;
    int pair[2], other[2];
    start();
    make_pair(pair);
    int copy = dup(pair[0]);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    pass(0);
    cancel(&reading);
    pass(0);
    driver->ops->close_socket(driver, pair[0]);
    make_pair(other);
    ck_assert_int_eq(other[0], pair[0]);
    submit(&reading, RONDO_OP_RECV, other[0]);
    pass(0);
    ck_assert_int_eq(send(pair[1], "old", 3, 0), 3);
    ck_assert_uint_eq(pass(0), 0);
    ck_assert_uint_eq(reading.completions, 0);
    cancel(&reading);
    pass(0);
    close(copy);
    close(pair[1]);
    close_pair(other);
    finish();
}
END_TEST

/* What was closed keeps nobody awake, though a copy of it has something to read, the first time and later. */
START_TEST(test_copy_of_what_was_closed)
{
    struct watch reading, other;
    int others[2];
    start();
    make_pair(others);
    submit(&other, RONDO_OP_RECV, others[0]);
    for (unsigned round = 1; round <= 3; round++) {
        int pair[2];
        make_pair(pair);
        int copy = dup(pair[0]);
        submit(&reading, RONDO_OP_RECV, pair[0]);
        pass(0);
        cancel(&reading);
        pass(0);
        driver->ops->close_socket(driver, pair[0]);
        ck_assert_int_eq(send(pair[1], "old", 3, 0), 3);
        pass(0); /* it may show once */
        rondo_ns began = support_now();
        ck_assert_uint_eq(pass(RONDO_MS(20)), 0);
        ck_assert_int_ge(support_now() - began, RONDO_MS(20));
        ck_assert_int_eq(send(others[1], "new", 3, 0), 3);
        ck_assert_uint_eq(pass(RONDO_S(5)), 1);
        ck_assert_uint_eq(other.completions, round);
        close(copy);
        close(pair[1]);
    }
    cancel(&other);
    pass(0);
    close_pair(others);
    finish();
}
END_TEST

/* The same file comes back under the number that was closed. */
START_TEST(test_number_used_again_by_a_copy)
{
    struct watch reading;
    int pair[2];
    start();
    make_pair(pair);
    int copy = dup(pair[0]);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    pass(0);
    cancel(&reading);
    pass(0);
    driver->ops->close_socket(driver, pair[0]);
    ck_assert_int_eq(dup2(copy, pair[0]), pair[0]);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    ck_assert_int_eq(send(pair[1], "news", 5, 0), 5);
    pass(RONDO_S(5));
    ck_assert_uint_eq(reading.completions, 1);
    ck_assert_str_eq(reading.text, "news");
    cancel(&reading);
    pass(0);
    close(copy);
    close_pair(pair);
    finish();
}
END_TEST

/* FDW-13: what is always ready cannot be watched, and says so. */
START_TEST(test_not_pollable)
{
    struct watch reading, writing;
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    start();
    submit(&reading, RONDO_OP_RECV, fileno(file));
    submit(&writing, RONDO_OP_SEND, fileno(file));
    pass(RONDO_S(5));
    ck_assert_int_eq(reading.last, RONDO_EPERM);
    ck_assert_int_eq(writing.last, RONDO_EPERM);
    submit(&reading, RONDO_OP_RECV, fileno(file)); /* and says so again */
    pass(RONDO_S(5));
    ck_assert_int_eq(reading.last, RONDO_EPERM);
    fclose(file);
    submit(&reading, RONDO_OP_RECV, 900);
    pass(RONDO_S(5));
    ck_assert_int_eq(reading.last, RONDO_EBADF);
    finish();
}
END_TEST

/* SEL-06: a device that the system's own selector cannot watch is refused, and can be watched by poll. */
START_TEST(test_character_device)
{
    struct watch reading;
    int device = open("/dev/null", O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(device, 0);
    start();
    submit(&reading, RONDO_OP_RECV, device);
    pass(RONDO_S(5));
    bool is_watched =
        selector->backend == RONDO_BACKEND_POLL; /* then the receive says that it is no socket */
    ck_assert_int_eq(reading.last, is_watched ? RONDO_ENOTSOCK : RONDO_EPERM);
    driver->ops->close_socket(driver, device);
    finish();
}
END_TEST

/* What was written before the end comes before it, and FDW-10: the end is on the writing side, too. */
START_TEST(test_end_with_unread_data)
{
    struct watch reading, writing;
    int pair[2];
    start();
    make_pair(pair);
    ck_assert_int_eq(send(pair[1], "last words", 10, 0), 10);
    close(pair[1]);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    submit(&writing, RONDO_OP_SEND, pair[0]);
    pass(RONDO_S(5));
    ck_assert_str_eq(reading.text, "last words");
    ck_assert_int_eq(reading.last, 10);
    ck_assert_int_eq(writing.last, RONDO_EPIPE);
    pass(RONDO_S(5));
    ck_assert_int_eq(reading.last, 0);
    ck_assert_uint_eq(driver->active, 0);
    ck_assert_uint_eq(pass(0), 0);
    ck_assert_uint_eq(pass(RONDO_MS(1)), 0); /* nobody is there: it reports nothing any more */
    driver->ops->close_socket(driver, pair[0]);
    finish();
}
END_TEST

/* --- waiting ----------------------------------------------------------------------------------------- */

/* SEL-02: never early, also with nothing to watch. */
START_TEST(test_never_early)
{
    static const rondo_ns spans[] = { 1,           999,         RONDO_US(1), RONDO_US(50), RONDO_US(1500),
                                      RONDO_MS(3), RONDO_MS(20) };
    start();
    pass(0);
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        for (unsigned round = 0; round < 5; round++) {
            rondo_ns before = support_now();
            ck_assert_uint_eq(pass(spans[i]), 0);
            ck_assert_int_ge(support_now() - before, spans[i]);
        }
    }
    finish();
}
END_TEST

static void on_signal(int number)
{
    (void) number;
}

struct interrupter {
    pthread_t target;
    atomic_bool is_over;
};

/* Again and again: the first ones may come before the wait. */
static void *interrupt(void *context)
{
    struct interrupter *interrupter = context;
    struct timespec span = { 0, 5000000 };
    while (!atomic_load(&interrupter->is_over)) {
        nanosleep(&span, NULL);
        pthread_kill(interrupter->target, SIGUSR1);
    }
    return NULL;
}

/* SEL-03: an interrupted wait is an empty result. */
START_TEST(test_interrupted)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGUSR1, &action, NULL);
    start();
    struct interrupter interrupter = { .target = pthread_self() };
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt, &interrupter), 0);
    rondo_ns before = support_now();
    size_t completed = pass(RONDO_S(20));
    rondo_ns waited = support_now() - before;
    atomic_store(&interrupter.is_over, true);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(completed, 0);
    ck_assert_int_lt(waited, RONDO_S(15));
    finish();
}
END_TEST

static void *wake_later(void *context)
{
    struct timespec span = { 0, 5000000 };
    nanosleep(&span, NULL);
    driver->ops->wake(context);
    return NULL;
}

START_TEST(test_wake)
{
    start();
    driver->ops->wake(driver); /* before the first wait: it does not block */
    pass(RONDO_S(20));
    for (unsigned round = 0; round < 10; round++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, driver), 0);
        rondo_ns before = support_now();
        pass(RONDO_S(20));
        ck_assert_int_lt(support_now() - before, RONDO_S(15));
        pthread_join(thread, NULL);
        for (unsigned i = 0; i < 3; i++) /* it was taken, and does not come again */
            pass(0);
        before = support_now();
        pass(RONDO_MS(2));
    }
    finish();
}
END_TEST

/* --- many -------------------------------------------------------------------------------------------- */

static int copies[MANY];
static struct watch watches[MANY];

static void copy_many(int original, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        copies[i] = fcntl(original, F_DUPFD_CLOEXEC, 0);
        ck_assert_int_ge(copies[i], 0);
    }
}

static void close_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        driver->ops->close_socket(driver, copies[i]);
}

/* SEL-04: one wait finds all that are ready. */
START_TEST(test_all_in_one_wait)
{
    int pair[2];
    int room = 1 << 20; /* each byte is a message of its own */
    start();
    make_pair(pair);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    copy_many(pair[0], MANY);
    for (unsigned i = 0; i < MANY; i++)
        submit(&watches[i], RONDO_OP_SEND, copies[i]);
    ck_assert_uint_eq(pass(0), MANY);
    close_many(MANY);
    close_pair(pair);
    finish();
}
END_TEST

/* Whoever was reported first is not the first again, so each of them is once. */
START_TEST(test_first_place_goes_round)
{
    if (selector->backend != RONDO_BACKEND_POLL)
        return;
    enum { FEW = 5 };
    int pair[2];
    bool was_first[FEW] = { false };
    start();
    make_pair(pair);
    copy_many(pair[0], FEW);
    for (unsigned round = 0; round < FEW; round++) {
        ck_assert_int_eq(send(pair[1], "12345", FEW, 0), FEW);
        for (unsigned i = 0; i < FEW && round == 0; i++)
            submit(&watches[i], RONDO_OP_RECV, copies[i]);
        ck_assert_uint_eq(pass(RONDO_S(5)), FEW);
        for (unsigned i = 0; i < FEW; i++) { /* the first one receives all */
            was_first[i] |= watches[i].completions > 0;
            watches[i].completions = 0;
        }
    }
    for (unsigned i = 0; i < FEW; i++) {
        ck_assert_msg(was_first[i], "number %u was never first", i);
        cancel(&watches[i]);
    }
    pass(0);
    close_many(FEW);
    close_pair(pair);
    finish();
}
END_TEST

/* Interest that comes and goes by chance: each wait finds exactly those that are watched. */
START_TEST(test_changes_by_chance)
{
    int pair[2];
    unsigned seed = 20;
    char drain[MANY];
    int room = 1 << 20;
    start();
    make_pair(pair);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    copy_many(pair[0], MANY);
    for (unsigned round = 0; round < 100; round++) {
        unsigned expected = 0;
        for (unsigned i = 0; i < MANY; i++) {
            watches[i].completions = 0;
            if (rand_r(&seed) % 2)
                continue;
            submit(&watches[i], rand_r(&seed) % 2 ? RONDO_OP_SEND : RONDO_OP_RECV, copies[i]);
            expected += watches[i].op.kind == RONDO_OP_SEND;
        }
        ck_assert_uint_eq(pass(0), expected);
        for (unsigned i = 0; i < MANY; i++)
            if (rondo_op_is_active(&watches[i].op))
                cancel(&watches[i]);
        pass(0);
        ck_assert_uint_eq(driver->active, 0);
        while (recv(pair[1], drain, sizeof drain, 0) > 0)
            continue;
        if (round % 10 == 9) { /* others come in their place */
            close_many(MANY / 2);
            copy_many(pair[0], MANY / 2);
        }
    }
    close_many(MANY);
    close_pair(pair);
    finish();
}
END_TEST

/* --- opening, closing -------------------------------------------------------------------------------- */

/* Each allocation fails once: the call that needed it says so, and nothing is left behind. */
START_TEST(test_out_of_memory)
{
    int pair[2];
    make_pair(pair);
    struct watch reading = { 0 };
    bool has_failed = true;
    for (size_t nth = 1; has_failed; nth++) {
        support_fail_nth(nth);
        int rc = open_driver();
        if (rc == 0) {
            reading =
                (struct watch){ .op = { .complete = on_complete, .kind = RONDO_OP_RECV, .socket = pair[0] } };
            rc = driver->ops->submit(driver, &reading.op);
            if (rc == 0)
                pass(0);
            if (rc == 0 && rondo_op_is_active(&reading.op)) {
                cancel(&reading);
                pass(0);
                ck_assert_int_eq(reading.last, RONDO_ECANCELLED);
            } else if (rc == 0) {
                ck_assert_int_eq(reading.last, RONDO_ENOMEM);
            }
            finish();
        }
        has_failed = support_has_failed();
        support_fail_nth(0);
        ck_assert_msg(rc == 0 || (rc == RONDO_ENOMEM && has_failed), "%s", rondo_last_error_message());
        ck_assert_uint_eq(support_blocks(), 0);
        ck_assert_uint_lt(nth, 50);
    }
    close(pair[0]);
    close(pair[1]);
}
END_TEST

/* The child closes its copy: no descriptor of its own goes with it, and the parent's driver still works. */
START_TEST(test_child_closes_its_copy)
{
    struct watch reading;
    int pair[2];
    start();
    make_pair(pair);
    submit(&reading, RONDO_OP_RECV, pair[0]);
    pass(0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int own[16];
        for (unsigned i = 0; i < 16; i++) /* one of them may get a number that was the selector's */
            own[i] = dup(pair[1]);
        cancel(&reading);
        run_batch();
        driver->ops->close(driver);
        for (unsigned i = 0; i < 16; i++)
            if (fcntl(own[i], F_GETFD) < 0)
                _exit(1);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(send(pair[1], "still here", 10, 0), 10);
    pass(RONDO_S(5));
    ck_assert_str_eq(reading.text, "still here");
    cancel(&reading);
    pass(0);
    close_pair(pair);
    finish();
}
END_TEST

START_TEST(test_describes_itself)
{
    start();
    ck_assert_uint_gt(strlen(driver->ops->describe(driver)), 0);
    ck_assert_str_eq(selector->name, rondo_backend_name(selector->backend));
    finish();
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- */

static void add_cases(Suite *suite)
{
    TCase *interest = support_case(suite, "interest");
    tcase_add_test(interest, test_sides);
    tcase_add_test(interest, test_reader_first);
    tcase_add_test(interest, test_closed_behind_our_back);
    tcase_add_test(interest, test_number_used_again);
    tcase_add_test(interest, test_copy_of_what_was_closed);
    tcase_add_test(interest, test_number_used_again_by_a_copy);
    tcase_add_test(interest, test_not_pollable);
    tcase_add_test(interest, test_character_device);
    tcase_add_test(interest, test_end_with_unread_data);
    TCase *waiting = support_case(suite, "waiting");
    tcase_add_test(waiting, test_never_early);
    tcase_add_test(waiting, test_interrupted);
    tcase_add_test(waiting, test_wake);
    TCase *many = support_case(suite, "many");
    tcase_add_test(many, test_all_in_one_wait);
    tcase_add_test(many, test_first_place_goes_round);
    tcase_add_test(many, test_changes_by_chance);
    TCase *ends = support_case(suite, "opening and closing");
    tcase_add_test(ends, test_out_of_memory);
    tcase_add_test(ends, test_child_closes_its_copy);
    tcase_add_test(ends, test_describes_itself);
}

int main(void)
{
    const char *only = getenv("RONDO_TEST_BACKEND");
    int failed = 0, ran = 0;
    for (size_t i = 0; rondo_driver_registry[i]; i++) {
        selector = rondo_driver_registry[i];
        if (selector->is_proactor || (only && *only && strcmp(only, selector->name) != 0))
            continue;
        printf("%s:\n", selector->name);
        failed |= support_main_once("selector", add_cases);
        ran++;
    }
    return failed || (!ran && !(only && *only));
}
