/* SPDX-License-Identifier: MIT */
/* Watched descriptors and low-level socket operations on Rondo, one line for each scenario, function by function as in
 * watch_order.py.
 *
 * usage: watch_order BACKEND [SCENARIO]
 *
 * The happy path: each scenario gets a loop and a pair of sockets; each pass of the loop is a word of its own. Failures: a loop
 * that cannot be made, a call that fails: the program ends with a message; a backend that cannot run here: status 77. What is
 * wrong in the library shows in the lines. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

enum { HUGE = 1000000, MAX_SAYS = 64 };

static rondo_loop *loop;
static rondo_socket a, b;
static rondo_task *task;
static rondo_address address;
static rondo_socket listener, client;
static bool is_over;

/* A word to say, and what is done then. */
struct say {
    const char *word;
    void (*action)(void);
};
static struct say says[MAX_SAYS];
static size_t say_count;

static void word(const char *text)
{
    if (!is_over)
        printf(" %s", text);
}

static void number(int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    word(text);
}

static void must(int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "watch_order: %s\n", rondo_last_error_message());
    exit(2);
}

static void run_say(void *context)
{
    struct say *say = context;
    word(say->word);
    if (say->action)
        say->action();
}

static struct say *new_say(const char *text, void (*action)(void))
{
    if (say_count == MAX_SAYS)
        exit(2);
    says[say_count] = (struct say){ text, action };
    return &says[say_count++];
}

static void soon(const char *text, void (*action)(void))
{
    must(rondo_loop_call_soon(loop, NULL, run_say, new_say(text, action)));
}

static void reader(const char *text, void (*action)(void))
{
    must(rondo_loop_add_reader(loop, a, run_say, new_say(text, action)));
}

static void writer(const char *text, void (*action)(void))
{
    must(rondo_loop_add_writer(loop, a, run_say, new_say(text, action)));
}

static void remove_reader(void)
{
    word(rondo_loop_remove_reader(loop, a) ? "removed" : "nothing");
}

static void remove_writer(void)
{
    word(rondo_loop_remove_writer(loop, a) ? "removed" : "nothing");
}

static void say_x(void)
{
    peer_send_text(b, "x");
}

static void turn(int count)
{
    while (count-- > 0) {
        word("|");
        rondo_loop_stop(loop);
        must(rondo_loop_run_forever(loop));
    }
}

static void start(rondo_coroutine *body)
{
    rondo_future_unref(task);
    task = rondo_create_task(loop, body, NULL);
    if (!task)
        must(rondo_last_error());
}

static void cancel_task(void)
{
    rondo_future_cancel(task);
}

/* --- watches ----------------------------------------------------------------------------------------------- */

static void reader_before_timer(void)
{
    reader("r", NULL);
    turn(1);
    say_x();
    must(rondo_loop_call_at(loop, rondo_loop_time(loop), NULL, run_say, new_say("timer", NULL)));
    turn(2);
}

static void say_b(void)
{
    soon("B", NULL);
}

static void call_before_reader(void)
{
    reader("r", NULL);
    say_x();
    soon("A", say_b);
    turn(3);
}

static void reader_before_writer(void)
{
    writer("w", NULL);
    reader("r", NULL);
    say_x();
    turn(2);
}

static void removed_while_queued(void)
{
    reader("r", NULL);
    say_x();
    soon("A", remove_reader);
    turn(2);
    remove_reader();
}

static void new_reader(void)
{
    reader("new", NULL);
}

static void replaced_while_queued(void)
{
    reader("old", NULL);
    say_x();
    soon("A", new_reader);
    turn(3);
}

static void reader_removes_writer(void)
{
    reader("r", remove_writer);
    writer("w", NULL);
    say_x();
    turn(2);
}

static void reader_removes_itself_and_writer_stays(void)
{
    reader("r", remove_reader);
    writer("w", NULL);
    say_x();
    turn(3);
    remove_writer();
    turn(1);
}

