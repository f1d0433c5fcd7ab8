/* SPDX-License-Identifier: MIT */
/* src/base/heap.h against a plain array that is searched. */
#include "src/base/heap.h"
#include "src/base/sort.h"

#include <string.h>

#include "support.h"

enum { ROOM = 4000 };

static struct rondo_heap heap;
static struct rondo_heap_entry model[ROOM]; /* what should be in the heap, in no order */
static size_t model_count;
static uint32_t next_order;
static unsigned state;

static unsigned pick(unsigned below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static void begin(unsigned seed)
{
    memset(&heap, 0, sizeof heap);
    model_count = 0;
    next_order = 1;
    state = seed;
}

static void end(void)
{
    rondo_heap_free(&heap, &support_allocator);
    ck_assert_uint_eq(heap.count, 0);
}

static bool is_before(struct rondo_heap_entry a, struct rondo_heap_entry b)
{
    return a.when != b.when ? a.when < b.when : (int32_t) (a.order - b.order) < 0;
}

static size_t least_of_model(void)
{
    size_t least = 0;
    for (size_t i = 1; i < model_count; i++)
        if (is_before(model[i], model[least]))
            least = i;
    return least;
}

static bool same(struct rondo_heap_entry a, struct rondo_heap_entry b)
{
    return a.when == b.when && a.order == b.order && a.owner == b.owner;
}

static void push(rondo_ns when)
{
    struct rondo_heap_entry entry = { when, next_order++, (uint32_t) model_count };
    ck_assert_int_eq(rondo_heap_push(&heap, &support_allocator, entry), 0);
    model[model_count++] = entry;
}

static void check_head(void)
{
    ck_assert_uint_eq(heap.count, model_count);
    struct rondo_heap_entry *head = rondo_heap_head(&heap);
    if (model_count == 0)
        ck_assert_ptr_null(head);
    else
        ck_assert(same(*head, model[least_of_model()]));
}

static void pop(void)
{
    size_t least = least_of_model();
    ck_assert(same(*rondo_heap_head(&heap), model[least]));
    rondo_heap_pop(&heap);
    model[least] = model[--model_count];
}

START_TEST(test_push_and_pop)
{
    begin(1);
    check_head();
    for (int round = 0; round < 20; round++) {
        while (model_count < 40u * (unsigned) round) {
            push((rondo_ns) pick(50)); /* many equal deadlines */
            check_head();
        }
        while (model_count > 20u * (unsigned) round)
            pop();
    }
    while (model_count > 0)
        pop();
    check_head();
    end();
}
END_TEST

START_TEST(test_equal_deadlines_in_order_of_insertion)
{
    begin(2);
    next_order = UINT32_MAX - 100; /* the numbers wrap on the way */
    for (int i = 0; i < 300; i++)
        push(7);
    for (uint32_t i = 0; i < 300; i++) {
        ck_assert_uint_eq(rondo_heap_head(&heap)->owner, i);
        rondo_heap_pop(&heap);
    }
    end();
}
END_TEST

START_TEST(test_replace)
{
    begin(3);
    for (int i = 0; i < 200; i++)
        push((rondo_ns) pick(1000));
    for (int i = 0; i < 1000; i++) {
        size_t least = least_of_model();
        struct rondo_heap_entry entry = { model[least].when + (rondo_ns) pick(100), next_order++,
                                          model[least].owner };
        rondo_heap_replace(&heap, entry);
        model[least] = entry;
        check_head();
    }
    end();
}
END_TEST

static bool is_even(void *context, const struct rondo_heap_entry *entry)
{
    (void) context;
    return entry->owner % 2 == 0;
}

START_TEST(test_sweep)
{
    for (unsigned size = 0; size < 300; size++) {
        begin(size);
        for (unsigned i = 0; i < size; i++)
            push((rondo_ns) pick(100));
        rondo_heap_sweep(&heap, is_even, NULL);
        size_t kept = 0;
        for (size_t i = 0; i < model_count; i++)
            if (is_even(NULL, &model[i]))
                model[kept++] = model[i];
        model_count = kept;
        check_head();
        while (model_count > 0)
            pop();
        end();
    }
}
END_TEST

static rondo_ns put_off_to;

/* One in three is stale, one in three was put off. */
static bool settle(void *context, struct rondo_heap_entry *entry)
{
    ck_assert_ptr_eq(context, &heap);
    if (entry->owner % 3 == 0)
        return false;
    if (entry->owner % 3 == 1 && entry->when < put_off_to)
        entry->when += put_off_to;
    return true;
}

/* The same to the model; returns how many are due. */
static size_t settle_model(rondo_ns now, struct rondo_heap_entry *due)
{
    size_t kept = 0, count = 0;
    for (size_t i = 0; i < model_count; i++) {
        struct rondo_heap_entry entry = model[i];
        if (entry.when <= now && !settle(&heap, &entry))
            continue;
        if (entry.when <= now)
            due[count++] = entry;
        else
            model[kept++] = entry;
    }
    model_count = kept;
    return count;
}

START_TEST(test_take_due)
{
    static struct rondo_heap_entry due[ROOM];
    for (unsigned seed = 0; seed < 200; seed++) {
        begin(seed);
        unsigned size = pick(400);
        for (unsigned i = 0; i < size; i++)
            push((rondo_ns) pick(1000));
        rondo_ns now = (rondo_ns) pick(1100) - 50;
        put_off_to = (rondo_ns) pick(1000);
        size_t expected = settle_model(now, due);
        size_t count = 99;
        struct rondo_heap_entry *taken = rondo_heap_take_due(&heap, now, settle, &heap, &count);
        ck_assert_uint_eq(count, expected);
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_le(taken[i].when, now);
            ck_assert(i == 0 || is_before(taken[i - 1], taken[i]));
            bool found = false;
            for (size_t k = 0; k < expected; k++)
                found |= same(taken[i], due[k]);
            ck_assert(found);
        }
        check_head();
        while (model_count > 0)
            pop();
        end();
    }
}
END_TEST

