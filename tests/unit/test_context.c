/* SPDX-License-Identifier: MIT */
/* platform/context.h: stacks and switching. Each flow writes its steps into a trace, so that a switch to
 * the wrong place shows; values kept in registers, memory and the floating-point unit must survive. */
#include "platform/context.h"

#include <fenv.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { STACK_SIZE = 65536 };

/* A flow and what it works on. */
struct flow {
    struct rondo_stack stack;
    struct rondo_context context;
    struct rondo_context *home; /* where it goes when it yields or ends */
    const char *word;
    unsigned steps;
    uint64_t result;
};

static struct rondo_context home;

static void flow_open(struct flow *flow, void (*entry)(void *), size_t size)
{
    memset(flow, 0, sizeof *flow);
    flow->home = &home;
    ck_assert_int_eq(rondo_stack_map(&flow->stack, size), 0);
    ck_assert_int_eq(rondo_context_make(&flow->context, &flow->stack, 0, entry, flow), 0);
}

static void flow_close(struct flow *flow)
{
    rondo_context_destroy(&flow->context);
    rondo_stack_unmap(&flow->stack);
}

static void flow_resume(struct flow *flow)
{
    rondo_context_switch(&home, &flow->context);
}

static void flow_yield(struct flow *flow)
{
    rondo_context_switch(&flow->context, flow->home);
}

static void flow_end(struct flow *flow)
{
    rondo_context_exit(&flow->context, flow->home);
}

/* --- switching ----------------------------------------------------------------------------------- */

static void speak(void *argument)
{
    struct flow *flow = argument;
    for (unsigned step = 0; step < flow->steps; step++) {
        trace("%s%u", flow->word, step);
        flow_yield(flow);
    }
    trace("%s!", flow->word);
    flow_end(flow);
}

START_TEST(two_flows_take_turns)
{
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    struct flow a, b;
    flow_open(&a, speak, STACK_SIZE);
    flow_open(&b, speak, STACK_SIZE);
    a.word = "a";
    b.word = "b";
    a.steps = b.steps = 2;
    for (int turn = 0; turn < 3; turn++) {
        flow_resume(&a);
        trace("home");
        flow_resume(&b);
    }
    trace_is("a0 home b0 a1 home b1 a! home b!");
    flow_close(&a);
    flow_close(&b);
    rondo_context_leave_thread(&home);
}
END_TEST

static struct flow relay[8];

/* Hands on to the next one without going home in between; the last goes home. */
static void hand_on(void *argument)
{
    struct flow *flow = argument;
    size_t index = (size_t) (flow - relay);
    trace("%u", (unsigned) index);
    if (index + 1 < sizeof relay / sizeof relay[0])
        rondo_context_switch(&flow->context, &relay[index + 1].context);
    else
        rondo_context_switch(&flow->context, &home);
    trace("back%u", (unsigned) index);
    flow_end(flow);
}

START_TEST(flows_switch_to_each_other)
{
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    for (size_t i = 0; i < 8; i++)
        flow_open(&relay[i], hand_on, STACK_SIZE);
    flow_resume(&relay[0]);
    trace_is("0 1 2 3 4 5 6 7");
    for (size_t i = 0; i < 8; i += 3)
        flow_resume(&relay[i]);
    trace_is("back0 back3 back6");
    for (size_t i = 0; i < 8; i++)
        flow_close(&relay[i]); /* those that were left halfway too */
    rondo_context_leave_thread(&home);
}
END_TEST

/* More values than there are registers, all alive across the switch. */
static void compute(void *argument)
{
    struct flow *flow = argument;
    uint64_t v[12];
    double d[12];
    for (unsigned i = 0; i < 12; i++) {
        v[i] = flow->result + i;
        d[i] = (double) v[i] / 3;
    }
    uint64_t a = v[0], b = v[1], c = v[2], e = v[3], f = v[4], g = v[5], h = v[6];
    double k = d[0], l = d[1], m = d[2], n = d[3], o = d[4], p = d[5], q = d[6], r = d[7];
    for (unsigned round = 0; round < 100; round++) {
        a += b ^ round, b += c * 3, c ^= e, e += f, f ^= g << 1, g += h, h += a;
        k += l / 2, l -= m, m += n / 4, n -= o, o += p / 8, p -= q, q += r / 16, r = k - r;
        if (flow->steps)
            flow_yield(flow);
    }
    double sum = k + l + m + n + o + p + q + r;
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    flow->result = (a + b + c + e + f + g + h) ^ bits;
    flow_end(flow);
}

