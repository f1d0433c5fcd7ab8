/* SPDX-License-Identifier: MIT */
/* A server of static files: HTTP/1.1, GET and HEAD, kept-alive and pipelined.
 *
 * http_server --root public --host 127.0.0.1 --port 8080 --backend io_uring --idle 60
 *
 * A request is answered before the next one is looked at: a small file leaves together with its header, a large one by
 * rondo_sendfile, which keeps it out of the program's memory. What a client has sent ahead waits meanwhile, and a client that does
 * not read its answers is not read from. A client from which no whole request comes, or who takes nothing, for --idle seconds (0:
 * for ever) is let go. Behind the last answer comes the end of our half; then the client has a few seconds to end its own.
 *
 * Nothing outside the root is served: a path is walked folder by folder from there, through no "..", and no symbolic link. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "http_files.h"
#include "http_request.h"

enum { SMALL_FILE = 16384 };

#define LINGER RONDO_S(3)

struct site {
    int root;
    const char *root_name;
    const char *host;
    int port;
    rondo_ns idle;
    time_t now; /* of `date` */
    char date[64];
};

/* A connection. Its memory is the protocol's. */
struct client {
    struct site *site;
    rondo_transport *transport; /* NULL once it is lost */
    struct http_request request;
    rondo_handle idle;     /* when it is let go */
    rondo_future *sending; /* a file is on its way */
    int file;              /* that file, or -1 */
    int64_t promised;      /* bytes, in its header */
    int64_t sent;
    int64_t taken;        /* what it had taken when it was waited for */
    bool is_stalled;      /* it does not read its answers */
    bool has_ended;       /* it sends no more requests than those it has sent */
    bool is_ending;       /* it has had its last answer */
    unsigned char *ahead; /* what came behind a request that is being answered */
    size_t ahead_length;
};

static struct client *client_of(rondo_protocol *protocol)
{
    return rondo_protocol_data(protocol);
}

static void write_or_abort(struct client *client, const rondo_bytes *pieces, size_t count)
{
    if (rondo_transport_writelines(client->transport, pieces, count) < 0)
        rondo_transport_abort(client->transport);
}

/* --- answers ------------------------------------------------------------------------------------------------- */

static const char *date_of(struct site *site)
{
    time_t now = time(NULL);
    struct tm parts;
    if (now != site->now && gmtime_r(&now, &parts))
        strftime(site->date, sizeof site->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    site->now = now;
    return site->date;
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 301:
        return "Moved Permanently";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "Payload Too Large";
    case 414:
        return "URI Too Long";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Bad Request";
    }
}

/* @more: further lines, each with its end. */
static size_t make_header(struct client *client, char *header, size_t room, int status, const char *type,
                          long long length, const char *more)
{
    const char *connection = !client->request.keeps_alive             ? "Connection: close\r\n"
                             : client->request.parser.http_minor == 0 ? "Connection: keep-alive\r\n"
                                                                      : "";
    return (size_t) snprintf(header, room,
                             "HTTP/1.1 %d %s\r\nServer: rondo\r\nDate: %s\r\nContent-Type: %s\r\n"
                             "Content-Length: %lld\r\n%s%s\r\n",
                             status, reason_of(status), date_of(client->site), type, length, connection,
                             more);
}

static void answer_status(struct client *client, int status, const char *more)
{
    char header[HTTP_MAX_URL * 3 + 512], body[64];
    int length = snprintf(body, sizeof body, "%d %s\n", status, reason_of(status));
    size_t header_length =
        make_header(client, header, sizeof header, status, "text/plain; charset=utf-8", length, more);
    bool is_head = client->request.parser.method == HTTP_HEAD && status != 400;
    rondo_bytes pieces[2] = { { header, header_length }, { body, (size_t) length } };
    write_or_abort(client, pieces, is_head ? 1 : 2);
}

/* --- patience ------------------------------------------------------------------------------------------------ */

/* How many bytes it has been given, if only they grow while it waits. */
static int64_t taken(const struct client *client)
{
    return client->sent - (int64_t) rondo_transport_get_write_buffer_size(client->transport);
}

