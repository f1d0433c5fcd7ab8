/* SPDX-License-Identifier: MIT */
/* Passes TCP connections on: what a client sends goes to the target, and what that answers goes back.
 *
 * tcp_proxy --listen 127.0.0.1:7001 --to 127.0.0.1:7000 --backend io_uring
 *
 * Each connection is a pair of transports, and the whole of it is in the protocol below: data goes across; an end of
 * stream goes across, and the other direction goes on; a full send buffer stops the reading on the other side, so that a slow
 * reader slows its sender down and nothing is collected here; a loss ends both. The target has ten seconds to take a connection:
 * meanwhile the first bytes of the client wait here, and the others with it. */
#define _POSIX_C_SOURCE 200809L

#include <getopt.h>
#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { CLIENT, TARGET };

#define PATIENCE RONDO_S(10)

struct place {
    char host[256];
    int port;
};

struct proxy {
    struct place listen;
    struct place to;
};

/* Both ends of a connection. It goes with the last protocol, or the attempt to connect. */
struct pair {
    const struct proxy *proxy;
    rondo_transport *ends[2]; /* borrowed; NULL before connection_made and after connection_lost */
    bool has_ended[2];        /* that end has finished sending */
    rondo_future *connecting;
    rondo_handle patience; /* when that is given up */
    unsigned char *early;  /* what the client sent meanwhile */
    size_t early_length;
    unsigned references;
};

/* What a protocol knows: its pair, and which end of it it is. */
struct end {
    struct pair *pair;
    int which;
};

static struct end *end_of(rondo_protocol *protocol)
{
    return rondo_protocol_data(protocol);
}

static rondo_transport *other_of(const struct end *end)
{
    return end->pair->ends[!end->which];
}

static void let_go(struct pair *pair)
{
    if (--pair->references == 0) {
        free(pair->early);
        free(pair);
    }
}

/* --- the protocol -------------------------------------------------------------------------------------- */

static void connect_target(struct pair *pair, rondo_loop *loop);

/* The target is there: it gets what came before. */
static void send_early(struct pair *pair)
{
    rondo_transport_resume_reading(pair->ends[CLIENT]); /* first: the write may stop it again */
    if (pair->early_length && rondo_transport_write(pair->ends[TARGET], pair->early, pair->early_length) < 0)
        rondo_transport_abort(pair->ends[TARGET]); /* out of memory */
    free(pair->early);
    pair->early = NULL;
    if (pair->has_ended[CLIENT])
        rondo_transport_write_eof(pair->ends[TARGET]);
}

/* The first bytes of the client; there is no more before there is somewhere to write to. */
static void keep_early(struct pair *pair, const void *data, size_t length)
{
    rondo_transport_pause_reading(pair->ends[CLIENT]);
    unsigned char *early = realloc(pair->early, pair->early_length + length);
    if (!early) {
        rondo_transport_abort(pair->ends[CLIENT]);
        return;
    }
    memcpy(early + pair->early_length, data, length);
    pair->early = early;
    pair->early_length += length;
}

static void connection_made(rondo_protocol *protocol, rondo_transport *transport)
{
    struct end *end = end_of(protocol);
    end->pair->ends[end->which] = transport;
    if (end->which == CLIENT)
        connect_target(end->pair, rondo_transport_loop(transport));
    else if (end->pair->ends[CLIENT])
        send_early(end->pair);
    else
        rondo_transport_abort(transport); /* the client was faster */
}

static void data_received(rondo_protocol *protocol, const void *data, size_t length)
{
    struct pair *pair = end_of(protocol)->pair;
    rondo_transport *other = other_of(end_of(protocol));
    if (!other && pair->connecting) {
        keep_early(pair, data, length);
        return;
    }
    if (!other || rondo_transport_is_closing(other))
        return; /* it is gone, and this one ends with it */
    if (rondo_transport_write(other, data, length) < 0)
        rondo_transport_abort(rondo_protocol_transport(protocol)); /* out of memory */
}

/* Stay open as long as the other direction goes on. */
static bool eof_received(rondo_protocol *protocol)
{
    struct end *end = end_of(protocol);
    rondo_transport *other = other_of(end);
    end->pair->has_ended[end->which] = true;
    if (!other && end->pair->connecting)
        return true;
    if (other && !end->pair->has_ended[!end->which]) {
        rondo_transport_write_eof(other);
        return true;
    }
    rondo_transport_close(other); /* what is left for it is sent first */
    return false;
}

static void pause_writing(rondo_protocol *protocol)
{
    rondo_transport_pause_reading(other_of(end_of(protocol)));
}

static void resume_writing(rondo_protocol *protocol)
{
    rondo_transport_resume_reading(other_of(end_of(protocol)));
}

static void connection_lost(rondo_protocol *protocol, int error)
{
    struct end *end = end_of(protocol);
    rondo_transport *other = other_of(end);
    end->pair->ends[end->which] = NULL;
    if (end->pair->connecting)
        rondo_future_cancel(end->pair->connecting);
    if (error)
        rondo_transport_abort(other);
    else
        rondo_transport_close(other);
}

static void destroy(rondo_protocol *protocol)
{
    if (end_of(protocol)->pair)
        let_go(end_of(protocol)->pair);
}

