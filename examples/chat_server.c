/* SPDX-License-Identifier: MIT */
/* A chat: whoever connects gives a name, and what one says all the others read. Over TCP and a Unix socket at once.
 *
 * chat_server --port 7001 --unix /tmp/chat      then: nc localhost 7001
 *
 * Everything happens on one loop, in callbacks of the protocol below: no locks, and a list that only changes when a
 * connection begins or is lost. Nobody waits for anybody: what a member does not read is kept for it up to a limit,
 * and who is behind by more than that is put out. So that it is not those who read that fall behind when somebody floods the
 * chat, each says a few lines in a pass, and what else has come from there waits for the next. Ctrl+C or SIGTERM says
 * goodbye to all and ends. */
#define _POSIX_C_SOURCE 200809L

#include <getopt.h>
#include <rondo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_NAME = 24,
    LONGEST_LINE = 1024,
    MOST_BEHIND = 256 * 1024, /* bytes that are kept for a member who does not read */
    LINES_IN_A_PASS = 16,     /* of each member */
};

struct member;

struct chat {
    const char *host;
    int port;
    const char *path; /* NULL: no Unix socket */
    size_t path_length;
    struct member *members;
    rondo_server *servers[2];
    int server_count;
};

/* The memory of a protocol; all zero at first. */
struct member {
    struct chat *chat;
    struct member *next;
    rondo_transport *transport;
    char name[LONGEST_NAME + 1]; /* empty: it has not said it yet */
    char line[LONGEST_LINE];     /* as far as it has arrived */
    size_t length;
    char *ahead; /* what has come behind the lines of this pass, which is being read no further meanwhile */
    size_t ahead_length, ahead_used;
    bool too_slow;
};

/* --- talking -------------------------------------------------------------------------------------- */

/* The hard limit: the marks of flow control ask us to write less, but a chat has to go on. */
static void put(struct member *member, const char *text, size_t length)
{
    if (rondo_transport_is_closing(member->transport))
        return;
    rondo_transport_write(member->transport, text, length);
    if (rondo_transport_get_write_buffer_size(member->transport) <= MOST_BEHIND)
        return;
    member->too_slow = true;
    rondo_transport_abort(member->transport); /* connection_lost comes later, never in here */
}

/* A line to @only, or, if that is NULL, to all who have a name but @except. */
static void say(struct chat *chat, struct member *only, const struct member *except, const char *format, ...)
{
    char text[LONGEST_NAME + LONGEST_LINE + 64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    size_t end = (size_t) length < sizeof text - 1 ? (size_t) length : sizeof text - 2;
    text[end++] = '\n';
    if (only)
        put(only, text, end);
    for (struct member *member = only ? NULL : chat->members; member; member = member->next)
        if (member != except && member->name[0])
            put(member, text, end);
}

/* --- what members say ------------------------------------------------------------------------------ */

static struct member *find(struct chat *chat, const char *name)
{
    for (struct member *member = chat->members; member; member = member->next)
        if (strcmp(member->name, name) == 0)
            return member;
    return NULL;
}

static bool is_good_name(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) name[i] <= ' ' || name[i] == 0x7f)
            return false;
    return length > 0 && length <= LONGEST_NAME && name[0] != '/';
}

static void take_name(struct member *member, const char *name)
{
    struct chat *chat = member->chat;
    if (!is_good_name(name)) {
        say(chat, member, NULL, "* a name has 1 to %d characters and no spaces; yours?", LONGEST_NAME);
    } else if (find(chat, name)) {
        say(chat, member, NULL, "* %s is here already; another name?", name);
    } else {
        snprintf(member->name, sizeof member->name, "%s", name);
        say(chat, member, NULL, "* hello %s; /who tells who is here, /quit ends", name);
        say(chat, NULL, member, "* %s is here", name);
    }
}

static void tell_who(struct member *asking)
{
    for (struct member *member = asking->chat->members; member; member = member->next)
        if (member->name[0])
            say(asking->chat, asking, NULL, "* %s%s", member->name, member == asking ? " (you)" : "");
}

