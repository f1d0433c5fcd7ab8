/* SPDX-License-Identifier: MIT */
/* Counted memory with a planned failure.
 *
 * Each block carries its size and a mark, so that a block of another allocator, or one that was
 * released twice, is noticed at once. A case ends with every block given back. Any thread. */
#include "support.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct header {
    alignas(max_align_t) size_t size;
    uint64_t mark;
};

static const uint64_t alive = 0x72306e6430616c69u;
static const uint64_t dead = 0x72306e6430646561u;

static atomic_size_t blocks, bytes, allocations;
static atomic_size_t planned; /* the number of the allocation that fails; 0: none */
static atomic_bool failing_on, failed;

static bool must_fail(void)
{
    size_t number = atomic_fetch_add(&allocations, 1) + 1;
    size_t plan = atomic_load(&planned);
    if (plan == 0 || number < plan || (number > plan && !atomic_load(&failing_on)))
        return false;
    atomic_store(&failed, true);
    return true;
}

static struct header *header_of(void *block)
{
    struct header *header = (struct header *) block - 1;
    if (header->mark != alive) {
        fprintf(stderr, "released what is no live block of this allocator\n");
        abort();
    }
    return header;
}

static void *give_out(struct header *header, size_t size)
{
    header->size = size;
    header->mark = alive;
    atomic_fetch_add(&blocks, 1);
    atomic_fetch_add(&bytes, size);
    return header + 1;
}

static void take_back(struct header *header)
{
    header->mark = dead;
    atomic_fetch_sub(&blocks, 1);
    atomic_fetch_sub(&bytes, header->size);
}

static void *allocate(void *context, size_t size)
{
    (void) context;
    if (must_fail())
        return NULL;
    struct header *header = malloc(sizeof *header + size);
    return header ? give_out(header, size) : NULL;
}

static void release(void *context, void *block)
{
    (void) context;
    if (!block)
        return;
    struct header *header = header_of(block);
    take_back(header);
    free(header);
}

/* Always moves, so that a pointer kept across a reallocation is found out. */
static void *reallocate(void *context, void *block, size_t size)
{
    void *fresh = allocate(context, size);
    if (!fresh || !block)
        return fresh;
    size_t old = header_of(block)->size;
    memcpy(fresh, block, old < size ? old : size);
    release(context, block);
    return fresh;
}

const rondo_allocator support_allocator = {
    .size = sizeof(rondo_allocator),
    .allocate = allocate,
    .reallocate = reallocate,
    .release = release,
};

size_t support_blocks(void)
{
    return atomic_load(&blocks);
}

size_t support_bytes(void)
{
    return atomic_load(&bytes);
}

size_t support_allocations(void)
{
    return atomic_load(&allocations);
}

static void plan_failure(size_t nth, bool going_on)
{
    atomic_store(&failed, false);
    atomic_store(&failing_on, going_on);
    atomic_store(&planned, nth ? atomic_load(&allocations) + nth : 0);
}

void support_fail_nth(size_t nth)
{
    plan_failure(nth, false);
}

void support_fail_from(size_t nth)
{
    plan_failure(nth, true);
}

bool support_has_failed(void)
{
    return atomic_load(&failed);
}

void support_memory_begin(void)
{
    plan_failure(0, false);
    atomic_store(&allocations, 0);
    atomic_store(&blocks, 0);
    atomic_store(&bytes, 0);
}

void support_memory_end(void)
{
    size_t left = support_blocks();
    ck_assert_msg(left == 0, "%zu blocks (%zu bytes) were not given back", left, support_bytes());
}
