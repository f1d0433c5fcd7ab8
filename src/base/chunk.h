/* SPDX-License-Identifier: MIT */
/* A queue of bytes in chunks: what waits to be sent. Appending never moves what is there, so that the
 * kernel may read the front while the end grows. An empty queue holds no memory; small chunks come from a pool. */
#ifndef RONDO_BASE_CHUNK_H
#define RONDO_BASE_CHUNK_H

#include <rondo/transport.h>
#include <rondo/types.h>

struct rondo_chunk;

struct rondo_chunk_pool {
    struct rondo_chunk *free;
    size_t count;
};

struct rondo_chunks {
    struct rondo_chunk *head;
    struct rondo_chunk *tail;
    size_t size; /* bytes in all chunks */
};

/* Append @count pieces, but for their first @skip bytes. Returns 0; RONDO_ENOMEM: nothing was appended. */
int rondo_chunks_append(struct rondo_chunks *chunks, struct rondo_chunk_pool *pool,
                        const rondo_allocator *allocator, const rondo_bytes *pieces, size_t count,
                        size_t skip);
/* Name the bytes from the front in at most @capacity pieces; returns how many. */
size_t rondo_chunks_gather(const struct rondo_chunks *chunks, rondo_bytes *pieces, size_t capacity);
/* Forget the first @length bytes. */
void rondo_chunks_consume(struct rondo_chunks *chunks, struct rondo_chunk_pool *pool,
                          const rondo_allocator *allocator, size_t length);
void rondo_chunk_pool_free(struct rondo_chunk_pool *pool, const rondo_allocator *allocator);

#endif
