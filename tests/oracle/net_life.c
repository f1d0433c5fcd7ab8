/* SPDX-License-Identifier: MIT */
/* Connections that are cancelled while they are made, servers at their edges and files that are sent, on Rondo: function by
 * function as in net_life.py.
 *
 * usage: net_life BACKEND [SCENARIO]
 *
 * The happy path: each scenario gets a stage: a loop, the connections that its factory made, the other ends as plain
 * descriptors, and tasks that wait and say how that ended. Failures: a loop or a call that cannot be made: the program ends
 * with a message; a backend that cannot run here: status 77. What is wrong in the library shows in the lines. */
#include "net_life.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stage stage;

_Noreturn void die(const char *what)
{
    fprintf(stderr, "net_life: %s: %s\n", what, rondo_last_error_message());
    exit(2);
}

void say(const char *format, ...)
{
    va_list arguments;
    if (stage.is_over) /* what the end of a scenario brings is no part of it */
        return;
    stage.words++;
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
    say("reported");
}

/* --- connections ---------------------------------------------------------------------------------- */

static struct conn *conn_of(rondo_protocol *protocol)
{
    return *(struct conn **) rondo_protocol_data(protocol);
}

static void hook(void (*function)(struct conn *conn), struct conn *conn)
{
    if (function && !stage.is_over)
        function(conn);
}

static void on_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct conn *conn = conn_of(protocol);
    conn->transport = rondo_transport_ref(transport);
    say("%c.made", conn->name);
    hook(stage.on_made, conn);
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    (void) data;
    say("%c.data:%zu", conn_of(protocol)->name, length);
    hook(stage.on_data, conn_of(protocol));
}

static bool on_eof(rondo_protocol *protocol)
{
    say("%c.eof", conn_of(protocol)->name);
    return false;
}

static const char *name_of_loss(int error)
{
    switch (error) {
    case 0:
        return "0";
    case RONDO_ECONNRESET:
        return "ConnectionResetError";
    case RONDO_EPIPE:
        return "BrokenPipeError";
    default:
        return rondo_err_name(error);
    }
}

static void on_lost(rondo_protocol *protocol, int error)
{
    struct conn *conn = conn_of(protocol);
    say("%c.lost:%s", conn->name, name_of_loss(error));
    conn->has_ended = true;
    hook(stage.on_lost, conn);
}

static void on_stall(rondo_protocol *protocol)
{
    say("%c.stall", conn_of(protocol)->name);
}

static void on_flow(rondo_protocol *protocol)
{
    say("%c.flow", conn_of(protocol)->name);
}

static const rondo_protocol_ops ops = {
    .size = sizeof ops,
    .data_size = sizeof(struct conn *),
    .connection_made = on_made,
    .data_received = on_data,
    .eof_received = on_eof,
    .connection_lost = on_lost,
    .pause_writing = on_stall,
    .resume_writing = on_flow,
};

rondo_protocol *make(void *context)
{
    (void) context;
    rondo_protocol *protocol = rondo_protocol_new((void *) (uintptr_t) &ops);
    if (!protocol || stage.conn_count == MAX_CONNS)
        die("a protocol");
    struct conn *conn = &stage.conns[stage.conn_count];
    conn->name = (char) ('a' + stage.conn_count++);
    *(struct conn **) rondo_protocol_data(protocol) = conn;
    say("%c.factory", conn->name);
    hook(stage.on_factory, conn);
    if (!stage.factory_fails)
        return protocol;
    rondo_protocol_unref(protocol);
    rondo_raise(RONDO_EUSER, "a failing factory");
    return NULL;
}

/* --- the stage ------------------------------------------------------------------------------------ */

void passes(int count)
{
    for (int i = 0; i < count; i++) {
        size_t words = stage.words;
        rondo_loop_stop(stage.loop);
        if (rondo_loop_run_forever(stage.loop) < 0)
            die("run_forever");
        if (stage.words > words)
            say("|");
    }
}

static const char *kind_of(int code)
{
    switch (rondo_err_class(code)) {
    case RONDO_CLASS_CANCELLED:
        return "cancelled";
    case RONDO_CLASS_VALUE:
        return "ValueError";
    case RONDO_CLASS_OS:
        return "OSError";
    case RONDO_CLASS_RUNTIME:
        return "RuntimeError";
    default:
        return code <= RONDO_EUSER ? "ValueError" : rondo_err_name(code);
    }
}

static int wait_for_it(void *context)
{
    const struct waiting *waiting = context;
    int rc = rondo_await(waiting->begin(), NULL);
    if (rc < 0)
        say("%s:%s", waiting->name, kind_of(rc));
    else if (waiting->shows_number)
        say("%s:done:%d", waiting->name, rc);
    else
        say("%s:done", waiting->name);
    return 0;
}

static rondo_task *spawn_waiting(const char *name, begin_fn *begin, bool shows_number)
{
    if (stage.task_count == MAX_CONNS)
        die("too many tasks");
    struct waiting *waiting = &stage.waiting[stage.task_count];
    *waiting = (struct waiting){ name, begin, shows_number };
    rondo_task *task = rondo_create_task(stage.loop, wait_for_it, waiting);
    if (!task)
        die("create_task");
    return stage.tasks[stage.task_count++] = task;
}

