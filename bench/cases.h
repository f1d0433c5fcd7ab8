/* SPDX-License-Identifier: MIT */
/* The cases of a plan. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "plan.h"

enum { BENCH_MAX_CASES = 512 };

/* Make the cases of all kinds in @options for the servers of @plan. False: too many, or out of memory. */
bool bench_cases_add(struct bench_plan *plan, const struct bench_options *options);

#endif
