/* SPDX-License-Identifier: MIT */
/* Contract: reading and writing without waiting, whatever mode the descriptor is in. Linux alone has it. As in file.h;
 * RONDO_EOPNOTSUPP where this descriptor cannot do it (terminals, named pipes). */
#ifndef RONDO_PLATFORM_FILE_NOW_H
#define RONDO_PLATFORM_FILE_NOW_H

#include "file.h"

ptrdiff_t rondo_file_read_now(rondo_file file, void *buffer, size_t length);
ptrdiff_t rondo_file_write_now(rondo_file file, const rondo_bytes *pieces, size_t count);

#endif
