/* SPDX-License-Identifier: MIT */
/* The life of a server on Rondo, one line for each scenario, function by function as in net_server.py.
 *
 * usage: net_server BACKEND tcp|unix [SCENARIO]
 *
 * The happy path: each scenario gets a stage: a loop, a server, the connections that its factory made and the
 * clients' plain sockets. Failures: a loop that cannot be made, a call that fails: the program ends with a
 * message; a backend that cannot run here: status 77. What is wrong in the library shows in the lines. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unix_peer.h"

#define MAX_CONNS 8

struct conn {
    char name;
    bool ended;
    rondo_transport *transport;
};

static struct {
    rondo_loop *loop;
    rondo_server *server;
    int port;
    struct conn conns[MAX_CONNS];
    size_t conn_count, peer_count, made;
    rondo_socket peers[MAX_CONNS];
    void (*on_made)(void);
    void (*on_lost)(void);
    rondo_future *waiters[MAX_CONNS];
    size_t waiter_count;
    bool is_over;
} stage;

static void die(const char *what)
{
    fprintf(stderr, "net_server: %s: %s\n", what, rondo_last_error_message());
    exit(2);
}

static void word(const char *format, ...) RONDO_PRINTF(1, 2);
static void word(const char *format, ...)
{
    va_list arguments;
    if (stage.is_over) /* what the end of a scenario brings is no part of it */
        return;
    va_start(arguments, format);
    putchar(' ');
    vprintf(format, arguments);
    va_end(arguments);
}

static void on_exception(rondo_loop *loop, const rondo_exception_context *context, void *user)
{
    (void) loop;
    (void) context;
    (void) user;
    word("reported");
}

/* --- connections ---------------------------------------------------------------------------- */

static struct conn *conn_of(rondo_protocol *protocol)
{
    return *(struct conn **) rondo_protocol_data(protocol);
}

static void on_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct conn *conn = conn_of(protocol);
    conn->transport = rondo_transport_ref(transport);
    word("%c.made", conn->name);
    stage.made++;
    if (stage.on_made)
        stage.on_made();
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    (void) data;
    word("%c.data:%zu", conn_of(protocol)->name, length);
}

static bool on_eof(rondo_protocol *protocol)
{
    word("%c.eof", conn_of(protocol)->name);
    return false;
}

static void on_lost(rondo_protocol *protocol, int error)
{
    struct conn *conn = conn_of(protocol);
    word("%c.lost:%s", conn->name,
         error == 0                  ? "0"
         : error == RONDO_ECONNRESET ? "ConnectionResetError"
                                     : rondo_err_name(error));
    conn->ended = true;
    if (stage.on_lost)
        stage.on_lost();
}

static const rondo_protocol_ops ops = {
    .size = sizeof ops,
    .data_size = sizeof(struct conn *),
    .connection_made = on_made,
    .data_received = on_data,
    .eof_received = on_eof,
    .connection_lost = on_lost,
};

static rondo_protocol *make(void *context)
{
    (void) context;
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) &ops);
    if (!protocol || stage.conn_count == MAX_CONNS)
        die("a protocol");
    struct conn *conn = &stage.conns[stage.conn_count];
    conn->name = (char) ('a' + stage.conn_count++);
    *(struct conn **) rondo_protocol_data(protocol) = conn;
    word("%c.factory", conn->name);
    return protocol;
}

/* --- the stage ------------------------------------------------------------------------------ */

static unix_folder folder;
static const char *path; /* of a Unix socket; NULL: TCP */

static rondo_future *create(bool start_serving)
{
    if (path) {
        rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
        options.path = path;
        options.start_serving = start_serving;
        return rondo_create_unix_server(stage.loop, make, NULL, &options);
    }
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = "127.0.0.1";
    options.port = 0;
    options.start_serving = start_serving;
    return rondo_create_server(stage.loop, make, NULL, &options);
}

static void use(rondo_future *future)
{
    void *server = NULL;
    rondo_address address;
    if (rondo_loop_run_until_complete(stage.loop, future, &server) < 0 ||
        rondo_server_address(server, 0, &address) < 0)
        die("create_server");
    stage.server = server;
    stage.port = rondo_address_port(&address);
}

static void serve(bool start_serving)
{
    use(create(start_serving));
}

static void connect_one(void)
{
    stage.peers[stage.peer_count++] = path ? unix_connect(path, 0) : peer_connect("127.0.0.1", stage.port);
}

