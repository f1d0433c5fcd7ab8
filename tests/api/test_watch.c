/* SPDX-License-Identifier: MIT */
/* add_reader, add_writer and their removal: what is told, when, and when no more.
 *
 * On a proactor the loop is an extended one; one case shows that another has none of it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

static rondo_loop *loop;
static rondo_socket pair[2];

static void begin(void)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    options.extended = true;
    loop = support_loop_with(&options);
    peer_pair(pair);
}

static void end(void)
{
    peer_close(pair[0]);
    peer_close(pair[1]);
    support_loop_end(loop);
}

/* As many turns as bring what is ready: a proactor may need one to begin with. */
static void turns(int count)
{
    support_run_passes(loop, count);
}

/* What a callback does besides saying its name, and how often it was called. */
struct act {
    const char *name;
    rondo_socket sock;
    bool removes_reader, removes_writer, reads, raises, stops, closes;
    struct act *adds_reader, *adds_writer;
    int calls;
    int destroyed;
    bool insists; /* its destructor adds it again */
    int refusal;
};

static void on_ready(void *context);

static void destroy(void *context)
{
    struct act *act = context;
    act->destroyed++;
    trace("~%s", act->name);
    if (act->insists && act->destroyed == 1)
        act->refusal = rondo_loop_add_writer(loop, act->sock, on_ready, act);
}

static int add_reader(struct act *act)
{
    rondo_call call = { sizeof call, on_ready, act, destroy, act->name, 0 };
    return rondo_loop_add_reader_call(loop, act->sock, &call);
}

static int add_writer(struct act *act)
{
    rondo_call call = { sizeof call, on_ready, act, destroy, act->name, 0 };
    return rondo_loop_add_writer_call(loop, act->sock, &call);
}

static void on_ready(void *context)
{
    struct act *act = context;
    char bytes[64];
    act->calls++;
    trace("%s", act->name);
    if (act->reads)
        peer_recv_now(act->sock, bytes, sizeof bytes);
    if (act->removes_reader)
        ck_assert_int_eq(rondo_loop_remove_reader(loop, act->sock), 1);
    if (act->removes_writer)
        ck_assert_int_eq(rondo_loop_remove_writer(loop, act->sock), 1);
    if (act->adds_reader)
        ck_assert_int_eq(add_reader(act->adds_reader), 0);
    if (act->adds_writer)
        ck_assert_int_eq(add_writer(act->adds_writer), 0);
    if (act->closes)
        peer_close(act->sock);
    if (act->raises)
        rondo_raise(RONDO_EINVAL, "no good");
    if (act->stops)
        rondo_loop_stop(loop);
    if (act->removes_reader || act->removes_writer || act->adds_reader || act->adds_writer)
        trace("%s.", act->name); /* the context is still there */
}

/* --- being told ----------------------------------------------------------------------------------------- */

START_TEST(test_reader)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&act), 0);
    peer_send_text(pair[1], "x");
    trace_is(""); /* never inside the call */
    run_until(loop, act.calls > 0);
    int before = act.calls;
    turns(3); /* FDW-01: once a pass, as long as it is readable */
    ck_assert_int_eq(act.calls, before + 3);
    char byte;
    peer_recv(pair[0], &byte, 1);
    turns(2);
    before = act.calls;
    turns(3);
    ck_assert_int_eq(act.calls, before);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(act.destroyed, 1);
    peer_send_text(pair[1], "x");
    turns(3);
    ck_assert_int_eq(act.calls, before);
    trace_clear();
    end();
}
END_TEST

