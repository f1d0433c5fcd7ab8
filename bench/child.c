/* SPDX-License-Identifier: MIT */
/* Starting and ending the processes that are measured.
 *
 * Happy path: a listening socket is made here, the program runs itself again with --serve NAME
 * --inherit and the socket as descriptor 3, and is ended by SIGTERM when it has been measured. A fresh program image for
 * each measurement keeps the luck of one memory layout, and what another library left behind, out of the
 * figures.
 * Failures: a child that cannot run ends and says why on stderr; connections to it are then refused or
 * reset, and bench_child_is_gone tells. No child outlives its parent (PR_SET_PDEATHSIG). */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS = 24 };

/* What a child gets: descriptors, as number @first and so on, and where it runs. */
struct dowry {
    int *descriptors;
    size_t count;
    int first;
    int core; /* -1: all of them */
};

/* In the child: become a new image of this program. */
static _Noreturn void become(const struct bench_host *host, const struct dowry *dowry, pid_t parent,
                             char *const arguments[])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died before prctl */
    if (dowry->core < 0)
        bench_unpin(host);
    else
        bench_pin(dowry->core);
    /* By way of numbers above them all, so that none is overwritten before its turn. */
    int *ends = dowry->descriptors; /* a copy: it is the child's memory */
    for (size_t i = 0; i < dowry->count; i++)
        ends[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, dowry->first + (int) dowry->count);
    for (size_t i = 0; i < dowry->count; i++)
        dup2(ends[i], dowry->first + (int) i);
    execv("/proc/self/exe", arguments);
    perror("rondo-bench: cannot start itself");
    _exit(127);
}

static pid_t start(const struct bench_host *host, const struct dowry *dowry, char *const arguments[])
{
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(host, dowry, parent, arguments);
    return pid;
}

/* The command line of a child. It points into itself: never copy it. */
struct command {
    char texts[ARGUMENTS][64];
    char *arguments[ARGUMENTS + 1];
    size_t count;
};

static void add(struct command *command, const char *text)
{
    char *copy = command->texts[command->count];
    snprintf(copy, sizeof command->texts[0], "%s", text);
    command->arguments[command->count++] = copy;
}

static void add_number(struct command *command, const char *option, size_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", number);
    if (number == 0)
        return; /* what 0 means is what is done without the option */
    add(command, option);
    add(command, digits);
}

static void describe_errand(struct command *command, const struct bench_errand *errand)
{
    add(command, "rondo-bench");
    add(command, "--serve");
    add(command, errand->server->name);
    add_number(command, "--inherit", errand->service);
    add_number(command, "--loops", errand->loops);
    add_number(command, "--pairs", errand->pairs);
    add_number(command, "--upstream", errand->upstream);
    add_number(command, "--work", errand->work_us);
    add_number(command, "--spin", errand->tuning.spin_ns);
    add_number(command, "--receive-buffer", errand->tuning.receive_buffer);
    add_number(command, "--receive-buffers", errand->tuning.receive_buffers);
    add_number(command, "--ring-entries", errand->tuning.ring_entries);
}

/* Start the server on the ends that the child's wire has for it. */
static int start_server(const struct bench_host *host, const struct bench_errand *errand,
                        struct bench_child *child, char *error, size_t capacity)
{
    struct command command = { .count = 0 };
    describe_errand(&command, errand);
    int core = errand->beside_load ? host->load_core : host->server_core;
    struct dowry dowry = { child->wire.server_ends, child->wire.server_count, BENCH_CHILD_SOCKETS,
                           errand->loops > 1 ? -1 : core };
    child->pid = start(host, &dowry, command.arguments);
    int number = errno;
    bench_wire_hand_over(&child->wire);
    if (child->pid > 0)
        return 0;
    snprintf(error, capacity, "cannot fork: %s", strerror(number));
    bench_wire_close(&child->wire);
    return -1;
}

int bench_child_serve(const struct bench_host *host, const struct bench_errand *errand,
                      struct bench_child *ret_child, char *error, size_t capacity)
{
    struct bench_child child = { .pid = -1 };
    size_t count = errand->service == BENCH_PIPES ? errand->pairs : errand->loops;
    if (bench_wire_open(&child.wire, errand->service, count) < 0) {
        snprintf(error, capacity, "cannot open sockets or pipes: %s", strerror(errno));
        return -1;
    }
    if (start_server(host, errand, &child, error, capacity) < 0)
        return -1;
    *ret_child = child;
    return 0;
}

void bench_child_stop(struct bench_child *child)
{
    bench_wire_close(&child->wire); /* of one that was not started: nothing */
    if (child->pid < 0)
        return;
    kill(child->pid, SIGTERM);
    for (int i = 0; i < 2000; i++) {
        if (waitpid(child->pid, NULL, WNOHANG) != 0) {
            child->pid = -1;
            return;
        }
        poll(NULL, 0, 1);
    }
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    child->pid = -1;
}

static void describe_status(int status, char *error, size_t capacity)
{
    if (WIFSIGNALED(status))
        snprintf(error, capacity, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(error, capacity, "ended with exit code %d", WEXITSTATUS(status));
}

bool bench_child_is_gone(struct bench_child *child, char *error, size_t capacity)
{
    int status = 0;
    /* It may be on its way out: a connection is reset a moment before the process can be waited for. */
    for (int i = 0; i < 50 && child->pid >= 0; i++) {
        if (waitpid(child->pid, &status, WNOHANG) == child->pid) {
            child->pid = -1;
            describe_status(status, error, capacity);
            return true;
        }
        poll(NULL, 0, 1);
    }
    return false;
}

int bench_child_micro(const struct bench_host *host, const char *suite, const char *test, double *ret_ns,
                      char *error, size_t capacity)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        snprintf(error, capacity, "pipe: %s", strerror(errno));
        return -1;
    }
    struct command command = { .count = 0 };
    char core[16];
    snprintf(core, sizeof core, "%d", host->load_core);
    add(&command, "rondo-bench");
    add(&command, "--child-micro");
    add(&command, suite);
    add(&command, test);
    add(&command, core);
    struct dowry dowry = { &ends[1], 1, STDOUT_FILENO, host->server_core };
    pid_t pid = start(host, &dowry, command.arguments);
    close(ends[1]);
    char text[64];
    size_t length = 0;
    ssize_t got = 0;
    while (pid > 0 && length < sizeof text - 1 &&
           (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t) got;
    close(ends[0]);
    text[length] = '\0';
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        snprintf(error, capacity, "cannot start a child: %s", strerror(errno));
        return -1;
    }
    if (status != 0) {
        describe_status(status, error, capacity);
        return -1;
    }
    *ret_ns = strtod(text, NULL);
    return 0;
}
