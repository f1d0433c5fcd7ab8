/* SPDX-License-Identifier: MIT */
/* call_soon_threadsafe with and without destructors and names, in numbers: the letters lie in blocks, and one may not fit
 * into what is left of its block. */
#include <stdatomic.h>

#include "support.h"

enum { LETTERS = 2000, SENDERS = 3 };

static rondo_loop *loop;

/* One sender's: the number of the letter that must run next, and how many contexts were released. */
struct row {
    int number;
    int next;
    int released;
    bool is_cancelling; /* every fifth is cancelled and does not run */
};

struct letter {
    struct row *row;
    int number;
};

static struct row rows[SENDERS];
static struct letter letters[SENDERS][LETTERS];
static rondo_handle handles[LETTERS];

static void receive(void *context)
{
    const struct letter *letter = context;
    if (letter->row->is_cancelling && letter->row->next % 5 == 3)
        letter->row->next++;
    ck_assert_int_eq(letter->number, letter->row->next); /* CALL-07 */
    letter->row->next++;
}

static void release(void *context)
{
    const struct letter *letter = context;
    letter->row->released++;
}

static bool has_destructor(int number)
{
    return number % 3 != 0;
}

/* How many of the first @count have one. */
static int destructors(int count)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        found += has_destructor(i);
    return found;
}

static int send(struct row *row, int number, rondo_handle *ret_handle)
{
    struct letter *letter = &letters[row->number][number];
    *letter = (struct letter){ row, number };
    rondo_call call = { .size = sizeof call, .callback = receive, .context = letter };
    if (has_destructor(number))
        call.destroy = release;
    if (number % 7 == 0)
        call.name = "seventh";
    return rondo_loop_call_threadsafe(loop, &call, ret_handle);
}

static void begin(void)
{
    loop = support_loop();
    for (int i = 0; i < SENDERS; i++)
        rows[i] = (struct row){ .number = i };
}

/* Between runs our own thread's calls come by the inbox too. */
START_TEST(test_both_kinds)
{
    begin();
    for (int i = 0; i < LETTERS; i++)
        ck_assert_int_eq(send(&rows[0], i, NULL), 0);
    support_run_passes(loop, 1);
    ck_assert_int_eq(rows[0].next, LETTERS);
    ck_assert_int_eq(rows[0].released, destructors(LETTERS)); /* CALL-04 */
    support_loop_end(loop);
}
END_TEST

START_TEST(test_cancelling)
{
    begin();
    rows[0].is_cancelling = true;
    for (int i = 0; i < LETTERS; i++)
        ck_assert_int_eq(send(&rows[0], i, &handles[i]), 0);
    int expected = 0;
    for (int i = 3; i < LETTERS; i += 5) {
        rondo_handle copy = handles[i];
        rondo_handle_cancel(&handles[i]); /* CALL-05 */
        rondo_handle_cancel(&handles[i]); /* HDL-04 */
        rondo_handle_cancel(&copy);
        expected += has_destructor(i);
        ck_assert_int_eq(rows[0].released, expected); /* HDL-03: at once, and once */
    }
    support_run_passes(loop, 1);
    ck_assert_int_ge(rows[0].next, LETTERS - 1);
    ck_assert_int_eq(rows[0].released, destructors(LETTERS));
    for (int i = 0; i < LETTERS; i++)
        rondo_handle_cancel(&handles[i]); /* too late for each of them */
    ck_assert_int_eq(rows[0].released, destructors(LETTERS));
    support_loop_end(loop);
}
END_TEST

/* Half are in the ready queue when they are cancelled, half in the inbox. */
static void cancel_both(void *context)
{
    for (int i = 3; i < LETTERS; i += 5)
        rondo_handle_cancel(&handles[i]);
    (void) context;
}

