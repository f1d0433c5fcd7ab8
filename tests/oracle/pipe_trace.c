/* SPDX-License-Identifier: MIT */
/* The life of pipe transports on Rondo, one line for each scenario, function by function as in pipe_trace.py.
 *
 * usage: pipe_trace BACKEND [SCENARIO]
 *
 * The happy path: each scenario gets a loop, one pipe transport with its protocol, and the other end. Failures: a call that
 * fails: the program ends with a message; a backend that cannot run here: status 77. What is wrong in the library
 * shows in the lines. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

enum { LARGE = 300000 };

static struct {
    rondo_loop *loop;
    rondo_transport *transport;
    int other;
    bool keep;
    bool is_over;
    void (*on_made)(void);
    void (*on_data)(void);
    void (*on_eof)(void);
    void (*on_lost)(void);
    void (*on_stall)(void);
    void (*on_flow)(void);
} stage;

static void die(const char *what)
{
    fprintf(stderr, "pipe_trace: %s: %s\n", what, rondo_last_error_message());
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

static void hook(void (*function)(void))
{
    if (function && !stage.is_over)
        function();
}

static void on_exception(rondo_loop *loop, const rondo_exception_context *context, void *user)
{
    (void) loop;
    (void) context;
    (void) user;
    word("reported");
}

/* --- the protocol ----------------------------------------------------------------------------- */

static void on_made(rondo_protocol *protocol, rondo_transport *transport)
{
    (void) protocol;
    stage.transport = rondo_transport_ref(transport);
    word("made");
    hook(stage.on_made);
}

static void on_data(rondo_protocol *protocol, const void *data, size_t length)
{
    (void) protocol;
    (void) data;
    word("data:%zu", length);
    hook(stage.on_data);
}

static bool on_eof(rondo_protocol *protocol)
{
    (void) protocol;
    word("eof");
    hook(stage.on_eof);
    return stage.keep;
}

static void on_lost(rondo_protocol *protocol, int error)
{
    (void) protocol;
    word("lost:%s", error == 0 ? "0" : error == RONDO_EPIPE ? "BrokenPipeError" : rondo_err_name(error));
    hook(stage.on_lost);
}

static void on_stall(rondo_protocol *protocol)
{
    (void) protocol;
    word("stall");
    hook(stage.on_stall);
}

static void on_flow(rondo_protocol *protocol)
{
    (void) protocol;
    word("flow");
    hook(stage.on_flow);
}

static const rondo_protocol_ops ops = {
    .size = sizeof ops,
    .connection_made = on_made,
    .data_received = on_data,
    .eof_received = on_eof,
    .connection_lost = on_lost,
    .pause_writing = on_stall,
    .resume_writing = on_flow,
};

/* --- the stage -------------------------------------------------------------------------------- */

static void passes(int count)
{
    for (int i = 0; i < count; i++) {
        rondo_loop_stop(stage.loop);
        if (rondo_loop_run_forever(stage.loop) < 0)
            die("run_forever");
    }
}

static void say(void *text)
{
    word("%s", (const char *) text);
}

static void soon(char *text)
{
    if (rondo_loop_call_soon(stage.loop, NULL, say, text) < 0)
        die("call_soon");
}

/* The ends of a pipe; neither blocks. */
static void open_pipe(int ret_ends[2])
{
    if (pipe2(ret_ends, O_CLOEXEC | O_NONBLOCK) < 0)
        die("pipe2");
}

static void connected(rondo_future *future)
{
    if (rondo_loop_run_until_complete(stage.loop, future, NULL) < 0)
        die("connecting");
}

static void reader(void)
{
    int ends[2];
    open_pipe(ends);
    stage.other = ends[1];
    connected(rondo_connect_read_pipe(stage.loop, rondo_protocol_new, (void *) (uintptr_t) &ops, ends[0]));
}

static void writer(void)
{
    int ends[2];
    open_pipe(ends);
    stage.other = ends[0];
    connected(rondo_connect_write_pipe(stage.loop, rondo_protocol_new, (void *) (uintptr_t) &ops, ends[1]));
}

static void put(const char *text)
{
    if (write(stage.other, text, strlen(text)) < 0)
        die("write");
}

static void leave(void)
{
    close(stage.other);
    stage.other = -1;
}

static void write_text(const char *text)
{
    rondo_transport_write(stage.transport, text, strlen(text));
}

static void write_large(void)
{
    static const char zeros[LARGE];
    rondo_transport_write(stage.transport, zeros, LARGE);
}

