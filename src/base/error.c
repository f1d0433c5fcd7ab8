/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <stdio.h>

static _Thread_local int last_code;
static _Thread_local char last_message[512];

const char *rondo_strerror(int code)
{
    switch (code) {
#define RONDO_ERROR_TEXT(name, value, class_name, text) \
    case value:                                         \
        return text;
        RONDO_ERRORS(RONDO_ERROR_TEXT)
#undef RONDO_ERROR_TEXT
    default:
        break;
    }
    if (code >= 0)
        return "success";
    return code <= RONDO_EUSER ? "error of the program" : "unknown error";
}

const char *rondo_err_name(int code)
{
    switch (code) {
#define RONDO_ERROR_NAME(name, value, class_name, text) \
    case value:                                         \
        return "RONDO_" #name;
        RONDO_ERRORS(RONDO_ERROR_NAME)
#undef RONDO_ERROR_NAME
    default:
        break;
    }
    if (code >= 0)
        return "RONDO_OK";
    return code <= RONDO_EUSER ? "RONDO_EUSER" : "RONDO_UNKNOWN";
}

rondo_error_class rondo_err_class(int code)
{
    switch (code) {
#define RONDO_ERROR_CLASS(name, value, class_name, text) \
    case value:                                          \
        return RONDO_CLASS_##class_name;
        RONDO_ERRORS(RONDO_ERROR_CLASS)
#undef RONDO_ERROR_CLASS
    default:
        break;
    }
    return code >= 0 ? RONDO_CLASS_NONE : RONDO_CLASS_APPLICATION;
}

int rondo_last_error(void)
{
    return last_code;
}

const char *rondo_last_error_message(void)
{
    return last_code ? last_message : "";
}

int rondo_fail_text(int code, const char *text)
{
    last_code = code;
    if (!text)
        text = rondo_strerror(code);
    if (text != last_message)
        snprintf(last_message, sizeof last_message, "%s", text);
    return code;
}

int rondo_fail_what(int code, const char *what)
{
    return rondo_fail(code, "%s: %s", what, rondo_strerror(code));
}

int rondo_fail_v(int code, const char *format, va_list arguments)
{
    if (!format)
        return rondo_fail_text(code, NULL);
    char text[sizeof last_message]; /* an argument may be the old message */
    vsnprintf(text, sizeof text, format, arguments);
    return rondo_fail_text(code, text);
}

int rondo_fail(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    rondo_fail_v(code, format, arguments);
    va_end(arguments);
    return code;
}