/* The peer that does not read may have ended its own half: that is no room to write. */
START_TEST(test_writer)
{
    begin();
    if (_i)
        peer_shutdown(pair[1]);
    char bytes[4096] = "";
    struct act act = { .name = "w", .sock = pair[0] };
    while (peer_send_now(pair[0], bytes, sizeof bytes) == sizeof bytes)
        continue;
    ck_assert_int_eq(rondo_loop_add_writer(loop, pair[0], on_ready, &act), 0);
    for (int round = 1; round <= 2; round++) {
        turns(6);
        int before = act.calls;
        turns(3);
        ck_assert_int_eq(act.calls, before);
        ck_assert(round == 2 || before == 0);
        while (peer_recv_now(pair[1], bytes, sizeof bytes) > 0)
            continue;
        run_until(loop, act.calls > before);
        before = act.calls;
        turns(3); /* FDW-01 */
        ck_assert_int_eq(act.calls, before + 3);
        while (peer_send_now(pair[0], bytes, sizeof bytes) == sizeof bytes)
            continue;
    }
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

/* FDW-07: where both sides are ready the reader is called first, in whichever order they were added. */
START_TEST(test_reader_before_writer)
{
    for (int order = 0; order < 2; order++) {
        begin();
        struct act reader = { .name = "r", .sock = pair[0], .removes_reader = true };
        struct act writer = { .name = "w", .sock = pair[0], .removes_writer = true };
        peer_send_text(pair[1], "x");
        if (order)
            ck_assert_int_eq(add_writer(&writer), 0);
        ck_assert_int_eq(add_reader(&reader), 0);
        if (!order)
            ck_assert_int_eq(add_writer(&writer), 0);
        run_until(loop, reader.calls && writer.calls);
        if (support_backend_is_proactor())
            trace_clear(); /* two polls of the kernel: it has no such rule */
        else
            trace_is("r r. ~r w w. ~w");
        end();
    }
}
END_TEST

/* RUN-05, and asyncio's order: what is ready goes before the timers that are due. */
static void say_timer(void *context)
{
    trace("timer");
    rondo_loop_stop(context);
}

START_TEST(test_reader_before_timer)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0], .removes_reader = true };
    ck_assert_int_eq(add_reader(&act), 0);
    turns(1);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_call_at(loop, rondo_loop_time(loop), NULL, say_timer, loop), 0);
    support_run(loop);
    trace_is("r r. ~r timer");
    end();
}
END_TEST

/* FDW-10: hang-up and errors count as both, for the sides that are watched. */
START_TEST(test_hang_up)
{
    begin();
    struct act reader = { .name = "r", .removes_reader = true };
    struct act writer = { .name = "w", .removes_writer = true };
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    reader.sock = pipes[0];
    ck_assert_int_eq(add_reader(&reader), 0);
    turns(1);
    peer_close(pipes[1]);
    run_until(loop, reader.calls == 1);
    peer_close(pipes[0]);
    ck_assert_int_eq(pipe(pipes), 0);
    char bytes[4096] = "";
    ck_assert_int_eq(fcntl(pipes[1], F_SETFL, O_NONBLOCK), 0);
    while (write(pipes[1], bytes, sizeof bytes) > 0)
        continue;
    writer.sock = pipes[1];
    ck_assert_int_eq(add_writer(&writer), 0);
    turns(1);
    peer_close(pipes[0]);
    run_until(loop, writer.calls == 1);
    peer_close(pipes[1]);
    trace_is("r r. ~r w w. ~w");
    end();
}
END_TEST

/* --- replacing and removing --------------------------------------------------------------------------------- */

/* FDW-03: the new one is there, the old one is gone, the other side is left alone. */
START_TEST(test_replace)
{
    begin();
    struct act old = { .name = "old", .sock = pair[0] };
    struct act new = { .name = "new", .sock = pair[0], .reads = true };
    struct act writer = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&old), 0);
    ck_assert_int_eq(add_writer(&writer), 0);
    turns(2);
    ck_assert_int_eq(add_reader(&new), 0);
    ck_assert_int_eq(old.destroyed, 1);
    peer_send_text(pair[1], "x");
    int before = writer.calls;
    turns(3);
    ck_assert_int_eq(old.calls, 0);
    ck_assert_int_ge(new.calls, 1);
    ck_assert_int_ge(writer.calls, before + 2);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

static void replace_reader(void *context)
{
    trace("replace");
    ck_assert_int_eq(add_reader(context), 0);
}

/* FDW-03, FDW-06: a callback that is queued already is not called any more. The queue stands: a call, then what is ready. */
START_TEST(test_replaced_while_queued)
{
    begin();
    struct act old = { .name = "old", .sock = pair[0] };
    struct act new = { .name = "new", .sock = pair[0], .reads = true };
    ck_assert_int_eq(add_reader(&old), 0);
    turns(1);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, replace_reader, &new), 0);
    turns(1);
    trace_is("replace ~old");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(old.calls, 0);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_is("new ~new");
    end();
}
END_TEST

