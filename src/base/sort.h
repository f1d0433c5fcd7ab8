/* SPDX-License-Identifier: MIT */
/* Sorting very many entries of the timer heap. */
#ifndef RONDO_BASE_SORT_H
#define RONDO_BASE_SORT_H

#include "heap.h"

/* Bring @count entries into the order of their deadlines, and of their insertion where those are equal. In place. */
void rondo_sort_entries(struct rondo_heap_entry *entries, size_t count);

#endif
