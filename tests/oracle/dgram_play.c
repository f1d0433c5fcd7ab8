/* SPDX-License-Identifier: MIT */
/* Plays the scenarios of dgram_random.py, which says what they look like, on a backend of ours; each line of the output is a
 * trace.
 *
 * usage: dgram_play SCENARIOS BACKEND; ends with 77 where that cannot run. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dgram.h"

enum { EVENTS = 4, PEERS = 2, LARGE = 70000 };
enum { MADE, GOT, ERROR, LOST };
static const char *const event_names[EVENTS] = { "made", "got", "error", "lost" };

static struct handler {
    unsigned nth; /* 0: each time */
    char *actions;
    unsigned seen;
} handlers[EVENTS];

static rondo_loop *loop;
static dgram endpoint;
static bool is_connected;
static rondo_socket peers[PEERS];
static int peer_ports[PEERS];
static int port; /* of the endpoint; 0: not known yet */

static void act(const char *action);

static void act_all(const char *actions, char separator)
{
    char word[256];
    while (*actions) {
        size_t length = strcspn(actions, (char[]){ separator, '\0' });
        ck_assert_uint_lt(length, sizeof word);
        memcpy(word, actions, length);
        word[length] = '\0';
        if (length)
            act(word);
        actions += length + (actions[length] != '\0');
    }
}

/* --- events ----------------------------------------------------------------------------------------- */

static void handle(int event)
{
    struct handler *handler = &handlers[event];
    handler->seen++;
    if (handler->actions && (!handler->nth || handler->nth == handler->seen))
        act_all(handler->actions, ' ');
}

static void on_made(dgram *self)
{
    port = peer_port(rondo_transport_socket(self->transport));
    handle(MADE);
}

static void on_got(dgram *self)
{
    (void) self;
    handle(GOT);
}

static void on_error(dgram *self, int error)
{
    (void) self;
    (void) error;
    handle(ERROR);
}

static void on_lost(dgram *self, int error)
{
    (void) self;
    (void) error;
    handle(LOST);
}

/* --- actions ------------------------------------------------------------------------------------------ */

static void send_from_endpoint(const char *what)
{
    static const char large[LARGE];
    rondo_address to = dgram_address(peer_ports[0]);
    if (!endpoint.transport || rondo_transport_is_closing(endpoint.transport)) {
        trace("no");
        return;
    }
    if (strcmp(what, "self") == 0 && !is_connected)
        to = dgram_address(port);
    const char *data = strcmp(what, "large") == 0 ? large : what;
    size_t length = data == large ? sizeof large : strlen(what);
    int rc = rondo_datagram_sendto(endpoint.transport, data, length, is_connected ? NULL : &to);
    ck_assert_int_eq(rc, 0);
}

static void send_from_peer(const char *text)
{
    size_t number = (size_t) (text[0] - '0');
    if (port && peers[number] != RONDO_INVALID_SOCKET)
        udp_send_text(peers[number], port, text);
    else
        trace("no");
}

static void close_peer(const char *value)
{
    (void) value;
    if (peers[0] != RONDO_INVALID_SOCKET)
        peer_close(peers[0]);
    peers[0] = RONDO_INVALID_SOCKET;
}

static void print_state(rondo_transport *transport)
{
    trace("state:%d%d", rondo_transport_is_closing(transport), rondo_transport_is_reading(transport));
}

static void call_transport(const char *name)
{
    static const struct {
        const char *name;
        void (*call)(rondo_transport *transport);
    } calls[] = { { "pause", rondo_transport_pause_reading },
                  { "resume", rondo_transport_resume_reading },
                  { "close", rondo_transport_close },
                  { "abort", rondo_transport_abort },
                  { "state", print_state } };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (endpoint.transport && strcmp(calls[i].name, name) == 0)
            calls[i].call(endpoint.transport);
}

static void turns(const char *count)
{
    for (int i = atoi(count); i > 0; i--)
        ck_assert_int_ge(rondo_await(rondo_sleep(loop, 0), NULL), 0);
    trace("|");
}