static void wait_for_client(struct client *client);

static void lose_patience(void *context)
{
    struct client *client = context;
    if (taken(client) > client->taken)
        wait_for_client(client);
    else
        rondo_transport_abort(client->transport);
}

static void set_patience(struct client *client, rondo_ns patience)
{
    rondo_handle_cancel(&client->idle);
    client->taken = taken(client);
    if (patience && rondo_loop_call_later(rondo_transport_loop(client->transport), patience, &client->idle,
                                          lose_patience, client) < 0)
        rondo_transport_abort(client->transport);
}

/* From now on it is the client's turn: to send a whole request, or to take what it has asked for. */
static void wait_for_client(struct client *client)
{
    set_patience(client, client->site->idle);
}

/* --- the last answer ------------------------------------------------------------------------------------------ */

/* It has left. Were the socket closed over bytes of the client's that nobody has read, the connection would be reset, and what
 * the client has not read of the answer be lost: so they are read, and thrown away, until it ends too. */
static void linger(struct client *client)
{
    rondo_transport_write_eof(client->transport);
    rondo_transport_resume_reading(client->transport);
    set_patience(client, LINGER);
}

static void finish(struct client *client)
{
    if (client->is_ending || rondo_transport_is_closing(client->transport))
        return;
    client->is_ending = true;
    if (client->has_ended)
        rondo_transport_close(client->transport);
    else
        rondo_transport_set_write_buffer_limits(client->transport, 0, 0); /* pauses while something is left */
    if (!client->has_ended && !client->is_stalled)
        linger(client);
}

/* --- large files ---------------------------------------------------------------------------------------------- */

static void go_on(struct client *client);

static void sent(rondo_future *future, void *context)
{
    rondo_protocol *protocol = context;
    struct client *client = client_of(protocol);
    /* Fewer bytes than were promised (the file has become shorter): only the end of the connection can say so. */
    bool is_whole = rondo_future_result(future, NULL) >= 0 && client->sent == client->promised;
    close(client->file);
    client->file = -1;
    client->sending = NULL;
    rondo_future_unref(future);
    if (client->transport && !is_whole)
        rondo_transport_abort(client->transport);
    else if (client->transport && !client->is_stalled)
        go_on(client);
    rondo_protocol_unref(protocol);
}

static void send_large(struct client *client, int file, long long size)
{
    rondo_protocol *protocol = rondo_transport_get_protocol(client->transport);
    client->file = file;
    client->promised = size;
    client->sending = rondo_sendfile(client->transport, file, 0, size, true, &client->sent);
    if (client->sending && rondo_future_add_done_callback(client->sending, sent, protocol) == 0) {
        rondo_protocol_ref(protocol);
        return;
    }
    rondo_future_unref(client->sending);
    client->sending = NULL;
    client->file = -1;
    close(file);
    rondo_transport_abort(client->transport);
}

static void answer_file(struct client *client, int file, long long size, const char *type)
{
    char header[1024], body[SMALL_FILE];
    size_t length = make_header(client, header, sizeof header, 200, type, size, "");
    rondo_bytes pieces[2] = { { header, length }, { body, (size_t) size } };
    bool has_body = client->request.parser.method == HTTP_GET && size > 0;
    bool is_small = size <= SMALL_FILE;
    if (has_body && is_small && pread(file, body, (size_t) size, 0) != size) {
        rondo_transport_abort(client->transport); /* it has just become shorter */
        close(file);
        return;
    }
    write_or_abort(client, pieces, has_body && is_small ? 2 : 1);
    if (has_body && !is_small)
        send_large(client, file, size);
    else
        close(file);
}

static void redirect_to_folder(struct client *client)
{
    char line[HTTP_MAX_URL + 64];
    const char *end = memchr(client->request.url, '?', client->request.url_length);
    int length = end ? (int) (end - client->request.url) : (int) client->request.url_length;
    snprintf(line, sizeof line, "Location: %.*s/\r\n", length, client->request.url);
    answer_status(client, 301, line);
}

