/* SPDX-License-Identifier: MIT */
/* Starting and ending the processes that are measured.
 *
 * Happy path: a listening socket is made here, the program runs itself again with --child-serve NAME and
 * the socket as descriptor 3, and is ended by SIGTERM when it has been measured. A fresh program image for
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

int bench_listen(unsigned port, struct sockaddr_in *ret_address)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -1;
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
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

/* In the child: become a new image of this program, with @descriptor as number @target. */
static _Noreturn void become(const struct bench_host *host, int descriptor, int target, pid_t parent,
                             char *const arguments[])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127); /* it died before prctl */
    bench_pin(host->server_core);
    if (descriptor == target)
        fcntl(descriptor, F_SETFD, 0);
    else
        dup2(descriptor, target);
    execv("/proc/self/exe", arguments);
    perror("rondo-bench: cannot start itself");
    _exit(127);
}

static pid_t start(const struct bench_host *host, int descriptor, int target, char *const arguments[])
{
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(host, descriptor, target, parent, arguments);
    return pid;
}

int bench_child_serve(const struct bench_host *host, const char *name, struct bench_child *ret_child,
                      char *error, size_t capacity)
{
    struct bench_child child = { .pid = -1 };
    int listener = bench_listen(0, &child.address);
    if (listener < 0) {
        snprintf(error, capacity, "cannot listen on 127.0.0.1: %s", strerror(errno));
        return -1;
    }
    char program[] = "rondo-bench", mode[] = "--child-serve", copy[64];
    snprintf(copy, sizeof copy, "%s", name);
    char *arguments[] = { program, mode, copy, NULL };
    child.pid = start(host, listener, BENCH_CHILD_LISTENER, arguments);
    int number = errno;
    close(listener);
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
    char program[] = "rondo-bench", mode[] = "--child-micro", copies[2][64], core[16];
    snprintf(copies[0], sizeof copies[0], "%s", suite);
    snprintf(copies[1], sizeof copies[1], "%s", test);
    snprintf(core, sizeof core, "%d", host->load_core);
    char *arguments[] = { program, mode, copies[0], copies[1], core, NULL };
    pid_t pid = start(host, ends[1], STDOUT_FILENO, arguments);
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