rondo_task *spawn(const char *name, begin_fn *begin)
{
    return spawn_waiting(name, begin, false);
}

rondo_task *spawn_counted(const char *name, begin_fn *begin)
{
    return spawn_waiting(name, begin, true);
}

struct said {
    const char *word;
    void (*function)(void);
};

static void called(void *context)
{
    struct said *said = context;
    say("%s", said->word);
    if (said->function)
        said->function();
    free(said);
}

void soon(const char *word, void (*function)(void))
{
    struct said *said = malloc(sizeof *said);
    if (!said)
        die("no memory");
    *said = (struct said){ word, function };
    rondo_loop_call_soon(stage.loop, NULL, called, said);
}

rondo_future *create_server(void)
{
    return rondo_create_unix_server(stage.loop, make, NULL, &stage.server_options);
}

void serve(void)
{
    void *server = NULL;
    if (rondo_loop_run_until_complete(stage.loop, create_server(), &server) < 0)
        die("create_unix_server");
    stage.server = server;
}

void connect_peers(int count)
{
    for (int i = 0; i < count; i++)
        stage.peers[stage.peer_count++] = unix_connect(stage.path, 0);
}

void state(void)
{
    say("serving=%d,sockets=%zu", rondo_server_is_serving(stage.server),
        rondo_server_sockets(stage.server, NULL, 0));
}

rondo_socket pair(void)
{
    rondo_socket ends[2];
    peer_pair(ends);
    peer_set_send_buffer(ends[0], 65536);
    stage.peers[stage.peer_count++] = ends[1];
    return ends[0];
}

rondo_future *create_connection(rondo_socket sock)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = sock;
    return rondo_create_connection(stage.loop, make, NULL, &options);
}

rondo_transport *open_one(void)
{
    if (rondo_loop_run_until_complete(stage.loop, create_connection(pair()), NULL) < 0)
        die("create_connection");
    return stage.conns[0].transport;
}

void close_peer(size_t index)
{
    close((int) stage.peers[index]);
    stage.peers[index] = RONDO_INVALID_SOCKET;
}

void drain(void)
{
    static unsigned char data[65536];
    size_t total = 0;
    const char *end = "";
    for (int quiet = 0; quiet < 4; quiet++) {
        size_t words = stage.words, before = total;
        ptrdiff_t count;
        while ((count = peer_recv_now(stage.peers[0], data, sizeof data)) > 0)
            total += (size_t) count;
        if (count != PEER_NOTHING)
            end = count == PEER_RESET ? ":reset" : ":eof";
        passes(1);
        if (words != stage.words || before != total)
            quiet = -1;
    }
    say("drained:%zu%s", total, end);
}

static void begin(rondo_backend backend, unix_folder *folder)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    memset(&stage, 0, sizeof stage);
    unix_folder_make(folder);
    stage.path = folder->path;
    stage.server_options = RONDO_UNIX_SERVER_OPTIONS;
    stage.server_options.path = stage.path;
    options.backend = backend;
    if (rondo_loop_new(&options, &stage.loop) < 0) {
        fprintf(stderr, "SKIP: %s\n", rondo_last_error_message());
        unix_folder_remove(folder);
        exit(77);
    }
    rondo_loop_set_exception_handler(stage.loop, on_exception, NULL);
}

static void end(const unix_folder *folder)
{
    stage.is_over = true;
    rondo_server_close(stage.server);
    for (size_t i = 0; i < stage.task_count; i++)
        rondo_future_cancel(stage.tasks[i]);
    for (size_t i = 0; i < stage.conn_count; i++)
        rondo_transport_abort(stage.conns[i].transport);
    passes(5);
    for (size_t i = 0; i < stage.peer_count; i++)
        if (stage.peers[i] != RONDO_INVALID_SOCKET)
            close_peer(i);
    for (size_t i = 0; i < stage.conn_count; i++)
        rondo_transport_unref(stage.conns[i].transport);
    for (size_t i = 0; i < stage.task_count; i++)
        rondo_future_unref(stage.tasks[i]);
    rondo_loop_free(stage.loop);
    for (size_t i = 0; i < stage.file_count; i++)
        fclose(stage.files[i]);
    unix_folder_remove(folder);
}

int main(int argc, char **argv)
{
    rondo_backend backend;
    static unix_folder folder;
    if (argc < 2 || rondo_backend_from_name(argv[1], &backend) < 0) {
        fprintf(stderr, "usage: net_life BACKEND [SCENARIO]\n");
        return 2;
    }
    rondo_log_set_sink(NULL, NULL);
    for (size_t i = 0; i < scenario_count; i++) {
        if (argc > 2 && strcmp(argv[2], scenarios[i].name) != 0)
            continue;
        begin(backend, &folder);
        if (scenarios[i].selector_only && (rondo_loop_capabilities(stage.loop) & RONDO_CAN_PROACT)) {
            end(&folder);
            continue;
        }
        printf("%s:", scenarios[i].name);
        scenarios[i].play(scenarios[i].number);
        putchar('\n');
        end(&folder);
    }
    return 0;
}
