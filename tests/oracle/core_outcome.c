/* SPDX-License-Identifier: MIT */
/* Words for how futures and calls end: numbers, names of errors, lists for gather. */
#include "core_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int error_code(const char *name)
{
    return RONDO_EUSER - atoi(name + 1);
}

const char *error_name(int code)
{
    static char text[16];
    if (code <= RONDO_EUSER) {
        snprintf(text, sizeof text, "E%d", RONDO_EUSER - code);
        return text;
    }
    switch (rondo_err_class(code)) {
    case RONDO_CLASS_CANCELLED:
        return "cancelled";
    case RONDO_CLASS_TIMEOUT:
        return "timeout";
    case RONDO_CLASS_INVALID_STATE:
        return "invalid";
    case RONDO_CLASS_INTERRUPT:
        return "interrupt";
    case RONDO_CLASS_VALUE:
        return "value";
    case RONDO_CLASS_RUNTIME:
        return "runtime";
    case RONDO_CLASS_TYPE:
        return "type";
    default:
        return rondo_err_name(code);
    }
}

static size_t write_outcome(char *text, size_t room, const struct thing *list, int code, void *value)
{
    if (code < 0)
        return (size_t) snprintf(text, room, "%s", error_name(code));
    if (!list)
        return (size_t) snprintf(text, room, "%d", code > 0 ? code : (int) (intptr_t) value);
    size_t length = (size_t) snprintf(text, room, "[");
    for (size_t i = 0; i < list->count; i++) {
        if (i > 0)
            length += (size_t) snprintf(text + length, room - length, ",");
        length += write_outcome(text + length, room - length, list->members[i]->list, list->outcomes[i].code,
                                list->outcomes[i].value);
    }
    return length + (size_t) snprintf(text + length, room - length, "]");
}

const char *outcome_of(const struct thing *list, int code, void *value)
{
    static char text[256];
    write_outcome(text, sizeof text, list, code, value);
    return text;
}
