/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

static void *default_allocate(void *context, size_t size)
{
    (void) context;
    return malloc(size);
}

static void *default_reallocate(void *context, void *block, size_t size)
{
    (void) context;
    return realloc(block, size);
}

static void default_release(void *context, void *block)
{
    (void) context;
    free(block);
}

const rondo_allocator rondo_allocator_default = {
    .size = sizeof(rondo_allocator),
    .allocate = default_allocate,
    .reallocate = default_reallocate,
    .release = default_release,
};

void *rondo_allocate_zeroed(const rondo_allocator *allocator, size_t size)
{
    void *block = rondo_allocate(allocator, size);
    if (block)
        memset(block, 0, size);
    return block;
}

char *rondo_duplicate_text(const rondo_allocator *allocator, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = rondo_allocate(allocator, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}
