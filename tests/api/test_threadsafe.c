/* SPDX-License-Identifier: MIT */
/* call_soon_threadsafe: waking, order, many threads, races with close. */
#include <stdatomic.h>
#include <string.h>

#include "support.h"

static rondo_loop *loop;

static void stop(void *context)
{
    (void) context;
    rondo_loop_stop(loop);
}

static void safe(rondo_callback *callback, void *context)
{
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, callback, context), 0);
}

static void send_words(void *gate)
{
    support_gate_wait(gate);
    safe(trace_word, "a");
    safe(trace_word, "b");
    safe(trace_word, "c");
    safe(stop, NULL);
}

START_TEST(test_wakes_a_sleeping_loop)
{
    loop = support_loop();
    support_gate *gate = support_gate_new();
    support_thread *thread = support_thread_start(send_words, gate);
    support_gate_open(gate);
    support_run(loop); /* CALL-06: nothing but these calls can end it */
    trace_is("a b c"); /* CALL-07 */
    support_thread_join(thread);
    support_gate_free(gate);
    support_loop_end(loop);
}
END_TEST

START_TEST(test_before_a_run)
{
    loop = support_loop();
    support_gate *gate = support_gate_new();
    support_gate_open(gate);
    support_thread *thread = support_thread_start(send_words, gate);
    support_thread_join(thread);
    support_run(loop); /* CALL-06: sent before the run began */
    trace_is("a b c");
    support_gate_free(gate);
    support_loop_end(loop);
}
END_TEST

static void mix(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "1"), 0);
    safe(trace_word, "2");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "3"), 0);
    safe(trace_word, "4");
}

START_TEST(test_own_thread_shares_the_queue)
{
    loop = support_loop();
    mix(NULL);
    support_run_passes(loop, 1);
    trace_is("1 2 3 4"); /* CALL-07: between runs */
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, mix, NULL), 0);
    support_run_passes(loop, 1);
    trace_is("");
    support_run_passes(loop, 1);
    trace_is("1 2 3 4"); /* and inside */
    support_loop_end(loop);
}
END_TEST

/* --- many threads ----------------------------------------------------------------------------- */

enum { SENDERS = 4, LETTERS = 5000 };

struct sender {
    int next; /* of the loop's thread: the number that must come next */
    int number;
};

static struct sender senders[SENDERS];
static int received;

struct letter {
    struct sender *from;
    int number;
};

static struct letter letters[SENDERS][LETTERS];

static void receive(void *context)
{
    struct letter *letter = context;
    ck_assert_int_eq(letter->number, letter->from->next); /* CALL-07: the order of each thread */
    letter->from->next++;
    if (++received == SENDERS * LETTERS)
        rondo_loop_stop(loop);
}

static void send_many(void *context)
{
    struct sender *sender = context;
    for (int i = 0; i < LETTERS; i++) {
        struct letter *letter = &letters[sender->number][i];
        *letter = (struct letter){ sender, i };
        safe(receive, letter);
    }
}

START_TEST(test_many_threads)
{
    loop = support_loop();
    received = 0;
    support_thread *threads[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ 0, i };
        threads[i] = support_thread_start(send_many, &senders[i]);
    }
    support_run(loop); /* CALL-08: every one arrives, GEN-03 */
    for (int i = 0; i < SENDERS; i++)
        support_thread_join(threads[i]);
    ck_assert_int_eq(received, SENDERS * LETTERS);
    support_run_passes(loop, 1);
    ck_assert_int_eq(received, SENDERS * LETTERS); /* exactly once */
    support_loop_end(loop);
}
END_TEST

/* Each round trip needs a wake-up of its own: one that is lost hangs the case. */
enum { ROUNDS = 2000 };

struct table {
    rondo_loop *here;
    struct table *there;
    int rounds;
};

static void hit(void *context)
{
    struct table *table = context;
    if (++table->rounds <= ROUNDS)
        ck_assert_int_eq(rondo_loop_call_soon_threadsafe(table->there->here, NULL, hit, table->there), 0);
    if (table->rounds >= ROUNDS)
        rondo_loop_stop(table->here);
}

static void play(void *context)
{
    struct table *table = context;
    support_run(table->here);
}

START_TEST(test_ping_pong_of_two_loops)
{
    struct table left = { .here = support_loop() };
    struct table right = { .here = support_loop(), .there = &left };
    left.there = &right;
    support_thread *thread = support_thread_start(play, &right);
    ck_assert_int_eq(rondo_loop_call_soon(left.here, NULL, hit, &left), 0);
    support_run(left.here); /* CALL-08: no wake-up is lost */
    support_thread_join(thread);
    ck_assert_int_ge(left.rounds, ROUNDS);
    ck_assert_int_ge(right.rounds, ROUNDS);
    support_loop_end(left.here);
    support_loop_end(right.here);
}
END_TEST