static void remove_reader(void *context)
{
    trace("remove");
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    (void) context;
}

START_TEST(test_removed_while_queued)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&act), 0);
    turns(1);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, remove_reader, NULL), 0);
    turns(3);
    trace_is("remove ~r"); /* FDW-06 */
    end();
}
END_TEST

/* FDW-04, FDW-05: who is there, and who stays. */
START_TEST(test_what_removing_says)
{
    begin();
    struct act reader = { .name = "r", .sock = pair[0] };
    struct act writer = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, 12345), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, RONDO_INVALID_SOCKET), 0);
    ck_assert_int_eq(add_reader(&reader), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 0);
    ck_assert_int_eq(add_writer(&writer), 0);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0);
    run_until(loop, writer.calls == 2);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 0);
    turns(2);
    ck_assert_int_eq(writer.calls, 2);
    ck_assert_int_eq(reader.calls, 0);
    trace_is("~r w w ~w");
    end();
}
END_TEST

/* FDW-08: in its own callback; the context is released when that has returned. */
START_TEST(test_removes_itself)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0], .removes_reader = true };
    ck_assert_int_eq(add_reader(&act), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, act.calls);
    turns(3);
    trace_is("r r. ~r");
    end();
}
END_TEST

START_TEST(test_replaces_itself)
{
    begin();
    struct act next = { .name = "b", .sock = pair[0], .removes_reader = true };
    struct act act = { .name = "a", .sock = pair[0], .adds_reader = &next };
    ck_assert_int_eq(add_reader(&act), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, next.calls); /* FDW-08 */
    turns(2);
    trace_is("a a. ~a b b. ~b");
    struct act again = { .name = "c", .sock = pair[0], .removes_reader = true, .adds_reader = &next };
    next.removes_reader = false;
    ck_assert_int_eq(add_reader(&again), 0);
    run_until(loop, next.calls == 2);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_is("c c. ~c b ~b");
    end();
}
END_TEST

/* The callback of one side does as it likes with the other, which may be queued behind it. */
START_TEST(test_sides_act_on_each_other)
{
    begin();
    struct act writer = { .name = "w", .sock = pair[0], .removes_writer = true };
    struct act reader = { .name = "r", .sock = pair[0], .removes_reader = true, .adds_writer = &writer };
    struct act old = { .name = "old", .sock = pair[0] };
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(add_reader(&reader), 0);
    run_until(loop, writer.calls);
    trace_is("r r. ~r w w. ~w");
    writer.adds_reader = &old;
    ck_assert_int_eq(add_writer(&writer), 0);
    run_until(loop, old.calls);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_is("w w. ~w old ~old");
    end();
}
END_TEST

/* --- descriptors come and go --------------------------------------------------------------------------------- */

/* FDW-09: after the removal it may be closed at once, and the number is another's. */
START_TEST(test_number_reused)
{
    begin();
    struct act old = { .name = "old", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&old), 0);
    turns(1);
    peer_send_text(pair[1], "x");
    run_until(loop, old.calls);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    rondo_socket other[2], number = pair[0];
    peer_close(pair[0]);
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    struct act new = { .name = "new", .sock = number, .reads = true };
    ck_assert_int_eq(add_reader(&new), 0);
    trace_clear();
    turns(3);
    trace_is("");
    peer_send_text(other[1], "y");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, number), 1);
    trace_clear();
    pair[0] = other[0];
    peer_close(other[1]);
    end();
}
END_TEST

/* FDW-09: the same where a copy keeps alive and ready what was closed. */
START_TEST(test_copies)
{
    begin();
    struct act old = { .name = "old", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&old), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, old.calls);
    int copy = dup(pair[0]);
    ck_assert_int_ge(copy, 0);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    rondo_socket other[2], number = pair[0];
    peer_close(pair[0]);
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    struct act new = { .name = "new", .sock = number, .reads = true };
    struct act copied = { .name = "copy", .sock = copy, .removes_reader = true };
    ck_assert_int_eq(add_reader(&new), 0);
    ck_assert_int_eq(add_reader(&copied), 0);
    trace_clear();
    run_until(loop, copied.calls == 1);
    turns(3);
    ck_assert_int_eq(new.calls, 0);
    peer_send_text(other[1], "y");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, number), 1);
    trace_clear();
    peer_close(copy);
    pair[0] = other[0];
    peer_close(other[1]);
    end();
}
END_TEST

