/* SPDX-License-Identifier: MIT */
/* The requests of http_server: HTTP/1.1 (RFC 9112), one after the other. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>

enum { HTTP_MAX_URL = 4096 };

enum http_state { HTTP_GOES_ON, HTTP_COMPLETE, HTTP_WRONG };

struct http_request {
    http_parser parser;  /* its method, its version */
    int error;           /* the status to answer with, whatever it says; 0: none */
    bool keeps_alive;    /* there may be another one behind it */
    bool wants_go_ahead; /* it waits for our word before it sends the body (RFC 9110, 10.1.1) */
    size_t url_length;
    char url[HTTP_MAX_URL + 1];
    /* While it comes. */
    bool expects_continue;
    bool is_complete;
    bool is_in_value;
    unsigned hosts; /* Host fields: there has to be one (RFC 9112, 3.2) */
    char field[16]; /* the beginning of the name of the header field that goes on */
    size_t field_length;
    size_t header_bytes;
    size_t body_bytes;
};

void http_request_init(struct http_request *request);

/* Take what belongs to the request out of @data; behind @ret_used bytes of it begins the next one. Nothing can follow one that
 * is wrong. */
enum http_state http_request_take(struct http_request *request, const void *data, size_t length,
                                  size_t *ret_used);

#endif
