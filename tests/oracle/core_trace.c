/* SPDX-License-Identifier: MIT */
/* Plays the scenarios of core_scenarios.txt on Rondo and prints what happened, one line for each, as
 * core_trace.py does on Python's asyncio; the two outputs must be the same.
 *
 * usage: core_trace FILE BACKEND [SCENARIO]
 *
 * The happy path: for each scenario a loop with virtual time is made, the body `main` is run outside of
 * it, and the words are printed. Failures: a file that cannot be read or a verb that is none ends the
 * program with status 2; a scenario that hangs is ended by a deadline; what is wrong in the library shows
 * in the lines. Invariant: a scenario gives back every block of memory that it took. */
#include "core_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rondo_loop *player_loop;
const struct body *player_handler;
bool player_tells_unseen;

static const struct scenario *playing;
static struct thing *things;
static int timers;
static rondo_ns start;

const struct body *player_body(const char *name)
{
    for (size_t i = 0; i < playing->count; i++)
        if (strcmp(playing->bodies[i].name, name) == 0)
            return &playing->bodies[i];
    fprintf(stderr, "%s: there is no body %s\n", playing->name, name);
    exit(2);
}

struct thing *player_find(const char *name)
{
    for (struct thing *thing = things; thing; thing = thing->older)
        if (strcmp(thing->name, name) == 0)
            return thing;
    trace("?%s", name);
    return NULL;
}

const char *player_name_of(const rondo_future *future)
{
    for (struct thing *thing = things; thing && future; thing = thing->older)
        if (thing->future == future)
            return thing->name;
    return "-";
}

struct thing *player_keep(const char *name)
{
    struct thing *thing = calloc(1, sizeof *thing);
    if (!thing)
        abort();
    thing->name = name;
    thing->older = things;
    things = thing;
    return thing;
}

rondo_ns player_delay(int ticks)
{
    return TICKS(ticks) - SUPPORT_TICK / 2 + ++timers;
}

rondo_ns player_start(void)
{
    return start;
}

rondo_ns player_ticks(void)
{
    return (rondo_loop_time(player_loop) - start) / SUPPORT_TICK;
}

static void report_failure(int error)
{
    trace("!%s", error_name(error));
    int rc = player_handler ? player_run_callback(player_handler) : 0;
    if (rc < 0)
        rondo_raise(rc, NULL);
}

/* What asyncio would say at a garbage collection is left out, unless a scenario lets go of something itself. */
static void report(rondo_loop *loop, const rondo_exception_context *context, void *user)
{
    (void) loop;
    (void) user;
    if (strstr(context->message, "destroyed"))
        return;
    if (!strstr(context->message, "never retrieved"))
        report_failure(context->error);
    else if (player_tells_unseen)
        trace("unseen:%s", error_name(context->error));
}

static void ignore(rondo_loop *loop, const rondo_exception_context *context, void *user)
{
    (void) loop;
    (void) context;
    (void) user;
}

static void forget_things(void)
{
    while (things) {
        struct thing *older = things->older;
        rondo_future_unref(things->future);
        free(things);
        things = older;
    }
}

static void play(const struct scenario *scenario)
{
    playing = scenario;
    timers = 0;
    player_handler = NULL;
    player_tells_unseen = false;
    trace_clear();
    support_memory_begin();
    support_deadline(support_default_deadline());
    player_loop = support_virtual_loop();
    start = rondo_loop_time(player_loop);
    rondo_loop_set_exception_handler(player_loop, report, NULL);
    player_run_callback(player_body("main"));
    printf("%s: %s\n", scenario->name, trace_text());
    rondo_loop_set_exception_handler(player_loop, ignore, NULL);
    int closed = rondo_loop_close(player_loop);
    forget_things();
    int freed = rondo_loop_free(player_loop);
    if (closed < 0 || freed < 0 || support_blocks() > 0)
        printf("%s: close %d, free %d, %zu blocks are left\n", scenario->name, closed, freed,
               support_blocks());
    support_deadline(0);
    fflush(stdout);
}

static void play_all(const char *file_name, const char *only)
{
    static struct scenario scenario;
    char *text = read_file(file_name);
    char *rest = text;
    while (read_scenario(&rest, &scenario))
        if (!only || strcmp(only, scenario.name) == 0)
            play(&scenario);
    free(text);
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: core_trace FILE BACKEND [SCENARIO]\n");
        return 2;
    }
    rondo_log_set_sink(NULL, NULL);
    support_use_backend(argv[2]);
    play_all(argv[1], argc == 4 ? argv[3] : NULL);
    return 0;
}