/* One that was closed under its watches, without a word: nothing is promised of it, but nothing breaks, and the number is
 * as good as new, for the program and for the library. */
START_TEST(test_closed_under_watches)
{
    begin();
    struct act reader = { .name = "r", .sock = pair[0] };
    struct act writer = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&reader), 0);
    ck_assert_int_eq(add_writer(&writer), 0);
    turns(2);
    rondo_socket number = pair[0], other[2];
    peer_close(pair[0]);
    turns(2);
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    struct act new = { .name = "new", .sock = number, .reads = true };
    ck_assert_int_eq(add_reader(&new), 0);
    ck_assert_int_eq(reader.destroyed, 1);
    peer_send_text(other[1], "y");
    run_until(loop, new.calls);
    rondo_socket again = number;
    peer_close(number);
    peer_close(pair[1]);
    net_conn conn = { 0 };
    pair[1] = net_open(loop, &conn); /* a transport comes by the number */
    ck_assert_int_eq(rondo_transport_socket(conn.transport), again);
    ck_assert_int_eq(new.destroyed + writer.destroyed, 2);
    peer_send_text(pair[1], "z");
    run_until(loop, conn.received == 1);
    net_done(loop, &conn);
    trace_clear();
    pair[0] = other[1];
    support_reports_clear(); /* a registration may have failed with words */
    (void) support_reports();
    end();
}
END_TEST

/* A child has copies of all that is watched, and goes away. */
START_TEST(test_fork)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0], .reads = true };
    ck_assert_int_eq(add_reader(&act), 0);
    turns(1);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        for (;;) /* until the parent is done */
            pause();
    }
    peer_send_text(pair[1], "x");
    run_until(loop, act.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    rondo_socket number = pair[0], other[2];
    peer_close(pair[0]);
    peer_send_text(pair[1], "to nobody but the child");
    peer_pair(other);
    ck_assert_int_eq(other[0], number);
    struct act new = { .name = "new", .sock = number, .reads = true };
    ck_assert_int_eq(add_reader(&new), 0);
    turns(3);
    ck_assert_int_eq(new.calls, 0);
    peer_send_text(other[1], "y");
    run_until(loop, new.calls == 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, number), 1);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    trace_clear();
    pair[0] = other[0];
    peer_close(other[1]);
    end();
}
END_TEST

/* --- refusals ------------------------------------------------------------------------------------------------- */

static void refused(rondo_socket sock, int code)
{
    struct act act = { .name = "never", .sock = sock };
    ck_assert_int_eq(add_reader(&act), code);
    ck_assert_int_eq(rondo_last_error(), code);
    ck_assert_int_eq(add_writer(&act), code);
    ck_assert_int_eq(act.calls + act.destroyed, 0);
}

/* FDW-11 */
START_TEST(test_transports)
{
    begin();
    net_conn conn = { 0 };
    rondo_socket peer = net_open(loop, &conn);
    rondo_socket sock = rondo_transport_socket(conn.transport);
    refused(sock, RONDO_EBUSY);
    ck_assert_int_eq(rondo_err_class(RONDO_EBUSY), RONDO_CLASS_RUNTIME);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, sock), RONDO_EBUSY);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, sock), RONDO_EBUSY);
    rondo_transport_close(conn.transport);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, sock), 0); /* it is closing */
    struct act act = { .name = "w", .sock = sock, .insists = true };
    ck_assert_int_eq(add_writer(&act), 0);
    run_until(loop, !peer_is_open(sock));
    ck_assert_int_eq(act.destroyed, 1); /* the watch went before the descriptor */
    ck_assert_int_eq(act.refusal, RONDO_EBADF);
    refused(sock, RONDO_EBADF);
    net_done(loop, &conn);
    trace_clear();
    peer_close(peer);
    end();
}
END_TEST

