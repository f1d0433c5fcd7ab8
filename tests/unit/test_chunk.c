/* SPDX-License-Identifier: MIT */
/* src/base/chunk.h: bytes go in at one end and come out at the other, whatever the sizes. */
#include "src/base/chunk.h"

#include <string.h>

#include "support.h"

enum { PIECES = 8 };

static struct rondo_chunks chunks;
static struct rondo_chunk_pool pool;
static size_t written, consumed; /* bytes so far; byte n is n * 7 */
static unsigned state;

static unsigned pick(unsigned below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % below;
}

static unsigned char byte_at(size_t position)
{
    return (unsigned char) (position * 7);
}

static void begin(unsigned seed)
{
    memset(&chunks, 0, sizeof chunks);
    memset(&pool, 0, sizeof pool);
    written = consumed = 0;
    state = seed;
}

static void end(void)
{
    rondo_chunks_consume(&chunks, &pool, &support_allocator, chunks.size);
    ck_assert_uint_eq(chunks.size, 0);
    rondo_chunk_pool_free(&pool, &support_allocator);
}

/* Append up to three pieces, the first @skip bytes of which were sent already. */
static int append(size_t total, size_t skip)
{
    static unsigned char bytes[200000];
    for (size_t i = skip; i < total; i++)
        bytes[i] = byte_at(written + i - skip);
    size_t cut = total ? pick((unsigned) total + 1) : 0;
    rondo_bytes pieces[3] = { { bytes, cut }, { NULL, 0 }, { bytes + cut, total - cut } };
    int rc = rondo_chunks_append(&chunks, &pool, &support_allocator, pieces, 3, skip);
    if (rc == 0)
        written += total - skip;
    return rc;
}

/* What is gathered is what was written, from the front, without a hole. */
static size_t check_gathered(size_t capacity)
{
    rondo_bytes pieces[PIECES];
    size_t count = rondo_chunks_gather(&chunks, pieces, capacity);
    ck_assert_uint_le(count, capacity);
    size_t at = consumed;
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        good &= pieces[i].length > 0;
        for (size_t k = 0; k < pieces[i].length; k++)
            good &= ((const unsigned char *) pieces[i].data)[k] == byte_at(at++);
    }
    ck_assert(good);
    ck_assert(count == capacity || at == written);
    return at - consumed;
}

START_TEST(test_random_traffic)
{
    for (unsigned seed = 0; seed < 40; seed++) {
        begin(seed);
        unsigned largest = seed % 4 == 0 ? 150000 : 3000;
        for (int step = 0; step < 100; step++) {
            size_t total = pick(largest);
            ck_assert_int_eq(append(total, total ? pick((unsigned) total) : 0), 0);
            ck_assert_uint_eq(chunks.size, written - consumed);
            size_t ready = check_gathered(1 + pick(PIECES));
            size_t taken = ready ? pick((unsigned) ready + 1) : 0;
            rondo_chunks_consume(&chunks, &pool, &support_allocator, taken);
            consumed += taken;
            ck_assert_uint_eq(chunks.size, written - consumed);
        }
        end();
    }
}
END_TEST

START_TEST(test_appending_moves_nothing)
{
    begin(1);
    ck_assert_int_eq(append(100, 0), 0);
    rondo_bytes before, after;
    ck_assert_uint_eq(rondo_chunks_gather(&chunks, &before, 1), 1);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(append(5000, 0), 0);
    ck_assert_uint_eq(rondo_chunks_gather(&chunks, &after, 1), 1);
    ck_assert_ptr_eq(before.data, after.data);
    ck_assert_uint_ge(after.length, before.length);
    end();
}
END_TEST

START_TEST(test_empty_holds_little)
{
    begin(2);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(append(10000, 0), 0);
        rondo_chunks_consume(&chunks, &pool, &support_allocator, chunks.size);
    }
    ck_assert_uint_le(support_bytes(), 1 << 20); /* the pool is bounded */
    ck_assert_ptr_null(chunks.head);
    rondo_chunk_pool_free(&pool, &support_allocator);
    ck_assert_uint_eq(support_blocks(), 0);
}
END_TEST

START_TEST(test_no_memory)
{
    for (size_t nth = 1; nth < 6; nth++) {
        begin(3);
        ck_assert_int_eq(append(100, 0), 0);
        size_t before = chunks.size;
        support_fail_nth(nth);
        int rc = append(190000, 0);
        if (!support_has_failed())
            ck_assert_int_eq(rc, 0);
        else
            ck_assert_int_eq(rc, RONDO_ENOMEM);
        ck_assert_uint_eq(chunks.size, rc == 0 ? before + 190000 : before); /* nothing or all */
        support_fail_nth(0);
        check_gathered(PIECES);
        ck_assert_int_eq(append(10, 0), 0);
        check_gathered(PIECES);
        end();
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "chunks");
    tcase_add_test(tcase, test_random_traffic);
    tcase_add_test(tcase, test_appending_moves_nothing);
    tcase_add_test(tcase, test_empty_holds_little);
    tcase_add_test(tcase, test_no_memory);
}

int main(void)
{
    return support_main_once("chunks", add_cases);
}
