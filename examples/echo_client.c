/* SPDX-License-Identifier: MIT */
/* A client that keeps many connections busy at once and checks every byte that comes back.
 *
 * echo_client --port 7000 --connections 1000 --messages 10 --size 64
 *
 * echo_client --unix /tmp/echo          (--unix @echo: an abstract name)
 *
 * Each connection has a task, talk(): connect, send a message, wait for the answer, compare, again; then
 * finish sending and wait for the server to close. All tasks share one loop and one thread. Between a
 * protocol, which is called when something arrives, and a task, which wants to wait for it, stands the
 * small stream below. */
#include <getopt.h>
#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *host;
    int port;
    const char *path; /* of a Unix socket; NULL: host and port */
    size_t path_length;
    int connections;
    int messages; /* on each connection */
    int size;     /* of each message, in bytes */
};

/* What one task is told, and how it ended. */
struct visitor {
    const struct settings *settings;
    int number;
    char error[256]; /* empty when all went well */
};

/* --- a stream: from callbacks to something that a task can await -------------------------------- */

/* Lives in the protocol's memory; all zero at first. */
struct stream {
    unsigned char *bytes; /* where the answer goes */
    size_t wanted;        /* how long it will be; 0: nothing is expected */
    size_t length;        /* how much is there */
    bool too_much;        /* more arrived than was wanted */
    bool ended;           /* nothing more will come */
    int error;            /* why it ended; 0: the server closed */
    rondo_future *waiter; /* what the task waits for; NULL: it does not */
};

/* Let the task look again. */
static void wake(struct stream *stream)
{
    rondo_future *waiter = stream->waiter;
    stream->waiter = NULL;
    if (!waiter)
        return;
    if (!rondo_future_done(waiter)) /* it is if the task was cancelled */
        rondo_future_set_result(waiter, NULL);
    rondo_future_unref(waiter);
}

static void data_received(rondo_protocol *protocol, const void *data, size_t length)
{
    struct stream *stream = rondo_protocol_data(protocol);
    if (length > stream->wanted - stream->length) {
        stream->too_much = true;
        length = stream->wanted - stream->length;
    }
    if (length > 0)
        memcpy(stream->bytes + stream->length, data, length);
    stream->length += length;
    wake(stream);
}

static void connection_lost(rondo_protocol *protocol, int error)
{
    struct stream *stream = rondo_protocol_data(protocol);
    stream->ended = true;
    stream->error = error;
    wake(stream);
}

static const rondo_protocol_ops stream_ops = {
    .size = sizeof stream_ops,
    .data_size = sizeof(struct stream),
    .data_received = data_received,
    .connection_lost = connection_lost,
};

/* In a task: wait until something has happened to @stream. */
static int stream_wait(struct stream *stream)
{
    stream->waiter = rondo_future_new(rondo_loop_running());
    return rondo_await(rondo_future_ref(stream->waiter),
                       NULL); /* await consumes one reference, wake() the other */
}

/* In a task: receive exactly @length bytes into @bytes. */
static int stream_read(struct stream *stream, unsigned char *bytes, size_t length)
{
    stream->bytes = bytes;
    stream->wanted = length;
    stream->length = 0;
    int rc = 0;
    while (rc == 0 && stream->length < length && !stream->ended)
        rc = stream_wait(stream);
    if (rc == 0 && stream->length < length)
        rc = stream->error < 0 ? stream->error : RONDO_EOF;
    stream->wanted = stream->length = 0;
    return rc;
}

/* --- the conversation ---------------------------------------------------------------------------- */

static int fail(struct visitor *visitor, int code, const char *what)
{
    const char *why = code < 0 ? rondo_strerror(code) : "";
    snprintf(visitor->error, sizeof visitor->error, "%s%s%s", what, code < 0 ? ": " : "", why);
    return code < 0 ? code : RONDO_EUSER;
}