static void writer_removes_reader(void)
{
    reader("r", NULL);
    writer("w", remove_reader);
    say_x();
    turn(3);
}

static void become_reader(void)
{
    remove_writer();
    reader("r", NULL);
}

static void writer_adds_reader(void)
{
    writer("w", become_reader);
    say_x();
    turn(3);
}

static void be_three(void)
{
    reader("three", NULL);
}

static void be_two(void)
{
    reader("two", be_three);
}

static void replaces_itself(void)
{
    reader("one", be_two);
    say_x();
    turn(4);
}

static void again(void)
{
    remove_reader();
    reader("r", NULL);
}

static void removed_and_added_again(void)
{
    reader("r", NULL);
    turn(1);
    say_x();
    soon("A", again);
    turn(3);
}

static void raise_it(void)
{
    rondo_raise(RONDO_EINVAL, NULL);
}

static void fails_and_stays(void)
{
    reader("r", raise_it);
    say_x();
    turn(2);
}

static void open_pair(void)
{
    rondo_socket pair[2];
    peer_pair(pair);
    a = pair[0];
    b = pair[1];
    fcntl(a, F_SETFL, fcntl(a, F_GETFL) | O_NONBLOCK);
}

static void reopen(void)
{
    remove_reader();
    peer_close(a);
    peer_close(b);
    open_pair();
    reader("new", NULL);
}

static void closes_and_reopens(void)
{
    reader("old", reopen);
    say_x();
    turn(3);
    say_x();
    turn(2);
}

/* --- operations -------------------------------------------------------------------------------------------------- */

/* One receive: its length as a word. */
static int receive(void *context)
{
    (void) context;
    rondo_received *received;
    int rc = rondo_await_received(rondo_sock_recv(loop, a, 10), &received);
    if (rc < 0)
        return rc;
    number((int) received->length);
    rondo_received_free(received);
    return 0;
}

static int receive_at_once(void *context)
{
    word("begin");
    soon("soon", NULL);
    return receive(context);
}

static void receives_at_once(void)
{
    say_x();
    start(receive_at_once);
    turn(3);
}

static int receive_twice(void *context)
{
    word("begin");
    receive(context);
    soon("soon", NULL);
    return receive(context);
}

static void receives_later(void)
{
    start(receive_twice);
    turn(2);
    say_x();
    turn(3);
    say_x();
    soon("A", NULL);
    turn(3);
}

static void end_of_stream(void)
{
    start(receive);
    turn(2);
    peer_shutdown(b);
    turn(3);
}

static int send_a_lot(void *context)
{
    (void) context;
    static char data[HUGE];
    word("begin");
    int rc = rondo_await(rondo_sock_sendall(loop, a, data, HUGE), NULL);
    word("sent");
    return rc;
}

static void sends_a_lot(void)
{
    static char sink[HUGE];
    start(send_a_lot);
    while (!rondo_future_done(task)) {
        turn(1);
        while (peer_recv_now(b, sink, HUGE) > 0)
            continue;
    }
}

static int receive_again(void *context)
{
    if (rondo_await(rondo_sock_recv(loop, a, 10), NULL) == RONDO_ECANCELLED)
        word("cancelled");
    return receive(context);
}

static void cancelled_receive(void)
{
    start(receive_again);
    turn(2);
    cancel_task();
    turn(2);
    say_x();
    turn(3);
}

static void cancelled_with_data_there(void)
{
    start(receive_again);
    turn(2);
    say_x();
    cancel_task();
    turn(3);
}

static void cancelled_in_the_pass_of_the_data(void)
{
    start(receive_again);
    turn(2);
    say_x();
    soon("A", cancel_task);
    turn(3);
}

static void cancelled_after_the_data(void)
{
    start(receive);
    turn(2);
    say_x();
    turn(1);
    cancel_task();
    turn(2);
    word(rondo_future_cancelled(task) ? "cancelled" : "done");
}

