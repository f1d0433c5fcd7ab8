/* SPDX-License-Identifier: MIT */
/* Sends every datagram back to where it came from, on any backend.
 *
 * udp_echo --backend io_uring --host 127.0.0.1 --port 7000
 * udp_echo --unix PATH                    (datagrams of the Unix family)
 *
 * By default a proactor has no datagrams, as in asyncio's documentation; `extended` gives them to it. */
#include <getopt.h>
#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    rondo_loop_options loop;
    rondo_datagram_options endpoint;
};

/* --- the protocol --------------------------------------------------------------------------------- */

static void datagram_received(rondo_protocol *protocol, const void *data, size_t length,
                              const rondo_address *sender)
{
    rondo_datagram_sendto(rondo_protocol_transport(protocol), data, length, sender);
}

/* One that could not be sent is lost, as datagrams may be; the endpoint goes on. */
static void error_received(rondo_protocol *protocol, int error)
{
    (void) protocol;
    fprintf(stderr, "udp_echo: %s\n", rondo_strerror(error));
}

/* When answers pile up, take no more questions until they have left. */
static void pause_writing(rondo_protocol *protocol)
{
    rondo_transport_pause_reading(rondo_protocol_transport(protocol));
}

static void resume_writing(rondo_protocol *protocol)
{
    rondo_transport_resume_reading(rondo_protocol_transport(protocol));
}

static const rondo_protocol_ops echo = {
    .size = sizeof echo,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .datagram_received = datagram_received,
    .error_received = error_received,
};

/* --- the task ------------------------------------------------------------------------------------- */

static int serve(void *context)
{
    struct settings *settings = context;
    rondo_loop *loop = rondo_loop_running();
    rondo_transport *transport = NULL;
    int rc = rondo_await_connection(
        rondo_create_datagram_endpoint(loop, rondo_protocol_new, (void *) &echo, &settings->endpoint),
        &transport, NULL);
    if (rc < 0)
        return rc;

    rondo_address address;
    char text[128];
    rc = rondo_transport_sockname(transport, &address);
    if (rc < 0)
        return rc;
    rondo_address_format(&address, text, sizeof text);
    printf("listening on %s backend=%s\n", text, rondo_loop_backend_name(loop));
    fflush(stdout);
    return rondo_await(rondo_future_new(loop), NULL); /* for ever: Ctrl+C cancels it */
}

/* --- the command line ------------------------------------------------------------------------------- */

static const char *const usage =
    "usage: udp_echo [--backend NAME] [--host HOST] [--port PORT] [--unix PATH | --unix @NAME]\n";

static void fail_usage(const char *problem, const char *word)
{
    fprintf(stderr, "udp_echo: %s '%s'\n%s", problem, word, usage);
    exit(2);
}

static int read_port(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < 0 || number > 65535)
        fail_usage("not a number from 0 to 65535:", text);
    return (int) number;
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        { "backend", required_argument, NULL, 'b' },
        { "host", required_argument, NULL, 'h' },
        { "port", required_argument, NULL, 'p' },
        { "unix", required_argument, NULL, 'u' },
        { NULL, 0, NULL, 0 },
    };
    struct settings settings = { RONDO_LOOP_OPTIONS_INIT, RONDO_DATAGRAM_OPTIONS_INIT };
    settings.loop.extended = true;
    const char *host = "127.0.0.1";
    int port = 7000;
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'b' && rondo_backend_from_name(optarg, &settings.loop.backend) < 0)
            fail_usage("there is no backend called", optarg);
        else if (option == 'h')
            host = optarg;
        else if (option == 'p')
            port = read_port(optarg);
        else if (option == 'u') {
            settings.endpoint.local_path = optarg;
            settings.endpoint.local_path_length = strlen(optarg);
            if (optarg[0] == '@') /* an abstract name begins with a NUL, which no command line can hold */
                optarg[0] = '\0';
        } else if (option == '?')
            fail_usage("cannot go on after", arguments[optind - 1]);
    }
    if (optind < count)
        fail_usage("unexpected", arguments[optind]);
    if (!settings.endpoint.local_path) {
        settings.endpoint.local_host = host;
        settings.endpoint.local_port = port;
    }

    int rc = rondo_run(&settings.loop, serve, &settings); /* until Ctrl+C */
    if (rc < 0 && rc != RONDO_EINTERRUPTED)
        fprintf(stderr, "udp_echo: %s\n", rondo_last_error_message());
    return rc < 0 && rc != RONDO_EINTERRUPTED;
}
