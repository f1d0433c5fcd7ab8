/* SPDX-License-Identifier: MIT */
/* Watch a file descriptor for read events: the third example of asyncio's page (18.5.1.18.3).
 *
 * Wait until a descriptor has received some data with add_reader, and then stop the loop. Python's example, and this one, takes a
 * pair of connected sockets and simulates the reception of data from the network.
 *
 * usage: watch_fd [--backend NAME]   epoll, poll, io_uring ...; a proactor watches descriptors in an extended loop only */
#include <rondo.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct watch {
    rondo_loop *loop;
    rondo_socket rsock, wsock;
};

static void reader(void *context)
{
    struct watch *watch = context;
    char data[100];
    ssize_t length = recv(watch->rsock, data, sizeof data, 0);
    printf("Received: %.*s\n", length > 0 ? (int) length : 0, data);

    /* We are done: unregister the file descriptor, and stop the event loop. */
    rondo_loop_remove_reader(watch->loop, watch->rsock);
    rondo_loop_stop(watch->loop);
}

/* Simulate the reception of data from the network. */
static void send_data(void *context)
{
    struct watch *watch = context;
    if (send(watch->wsock, "abc", 3, 0) < 0)
        perror("watch_fd: send");
}

static int read_arguments(int count, char **arguments, rondo_loop_options *options)
{
    options->extended = true;
    if (count == 1)
        return 0;
    if (count != 3 || strcmp(arguments[1], "--backend") != 0) {
        fprintf(stderr, "usage: watch_fd [--backend NAME]\n");
        return RONDO_EINVAL;
    }
    int rc = rondo_backend_from_name(arguments[2], &options->backend);
    if (rc < 0)
        fprintf(stderr, "watch_fd: no backend is called %s\n", arguments[2]);
    return rc;
}

static int run(struct watch *watch)
{
    /* Register the file descriptor for read events. */
    int rc = rondo_loop_add_reader(watch->loop, watch->rsock, reader, watch);
    if (rc == 0)
        rc = rondo_loop_call_soon(watch->loop, NULL, send_data, watch);
    if (rc == 0)
        rc = rondo_loop_run_forever(watch->loop);
    if (rc < 0)
        fprintf(stderr, "watch_fd: %s\n", rondo_last_error_message());
    return rc;
}

int main(int count, char **arguments)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    if (read_arguments(count, arguments, &options) < 0)
        return 2;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        perror("watch_fd: socketpair");
        return 1;
    }
    struct watch watch = { NULL, pair[0], pair[1] };
    int rc = rondo_loop_new(&options, &watch.loop);
    if (rc < 0)
        fprintf(stderr, "watch_fd: %s\n", rondo_last_error_message());
    else
        rc = run(&watch);

    /* We are done: close the sockets and the event loop. */
    rondo_loop_free(watch.loop);
    close(pair[0]);
    close(pair[1]);
    return rc < 0;
}
