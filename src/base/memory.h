/* SPDX-License-Identifier: MIT */
/* Memory through an allocator that may fail. Sizes of 0 are not asked for. */
#ifndef RONDO_BASE_MEMORY_H
#define RONDO_BASE_MEMORY_H

#include <rondo/types.h>

/* malloc, realloc, free. */
extern const rondo_allocator rondo_allocator_default;

static inline void *rondo_allocate(const rondo_allocator *allocator, size_t size)
{
    return allocator->allocate(allocator->context, size);
}

static inline void *rondo_reallocate(const rondo_allocator *allocator, void *block, size_t size)
{
    return allocator->reallocate(allocator->context, block, size);
}

static inline void rondo_release(const rondo_allocator *allocator, void *block)
{
    if (block)
        allocator->release(allocator->context, block);
}

void *rondo_allocate_zeroed(const rondo_allocator *allocator, size_t size);

/* A copy of @text; NULL for NULL or when out of memory. */
char *rondo_duplicate_text(const rondo_allocator *allocator, const char *text);

#endif