static void answer(struct client *client)
{
    char path[HTTP_MAX_URL + 1];
    struct stat status = { 0 };
    if (client->request.parser.method != HTTP_GET && client->request.parser.method != HTTP_HEAD) {
        answer_status(client, 405, "Allow: GET, HEAD\r\n");
        return;
    }
    if (!http_decode_path(client->request.url, client->request.url_length, path)) {
        answer_status(client, 400, "");
        return;
    }
    const char *type = http_type_of(path);
    int file = http_open_below(client->site->root, path);
    if (file < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
        answer_status(client, 503, "");
        return;
    }
    if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
        answer_file(client, file, (long long) status.st_size, type);
        return;
    }
    if (file >= 0 && S_ISDIR(status.st_mode) && client->request.url[0] == '/' &&
        client->request.url[1] != '/')
        redirect_to_folder(client);
    else
        answer_status(client, 404, "");
    if (file >= 0)
        close(file);
}

/* --- connections ------------------------------------------------------------------------------------------------ */

/* The next request begins where the last one ended. What is no request at all gets its answer, and the connection ends. */
static size_t take_request(struct client *client, const unsigned char *data, size_t length)
{
    size_t used;
    switch (http_request_take(&client->request, data, length, &used)) {
    case HTTP_COMPLETE:
        answer(client);
        wait_for_client(client);
        if (!client->request.keeps_alive && !client->sending)
            finish(client);
        break;
    case HTTP_WRONG:
        answer_status(client, client->request.error, "");
        finish(client);
        break;
    case HTTP_GOES_ON:
        if (client->request.wants_go_ahead)
            write_or_abort(client, &(rondo_bytes){ "HTTP/1.1 100 Continue\r\n\r\n", 25 }, 1);
        client->request.wants_go_ahead = false;
        break;
    }
    return used;
}

static bool is_over(const struct client *client)
{
    return client->is_ending || rondo_transport_is_closing(client->transport);
}

static bool may_go_on(const struct client *client)
{
    return !client->sending && !client->is_stalled && !is_over(client);
}

/* Requests from @data, as long as they can be answered at once; how much of it is done with. */
static size_t take_requests(struct client *client, const unsigned char *data, size_t length)
{
    size_t used = 0;
    while (used < length && may_go_on(client))
        used += take_request(client, data + used, length - used);
    return is_over(client) ? length : used;
}

static void keep_ahead(struct client *client, const unsigned char *data, size_t length)
{
    unsigned char *ahead = realloc(client->ahead, client->ahead_length + length);
    if (!ahead) {
        rondo_transport_abort(client->transport);
        return;
    }
    memcpy(ahead + client->ahead_length, data, length);
    client->ahead = ahead;
    client->ahead_length += length;
}

/* The last answer is out of the way. */
static void go_on(struct client *client)
{
    if (!client->request.keeps_alive) {
        finish(client);
        return;
    }
    rondo_transport_resume_reading(client->transport);
    unsigned char *ahead = client->ahead;
    size_t length = client->ahead_length;
    client->ahead = NULL;
    client->ahead_length = 0;
    size_t used = take_requests(client, ahead, length);
    if (used < length)
        keep_ahead(client, ahead + used, length - used);
    else if (client->has_ended && may_go_on(client))
        rondo_transport_close(client->transport);
    free(ahead);
}

static void connection_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct client *client = client_of(protocol);
    client->transport = transport;
    client->file = -1;
    http_request_init(&client->request);
    wait_for_client(client);
}

static void data_received(rondo_protocol *protocol, const void *data, size_t length)
{
    struct client *client = client_of(protocol);
    size_t used = client->ahead && !is_over(client) ? 0 : take_requests(client, data, length);
    if (used < length)
        keep_ahead(client, (const unsigned char *) data + used, length - used);
}

/* What it has asked for before is answered: go_on closes then. */
static bool eof_received(rondo_protocol *protocol)
{
    struct client *client = client_of(protocol);
    client->has_ended = true;
    return !may_go_on(client) && !client->is_ending;
}

static void pause_writing(rondo_protocol *protocol)
{
    struct client *client = client_of(protocol);
    client->is_stalled = true;
    rondo_transport_pause_reading(client->transport);
}