static const rondo_protocol_ops passing_on = {
    .size = sizeof passing_on,
    .data_size = sizeof(struct end),
    .connection_made = connection_made,
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = connection_lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .destroy = destroy,
};

static rondo_protocol *make_end(struct pair *pair, int which)
{
    rondo_protocol *protocol = rondo_protocol_new((void *) &passing_on);
    if (!protocol)
        return NULL;
    *end_of(protocol) = (struct end){ pair, which };
    pair->references++;
    return protocol;
}

static rondo_protocol *make_client(void *context)
{
    struct pair *pair = calloc(1, sizeof *pair);
    if (!pair) {
        rondo_raise(RONDO_ENOMEM, NULL);
        return NULL;
    }
    pair->proxy = context;
    pair->references = 1;
    rondo_protocol *protocol = make_end(pair, CLIENT);
    let_go(pair);
    return protocol;
}

/* --- the target ---------------------------------------------------------------------------------------- */

static rondo_protocol *make_target(void *context)
{
    return make_end(context, TARGET);
}

static void connected(rondo_future *future, void *context)
{
    struct pair *pair = context;
    rondo_handle_cancel(&pair->patience);
    pair->connecting = NULL;
    int error = rondo_future_error(future, NULL);
    rondo_future_unref(future);
    if (error)
        rondo_transport_abort(pair->ends[CLIENT]);
    let_go(pair);
}

static void lose_patience(void *context)
{
    struct pair *pair = context;
    rondo_future_cancel(pair->connecting); /* connected() hears of it */
}

static void connect_target(struct pair *pair, rondo_loop *loop)
{
    rondo_connection_options options = RONDO_CONNECTION_OPTIONS;
    options.host = pair->proxy->to.host;
    options.port = pair->proxy->to.port;
    pair->connecting = rondo_create_connection(loop, make_target, pair, &options);
    if (!pair->connecting || rondo_future_add_done_callback(pair->connecting, connected, pair) < 0) {
        rondo_future_unref(pair->connecting);
        pair->connecting = NULL;
        rondo_transport_abort(pair->ends[CLIENT]);
        return;
    }
    pair->references++;
    if (rondo_loop_call_later(loop, PATIENCE, &pair->patience, lose_patience, pair) < 0)
        rondo_future_cancel(pair->connecting);
}

/* --- the server ---------------------------------------------------------------------------------------- */

static int serve(void *context)
{
    struct proxy *proxy = context;
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = proxy->listen.host;
    options.port = proxy->listen.port;
    options.backlog = 1024;
    rondo_loop *loop = rondo_loop_running();
    rondo_server *server = NULL;
    int rc = rondo_await_server(rondo_create_server(loop, make_client, proxy, &options), &server);
    if (rc < 0)
        return rc;
    rondo_address address;
    if (rondo_server_address(server, 0, &address) == 0)
        proxy->listen.port = rondo_address_port(&address);
    bool is_v6 = strchr(proxy->listen.host, ':') != NULL;
    printf(is_v6 ? "listening on [%s]:%d backend=%s\n" : "listening on %s:%d backend=%s\n",
           proxy->listen.host, proxy->listen.port, rondo_loop_backend_name(loop));
    fflush(stdout);
    rc = rondo_await(rondo_server_serve_forever(server), NULL); /* until Ctrl+C cancels the task */
    rondo_await(rondo_server_drain(server, 0), NULL);
    return rc;
}

/* --- the command line ----------------------------------------------------------------------------------- */

static const char *const usage = "usage: tcp_proxy --listen HOST:PORT --to HOST:PORT [--backend NAME]\n";

/* HOST:PORT, with brackets around a host that has colons. */
static bool read_place(const char *text, struct place *place)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return false;
    size_t length = (size_t) (colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    char *end;
    long port = strtol(colon + 1, &end, 10);
    if (!length || length >= sizeof place->host || end == colon + 1 || *end || port < 0 || port > 65535)
        return false;
    memcpy(place->host, text, length);
    place->host[length] = '\0';
    place->port = (int) port;
    return true;
}

/* Each connection takes two descriptors. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        { "listen", required_argument, NULL, 'l' },
        { "to", required_argument, NULL, 't' },
        { "backend", required_argument, NULL, 'b' },
        { NULL, 0, NULL, 0 },
    };
    rondo_loop_options loop_options = RONDO_LOOP_OPTIONS;
    struct proxy proxy = { .listen = { .port = -1 }, .to = { .port = -1 } };
    bool is_wrong = false;
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'b' && rondo_backend_from_name(optarg, &loop_options.backend) < 0) {
            fprintf(stderr, "tcp_proxy: there is no backend called '%s'\n%s", optarg, usage);
            return 2;
        }
        is_wrong |= option == '?' || (option == 'l' && !read_place(optarg, &proxy.listen)) ||
                    (option == 't' && !read_place(optarg, &proxy.to));
    }
    if (is_wrong || optind < count || proxy.listen.port < 0 || proxy.to.port < 0) {
        fputs(usage, stderr);
        return 2;
    }
    raise_limit();
    int rc = rondo_run(&loop_options, serve, &proxy); /* until Ctrl+C */
    if (rc < 0 && rc != RONDO_EINTERRUPTED)
        fprintf(stderr, "tcp_proxy: %s\n", rondo_last_error_message());
    return rc < 0 && rc != RONDO_EINTERRUPTED;
}
