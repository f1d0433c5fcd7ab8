/* SPDX-License-Identifier: MIT */
/* Plays the scenarios of net_scenarios.txt on Rondo and prints what happened, one line for each, as
 * net_trace.py does on Python's asyncio.
 *
 * usage: net_trace FILE BACKEND [SCENARIO]
 *
 * The happy path: read the file, then for each scenario make a loop, a pair of Unix sockets and a transport
 * over one of them, and perform the actions. Failures: a file that cannot be read, a verb that is none, a
 * loop that cannot be made: each ends the program with status 2, a backend that cannot run here with 77. What
 * is wrong in the library shows in the lines. */
#define _POSIX_C_SOURCE 200809L
#include "net_trace.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define LARGEST_WRITE 4000000

struct player {
    const struct scenario *scenario;
    rondo_loop *loop;
    rondo_transport *transport;
    bool merge, keep, ended, over;
    rondo_socket peer;
    size_t lines, pending;
    const char *pending_name;
    size_t sent, received, peer_sent, peer_received;
    struct {
        char event[32];
        int count;
    } counts[MAX_HANDLERS];
};

static struct player player;

static void perform(const char *actions);

_Noreturn void die(const char *what)
{
    fprintf(stderr, "net_trace: %s\n", what);
    exit(2);
}

/* --- the trace ------------------------------------------------------------------------------ */

static void separate(void)
{
    fputs(player.lines++ ? ", " : "", stdout);
}

static void flush_data(void)
{
    if (player.pending) {
        separate();
        printf("%s data %zu", player.pending_name, player.pending);
    }
    player.pending = 0;
}

