/* SPDX-License-Identifier: MIT */
/* The scenarios of dgram_trace.py, on a backend of ours: datagrams and what runs between them. Each is a task; each line of the
 * output is a trace. On a proactor an error of a send is told later, the rest is the same.
 *
 * usage: dgram_trace BACKEND; ends with 77 where that cannot run. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "dgram.h"

static rondo_loop *loop;

static void finish(rondo_future *future)
{
    ck_assert_int_ge(rondo_await(future, NULL), 0);
}

static void passes(int count)
{
    for (int i = 0; i < count; i++)
        finish(rondo_sleep(loop, 0));
}

static void settle(dgram *a)
{
    rondo_transport_abort(a->transport);
    passes(4);
    rondo_transport_unref(a->transport);
}

static void soon(const char *word)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, trace_word, (void *) (uintptr_t) word), 0);
}

static void word_soon(dgram *a)
{
    (void) a;
    soon("soon");
}

static void error_soon(dgram *a, int error)
{
    (void) error;
    word_soon(a);
}

/* --- hooks ---------------------------------------------------------------------------------------- */

static const char *numbered(char letter, size_t number)
{
    static char words[2][10][3];
    char *word = words[letter == 't'][number];
    word[0] = letter;
    word[1] = (char) ('0' + number);
    return word;
}

static void each_soon(dgram *a)
{
    soon(numbered('s', a->count));
}

static void third_soon(dgram *a)
{
    if (a->count % 3 == 0)
        each_soon(a);
}

static void first_of_two(void *context)
{
    (void) context;
    trace("first");
    soon("second");
}

static void chain_at_two(dgram *a)
{
    if (a->count == 2)
        ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, first_of_two, NULL), 0);
}

static void some_timers(dgram *a)
{
    if (a->count == 1 || a->count == 3)
        ck_assert_int_eq(
            rondo_loop_call_later(loop, 0, NULL, trace_word, (void *) (uintptr_t) numbered('t', a->count)),
            0);
}

static void close_it(dgram *a)
{
    word_soon(a);
    rondo_transport_close(a->transport);
}

static void abort_it(dgram *a)
{
    rondo_transport_abort(a->transport);
    word_soon(a);
}

static void go_on(void *context)
{
    dgram *a = context;
    trace("go");
    rondo_transport_resume_reading(a->transport);
}

static void pause_at_two(dgram *a)
{
    if (a->count != 2)
        return;
    rondo_transport_pause_reading(a->transport);
    ck_assert_int_eq(rondo_loop_call_later(loop, RONDO_MS(5), NULL, go_on, a), 0);
}

static void pause_and_go(dgram *a)
{
    rondo_transport_pause_reading(a->transport);
    word_soon(a);
    rondo_transport_resume_reading(a->transport);
}

static void pause_go_pause(dgram *a)
{
    if (a->count != 2)
        return;
    rondo_transport_pause_reading(a->transport);
    rondo_transport_resume_reading(a->transport);
    rondo_transport_pause_reading(a->transport);
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, go_on, a), 0);
    ck_assert_int_eq(
        rondo_loop_call_later(loop, 0, NULL, trace_word, (void *) (uintptr_t) numbered('t', a->count)), 0);
}

static void toggle(void *context)
{
    dgram *a = context;
    rondo_transport_pause_reading(a->transport);
    rondo_transport_resume_reading(a->transport);
    soon("soon");
}

static void toggle_soon(dgram *a)
{
    ck_assert_int_eq(rondo_loop_call_soon(loop, NULL, toggle, a), 0);
}

static void fail_it(dgram *a)
{
    word_soon(a);
    rondo_raise(RONDO_EUSER, "no");
}

static void lost_soon(dgram *a, int error)
{
    (void) error;
    word_soon(a);
    rondo_transport_close(a->transport);
}

/* --- scenarios -------------------------------------------------------------------------------------- */

static int bind_it(dgram *a)
{
    rondo_datagram_options endpoint = RONDO_DATAGRAM_OPTIONS;
    endpoint.local_host = "127.0.0.1";
    endpoint.local_port = 0;
    finish(rondo_create_datagram_endpoint(loop, dgram_factory, a, &endpoint));
    trace("returned");
    return peer_port(rondo_transport_socket(a->transport));
}

static void fill(dgram *a, int count)
{
    rondo_socket sock = udp_open("127.0.0.1", NULL);
    int port = bind_it(a);
    for (int i = 0; i < count; i++)
        udp_send(sock, port, numbered('s', (size_t) i) + 1, 1);
    finish(rondo_sleep(loop, RONDO_MS(20)));
    peer_close(sock);
    settle(a);
}