static uint64_t compute_alone(uint64_t seed)
{
    struct flow flow;
    flow_open(&flow, compute, STACK_SIZE);
    flow.result = seed;
    flow_resume(&flow);
    flow_close(&flow);
    return flow.result;
}

START_TEST(registers_survive)
{
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    struct flow flows[4];
    for (unsigned i = 0; i < 4; i++) {
        flow_open(&flows[i], compute, STACK_SIZE);
        flows[i].result = (uint64_t) i * 1000;
        flows[i].steps = 1;
    }
    for (unsigned turn = 0; turn < 101; turn++)
        for (unsigned i = 0; i < 4; i++)
            flow_resume(&flows[i]);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(flows[i].result, compute_alone((uint64_t) i * 1000));
        flow_close(&flows[i]);
    }
    rondo_context_leave_thread(&home);
}
END_TEST

/* --- the floating-point unit's modes -------------------------------------------------------------- */

static void round_up(void *argument)
{
    struct flow *flow = argument;
    flow->result = (uint64_t) fegetround();
    fesetround(FE_UPWARD);
    flow_yield(flow);
    trace(fegetround() == FE_UPWARD ? "up" : "lost");
    flow_end(flow);
}

START_TEST(rounding_belongs_to_the_flow)
{
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    struct flow flow;
    fesetround(FE_DOWNWARD);
    flow_open(&flow, round_up, STACK_SIZE);
    fesetround(FE_TONEAREST);
    flow_resume(&flow);
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
    fesetround(FE_TOWARDZERO);
    flow_resume(&flow);
    ck_assert_int_eq(fegetround(), FE_TOWARDZERO);
    fesetround(FE_TONEAREST);
    trace_is("up");
    ck_assert_int_eq((int) flow.result, FE_DOWNWARD); /* as it was when the context was made */
    flow_close(&flow);
    rondo_context_leave_thread(&home);
}
END_TEST

/* --- stacks --------------------------------------------------------------------------------------- */

/* 128 bytes or more for each level, all of them written and looked at again on the way back. */
static unsigned descend(unsigned depth, unsigned char mark)
{
    volatile unsigned char bytes[128];
    memset((void *) (uintptr_t) bytes, mark, sizeof bytes);
    unsigned sum = depth ? descend(depth - 1, (unsigned char) (mark + 1)) : 0;
    for (unsigned i = 0; i < sizeof bytes; i++)
        sum += bytes[i] != mark;
    return sum;
}

static void dive(void *argument)
{
    struct flow *flow = argument;
    flow->result = 1 + descend(flow->steps, 7);
    flow_yield(flow);
    flow->result += 10 + descend(flow->steps, 9);
    flow_end(flow);
}

START_TEST(deep_recursion_fits)
{
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    struct flow flow;
    flow_open(&flow, dive, 4u << 20);
    flow.steps = 4000;
    flow_resume(&flow);
    ck_assert_uint_eq(flow.result, 1);
    flow_resume(&flow);
    ck_assert_uint_eq(flow.result, 11);
    flow_close(&flow);
    rondo_context_leave_thread(&home);
}
END_TEST

START_TEST(sizes_are_kept)
{
    static const size_t sizes[] = { 1, 4096, 65536, 100000, 8u << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct rondo_stack stack;
        ck_assert_int_eq(rondo_stack_map(&stack, sizes[i]), 0);
        ck_assert_uint_ge(stack.size, sizes[i]);
        ck_assert_uint_eq((uintptr_t) stack.top % 64, 0);
        rondo_stack_unmap(&stack);
    }
    struct rondo_stack untouched = { .size = 77 };
    ck_assert_int_eq(rondo_stack_map(&untouched, SIZE_MAX / 4), RONDO_ENOMEM);
    ck_assert_int_eq(rondo_stack_map(&untouched, SIZE_MAX), RONDO_ENOMEM);
    ck_assert_uint_eq(untouched.size, 77);
}
END_TEST

static void ravage(void *argument)
{
    struct flow *flow = argument;
    flow->result = descend(100, 3);
    flow_end(flow);
}

