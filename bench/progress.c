/* SPDX-License-Identifier: MIT */
/* How far it is. The time that is left is estimated from the steps that were done. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "host.h"

enum { WIDTH = 28 };

void bench_progress_begin(struct bench_progress *progress, size_t total)
{
    *progress = (struct bench_progress){ .total = total, .begin = bench_now() };
    progress->terminal = isatty(STDERR_FILENO) == 1;
}

static void draw(const struct bench_progress *progress, const char *kind, const char *title, const char *name)
{
    char bar[WIDTH + 1];
    size_t filled = progress->total ? progress->done * WIDTH / progress->total : 0;
    for (size_t i = 0; i < WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[WIDTH] = '\0';
    char left[32] = "";
    if (progress->done > 0) {
        double used = (double) (bench_now() - progress->begin) / 1e9;
        unsigned seconds =
            (unsigned) (used / (double) progress->done * (double) (progress->total - progress->done) + 1);
        snprintf(left, sizeof left, "%u:%02u left  ", seconds / 60, seconds % 60);
    }
    fprintf(stderr, "\r[%s] %3zu%%  %s%s, %s: %s\033[K", bar, progress->done * 100 / progress->total, left,
            kind, title, name);
    fflush(stderr);
}

void bench_progress_step(struct bench_progress *progress, const char *kind, const char *title,
                         const char *name)
{
    if (progress->terminal)
        draw(progress, kind, title, name);
    else if (progress->last_case != title)
        fprintf(stderr, "%3zu%%  %s: %s\n", progress->done * 100 / progress->total, kind, title);
    progress->last_case = title;
    progress->done++;
}

void bench_progress_end(struct bench_progress *progress)
{
    if (progress->terminal)
        fprintf(stderr, "\r\033[K");
}