static int accept_one(void *context)
{
    (void) context;
    word("accept");
    rondo_socket sock;
    int rc = rondo_await_accepted(rondo_sock_accept(loop, listener), &sock, NULL);
    if (rc < 0)
        return rc;
    word("accepted");
    peer_close(sock);
    return 0;
}

static int connect_one(void *context)
{
    (void) context;
    word("connect");
    int rc = rondo_await(rondo_sock_connect(loop, client, &address), NULL);
    word(rc == 0 ? "connected" : "refused");
    return 0;
}

static int connect_silently(void *context)
{
    (void) context;
    int rc = rondo_await(rondo_sock_connect(loop, client, &address), NULL);
    word(rc == RONDO_ECONNREFUSED ? "refused" : "otherwise");
    return 0;
}

static void open_client(int port)
{
    must(rondo_address_from_numeric(&address, "127.0.0.1", port));
    client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

static void accepts_and_connects(void)
{
    int port;
    listener = peer_listen("127.0.0.1", 5, &port);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    open_client(port);
    start(accept_one);
    turn(2);
    start(connect_one);
    turn(4);
    peer_close(listener);
    peer_close(client);
}

static void connection_refused(void)
{
    int port;
    rondo_socket bound = peer_bound("127.0.0.1", &port);
    open_client(port);
    start(connect_silently);
    turn(3);
    peer_close(client);
    peer_close(bound);
}

/* --- playing -------------------------------------------------------------------------------------------------------- */

/* Those of a selector alone: there is no order between two polls of the kernel. */
#define SELECTOR_SCENARIO(name) \
    {                           \
#name, name, true       \
    }
#define SCENARIO(name)     \
    {                      \
#name, name, false \
    }
static const struct {
    const char *name;
    void (*play)(void);
    bool is_selector_only;
} scenarios[] = {
    SCENARIO(reader_before_timer),
    SCENARIO(call_before_reader),
    SELECTOR_SCENARIO(reader_before_writer),
    SCENARIO(removed_while_queued),
    SCENARIO(replaced_while_queued),
    SCENARIO(reader_removes_writer),
    SCENARIO(reader_removes_itself_and_writer_stays),
    SCENARIO(writer_removes_reader),
    SCENARIO(writer_adds_reader),
    SCENARIO(replaces_itself),
    SCENARIO(removed_and_added_again),
    SCENARIO(fails_and_stays),
    SCENARIO(closes_and_reopens),
    SCENARIO(receives_at_once),
    SCENARIO(receives_later),
    SCENARIO(end_of_stream),
    SCENARIO(sends_a_lot),
    SCENARIO(cancelled_receive),
    SCENARIO(cancelled_with_data_there),
    SCENARIO(cancelled_in_the_pass_of_the_data),
    SCENARIO(cancelled_after_the_data),
    SELECTOR_SCENARIO(accepts_and_connects),
    SCENARIO(connection_refused),
};

static void on_exception(rondo_loop *unused, const rondo_exception_context *context, void *user)
{
    (void) unused;
    (void) context;
    (void) user;
    word("reported");
}

static void play(size_t index)
{
    if (scenarios[index].is_selector_only && support_backend_is_proactor())
        return;
    loop = support_extended_loop();
    rondo_loop_set_exception_handler(loop, on_exception, NULL);
    say_count = 0;
    is_over = false;
    open_pair();
    printf("%s:", scenarios[index].name);
    scenarios[index].play();
    printf("\n");
    is_over = true;
    rondo_future_unref(task);
    task = NULL;
    must(rondo_loop_free(loop));
    peer_close(a);
    peer_close(b);
}

int main(int count, char **arguments)
{
    if (count < 2)
        return 2;
    support_use_backend(arguments[1]);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (count < 3 || strcmp(arguments[2], scenarios[i].name) == 0)
            play(i);
    return 0;
}