/* The top of the stack is the caller's, whatever the flow does below it. */
START_TEST(reserved_bytes_are_left_alone)
{
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    struct flow flow;
    memset(&flow, 0, sizeof flow);
    flow.home = &home;
    ck_assert_int_eq(rondo_stack_map(&flow.stack, STACK_SIZE), 0);
    static const size_t reserves[] = { 1, 15, 16, 333, 1024, 8 };
    for (size_t i = 0; i < sizeof reserves / sizeof reserves[0]; i++) {
        unsigned char *mine = (unsigned char *) flow.stack.top - reserves[i];
        memset(mine, 0xa5, reserves[i]);
        ck_assert_int_eq(rondo_context_make(&flow.context, &flow.stack, reserves[i], ravage, &flow), 0);
        flow_resume(&flow);
        rondo_context_destroy(&flow.context);
        ck_assert_uint_eq(flow.result, 0);
        for (size_t k = 0; k < reserves[i]; k++)
            ck_assert_uint_eq(mine[k], 0xa5);
    }
    rondo_stack_unmap(&flow.stack);
    rondo_context_leave_thread(&home);
}
END_TEST

static void count(void *argument)
{
    struct flow *flow = argument;
    volatile char local[64];
    local[flow->result % 64] = 1;
    flow->result += (uint64_t) local[flow->result % 64];
    if (flow->steps && flow->result % 50 == 0)
        flow_yield(flow); /* and is destroyed there, now and then */
    flow_end(flow);
}

/* One stack for 100,000 contexts, some of which never end and some of which never begin. */
START_TEST(stack_is_reused)
{
    ck_assert_int_eq(rondo_context_enter_thread(&home), 0);
    struct flow flow;
    memset(&flow, 0, sizeof flow);
    flow.home = &home;
    flow.steps = 1;
    ck_assert_int_eq(rondo_stack_map(&flow.stack, STACK_SIZE), 0);
    for (unsigned turn = 0; turn < 100000; turn++) {
        size_t reserved = (size_t) turn % 5 * 40;
        memset((char *) flow.stack.top - reserved, 1, reserved);
        ck_assert_int_eq(rondo_context_make(&flow.context, &flow.stack, reserved, count, &flow), 0);
        if (turn % 1000 != 999)
            flow_resume(&flow);
        rondo_context_destroy(&flow.context);
    }
    ck_assert_uint_eq(flow.result, 100000 - 100);
    rondo_stack_unmap(&flow.stack);
    rondo_context_leave_thread(&home);
}
END_TEST

/* --- threads -------------------------------------------------------------------------------------- */

static void own_contexts(void *argument)
{
    uint64_t *total = argument;
    struct rondo_context thread_home;
    if (rondo_context_enter_thread(&thread_home) < 0)
        return;
    struct flow flow;
    memset(&flow, 0, sizeof flow);
    flow.home = &thread_home;
    if (rondo_stack_map(&flow.stack, STACK_SIZE) == 0) {
        for (unsigned turn = 0; turn < 1000; turn++) {
            if (rondo_context_make(&flow.context, &flow.stack, 0, count, &flow) < 0)
                break;
            rondo_context_switch(&thread_home, &flow.context);
            rondo_context_destroy(&flow.context);
        }
        rondo_stack_unmap(&flow.stack);
    }
    rondo_context_leave_thread(&thread_home);
    *total = flow.result;
}

START_TEST(each_thread_has_its_own)
{
    uint64_t totals[3] = { 0 };
    support_thread *threads[3];
    for (unsigned i = 0; i < 3; i++)
        threads[i] = support_thread_start(own_contexts, &totals[i]);
    for (unsigned i = 0; i < 3; i++) {
        support_thread_join(threads[i]);
        ck_assert_uint_eq(totals[i], 1000);
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "context");
    tcase_add_test(tcase, two_flows_take_turns);
    tcase_add_test(tcase, flows_switch_to_each_other);
    tcase_add_test(tcase, registers_survive);
    tcase_add_test(tcase, rounding_belongs_to_the_flow);
    tcase_add_test(tcase, deep_recursion_fits);
    tcase_add_test(tcase, sizes_are_kept);
    tcase_add_test(tcase, reserved_bytes_are_left_alone);
    tcase_add_test(tcase, stack_is_reused);
    tcase_add_test(tcase, each_thread_has_its_own);
}

int main(void)
{
    return support_main_once("context", add_cases);
}
