/* SPDX-License-Identifier: MIT */
/* The io_uring driver by itself: opening it, waiting, waking; and the program that runs the other
 * files' cases too. Where io_uring cannot run, the reason is printed and nothing is tested. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/base/memory.h"

/* --- waiting ------------------------------------------------------------------------------------------- */

START_TEST(test_never_early)
{
    static const rondo_ns spans[] = { 1,           999,         RONDO_US(1), RONDO_US(50), RONDO_US(1500),
                                      RONDO_MS(3), RONDO_MS(20) };
    start();
    pass(0);
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        for (unsigned round = 0; round < 10; round++) {
            rondo_ns before = now();
            ck_assert_uint_eq(pass(spans[i]), 0);
            ck_assert_int_ge(now() - before, spans[i]);
        }
    }
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

START_TEST(test_wake_from_a_thread)
{
    start();
    for (unsigned round = 0; round < 20; round++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, driver), 0);
        rondo_ns before = now();
        pass(RONDO_S(30));
        ck_assert_int_lt(now() - before, RONDO_S(20));
        pthread_join(thread, NULL);
        pass(0);
    }
    driver->ops->wake(driver); /* before the wait: it does not block */
    pass(RONDO_FOREVER);
    finish();
}
END_TEST

START_TEST(test_wake_before_the_first_wait)
{
    start();
    driver->ops->wake(driver);
    pass(RONDO_FOREVER);
    finish();
}
END_TEST

START_TEST(test_close_without_a_wait)
{
    start();
    ck_assert_ptr_nonnull(strstr(driver->ops->describe(driver), "Linux"));
    finish();
}
END_TEST

START_TEST(test_switched_off)
{
    struct rondo_driver_config config = { .allocator = &rondo_allocator_default };
    struct rondo_driver *none = NULL;
    setenv("RONDO_IO_URING", "0", 1);
    int rc = rondo_driver_uring.open(&config, NULL, &none);
    unsetenv("RONDO_IO_URING");
    ck_assert_int_eq(rc, RONDO_EUNAVAILABLE);
    ck_assert_ptr_null(none);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "RONDO_IO_URING"));
}
END_TEST

/* --- failures of opening ------------------------------------------------------------------------------ */

struct rationed {
    unsigned left;
    size_t live;
};

static void *rationed_allocate(void *context, size_t size)
{
    struct rationed *rationed = context;
    if (rationed->left == 0)
        return NULL;
    rationed->left--;
    rationed->live++;
    return malloc(size);
}

static void *rationed_reallocate(void *context, void *block, size_t size)
{
    struct rationed *rationed = context;
    if (rationed->left == 0)
        return NULL;
    rationed->left--;
    rationed->live += block == NULL;
    return realloc(block, size);
}

static void rationed_release(void *context, void *block)
{
    ((struct rationed *) context)->live--;
    free(block);
}

