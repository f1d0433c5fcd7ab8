/* SPDX-License-Identifier: MIT */
/* Reads a file of scenarios; the language is described at the top of core_scenarios.txt.
 *
 * The happy path: the file is read whole and cut in place; all words point into it. Failures: a file
 * that cannot be read, or a scenario larger than the limits, ends the program. Memory lives until the
 * process ends. */
#include "core_trace.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *what, const char *which)
{
    fprintf(stderr, "%s: %s\n", which, what);
    exit(2);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        give_up("cannot be opened", path);
    size_t length = 0, room = 1 << 20;
    char *text = malloc(room);
    if (!text)
        give_up("out of memory", path);
    length = fread(text, 1, room - 1, file);
    if (!feof(file))
        give_up("too long", path);
    fclose(file);
    text[length] = '\0';
    return text;
}

static char *strip(char *text)
{
    while (isspace((unsigned char) *text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char) text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* Cut the next piece off *@rest at @separator; NULL at the end. */
static char *cut(char **rest, char separator)
{
    char *piece = *rest;
    if (!piece)
        return NULL;
    char *end = strchr(piece, separator);
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return piece;
}

static void read_statement(struct body *body, char *text)
{
    text = strip(text);
    if (!*text)
        return;
    if (body->count == MAX_STATEMENTS)
        give_up("too many statements", body->name);
    struct statement *statement = &body->statements[body->count++];
    size_t count = 0;
    char *rest = text;
    for (char *word; (word = cut(&rest, ' '));) {
        if (!*word)
            continue;
        if (count == MAX_WORDS - 1)
            give_up("too many words", body->name);
        statement->words[count++] = word;
    }
}

static void read_body(struct scenario *scenario, char *line)
{
    if (scenario->count == MAX_BODIES)
        give_up("too many bodies", scenario->name);
    struct body *body = &scenario->bodies[scenario->count++];
    char *rest = line;
    body->name = strip(cut(&rest, ':'));
    for (char *text; (text = cut(&rest, ';'));)
        read_statement(body, text);
}

static size_t count_scenarios(const char *text)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, "\n==")); at++)
        count++;
    return count + 1;
}

struct scenario *read_scenarios(const char *path, size_t *ret_count)
{
    char *rest = read_file(path);
    struct scenario *scenarios = calloc(count_scenarios(rest), sizeof *scenarios);
    if (!scenarios)
        give_up("out of memory", path);
    size_t count = 0;
    for (char *line; (line = cut(&rest, '\n'));) {
        char *hash = strchr(line, '#');
        if (hash)
            *hash = '\0';
        line = strip(line);
        if (strncmp(line, "==", 2) == 0)
            scenarios[count++].name = strip(line + 2);
        else if (*line && count > 0)
            read_body(&scenarios[count - 1], line);
    }
    *ret_count = count;
    return scenarios;
}
