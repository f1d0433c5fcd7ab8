/* SPDX-License-Identifier: MIT */
/* The scenarios of net_life.c in which files are sent. */
#include "net_life.h"

static int64_t length_to_send, count_to_send;

static rondo_file a_file(int64_t length)
{
    static const char zeros[65536];
    FILE *file = tmpfile();
    if (!file)
        die("a file");
    for (int64_t left = length; left > 0; left -= (int64_t) sizeof zeros)
        fwrite(zeros, 1, left < (int64_t) sizeof zeros ? (size_t) left : sizeof zeros, file);
    fflush(file);
    stage.files[stage.file_count++] = file;
    return fileno(file);
}

static rondo_future *begin_file(void)
{
    return rondo_sendfile(stage.conns[0].transport, a_file(length_to_send), 0, count_to_send, true, NULL);
}

static rondo_task *send_file(int64_t length)
{
    length_to_send = length;
    count_to_send = RONDO_TO_END;
    return spawn_counted("file", begin_file);
}

void file_small(int number)
{
    (void) number;
    open_one();
    send_file(100);
    passes(5);
    drain();
}

void file_counted(int number)
{
    (void) number;
    open_one();
    send_file(100);
    count_to_send = 50;
    soon("A", NULL);
    passes(5);
    drain();
}

static rondo_socket lone_socket;

static rondo_future *begin_sock_file(void)
{
    return rondo_sock_sendfile(stage.loop, lone_socket, a_file(100), 0, 50, true, NULL);
}

void sock_file_counted(int number)
{
    (void) number;
    lone_socket = pair();
    peer_set_blocking(lone_socket, false);
    spawn_counted("file", begin_sock_file);
    soon("A", NULL);
    passes(5);
    drain();
    peer_close(lone_socket);
}

void file_empty(int number)
{
    (void) number;
    open_one();
    send_file(0);
    passes(5);
}

static void write_many(rondo_transport *transport, size_t length)
{
    static const char zeros[400000];
    rondo_transport_write(transport, zeros, length);
}

void file_behind_writes(int number)
{
    (void) number;
    write_many(open_one(), 300000);
    send_file(1000);
    passes(3);
    drain();
}

static void write_when_done(rondo_future *future, void *context)
{
    (void) future;
    (void) context;
    say("write");
    rondo_transport_write(stage.conns[0].transport, "hello", 5);
}

void file_then_write(int number)
{
    (void) number;
    open_one();
    rondo_future_add_done_callback(send_file(100), write_when_done, NULL);
    passes(6);
    drain();
}

static void try_write(void)
{
    if (rondo_transport_write(stage.conns[0].transport, "hello", 5) < 0)
        say("refused");
}

void file_and_refused_write(int number)
{
    (void) number;
    open_one();
    send_file(1000000);
    passes(1);
    soon("A", try_write);
    passes(2);
    drain();
    soon("B", try_write);
    passes(2);
    drain();
}

static void soon_when_done(rondo_future *future, void *context)
{
    (void) future;
    (void) context;
    soon("A", NULL);
}

void file_and_data(int number)
{
    (void) number;
    open_one();
    rondo_future_add_done_callback(send_file(100), soon_when_done, NULL);
    passes(1);
    peer_send_text(stage.peers[0], "hello");
    passes(7);
}

void file_and_paused_data(int number)
{
    (void) number;
    rondo_transport *transport = open_one();
    rondo_transport_pause_reading(transport);
    send_file(100);
    peer_send_text(stage.peers[0], "hello");
    passes(6);
    say("resume");
    rondo_transport_resume_reading(transport);
    passes(3);
}

void file_and_resumed(int number)
{
    (void) number;
    rondo_transport *transport = open_one();
    send_file(1000000);
    passes(1);
    peer_send_text(stage.peers[0], "hello");
    rondo_transport_resume_reading(transport);
    say("resumed");
    passes(3);
    drain();
}

void file_and_end(int number)
{
    (void) number;
    open_one();
    send_file(100);
    peer_shutdown(stage.peers[0]);
    passes(8);
}

void file_and_peer_gone(int number)
{
    (void) number;
    open_one();
    send_file(1000000);
    passes(2);
    close_peer(0);
    passes(8);
}

void file_cancelled(int number)
{
    (void) number;
    rondo_transport *transport = open_one();
    rondo_task *task = send_file(1000000);
    passes(2);
    peer_send_text(stage.peers[0], "hello");
    rondo_future_cancel(task);
    passes(4);
    rondo_transport_write(transport, "hello", 5);
    passes(2);
}

void file_closing(int number)
{
    (void) number;
    rondo_transport_close(open_one());
    send_file(100);
    passes(3);
}

void file_marks(int number)
{
    (void) number;
    rondo_transport *transport = open_one();
    rondo_transport_set_write_buffer_limits(transport, 100000, 50000);
    write_many(transport, 400000);
    send_file(1000);
    passes(2);
    drain();
}

static void close_when_done(rondo_future *future, void *context)
{
    (void) future;
    (void) context;
    rondo_transport_close(stage.conns[0].transport);
}

void file_then_close(int number)
{
    (void) number;
    open_one();
    rondo_future_add_done_callback(send_file(100), close_when_done, NULL);
    passes(6);
    drain();
}

static void end_when_done(rondo_future *future, void *context)
{
    (void) future;
    (void) context;
    rondo_transport_write_eof(stage.conns[0].transport);
}

void file_then_eof(int number)
{
    (void) number;
    open_one();
    rondo_future_add_done_callback(send_file(100), end_when_done, NULL);
    passes(6);
    drain();
}

static int send_all(void *context)
{
    static const int64_t lengths[] = { 100, 200, 0, 300000 };
    (void) context;
    for (size_t i = 0; i < sizeof lengths / sizeof(lengths[0]); i++) {
        length_to_send = lengths[i];
        int rc = rondo_await(begin_file(), NULL);
        if (rc < 0)
            return rc;
        say("sent:%d", rc);
        rondo_transport_write(stage.conns[0].transport, "hello", 5);
    }
    return 0;
}

static rondo_future *begin_row(void)
{
    count_to_send = RONDO_TO_END;
    return rondo_create_task(stage.loop, send_all, NULL);
}

void files_in_a_row(int number)
{
    (void) number;
    open_one();
    spawn("both", begin_row);
    passes(3);
    drain();
}
