/* SPDX-License-Identifier: MIT */
/* Fixed answers. Requests are counted, by the end of each, and so many copies of the answer go out at once:
 * the row holds as many as a chunk can ask for. It is filled once, before any server starts. */
#include "protocol.h"

#include <string.h>

#include "host.h"

static const char http_answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, "
    "world!\n";
static const char ping_answer[] = "+PONG\r\n";

enum {
    HTTP_LENGTH = sizeof http_answer - 1,
    PING_LENGTH = sizeof ping_answer - 1,
    HTTP_MOST = BENCH_ANSWER_CHUNK / 4 + 1, /* requests in a chunk: ends of four bytes */
    PING_MOST = BENCH_ANSWER_CHUNK,
    ROW = HTTP_MOST * HTTP_LENGTH > PING_MOST *PING_LENGTH ? HTTP_MOST *HTTP_LENGTH : PING_MOST *PING_LENGTH
};

static unsigned char row[ROW];
static int64_t work_ns;

/* A request ends with an empty line; none of those that come have a body. */
static const void *answer_http(unsigned char *state, const void *data, size_t *length)
{
    static const char end[] = "\r\n\r\n";
    const char *bytes = data;
    unsigned matched = *state;
    size_t requests = 0;
    for (size_t i = 0; i < *length; i++) {
        if (bytes[i] != end[matched])
            matched = bytes[i] == '\r';
        else if (++matched == 4) {
            matched = 0;
            requests++;
        }
    }
    *state = (unsigned char) matched;
    *length = requests * HTTP_LENGTH;
    return row;
}

/* Each line is a PING. */
static const void *answer_ping(unsigned char *state, const void *data, size_t *length)
{
    (void) state;
    const char *bytes = data;
    size_t requests = 0;
    for (size_t i = 0; i < *length; i++)
        requests += bytes[i] == '\n';
    *length = requests * PING_LENGTH;
    return row;
}

static const void *answer_after_work(unsigned char *state, const void *data, size_t *length)
{
    (void) state;
    (void) length;
    /* By its own time: what other threads take from the core is no work. */
    for (int64_t end = bench_thread_cpu() + work_ns; bench_thread_cpu() < end;)
        continue;
    return data;
}

static const struct bench_protocol protocols[] = {
    { "echo", NULL },
    { "http", answer_http },
    { "ping", answer_ping },
};

static void fill_row(const char *answer, size_t length)
{
    for (size_t offset = 0; offset + length <= sizeof row; offset += length)
        memcpy(row + offset, answer, length);
}

const struct bench_protocol *bench_protocol_find(const char *name)
{
    const struct bench_protocol *found = NULL;
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        if (strcmp(protocols[i].name, name) == 0)
            found = &protocols[i];
    }
    if (found && found->answer == answer_http)
        fill_row(http_answer, HTTP_LENGTH);
    if (found && found->answer == answer_ping)
        fill_row(ping_answer, PING_LENGTH);
    return found;
}

const unsigned char *bench_protocol_row(void)
{
    return row;
}

bench_answer *bench_protocol_work(int64_t ns)
{
    work_ns = ns;
    return answer_after_work;
}