/* FDW-11: one made after the table of descriptors has seen its number, and one before. */
START_TEST(test_transports_come_and_go)
{
    begin();
    for (int i = 0; i < 3; i++) {
        net_conn conns[2] = { { 0 }, { 0 } };
        rondo_socket peers[2] = { net_open(loop, &conns[0]), net_open(loop, &conns[1]) };
        for (int c = 0; c < 2; c++)
            refused(rondo_transport_socket(conns[c].transport), RONDO_EBUSY);
        rondo_socket sock = rondo_transport_socket(conns[0].transport);
        net_done(loop, &conns[0]);
        ck_assert(!peer_is_open(sock));
        refused(sock, RONDO_EBADF);
        refused(rondo_transport_socket(conns[1].transport), RONDO_EBUSY);
        net_done(loop, &conns[1]);
        peer_close(peers[0]);
        peer_close(peers[1]);
    }
    end();
}
END_TEST

/* The socket of a server is used, too, where its selector says so. */
START_TEST(test_servers)
{
    begin();
    net_conn conn = { 0 };
    rondo_server *server = net_serve(loop, net_factory, &conn, NULL);
    rondo_socket sock;
    ck_assert_uint_eq(rondo_server_sockets(server, &sock, 1), 1);
    struct act act = { .name = "s", .sock = sock };
    turns(2);
    if (!support_backend_is_proactor())
        ck_assert_int_eq(add_reader(&act), RONDO_EBUSY);
    ck_assert_int_eq(add_writer(&act), 0);
    rondo_server_close(server);
    turns(3);
    ck_assert(!peer_is_open(sock));
    ck_assert_int_eq(act.destroyed, 1);
    trace_clear();
    net_conn_end(&conn);
    end();
}
END_TEST

/* FDW-12 */
START_TEST(test_closed_loop)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0] };
    struct act queued = { .name = "w", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&act), 0);
    ck_assert_int_eq(add_writer(&queued), 0);
    turns(2);
    trace_clear();
    ck_assert_int_eq(rondo_loop_close(loop), 0);
    trace_is("~r ~w"); /* the contexts are released, once, and uncalled */
    refused(pair[0], RONDO_ECLOSED);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 0);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 0);
    ck_assert(peer_is_open(pair[0])); /* the descriptor is the program's */
    end();
}
END_TEST

/* FDW-13 */
START_TEST(test_not_pollable)
{
    begin();
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    refused(fileno(file), RONDO_EPERM);
    ck_assert_ptr_nonnull(strstr(rondo_last_error_message(), "file"));
    fclose(file);
    int folder = open("/", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(folder, 0);
    refused(folder, RONDO_EPERM);
    close(folder);
    refused(folder, RONDO_EBADF);
    refused(RONDO_INVALID_SOCKET, RONDO_EBADF);
    refused(-7, RONDO_EBADF);
    refused(0x7fffffff, RONDO_EBADF);
    refused(99999, RONDO_EBADF);
    turns(1);
    trace_is("");
    end();
}
END_TEST

START_TEST(test_misuse)
{
    begin();
    rondo_call call = { .size = 0, .callback = on_ready };
    ck_assert_int_eq(rondo_loop_add_reader(NULL, pair[0], on_ready, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_add_writer(loop, pair[0], NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_add_reader_call(loop, pair[0], NULL), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_add_writer_call(loop, pair[0], &call), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_remove_reader(NULL, pair[0]), RONDO_EINVAL);
    ck_assert_int_eq(rondo_loop_remove_writer(NULL, pair[0]), RONDO_EINVAL);
    struct act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&act), 0);
    ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], NULL, NULL), RONDO_EINVAL);
    ck_assert_int_eq(act.destroyed, 0); /* nothing has changed */
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

static void call_from_outside(void *context)
{
    struct act act = { .name = "never", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&act), RONDO_ETHREAD);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), RONDO_ETHREAD);
    (void) context;
}

static void ask_a_thread(void *context)
{
    support_thread_join(support_thread_start(call_from_outside, context));
}

