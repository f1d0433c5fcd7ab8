/* SPDX-License-Identifier: MIT */
/* Many watched descriptors, of which few are busy: nobody is forgotten, and the busy ones do not wait for the others.
 *
 * `poll` looks at so many a part at a time; the other backends have no need to, and keep the same promises. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "peer.h"

enum {
    MANY = 1500, /* two descriptors each */
    ROUND = 70   /* passes in which each descriptor has its turn */
};

/* A pipe whose reading end is watched. */
struct line {
    int ends[2];
    unsigned calls;
    bool reads;
    struct line *next; /* who is written to from here */
};

static rondo_loop *loop;
static struct line lines[MANY];

static void ring(struct line *line)
{
    ck_assert_int_eq(write(line->ends[1], "x", 1), 1);
}

static void answer(struct line *line)
{
    char byte;
    ck_assert_int_eq(read(line->ends[0], &byte, 1), 1);
}

static void on_ready(void *context)
{
    struct line *line = context;
    line->calls++;
    if (line->reads)
        answer(line);
    if (line->next)
        ring(line->next);
}

static void watch(struct line *line)
{
    ck_assert_int_eq(rondo_loop_add_reader(loop, line->ends[0], on_ready, line), 0);
}

static void unwatch(struct line *line)
{
    ck_assert_int_eq(rondo_loop_remove_reader(loop, line->ends[0]), 1);
}

static void need_descriptors(rlim_t count)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void begin(void)
{
    need_descriptors(2 * MANY + 100);
    loop = support_extended_loop();
    for (int i = 0; i < MANY; i++) {
        lines[i] = (struct line){ .reads = true };
        ck_assert_int_eq(pipe2(lines[i].ends, O_NONBLOCK | O_CLOEXEC), 0);
        watch(&lines[i]);
    }
    support_run_passes(loop, 2);
}

static void end(void)
{
    for (int i = 0; i < MANY; i++) {
        rondo_loop_remove_reader(loop, lines[i].ends[0]);
        close(lines[i].ends[0]);
        close(lines[i].ends[1]);
    }
    support_loop_end(loop);
}

static int passes_until_called(const struct line *line)
{
    unsigned before = line->calls;
    int passes = 0;
    while (line->calls == before && passes < ROUND) {
        support_run_passes(loop, 1);
        passes++;
    }
    ck_assert_uint_eq(line->calls, before + 1);
    return passes;
}

START_TEST(test_busy_ones)
{
    enum { BUSY = 4, FIRST = 50 };
    begin();
    struct line *busy = &lines[FIRST];
    for (int i = 0; i < BUSY; i++) {
        busy[i].reads = false; /* and so it stays ready */
        ring(&busy[i]);
    }
    support_run_passes(loop, ROUND);
    for (int i = 0; i < MANY; i++) {
        if (i >= FIRST && i < FIRST + BUSY)
            continue;
        unsigned before[BUSY];
        for (int j = 0; j < BUSY; j++)
            before[j] = busy[j].calls;
        ring(&lines[i]);
        int passes = passes_until_called(&lines[i]);
        /* FDW-07: level-triggered, in each pass; a proactor's kernel completes as many as it likes */
        for (int j = 0; j < BUSY && !support_backend_is_proactor(); j++)
            ck_assert_uint_eq(busy[j].calls - before[j], (unsigned) passes);
    }
    end();
}
END_TEST

START_TEST(test_all_at_once)
{
    begin();
    for (int i = 0; i < MANY; i++)
        ring(&lines[i]);
    support_run_passes(loop, ROUND);
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(lines[i].calls, 1);
    support_run_passes(loop, ROUND);
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(lines[i].calls, 1);
    end();
}
END_TEST

START_TEST(test_one_wakes_the_next)
{
    begin();
    for (int i = 0; i + 1 < MANY; i++) /* 7 has no factor of MANY */
        lines[i * 7 % MANY].next = &lines[(i + 1) * 7 % MANY];
    ring(&lines[0]);
    const struct line *last = &lines[(MANY - 1) * 7 % MANY];
    run_until(loop, last->calls == 1); /* the loop sleeps in between */
    for (int i = 0; i < MANY; i++)
        ck_assert_uint_eq(lines[i].calls, 1);
    end();
}
END_TEST

START_TEST(test_comings_and_goings)
{
    begin();
    for (int turn = 0; turn < 10; turn++) {
        for (int i = turn % 3; i < MANY;
             i += 3) /* some that were called in the last turn, some that were not */
            ring(&lines[i]);
        support_run_passes(loop, turn % 4);
        for (int i = turn % 5; i < MANY; i += 5)
            unwatch(&lines[i]);
        support_run_passes(loop, 2);
        for (int i = turn % 5; i < MANY; i += 5)
            watch(&lines[i]);
        support_run_passes(loop, ROUND);
        for (int i = 0; i < MANY; i++) {
            ck_assert_uint_eq(lines[i].calls, i % 3 == turn % 3);
            lines[i].calls = 0;
        }
    }
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "many");
    tcase_add_test(tcase, test_busy_ones);
    tcase_add_test(tcase, test_all_at_once);
    tcase_add_test(tcase, test_one_wakes_the_next);
    tcase_add_test(tcase, test_comings_and_goings);
}

int main(void)
{
    return support_main("many watched descriptors", add_cases);
}
