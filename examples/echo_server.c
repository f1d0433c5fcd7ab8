/* SPDX-License-Identifier: MIT */
/* A server that sends back what it gets, on any backend and on as many cores as you like.
 *
 * echo_server --backend io_uring --port 7000 --loops 2
 *
 * echo_server --unix /tmp/echo          (--unix @echo: an abstract name, which is no file)
 * echo_server --inherited               (the socket that systemd, or whoever started us, listens on)
 *
 * Each loop has a thread of its own and runs one task, serve(): listen, wait until told to stop, say
 * goodbye to the clients. With several loops all of them listen on one port (SO_REUSEPORT), and the kernel
 * spreads the connections. The main thread only waits for SIGTERM or Ctrl+C and then tells the loops. */
#define _POSIX_C_SOURCE 200809L

#include <getopt.h>
#include <pthread.h>
#include <rondo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LOOPS = 256 };

struct settings {
    rondo_backend backend;
    const char *host;
    int port;
    int loops;
    const char *path; /* of a Unix socket; NULL: TCP */
    size_t path_length;
    bool inherited; /* the socket is there already */
};

/* One loop in one thread. The main thread may look at it once it has `started`, or failed to. */
struct worker {
    const struct settings *settings;
    pthread_t thread;
    pthread_mutex_t mutex; /* of `started` alone */
    pthread_cond_t changed;
    bool started;
    bool listening;      /* else `error` says why not */
    rondo_loop *loop;    /* for the one call that other threads may make */
    rondo_future *stop;  /* done when the server shall end */
    int port;            /* the real one, where any free port was asked for */
    char address[160];   /* what it listens on */
    const char *backend; /* the real one, where a family was asked for */
    char error[512];
};

/* --- the protocol: three functions that a connection calls ------------------------------------- */

static void data_received(rondo_protocol *protocol, const void *data, size_t length)
{
    rondo_transport_write(rondo_protocol_transport(protocol), data, length);
}

/* A client that does not read its answers is not listened to: it cannot make us collect them without end. */
static void pause_writing(rondo_protocol *protocol)
{
    rondo_transport_pause_reading(rondo_protocol_transport(protocol));
}

static void resume_writing(rondo_protocol *protocol)
{
    rondo_transport_resume_reading(rondo_protocol_transport(protocol));
}

/* There is no eof_received: at end of stream the transport sends what is left, and closes. */
static const rondo_protocol_ops echo = {
    .size = sizeof echo,
    .data_received = data_received,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
};

/* --- a loop ------------------------------------------------------------------------------------ */

static void tell_started(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    worker->started = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->mutex);
}

static rondo_future *listen_on_port(const struct worker *worker)
{
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.host = worker->settings->host;
    options.port = worker->port;
    options.backlog = 1024;
    options.reuse_port = worker->settings->loops > 1;
    return rondo_create_server(worker->loop, rondo_protocol_new, (void *) &echo, &options);
}

static rondo_future *listen_on_path(const struct worker *worker)
{
    rondo_unix_server_options options = RONDO_UNIX_SERVER_OPTIONS;
    options.path = worker->settings->path;
    options.path_length = worker->settings->path_length;
    options.backlog = 1024;
    options.remove_file = true;
    return rondo_create_unix_server(worker->loop, rondo_protocol_new, (void *) &echo, &options);
}

/* Whoever started us has opened the socket; create_server takes one of any family. */
static rondo_future *listen_on_inherited(const struct worker *worker)
{
    rondo_inherited_socket inherited;
    rondo_server_options options = RONDO_SERVER_OPTIONS;
    options.backlog = 1024;
    int count = rondo_inherited_sockets(&inherited, 1);
    if (count == 0)
        rondo_raise(RONDO_EINVAL, "no socket was passed: LISTEN_PID and LISTEN_FDS are not set for us");
    if (count > 1) /* nobody would accept on the others */
        rondo_raise(RONDO_EINVAL, "several sockets were passed, and this server takes one");
    if (count != 1)
        return NULL;
    options.sock = inherited.sock;
    return rondo_create_server(worker->loop, rondo_protocol_new, (void *) &echo, &options);
}

static rondo_future *begin_to_listen(const struct worker *worker)
{
    if (worker->settings->inherited)
        return listen_on_inherited(worker);
    return worker->settings->path ? listen_on_path(worker) : listen_on_port(worker);
}

/* The task of each loop. It reads like a program that blocks, but while it awaits, the loop serves
 * clients. */
static int serve(void *context)
{
    struct worker *worker = context;
    worker->loop = rondo_loop_running();
    rondo_server *server = NULL;
    int rc = rondo_await_server(begin_to_listen(worker), &server);
    if (rc < 0)
        return rc;
    worker->stop = rondo_future_new(worker->loop);
    if (!worker->stop)
        return rondo_last_error();

    rondo_address address;
    if (rondo_server_address(server, 0, &address) == 0) {
        worker->port = rondo_address_port(&address);
        rondo_address_format(&address, worker->address, sizeof worker->address);
    }
    worker->backend = rondo_loop_backend_name(worker->loop);
    worker->listening = true;
    tell_started(worker);

    rondo_await(worker->stop, NULL);
    /* Listen no more, send what is still to be sent, and wait for the connections to end, up to five
     * seconds. */
    return rondo_await(rondo_server_drain(server, RONDO_S(5)), NULL);
}

