/* SPDX-License-Identifier: MIT */
/* fork: the child has no running loop, must leave the inherited one alone and may have its own. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

static rondo_loop *loop;

static int check(bool good, int line)
{
    if (!good)
        _exit(line & 127 ? line & 127 : 1);
    return 0;
}

#define CHECK(what) check((what), __LINE__)

static void stop(void *context)
{
    rondo_loop_stop(context);
}

/* In the child: a loop of its own works. */
static void use_a_loop_of_its_own(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = support_backend();
    rondo_loop *own = NULL;
    CHECK(rondo_loop_new(&options, &own) == 0); /* POL-04 */
    CHECK(rondo_loop_call_later(own, RONDO_MS(1), NULL, stop, own) == 0);
    CHECK(rondo_loop_call_soon_threadsafe(own, NULL, trace_word, "child") == 0);
    CHECK(rondo_loop_run_forever(own) == 0);
    CHECK(rondo_loop_free(own) == 0);
}

static void be_the_child(void)
{
    support_deadline(20);
    CHECK(rondo_loop_running() == NULL); /* POL-04: even forked from a callback */
    CHECK(rondo_last_error() == RONDO_ENOTRUNNING);
    CHECK(rondo_loop_run_forever(loop) == RONDO_EFORKED);
    CHECK(rondo_err_class(RONDO_EFORKED) == RONDO_CLASS_RUNTIME);
    CHECK(rondo_loop_close(loop) == RONDO_EFORKED);
    CHECK(rondo_loop_free(loop) == RONDO_EFORKED);
    CHECK(!rondo_loop_is_closed(loop));
    CHECK(rondo_loop_set_current(NULL) == 0);
    use_a_loop_of_its_own();
    _exit(0);
}

static void fork_and_wait(void *context)
{
    (void) context;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        be_the_child();
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status %x",
                  (unsigned) status);
    trace("forked");
}

START_TEST(test_fork_outside_of_a_run)
{
    loop = support_loop();
    support_run_passes(loop, 1);
    fork_and_wait(NULL);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "parent"), 0);
    support_run_passes(loop, 1);
    trace_is("forked parent"); /* nothing of the child reached us */
    support_loop_end(loop);
}
END_TEST

START_TEST(test_fork_in_a_callback)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, fork_and_wait, NULL), 0);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "rest"), 0);
    ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_MS(2), NULL, stop, loop), 0);
    support_run(loop);
    trace_is("forked rest");
    support_loop_end(loop);
}
END_TEST

static int fork_in_a_task(void *context)
{
    fork_and_wait(context);
    return rondo_await(rondo_sleep(loop, RONDO_US(10)), NULL);
}

START_TEST(test_fork_in_a_task)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, rondo_create_task(loop, fork_in_a_task, NULL), NULL),
                     0);
    trace_is("forked");
    support_loop_end(loop);
}
END_TEST

/* What the child does to its copy reaches no connection of the parent's. */
START_TEST(test_fork_with_connections)
{
    loop = support_loop();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn), pair[2];
    peer_pair(pair);
    peer_set_blocking(pair[0], false);
    rondo_future *receives = rondo_sock_recv(loop, pair[0], 10);
    support_run_passes(loop, 3);
    fork_and_wait(NULL);
    trace_clear();
    peer_send_text(peer, "abc");
    run_until(loop, conn.received == 3);
    peer_send_text(pair[1], "x");
    run_until(loop, rondo_future_done(receives));
    ck_assert_int_eq(net_outcome(receives), 0);
    net_done(loop, &conn);
    peer_close(peer);
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}
END_TEST

/* One that the thread owns is the parent's, too. */
START_TEST(test_fork_with_a_current_loop)
{
    support_setenv("RONDO_BACKEND", support_backend_name());
    loop = rondo_loop_current();
    ck_assert_ptr_nonnull(loop);
    fork_and_wait(NULL);
    trace_clear();
    ck_assert_ptr_eq(rondo_loop_current(), loop);
    support_run_passes(loop, 1);
    ck_assert_int_eq(rondo_loop_set_current(NULL), 0);
    support_setenv("RONDO_BACKEND", NULL);
}
END_TEST

/* One that was closed before has nothing left but memory. */
START_TEST(test_fork_with_a_closed_loop)
{
    loop = support_loop();
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        CHECK(rondo_loop_close(loop) == 0);
        CHECK(rondo_loop_free(loop) == 0);
        _exit(0);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "fork");
    tcase_add_test(tcase, test_fork_outside_of_a_run);
    tcase_add_test(tcase, test_fork_in_a_callback);
    tcase_add_test(tcase, test_fork_in_a_task);
    tcase_add_test(tcase, test_fork_with_connections);
    tcase_add_test(tcase, test_fork_with_a_current_loop);
    tcase_add_test(tcase, test_fork_with_a_closed_loop);
}

int main(void)
{
    return support_main("fork", add_cases);
}