START_TEST(test_wrong_thread)
{
    begin();
    rondo_loop_set_debug(loop, true);
    rondo_loop_set_slow_callback_duration(loop, RONDO_S(60));
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, ask_a_thread, NULL), 0);
    turns(2);
    end();
}
END_TEST

/* FDW-15: as the page says, unless the loop is an extended one. */
START_TEST(test_proactor)
{
    rondo_loop_options options = RONDO_LOOP_OPTIONS;
    loop = support_loop_with(&options);
    peer_pair(pair);
    bool can = !support_backend_is_proactor();
    ck_assert_int_eq((rondo_loop_capabilities(loop) & RONDO_CAN_WATCH_DESCRIPTORS) != 0, can);
    struct act act = { .name = "r", .sock = pair[0] };
    ck_assert_int_eq(add_reader(&act), can ? 0 : RONDO_ENOTSUP);
    ck_assert_int_eq(add_writer(&act), can ? 0 : RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), can ? 1 : RONDO_ENOTSUP);
    ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), can ? 1 : RONDO_ENOTSUP);
    ck_assert_int_eq(act.destroyed, can ? 2 : 0);
    trace_clear();
    end();
}
END_TEST

/* --- what goes with every callback ---------------------------------------------------------------------------- */

START_TEST(test_failing_callback)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0], .raises = true };
    ck_assert_int_eq(add_reader(&act), 0);
    peer_send_text(pair[1], "x");
    run_until(loop, act.calls == 2); /* the watch stays */
    ck_assert_uint_eq(support_reports(), 2);
    const support_report *report = support_report_at(0);
    ck_assert_str_eq(report->message, "Exception in callback");
    ck_assert_int_eq(report->context.error, RONDO_EINVAL);
    ck_assert_str_eq(report->error_message, "no good");
    ck_assert_str_eq(report->handle_name, "r");
    ck_assert_int_eq(report->context.socket, pair[0]);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    support_reports_clear();
    trace_clear();
    end();
}
END_TEST

static void interrupt(void *context)
{
    trace("%s", (const char *) context);
    rondo_raise(RONDO_EINTERRUPTED, NULL);
}

/* RUN-13 and its kin: an interrupt ends the run at once; what was queued is called in the next. */
START_TEST(test_interrupt)
{
    begin();
    ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], interrupt, "r"), 0);
    peer_send_text(pair[1], "x");
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(rondo_loop_run_forever(loop), RONDO_EINTERRUPTED);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    turns(2);
    trace_is("r r");
    end();
}
END_TEST

static void be_slow(void *context)
{
    (void) context;
    support_pause(RONDO_MS(6));
    rondo_loop_remove_reader(loop, pair[0]);
    rondo_loop_stop(loop);
}

START_TEST(test_slow_callback)
{
    begin();
    rondo_loop_set_debug(loop, true);
    rondo_loop_set_slow_callback_duration(loop, RONDO_MS(5));
    rondo_call call = { .size = sizeof call, .callback = be_slow, .name = "the slow one" };
    ck_assert_int_eq(rondo_loop_add_reader_call(loop, pair[0], &call), 0);
    peer_send_text(pair[1], "x");
    support_run(loop);
    ck_assert_uint_eq(support_log_lines("the slow one"), 1);
    support_log_clear();
    end();
}
END_TEST

START_TEST(test_metrics)
{
    begin();
    struct act act = { .name = "r", .sock = pair[0], .stops = true, .reads = true };
    ck_assert_int_eq(add_reader(&act), 0);
    turns(1);
    rondo_loop_metrics before = { .size = sizeof before }, after = { .size = sizeof after };
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &before), 0);
    peer_send_text(pair[1], "x");
    support_run(loop);
    ck_assert_int_eq(rondo_loop_get_metrics(loop, &after), 0);
    ck_assert_uint_eq(after.completions - before.completions, 1);
    ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
    trace_clear();
    end();
}
END_TEST

/* --- many ------------------------------------------------------------------------------------------------------ */