static void close_it(void)
{
    rondo_transport_close(stage.transport);
}

static void drain(void)
{
    static char block[65536];
    size_t total = 0;
    for (int i = 0; i < 100; i++) {
        ssize_t n;
        while ((n = read(stage.other, block, sizeof block)) > 0)
            total += (size_t) n;
        passes(1);
    }
    word("drained:%zu", total);
}

/* --- scenarios -------------------------------------------------------------------------------- */

static void end(void)
{
    reader();
    put("hello");
    passes(2);
    leave();
    passes(4);
}

static void last_words(void)
{
    reader();
    put("hello");
    leave();
    passes(5);
}

static void end_kept(void)
{
    stage.keep = true;
    reader();
    leave();
    passes(5);
}

static void close_between(void)
{
    soon("A");
    close_it();
    soon("B");
}

static void between_eof_and_lost(void)
{
    stage.on_eof = close_between;
    reader();
    leave();
    passes(5);
}

static void calls_around_the_end(void)
{
    reader();
    leave();
    soon("A");
    passes(1);
    soon("B");
    passes(1);
    soon("C");
    passes(3);
}

static void close_in_data(void)
{
    stage.on_data = close_between;
    reader();
    put("hello");
    leave();
    passes(5);
}

static void pause_it(void)
{
    rondo_transport_pause_reading(stage.transport);
}

static void paused_over_the_end(void)
{
    stage.on_made = pause_it;
    reader();
    put("hello");
    leave();
    passes(4);
    word("resume");
    rondo_transport_resume_reading(stage.transport);
    passes(5);
}

static void close_twice(void)
{
    reader();
    soon("A");
    close_it();
    close_it();
    soon("B");
    passes(3);
}

static void reader_leaves(void)
{
    writer();
    passes(2);
    leave();
    passes(4);
}

static void reader_leaves_data(void)
{
    writer();
    write_large();
    passes(2);
    leave();
    passes(4);
}

static void reader_leaves_closing(void)
{
    writer();
    write_large();
    close_it();
    passes(2);
    leave();
    passes(4);
}

static void write_to_nobody(void)
{
    writer();
    leave();
    soon("A");
    write_text("lost");
    soon("B");
    write_text("ignored");
    passes(4);
}

static void close_with_data(void)
{
    writer();
    write_large();
    close_it();
    write_text("ignored");
    passes(2);
    drain();
}

static void eof_with_data(void)
{
    writer();
    write_large();
    rondo_transport_write_eof(stage.transport);
    passes(2);
    drain();
}

/* PIPE-10: the low mark is for sockets. */
static void resume_when_empty(void)
{
    static char block[65536];
    writer();
    rondo_transport_set_write_buffer_limits(stage.transport, 200000, 150000);
    write_large();
    for (int i = 0; i < 3; i++) {
        if (read(stage.other, block, sizeof block) < 0)
            die("read");
        passes(4);
    }
    word("below");
    drain();
}

static void abort_with_data(void)
{
    writer();
    write_large();
    soon("A");
    rondo_transport_abort(stage.transport);
    soon("B");
    passes(3);
}

static void eof_then_calls(void)
{
    writer();
    write_text("hello");
    soon("A");
    rondo_transport_write_eof(stage.transport);
    rondo_transport_write_eof(stage.transport);
    soon("B");
    passes(3);
    drain();
}

static void write_hello(void)
{
    write_text("hello");
}

static void write_in_made(void)
{
    stage.on_made = write_hello;
    writer();
    passes(1);
    close_it();
    drain();
}

/* --- callbacks that fail, and what is called in them -------------------------------------------- */

static void fail_here(void)
{
    rondo_raise(RONDO_EUSER, "a failing callback");
}

static void fail_in_made(void)
{
    stage.on_made = fail_here;
    reader();
    put("hello");
    passes(2);
    leave();
    passes(4);
}

static void fail_in_data(void)
{
    stage.on_data = fail_here;
    reader();
    for (int i = 0; i < 2; i++) {
        put("hello");
        passes(2);
    }
    leave();
    passes(4);
}

static void fail_in_eof(void)
{
    stage.on_eof = fail_here;
    reader();
    leave();
    passes(4);
}

static void fail_in_lost(void)
{
    stage.on_lost = fail_here;
    reader();
    leave();
    passes(4);
}

static void fail_in_stall(void)
{
    stage.on_stall = fail_here;
    writer();
    write_large();
    word("on");
    passes(2);
    drain();
}

static void fail_in_flow(void)
{
    stage.on_flow = fail_here;
    writer();
    write_large();
    passes(2);
    drain();
    write_text("hello");
    drain();
}