static void try_connect(void)
{
    rondo_socket sock;
    int rc = path ? unix_try_connect(path, 0, &sock) : peer_try_connect("127.0.0.1", stage.port, &sock);
    word("%s", rc == 0 ? "accepted" : rc == RONDO_ECONNREFUSED ? "refused" : "failed");
    if (rc == 0)
        peer_close(sock);
}

static void turn(int count)
{
    for (int i = 0; i < count; i++) {
        rondo_loop_stop(stage.loop);
        if (rondo_loop_run_forever(stage.loop) < 0)
            die("run_forever");
    }
}

static bool are_made(size_t goal)
{
    return stage.made == goal;
}

static bool has_ended(size_t index)
{
    return index < stage.conn_count && stage.conns[index].ended;
}

/* Run until it is so, then three turns more. */
static void until(bool (*is_so)(size_t which), size_t which)
{
    for (int i = 0; !is_so(which); i++) {
        if (i == 1000000) {
            word("IN-VAIN");
            return;
        }
        turn(1);
    }
    turn(3);
}

static void until_made(size_t goal)
{
    until(are_made, goal);
}

static void until_ended(size_t index)
{
    until(has_ended, index);
}

static void clients(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        connect_one();
        until_made(i + 1);
    }
}

static void say(rondo_future *future, void *text)
{
    (void) future;
    word("%s", (const char *) text);
}

static void wait_closed(const char *text)
{
    rondo_future *future = rondo_server_wait_closed(stage.server);
    if (!future)
        die("wait_closed");
    rondo_future_add_done_callback(future, say, (void *) (uintptr_t) text);
    stage.waiters[stage.waiter_count++] = future;
}

static void said_how(rondo_future *future, void *context)
{
    (void) context;
    word("%s", rondo_future_cancelled(future) ? "cancelled" : "ended");
}

static rondo_future *serve_forever(void)
{
    rondo_future *future = rondo_server_serve_forever(stage.server);
    if (!future)
        die("serve_forever");
    rondo_future_add_done_callback(future, said_how, NULL);
    stage.waiters[stage.waiter_count++] = future;
    return future;
}

static void state(void)
{
    word("serving=%d,sockets=%zu", rondo_server_is_serving(stage.server),
         rondo_server_sockets(stage.server, NULL, 0));
}

static void close_server(void)
{
    rondo_server_close(stage.server);
}

static void close_peer(size_t index)
{
    peer_close(stage.peers[index]);
    stage.peers[index] = RONDO_INVALID_SOCKET;
}

static void end(void)
{
    stage.on_lost = NULL;
    close_server();
    for (size_t i = 0; i < stage.peer_count; i++)
        if (stage.peers[i] != RONDO_INVALID_SOCKET)
            peer_close(stage.peers[i]);
    for (size_t i = 0; i < stage.conn_count; i++)
        if (!stage.conns[i].ended)
            rondo_transport_abort(stage.conns[i].transport);
    turn(5);
    for (size_t i = 0; i < stage.conn_count; i++)
        rondo_transport_unref(stage.conns[i].transport);
    for (size_t i = 0; i < stage.waiter_count; i++)
        rondo_future_unref(stage.waiters[i]);
    rondo_loop_free(stage.loop);
}

/* --- scenarios ------------------------------------------------------------------------------ */

static void accept_order(void)
{
    serve(true);
    state();
    for (int i = 0; i < 3; i++)
        connect_one();
    until_made(3);
}

static void early_data(void)
{
    serve(true);
    connect_one();
    peer_send_text(stage.peers[0], "early");
    peer_shutdown(stage.peers[0]);
    until_ended(0);
}

static void close_it(void)
{
    serve(true);
    clients(1);
    close_server();
    state();
    close_server();
    turn(3);
    try_connect();
    peer_send_text(stage.peers[0], "open");
    turn(5);
    close_peer(0);
    until_ended(0);
}

static void close_called(void *context)
{
    (void) context;
    word("close");
    close_server();
}

static void close_in_the_pass_of_an_accept(void)
{
    serve(true);
    connect_one();
    rondo_loop_call_soon(stage.loop, NULL, close_called, NULL);
    turn(5);
    try_connect();
}

static void close_in_made(void)
{
    serve(true);
    stage.on_made = close_server;
    connect_one();
    until_made(1);
    state();
    try_connect();
}

static void wait_before_close(void)
{
    serve(true);
    clients(2);
    wait_closed("first");
    wait_closed("second");
    turn(3);
    word("closing");
    close_server();
    turn(3);
    word("closed");
    close_peer(0);
    until_ended(0);
    word("one-left");
    close_peer(1);
    until_ended(1);
}