static void *run_worker(void *context)
{
    struct worker *worker = context;
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.backend = worker->settings->backend;
    int rc = rondo_run(&options, serve, worker); /* make a loop, run the task to its end, free the loop */
    if (!worker->listening) {
        snprintf(worker->error, sizeof worker->error, "%s",
                 rc < 0 ? rondo_last_error_message() : "ended early");
        tell_started(worker);
    }
    return NULL;
}

/* Runs on the loop's thread, sent there by stop_worker. */
static void end_service(void *context)
{
    struct worker *worker = context;
    rondo_future_set_result(worker->stop, NULL);
}

static void stop_worker(struct worker *worker)
{
    if (worker->listening)
        rondo_loop_call_soon_threadsafe(worker->loop, NULL, end_service, worker);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->mutex);
}

/* Start a worker on @port and wait until it listens. Returns whether it does; stop_worker must follow if
 * the thread was started at all, which *@ret_running tells. */
static bool start_worker(struct worker *worker, const struct settings *settings, int port, bool *ret_running)
{
    worker->settings = settings;
    worker->port = port;
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->changed, NULL);
    *ret_running = pthread_create(&worker->thread, NULL, run_worker, worker) == 0;
    if (!*ret_running) {
        snprintf(worker->error, sizeof worker->error, "cannot start a thread");
        return false;
    }
    pthread_mutex_lock(&worker->mutex);
    while (!worker->started)
        pthread_cond_wait(&worker->changed, &worker->mutex);
    pthread_mutex_unlock(&worker->mutex);
    return worker->listening;
}

static void announce(const struct settings *settings, const struct worker *first)
{
    bool numeric_v6 = strchr(settings->host, ':') != NULL;
    if (settings->path || settings->inherited)
        printf("listening on %s backend=%s\n", first->address, first->backend);
    else
        printf(numeric_v6 ? "listening on [%s]:%d backend=%s\n" : "listening on %s:%d backend=%s\n",
               settings->host, first->port, first->backend);
    fflush(stdout);
}

static int run(const struct settings *settings)
{
    static struct worker workers[MAX_LOOPS];
    int rc = 0;
    int running = 0;

    /* Threads inherit the mask: from now on only sigwait() below sees these signals. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    while (running < settings->loops && rc == 0) {
        /* If any free port was asked for, the others take the one that the first one got. */
        int port = running == 0 ? settings->port : workers[0].port;
        bool started;
        struct worker *worker = &workers[running];
        if (!start_worker(worker, settings, port, &started)) {
            fprintf(stderr, "echo_server: %s\n", worker->error);
            rc = 1;
        }
        running += started;
    }
    if (rc == 0) {
        int signal;
        announce(settings, &workers[0]);
        sigwait(&signals, &signal);
    }
    for (int i = 0; i < running; i++)
        stop_worker(&workers[i]);
    return rc;
}

/* --- the command line --------------------------------------------------------------------------- */

static const char *const usage =
    "usage: echo_server [--backend NAME] [--host HOST] [--port PORT] [--loops N]\n"
    "       echo_server [--backend NAME] --unix PATH | --inherited\n";

static int read_number(const char *text, int low, int high)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < low || number > high) {
        fprintf(stderr, "echo_server: '%s' is not a number from %d to %d\n%s", text, low, high, usage);
        exit(2);
    }
    return (int) number;
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        { "backend", required_argument, NULL, 'b' },
        { "host", required_argument, NULL, 'h' },
        { "port", required_argument, NULL, 'p' },
        { "loops", required_argument, NULL, 'l' },
        { "unix", required_argument, NULL, 'u' },
        { "inherited", no_argument, NULL, 'i' },
        { NULL, 0, NULL, 0 },
    };
    struct settings settings = { RONDO_BACKEND_AUTO, "127.0.0.1", 7000, 1, NULL, 0, false };
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        if (option == 'b' && rondo_backend_from_name(optarg, &settings.backend) < 0) {
            fprintf(stderr, "echo_server: there is no backend called '%s'\n%s", optarg, usage);
            return 2;
        }
        if (option == 'h')
            settings.host = optarg;
        if (option == 'p')
            settings.port = read_number(optarg, 0, 65535);
        if (option == 'l')
            settings.loops = read_number(optarg, 1, MAX_LOOPS);
        if (option == 'u') {
            settings.path = optarg;
            settings.path_length = strlen(optarg);
            if (optarg[0] == '@') /* an abstract name begins with a NUL, which no command line can hold */
                optarg[0] = '\0';
        }
        if (option == 'i')
            settings.inherited = true;
        if (option == '?') {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind < count) {
        fprintf(stderr, "echo_server: unexpected '%s'\n%s", arguments[optind], usage);
        return 2;
    }
    if ((settings.path || settings.inherited) && settings.loops > 1) {
        fprintf(stderr, "echo_server: several loops can share a port only\n%s", usage);
        return 2;
    }
    return run(&settings);
}
