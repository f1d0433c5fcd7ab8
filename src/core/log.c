/* SPDX-License-Identifier: MIT */
/* The log: finished lines to one sink for the process. */
#include <stdarg.h>
#include <stdio.h>

#include "loop.h"

/* What Python's logging of last resort does: warnings and errors go to the standard error stream. */
static void write_to_stderr(rondo_log_level level, const char *line, void *user)
{
    (void) user;
    if (level >= RONDO_LOG_WARNING)
        fprintf(stderr, "rondo: %s\n", line);
}

static _Atomic(rondo_log_sink *) sink = write_to_stderr;
static _Atomic(void *) sink_user;

void rondo_log_set_sink(rondo_log_sink *new_sink, void *user)
{
    atomic_store(&sink_user, user);
    atomic_store(&sink, new_sink);
}

void rondo_log_reset_sink(void)
{
    rondo_log_set_sink(write_to_stderr, NULL);
}

void rondo_log(rondo_log_level level, const char *format, ...)
{
    rondo_log_sink *to = atomic_load(&sink);
    if (!to)
        return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    to(level, line, atomic_load(&sink_user));
}