/* No allocation for a watch, once its descriptor has been seen. */
START_TEST(test_allocates_nothing)
{
    begin();
    int count = 0;
    for (size_t before = 0; count < 1000; count++) {
        if (count == 10)
            before = support_allocations();
        ck_assert_int_eq(rondo_loop_add_reader(loop, pair[0], trace_word, "r"), 0);
        ck_assert_int_eq(rondo_loop_add_writer(loop, pair[0], trace_word, "w"), 0);
        if (count % 4 == 0)
            turns(1);
        ck_assert_int_eq(rondo_loop_remove_reader(loop, pair[0]), 1);
        ck_assert_int_eq(rondo_loop_remove_writer(loop, pair[0]), 1);
        if (count % 8 == 0)
            turns(1);
        if (count > 10)
            ck_assert_uint_eq(support_allocations(), before);
    }
    trace_clear();
    end();
}
END_TEST

static void count_call(void *context)
{
    ++*(int *) context;
}

START_TEST(test_thousands_in_a_pass)
{
    begin();
    enum { COUNT = 400, ROUNDS = 10 };
    static rondo_socket pairs[COUNT][2];
    int calls = 0;
    for (int i = 0; i < COUNT; i++) {
        peer_pair(pairs[i]);
        peer_send_text(pairs[i][1], "x");
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < COUNT; i++) {
            ck_assert_int_eq(rondo_loop_add_reader(loop, pairs[i][0], count_call, &calls), 0);
            ck_assert_int_eq(rondo_loop_add_writer(loop, pairs[i][0], count_call, &calls), 0);
            ck_assert_int_eq(rondo_loop_remove_writer(loop, pairs[i][0]), 1);
            if (round < ROUNDS - 1 || i % 2)
                ck_assert_int_eq(rondo_loop_remove_reader(loop, pairs[i][0]), 1);
        }
    run_until(loop, calls >= COUNT / 2);
    int before = calls;
    ck_assert_int_eq(before % (COUNT / 2), 0);
    turns(1);
    ck_assert_int_eq(calls, before + COUNT / 2); /* FDW-01: each once a pass, and none of the others */
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(rondo_loop_remove_reader(loop, pairs[i][0]), i % 2 == 0);
        peer_close(pairs[i][0]);
        peer_close(pairs[i][1]);
    }
    before = calls;
    turns(2);
    ck_assert_int_eq(calls, before);
    end();
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = support_case(suite, "told");
    tcase_add_test(tcase, test_reader);
    tcase_add_loop_test(tcase, test_writer, 0, 2);
    tcase_add_test(tcase, test_reader_before_writer);
    tcase_add_test(tcase, test_reader_before_timer);
    tcase_add_test(tcase, test_hang_up);
    tcase = support_case(suite, "replaced and removed");
    tcase_add_test(tcase, test_replace);
    tcase_add_test(tcase, test_replaced_while_queued);
    tcase_add_test(tcase, test_removed_while_queued);
    tcase_add_test(tcase, test_what_removing_says);
    tcase_add_test(tcase, test_removes_itself);
    tcase_add_test(tcase, test_replaces_itself);
    tcase_add_test(tcase, test_sides_act_on_each_other);
    tcase = support_case(suite, "descriptors");
    tcase_add_test(tcase, test_number_reused);
    tcase_add_test(tcase, test_copies);
    tcase_add_test(tcase, test_closed_under_watches);
    tcase_add_test(tcase, test_fork);
    tcase = support_case(suite, "refused");
    tcase_add_test(tcase, test_transports);
    tcase_add_test(tcase, test_transports_come_and_go);
    tcase_add_test(tcase, test_servers);
    tcase_add_test(tcase, test_closed_loop);
    tcase_add_test(tcase, test_not_pollable);
    tcase_add_test(tcase, test_misuse);
    tcase_add_test(tcase, test_wrong_thread);
    tcase_add_test(tcase, test_proactor);
    tcase = support_case(suite, "callbacks");
    tcase_add_test(tcase, test_failing_callback);
    tcase_add_test(tcase, test_interrupt);
    tcase_add_test(tcase, test_slow_callback);
    tcase_add_test(tcase, test_metrics);
    tcase = support_case(suite, "many");
    tcase_add_test(tcase, test_allocates_nothing);
    tcase_add_test(tcase, test_thousands_in_a_pass);
}

int main(void)
{
    return support_main("watch", add_cases);
}