START_TEST(test_cancelling_what_is_queued)
{
    begin();
    rows[0].is_cancelling = true;
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, cancel_both, NULL), 0);
    for (int i = 0; i < LETTERS / 2; i++)
        ck_assert_int_eq(send(&rows[0], i, &handles[i]), 0);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "between"), 0);
    for (int i = LETTERS / 2; i < LETTERS; i++)
        ck_assert_int_eq(send(&rows[0], i, &handles[i]), 0);
    support_run_passes(loop, 1);
    ck_assert_int_ge(rows[0].next, LETTERS - 1);
    ck_assert_int_eq(rows[0].released, destructors(LETTERS)); /* HDL-03 */
    trace_is("between");
    support_loop_end(loop);
}
END_TEST

static void interrupt(void *context)
{
    trace_word(context);
    rondo_raise(RONDO_EINTERRUPTED, NULL);
}

START_TEST(test_interrupts)
{
    begin();
    static char *const words[] = { "a", "b", "c", "d" };
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(
            rondo_loop_call_soon_threadsafe(loop, NULL, i % 2 ? interrupt : trace_word, words[i]), 0);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, "e"), 0);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    trace_is("a b");
    ck_assert_int_eq(rondo_loop_call_soon_threadsafe(loop, NULL, trace_word, "f"), 0);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    trace_is("c d"); /* the rest has kept its place */
    support_run_passes(loop, 1);
    trace_is("e f");
    support_loop_end(loop);
}
END_TEST

START_TEST(test_each_call_counts)
{
    begin();
    rondo_loop_metrics metrics = { .size = sizeof metrics };
    for (int i = 0; i < LETTERS; i++)
        ck_assert_int_eq(send(&rows[0], i, NULL), 0);
    rondo_loop_stop(loop);
    support_run(loop);
    rondo_loop_get_metrics(loop, &metrics);
    ck_assert_uint_eq(metrics.callbacks, LETTERS);
    support_loop_end(loop);
}
END_TEST

/* --- out of memory ------------------------------------------------------------------------------- */

START_TEST(test_no_memory)
{
    begin();
    support_fail_from(1);
    int sent = 0;
    while (send(&rows[0], sent, NULL) == 0)
        sent++;
    ck_assert_int_eq(rondo_last_error(), RONDO_ENOMEM);
    ck_assert_int_lt(sent, 300);
    support_fail_nth(0);
    int first = sent;
    for (; sent < LETTERS; sent++)
        ck_assert_int_eq(send(&rows[0], sent, NULL), 0);
    ck_assert_int_lt(first, LETTERS);
    support_run_passes(loop, 1);
    ck_assert_int_eq(rows[0].next, LETTERS);
    ck_assert_int_eq(rows[0].released, destructors(LETTERS)); /* one that was refused is its caller's */
    support_loop_end(loop);
}
END_TEST

/* --- many threads -------------------------------------------------------------------------------- */

static atomic_int sent[SENDERS];

static void send_until_refused(void *context)
{
    struct row *row = context;
    int i = 0;
    while (i < LETTERS && send(row, i, NULL) == 0)
        i++;
    atomic_store(&sent[row->number], i);
}

START_TEST(test_many_threads)
{
    for (int round = 0; round < 30; round++) {
        begin();
        support_thread *threads[SENDERS];
        for (int i = 0; i < SENDERS; i++)
            threads[i] = support_thread_start(send_until_refused, &rows[i]);
        support_run_passes(loop, round);
        ck_assert_int_eq(rondo_loop_close(loop),
                         0); /* CALL-10: what was taken is released, what is refused is not */
        for (int i = 0; i < SENDERS; i++) {
            support_thread_join(threads[i]);
            ck_assert_int_le(rows[i].next, atomic_load(&sent[i]));
            ck_assert_int_eq(rows[i].released, destructors(atomic_load(&sent[i])));
        }
        support_loop_end(loop);
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "letters");
    tcase_add_test(tcase, test_both_kinds);
    tcase_add_test(tcase, test_cancelling);
    tcase_add_test(tcase, test_cancelling_what_is_queued);
    tcase_add_test(tcase, test_interrupts);
    tcase_add_test(tcase, test_each_call_counts);
    tcase_add_test(tcase, test_no_memory);
    tcase_add_test(tcase, test_many_threads);
}

int main(void)
{
    return support_main("letters", add_cases);
}
