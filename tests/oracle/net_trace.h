/* SPDX-License-Identifier: MIT */
/* The scenarios of net_scenarios.txt as they were read. */
#ifndef RONDO_TESTS_NET_TRACE_H
#define RONDO_TESTS_NET_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#define MAX_SCENARIOS 200
#define MAX_HANDLERS 12
#define MAX_WORDS 8

struct handler {
    char event[32];
    char actions[512];
    int count;
};

struct scenario {
    char name[64];
    char only[16];
    char first[16];
    bool is_tcp;
    struct handler handlers[MAX_HANDLERS];
    size_t handler_count;
    char main[512];
};

extern struct scenario scenarios[MAX_SCENARIOS];

/* Read the file into `scenarios`; returns how many there are. Ends the program where it cannot. */
size_t read_scenarios(const char *path);

/* Say what is wrong and end the program. */
_Noreturn void die(const char *what);

#endif
