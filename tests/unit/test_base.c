/* SPDX-License-Identifier: MIT */
/* The small pieces of src/base: rings, the ready list, memory, the last error; and the slab of src/core. */
#include <string.h>

#include "src/base/container.h"
#include "src/base/error.h"
#include "src/base/list.h"
#include "src/base/memory.h"
#include "src/base/ready.h"
#include "src/core/slots.h"
#include "support.h"

/* --- rings ------------------------------------------------------------------------------------ */

struct item {
    int number;
    struct rondo_link link;
};

static struct item *item_of(struct rondo_link *link)
{
    return rondo_container(link, struct item, link);
}

static void trace_ring(struct rondo_link *ring)
{
    int forward = 0, backward = 0;
    for (struct rondo_link *link = ring->next; link != ring; link = link->next, forward++)
        trace("%d", item_of(link)->number);
    for (struct rondo_link *link = ring->previous; link != ring; link = link->previous)
        backward++;
    ck_assert_int_eq(forward, backward);
}

START_TEST(test_ring)
{
    struct rondo_link ring;
    struct item items[3] = { { .number = 0 }, { .number = 1 }, { .number = 2 } };
    rondo_link_init(&ring);
    ck_assert(rondo_link_is_alone(&ring));
    for (int i = 0; i < 3; i++) {
        rondo_link_init(&items[i].link);
        ck_assert(rondo_link_is_alone(&items[i].link));
        rondo_link_append(&ring, &items[i].link);
    }
    trace_ring(&ring);
    trace_is("0 1 2");
    rondo_link_remove(&items[1].link);
    ck_assert(rondo_link_is_alone(&items[1].link));
    rondo_link_remove(&items[1].link); /* once more does nothing */
    trace_ring(&ring);
    trace_is("0 2");
    rondo_link_append(&ring, &items[1].link);
    rondo_link_remove(&items[0].link);
    trace_ring(&ring);
    trace_is("2 1");
    rondo_link_remove(&items[2].link);
    rondo_link_remove(&items[1].link);
    ck_assert(rondo_link_is_alone(&ring));
}
END_TEST

/* --- the ready list --------------------------------------------------------------------------- */

static void append(struct rondo_ready_list *list, struct rondo_ready *nodes, int from, int to)
{
    for (int i = from; i < to; i++)
        rondo_ready_list_append(list, &nodes[i]);
}

static void expect_run(struct rondo_ready_list *list, struct rondo_ready *nodes, int from, int to)
{
    for (int i = from; i < to; i++)
        ck_assert_ptr_eq(rondo_ready_list_pop(list), &nodes[i]);
    ck_assert_ptr_null(rondo_ready_list_pop(list));
    ck_assert(rondo_ready_list_is_empty(list));
}

START_TEST(test_ready_list)
{
    struct rondo_ready nodes[6];
    struct rondo_ready_list a, b;
    rondo_ready_list_init(&a);
    rondo_ready_list_init(&b);
    ck_assert(rondo_ready_list_is_empty(&a));
    expect_run(&a, nodes, 0, 0);
    append(&a, nodes, 0, 3);
    ck_assert(!rondo_ready_list_is_empty(&a));
    expect_run(&a, nodes, 0, 3);
    append(&a, nodes, 0, 1); /* usable after it ran empty */
    rondo_ready_list_splice(&a, &b);
    rondo_ready_list_splice(&b, &a);
    append(&b, nodes, 1, 4);
    append(&a, nodes, 4, 6);
    rondo_ready_list_splice(&b, &a);
    ck_assert(rondo_ready_list_is_empty(&a));
    expect_run(&b, nodes, 0, 6);
    append(&a, nodes, 2, 4);
    expect_run(&a, nodes, 2, 4);
}
END_TEST

/* --- memory ----------------------------------------------------------------------------------- */

