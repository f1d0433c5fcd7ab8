/* SPDX-License-Identifier: MIT */
/* See chunk.h. A chunk is one block: this header, padding to a cache line, the bytes; an I/O buffer that is
 * not aligned costs the kernel nearly twice the time. Invariants: start < end for every chunk in a queue; the sum of
 * their lengths is `size`. */
#include "chunk.h"

#include <assert.h>
#include <string.h>

#include "error.h"
#include "memory.h"

#define ALIGNMENT ((size_t) 64)
#define SMALL_CAPACITY ((size_t) 4096)
#define POOLED_CHUNKS 64u

struct rondo_chunk {
    struct rondo_chunk *next;
    unsigned char *bytes; /* aligned */
    size_t start;
    size_t end;
    size_t capacity;
};

static struct rondo_chunk *make_chunk(const rondo_allocator *allocator, size_t capacity)
{
    if (capacity > SIZE_MAX - sizeof(struct rondo_chunk) - ALIGNMENT)
        return NULL;
    struct rondo_chunk *chunk = rondo_allocate(allocator, sizeof(*chunk) + ALIGNMENT + capacity);
    if (!chunk)
        return NULL;
    uintptr_t bytes = ((uintptr_t) (chunk + 1) + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    chunk->bytes = (unsigned char *) bytes;
    chunk->capacity = capacity;
    return chunk;
}

static struct rondo_chunk *take_chunk(struct rondo_chunk_pool *pool, const rondo_allocator *allocator,
                                      size_t length)
{
    struct rondo_chunk *chunk = pool->free;
    if (length > SMALL_CAPACITY) {
        chunk = make_chunk(allocator, length);
    } else if (chunk) {
        pool->free = chunk->next;
        pool->count--;
    } else {
        chunk = make_chunk(allocator, SMALL_CAPACITY);
    }
    if (chunk) {
        chunk->next = NULL;
        chunk->start = chunk->end = 0;
    }
    return chunk;
}

static void give_chunk(struct rondo_chunk_pool *pool, const rondo_allocator *allocator,
                       struct rondo_chunk *chunk)
{
    if (chunk->capacity != SMALL_CAPACITY || pool->count >= POOLED_CHUNKS) {
        rondo_release(allocator, chunk);
        return;
    }
    chunk->next = pool->free;
    pool->free = chunk;
    pool->count++;
}

/* Copy what lies behind @skip into @to, then what does not fit there into @rest. */
static void copy_pieces(struct rondo_chunk *to, struct rondo_chunk *rest, const rondo_bytes *pieces,
                        size_t count, size_t skip)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned char *data = pieces[i].data;
        size_t left = pieces[i].length;
        size_t skipped = skip < left ? skip : left;
        skip -= skipped;
        data += skipped;
        left -= skipped;
        while (left) {
            size_t room = to ? to->capacity - to->end : 0;
            if (!room) {
                assert(rest);
                to = rest;
                room = to->capacity - to->end;
            }
            size_t n = left < room ? left : room;
            memcpy(to->bytes + to->end, data, n);
            to->end += n;
            data += n;
            left -= n;
        }
    }
}

int rondo_chunks_append(struct rondo_chunks *chunks, struct rondo_chunk_pool *pool,
                        const rondo_allocator *allocator, const rondo_bytes *pieces, size_t count,
                        size_t skip)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += pieces[i].length;
    total -= skip;
    if (!total)
        return 0;
    size_t room = chunks->tail ? chunks->tail->capacity - chunks->tail->end : 0;
    struct rondo_chunk *rest = NULL;
    if (total > room) {
        rest = take_chunk(pool, allocator, total - room);
        if (!rest)
            return rondo_fail(RONDO_ENOMEM, NULL);
    }
    copy_pieces(chunks->tail, rest, pieces, count, skip);
    if (rest && chunks->tail)
        chunks->tail->next = rest;
    else if (rest)
        chunks->head = rest;
    if (rest)
        chunks->tail = rest;
    chunks->size += total;
    return 0;
}

size_t rondo_chunks_gather(const struct rondo_chunks *chunks, rondo_bytes *pieces, size_t capacity)
{
    size_t count = 0;
    for (const struct rondo_chunk *chunk = chunks->head; chunk && count < capacity;
         chunk = chunk->next, count++)
        pieces[count] = (rondo_bytes){ chunk->bytes + chunk->start, chunk->end - chunk->start };
    return count;
}

void rondo_chunks_consume(struct rondo_chunks *chunks, struct rondo_chunk_pool *pool,
                          const rondo_allocator *allocator, size_t length)
{
    assert(length <= chunks->size);
    chunks->size -= length;
    while (length) {
        struct rondo_chunk *chunk = chunks->head;
        size_t there = chunk->end - chunk->start;
        if (length < there) {
            chunk->start += length;
            return;
        }
        length -= there;
        chunks->head = chunk->next;
        give_chunk(pool, allocator, chunk);
    }
    if (!chunks->head)
        chunks->tail = NULL;
}

void rondo_chunk_pool_free(struct rondo_chunk_pool *pool, const rondo_allocator *allocator)
{
    while (pool->free) {
        struct rondo_chunk *chunk = pool->free;
        pool->free = chunk->next;
        rondo_release(allocator, chunk);
    }
    pool->count = 0;
}
