/* SPDX-License-Identifier: MIT */
/* Choosing a backend: probing, names, environment, fallback, capabilities; options of a loop. */
#include <string.h>

#include "support.h"

enum { MAX = 16 };

static rondo_backend_info infos[MAX];

static const rondo_backend_info *info_of(rondo_backend backend)
{
    size_t count = rondo_backend_probe(infos, MAX);
    for (size_t i = 0; i < count && i < MAX; i++)
        if (infos[i].backend == backend)
            return &infos[i];
    return NULL;
}

static int make(rondo_backend backend, bool fallback, rondo_loop **ret_loop)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = backend;
    options.fallback = fallback;
    options.allocator = &support_allocator;
    return rondo_loop_new(&options, ret_loop);
}

START_TEST(test_probe)
{
    size_t count = rondo_backend_probe(NULL, 0);
    ck_assert_uint_ge(count, 2);
    ck_assert_uint_eq(rondo_backend_probe(infos, 1), count); /* never writes more than there is room for */
    ck_assert_uint_eq(rondo_backend_probe(infos, MAX), count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(infos[i].name, rondo_backend_name(infos[i].backend));
        ck_assert_int_ge(infos[i].backend, RONDO_BACKEND_EPOLL);
        if (infos[i].available) {
            ck_assert_int_eq(infos[i].error, 0);
            continue;
        }
        ck_assert_int_lt(infos[i].error, 0);
        ck_assert_ptr_nonnull(infos[i].reason);
        ck_assert_uint_gt(strlen(infos[i].reason), 0);
        rondo_loop *loop = NULL;
        ck_assert_int_lt(make(infos[i].backend, false, &loop),
                         0); /* asked for by name: fails, with the reason */
        ck_assert_ptr_null(loop);
        ck_assert_uint_gt(strlen(rondo_last_error_message()), 0);
    }
}
END_TEST

START_TEST(test_names)
{
    rondo_backend backend = RONDO_BACKEND_AUTO;
    for (int i = RONDO_BACKEND_AUTO; i <= RONDO_BACKEND_IOCP; i++) {
        ck_assert_int_eq(rondo_backend_from_name(rondo_backend_name((rondo_backend) i), &backend), 0);
        ck_assert_int_eq((int) backend, i);
    }
    ck_assert_int_eq(rondo_backend_from_name("epol", &backend), RONDO_EINVAL);
    ck_assert_int_eq(rondo_backend_from_name("", &backend), RONDO_EINVAL);
    ck_assert_int_eq(rondo_backend_from_name(NULL, &backend), RONDO_EINVAL);
    ck_assert_int_eq(backend, RONDO_BACKEND_IOCP); /* untouched */
    ck_assert_str_eq(rondo_backend_name((rondo_backend) 99), "unknown");
}
END_TEST

START_TEST(test_kinds)
{
    const rondo_backend_info *info = info_of(support_backend());
    ck_assert_ptr_nonnull(info);
    bool is_proactor = info->is_proactor;
    rondo_loop *loop = NULL;
    ck_assert_int_eq(make(support_backend(), false, &loop), 0);
    ck_assert_int_eq(rondo_loop_backend(loop), support_backend());
    ck_assert_str_eq(rondo_loop_backend_name(loop), support_backend_name());
    ck_assert_ptr_null(rondo_loop_fallback_reason(loop));
    ck_assert_int_eq((rondo_loop_capabilities(loop) & RONDO_CAN_PROACT) != 0, is_proactor);
    support_loop_end(loop);
    /* the family finds a member of its own */
    ck_assert_int_eq(make(is_proactor ? RONDO_BACKEND_PROACTOR : RONDO_BACKEND_SELECTOR, false, &loop), 0);
    ck_assert_int_eq((rondo_loop_capabilities(loop) & RONDO_CAN_PROACT) != 0, is_proactor);
    ck_assert_int_ge(rondo_loop_backend(loop), RONDO_BACKEND_EPOLL);
    support_loop_end(loop);
}
END_TEST

/* GEN-02: every call is there on every backend; what a loop cannot serve its capabilities do not claim. */
START_TEST(test_capabilities)
{
    for (int extended = 0; extended < 2; extended++) {
        rondo_loop_options options = RONDO_LOOP_OPTIONS;
        options.extended = extended;
        rondo_loop *loop = support_loop_with(&options);
        unsigned can = rondo_loop_capabilities(loop);
        ck_assert(can & RONDO_CAN_STREAMS);
        ck_assert_int_eq((can & RONDO_CAN_REUSE_PORT) != 0, support_backend() != RONDO_BACKEND_IOCP);
        ck_assert_int_eq((can & RONDO_CAN_PROACT) != 0, support_backend_is_proactor());
        if (support_backend_is_proactor() && !extended)
            ck_assert(!(can & (RONDO_CAN_WATCH_DESCRIPTORS | RONDO_CAN_DATAGRAMS)));
        if (support_backend() != RONDO_BACKEND_IOCP) {
            ck_assert(can & RONDO_CAN_SOCKET_CALLS);
            ck_assert_int_eq((can & RONDO_CAN_DATAGRAMS) != 0, extended || !support_backend_is_proactor());
            ck_assert_int_eq((can & RONDO_CAN_BLOCKING_SOCKETS) != 0, support_backend_is_proactor());
            ck_assert_int_eq((can & RONDO_CAN_WATCH_DESCRIPTORS) != 0,
                             extended || !support_backend_is_proactor());
        }
        support_loop_end(loop);
    }
    ck_assert_int_eq(rondo_err_class(RONDO_ENOTSUP), RONDO_CLASS_NOT_IMPLEMENTED);
}
END_TEST

