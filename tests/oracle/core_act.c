/* SPDX-License-Identifier: MIT */
/* What the statements of a scenario do; core_trace.py has a method for each of the same name.
 *
 * A statement returns GO_ON, or how the body ends. A name that is not there is traced and the statement
 * skipped. */
#include "core_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int act_fn(char *const *arguments);

static void call_body(void *body)
{
    int rc = player_run_callback(body);
    if (rc < 0)
        rondo_raise(rc, NULL);
}

static void call_body_for_future(rondo_future *future, void *body)
{
    (void) future;
    call_body(body);
}

static int task_body(void *body)
{
    return player_run_coroutine(body);
}

/* Trace a call that was refused. */
static bool refused(const char *what, int rc)
{
    if (rc < 0)
        trace("%s:%s", what, error_name(rc));
    return rc < 0;
}

static int keep_handle(const char *what, int rc, const char *name, rondo_handle handle)
{
    if (!refused(what, rc) && name)
        player_keep(name)->handle = handle;
    return GO_ON;
}

static struct thing *keep_future(const char *name, rondo_future *future)
{
    struct thing *thing = player_keep(name);
    thing->future = future;
    return thing;
}

/* --- calls and timers ------------------------------------------------------------------------- */

static int act_say(char *const *arguments)
{
    trace("%s", arguments[0]);
    return GO_ON;
}

static int act_soon(char *const *arguments)
{
    rondo_handle handle;
    int rc = rondo_loop_call_soon(player_loop, &handle, call_body, (void *) player_body(arguments[0]));
    return keep_handle("soon", rc, arguments[1], handle);
}

static int act_safe(char *const *arguments)
{
    rondo_handle handle;
    int rc =
        rondo_loop_call_soon_threadsafe(player_loop, &handle, call_body, (void *) player_body(arguments[0]));
    return keep_handle("safe", rc, arguments[1], handle);
}

struct letter {
    const struct body *body;
    rondo_handle handle;
    int rc;
};

static void send_letter(void *context)
{
    struct letter *letter = context;
    letter->rc = rondo_loop_call_soon_threadsafe(player_loop, &letter->handle, call_body,
                                                 (void *) (uintptr_t) letter->body);
}

static int act_thread(char *const *arguments)
{
    struct letter letter = { .body = player_body(arguments[0]) };
    support_thread_join(support_thread_start(send_letter, &letter));
    return keep_handle("thread", letter.rc, arguments[1], letter.handle);
}

static int act_later(char *const *arguments)
{
    rondo_handle handle;
    rondo_ns delay = player_delay(atoi(arguments[0]));
    int rc =
        rondo_loop_call_later(player_loop, delay, &handle, call_body, (void *) player_body(arguments[1]));
    return keep_handle("later", rc, arguments[2], handle);
}

static int act_at(char *const *arguments)
{
    rondo_handle handle;
    rondo_ns when = player_start() + player_delay(atoi(arguments[0]));
    int rc = rondo_loop_call_at(player_loop, when, &handle, call_body, (void *) player_body(arguments[1]));
    return keep_handle("at", rc, arguments[2], handle);
}

static int act_drop(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (thing)
        rondo_handle_cancel(&thing->handle);
    return GO_ON;
}

static int act_dropped(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (thing)
        trace("dropped:%d", rondo_handle_cancelled(&thing->handle));
    return GO_ON;
}

static int act_handler(char *const *arguments)
{
    player_handler = player_body(arguments[0]);
    return GO_ON;
}

/* --- futures and tasks ------------------------------------------------------------------------ */

static int act_fut(char *const *arguments)
{
    keep_future(arguments[0], rondo_future_new(player_loop));
    return GO_ON;
}

static int act_set(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (thing)
        refused("set", rondo_future_set_result(thing->future, (void *) (intptr_t) atoi(arguments[1])));
    return GO_ON;
}

static int act_fail(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (thing)
        refused("fail", rondo_future_set_error(thing->future, error_code(arguments[1]), NULL));
    return GO_ON;
}

static int act_kill(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (thing)
        trace("kill:%s=%d", arguments[0], rondo_future_cancel(thing->future));
    return GO_ON;
}

static int act_task(char *const *arguments)
{
    rondo_task *task = rondo_create_task(player_loop, task_body, (void *) player_body(arguments[1]));
    if (!task)
        refused("task", rondo_last_error());
    else
        keep_future(arguments[0], task);
    return GO_ON;
}

static int act_on(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    void *body = (void *) player_body(arguments[1]);
    if (thing)
        refused("on", rondo_future_add_done_callback(thing->future, call_body_for_future, body));
    return GO_ON;
}

static int act_off(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    void *body = (void *) player_body(arguments[1]);
    if (thing)
        trace("off:%zu", rondo_future_remove_done_callback(thing->future, call_body_for_future, body));
    return GO_ON;
}

static int gather(char *const *arguments, bool return_errors)
{
    struct thing *members[MAX_MEMBERS] = { NULL };
    rondo_future *futures[MAX_MEMBERS] = { NULL };
    size_t count = 0;
    for (; arguments[count + 1]; count++) {
        members[count] = player_find(arguments[count + 1]);
        if (!members[count])
            return GO_ON;
        futures[count] = members[count]->future;
    }
    struct thing *thing = keep_future(arguments[0], NULL);
    memcpy(thing->members, members, sizeof members);
    thing->count = count;
    thing->list = thing;
    thing->future = rondo_gather(player_loop, futures, count, return_errors, thing->outcomes);
    return GO_ON;
}

