/* SPDX-License-Identifier: MIT */
/* What is asked of Linux about the machine and its processes.
 *
 * The CPU time of a server is read from outside, by the clock that the kernel keeps for each process: it
 * is exact to the switch, counts the threads that the kernel adds to a ring, and asks nothing of the
 * server. Memory is what smaps_rollup calls private and dirty: pages that exist because of this process
 * alone. */
#include "host.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void read_cpu_model(char *text, size_t capacity)
{
    snprintf(text, capacity, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon || colon[1] == '\0')
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(text, capacity, "%s", colon + 2);
        break;
    }
    fclose(file);
}

void bench_host_read(struct bench_host *ret_host)
{
    memset(ret_host, 0, sizeof *ret_host);
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(ret_host->kernel, sizeof ret_host->kernel, "%.32s %.90s", name.sysname, name.release);
    read_cpu_model(ret_host->cpu, sizeof ret_host->cpu);

    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        CPU_SET(0, &set);
    for (int core = 0; core < CPU_SETSIZE && ret_host->cores < BENCH_MAX_CORES; core++) {
        if (CPU_ISSET((size_t) core, &set))
            ret_host->core[ret_host->cores++] = core;
    }
    ret_host->server_core = ret_host->core[0];
    ret_host->load_core = ret_host->core[ret_host->cores > 1];
}

int64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t) core, &set);
    sched_setaffinity(0, sizeof set, &set); /* refused: the figures are noisier, nothing breaks */
}

void bench_unpin(const struct bench_host *host)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < host->cores; i++)
        CPU_SET((size_t) host->core[i], &set);
    sched_setaffinity(0, sizeof set, &set);
}

int64_t bench_thread_cpu(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t) used.tv_sec * 1000000000 + used.tv_nsec;
}

size_t bench_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 256;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            getrlimit(RLIMIT_NOFILE, &limit);
    }
    return (size_t) limit.rlim_cur;
}

int64_t bench_process_cpu(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return -1;
    return (int64_t) used.tv_sec * 1000000000 + used.tv_nsec;
}

int64_t bench_process_delay(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int) pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    unsigned long long ran, waited;
    int64_t delay = fscanf(file, "%llu %llu", &ran, &waited) == 2 ? (int64_t) waited : -1;
    fclose(file);
    return delay;
}

int64_t bench_host_stolen(void)
{
    FILE *file = fopen("/proc/stat", "r");
    unsigned long long ticks = 0;
    if (!file)
        return 0;
    /* user nice system idle iowait irq softirq steal */
    if (fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &ticks) != 1)
        ticks = 0;
    fclose(file);
    return (int64_t) ticks * 1000000000 / sysconf(_SC_CLK_TCK);
}

int64_t bench_process_memory(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int) pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    int64_t bytes = -1;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        long long kilobytes = 0;
        if (sscanf(line, "Private_Dirty: %lld kB", &kilobytes) == 1)
            bytes = (int64_t) kilobytes * 1024;
    }
    fclose(file);
    return bytes;
}