/* Each allocation fails once: the call that needed it says so, and nothing is left behind. */
START_TEST(test_out_of_memory)
{
    struct rationed rationed = { 0, 0 };
    rondo_allocator allocator = { sizeof allocator, rationed_allocate, rationed_reallocate, rationed_release,
                                  &rationed };
    struct rondo_driver_config config = { .allocator = &allocator };
    struct rondo_op op = { .kind = RONDO_OP_RECV, .socket = 0 };
    int rc = RONDO_ENOMEM;
    unsigned ration = 0;
    for (; rc == RONDO_ENOMEM; ration++) {
        struct rondo_driver *one = NULL;
        rationed.left = ration;
        rc = rondo_driver_uring.open(&config, NULL, &one);
        if (rc < 0) {
            ck_assert_ptr_null(one);
        } else {
            while ((rc = one->ops->submit(one, &op)) == RONDO_ENOMEM) {
                ck_assert_int_eq(op.state, RONDO_OP_IDLE);
                ck_assert_uint_eq(one->active, 0);
                rationed.left = ++ration;
            }
            one->ops->close(one);
        }
        ck_assert_uint_eq(rationed.live, 0);
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_uint_ge(ration, 5);
}
END_TEST

/* From here on the system call @call fails with @number in this process, as in a sandbox. */
static void refuse(unsigned call, unsigned number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(77);
}

static bool is_explained(unsigned call, unsigned number, int code, const char *word)
{
    struct rondo_driver_config config = { .allocator = &rondo_allocator_default };
    struct rondo_driver *none = NULL;
    refuse(call, number);
    int rc = rondo_driver_uring.open(&config, NULL, &none);
    return rc == code && !none && rondo_last_error() == code && strstr(rondo_last_error_message(), word);
}

/* Where the ring is refused, open says by what, and what can be done about it. */
START_TEST(test_refused)
{
    enum { SETUP = SYS_io_uring_setup, ENTER = SYS_io_uring_enter, REGISTER = SYS_io_uring_register };
    static const struct {
        unsigned call, number;
        int code;
        const char *word;
    } refusals[] = {
        { SETUP, EPERM, RONDO_EPERM, "seccomp" },      { SETUP, EACCES, RONDO_EACCES, "seccomp" },
        { SETUP, ENOSYS, RONDO_ENOSYS, "kernel" },     { SETUP, ENOMEM, RONDO_ENOMEM, "ulimit -l" },
        { SETUP, EINVAL, RONDO_ENOTSUP, "Linux 6.0" }, { SETUP, EMFILE, RONDO_EMFILE, "io_uring_setup" },
        { ENTER, EPERM, RONDO_EPERM, "seccomp" },      { ENTER, ENOSYS, RONDO_ENOSYS, "sandbox" },
        { REGISTER, EPERM, RONDO_EPERM, "seccomp" },   { REGISTER, ENOSYS, RONDO_ENOSYS, "sandbox" },
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            _exit(is_explained(refusals[i].call, refusals[i].number, refusals[i].code, refusals[i].word) ? 0
                                                                                                         : 1);
        int status = -1;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status), "refusal %zu", i);
        if (WEXITSTATUS(status) == 77) {
            printf("skipped: refused: no seccomp filters here\n");
            return;
        }
        ck_assert_msg(WEXITSTATUS(status) == 0, "refusal %zu", i);
    }
}
END_TEST

/* A forked child has none of the memory that the kernel writes to; it can close its copy and leave. */
START_TEST(test_child_closes_its_copy)
{
    int pair[2];
    start();
    make_pair(pair);
    struct probe *in = receive(pair[0]);
    pass(0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        driver->ops->close(driver);
        _exit(0);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    UNTIL(in->received == 1);
    driver->ops->cancel(driver, &in->op);
    finish();
    close(pair[0]);
    close(pair[1]);
    free(in);
}
END_TEST

static bool can_run(void)
{
    struct rondo_driver_config config = { .allocator = &rondo_allocator_default };
    struct rondo_driver *probe = NULL;
    if (rondo_driver_uring.open(&config, NULL, &probe) < 0) {
        printf("skipped: io_uring: %s\n", rondo_last_error_message());
        return false;
    }
    printf("io_uring: %s\n", probe->ops->describe(probe));
    probe->ops->close(probe);
    return true;
}

int main(void)
{
    if (!can_run())
        return 0;
    Suite *suite = suite_create("uring");
    TCase *group = tcase_create("wait");
    tcase_set_timeout(group, 60);
    tcase_add_test(group, test_never_early);
    tcase_add_test(group, test_wake_from_a_thread);
    tcase_add_test(group, test_wake_before_the_first_wait);
    tcase_add_test(group, test_close_without_a_wait);
    tcase_add_test(group, test_switched_off);
    tcase_add_test(group, test_out_of_memory);
    tcase_add_test(group, test_refused);
    tcase_add_test(group, test_child_closes_its_copy);
    suite_add_tcase(suite, group);
    add_stream_cases(suite);
    add_bulk_cases(suite);
    add_cancel_cases(suite);
    add_socket_cases(suite);
    add_shortage_cases(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