static void resume_writing(rondo_protocol *protocol)
{
    struct client *client = client_of(protocol);
    client->is_stalled = false;
    wait_for_client(client);
    if (client->is_ending)
        linger(client);
    else if (!client->sending)
        go_on(client);
}

static void connection_lost(rondo_protocol *protocol, int error)
{
    (void) error;
    rondo_handle_cancel(&client_of(protocol)->idle);
    client_of(protocol)->transport = NULL;
}

static void destroy(rondo_protocol *protocol)
{
    free(client_of(protocol)->ahead);
}

static const rondo_protocol_ops http = {
    .size = sizeof http,
    .data_size = sizeof(struct client),
    .connection_made = connection_made,
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .destroy = destroy,
};

static rondo_protocol *make_client(void *context)
{
    rondo_protocol *protocol = rondo_protocol_new((void *) &http);
    if (protocol)
        client_of(protocol)->site = context;
    return protocol;
}

/* --- the server -------------------------------------------------------------------------------------------------- */

static int serve(void *context)
{
    struct site *site = context;
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = site->host;
    options.port = site->port;
    options.backlog = 1024;
    rondo_loop *loop = rondo_loop_running();
    rondo_server *server = NULL;
    int rc = rondo_await_server(rondo_create_server(loop, make_client, site, &options), &server);
    if (rc < 0)
        return rc;
    rondo_address address;
    if (rondo_server_address(server, 0, &address) == 0)
        site->port = rondo_address_port(&address);
    bool is_v6 = strchr(site->host, ':') != NULL;
    printf(is_v6 ? "listening on [%s]:%d backend=%s\n" : "listening on %s:%d backend=%s\n", site->host,
           site->port, rondo_loop_backend_name(loop));
    fflush(stdout);
    rc = rondo_await(rondo_server_serve_forever(server), NULL); /* until Ctrl+C cancels the task */
    rondo_await(rondo_server_drain(server, 0), NULL);           /* files on their way end in sent() */
    return rc;
}

static const char *const usage =
    "usage: http_server --root FOLDER [--backend NAME] [--host HOST] [--port PORT] [--idle SECONDS]\n";

static bool read_number(const char *text, int most, int *ret_number)
{
    char *end;
    long number = strtol(text, &end, 10);
    *ret_number = (int) number;
    return end != text && !*end && number >= 0 && number <= most;
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        { "root", required_argument, NULL, 'r' }, { "backend", required_argument, NULL, 'b' },
        { "host", required_argument, NULL, 'h' }, { "port", required_argument, NULL, 'p' },
        { "idle", required_argument, NULL, 'i' }, { NULL, 0, NULL, 0 },
    };
    rondo_loop_options loop_options = RONDO_LOOP_OPTIONS;
    loop_options.receive_buffer_size = 8192; /* requests are small, and those that wait take memory */
    struct site site = { .host = "127.0.0.1", .port = 8080 };
    int idle = 60;
    bool is_wrong = false;
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'b' && rondo_backend_from_name(optarg, &loop_options.backend) < 0) {
            fprintf(stderr, "http_server: there is no backend called '%s'\n%s", optarg, usage);
            return 2;
        }
        if (option == 'r')
            site.root_name = optarg;
        if (option == 'h')
            site.host = optarg;
        is_wrong |= option == '?' || (option == 'p' && !read_number(optarg, 65535, &site.port)) ||
                    (option == 'i' && !read_number(optarg, 86400, &idle));
    }
    if (is_wrong || optind < count || !site.root_name) {
        fputs(usage, stderr);
        return 2;
    }
    site.idle = RONDO_S(idle);
    site.root = open(site.root_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (site.root < 0) {
        perror(site.root_name);
        return 1;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int rc = rondo_run(&loop_options, serve, &site); /* until Ctrl+C */
    if (rc < 0 && rc != RONDO_EINTERRUPTED)
        fprintf(stderr, "http_server: %s\n", rondo_last_error_message());
    close(site.root);
    return rc < 0 && rc != RONDO_EINTERRUPTED;
}
