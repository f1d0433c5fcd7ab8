/* SPDX-License-Identifier: MIT */
/* Contract: Ctrl+C for rondo_run. One watcher for each process. */
#ifndef RONDO_PLATFORM_INTERRUPT_H
#define RONDO_PLATFORM_INTERRUPT_H

/* Call @notify(@context) when the user interrupts the program (SIGINT, CTRL_C_EVENT): in a signal handler on Unix,
 * on a thread of its own on Windows, so it may only set atomics and wake a loop. Returns 0;
 * RONDO_EBUSY when somebody watches already, or when the program has a handler of its own for it, which is left alone. */
int rondo_interrupt_watch(void (*notify)(void *context), void *context);
/* Bring back what was there before. */
void rondo_interrupt_unwatch(void);

#endif
