/* SPDX-License-Identifier: MIT */
/* Being a server: what --serve does, for others to measure or as a child of the measuring process. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include "options.h"

/* Serve as @options say until killed. Returns the program's exit code, after a line on stderr. */
int bench_serve(const struct bench_options *options);

#endif