START_TEST(test_memory)
{
    const rondo_allocator *both[] = { &rondo_allocator_default, &support_allocator };
    for (int i = 0; i < 2; i++) {
        unsigned char *block = rondo_allocate_zeroed(both[i], 100);
        for (int k = 0; k < 100; k++)
            ck_assert_uint_eq(block[k], 0);
        memset(block, 7, 100);
        block = rondo_reallocate(both[i], block, 5000);
        ck_assert_uint_eq(block[99], 7);
        rondo_release(both[i], block);
        rondo_release(both[i], NULL);
        char *copy = rondo_duplicate_text(both[i], "text");
        ck_assert_str_eq(copy, "text");
        rondo_release(both[i], copy);
        ck_assert_ptr_null(rondo_duplicate_text(both[i], NULL));
    }
    support_fail_from(1);
    ck_assert_ptr_null(rondo_allocate_zeroed(&support_allocator, 10));
    ck_assert_ptr_null(rondo_duplicate_text(&support_allocator, "text"));
    ck_assert(support_has_failed());
}
END_TEST

/* --- errors ----------------------------------------------------------------------------------- */

static void fail_elsewhere(void *context)
{
    (void) context;
    ck_assert_int_eq(rondo_last_error(), 0); /* each thread has its own */
    ck_assert_str_eq(rondo_last_error_message(), "");
    rondo_fail(RONDO_EPIPE, NULL);
}

START_TEST(test_fail)
{
    ck_assert_int_eq(rondo_fail(RONDO_EINVAL, "%s %d", "number", 5), RONDO_EINVAL);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
    ck_assert_str_eq(rondo_last_error_message(), "number 5");
    ck_assert_int_eq(rondo_fail(RONDO_EPIPE, "again: %s", rondo_last_error_message()), RONDO_EPIPE);
    ck_assert_str_eq(rondo_last_error_message(), "again: number 5");
    ck_assert_int_eq(rondo_fail_text(RONDO_EPIPE, rondo_last_error_message()), RONDO_EPIPE);
    ck_assert_str_eq(rondo_last_error_message(), "again: number 5");
    rondo_fail_text(RONDO_EINVAL, NULL);
    ck_assert_str_eq(rondo_last_error_message(), rondo_strerror(RONDO_EINVAL));
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rondo_fail(RONDO_EINVAL, "%s", text); /* too long: cut */
    ck_assert_uint_lt(strlen(rondo_last_error_message()), sizeof text - 1);
    ck_assert_uint_gt(strlen(rondo_last_error_message()), 200);
    support_thread *thread = support_thread_start(fail_elsewhere, NULL);
    support_thread_join(thread);
    ck_assert_int_eq(rondo_last_error(), RONDO_EINVAL);
}
END_TEST

/* --- slots ------------------------------------------------------------------------------------ */

enum { MANY = 2000 };

START_TEST(test_slots)
{
    struct rondo_slots slots = { 0 };
    static struct rondo_slot *taken[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        taken[i] = rondo_slots_take(&slots, &support_allocator);
        ck_assert_ptr_nonnull(taken[i]);
        ck_assert_uint_eq(taken[i]->index, i);
        ck_assert_uint_ne(taken[i]->generation, 0);
    }
    for (uint32_t i = 0; i < MANY; i++)
        ck_assert_ptr_eq(rondo_slots_at(&slots, i), taken[i]); /* they never move */
    uint32_t generation = taken[5]->generation;
    rondo_slots_give(&slots, taken[5]);
    ck_assert_ptr_eq(rondo_slots_take(&slots, &support_allocator), taken[5]); /* the warm one first */
    ck_assert_uint_ne(taken[5]->generation, generation);
    support_fail_from(1);
    size_t more = 0;
    while (rondo_slots_take(&slots, &support_allocator))
        more++;
    ck_assert_uint_eq((MANY + more) % RONDO_SLOTS_PER_CHUNK, 0);
    rondo_slots_give(&slots, taken[0]);
    ck_assert_ptr_eq(rondo_slots_take(&slots, &support_allocator), taken[0]);
    rondo_slots_free(&slots, &support_allocator);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "base");
    tcase_add_test(tcase, test_ring);
    tcase_add_test(tcase, test_ready_list);
    tcase_add_test(tcase, test_memory);
    tcase_add_test(tcase, test_fail);
    tcase_add_test(tcase, test_slots);
}

int main(void)
{
    return support_main_once("base", add_cases);
}
