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

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS = 24 };

int bench_listen(unsigned port, bool shared, struct sockaddr_in *ret_address)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -1;
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (shared)
        setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t) port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *) &address, sizeof address) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *) &address, &length) < 0) {
        int number = errno;
        close(listener);
        errno = number;
        return -1;
    }
    *ret_address = address;
    return listener;
}

static void close_all(const int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(descriptors[i]);
}

/* What a child gets: descriptors, as number @first and so on, and where it runs. */
struct dowry {
    const int *descriptors;
    size_t count;
    int first;
    bool all_cores;
};

/* In the child: become a new image of this program. */
static _Noreturn void become(const struct bench_host *host, const struct dowry *dowry, pid_t parent,
                             char *const arguments[])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died before prctl */
    if (dowry->all_cores)
        bench_unpin(host);
    else
        bench_pin(host->server_core);
    /* By way of numbers above them all, so that none is overwritten before its turn. */
    int above[BENCH_MAX_LOOPS];
    for (size_t i = 0; i < dowry->count; i++)
        above[i] = fcntl(dowry->descriptors[i], F_DUPFD_CLOEXEC, dowry->first + (int) dowry->count);
    for (size_t i = 0; i < dowry->count; i++)
        dup2(above[i], dowry->first + (int) i);
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
    add_number(command, "--work", errand->work_us);
    add_number(command, "--spin", errand->tuning.spin_ns);
    add_number(command, "--receive-buffer", errand->tuning.receive_buffer);
    add_number(command, "--receive-buffers", errand->tuning.receive_buffers);
    add_number(command, "--ring-entries", errand->tuning.ring_entries);
}

/* The sockets for a server's loops, which share a port. Returns 0; -1 with errno. */
static int open_sockets(int *sockets, size_t count, struct sockaddr_in *address)
{
    address->sin_port = 0;
    for (size_t i = 0; i < count; i++) {
        sockets[i] = bench_listen(ntohs(address->sin_port), count > 1, address);
        if (sockets[i] < 0) {
            int number = errno;
            close_all(sockets, i);
            errno = number;
            return -1;
        }
    }
    return 0;
}

int bench_child_serve(const struct bench_host *host, const struct bench_errand *errand,
                      struct bench_child *ret_child, char *error, size_t capacity)
{
    struct bench_child child = { .pid = -1 };
    int sockets[BENCH_MAX_LOOPS];
    if (open_sockets(sockets, errand->loops, &child.address) < 0) {
        snprintf(error, capacity, "cannot listen on 127.0.0.1: %s", strerror(errno));
        return -1;
    }
    struct command command = { .count = 0 };
    describe_errand(&command, errand);
    struct dowry dowry = { sockets, errand->loops, BENCH_CHILD_SOCKETS, errand->loops > 1 };
    child.pid = start(host, &dowry, command.arguments);
    int number = errno;
    close_all(sockets, errand->loops);
    if (child.pid < 0) {
        snprintf(error, capacity, "cannot fork: %s", strerror(number));
        return -1;
    }
    *ret_child = child;
    return 0;
}

void bench_child_stop(struct bench_child *child)
{
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
    struct dowry dowry = { &ends[1], 1, STDOUT_FILENO, false };
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
