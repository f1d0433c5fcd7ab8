/* SPDX-License-Identifier: MIT */
/* This machine, and what a process of it has used. */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BENCH_MAX_CORES = 256 };

struct bench_host {
    char kernel[128];
    char cpu[128];
    int cores;                 /* that this process may use */
    int core[BENCH_MAX_CORES]; /* their numbers */
    int server_core;           /* where servers run */
    int load_core;             /* where the load generator runs: another one, if there is one */
};

void bench_host_read(struct bench_host *ret_host);

/* Nanoseconds of the monotonic clock. */
int64_t bench_now(void);

/* Keep the calling thread on one core. */
void bench_pin(int core);

/* Let it run on all of them again. */
void bench_unpin(const struct bench_host *host);

/* The CPU time that the calling thread has used, in ns. */
int64_t bench_thread_cpu(void);

/* Raise the soft limit of open files to the hard one and return it. */
size_t bench_raise_file_limit(void);

/* The CPU time that process @pid has used, all its threads together, in ns; -1 when it is gone. */
int64_t bench_process_cpu(pid_t pid);

/* How long process @pid was ready to run but had to wait for its core, in ns; -1 where it cannot be told. What it
 * waits for are other programs: its figures are disturbed. */
int64_t bench_process_delay(pid_t pid);

/* How long the host of a virtual machine has kept its cores, all together, from running, in ns, by hundredths
 * of a second; 0 where there is none. */
int64_t bench_host_stolen(void);

/* The bytes of memory that only process @pid holds; -1 when it cannot be told. */
int64_t bench_process_memory(pid_t pid);

#endif