static int counted;

static void count(void *context)
{
    (void) context;
    counted++;
}

START_TEST(test_wakes_merge_and_are_emptied)
{
    loop = support_loop();
    counted = 0;
    /* CALL-08, CALL-09: a flood before a run, more than a pipe holds, leaves nothing that keeps it awake */
    for (int i = 0; i < 100000; i++)
        safe(count, NULL);
    support_run_passes(loop, 1);
    ck_assert_int_eq(counted, 100000);
    rondo_loop_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    support_run_passes(loop, 2);
    rondo_loop_get_metrics(loop, &before);
    ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_MS(30), NULL, stop, NULL), 0);
    support_run(loop);
    rondo_loop_get_metrics(loop, &after);
    ck_assert_uint_le(after.passes - before.passes, 4);
    support_loop_end(loop);
}
END_TEST

/* --- close and handles ------------------------------------------------------------------------ */

static atomic_int refused, accepted;

static void send_until_refused(void *context)
{
    (void) context;
    int rc;
    while ((rc = rondo_loop_call_soon_threadsafe(loop, NULL, count, NULL)) == 0)
        atomic_fetch_add(&accepted, 1);
    if (rc == RONDO_ECLOSED)
        atomic_fetch_add(&refused, 1);
}

static void stop_after_some(void *context)
{
    if (atomic_load(&accepted) > 100)
        rondo_loop_stop(loop);
    else
        ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, stop_after_some, context), 0);
}

START_TEST(test_races_with_close)
{
    for (int round = 0; round < 20; round++) {
        loop = support_loop();
        atomic_store(&refused, 0);
        atomic_store(&accepted, 0);
        counted = 0;
        support_thread *first = support_thread_start(send_until_refused, NULL);
        support_thread *second = support_thread_start(send_until_refused, NULL);
        ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, stop_after_some, NULL), 0);
        support_run(loop);
        ck_assert_int_eq(rondo_loop_close(loop), 0); /* CALL-10 */
        support_thread_join(first);
        support_thread_join(second);
        ck_assert_int_eq(atomic_load(&refused), 2);
        ck_assert_int_le(counted, atomic_load(&accepted));
        ck_assert_int_eq(rondo_loop_free(loop), 0);
    }
}
END_TEST

START_TEST(test_handles)
{
    loop = support_loop();
    rondo_handle a, b, c;
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, &a, trace_word, "a"), 0); /* HDL-01 */
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, &b, trace_word, "b"), 0);
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, &c, trace_word, "c"), 0);
    rondo_handle_cancel(&b); /* CALL-05 */
    ck_assert(rondo_handle_cancelled(&b));
    support_run_passes(loop, 1);
    trace_is("a c");
    ck_assert(!rondo_handle_cancelled(&a));
    rondo_handle_cancel(&a);
    ck_assert(rondo_handle_cancelled(&a)); /* HDL-04 */
    ck_assert_int_eq(rondo_handle_when(&a), 0);
    support_run_passes(loop, 1);
    trace_is("");
    support_loop_end(loop);
}
END_TEST

struct errand {
    rondo_handle handle;
    support_gate *sent;
};

static void send_errand(void *context)
{
    struct errand *errand = context;
    rondo_call call = {
        .size = sizeof call, .callback = trace_word, .context = "errand", .destroy = trace_word
    };
    ck_assert_int_eq(rondo_loop_call_threadsafe(loop, &call, &errand->handle), 0);
    support_gate_open(errand->sent);
}

START_TEST(test_cancel_what_another_thread_sent)
{
    loop = support_loop();
    struct errand errand = { .sent = support_gate_new() };
    support_thread *thread = support_thread_start(send_errand, &errand);
    support_gate_wait(errand.sent);
    rondo_handle_cancel(&errand.handle);
    trace_is("errand"); /* HDL-03: the context is released, on this thread */
    support_run_passes(loop, 2);
    trace_is("");
    support_thread_join(thread);
    support_gate_free(errand.sent);
    support_loop_end(loop);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "waking and order");
    tcase_add_test(tcase, test_wakes_a_sleeping_loop);
    tcase_add_test(tcase, test_before_a_run);
    tcase_add_test(tcase, test_own_thread_shares_the_queue);
    tcase = support_case(suite, "many");
    tcase_add_test(tcase, test_many_threads);
    tcase_add_test(tcase, test_ping_pong_of_two_loops);
    tcase_add_test(tcase, test_wakes_merge_and_are_emptied);
    tcase = support_case(suite, "close and handles");
    tcase_add_test(tcase, test_races_with_close);
    tcase_add_test(tcase, test_handles);
    tcase_add_test(tcase, test_cancel_what_another_thread_sent);
}

int main(void)
{
    return support_main("threadsafe", add_cases);
}
