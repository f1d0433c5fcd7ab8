/* SPDX-License-Identifier: MIT */
/* call_soon and its kin: order, contexts, destructors, bad arguments. */
#include <string.h>

#include "support.h"

static rondo_loop *loop;

static void begin(void)
{
    loop = support_loop();
}

static void end(void)
{
    support_loop_end(loop);
}

static void soon(rondo_callback *callback, void *context)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, callback, context), 0);
}

START_TEST(test_order)
{
    begin();
    soon(trace_word, "a");
    soon(trace_word, "b");
    soon(trace_word, "a"); /* CALL-02 */
    trace_is("");          /* CALL-03 */
    support_run_passes(loop, 2);
    trace_is("a b a"); /* CALL-01 */
    end();
}
END_TEST

static void two_generations(void *word)
{
    trace("%s", (const char *) word);
    soon(trace_word, "child");
    trace_is("parent");
}

START_TEST(test_from_a_callback)
{
    begin();
    soon(two_generations, "parent");
    support_run_passes(loop, 1);
    trace_is(""); /* CALL-03 */
    support_run_passes(loop, 1);
    trace_is("child");
    end();
}
END_TEST

enum { MANY = 20000 };

static int order[MANY];
static int arrived;

static void arrive(void *number)
{
    order[arrived++] = (int) (intptr_t) number;
}

START_TEST(test_many)
{
    begin();
    for (int round = 0; round < 3; round++) {
        arrived = 0;
        for (int i = 0; i < MANY; i++)
            soon(arrive, (void *) (intptr_t) i);
        support_run_passes(loop, 1);
        ck_assert_int_eq(arrived, MANY); /* CALL-02, RUN-04: one batch */
        for (int i = 0; i < MANY; i++)
            ck_assert_int_eq(order[i], i);
    }
    end();
}
END_TEST

/* --- contexts --------------------------------------------------------------------------------- */

static void fail_call(void *word)
{
    trace("fail");
    rondo_raise(RONDO_EUSER, "%s", (const char *) word);
}

static void release(void *word)
{
    trace("~%s", (const char *) word);
}

static rondo_call call_of(rondo_callback *callback, void *context)
{
    return (rondo_call){
        .size = sizeof(rondo_call), .callback = callback, .context = context, .destroy = release
    };
}

START_TEST(test_destructor_after_the_call)
{
    begin();
    rondo_call one = call_of(trace_word, "one");
    rondo_call two = call_of(fail_call, "two");
    rondo_call three = call_of(trace_word, "three");
    three.when = 0;
    ck_assert_int_eq(rondo_loop_call(loop, &one, NULL), 0);
    ck_assert_int_eq(rondo_loop_call_threadsafe(loop, &two, NULL), 0);
    ck_assert_int_eq(rondo_loop_call_timed(loop, &three, NULL), 0);
    one.context = two.context = "changed"; /* CALL-04: stored at the call */
    support_run_passes(loop, 2);
    trace_is("one ~one fail ~two three ~three"); /* CALL-04: once, also after a failure */
    ck_assert_uint_eq(support_reports(), 1);
    ck_assert_str_eq(support_report_at(0)->error_message, "two");
    end();
}
END_TEST

static rondo_handle handle;

static void cancel_self(void *word)
{
    trace("%s", (const char *) word);
    rondo_handle_cancel(&handle);
    trace("still");
}

START_TEST(test_destructor_at_cancel)
{
    begin();
    rondo_call call = call_of(trace_word, "a");
    ck_assert_int_eq(rondo_loop_call(loop, &call, &handle), 0);
    rondo_handle copy = handle;
    rondo_handle_cancel(&handle);
    trace_is("~a"); /* HDL-03: at once */
    rondo_handle_cancel(&handle);
    rondo_handle_cancel(&copy);
    support_run_passes(loop, 2);
    trace_is("");
    /* a call that cancels itself has begun: its context lives until it returns */
    call = call_of(cancel_self, "b");
    ck_assert_int_eq(rondo_loop_call(loop, &call, &handle), 0);
    support_run_passes(loop, 1);
    trace_is("b still ~b"); /* HDL-02 */
    end();
}
END_TEST

