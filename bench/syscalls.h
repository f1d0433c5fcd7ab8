/* SPDX-License-Identifier: MIT */
/* Counts the system calls that another process makes, where the system allows it. */
#ifndef BENCH_SYSCALLS_H
#define BENCH_SYSCALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Begin to count; a counter to close with bench_syscalls_end, or -1 where it is not permitted. While it is
 * open each system call of the process is slower: never measure time then. */
int bench_syscalls_begin(pid_t pid);

/* The count since begin, and close; -1 when it cannot be read. */
int64_t bench_syscalls_end(int counter);

/* Whether it works here; else writes why not. */
bool bench_syscalls_available(char *reason, size_t capacity);

#endif
