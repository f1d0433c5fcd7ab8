/* SPDX-License-Identifier: MIT */
/* Parts of the scenario player: what was read, what has a name, what a statement does. */
#ifndef RONDO_TESTS_CORE_TRACE_H
#define RONDO_TESTS_CORE_TRACE_H

#include "support.h"

enum { MAX_WORDS = 12, MAX_STATEMENTS = 128, MAX_BODIES = 48, MAX_MEMBERS = 8 };

struct statement {
    char *words[MAX_WORDS]; /* the verb and its arguments; NULL behind the last */
};

struct body {
    char *name;
    struct statement statements[MAX_STATEMENTS];
    size_t count;
};

struct scenario {
    char *name;
    struct body bodies[MAX_BODIES];
    size_t count;
};

/* What `fut f`, `task t T`, `soon A h` and the like leave behind. The newest of a name is the one that
 * is meant; all live until the scenario ends. */
struct thing {
    struct thing *older;
    const char *name;
    rondo_future *future; /* NULL for a handle; one reference */
    rondo_handle handle;
    struct thing *list; /* the gather whose outcomes are this future's result; NULL for a number */
    struct thing *members[MAX_MEMBERS];
    rondo_outcome outcomes[MAX_MEMBERS];
    size_t count;
};

/* The scenario that is being played. */
extern rondo_loop *player_loop;
extern const struct body *player_handler; /* what the exception handler does, too; NULL: nothing */
extern bool player_tells_unseen;          /* errors that nobody has looked at are traced */

const struct body *player_body(const char *name);
struct thing *player_find(const char *name);            /* traces ?NAME and gives NULL where there is none */
const char *player_name_of(const rondo_future *future); /* "-" for none */
struct thing *player_keep(const char *name);
rondo_ns player_delay(int ticks); /* never the same deadline twice */
rondo_ns player_ticks(void);      /* since the start */
rondo_ns player_start(void);

/* How a body or a statement ended. Negative: the error that leaves it. */
enum { GO_ON = 1 << 30, RETURNED = 1 << 29 };

/* Perform a statement that any body may hold. */
int player_act(char *const *words);
/* Run @body as a callback, as a coroutine: a number returned, or an error. */
int player_run_callback(const struct body *body);
int player_run_coroutine(const struct body *body);

/* "7", "E1", "cancelled", "[1,2]" for how @thing or a call ended. */
const char *outcome_of(const struct thing *list, int code, void *value);
const char *error_name(int code);
int error_code(const char *name); /* of E1, E2 ... */

/* The text of a file, owned, and the next scenario in it, whose words point there; false at the end. */
char *read_file(const char *path);
bool read_scenario(char **rest, struct scenario *scenario);

#endif