/* The first backend that cannot run here; AUTO if all can. */
static rondo_backend missing_backend(void)
{
    size_t count = rondo_backend_probe(infos, MAX);
    for (size_t i = 0; i < count; i++)
        if (!infos[i].available)
            return infos[i].backend;
    return RONDO_BACKEND_AUTO;
}

START_TEST(test_fallback)
{
    rondo_loop *loop = NULL;
    rondo_backend missing = missing_backend();
    if (missing == RONDO_BACKEND_AUTO)
        return;
    ck_assert_int_lt(make(missing, false, &loop), 0);
    ck_assert_ptr_null(loop);
    ck_assert_int_eq(make(missing, true, &loop), 0);
    ck_assert_ptr_nonnull(rondo_loop_fallback_reason(loop));
    ck_assert_uint_gt(strlen(rondo_loop_fallback_reason(loop)), 0);
    ck_assert_int_ne(rondo_loop_backend(loop), missing);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_environment)
{
    rondo_loop *loop = NULL;
    support_setenv("RONDO_BACKEND", support_backend_name());
    ck_assert_int_eq(make(RONDO_BACKEND_AUTO, false, &loop), 0);
    ck_assert_int_eq(rondo_loop_backend(loop), support_backend());
    support_loop_end(loop);
    /* it overrides auto only */
    support_setenv("RONDO_BACKEND", "no such backend");
    loop = NULL;
    ck_assert_int_eq(make(RONDO_BACKEND_AUTO, false, &loop), RONDO_EINVAL);
    ck_assert_ptr_null(loop);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "no such backend"));
    ck_assert_int_eq(make(support_backend(), false, &loop), 0);
    support_loop_end(loop);
    support_setenv("RONDO_BACKEND", "");
    ck_assert_int_eq(make(RONDO_BACKEND_AUTO, false, &loop), 0);
    /* POL-03: a selector on Unix, the proactor on Windows */
    bool windows = info_of(RONDO_BACKEND_IOCP) && info_of(RONDO_BACKEND_IOCP)->available;
    ck_assert_int_eq((rondo_loop_capabilities(loop) & RONDO_CAN_PROACT) != 0, windows);
    support_loop_end(loop);
    support_setenv("RONDO_BACKEND", NULL);
}
END_TEST

START_TEST(test_bad_options)
{
    rondo_loop *loop = NULL;
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = (rondo_backend) 77;
    ck_assert_int_eq(rondo_loop_new(&options, &loop), RONDO_EINVAL);
    options = RONDO_LOOP_OPTIONS;
    options.size = 0;
    ck_assert_int_eq(rondo_loop_new(&options, &loop), RONDO_EINVAL);
    options = RONDO_LOOP_OPTIONS;
    options.spin_ns = -1;
    ck_assert_int_eq(rondo_loop_new(&options, &loop), RONDO_EINVAL);
    rondo_allocator empty = { .size = sizeof empty };
    options = RONDO_LOOP_OPTIONS;
    options.allocator = &empty;
    ck_assert_int_eq(rondo_loop_new(&options, &loop), RONDO_EINVAL);
    options = RONDO_LOOP_OPTIONS;
    ck_assert_int_eq(rondo_loop_new(&options, NULL), RONDO_EINVAL);
    ck_assert_ptr_null(loop);
}
END_TEST

START_TEST(test_options_of_an_older_program)
{
    /* a program compiled against a header whose structure ended earlier */
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.size = offsetof(rondo_loop_options, task_stack_size);
    options.backend = support_backend();
    options.task_stack_size = SIZE_MAX; /* beyond its end: not looked at */
    options.spin_ns = -1;
    rondo_loop *loop = NULL;
    ck_assert_int_eq(rondo_loop_new(&options, &loop), 0);
    support_loop_end(loop);
    rondo_loop_options *none = NULL;
    support_setenv("RONDO_BACKEND", support_backend_name());
    ck_assert_int_eq(rondo_loop_new(none, &loop), 0);
    support_setenv("RONDO_BACKEND", NULL);
    support_loop_end(loop);
}
END_TEST

static void stop(void *loop)
{
    rondo_loop_stop(loop);
}

START_TEST(test_metrics)
{
    rondo_loop *loop = support_loop();
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &metrics), 0);
    ck_assert_uint_eq(metrics.passes, 0);
    ck_assert_uint_eq(metrics.callbacks, 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "x"), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_US(10), NULL, stop, loop), 0);
    support_run(loop);
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &metrics), 0);
    ck_assert_uint_eq(metrics.callbacks, 6);
    ck_assert_uint_eq(metrics.timers, 1);
    ck_assert_uint_ge(metrics.passes, 1);
    struct {
        rondo_loop_metrics metrics;
        uint64_t after;
    } larger = { .metrics.size = sizeof larger, .after = 77 };
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &larger.metrics), 0); /* a newer program's structure */
    ck_assert_uint_eq(larger.metrics.callbacks, 6);
    metrics.size = 0;
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &metrics), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_get_metrics(loop, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_get_metrics(NULL, &metrics), RONDO_EINVAL);
    trace_clear();
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "choice");
    tcase_add_test(tcase, test_probe);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_kinds);
    tcase_add_test(tcase, test_capabilities);
    tcase_add_test(tcase, test_fallback);
    tcase_add_test(tcase, test_environment);
    tcase = support_case(suite, "options");
    tcase_add_test(tcase, test_bad_options);
    tcase_add_test(tcase, test_options_of_an_older_program);
    tcase_add_test(tcase, test_metrics);
}

int main(void)
{
    return support_main("backend", add_cases);
}
