/* SPDX-License-Identifier: MIT */
/* As much of <sys/event.h> as Rondo uses, for Linux: a double of kqueue for tests, see kqueue_double.c. */
#ifndef RONDO_TESTS_KQUEUE_DOUBLE_H
#define RONDO_TESTS_KQUEUE_DOUBLE_H

#include <stdint.h>
#include <time.h>

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned fflags;
    int64_t data;
    void *udata;
};

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EVFILT_USER (-11)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_DISPATCH 0x0080
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

#define NOTE_TRIGGER 0x01000000

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
           const struct timespec *timeout);

/* A queue ends when its descriptor is closed, so whoever includes this header closes by this. */
int kqueue_double_close(int descriptor);
#define close(descriptor) kqueue_double_close(descriptor)

#endif