static void log_line(const char *format, ...) RONDO_PRINTF(1, 2);
static void log_line(const char *format, ...)
{
    va_list arguments;
    flush_data();
    separate();
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

static void log_data(const char *name, size_t count)
{
    if (player.merge && player.pending && player.pending_name == name) {
        player.pending += count;
        return;
    }
    flush_data();
    player.pending = count;
    player.pending_name = name;
    if (!player.merge)
        flush_data();
}

static void on_exception(rondo_loop *loop, const rondo_exception_context *context, void *user)
{
    (void) loop;
    (void) user;
    log_line("reported %s", context->error == RONDO_EUSER ? "failure" : "error");
}

/* --- events --------------------------------------------------------------------------------- */

static int count_event(const char *event)
{
    for (size_t i = 0; i < MAX_HANDLERS; i++) {
        if (!player.counts[i].event[0])
            snprintf(player.counts[i].event, sizeof(player.counts[i].event), "%s", event);
        if (strcmp(player.counts[i].event, event) == 0)
            return ++player.counts[i].count;
    }
    die("too many kinds of events");
    return 0;
}

static const char *actions_for(const char *event, int count)
{
    const char *found = "";
    for (size_t i = 0; i < player.scenario->handler_count; i++) {
        const struct handler *handler = &player.scenario->handlers[i];
        if (strcmp(handler->event, event) != 0)
            continue;
        if (handler->count == count)
            return handler->actions;
        if (handler->count == 0)
            found = handler->actions;
    }
    return found;
}

static bool handle(const char *event)
{
    player.keep = false;
    perform(actions_for(event, count_event(event)));
    return player.keep;
}

/* --- protocols ------------------------------------------------------------------------------ */

struct kind {
    rondo_protocol_ops ops;
    const char *name;
    size_t buffer_size;
};

static const char *name_of(rondo_protocol *protocol)
{
    return ((const struct kind *) (const void *) rondo_protocol_get_ops(protocol))->name;
}

static void on_made(rondo_protocol *protocol, rondo_transport *transport)
{
    player.transport = rondo_transport_ref(transport);
    log_line("%s made", name_of(protocol));
    handle("made");
}

static void got(rondo_protocol *protocol, const unsigned char *data, size_t length)
{
    if (!pattern_check(data, length, player.received))
        log_line("CORRUPT");
    player.received += length;
    log_data(name_of(protocol), length);
    handle("data");
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    got(protocol, data, length);
}

static bool on_eof(rondo_protocol *protocol)
{
    log_line("%s eof", name_of(protocol));
    return handle("eof");
}

static void on_lost(rondo_protocol *protocol, int error)
{
    const char *text = error == 0 ? "none" : error == RONDO_EUSER ? "failure" : "error";
    if (error == RONDO_ECONNRESET ||
        error == RONDO_EPIPE) /* which half of a proactor's hears first is open */
        text = player.merge ? "gone" : error == RONDO_EPIPE ? "pipe" : "reset";
    player.ended = true;
    log_line("%s lost %s", name_of(protocol), text);
    handle("lost");
    player.over = true;
}

static void on_stall(rondo_protocol *protocol)
{
    log_line("%s stall", name_of(protocol));
    handle("stall");
}

static void on_flow(rondo_protocol *protocol)
{
    log_line("%s flow", name_of(protocol));
    handle("flow");
}

static unsigned char receive_buffer[4096];

static void *on_get_buffer(rondo_protocol *protocol, size_t hint, size_t *ret_length)
{
    (void) hint;
    handle("buffer");
    *ret_length = ((const struct kind *) (const void *) rondo_protocol_get_ops(protocol))->buffer_size;
    return receive_buffer;
}

static void on_updated(rondo_protocol *protocol, size_t length)
{
    got(protocol, receive_buffer, length);
}

#define PLAIN_OPS                                                                                 \
    {                                                                                             \
        .size = sizeof(rondo_protocol_ops), .connection_made = on_made, .data_received = on_data, \
        .eof_received = on_eof, .connection_lost = on_lost, .pause_writing = on_stall,            \
        .resume_writing = on_flow                                                                 \
    }
#define BUFFERED_OPS                                                                            \
    {                                                                                           \
        .size = sizeof(rondo_protocol_ops), .connection_made = on_made, .eof_received = on_eof, \
        .connection_lost = on_lost, .pause_writing = on_stall, .resume_writing = on_flow,       \
        .get_buffer = on_get_buffer, .buffer_updated = on_updated                               \
    }

static struct kind kinds[] = {
    { PLAIN_OPS, "plain", 0 },       { PLAIN_OPS, "other", 0 },       { BUFFERED_OPS, "buffered", 4 },
    { BUFFERED_OPS, "large", 4096 }, { BUFFERED_OPS, "nobuffer", 0 },
};

static rondo_protocol *make_protocol(void *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return rondo_protocol_new(&kinds[i].ops);
    die("no such protocol");
    return NULL;
}

/* --- the peer ------------------------------------------------------------------------------- */

/* What the peer can read now; @ret_end gets how the stream ended, if it did. */
static size_t fetch(const char **ret_end)
{
    static unsigned char data[65536];
    size_t total = 0;
    ptrdiff_t count;
    while ((count = peer_recv_now(player.peer, data, sizeof data)) > 0) {
        if (!pattern_check(data, (size_t) count, player.peer_received))
            log_line("CORRUPT");
        player.peer_received += (size_t) count;
        total += (size_t) count;
    }
    if (count != PEER_NOTHING)
        *ret_end = count == PEER_RESET ? " reset" : " eof";
    return total;
}

/* What the peer did is there: TCP may take a moment. A proactor may have taken data already. */
static void arrived(short events)
{
    struct pollfd watched = { .fd = rondo_transport_socket(player.transport), .events = events };
    if (player.scenario->is_tcp && !player.over && !(player.merge && events))
        poll(&watched, 1, 10000);
}

static void send_from_peer(size_t count)
{
    static unsigned char data[65536];
    if (count > sizeof data)
        die("the peer sends too much");
    pattern_fill(data, count, player.peer_sent);
    player.peer_sent += count;
    size_t sent = peer_send_now(player.peer, data, count);
    if (sent != count)
        log_line(sent ? "SHORT" : "peer cannot send");
    else
        arrived(POLLIN);
}

static void turn(void)
{
    rondo_loop_stop(player.loop);
    if (rondo_loop_run_forever(player.loop) < 0)
        log_line("RUN FAILED %s", rondo_last_error_message());
}

static void pass(int count)
{
    for (int i = 0; i < count; i++) {
        size_t lines = player.lines, pending = player.pending;
        turn();
        if ((lines != player.lines || pending != player.pending) && !player.merge)
            log_line("|");
    }
}

static void drain(void)
{
    const char *end = "";
    for (int quiet = 0; quiet < 4; quiet++) {
        size_t lines = player.lines, pending = player.pending, received = player.peer_received;
        fetch(&end);
        turn();
        if (lines != player.lines || pending != player.pending || received != player.peer_received)
            quiet = -1;
    }
    log_line("peer got %zu in all%s", player.peer_received, end);
}

/* --- actions -------------------------------------------------------------------------------- */

static void called(void *name)
{
    char event[32];
    snprintf(event, sizeof event, "call %s", (const char *) name);
    log_line("%s", event);
    perform(actions_for(event, 0));
}

static void write_pieces(char **words, size_t count, bool as_lines)
{
    static unsigned char data[LARGEST_WRITE];
    rondo_bytes pieces[MAX_WORDS];
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        pieces[i].data = data + total;
        pieces[i].length = (size_t) strtoul(words[i], NULL, 10);
        total += pieces[i].length;
    }
    pattern_fill(data, total, player.sent);
    player.sent += total;
    int rc = as_lines ? rondo_transport_writelines(player.transport, pieces, count)
                      : rondo_transport_write(player.transport, data, total);
    memset(data, 0xee, total); /* the caller may reuse its buffer: TRN-08 */
    if (rc < 0 || player.over)
        player.sent -= total;
    if (rc < 0 && !player.over)
        log_line("refused");
}

