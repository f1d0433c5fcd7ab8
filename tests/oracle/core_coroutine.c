/* SPDX-License-Identifier: MIT */
/* Bodies that run as coroutines: the statements that wait.
 *
 * A statement returns GO_ON, RETURNED plus a number, or the error that leaves it, which ends the body unless
 * `try` stands before it. */
#include "core_trace.h"

#include <stdlib.h>
#include <string.h>

static rondo_ns limit_of(const char *ticks)
{
    if (strcmp(ticks, "-") == 0)
        return RONDO_FOREVER;
    return atoi(ticks) > 0 ? player_delay(atoi(ticks)) : atoi(ticks);
}

/* A wait for the future called @name has ended with @rc. */
static int show_wait(const char *name, const struct thing *list, int rc, void *value)
{
    if (rc < 0)
        return rc;
    trace("%s=%s", name, outcome_of(list, rc, value));
    return GO_ON;
}

static int wait_await(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (!thing)
        return GO_ON;
    void *value = NULL;
    int rc = rondo_await(rondo_future_ref(thing->future), &value);
    return show_wait(arguments[0], thing->list, rc, value);
}

static int wait_sleep(char *const *arguments)
{
    int rc = rondo_await(rondo_sleep(player_loop, limit_of(arguments[0])), NULL);
    return rc < 0 ? rc : GO_ON;
}

static int wait_yield(char *const *arguments)
{
    (void) arguments;
    int rc = rondo_yield();
    return rc < 0 ? rc : GO_ON;
}

static int wait_waitfor(char *const *arguments)
{
    struct thing *thing = player_find(arguments[0]);
    if (!thing)
        return GO_ON;
    void *value = NULL;
    rondo_ns limit = limit_of(arguments[1]);
    int rc = rondo_await(rondo_wait_for(rondo_future_ref(thing->future), limit), &value);
    return show_wait(arguments[0], thing->list, rc, value);
}

static int wait_wait(char *const *arguments)
{
    rondo_wait_until until = strcmp(arguments[1], "all") == 0     ? RONDO_WAIT_ALL
                             : strcmp(arguments[1], "first") == 0 ? RONDO_WAIT_FIRST
                                                                  : RONDO_WAIT_FIRST_FAILURE;
    rondo_future *futures[MAX_MEMBERS] = { NULL };
    size_t count = 0;
    for (; arguments[count + 2]; count++) {
        struct thing *thing = player_find(arguments[count + 2]);
        if (!thing)
            return GO_ON;
        futures[count] = thing->future;
    }
    rondo_ns limit = limit_of(arguments[0]);
    int rc = rondo_await(rondo_wait(player_loop, futures, count, limit, until), NULL);
    if (rc < 0)
        return rc;
    char flags[MAX_MEMBERS + 1] = "";
    for (size_t i = 0; i < count; i++)
        flags[i] = rondo_future_done(futures[i]) ? '1' : '0';
    trace("done:%s", flags);
    return GO_ON;
}

static int wait_timeout(char *const *arguments)
{
    rondo_timeout timeout;
    int rc = rondo_timeout_enter(&timeout, limit_of(arguments[0]));
    if (rc < 0)
        return rc;
    rc = rondo_timeout_leave(&timeout, player_run_coroutine(player_body(arguments[1])));
    return rc < 0 ? rc : GO_ON;
}

static int wait_call(char *const *arguments)
{
    int rc = player_run_coroutine(player_body(arguments[0]));
    return show_wait(arguments[0], NULL, rc, NULL);
}

static int wait_guard(char *const *arguments)
{
    int rc = player_run_coroutine(player_body(arguments[0]));
    int clean_up = player_run_coroutine(player_body(arguments[1]));
    if (clean_up < 0)
        return clean_up;
    return rc < 0 ? rc : GO_ON;
}

static const struct {
    const char *name;
    int (*wait)(char *const *arguments);
} waits[] = {
    { "await", wait_await },     { "call", wait_call },   { "guard", wait_guard },
    { "sleep", wait_sleep },     { "wait", wait_wait },   { "timeout", wait_timeout },
    { "waitfor", wait_waitfor }, { "yield", wait_yield },
};

static int step(char *const *words)
{
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        if (strcmp(waits[i].name, words[0]) == 0)
            return waits[i].wait(words + 1);
    return player_act(words);
}

static int guarded_step(char *const *words)
{
    bool all = strcmp(words[0], "try") == 0;
    if (!all && strcmp(words[0], "tryerr") != 0)
        return step(words);
    int rc = guarded_step(words + 1);
    if (rc >= 0 || rc == RONDO_EINTERRUPTED || (rc == RONDO_ECANCELLED && !all))
        return rc;
    trace("caught:%s", error_name(rc));
    return GO_ON;
}

int player_run_coroutine(const struct body *body)
{
    for (size_t i = 0; i < body->count; i++) {
        int rc = guarded_step(body->statements[i].words);
        if (rc < 0)
            return rc;
        if (rc != GO_ON)
            return rc - RETURNED;
    }
    return 0;
}
