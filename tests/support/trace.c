/* SPDX-License-Identifier: MIT */
/* A growing line of words that tells what happened in which order. */
#include "support.h"

#include <stdio.h>
#include <string.h>

static char text[8192];
static size_t length;

const char *trace_text(void)
{
    return text;
}

void trace_clear(void)
{
    length = 0;
    text[0] = '\0';
}

void trace(const char *format, ...)
{
    char word[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(word, sizeof word, format, arguments);
    va_end(arguments);
    if (length + strlen(word) + 2 > sizeof text)
        ck_abort_msg("the trace is full: %.200s ...", text);
    length += (size_t) snprintf(text + length, sizeof text - length, "%s%s", length ? " " : "", word);
}

void trace_word(void *word)
{
    trace("%s", (const char *) word);
}
