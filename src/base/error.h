/* SPDX-License-Identifier: MIT */
/* The last error of a thread: how a failing call says what it has to say. */
#ifndef RONDO_BASE_ERROR_H
#define RONDO_BASE_ERROR_H

#include <rondo/error.h>

/* Remember @code and a message (format NULL: the code's text) for this thread. Returns @code, so that
 * a failing call ends with `return rondo_fail(...)`. The second form copies a finished text. */
int rondo_fail(int code, const char *format, ...) RONDO_PRINTF(2, 3);
int rondo_fail_text(int code, const char *text);

/* The same with the message "@what: the code's text": what could not be done, or the call of the system. */
int rondo_fail_what(int code, const char *what);
int rondo_fail_v(int code, const char *format, va_list arguments);

#endif