/* Different bytes for each connection and each message, so that no mix-up goes unseen. */
static void fill(unsigned char *message, const struct visitor *visitor, int turn)
{
    unsigned state = (unsigned) visitor->number * 2654435761U + (unsigned) turn * 40503U + 1;
    for (int i = 0; i < visitor->settings->size; i++) {
        state = state * 1664525U + 1013904223U;
        message[i] = (unsigned char) (state >> 24);
    }
}

static int exchange(struct visitor *visitor, rondo_transport *transport, struct stream *stream,
                    unsigned char *message, unsigned char *answer)
{
    size_t size = (size_t) visitor->settings->size;
    for (int turn = 0; turn < visitor->settings->messages; turn++) {
        fill(message, visitor, turn);
        int rc = rondo_transport_write(transport, message, size);
        if (rc == 0)
            rc = stream_read(stream, answer, size);
        if (rc < 0)
            return fail(visitor, rc, "no answer");
        if (memcmp(message, answer, size) != 0)
            return fail(visitor, 0, "a wrong answer");
    }
    /* Half-close: the server sees the end of our stream, and closes. */
    rondo_transport_write_eof(transport);
    while (!stream->ended) {
        int rc = stream_wait(stream);
        if (rc < 0)
            return fail(visitor, rc, "waiting for the end");
    }
    if (stream->too_much)
        return fail(visitor, 0, "more bytes than were sent");
    return stream->error < 0 ? fail(visitor, stream->error, "at the end") : 0;
}

static rondo_future *begin_to_connect(const struct settings *settings)
{
    rondo_loop *loop = rondo_loop_running();
    if (settings->path) {
        rondo_unix_connection_options options = RONDO_UNIX_CONNECTION_OPTIONS;
        options.path = settings->path;
        options.path_length = settings->path_length;
        return rondo_create_unix_connection(loop, rondo_protocol_new, (void *) &stream_ops, &options);
    }
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = settings->host;
    options.port = settings->port;
    return rondo_create_connection(loop, rondo_protocol_new, (void *) &stream_ops, &options);
}

/* The task of each connection. */
static int talk(void *context)
{
    struct visitor *visitor = context;
    rondo_transport *transport = NULL;
    rondo_protocol *protocol = NULL;
    int rc = rondo_await_connection(begin_to_connect(visitor->settings), &transport, &protocol);
    if (rc < 0) {
        snprintf(visitor->error, sizeof visitor->error, "%s", rondo_last_error_message());
        return rc;
    }
    rondo_protocol_ref(protocol); /* both outlive the connection, so that we can look at them afterwards */
    rondo_transport_ref(transport);
    size_t size = (size_t) visitor->settings->size;
    unsigned char *message = malloc(2 * size);
    rc = message ? exchange(visitor, transport, rondo_protocol_data(protocol), message, message + size)
                 : fail(visitor, RONDO_ENOMEM, "a message");
    rondo_transport_close(transport); /* does nothing if the server has closed it already */
    rondo_transport_unref(transport);
    rondo_protocol_unref(protocol);
    free(message);
    return rc;
}

/* --- all of them at once ------------------------------------------------------------------------- */

struct crowd {
    const struct settings *settings;
    struct visitor *visitors;
    rondo_future **tasks;
};