static void register_again(void *word)
{
    trace("~%s", (const char *) word);
    soon(trace_word, "from destructor");
}

START_TEST(test_destructor_registers)
{
    begin();
    rondo_call call = call_of(trace_word, "a");
    call.destroy = register_again;
    ck_assert_int_eq(rondo_loop_call(loop, &call, &handle), 0);
    ck_assert_int_eq(rondo_loop_call(loop, &call, NULL), 0);
    rondo_handle_cancel(&handle);
    trace_is("~a");
    support_run_passes(loop, 2);
    trace_is("a ~a from destructor from destructor");
    end();
}
END_TEST

/* --- bad arguments ---------------------------------------------------------------------------- */

START_TEST(test_bad_arguments)
{
    begin();
    rondo_handle untouched = { .generation = 99 };
    rondo_call call = { .size = sizeof call, .context = "x", .destroy = release };
    rondo_call unsized = { .callback = trace_word };
    ck_assert_int_eq(rondo_loop_call_soon(loop, &untouched, NULL, "x"), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, &untouched, NULL, "x"), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_later(loop, 1, &untouched, NULL, "x"), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_at(loop, 1, &untouched, NULL, "x"), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call(loop, &call, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_timed(loop, &call, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_threadsafe(loop, &call, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call(loop, &unsized, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_timed(loop, &unsized, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_threadsafe(loop, &unsized, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call(loop, NULL, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_timed(loop, NULL, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_threadsafe(loop, NULL, &untouched), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_soon(NULL, &untouched, trace_word, "x"), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(NULL, &untouched, trace_word, "x"), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_later(NULL, 1, &untouched, trace_word, "x"), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_call_at(NULL, 1, &untouched, trace_word, "x"), RONDO_EINVAL);
    ck_assert_uint_eq(untouched.generation, 99); /* outputs are untouched on failure */
    support_run_passes(loop, 2);
    trace_is(""); /* nothing was registered, no context released */
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_uint_gt(strlen(rondo_last_error_message()), 0);
    end();
}
END_TEST

START_TEST(test_out_of_memory)
{
    begin();
    /* until the slab is full, then the next call needs memory */
    size_t registered = 0;
    support_fail_from(1);
    rondo_handle untouched = { .generation = 99 };
    int rc = 0;
    while ((rc = rondo_loop_call_soon(loop, NULL, trace_word, "x")) == 0)
        ck_assert_uint_lt(++registered, 100000);
    ck_assert_int_eq(rc, RONDO_ENOMEM);
    ck_assert_int_eq(rondo_loop_call_soon(loop, &untouched, trace_word, "x"), RONDO_ENOMEM);
    ck_assert_int_eq(rondo_loop_call_later(loop, 0, &untouched, trace_word, "x"), RONDO_ENOMEM);
    ck_assert_uint_eq(untouched.generation, 99);
    support_fail_nth(0);
    soon(trace_word, "last");
    trace_clear();
    support_run_passes(loop, 1);
    ck_assert_ptr_nonnull(strstr(trace_text(), "last")); /* the loop goes on */
    end();
}
END_TEST

static void hello_world(void *context)
{
    trace("Hello World");
    rondo_loop_stop(context);
}

START_TEST(test_hello_world)
{
    begin();
    soon(hello_world, loop); /* the page's first example */
    support_run(loop);
    trace_is("Hello World");
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "order");
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_from_a_callback);
    tcase_add_test(tcase, test_many);
    tcase_add_test(tcase, test_hello_world);
    tcase = support_case(suite, "contexts");
    tcase_add_test(tcase, test_destructor_after_the_call);
    tcase_add_test(tcase, test_destructor_at_cancel);
    tcase_add_test(tcase, test_destructor_registers);
    tcase = support_case(suite, "bad arguments");
    tcase_add_test(tcase, test_bad_arguments);
    tcase_add_test(tcase, test_out_of_memory);
}

int main(void)
{
    return support_main("calls", add_cases);
}
