/* SPDX-License-Identifier: MIT */
/* A resolver under the control of a test. */
#ifndef RONDO_TESTS_RESOLVER_H
#define RONDO_TESTS_RESOLVER_H

#include "support.h"

enum { FAKE_LOOKUPS = 16, FAKE_ADDRESSES = 6, FAKE_STREAM = 1 };

typedef struct fake_address {
    const char *host; /* a number */
    int port;
    int family; /* 0: that of the host; else a lie */
} fake_address;

/* What one lookup gives: an error, or addresses; at once, or at fake_resolver_answer. */
typedef struct fake_answer {
    fake_address addresses[FAKE_ADDRESSES];
    size_t count;
    int error;
    bool later;
    bool refuse; /* no future at all: NULL after rondo_raise */
} fake_answer;

typedef struct fake_lookup {
    char host[64], service[64];
    int family, type, proto, flags;
    rondo_future *future;
    const fake_answer *answer;
} fake_lookup;

typedef struct fake_resolver {
    fake_answer answers[FAKE_LOOKUPS]; /* the first lookup gets the first ... */
    size_t answer_count;
    fake_lookup lookups[FAKE_LOOKUPS];
    size_t asked;
} fake_resolver;

/* Every lookup of @loop goes to @fake from now on. */
void fake_resolver_install(rondo_loop *loop, fake_resolver *fake);

/* Answer lookup number @index, which was to be answered later. */
void fake_resolver_answer(fake_resolver *fake, size_t index);

/* Let go of the futures; before the loop is freed. */
void fake_resolver_end(fake_resolver *fake);

#endif
