/* SPDX-License-Identifier: MIT */
/* The requests of http_server, taken apart by http_parser (Debian: libhttp-parser-dev). */
#include "http_request.h"

#include <string.h>
#include <strings.h>

enum {
    MAX_HEADERS = 32768,
    MAX_BODY = 65536 /* it is thrown away */
};

static int on_message_begin(http_parser *parser)
{
    struct http_request *request = parser->data;
    request->url_length = request->header_bytes = request->body_bytes = request->field_length = 0;
    request->hosts = 0;
    request->expects_continue = request->wants_go_ahead = request->is_in_value = false;
    request->is_complete = false;
    request->error = 0;
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct http_request *request = parser->data;
    if (length > HTTP_MAX_URL - request->url_length) {
        request->error = 414;
        return 1;
    }
    memcpy(request->url + request->url_length, at, length);
    request->url_length += length;
    return 0;
}

static int count_header(struct http_request *request, size_t length)
{
    request->header_bytes += length;
    if (request->header_bytes > MAX_HEADERS)
        request->error = 431;
    return request->error != 0;
}

/* A name may come in several pieces. */
static int on_field(http_parser *parser, const char *at, size_t length)
{
    struct http_request *request = parser->data;
    if (request->is_in_value)
        request->field_length = 0;
    request->is_in_value = false;
    for (size_t i = 0; i < length; i++, request->field_length++)
        if (request->field_length < sizeof request->field)
            request->field[request->field_length] = at[i];
    return count_header(request, length);
}

static bool is_field(const struct http_request *request, const char *name)
{
    size_t length = strlen(name);
    return request->field_length == length && strncasecmp(request->field, name, length) == 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    (void) at;
    struct http_request *request = parser->data;
    if (!request->is_in_value && is_field(request, "Host"))
        request->hosts++;
    if (!request->is_in_value && is_field(request, "Expect"))
        request->expects_continue = true; /* nothing else can be expected */
    request->is_in_value = true;
    return count_header(request, length);
}

/* A body that is announced too long is not waited for. */
static int on_headers_complete(http_parser *parser)
{
    struct http_request *request = parser->data;
    bool has_length = parser->flags & F_CONTENTLENGTH;
    bool is_new = parser->http_major > 1 || parser->http_minor > 0;
    if (request->hosts > 1 || (is_new && request->hosts == 0))
        request->error = 400;
    else if (has_length && parser->content_length > MAX_BODY)
        request->error = 413;
    if (request->error)
        return -1;
    request->wants_go_ahead = request->expects_continue && is_new;
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t length)
{
    (void) at;
    struct http_request *request = parser->data;
    request->body_bytes += length;
    if (request->body_bytes > MAX_BODY)
        request->error = 413;
    return request->error != 0;
}

/* The rest of what came waits until this one is answered. */
static int on_message_complete(http_parser *parser)
{
    struct http_request *request = parser->data;
    request->is_complete = true;
    request->keeps_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings parsing = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- the calls ------------------------------------------------------------------------------------------- */

void http_request_init(struct http_request *request)
{
    http_parser_init(&request->parser, HTTP_REQUEST);
    request->parser.data = request;
}

enum http_state http_request_take(struct http_request *request, const void *data, size_t length,
                                  size_t *ret_used)
{
    *ret_used = http_parser_execute(&request->parser, &parsing, data, length);
    if (request->is_complete) {
        request->is_complete = request->wants_go_ahead = false;
        http_parser_pause(&request->parser, 0);
        return HTTP_COMPLETE;
    }
    if (HTTP_PARSER_ERRNO(&request->parser) == HPE_OK)
        return HTTP_GOES_ON;
    request->keeps_alive = false;
    if (!request->error)
        request->error = 400;
    return HTTP_WRONG;
}
