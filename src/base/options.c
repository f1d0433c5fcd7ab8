/* SPDX-License-Identifier: MIT */
/* Options that a program hands in: what its structure has is taken, what it does not know of keeps its default. */
#include "options.h"

#include <string.h>

#include "error.h"

#define LARGEST 4096u /* a size beyond it was never set */

int rondo_options_read(void *options, size_t size, const void *given, size_t least, const char *start)
{
    size_t given_size = 0;
    if (given)
        memcpy(&given_size, given, sizeof given_size);
    if (!given || given_size < least || given_size > LARGEST)
        return rondo_fail(RONDO_EINVAL, "no options given, or their size is not set; start from %s", start);
    memcpy(options, given, given_size < size ? given_size : size);
    return 0;
}
