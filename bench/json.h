/* SPDX-License-Identifier: MIT */
/* All that was measured, for other programs. */
#ifndef BENCH_JSON_H
#define BENCH_JSON_H

#include "plan.h"

/* Write to the file @path, or to stdout for "-". Returns 0; -1 after a line on stderr. */
int bench_json_write(const struct bench_plan *plan, const char *path);

#endif