static size_t mark(const char *word)
{
    return strcmp(word, "-") == 0 ? RONDO_DEFAULT_MARK : (size_t) strtoul(word, NULL, 10);
}

static void set_limits(char **words)
{
    if (rondo_transport_set_write_buffer_limits(player.transport, mark(words[0]), mark(words[1])) < 0)
        log_line("limits refused");
}

static void print_marks(void)
{
    size_t low = 0, high = 0;
    rondo_transport_get_write_buffer_limits(player.transport, &low, &high);
    log_line("marks %zu %zu", low, high);
}

static void set_protocol(char *name)
{
    rondo_protocol *protocol = make_protocol(name);
    if (rondo_transport_set_protocol(player.transport, protocol) < 0)
        log_line("protocol refused");
    rondo_protocol_unref(protocol);
}

static void print_state(void)
{
    log_line("closing=%d reading=%d eof=%d", rondo_transport_is_closing(player.transport),
             rondo_transport_is_reading(player.transport), rondo_transport_can_write_eof(player.transport));
}

static char *keep_name(const char *name)
{
    static char names[256][8];
    static unsigned next;
    char *kept = names[next++ % 256];
    snprintf(kept, sizeof(names[0]), "%s", name);
    return kept;
}

static bool perform_on_transport(const char *verb, char **words, size_t count)
{
    rondo_transport *transport = player.transport;
    if (strcmp(verb, "close") == 0)
        rondo_transport_close(transport);
    else if (strcmp(verb, "abort") == 0)
        rondo_transport_abort(transport);
    else if (strcmp(verb, "write") == 0)
        write_pieces(words, 1, false);
    else if (strcmp(verb, "writelines") == 0)
        write_pieces(words, count, true);
    else if (strcmp(verb, "lostwrite") == 0)
        rondo_transport_write(transport, receive_buffer, (size_t) strtoul(words[0], NULL, 10));
    else if (strcmp(verb, "weof") == 0)
        rondo_transport_write_eof(transport);
    else if (strcmp(verb, "pause") == 0)
        rondo_transport_pause_reading(transport);
    else if (strcmp(verb, "resume") == 0)
        rondo_transport_resume_reading(transport);
    else if (strcmp(verb, "limits") != 0 && strcmp(verb, "proto") != 0)
        return false;
    else if (player.over)
        return true; /* asyncio's transports are not made for calls after connection_lost */
    else if (strcmp(verb, "limits") == 0)
        set_limits(words);
    else
        set_protocol(words[0]);
    return true;
}

static bool perform_print(const char *verb, char **words)
{
    if (strcmp(verb, "log") == 0)
        log_line("%s", words[0]);
    else if (strcmp(verb, "marks") == 0)
        print_marks();
    else if (strcmp(verb, "state") == 0)
        print_state();
    else if (strcmp(verb, "size") == 0)
        log_line("size %c", rondo_transport_get_write_buffer_size(player.transport) ? '+' : '0');
    else
        return false;
    return true;
}

