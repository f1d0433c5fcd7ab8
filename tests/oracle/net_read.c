/* SPDX-License-Identifier: MIT */
/* Reads net_scenarios.txt: lines of "scenario NAME [FAMILY]", "protocol NAME", "on EVENT [N]: ACTIONS" and
 * "main: ACTIONS". A line that is none of these ends the program. */
#include "net_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scenario scenarios[MAX_SCENARIOS];
static size_t scenario_count;

static void add_handler(struct scenario *scenario, char *event, const char *actions)
{
    if (scenario->handler_count == MAX_HANDLERS)
        die("too many handlers");
    struct handler *handler = &scenario->handlers[scenario->handler_count++];
    char *last = strrchr(event, ' ');
    if (last && last[1] >= '0' && last[1] <= '9') {
        handler->count = atoi(last + 1);
        *last = 0;
    }
    snprintf(handler->event, sizeof(handler->event), "%s", event);
    snprintf(handler->actions, sizeof(handler->actions), "%s", actions);
}

static void read_line(char *line)
{
    line[strcspn(line, "#\r\n")] = 0;
    size_t length = strlen(line);
    while (length && line[length - 1] == ' ')
        line[--length] = 0;
    if (!length)
        return;
    char *rest = strchr(line, ':');
    if (rest)
        *rest++ = 0;
    struct scenario *scenario = scenario_count ? &scenarios[scenario_count - 1] : NULL;
    if (strncmp(line, "scenario ", 9) == 0 && scenario_count < MAX_SCENARIOS) {
        scenario = &scenarios[scenario_count++];
        snprintf(scenario->first, sizeof(scenario->first), "plain");
        if (sscanf(line + 9, "%63s %15s", scenario->name, scenario->only) < 1)
            die(line);
    } else if (scenario && strncmp(line, "protocol ", 9) == 0) {
        snprintf(scenario->first, sizeof(scenario->first), "%s", line + 9);
    } else if (scenario && strncmp(line, "over ", 5) == 0) {
        scenario->is_tcp = strcmp(line + 5, "tcp") == 0;
    } else if (scenario && rest && strncmp(line, "on ", 3) == 0) {
        add_handler(scenario, line + 3, rest);
    } else if (scenario && rest && strcmp(line, "main") == 0) {
        size_t used = strlen(scenario->main);
        snprintf(scenario->main + used, sizeof(scenario->main) - used, "%s%s", used ? ";" : "", rest);
    } else {
        die(line);
    }
}

size_t read_scenarios(const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    if (!file)
        die("cannot read the scenarios");
    while (fgets(line, sizeof line, file))
        read_line(line);
    fclose(file);
    return scenario_count;
}
