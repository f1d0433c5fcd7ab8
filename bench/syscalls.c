/* SPDX-License-Identifier: MIT */
/* System calls are counted by a perf event on the tracepoint raw_syscalls:sys_enter: the kernel counts,
 * nobody is stopped or traced. It needs root or kernel.perf_event_paranoid <= -1, and a mounted tracefs to
 * look up the tracepoint's number. */
#include "syscalls.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const id_paths[] = {
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
};

static long tracepoint_id(void)
{
    for (size_t i = 0; i < sizeof id_paths / sizeof id_paths[0]; i++) {
        FILE *file = fopen(id_paths[i], "r");
        if (!file)
            continue;
        long id = -1;
        if (fscanf(file, "%ld", &id) != 1)
            id = -1;
        fclose(file);
        if (id >= 0)
            return id;
    }
    return -1;
}

int bench_syscalls_begin(pid_t pid)
{
    long id = tracepoint_id();
    if (id < 0)
        return -1;
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.size = sizeof attributes;
    attributes.config = (uint64_t) id;
    return (int) syscall(SYS_perf_event_open, &attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

int64_t bench_syscalls_end(int counter)
{
    uint64_t count = 0;
    ssize_t got = read(counter, &count, sizeof count);
    close(counter);
    return got == (ssize_t) sizeof count ? (int64_t) count : -1;
}

bool bench_syscalls_available(char *reason, size_t capacity)
{
    if (tracepoint_id() < 0) {
        snprintf(reason, capacity, "no readable tracefs at /sys/kernel/tracing (root can read it)");
        return false;
    }
    int counter = bench_syscalls_begin(getpid());
    if (counter < 0) {
        snprintf(reason, capacity, "perf_event_open: %s (needs root or kernel.perf_event_paranoid=-1)",
                 strerror(errno));
        return false;
    }
    bench_syscalls_end(counter);
    return true;
}