static void take_line(struct member *member, const char *line)
{
    if (!member->name[0])
        take_name(member, line);
    else if (strcmp(line, "/who") == 0)
        tell_who(member);
    else if (strcmp(line, "/quit") == 0)
        rondo_transport_close(member->transport);
    else if (line[0] == '/')
        say(member->chat, member, NULL, "* there is no %s", line);
    else if (line[0])
        say(member->chat, NULL, member, "%s: %s", member->name, line);
}

/* --- the protocol ------------------------------------------------------------------------------------ */

static void connection_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct member *member = rondo_protocol_data(protocol);
    member->transport = transport;
    member->next = member->chat->members;
    member->chat->members = member;
    say(member->chat, member, NULL, "* welcome; your name?");
}

/* What would be a command to the terminals of those who read it is a space. */
static void make_harmless(char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char) line[i] < ' ' || line[i] == 0x7f)
            line[i] = ' ';
}

/* As many lines as may be said in a pass; returns the bytes that are done with. */
static size_t take_bytes(struct member *member, const char *bytes, size_t length)
{
    int lines = 0;
    size_t i = 0;
    while (i < length && lines < LINES_IN_A_PASS && !rondo_transport_is_closing(member->transport)) {
        char byte = bytes[i++];
        if (byte != '\n') {
            member->line[member->length++] = byte;
            if (member->length < LONGEST_LINE)
                continue;
            say(member->chat, member, NULL, "* that was too long a line; goodbye");
            rondo_transport_close(member->transport);
            break;
        }
        if (member->length > 0 && member->line[member->length - 1] == '\r')
            member->length--;
        make_harmless(member->line, member->length);
        member->line[member->length] = '\0';
        member->length = 0;
        take_line(member, member->line);
        lines++;
    }
    return rondo_transport_is_closing(member->transport) ? length : i;
}

static void go_on(void *protocol);

static void release(void *protocol)
{
    rondo_protocol_unref(protocol);
}

static void go_on_later(rondo_protocol *protocol)
{
    struct member *member = rondo_protocol_data(protocol);
    const rondo_call call = {
        .size = sizeof call,
        .callback = go_on,
        .context = rondo_protocol_ref(protocol),
        .destroy = release,
    };
    if (rondo_loop_call(rondo_loop_running(), &call, NULL) == 0)
        return;
    rondo_protocol_unref(protocol);
    rondo_transport_abort(member->transport); /* out of memory */
}

/* In the next pass: what is left over, if the member has not gone meanwhile. */
static void go_on(void *protocol)
{
    struct member *member = rondo_protocol_data(protocol);
    const rondo_transport *transport = rondo_protocol_transport(protocol);
    if (!transport || rondo_transport_is_closing(transport))
        return;
    size_t left = member->ahead_length - member->ahead_used;
    member->ahead_used += take_bytes(member, member->ahead + member->ahead_used, left);
    if (member->ahead_used < member->ahead_length)
        go_on_later(protocol);
    else
        rondo_transport_resume_reading(member->transport);
}

static void data_received(rondo_protocol *protocol, const void *data, size_t length)
{
    struct member *member = rondo_protocol_data(protocol);
    size_t used = take_bytes(member, data, length);
    if (used == length)
        return;
    member->ahead_used = 0;
    member->ahead_length = length - used;
    char *ahead = realloc(member->ahead, member->ahead_length);
    if (!ahead) {
        rondo_transport_abort(member->transport);
        return;
    }
    member->ahead = memcpy(ahead, (const char *) data + used, member->ahead_length);
    rondo_transport_pause_reading(member->transport);
    go_on_later(protocol);
}

static void connection_lost(rondo_protocol *protocol, int error)
{
    (void) error;
    struct member *member = rondo_protocol_data(protocol);
    struct member **place = &member->chat->members;
    while (*place != member)
        place = &(*place)->next;
    *place = member->next;
    if (member->name[0])
        say(member->chat, NULL, NULL, member->too_slow ? "* %s was too slow" : "* %s has left", member->name);
}

static void destroy(rondo_protocol *protocol)
{
    free(((struct member *) rondo_protocol_data(protocol))->ahead);
}

static const rondo_protocol_ops ops = {
    .size = sizeof ops,
    .data_size = sizeof(struct member),
    .connection_made = connection_made,
    .data_received = data_received,
    .connection_lost = connection_lost,
    .destroy = destroy,
};

