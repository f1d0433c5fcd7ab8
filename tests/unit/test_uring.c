/* SPDX-License-Identifier: MIT */
/* The io_uring driver by itself: opening it, waiting, waking; and the program that runs the other
 * files' cases too. Where io_uring cannot run, the reason is printed and nothing is tested. */
#define _GNU_SOURCE
#include "uring_probe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    suite_add_tcase(suite, group);
    add_stream_cases(suite);
    add_socket_cases(suite);
    add_shortage_cases(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