static void abort_between(void)
{
    soon("A");
    rondo_transport_abort(stage.transport);
    soon("B");
}

static void abort_in_stall(void)
{
    stage.on_stall = abort_between;
    writer();
    write_large();
    word("on");
    passes(3);
}

static void close_in_stall(void)
{
    stage.on_stall = close_between;
    writer();
    write_large();
    word("on");
    passes(3);
    drain();
}

static void write_between(void)
{
    soon("A");
    write_text("hello");
    soon("B");
}

static void write_in_flow(void)
{
    stage.on_flow = write_between;
    writer();
    write_large();
    passes(2);
    drain();
}

static void resume(int count)
{
    word("resume");
    rondo_transport_resume_reading(stage.transport);
    passes(count);
}

static void pause_in_data(void)
{
    stage.on_data = pause_it;
    reader();
    put("hello");
    passes(2);
    put("hi");
    passes(2);
    resume(2);
    leave();
    passes(3);
    resume(4);
}

static void pause_in_eof(void)
{
    stage.on_eof = pause_it;
    reader();
    leave();
    passes(4);
}

static void soon_after_made(void)
{
    soon("after-made");
}

static void soon_after_data(void)
{
    soon("after-data");
}

static void soon_after_eof(void)
{
    soon("after-eof");
}

static void soon_after_lost(void)
{
    soon("after-lost");
}

static void soon_in_each(void)
{
    stage.on_made = soon_after_made;
    stage.on_data = soon_after_data;
    stage.on_eof = soon_after_eof;
    stage.on_lost = soon_after_lost;
    reader();
    put("hello");
    leave();
    soon("A");
    passes(6);
}

static void limits_while_full(void)
{
    writer();
    rondo_transport_set_write_buffer_limits(stage.transport, 1000000, RONDO_DEFAULT_MARK);
    write_large();
    word("quiet");
    rondo_transport_set_write_buffer_limits(stage.transport, 5, 1);
    passes(2);
    drain();
}

static void reader_leaves_then_write(void)
{
    writer();
    leave();
    passes(1);
    write_text("hello");
    soon("A");
    passes(4);
}

static const struct {
    const char *name;
    void (*play)(void);
} scenarios[] = {
    { "end", end },
    { "last_words", last_words },
    { "end_kept", end_kept },
    { "between_eof_and_lost", between_eof_and_lost },
    { "calls_around_the_end", calls_around_the_end },
    { "close_in_data", close_in_data },
    { "paused_over_the_end", paused_over_the_end },
    { "close_twice", close_twice },
    { "reader_leaves", reader_leaves },
    { "reader_leaves_data", reader_leaves_data },
    { "reader_leaves_closing", reader_leaves_closing },
    { "write_to_nobody", write_to_nobody },
    { "close_with_data", close_with_data },
    { "eof_with_data", eof_with_data },
    { "resume_when_empty", resume_when_empty },
    { "abort_with_data", abort_with_data },
    { "eof_then_calls", eof_then_calls },
    { "write_in_made", write_in_made },
    { "fail_in_made", fail_in_made },
    { "fail_in_data", fail_in_data },
    { "fail_in_eof", fail_in_eof },
    { "fail_in_lost", fail_in_lost },
    { "fail_in_stall", fail_in_stall },
    { "fail_in_flow", fail_in_flow },
    { "abort_in_stall", abort_in_stall },
    { "close_in_stall", close_in_stall },
    { "write_in_flow", write_in_flow },
    { "pause_in_data", pause_in_data },
    { "pause_in_eof", pause_in_eof },
    { "soon_in_each", soon_in_each },
    { "limits_while_full", limits_while_full },
    { "reader_leaves_then_write", reader_leaves_then_write },
};

static void play(size_t index)
{
    memset(&stage, 0, sizeof stage);
    stage.other = -1;
    stage.loop = support_loop();
    rondo_loop_set_exception_handler(stage.loop, on_exception, NULL);
    printf("%s:", scenarios[index].name);
    scenarios[index].play();
    printf("\n");
    stage.is_over = true;
    rondo_loop_close(stage.loop);
    rondo_transport_unref(stage.transport);
    rondo_loop_free(stage.loop);
    if (stage.other != -1)
        close(stage.other);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        die("usage: pipe_trace BACKEND [SCENARIO]");
    support_use_backend(argv[1]);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (argc < 3 || strcmp(argv[2], scenarios[i].name) == 0)
            play(i);
    return 0;
}