static void run_call(void *actions)
{
    trace("call");
    act_all(actions, '+');
}

static void queue_call(const char *actions)
{
    rondo_call call = {
        .size = sizeof call, .callback = run_call, .context = strdup(actions), .destroy = free
    };
    ck_assert_int_eq(rondo_loop_call(loop, &call, NULL), 0);
}

static void start_timer(const char *value)
{
    (void) value;
    ck_assert_int_eq(rondo_loop_call_later(loop, 0, NULL, trace_word, "timer"), 0);
}

static void act(const char *action)
{
    static const struct {
        const char *name;
        void (*run)(const char *value);
    } actions[] = { { "send=", send_from_endpoint }, { "from=", send_from_peer }, { "gone", close_peer },
                    { "queue=", queue_call },        { "Timer", start_timer },    { "turns=", turns } };
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        size_t length = strlen(actions[i].name);
        if (strncmp(actions[i].name, action, length) == 0) {
            actions[i].run(action + length);
            return;
        }
    }
    call_transport(action);
}

/* --- scenarios ------------------------------------------------------------------------------------------ */

static void read_handler(char *part)
{
    char *actions = strstr(part, ": ");
    ck_assert_ptr_nonnull(actions);
    *actions = '\0';
    char *number = strchr(part, ' ');
    for (int i = 0; i < EVENTS; i++)
        if (strncmp(part, event_names[i], strlen(event_names[i])) == 0)
            handlers[i] =
                (struct handler){ .nth = (unsigned) atoi(number ? number : "0"), .actions = actions + 2 };
}

static void open_endpoint(void)
{
    rondo_datagram_options endpoint_options = RONDO_DATAGRAM_OPTIONS;
    endpoint_options.local_host = "127.0.0.1";
    endpoint_options.local_port = 0;
    if (is_connected) {
        endpoint_options.remote_host = "127.0.0.1";
        endpoint_options.remote_port = peer_ports[0];
    }
    rondo_future *future = rondo_create_datagram_endpoint(loop, dgram_factory, &endpoint, &endpoint_options);
    ck_assert_int_ge(rondo_await(future, NULL), 0);
    trace("returned");
}

/* "NAME bound|connected; EVENT N: ACTION ACTION; main: ACTION ..." */
static int run_scenario(void *context)
{
    char *rest = context;
    char *name = strtok_r(rest, " ", &rest);
    is_connected = strcmp(strtok_r(rest, ";", &rest), "connected") == 0;
    char *main_actions = NULL;
    for (char *part = strtok_r(rest, ";\n", &rest); part; part = strtok_r(rest, ";\n", &rest)) {
        part += strspn(part, " ");
        if (strncmp(part, "main: ", 6) == 0)
            main_actions = part + 6;
        else
            read_handler(part);
    }
    for (int i = 0; i < PEERS; i++)
        peers[i] = udp_open("127.0.0.1", &peer_ports[i]);
    open_endpoint();
    act_all(main_actions, ' ');
    rondo_transport_abort(endpoint.transport);
    turns("4");
    rondo_transport_unref(endpoint.transport);
    close_peer("");
    peer_close(peers[1]);
    printf("%s: %s\n", name, trace_text());
    return 0;
}

static void play(char *line)
{
    loop = dgram_loop();
    endpoint = (dgram){
        .name = "a", .on_made = on_made, .on_got = on_got, .on_error = on_error, .on_lost = on_lost
    };
    memset(handlers, 0, sizeof handlers);
    port = 0;
    trace_clear();
    rondo_task *task = rondo_create_task(loop, run_scenario, line);
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, task, NULL), 0);
    rondo_loop_free(loop);
}

static const char *path;

static void play_all(void)
{
    static char line[8192];
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        play(line);
    fclose(file);
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    path = arguments[1];
    support_use_backend(arguments[2]);
    return support_assertions("dgram_play", play_all);
}