static rondo_protocol *make_member(void *chat)
{
    rondo_protocol *protocol = rondo_protocol_new((void *) &ops);
    if (protocol)
        ((struct member *) rondo_protocol_data(protocol))->chat = chat;
    return protocol;
}

/* --- the task ------------------------------------------------------------------------------------------ */

static int listen_on_port(struct chat *chat)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = chat->host;
    options.port = chat->port;
    int rc = rondo_await_server(rondo_create_server(rondo_loop_running(), make_member, chat, &options),
                                &chat->servers[chat->server_count]);
    chat->server_count += rc == 0;
    return rc;
}

static int listen_on_path(struct chat *chat)
{
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.path = chat->path;
    options.path_length = chat->path_length;
    options.mode = 0600; /* whoever may write to the file may come in: its owner */
    options.remove_file = true;
    int rc = rondo_await_server(rondo_create_unix_server(rondo_loop_running(), make_member, chat, &options),
                                &chat->servers[chat->server_count]);
    chat->server_count += rc == 0;
    return rc;
}

static void announce(const struct chat *chat)
{
    for (int i = 0; i < chat->server_count; i++) {
        rondo_address address;
        char text[160] = "";
        if (rondo_server_address(chat->servers[i], 0, &address) == 0)
            rondo_address_format(&address, text, sizeof text);
        printf("%s%s", i == 0 ? "listening on " : ",", text);
    }
    printf(" backend=%s\n", rondo_loop_backend_name(rondo_loop_running()));
    fflush(stdout);
}

static int serve(void *context)
{
    struct chat *chat = context;
    int rc = listen_on_port(chat);
    if (rc == 0 && chat->path)
        rc = listen_on_path(chat);
    if (rc < 0)
        return rc;
    announce(chat);
    rc = rondo_await(rondo_server_serve_forever(chat->servers[0]), NULL); /* until Ctrl+C cancels the task */
    say(chat, NULL, NULL, "* the chat is over");
    for (int i = 0; i < chat->server_count; i++) /* those who do not read the end of it have a second */
        rondo_await(rondo_server_drain(chat->servers[i], RONDO_S(1)), NULL);
    return rc;
}

/* --- the command line ------------------------------------------------------------------------------------ */

static const char *const usage =
    "usage: chat_server [--backend NAME] [--host HOST] [--port PORT] [--unix PATH | --unix @NAME]\n";

/* rondo_run ends by Ctrl+C: be told to end as if by that. */
static void on_terminate(int number)
{
    (void) number;
    raise(SIGINT);
}

static int complain(const char *format, const char *text)
{
    fprintf(stderr, format, text);
    fputs(usage, stderr);
    return 2;
}

int main(int count, char **arguments)
{
    static const struct option known[] = {
        { "backend", required_argument, NULL, 'b' },
        { "host", required_argument, NULL, 'h' },
        { "port", required_argument, NULL, 'p' },
        { "unix", required_argument, NULL, 'u' },
        { NULL, 0, NULL, 0 },
    };
    struct chat chat = { .host = "127.0.0.1", .port = 7001 };
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        char *end = NULL;
        if (option == 'b' && rondo_backend_from_name(optarg, &options.backend) < 0)
            return complain("chat_server: there is no backend called '%s'\n", optarg);
        if (option == 'h')
            chat.host = optarg;
        long port = option == 'p' ? strtol(optarg, &end, 10) : chat.port;
        if (end && (end == optarg || *end || port < 0 || port > 65535))
            return complain("chat_server: '%s' is no port\n", optarg);
        chat.port = (int) port;
        if (option == 'u') {
            chat.path = optarg;
            chat.path_length = strlen(optarg);
            if (optarg[0] == '@') /* an abstract name begins with a NUL, which no command line can hold */
                optarg[0] = '\0';
        }
        if (option == '?')
            return complain("%s", "");
    }
    if (optind < count)
        return complain("chat_server: unexpected '%s'\n", arguments[optind]);

    signal(SIGTERM, on_terminate);
    int rc = rondo_run(&options, serve, &chat);
    if (rc < 0 && rc != RONDO_EINTERRUPTED)
        fprintf(stderr, "chat_server: %s\n", rondo_last_error_message());
    return rc < 0 && rc != RONDO_EINTERRUPTED;
}
