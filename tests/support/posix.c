/* SPDX-License-Identifier: MIT */
/* Threads, time and deadlines for the tests, on Unix. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct support_thread {
    pthread_t thread;
    void (*body)(void *context);
    void *context;
};

struct support_gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool open;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    abort();
}

static void *enter_thread(void *argument)
{
    support_thread *thread = argument;
    thread->body(thread->context);
    return NULL;
}

support_thread *support_thread_start(void (*body)(void *context), void *context)
{
    support_thread *thread = malloc(sizeof *thread);
    must(thread != NULL, "malloc");
    thread->body = body;
    thread->context = context;
    must(pthread_create(&thread->thread, NULL, enter_thread, thread) == 0, "pthread_create");
    return thread;
}

void support_thread_join(support_thread *thread)
{
    must(pthread_join(thread->thread, NULL) == 0, "pthread_join");
    free(thread);
}

support_gate *support_gate_new(void)
{
    support_gate *gate = malloc(sizeof *gate);
    must(gate != NULL, "malloc");
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->opened, NULL);
    gate->open = false;
    return gate;
}

void support_gate_open(support_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->mutex);
}

void support_gate_wait(support_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open)
        pthread_cond_wait(&gate->opened, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

void support_gate_free(support_gate *gate)
{
    pthread_cond_destroy(&gate->opened);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

static rondo_ns read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return RONDO_S(time.tv_sec) + time.tv_nsec;
}

rondo_ns support_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

rondo_ns support_cpu_time(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void support_pause(rondo_ns span)
{
    struct timespec time = { .tv_sec = (time_t) (span / RONDO_S(1)), .tv_nsec = (long) (span % RONDO_S(1)) };
    while (nanosleep(&time, &time) != 0)
        continue;
}

void support_setenv(const char *name, const char *value)
{
    must((value ? setenv(name, value, 1) : unsetenv(name)) == 0, "setenv");
}

static void give_up(int number)
{
    static const char text[] = "the deadline of a test has passed: it hangs\n";
    (void) number;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void) written;
    _exit(86);
}

void support_deadline(unsigned seconds)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = seconds ? give_up : SIG_DFL;
    sigemptyset(&action.sa_mask);
    if (seconds == 0)
        alarm(0);
    sigaction(SIGALRM, &action, NULL);
    alarm(seconds);
}

bool support_has_own_limits(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}