static bool perform_by_peer(const char *verb, char **words)
{
    const char *end = "";
    if (strcmp(verb, "psend") == 0)
        send_from_peer((size_t) strtoul(words[0], NULL, 10));
    else if (strcmp(verb, "pshut") == 0) {
        peer_shutdown(player.peer);
        arrived(POLLIN);
    } else if (strcmp(verb, "pclose") == 0) {
        peer_close(player.peer);
        player.peer = RONDO_INVALID_SOCKET;
        arrived(POLLIN);
    } else if (strcmp(verb, "preset") == 0) {
        peer_reset(player.peer);
        player.peer = RONDO_INVALID_SOCKET;
        arrived(0);
    } else if (strcmp(verb, "pread") == 0) {
        size_t count = fetch(&end);
        log_line("peer got %zu%s", count, end);
    } else if (strcmp(verb, "drain") == 0)
        drain();
    else
        return false;
    return true;
}

static void perform_one(char *action)
{
    char *words[MAX_WORDS] = { NULL }, *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(action, " ", &rest); word && count < MAX_WORDS;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    if (count == 0)
        return;
    if (perform_on_transport(words[0], words + 1, count - 1) || perform_print(words[0], words + 1) ||
        perform_by_peer(words[0], words + 1))
        return;
    if (strcmp(words[0], "raise") == 0)
        rondo_raise(RONDO_EUSER, "a failing callback");
    else if (strcmp(words[0], "keep") == 0)
        player.keep = true;
    else if (strcmp(words[0], "soon") == 0)
        rondo_loop_call_soon(player.loop, NULL, called, keep_name(words[1]));
    else if (strcmp(words[0], "pass") == 0)
        pass(words[1] ? atoi(words[1]) : 1);
    else
        die(words[0]);
}

static void perform(const char *actions)
{
    char copy[512], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", actions);
    for (char *action = strtok_r(copy, ";", &rest); action; action = strtok_r(NULL, ";", &rest))
        perform_one(action);
}

/* --- one scenario --------------------------------------------------------------------------- */

static void connect_near(rondo_socket near)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.sock = near;
    rondo_future *future = rondo_create_connection(player.loop, make_protocol,
                                                   (void *) (uintptr_t) player.scenario->first, &options);
    if (rondo_loop_run_until_complete(player.loop, future, NULL) < 0)
        die(rondo_last_error_message());
    log_line("connected");
}

static void play(const struct scenario *scenario)
{
    rondo_socket pair[2];
    memset(&player, 0, sizeof player);
    player.scenario = scenario;
    player.loop = support_loop();
    player.merge = support_backend_is_proactor();
    rondo_loop_set_exception_handler(player.loop, on_exception, NULL);
    if (scenario->is_tcp)
        peer_tcp_pair(pair);
    else
        peer_pair(pair);
    peer_set_send_buffer(pair[0], 65536); /* the system's own size may be anything */
    player.peer = pair[1];
    printf("%s: ", scenario->name);
    connect_near(pair[0]);
    perform(scenario->main);
    flush_data();
    if (!player.ended)
        rondo_transport_abort(player.transport);
    for (int i = 0; i < 3; i++)
        turn();
    flush_data();
    if (player.peer != RONDO_INVALID_SOCKET)
        peer_close(player.peer);
    rondo_transport_unref(player.transport);
    rondo_loop_free(player.loop);
    putchar('\n');
}

int main(int argc, char **argv)
{
    if (argc < 3)
        die("usage: net_trace FILE BACKEND [SCENARIO]");
    support_use_backend(argv[2]);
    rondo_log_set_sink(NULL, NULL);
    const char *family = support_backend_is_proactor() ? "proactor" : "selector";
    size_t count = read_scenarios(argv[1]);
    for (size_t i = 0; i < count; i++) {
        if (scenarios[i].only[0] && strcmp(scenarios[i].only, family) != 0)
            continue;
        if (argc < 4 || strcmp(argv[3], scenarios[i].name) == 0)
            play(&scenarios[i]);
    }
    return 0;
}
