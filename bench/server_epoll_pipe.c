/* SPDX-License-Identifier: MIT */
/* The limit for pipes on selectors: an epoll loop with one read and one write for each message.
 *
 * Happy path: level-triggered epoll on the ends to read from. What the other pipe does not take is copied, and that
 * end watched instead until it is gone. At end of file both ends are closed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server.h"

enum { EVENTS = 256, BUFFER = 64 * 1024 };

struct pair {
    int in, out;
    size_t length, offset; /* of the rest below */
    unsigned char *rest;   /* what could not be written; NULL for none */
};

static _Alignas(4096) unsigned char buffer[BUFFER];

/* Watch one end, which is not watched yet. */
static void watch(int epoll, int fd, struct pair *pair, uint32_t interest)
{
    struct epoll_event event = { .events = interest, .data.ptr = pair };
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void finish(struct pair *pair)
{
    close(pair->in);
    close(pair->out);
    free(pair->rest);
    pair->rest = NULL;
}

static void keep_rest(int epoll, struct pair *pair, const unsigned char *data, size_t length)
{
    pair->rest = malloc(length);
    if (!pair->rest) {
        finish(pair);
        return;
    }
    memcpy(pair->rest, data, length);
    pair->length = length;
    pair->offset = 0;
    epoll_ctl(epoll, EPOLL_CTL_DEL, pair->in, NULL);
    watch(epoll, pair->out, pair, EPOLLOUT);
}

static void echo(int epoll, struct pair *pair)
{
    ssize_t got = read(pair->in, buffer, sizeof buffer);
    if (got < 0 && errno == EAGAIN)
        return;
    ssize_t sent = got > 0 ? write(pair->out, buffer, (size_t) got) : -1;
    if (got > 0 && sent == got)
        return;
    if (got <= 0 || (sent < 0 && errno != EAGAIN)) {
        finish(pair);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t) sent;
    keep_rest(epoll, pair, buffer + done, (size_t) got - done);
}

static void write_rest(int epoll, struct pair *pair)
{
    ssize_t sent = write(pair->out, pair->rest + pair->offset, pair->length - pair->offset);
    if (sent < 0) {
        if (errno != EAGAIN)
            finish(pair);
        return;
    }
    pair->offset += (size_t) sent;
    if (pair->offset < pair->length)
        return;
    free(pair->rest);
    pair->rest = NULL;
    epoll_ctl(epoll, EPOLL_CTL_DEL, pair->out, NULL);
    watch(epoll, pair->in, pair, EPOLLIN);
}

static int serve(const struct bench_server *server, const struct bench_job *job)
{
    static struct epoll_event events[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct pair *pairs = calloc(job->pairs, sizeof *pairs);
    if (epoll < 0 || !pairs) {
        fprintf(stderr, "%s: %s\n", server->name, strerror(errno));
        return -1;
    }
    for (size_t i = 0; i < job->pairs; i++) {
        pairs[i].in = job->socket + 2 * (int) i;
        pairs[i].out = pairs[i].in + 1;
        watch(epoll, pairs[i].in, &pairs[i], EPOLLIN);
    }
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct pair *pair = events[i].data.ptr;
            if (pair->rest)
                write_rest(epoll, pair);
            else
                echo(epoll, pair);
        }
    }
}

extern const struct bench_server bench_epoll_pipe_servers[];

const struct bench_server bench_epoll_pipe_servers[] = {
    { .name = "bare-epoll",
      .about = "hand-written epoll loop: read + write",
      .family = BENCH_BARE,
      .services = BENCH_PIPES,
      .serve = serve },
    { .name = NULL },
};