/* The main task: start the others, wait for all of them, and say how it went. Returns how many failed. */
static int visit(void *context)
{
    struct crowd *crowd = context;
    rondo_loop *loop = rondo_loop_running();
    rondo_ns begin = rondo_loop_time(loop);
    int count = 0;
    while (count < crowd->settings->connections) {
        crowd->visitors[count] = (struct visitor){ .settings = crowd->settings, .number = count };
        crowd->tasks[count] = rondo_create_task(loop, talk, &crowd->visitors[count]);
        if (!crowd->tasks[count])
            break;
        count++;
    }
    int rc = count < crowd->settings->connections ? rondo_last_error() : 0;
    if (count > 0) {
        /* true: a task that fails is an outcome like any other, and does not end the waiting. */
        int gathered = rondo_await(rondo_gather(loop, crowd->tasks, (size_t) count, true, NULL), NULL);
        rc = rc < 0 ? rc : gathered;
    }
    double seconds = (double) (rondo_loop_time(loop) - begin) / 1e9;
    int failures = 0;
    const struct visitor *first = NULL; /* of those that failed */
    for (int i = 0; i < count; i++) {
        rondo_future_unref(crowd->tasks[i]);
        if (crowd->visitors[i].error[0] == '\0')
            continue;
        failures++;
        if (!first)
            first = &crowd->visitors[i];
    }
    if (rc < 0)
        return rc;
    if (first)
        fprintf(stderr, "echo_client: %d of %d connections failed; number %d: %s\n", failures, count,
                first->number, first->error);
    else
        printf("%d connections x %d messages x %d bytes: every byte came back, %.2f s, backend=%s\n", count,
               crowd->settings->messages, crowd->settings->size, seconds, rondo_loop_backend_name(loop));
    return failures;
}

static int run(const struct settings *settings, rondo_backend backend)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = backend;
    struct crowd crowd = { .settings = settings };
    crowd.visitors = calloc((size_t) settings->connections, sizeof *crowd.visitors);
    crowd.tasks = calloc((size_t) settings->connections, sizeof *crowd.tasks);
    int rc = RONDO_ENOMEM;
    if (crowd.visitors && crowd.tasks)
        rc = rondo_run(&options, visit, &crowd);
    if (rc < 0)
        fprintf(stderr, "echo_client: %s\n",
                rondo_last_error() == rc ? rondo_last_error_message() : rondo_strerror(rc));
    free(crowd.visitors);
    free(crowd.tasks);
    return rc == 0 ? 0 : 1;
}

/* --- the command line ---------------------------------------------------------------------------- */

static const char *const usage =
    "usage: echo_client [--host HOST] [--port PORT] [--connections N] [--messages M]\n"
    "                   [--size BYTES] [--backend NAME]\n"
    "       echo_client --unix PATH ...\n";

static int read_number(const char *text, int low, int high)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < low || number > high) {
        fprintf(stderr, "echo_client: '%s' is not a number from %d to %d\n%s", text, low, high, usage);
        exit(2);
    }
    return (int) number;
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        { "backend", required_argument, NULL, 'b' },     { "host", required_argument, NULL, 'h' },
        { "port", required_argument, NULL, 'p' },        { "messages", required_argument, NULL, 'm' },
        { "connections", required_argument, NULL, 'c' }, { "size", required_argument, NULL, 's' },
        { "unix", required_argument, NULL, 'u' },        { NULL, 0, NULL, 0 },
    };
    struct settings settings = { "127.0.0.1", 7000, NULL, 0, 100, 10, 64 };
    rondo_backend backend = RONDO_BACKEND_AUTO;
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'b' && rondo_backend_from_name(optarg, &backend) < 0) {
            fprintf(stderr, "echo_client: there is no backend called '%s'\n%s", optarg, usage);
            return 2;
        }
        if (option == 'h')
            settings.host = optarg;
        if (option == 'p')
            settings.port = read_number(optarg, 1, 65535);
        if (option == 'c')
            settings.connections = read_number(optarg, 1, 100000);
        if (option == 'm')
            settings.messages = read_number(optarg, 0, 1000000000);
        if (option == 's')
            settings.size = read_number(optarg, 1, 64 * 1024 * 1024);
        if (option == 'u') {
            settings.path = optarg;
            settings.path_length = strlen(optarg);
            if (optarg[0] == '@') /* an abstract name begins with a NUL, which no command line can hold */
                optarg[0] = '\0';
        }
        if (option == '?') {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind < count) {
        fprintf(stderr, "echo_client: unexpected '%s'\n%s", arguments[optind], usage);
        return 2;
    }
    return run(&settings, backend);
}
