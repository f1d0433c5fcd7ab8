/* SPDX-License-Identifier: MIT */
/* Reads a file of scenarios; the language is described at the top of core_scenarios.txt.
 *
 * The happy path: the file is read whole; one scenario after the other is cut out of it in place, and its
 * words point into the text. Failures: a file that cannot be read, or a scenario larger than the limits,
 * ends the program. */
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

char *read_file(const char *path)
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

/* The next line of @rest without its comment; NULL at the end. */
static char *next_line(char **rest)
{
    char *line = cut(rest, '\n');
    char *comment = line ? strchr(line, '#') : NULL;
    if (comment)
        *comment = '\0';
    return line ? strip(line) : NULL;
}

bool read_scenario(char **rest, struct scenario *scenario)
{
    memset(scenario, 0, sizeof *scenario);
    char *line;
    while ((line = next_line(rest)) && strncmp(line, "==", 2) != 0)
        continue;
    if (!line)
        return false;
    scenario->name = strip(line + 2);
    while (*rest && strncmp(*rest, "==", 2) != 0) {
        line = next_line(rest);
        if (*line)
            read_body(scenario, line);
    }
    return true;
}
