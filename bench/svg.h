/* SPDX-License-Identifier: MIT */
/* The chart. */
#ifndef BENCH_SVG_H
#define BENCH_SVG_H

#include "plan.h"

/* Write bar charts of the results to the file @path. Returns 0; -1 after a line on stderr. */
int bench_svg_write(const struct bench_plan *plan, const char *path);

#endif