START_TEST(test_no_memory)
{
    begin(5);
    while (heap.count < heap.capacity || heap.count == 0)
        push((rondo_ns) pick(100));
    support_fail_from(1);
    struct rondo_heap_entry entry = { 0, next_order, 0 };
    ck_assert_int_eq(rondo_heap_push(&heap, &support_allocator, entry), RONDO_ENOMEM);
    check_head(); /* nothing was added, nothing lost */
    support_fail_nth(0);
    push(-5);
    check_head();
    end();
}
END_TEST

/* --- sorting ---------------------------------------------------------------------------------- */

enum { SORTED = 3000 };

static struct rondo_heap_entry entries[SORTED];

/* What @fill makes of each number comes out in order, and every one once. */
static void check_sort(size_t count, rondo_ns (*fill)(uint32_t i))
{
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct rondo_heap_entry){ fill(i), UINT32_MAX - 1000 + i, i };
    for (size_t i = count; i-- > 1;) { /* any order */
        size_t j = pick((unsigned) i + 1);
        struct rondo_heap_entry entry = entries[i];
        entries[i] = entries[j];
        entries[j] = entry;
    }
    rondo_sort_entries(entries, count);
    bool seen[SORTED] = { false };
    for (size_t i = 0; i < count; i++) {
        ck_assert(!seen[entries[i].owner]);
        seen[entries[i].owner] = true;
        ck_assert_int_eq(entries[i].when, fill(entries[i].owner));
        ck_assert(i == 0 || is_before(entries[i - 1], entries[i]));
    }
}

static rondo_ns all_equal(uint32_t i)
{
    return i * 0;
}

static rondo_ns few_values(uint32_t i)
{
    return RONDO_MS(i % 10);
}

static rondo_ns dense(uint32_t i)
{
    return (rondo_ns) i / 3 - 500;
}

static rondo_ns scattered(uint32_t i)
{
    return (rondo_ns) (i * UINT64_C(0x9E3779B97F4A7C15));
}

static rondo_ns one_far_away(uint32_t i)
{
    return i == 17 ? RONDO_FOREVER : i == 18 ? INT64_MIN : (rondo_ns) (i * UINT64_C(2654435761) % 100003);
}

START_TEST(test_sort)
{
    rondo_ns (*const fills[])(uint32_t i) = { all_equal, few_values, dense, scattered, one_far_away };
    const size_t counts[] = { 0, 1, 2, 24, 25, 257, SORTED };
    state = 5;
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++)
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
            check_sort(counts[k], fills[i]);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "heap");
    tcase_add_test(tcase, test_push_and_pop);
    tcase_add_test(tcase, test_equal_deadlines_in_order_of_insertion);
    tcase_add_test(tcase, test_replace);
    tcase_add_test(tcase, test_sweep);
    tcase_add_test(tcase, test_take_due);
    tcase_add_test(tcase, test_sort);
    tcase_add_test(tcase, test_no_memory);
}

int main(void)
{
    return support_main_once("heap", add_cases);
}