static void too_long(void)
{
    static const char bytes[70000];
    dgram a = { .name = "a", .on_error = error_soon };
    rondo_address to = dgram_address(bind_it(&a));
    trace("before");
    ck_assert_int_eq(rondo_datagram_sendto(a.transport, bytes, sizeof bytes, &to), 0);
    trace("behind");
    passes(3);
    settle(&a);
}

static void refused(void)
{
    dgram a = { .name = "a", .on_error = error_soon };
    rondo_datagram_options endpoint = RONDO_DATAGRAM_OPTIONS;
    peer_close(udp_open("127.0.0.1", &endpoint.remote_port));
    endpoint.remote_host = "127.0.0.1";
    finish(rondo_create_datagram_endpoint(loop, dgram_factory, &a, &endpoint));
    for (int i = 0; i < 3; i++) {
        dgram_say(&a, "x", NULL);
        finish(rondo_sleep(loop, RONDO_MS(5)));
    }
    settle(&a);
}

static void pair(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    dgram a = { .name = "a", .on_got = toggle_soon };
    rondo_datagram_options endpoint = RONDO_DATAGRAM_OPTIONS;
    endpoint.sock = ends[0];
    finish(rondo_create_datagram_endpoint(loop, dgram_factory, &a, &endpoint));
    trace("returned");
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(send(ends[1], numbered('s', i) + 1, 1, 0), 1);
    finish(rondo_sleep(loop, RONDO_MS(20)));
    peer_close(ends[1]);
    settle(&a);
}

static void lost(void)
{
    dgram a = { .name = "a", .on_lost = lost_soon };
    bind_it(&a);
    rondo_transport_close(a.transport);
    trace("closed");
    settle(&a);
}

static const struct scenario {
    const char *name;
    void (*run)(void);
    void (*on_made)(dgram *a);
    void (*on_got)(dgram *a);
    int count;
} scenarios[] = {
    { "made", NULL, word_soon, NULL, 1 },
    { "plain", NULL, NULL, NULL, 5 },
    { "calls", NULL, NULL, each_soon, 4 },
    { "some_calls", NULL, NULL, third_soon, 8 },
    { "chain", NULL, NULL, chain_at_two, 6 },
    { "timers", NULL, NULL, some_timers, 6 },
    { "close", NULL, NULL, close_it, 3 },
    { "abort", NULL, NULL, abort_it, 3 },
    { "pause", NULL, NULL, pause_at_two, 5 },
    { "pause_and_go", NULL, NULL, pause_and_go, 3 },
    { "pause_go_pause", NULL, NULL, pause_go_pause, 4 },
    { "pause_before_turn", NULL, NULL, toggle_soon, 3 },
    { "too_long", too_long, NULL, NULL, 0 },
    { "failing", NULL, NULL, fail_it, 3 },
    { "refused", refused, NULL, NULL, 0 },
    { "pair", pair, NULL, NULL, 0 },
    { "lost", lost, NULL, NULL, 0 },
};

static int run_scenario(void *context)
{
    const struct scenario *scenario = context;
    if (scenario->run) {
        scenario->run();
        return 0;
    }
    dgram a = { .name = "a", .on_made = scenario->on_made, .on_got = scenario->on_got };
    fill(&a, scenario->count);
    return 0;
}

static void on_report(rondo_loop *reporting, const rondo_exception_context *context, void *user)
{
    (void) reporting;
    (void) context;
    (void) user;
    trace("report");
}

/* Our words as Python says them. */
static void print_word(const char *word)
{
    static const char *const pairs[][2] = { { "a.lost:0", "a.lost:None" },
                                            { "a.error:RONDO_EMSGSIZE", "a.error:OSError" },
                                            { "a.error:RONDO_ECONNREFUSED",
                                              "a.error:ConnectionRefusedError" } };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (strcmp(word, pairs[i][0]) == 0)
            word = pairs[i][1];
    printf(" %s", word);
}

static void play(const struct scenario *scenario)
{
    loop = dgram_loop();
    rondo_loop_set_exception_handler(loop, on_report, NULL);
    trace_clear();
    rondo_task *task = rondo_create_task(loop, run_scenario, (void *) (uintptr_t) scenario);
    ck_assert_int_eq(rondo_loop_run_until_complete(loop, task, NULL), 0);
    printf("%s:", scenario->name);
    static char text[4096];
    snprintf(text, sizeof text, "%s", trace_text());
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        print_word(word);
    printf("\n");
    rondo_loop_free(loop);
}

static void play_all(void)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        play(&scenarios[i]);
}

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    support_use_backend(arguments[1]);
    return support_assertions("dgram_trace", play_all);
}
