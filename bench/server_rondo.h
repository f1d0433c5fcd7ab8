/* SPDX-License-Identifier: MIT */
/* Rondo's services: each starts on a loop that runs afterwards. They return 0, or an error with its message. */
#ifndef BENCH_SERVER_RONDO_H
#define BENCH_SERVER_RONDO_H

#include <rondo.h>

#include "server.h"

int bench_rondo_stream(rondo_loop *loop, const struct bench_job *job);
int bench_rondo_datagrams(rondo_loop *loop, const struct bench_job *job);
int bench_rondo_pipes(rondo_loop *loop, const struct bench_job *job);
int bench_rondo_proxy(rondo_loop *loop, const struct bench_job *job);

#endif
