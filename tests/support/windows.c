/* SPDX-License-Identifier: MIT */
/* Threads, time and deadlines for the tests, on Windows. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include <windows.h>

struct support_thread {
    HANDLE thread;
    void (*body)(void *context);
    void *context;
};

struct support_gate {
    HANDLE event;
};

static HANDLE deadline_moved; /* auto-reset: there is a new deadline */
static volatile LONG deadline_seconds;

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s: error %lu\n", what, GetLastError());
    abort();
}

static DWORD WINAPI enter_thread(void *argument)
{
    support_thread *thread = argument;
    thread->body(thread->context);
    return 0;
}

support_thread *support_thread_start(void (*body)(void *context), void *context)
{
    support_thread *thread = malloc(sizeof *thread);
    must(thread != NULL, "malloc");
    thread->body = body;
    thread->context = context;
    thread->thread = CreateThread(NULL, 0, enter_thread, thread, 0, NULL);
    must(thread->thread != NULL, "CreateThread");
    return thread;
}

void support_thread_join(support_thread *thread)
{
    must(WaitForSingleObject(thread->thread, INFINITE) == WAIT_OBJECT_0, "WaitForSingleObject");
    CloseHandle(thread->thread);
    free(thread);
}

support_gate *support_gate_new(void)
{
    support_gate *gate = malloc(sizeof *gate);
    must(gate != NULL, "malloc");
    gate->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    must(gate->event != NULL, "CreateEvent");
    return gate;
}

void support_gate_open(support_gate *gate)
{
    SetEvent(gate->event);
}

void support_gate_wait(support_gate *gate)
{
    must(WaitForSingleObject(gate->event, INFINITE) == WAIT_OBJECT_0, "WaitForSingleObject");
}

void support_gate_free(support_gate *gate)
{
    CloseHandle(gate->event);
    free(gate);
}

rondo_ns support_now(void)
{
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    LONGLONG whole = count.QuadPart / frequency.QuadPart;
    LONGLONG rest = count.QuadPart % frequency.QuadPart;
    return RONDO_S(whole) + RONDO_S(rest) / frequency.QuadPart;
}

static rondo_ns from_filetime(FILETIME time)
{
    return (rondo_ns) (((uint64_t) time.dwHighDateTime << 32) | time.dwLowDateTime) * 100;
}

rondo_ns support_cpu_time(void)
{
    FILETIME created, ended, kernel, user;
    GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user);
    return from_filetime(kernel) + from_filetime(user);
}

void support_pause(rondo_ns span)
{
    rondo_ns end = support_now() + span;
    for (rondo_ns left = span; left > 0; left = end - support_now())
        Sleep((DWORD) (left / RONDO_MS(1)) + 1);
}

void support_setenv(const char *name, const char *value)
{
    /* The C runtime keeps a copy of its own: an empty value removes the variable from both. */
    must(_putenv_s(name, value ? value : "") == 0, "_putenv_s");
}

static DWORD WINAPI watch_deadline(void *argument)
{
    (void) argument;
    for (;;) {
        LONG seconds = deadline_seconds;
        DWORD wait = seconds ? (DWORD) seconds * 1000 : INFINITE;
        if (WaitForSingleObject(deadline_moved, wait) == WAIT_OBJECT_0)
            continue;
        fprintf(stderr, "the deadline of a test has passed: it hangs\n");
        fflush(stderr);
        ExitProcess(86);
    }
}

void support_deadline(unsigned seconds)
{
    if (!deadline_moved) {
        deadline_moved = CreateEventW(NULL, FALSE, FALSE, NULL);
        must(deadline_moved != NULL, "CreateEvent");
        HANDLE thread = CreateThread(NULL, 0, watch_deadline, NULL, 0, NULL);
        must(thread != NULL, "CreateThread");
        CloseHandle(thread);
    }
    InterlockedExchange(&deadline_seconds, (LONG) seconds);
    SetEvent(deadline_moved);
}
