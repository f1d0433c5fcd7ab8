/* SPDX-License-Identifier: MIT */
/* Watched descriptors in tests: callbacks that say their names, and do what a case asks of them. */
#ifndef RONDO_TESTS_WATCH_H
#define RONDO_TESTS_WATCH_H

#include "peer.h"

/* What a callback does besides saying its name, and how often it was called. The settings are the test's, the rest is
 * filled in. In the trace: "NAME", "NAME." at the end of one that adds or removes, "~NAME" when its context is released. */
typedef struct watch_act watch_act;
struct watch_act {
    const char *name;
    rondo_socket sock;
    bool removes_reader, removes_writer, reads, raises, stops;
    watch_act *adds_reader, *adds_writer;
    bool insists; /* its destructor adds it again */

    rondo_loop *loop; /* that it was added to */
    int calls;
    int destroyed;
    int refusal; /* what the destructor was told */
};

/* Watch act->sock: what rondo_loop_add_reader_call and rondo_loop_add_writer_call return. */
int watch_add_reader(rondo_loop *loop, watch_act *act);
int watch_add_writer(rondo_loop *loop, watch_act *act);
/* The callback itself, for other ways to add it. */
void watch_on_ready(void *act);

#endif