static int act_gather(char *const *arguments)
{
    return gather(arguments, false);
}

static int act_gatherx(char *const *arguments)
{
    return gather(arguments, true);
}

static int act_shield(char *const *arguments)
{
    struct thing *inner = player_find(arguments[1]);
    if (inner)
        keep_future(arguments[0], rondo_shield(rondo_future_ref(inner->future)))->list = inner->list;
    return GO_ON;
}

static int act_forget(char *const *arguments)
{
    player_tells_unseen = true;
    struct thing *thing = player_find(arguments[0]);
    if (!thing)
        return GO_ON;
    rondo_future *future = thing->future;
    thing->name = "";
    thing->future = NULL;
    rondo_future_unref(future);
    return GO_ON;
}

static int act_show(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (!thing)
        return GO_ON;
    void *value = NULL;
    const char *text = "pending";
    if (rondo_future_cancelled(thing->future))
        text = "cancelled";
    else if (rondo_future_done(thing->future)) {
        int rc = rondo_future_result(thing->future, &value);
        text = outcome_of(thing->list, rc, value);
    }
    trace("%s:%s", arguments[0], text);
    return GO_ON;
}

static int act_cancelling(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (thing)
        trace("cancelling:%u", rondo_task_cancelling(thing->future));
    return GO_ON;
}

static int act_uncancel(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (thing)
        trace("uncancel:%u", rondo_task_uncancel(thing->future));
    return GO_ON;
}

/* --- the loop --------------------------------------------------------------------------------- */

static int act_time(char *const *arguments)
{
    (void) arguments;
    trace("@%d", (int) player_ticks());
    return GO_ON;
}

static int act_running(char *const *arguments)
{
    (void) arguments;
    trace("running:%d", rondo_loop_is_running(player_loop));
    return GO_ON;
}

static int act_current(char *const *arguments)
{
    (void) arguments;
    trace("current:%s", player_name_of(rondo_task_current()));
    return GO_ON;
}

static int act_stop(char *const *arguments)
{
    (void) arguments;
    rondo_loop_stop(player_loop);
    return GO_ON;
}

static int act_close(char *const *arguments)
{
    (void) arguments;
    refused("close", rondo_loop_close(player_loop));
    return GO_ON;
}

static int act_raise(char *const *arguments)
{
    return error_code(arguments[0]);
}

static int act_interrupt(char *const *arguments)
{
    (void) arguments;
    return RONDO_EINTERRUPTED;
}

static int act_return(char *const *arguments)
{
    return RETURNED + atoi(arguments[0]);
}

/* How a run ended, and that it did. */
static int act_run(char *const *arguments)
{
    (void) arguments;
    refused("run", rondo_loop_run_forever(player_loop));
    trace("|");
    return GO_ON;
}

static void stop(void *loop)
{
    rondo_loop_stop(loop);
}

static int act_runs(char *const *arguments)
{
    rondo_ns delay = player_delay(atoi(arguments[0]));
    refused("later", rondo_loop_call_later(player_loop, delay, NULL, stop, player_loop));
    return act_run(arguments);
}

static int act_pass(char *const *arguments)
{
    int count = arguments[0] ? atoi(arguments[0]) : 1;
    for (int i = 0; i < count; i++) {
        rondo_loop_stop(player_loop);
        act_run(arguments);
    }
    return GO_ON;
}

static int act_until(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (!thing)
        return GO_ON;
    void *value = NULL;
    int rc = rondo_loop_run_until_complete(player_loop, rondo_future_ref(thing->future), &value);
    trace("until:%s", outcome_of(thing->list, rc, value));
    return GO_ON;
}

static const struct verb {
    const char *name;
    act_fn *act;
} verbs[] = {
    { "at", act_at },
    { "cancelling", act_cancelling },
    { "close", act_close },
    { "current", act_current },
    { "drop", act_drop },
    { "dropped", act_dropped },
    { "fail", act_fail },
    { "forget", act_forget },
    { "fut", act_fut },
    { "gather", act_gather },
    { "gatherx", act_gatherx },
    { "handler", act_handler },
    { "interrupt", act_interrupt },
    { "kill", act_kill },
    { "later", act_later },
    { "off", act_off },
    { "on", act_on },
    { "pass", act_pass },
    { "raise", act_raise },
    { "return", act_return },
    { "run", act_run },
    { "running", act_running },
    { "runs", act_runs },
    { "safe", act_safe },
    { "say", act_say },
    { "set", act_set },
    { "shield", act_shield },
    { "show", act_show },
    { "soon", act_soon },
    { "stop", act_stop },
    { "task", act_task },
    { "thread", act_thread },
    { "time", act_time },
    { "uncancel", act_uncancel },
    { "until", act_until },
};

int player_act(char *const *words)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, words[0]) == 0)
            return verbs[i].act(words + 1);
    fprintf(stderr, "no such verb here: %s\n", words[0]);
    exit(2);
}

int player_run_callback(const struct body *body)
{
    for (size_t i = 0; i < body->count; i++) {
        int rc = player_act(body->statements[i].words);
        if (rc != GO_ON)
            return rc < 0 ? rc : 0;
    }
    return 0;
}