static void wait_before_close_without_clients(void)
{
    serve(true);
    wait_closed("waited");
    turn(3);
    word("closing");
    close_server();
    turn(4);
}

static void wait_after_close(void)
{
    serve(true);
    clients(1);
    close_server();
    wait_closed("waited");
    turn(4);
    word("still-open");
    rondo_transport_close(stage.conns[0].transport);
    until_ended(0);
}

static void wait_twice(void)
{
    serve(true);
    clients(1);
    wait_closed("before");
    turn(2);
    close_server();
    wait_closed("after");
    turn(4);
    rondo_transport_abort(stage.conns[0].transport);
    until_ended(0);
}

static void abort_others(void)
{
    for (size_t i = 0; i < stage.conn_count; i++)
        if (!stage.conns[i].ended)
            rondo_transport_abort(stage.conns[i].transport);
}

static void close_all_in_lost(void)
{
    serve(true);
    clients(3);
    wait_closed("waited");
    turn(2);
    close_server();
    stage.on_lost = abort_others;
    rondo_transport_close(stage.conns[1].transport);
    until_ended(2);
}

static void serve_forever_cancelled(void)
{
    serve(true);
    clients(1);
    rondo_future *future = serve_forever();
    turn(3);
    state();
    rondo_future_cancel(future);
    turn(5);
    state();
    try_connect();
}

static void serve_forever_closed(void)
{
    serve(true);
    serve_forever();
    turn(3);
    close_server();
    word("closed");
    turn(5);
}

static void start_later(void)
{
    serve(false);
    state();
    try_connect();
    if (rondo_server_start_serving(stage.server) < 0 || rondo_server_start_serving(stage.server) < 0)
        die("start_serving");
    turn(1);
    state();
    clients(1);
}

static void start_by_serve_forever(void)
{
    serve(false);
    rondo_future *future = serve_forever();
    turn(3);
    state();
    clients(1);
    rondo_future_cancel(future);
    turn(5);
}

static void close_before_start(void)
{
    serve(false);
    close_server();
    state();
    turn(3);
}

static void clients_reset(void)
{
    serve(true);
    clients(1);
    rondo_transport_write(stage.conns[0].transport, "unread", 6);
    turn(3);
    close_peer(0);
    until_ended(0);
    state();
}

static void passes(bool start_serving)
{
    rondo_future *future = create(start_serving);
    int count = 0;
    for (; future && !rondo_future_done(future); count++)
        turn(1);
    word("passes=%d", count);
    use(future);
}

static void passes_to_serve(void)
{
    passes(true);
    clients(1);
}

static void passes_to_bind(void)
{
    passes(false);
    try_connect();
}

static const struct {
    const char *name;
    void (*play)(void);
    bool unix_only; /* over TCP asyncio looks names up in passes of its own */
} scenarios[] = {
    { "accept_order", accept_order, false },
    { "early_data", early_data, false },
    { "close", close_it, false },
    { "close_in_the_pass_of_an_accept", close_in_the_pass_of_an_accept, false },
    { "close_in_made", close_in_made, false },
    { "wait_before_close", wait_before_close, false },
    { "wait_before_close_without_clients", wait_before_close_without_clients, false },
    { "wait_after_close", wait_after_close, false },
    { "wait_twice", wait_twice, false },
    { "close_all_in_lost", close_all_in_lost, false },
    { "serve_forever_cancelled", serve_forever_cancelled, false },
    { "serve_forever_closed", serve_forever_closed, false },
    { "start_later", start_later, false },
    { "start_by_serve_forever", start_by_serve_forever, false },
    { "close_before_start", close_before_start, false },
    { "clients_reset", clients_reset, false },
    { "passes_to_serve", passes_to_serve, true },
    { "passes_to_bind", passes_to_bind, true },
};

static void play(size_t index)
{
    memset(&stage, 0, sizeof stage);
    stage.loop = support_loop();
    rondo_loop_set_exception_handler(stage.loop, on_exception, NULL);
    printf("%s:", scenarios[index].name);
    scenarios[index].play();
    printf("\n");
    stage.is_over = true;
    end();
}

int main(int argc, char **argv)
{
    if (argc < 3)
        die("usage: net_server BACKEND tcp|unix [SCENARIO]");
    support_use_backend(argv[1]);
    unix_folder_make(&folder);
    path = strcmp(argv[2], "unix") == 0 ? folder.path
                                        : NULL; /* the file of the scenario before is still there */
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if ((path || !scenarios[i].unix_only) && (argc < 4 || strcmp(argv[3], scenarios[i].name) == 0))
            play(i);
    unix_folder_remove(&folder);
    return 0;
}
